"""The batch of all processes, of which a plan is one's share: what BatchNorm must know of it, and how sums are joined.

Every process counts its variants' deviations from the wild type's activation, which all compute alike, so their sums
are sums of one thing. A level's are joined at once: means and squares on the way up, the gradient's two sums on the way
down. They are gathered and added up in the order of the ranks, in float64: all processes hold the same bits, run by
run. (On a network card's own order of summation, an all-reduce, these would differ with the number of cards.)
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int64

from gocell_cli.csr import ranges
from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.delta.plan import DeltaIndex, DeltaPlan
from gocell_cli.training.network.moments import joined
from gocell_cli.training.network.pinned import there
from gocell_cli.training.network.process_group import ProcessGroup
from gocell_cli.training.network.term_dropout import Varying

with train_extra():
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class Whole:
    """The samples of all processes: how many; of each term, whether they vary, and how many show its wild type.

    varies: 1 where two samples, whichever process has them, show different variants of a term, else 0; with terms left
    out of the step, where the variants' numbers differ. counts: the samples of each process, on the network's device.
    planned: whether varies and wild are those of the plan, which a device may have already.
    """

    samples: float
    varies: Int64[np.ndarray, " terms"]
    wild: Float64[np.ndarray, " terms"]
    group: ProcessGroup | None = None
    counts: Float64[Tensor, " processes"] | None = None
    planned: bool = True

    @classmethod
    def of(
        cls,
        index: DeltaIndex,
        plan: DeltaPlan,
        group: ProcessGroup | None,
        device: torch.device,
        varying: Varying | None = None,
    ) -> "Whole":
        """Return the batch that a plan is a share of; without a group, the plan's own samples.

        varying: which terms vary by which genes, where that is not all that contain one.
        """
        wild = plan.weight[plan.variant_ptr[:-1]]
        if group is None:
            if varying is None:
                return cls(float(plan.samples), plan.varies, wild)
            genes = np.flatnonzero((plan.deleted > 0) & (plan.deleted < plan.samples))
            return cls(float(plan.samples), varying(genes), wild, planned=False)
        own = torch.from_numpy(np.concatenate([[plan.samples], plan.deleted, wild]).astype(np.float64))
        every = group.gather(own)
        samples, deleted, wild = np.split(every.sum(0).numpy(), [1, 1 + len(plan.deleted)])
        # two samples show different variants where they differ in a gene: one deletes it, another does not. A process
        # can't see that alone: each may show one variant of a term to all of its samples, and not the same one
        genes = np.flatnonzero((deleted > 0) & (deleted < samples[0]))
        varies = _containing(index, genes) if varying is None else varying(genes)
        return cls(float(samples[0]), varies, wild, group, there(every[:, 0], device), planned=False)

    def moments(
        self, mean: Float[Tensor, " neurons"], squares: Float[Tensor, " neurons"]
    ) -> tuple[Float[Tensor, " neurons"], Float[Tensor, " neurons"]]:
        """Join the means of all processes' samples, and the sums of squared deviations from these."""
        if self.group is None or self.counts is None:
            return mean, squares
        means, squared = self.group.gather(torch.stack([mean.double(), squares.double()])).unbind(1)
        every_mean, every_squares = joined(self.counts, means, squared)
        return every_mean.to(mean), every_squares.to(squares)

    def sums(self, *own: Float[Tensor, " neurons"]) -> tuple[Float[Tensor, " neurons"], ...]:
        """Add up each tensor over all processes."""
        if self.group is None:
            return own
        found = self.group.gather(torch.stack(own).double()).sum(0)
        return tuple(part.to(given) for part, given in zip(found, own, strict=True))


def _containing(index: DeltaIndex, genes: Int64[np.ndarray, " genes"]) -> Int64[np.ndarray, " terms"]:
    """1 for each term that contains one of the genes."""
    first, found = index.closure_ptr[genes], np.zeros(index.terms, dtype=np.int64)
    found[index.closure[ranges(first, index.closure_ptr[genes + 1] - first)[1]]] = 1
    return found
