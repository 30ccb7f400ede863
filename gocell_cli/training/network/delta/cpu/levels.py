"""The delta form on the CPU: the algebra of `matmul_levels.py`, in compiled loops that pass each row's memory once.

Products of edges with many rows are a matrix library's, straight from the child's rows and the stacked weights; those
of edges with few run in `edge_kernels.py`. Threads are PyTorch's number; no table is shared by two of them.
"""

from typing import Any

import numpy as np
from jaxtyping import Float

from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.delta.cpu import edge_kernels
from gocell_cli.training.network.delta.cpu import kernels as row_kernels
from gocell_cli.training.network.delta.cpu.buffers import RowBuffers
from gocell_cli.training.network.delta.cpu.layout import RowLevel, edge_slots, row_levels
from gocell_cli.training.network.delta.index import DeltaIndex
from gocell_cli.training.network.delta.network import DeltaNetwork, Gradients
from gocell_cli.training.network.delta.plan import DeltaPlan

with train_extra():
    import numba
    import torch
    from torch import Tensor


class RowRun:
    """One batch on its way up and down the levels."""

    def __init__(self, net: DeltaNetwork, index: DeltaIndex, plan: DeltaPlan, buffers: RowBuffers) -> None:
        self.net, self.plan, self.index = net, plan, index
        threads = min(torch.get_num_threads(), numba.get_num_threads())
        numba.set_num_threads(threads)
        slot = edge_slots(index, plan)
        self.runs = row_levels(index, plan, net.piece, slot, threads)
        entries, widest = self.runs[-1].table.stop, max(r.slots * r.width for r in self.runs)
        sizes = {"x": entries, "d": entries, "products": widest, **({"g": entries} if net.gradients else {})}
        self.tables = buffers.borrow(self, sizes, net.gamma.dtype)
        self.x, self.d = self.tables["x"], self.tables["d"]
        self.a0, self.mean, self.var, self.inv = (torch.empty_like(net.gamma) for _ in range(4))
        dtype = self.x.numpy().dtype
        self.weight, self.varies = plan.weight.astype(dtype), plan.varies.astype(dtype)
        self.share = self.weight / plan.samples if net.training else np.zeros_like(self.weight)
        self.read_slot = slot[plan.read_edge] + plan.read_row
        self.lost_piece = index.row_piece[plan.lost]
        norm = (self._flat(net.counted_mean), self._flat(net.statistics.var))
        self.norm = (*norm, net.eps, float(plan.samples), net.training)

    def _flat(self, tensor: Tensor | None) -> np.ndarray:
        return np.zeros(0, self.x.numpy().dtype) if tensor is None else tensor.numpy()

    def _of(self, run: RowLevel, values: np.ndarray) -> np.ndarray:
        """A run's part [terms, width] of a flat table of neurons; of an absent one, nothing."""
        return values[run.neurons].reshape(-1, run.width)

    def _table(self, run: RowLevel, values: np.ndarray) -> np.ndarray:
        return values[run.table].reshape(-1, run.width)

    def _state(self, run: RowLevel) -> tuple[np.ndarray, ...]:
        return tuple(self._of(run, t.numpy()) for t in (self.a0, self.mean, self.var, self.inv))

    def _norm(self, run: RowLevel) -> tuple[Any, ...]:
        mean, var, *others = self.norm
        return (self._of(run, mean), self._of(run, var), *others)

    def _rows(self, products: Tensor) -> tuple[np.ndarray, ...]:
        return products.numpy(), self.plan.read_ptr, self.read_slot, self.plan.lost_ptr, self.lost_piece

    def _starts(self, run: RowLevel) -> np.ndarray:
        return self.plan.term_start[run.terms.start : run.terms.stop + 1]

    def up(self) -> Float[Tensor, " rows"]:
        """Children first; returns each row's head without its bias, and moves the running statistics."""
        net = self.net
        heads = net.gamma.new_empty(len(self.plan.weight))
        for run in self.runs:
            self._up(run, heads.numpy())
        if net.training:
            net.statistics.move(self.mean.double() + self.a0.double(), self.var, float(self.plan.samples))
        return heads

    def _up(self, run: RowLevel, heads: np.ndarray) -> None:
        net, starts, state, norm = self.net, self._starts(run), self._state(run), self._norm(run)
        tables = (self._table(run, self.d.numpy()), self._table(run, self.x.numpy()))
        stats = (self.weight, self.varies[run.terms])
        affine = (self._of(run, net.gamma.numpy()), self._of(run, net.beta.numpy()))
        row_kernels.linear(
            run.tasks, starts, tables, self._rows(self._products(run)), net.genes.numpy(),
            self.index.term_genes[run.terms], self._of(run, net.wild.numpy()), self._of(run, self._flat(net.direction)),
            stats, norm, state, affine, net.tanh_first,
        )  # fmt: skip
        (self.d if net.tanh_first else self.x)[run.table].tanh_()
        parts = np.empty((len(run.tasks) if run.tasks[0, 3] < run.width else 1, heads[run.rows].size), heads.dtype)
        row_kernels.outputs(
            run.tasks, starts, tables, stats, norm, state, affine, self._of(run, net.head.numpy()), parts,
            net.tanh_first,
        )  # fmt: skip
        np.sum(parts, axis=0, out=heads[run.rows])

    def _products(self, run: RowLevel) -> Float[Tensor, "slots width"]:
        """Each child's rows times its edge's weights."""
        net = self.net
        found = self._empty_products(run)
        if len(run.few):
            edge_kernels.products(run.cuts, run.few, self.x.numpy(), net.weights.numpy(), found.numpy())
        for edge in run.many:
            x, w, out = self._edge(run, self.x, net.weights, found, edge)
            torch.mm(x, w.t(), out=out)
        return found

    def _empty_products(self, run: RowLevel) -> Float[Tensor, "slots width"]:
        return self.tables["products"][: run.slots * run.width].view(run.slots, run.width)

    def _edge(
        self, run: RowLevel, x: Tensor, weights: Tensor, products: Tensor, edge: list[int]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """An edge's rows [rows, inp], its weights [out, inp] and its products [rows, out], as views."""
        rows, at, pitch, inp, weight, stride, slot = edge
        own = weights.as_strided((run.width, inp), (stride, 1), weight)
        return x[at : at + rows * pitch].view(rows, pitch)[:, :inp], own, products[slot : slot + rows]

    def down(self, dy: Float[Tensor, " rows"]) -> Gradients:
        """Parents first."""
        net = self.net
        g = self.tables["g"].zero_()
        direction = None if net.direction is None else torch.zeros_like(net.direction)
        gamma, beta, head, wild = (torch.empty_like(net.gamma) for _ in range(4))
        found = Gradients(
            torch.zeros_like(net.weights), wild, torch.zeros_like(net.genes), direction, gamma, beta, head
        )
        for run in reversed(self.runs):
            self._down(run, g, dy.numpy()[run.rows], found)
        return found

    def _down(self, run: RowLevel, g: Tensor, dy: np.ndarray, found: Gradients) -> None:
        net = self.net
        tables = tuple(self._table(run, t.numpy()) for t in (self.d, self.x, g))
        products = self._empty_products(run)
        own = tuple(
            self._of(run, self._flat(t)) for t in (found.gamma, found.beta, found.head, found.wild, found.direction)
        )
        row_kernels.gradients(
            run.tasks, self._starts(run), run.first_slot, tables, self._rows(products), found.genes.numpy(),
            self.index.term_genes[run.terms], (self.weight, self.share), dy, self._norm(run), self._state(run),
            self._of(run, net.gamma.numpy()), self._of(run, net.head.numpy()), own, net.tanh_first,
        )  # fmt: skip
        if len(run.few):
            edge_kernels.product_gradients(
                run.cuts, run.few, self.x.numpy(), net.weights.numpy(), products.numpy(), g.numpy(),
                found.weights.numpy(),
            )  # fmt: skip
        for edge in run.many:
            x, w, given = self._edge(run, self.x, net.weights, products, edge)
            dx, dw, _ = self._edge(run, g, found.weights, products, edge)
            torch.mm(given.t(), x, out=dw)
            dx.addmm_(given, w)
