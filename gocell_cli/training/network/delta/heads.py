"""Heads of distinct variants: what the delta form gives, and all samples' losses taken from them in closed form."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.delta.plan import DeltaPlan
from gocell_cli.training.network.delta.ready import ReadyBatch, VariantTargets, shown

with train_extra():
    import torch
    from torch import Tensor
    from torch.nn.functional import softplus


class _Spread(torch.autograd.Function):
    """Each variant its term's value; back, a term's variants summed in their order: no atomics on a GPU."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, term: Tensor, start: Tensor) -> Tensor:
        """Gather."""
        ctx.start = start
        return values.index_select(0, term)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Sum."""
        return _segments(grads[0].contiguous(), ctx.start), None, None


class _Summed(torch.autograd.Function):
    """Each term's variants summed, in their order; back, each variant its term's."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, term: Tensor, start: Tensor) -> Tensor:
        """Sum."""
        ctx.term = term
        return _segments(values, start)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Gather."""
        return grads[0].index_select(0, ctx.term), None, None


def _segments(values: Float[Tensor, " variants"], start: Int[Tensor, " terms_plus_1"]) -> Float[Tensor, " terms"]:
    # unsafe: the check of the offsets would wait for the device
    return torch.segment_reduce(values, "sum", offsets=start, axis=0, unsafe=True)


def spread(values: Float[Tensor, " terms"], batch: ReadyBatch) -> Float[Tensor, " variants"]:
    """Return each variant's term's value."""
    found: Tensor = _Spread.apply(values, batch.term, batch.start)  # type: ignore[no-untyped-call]
    return found


@dataclass(frozen=True)
class VariantHeads:
    """The head of each variant of a batch; `position[t]` is where term t of the hierarchy runs, `root` runs last."""

    values: Float[Tensor, " variants"]
    batch: ReadyBatch
    position: Int[Tensor, " terms"]
    root: int

    @property
    def plan(self) -> DeltaPlan:
        """What the variants stand for."""
        return self.batch.plan

    @property
    def shape(self) -> tuple[int, int]:
        """Samples that the variants stand for, and terms."""
        return self.plan.samples, len(self.position)

    def of_term(self, term: int) -> Float[Tensor, " samples"]:
        """Return one term's heads, sample by sample; of another than the root this waits for the device."""
        if term == self.root:
            return self.values.index_select(0, self.batch.shown)
        variant = shown(self.plan, int(self.position[term]))
        return self.values[torch.from_numpy(variant).to(self.values.device)]

    def dense(self) -> Float[Tensor, "samples terms"]:
        """Return all heads [samples, terms], in the hierarchy's order of terms: what the dense form gives."""
        plan, touches = self.plan, self.plan.touches
        variant = np.broadcast_to(plan.variant_ptr[:-1, None], (len(self.position), plan.samples)).copy()
        variant[touches.term, touches.sample] = touches.variant
        index = torch.from_numpy(variant).to(self.values.device).index_select(0, self.position)
        return self.values[index].t()

    def term_losses(self, target: Float[Tensor, " samples"] | VariantTargets, kind: str) -> Float[Tensor, " terms"]:
        """Return each term's mean loss over the samples, in the hierarchy's order; `kind` as in DCellLoss.

        A variant of weight m whose samples' targets have mean s and squared deviations q from it adds
        m (y - s)^2 + q; for logits m (softplus(y) - y s). Targets that lie on a GPU are read back, which waits for it;
        those of the CPU, and those made ready with the batch, are not.
        """
        plan, y, batch = self.plan, self.values, self.batch
        if isinstance(target, Tensor):
            target = VariantTargets.of(plan, target.detach().double().cpu().numpy(), y.device, y.dtype)
        s, q, m = target.mean, target.left, batch.weight.to(y)
        losses = m * (softplus(y) - y * s) if kind == "bce" else m * (y - s).square() + q
        found: Tensor = _Summed.apply(losses, batch.term, batch.start)  # type: ignore[no-untyped-call]
        return (found / plan.samples).index_select(0, self.position)
