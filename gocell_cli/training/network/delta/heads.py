"""Heads of distinct variants: what the delta form gives, and all samples' losses taken from them in closed form."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.delta.cpu import losses
from gocell_cli.training.network.delta.plan import DeltaPlan
from gocell_cli.training.network.delta.ready import ReadyBatch, VariantTargets, shown

with train_extra():
    import torch
    from torch import Tensor


class _Spread(torch.autograd.Function):
    """Each variant's value and its term's; back, a term's variants summed in their order: no atomics on a GPU."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, values: Tensor, term: Tensor, start: Tensor) -> Tensor:
        """Gather and add."""
        ctx.start = start
        if own.device.type == "cpu":
            return _by_variant(losses.spread, start, own, values)
        return values.index_select(0, term) + own

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Sum."""
        return grads[0], _segments(grads[0].contiguous(), ctx.start), None, None


class _Losses(torch.autograd.Function):
    """Each term's loss summed over its variants, in their order; back, each variant its term's times its slope."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, batch: ReadyBatch, targets: VariantTargets, kind: str) -> Tensor:
        """Compute losses and slopes, and sum the losses."""
        y, s, q = values.detach(), targets.mean, targets.left
        m = batch.weight if targets.weight is None else targets.weight
        ctx.batch = batch
        if y.device.type == "cpu" and kind != "bce":
            ctx.slope, found = torch.empty_like(y), y.new_empty(len(batch.start) - 1)
            losses.squared(*(x.numpy() for x in (batch.start, y.contiguous(), s, q, m, ctx.slope, found)))
            return found
        if y.device.type == "cpu":
            weight = m.numpy().astype(y.numpy().dtype)
            own, ctx.slope = map(torch.from_numpy, _logistic(np, y.numpy(), s.numpy(), weight))
        else:
            own, ctx.slope = _logistic(torch, y, s, m.to(y)) if kind == "bce" else _squared(y, s, q, m.to(y))
        return _segments(own, batch.start)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Gather and multiply."""
        if grads[0].device.type == "cpu":
            found = _by_variant(losses.scaled, ctx.batch.start, ctx.slope, grads[0])
        else:
            found = grads[0].index_select(0, ctx.batch.term) * ctx.slope
        return found, None, None, None


# On a CPU all this is one thread's: some 140,000 numbers are soon done, and PyTorch would share them out to its pool
# and wait for it at each operation. Where other work has the cores, a step's few waits took 80 ms. Of numbers that
# overflow it says as little as PyTorch: what diverges is told by the training, once.


def _squared(y: Tensor, s: Tensor, q: Tensor, m: Tensor) -> tuple[Tensor, Tensor]:
    """Loss m (y - s)^2 + q, and its slope."""
    away = y - s
    slope = m * away
    return slope * away + q, 2 * slope


@np.errstate(all="ignore")
def _logistic(lib: Any, y: Any, s: Any, m: Any) -> tuple[Any, Any]:
    """Loss m (softplus(y) - y s), and its slope m (sigmoid(y) - s); `lib` is numpy or torch."""
    e = lib.exp(-abs(y))  # at most 1, whatever y is
    positive = y > 0
    sigmoid = lib.where(positive, 1 / (1 + e), e / (1 + e))
    return m * (lib.log1p(e) + y * positive - y * s), m * (sigmoid - s)


def _by_variant(
    loop: Any, start: Int[Tensor, " terms_plus_1"], own: Float[Tensor, " variants"], values: Float[Tensor, " terms"]
) -> Float[Tensor, " variants"]:
    """Join each variant's value and its term's."""
    found = own.new_empty(len(own))
    loop(*(x.detach().contiguous().numpy() for x in (start, own, values, found)))
    return found


def _segments(values: Float[Tensor, " variants"], start: Int[Tensor, " terms_plus_1"]) -> Float[Tensor, " terms"]:
    """Sum each term's variants, in an order that is always the same."""
    if values.device.type == "cpu":
        found = values.new_empty(len(start) - 1)
        losses.summed(start.numpy(), values.detach().numpy(), found.numpy())
        return found
    # unsafe: the check of the offsets would wait for the device
    return torch.segment_reduce(values, "sum", offsets=start, axis=0, unsafe=True)


def spread(
    own: Float[Tensor, "*heads variants"], values: Float[Tensor, "*heads terms"], batch: ReadyBatch
) -> Float[Tensor, "*heads variants"]:
    """Return each variant's value and its term's; of several heads, of each."""
    if own.ndim == 2:
        return torch.stack([spread(*pair, batch) for pair in zip(own, values, strict=True)])
    found: Tensor = _Spread.apply(own, values, batch.term, batch.start)  # type: ignore[no-untyped-call]
    return found


@dataclass(frozen=True)
class VariantHeads:
    """The head of each variant of a batch; `position[t]` is where term t of the hierarchy runs, `root` runs last.

    Of several phenotypes a head for each: values [phenotypes, variants], of which samples' heads have them last.
    """

    values: Float[Tensor, "*phenotypes variants"]
    batch: ReadyBatch
    position: Int[Tensor, " terms"]
    root: int

    @property
    def plan(self) -> DeltaPlan:
        """What the variants stand for."""
        return self.batch.plan

    @property
    def shape(self) -> tuple[int, ...]:
        """Samples that the variants stand for, and terms; of several phenotypes these, too."""
        return self.plan.samples, len(self.position), *self.values.shape[:-1]

    def of_phenotype(self, number: int) -> "VariantHeads":
        """Return the heads of one of several phenotypes."""
        return replace(self, values=self.values[number])

    def of_term(self, term: int) -> Float[Tensor, " samples *phenotypes"]:
        """Return one term's heads, sample by sample; of another than the root this waits for the device."""
        if term == self.root:
            return self.values.index_select(-1, self.batch.shown).t()
        variant = shown(self.plan, int(self.position[term]))
        return self.values[..., torch.from_numpy(variant).to(self.values.device)].t()

    def dense(self) -> Float[Tensor, "samples terms *phenotypes"]:
        """Return all heads [samples, terms], in the hierarchy's order of terms: what the dense form gives."""
        plan, touches = self.plan, self.plan.touches
        variant = np.broadcast_to(plan.variant_ptr[:-1, None], (len(self.position), plan.samples)).copy()
        variant[touches.term, touches.sample] = touches.variant
        index = torch.from_numpy(variant).to(self.values.device).index_select(0, self.position)
        return self.values[..., index].permute(*range(self.values.ndim, -1, -1))

    def term_losses(self, target: Float[Tensor, " samples"] | VariantTargets, kind: str) -> Float[Tensor, " terms"]:
        """Return each term's mean loss over the samples, in the hierarchy's order; `kind` as in DCellLoss.

        A variant of weight m whose samples' targets have mean s and squared deviations q from it adds
        m (y - s)^2 + q; for logits m (softplus(y) - y s). Targets that lie on a GPU are read back, which waits for it;
        those of the CPU, and those made ready with the batch, are not.
        """
        plan, y = self.plan, self.values
        if isinstance(target, Tensor):
            target = VariantTargets.of(plan, target.detach().double().cpu().numpy(), y.device, y.dtype)
        found: Tensor = _Losses.apply(y, self.batch, target, kind)  # type: ignore[no-untyped-call]
        return (found / plan.samples).index_select(0, self.position)
