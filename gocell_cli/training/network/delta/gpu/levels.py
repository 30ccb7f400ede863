"""The delta form on a GPU: one batch on its way up the levels and down again, four launches a level and direction.

Which tile, edge and row a program takes is in the plan's integers (layout.py), made on the CPU ahead of the step: no
line here waits for the device. Products of a few wide terms are a matrix library's, from what their variants read laid
side by side.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int32

from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.delta.backend import DeltaNetwork, Gradients
from gocell_cli.training.network.delta.gpu import kernels
from gocell_cli.training.network.delta.gpu.layout import ROWS, GpuIndex, GpuPlan, Items, Level, WideTerm
from gocell_cli.training.network.delta.whole import Whole
from gocell_cli.training.network.pinned import there
from gocell_cli.training.network.tf32 import float32_products

with train_extra():
    import torch
    from torch import Tensor

UP, DOWN, DZ = 3, 6, 2
"""Vectors of sums that a tile leaves: `sums`, `pull` and `normed` in kernels.py."""


@dataclass(frozen=True)
class DeviceIndex:
    """The arrays of a hierarchy on a device."""

    index: GpuIndex
    ints: Mapping[str, Int32[Tensor, " _"]]

    @classmethod
    def of(cls, index: GpuIndex, device: torch.device) -> "DeviceIndex":
        """Move them there, once for all batches."""
        return cls(index, {name: torch.from_numpy(x).to(device, torch.int32) for name, x in index.ints.items()})


def launch(kernel: Any, programs: int, *arguments: Any, **constants: Any) -> None:
    """Start a kernel, without waiting for it; of no program none."""
    if programs:
        kernel[(programs,)](*arguments, **constants)


class GpuPass:
    """One batch on its way up and down; `ints` is the plan's buffer on the network's device."""

    def __init__(
        self, net: DeltaNetwork, fixed: DeviceIndex, plan: GpuPlan, ints: Int32[Tensor, " ints"], whole: Whole
    ) -> None:
        self.net, self.fixed, self.plan, self.whole, self.piece = net, fixed, plan, whole, net.piece
        self.at = {**fixed.ints, **{name: plan.part(name, ints) for name in plan.parts}}
        dtype = net.gamma.dtype
        self.share = self.at["weight"].to(dtype).div_(max(whole.samples, 1))
        if not whole.planned:  # what a plan can't know: of a share of the batch, or with terms left out
            ints = torch.from_numpy(np.stack([whole.varies > 0, whole.wild == 0]).astype(np.int32))
            self.at["varies"], self.at["absent"] = there(ints, net.gamma.device).unbind()
        self.varies = self.at["varies"].to(dtype)
        self.eps = net.gamma.new_full((1,), net.eps)
        # products may be of half the bytes; every sum of them is the network's dtype again
        self.precision = "rounded" if net.precision == "bf16" and kernels.INTERPRETED else net.precision
        self.half = torch.bfloat16 if net.precision == "bf16" else dtype
        self.x, self.d = (net.gamma.new_empty(plan.table * net.piece) for _ in range(2))
        self.wide = net.gamma.new_zeros(plan.wide * net.piece)
        self.part = net.gamma.new_empty(plan.tiles * max(UP, DOWN, DZ) * fixed.index.cols)
        self.a0, self.mean, self.var, self.inv = (torch.empty_like(net.gamma) for _ in range(4))
        if net.counted_mean is not None:
            self.mean, self.inv = net.counted_mean, torch.rsqrt(net.statistics.var + net.eps)

    def _launch(self, kernel: Any, items: Items | int, *arguments: Any, **constants: Any) -> None:
        """Start a kernel on items of a level, or on all; arrays of integers by their names."""
        found = [self.at[a] if isinstance(a, str) else a for a in arguments]
        programs, own = (items, []) if isinstance(items, int) else (items.count, [items.first])
        shape = {"PIECE": self.piece, "ROWS": ROWS, "COLS": self.fixed.index.cols}
        launch(kernel, programs, *own, *found, **shape, **constants)

    def up(self) -> Float[Tensor, " variants"]:
        """Children first; returns each variant's head without its bias, and moves the running statistics."""
        net, products = self.net, self.x.new_empty(self.plan.products * self.piece, dtype=self.half)
        found = self.x.new_empty(len(self.at["term"]))
        for level in self.plan.levels:
            self._products(level, products)
            self._sums(level, products)
            if net.training:
                self._statistics(level)
            self._launch(
                kernels.outputs, level.tiles, "tile_term", "tile_row", "tile_col", "term_blocks", "term_neuron",
                "variant_ptr", "row_at", self.d, self.x, self.mean, self.inv, net.gamma, net.beta,
                TANH_FIRST=net.tanh_first,
            )  # fmt: skip
        self._launch(
            kernels.heads, self.plan.high, "high_term", "high_row", "term_blocks", "term_neuron", "variant_ptr",
            "row_at", self.x, net.head, found,
        )  # fmt: skip
        if net.training:
            net.statistics.move(self.mean.double() + self.a0.double(), self.var, self.whole.samples)
        return found

    def _products(self, level: Level, products: Tensor) -> None:
        self._launch(
            kernels.products, level.products, "item_edge", "item_row", "item_col", "edge_child", "edge_parent",
            "edge_weight", "edge_stride", "edge_inp", "term_blocks", "variant_ptr", "row_at", "edge_product",
            self.x, self.net.weights, products, PRECISION=self.precision,
        )  # fmt: skip
        if not level.wide:
            return
        copies = level.copies
        self._launch(
            kernels.spread, -(-copies.count // ROWS), copies.first, copies.first + copies.count,
            "copy_from", "copy_to", self.x, self.wide,
        )  # fmt: skip
        for term in level.wide:
            z = products[term.product * self.piece :][: term.variants * term.out * self.piece]
            left, right = self._inputs(term).to(self.half), self._weights(term, self.net.weights).to(self.half)
            with float32_products(self.net.precision):
                torch.mm(left, right.t(), out=z.view(term.variants, -1))

    def _inputs(self, term: WideTerm) -> Float[Tensor, "variants inp"]:
        return self.wide[term.at * self.piece :][: term.variants * term.inp * self.piece].view(term.variants, -1)

    def _weights(self, term: WideTerm, weights: Tensor) -> Float[Tensor, "out inp"]:
        size = term.out * term.inp * self.piece**2
        return weights[term.weight * self.piece :][:size].view(term.out * self.piece, -1)

    def _sums(self, level: Level, products: Tensor) -> None:
        net = self.net
        self._launch(
            kernels.sums, level.tiles, "tile_term", "tile_row", "tile_col", "term_blocks", "term_neuron", "term_genes",
            "variant_ptr", "row_at", "read_ptr", "read_at", "lost_ptr", "lost_piece", self.share, products, net.genes,
            net.wild, net.wild if net.direction is None else net.direction, self.d, self.a0, self.part,
            SHARED=net.direction is not None, TANH_FIRST=net.tanh_first, TRAINING=net.training,
        )  # fmt: skip

    def _statistics(self, level: Level) -> None:
        self._launch(
            kernels.statistics, level.stats, "stat_term", "stat_col", "term_blocks", "term_neuron", "term_tile",
            "term_rows", self.varies, self.eps, self.part, self.mean, self.var, self.inv,
            ALONE=self.whole.group is None,
        )  # fmt: skip
        if self.whole.group is not None:
            own = level.neurons
            varies, samples = self.varies[self.at["neuron_term"][own]], self.whole.samples
            mean, squares = self.whole.moments(self.mean[own], self.var[own] * samples)
            self.mean[own] = mean
            self.var[own] = varies * squares / samples
            self.inv[own] = varies * torch.rsqrt(self.var[own] + self.net.eps)

    def down(self, dy: Float[Tensor, " variants"]) -> Gradients:
        """Parents first."""
        net = self.net
        g = torch.empty_like(self.x)
        given = self.x.new_empty(self.plan.given * self.piece, dtype=self.half)
        total, moment, gamma, beta, head = (torch.empty_like(net.gamma) for _ in range(5))
        found = Gradients(
            weights=torch.zeros_like(net.weights),  # zeros: padding
            wild=torch.zeros_like(net.gamma),
            genes=torch.zeros_like(net.genes),
            direction=None if net.direction is None else torch.zeros_like(net.direction),
            gamma=gamma,
            beta=beta,
            head=head,
        )
        for level in reversed(self.plan.levels):
            self._pull(level, g, given, dy)
            self._moments(level, g, total, moment, found)
            self._dz(level, g, total, moment, found)
            with float32_products(net.precision):
                for term in level.wide:
                    self._wide_gradients(term, g, found)
        self._parameter_gradients(g, given, found)
        return found

    def _pull(self, level: Level, g: Tensor, given: Tensor, dy: Tensor) -> None:
        net = self.net
        self._launch(
            kernels.pull, level.tiles, "tile_term", "tile_row", "tile_col", "term_blocks", "term_neuron", "parent_ptr",
            "parent_edge", "edge_parent", "edge_weight", "edge_stride", "edge_inp", "variant_ptr", "row_at",
            "edge_slot", "edge_given", "edge_wide", "slot_ptr", "slot_at", net.weights, g, given, self.wide, self.x,
            self.d, self.mean, net.head, dy, self.part, PRECISION=self.precision, TANH_FIRST=net.tanh_first,
        )  # fmt: skip

    def _moments(self, level: Level, g: Tensor, total: Tensor, moment: Tensor, found: Gradients) -> None:
        self._launch(
            kernels.moments, level.stats, "stat_term", "stat_col", "term_blocks", "term_neuron", "term_tile",
            "term_rows", "row_at", "absent", self.part, self.x, g, self.mean, self.inv, total, moment,
            found.gamma, found.beta, found.head, TANH_FIRST=self.net.tanh_first,
        )  # fmt: skip
        if self.whole.group is not None:
            own = level.neurons
            total[own], moment[own] = self.whole.sums(total[own], moment[own])

    def _dz(self, level: Level, g: Tensor, total: Tensor, moment: Tensor, found: Gradients) -> None:
        net, shared = self.net, self.net.direction is not None
        zero = net.training and not net.tanh_first
        self._launch(
            kernels.normed, level.tiles, "tile_term", "tile_row", "tile_col", "term_blocks", "term_neuron",
            "variant_ptr", "row_at", "lost_ptr", self.share, g, self.d, self.a0, self.mean, self.inv, net.gamma,
            total, moment, self.part, TANH_FIRST=net.tanh_first, TRAINING=net.training, SUMMED=shared or not zero,
            SHARED=shared,
        )  # fmt: skip
        if shared or not zero:
            self._launch(
                kernels.common, level.stats, "stat_term", "stat_col", "term_blocks", "term_neuron", "term_tile",
                "term_rows", "row_at", self.part, g, found.wild, found.wild if found.direction is None
                else found.direction, ZERO=zero, SHARED=shared,
            )  # fmt: skip

    def _wide_gradients(self, term: WideTerm, g: Tensor, found: Gradients) -> None:
        """The weights' gradient, and dz W in the place of X, for the children to pull."""
        dz = g[term.row * self.piece :][: term.variants * term.out * self.piece].view(term.variants, -1)
        dz, inputs, weights = dz.to(self.half), self._inputs(term), self._weights(term, self.net.weights)
        to = self._weights(term, found.weights)
        if self.half is self.x.dtype:
            torch.mm(dz.t(), inputs, out=to)
            torch.mm(dz, weights, out=inputs)
        else:  # a matrix library rounds its result to its operands' dtype: copied
            to.copy_(torch.mm(dz.t(), inputs.to(self.half)))
            inputs.copy_(torch.mm(dz, weights.to(self.half)))

    def _parameter_gradients(self, g: Tensor, given: Tensor, found: Gradients) -> None:
        self._launch(
            kernels.weight_gradients, len(self.fixed.index.ints["weight_edge"]), "weight_edge", "weight_row",
            "weight_col", "edge_child", "edge_parent", "edge_weight", "edge_stride", "edge_inp", "term_blocks",
            "variant_ptr", "row_at", "edge_given", "edge_wide", self.x, given, found.weights,
            PRECISION=self.precision,
        )  # fmt: skip
        self._launch(
            kernels.gene_gradients, self.plan.pairs, "pair_term", "pair_piece", "pair_ptr", "pair_at", "term_blocks",
            "term_genes", g, found.genes,
        )  # fmt: skip
