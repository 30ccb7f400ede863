"""A batch made ready ahead of its step: its plan, laid out, on the network's device; and its targets, by variant.

All of it is made on the CPU from what is known before the step, so that another thread can make it, and comes to a GPU
as one or two copies from page-locked memory: nothing of a step then waits for the device.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int, Shaped

from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.delta.gpu.layout import GpuPlan
from gocell_cli.training.network.delta.plan import DeltaPlan, sum_by_variant
from gocell_cli.training.network.pinned import packed, there

with train_extra():
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class VariantTargets:
    """Of each variant the mean of its samples' targets, and their summed squared deviations from it (`left`).

    Of several phenotypes, of each; `weight` is then the number of its samples that have the phenotype.
    """

    samples: int
    mean: Float[Tensor, "*phenotypes variants"]
    left: Float[Tensor, "*phenotypes variants"]
    weight: Float[Tensor, "*phenotypes variants"] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the targets they stand for."""
        return (self.samples, *self.mean.shape[:-1])

    def of_phenotype(self, number: int) -> "VariantTargets":
        """Return those of one of several phenotypes."""
        weight = None if self.weight is None else self.weight[number]
        return VariantTargets(self.samples, self.mean[number], self.left[number], weight)

    def __len__(self) -> int:
        return self.samples

    @classmethod
    def of(
        cls,
        plan: DeltaPlan,
        target: Float64[np.ndarray, " samples *phenotypes"],
        device: torch.device,
        dtype: torch.dtype,
    ) -> "VariantTargets":
        """Sum them up, in float64 whatever the network's dtype: the sums run over thousands of samples.

        Of several phenotypes NaN is the target of a sample that lacks one.
        """
        if target.ndim == 1:
            sums = torch.from_numpy(np.stack(_summed(plan, target))).to(dtype)
            mean, left = there(sums, device)
            return cls(plan.samples, mean, left)
        every = [_summed_known(plan, target[:, number]) for number in range(target.shape[1])]
        sums = torch.from_numpy(np.stack(every, 1)).to(dtype)
        mean, left, weight = there(sums, device)
        return cls(plan.samples, mean, left, weight)


def _summed(plan: DeltaPlan, true: Float64[np.ndarray, " samples"]) -> tuple[np.ndarray, np.ndarray]:
    """Each variant's mean target, and the sum of squared deviations from it; in float64.

    Counted from the mean of all targets, so that the difference of sums of squares keeps its digits.
    """
    centre = true.mean() if len(true) else 0.0
    away = true - centre
    sums = sum_by_variant(plan, np.stack([away, away**2], 1))
    mean = sums[:, 0] / np.maximum(plan.weight, 1.0)  # a variant of weight 0 has no target: its mean counts 0 times
    # a difference of sums, which rounding may leave a little below 0
    left = np.maximum(sums[:, 1] - plan.weight * mean**2, 0.0)
    return mean + centre, left


def _summed_known(plan: DeltaPlan, true: Float64[np.ndarray, " samples"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`_summed` of the samples that have a target (NaN: none), and of each variant how many these are."""
    known = np.isfinite(true)
    centre = true[known].mean() if known.any() else 0.0
    away = np.where(known, true - centre, 0.0)
    count = sum_by_variant(plan, np.stack([known, np.zeros(len(known))], 1))[:, 0]
    sums = sum_by_variant(plan, np.stack([away, away**2], 1))
    mean = sums[:, 0] / np.maximum(count, 1.0)
    left = np.maximum(sums[:, 1] - count * mean**2, 0.0)
    return mean + centre, left, count


@dataclass(frozen=True, eq=False)
class ReadyBatch:
    """A batch's plan, and what of it lies on the network's device; `targets` where they were known.

    term, weight: of each variant. start: where each term's variants begin. shown: the variant that each sample shows of
    the term above all others. laid, ints: the GPU's layout and its integers. copied: after which they are there.
    """

    plan: DeltaPlan
    term: Int[Tensor, " variants"]
    start: Int[Tensor, " terms_plus_1"]
    shown: Int[Tensor, " samples"]
    weight: Shaped[Tensor, " variants"]
    targets: VariantTargets | None = None
    laid: GpuPlan | None = None
    ints: Int[Tensor, " ints"] | None = None
    copied: "torch.cuda.Event | None" = None

    def __len__(self) -> int:
        return self.plan.samples

    @property
    def samples(self) -> int:
        """Samples of the batch."""
        return self.plan.samples

    def arrived(self) -> None:
        """Let what the current stream is asked from now on come after the copies, which another stream made."""
        if self.copied is None:
            return
        stream = torch.cuda.current_stream()
        stream.wait_event(self.copied)
        found = self.targets
        targets = () if found is None else (found.mean, found.left, found.weight)
        for tensor in (self.term, self.start, self.shown, self.ints, *targets):
            if tensor is not None:
                tensor.record_stream(stream)  # or its memory could be another's before this stream has read it


def shown(plan: DeltaPlan, position: int) -> Int[np.ndarray, " samples"]:
    """The variant of one term that each sample shows."""
    # a term's first variant is its wild type: what all samples show that do not touch it
    found = np.full(plan.samples, plan.variant_ptr[position])
    own = np.flatnonzero(plan.touches.term == position)
    found[plan.touches.sample[own]] = plan.touches.variant[own]
    return found


def on_device(
    plan: DeltaPlan, device: torch.device, laid: GpuPlan | None, targets: VariantTargets | None, copied: bool
) -> ReadyBatch:
    """Move a plan, laid out or not. `copied`: on the current stream, which is not the one that will read it."""
    if laid is not None:
        own, parts = laid.ints, laid.parts
    else:
        last = shown(plan, len(plan.variant_ptr) - 2)
        if device.type == "cpu":
            here = torch.from_numpy
            return ReadyBatch(plan, here(plan.term), here(plan.variant_ptr), here(last), here(plan.weight), targets)
        own, parts = packed({"term": plan.term, "variant_ptr": plan.variant_ptr, "shown": last, "weight": plan.weight})
    ints = own.to(device, non_blocking=True)
    term, start, shows, weight = (ints[parts[name]] for name in ("term", "variant_ptr", "shown", "weight"))
    event = None
    if copied and device.type == "cuda":
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record()
    return ReadyBatch(plan, term, start.long(), shows, weight, targets, laid, ints, event)
