"""Heads of distinct variants: what the delta form gives, and all samples' losses taken from them in closed form."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int64

from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.delta.plan import DeltaPlan

with train_extra():
    import torch
    from torch import Tensor
    from torch.nn.functional import softplus


@dataclass(frozen=True)
class VariantHeads:
    """The head of each variant of a plan; `position[t]` is where term t of the hierarchy runs."""

    values: Float[Tensor, " variants"]
    plan: DeltaPlan
    position: Int64[np.ndarray, " terms"]

    @property
    def shape(self) -> tuple[int, int]:
        """Samples that the variants stand for, and terms."""
        return self.plan.samples, len(self.position)

    def of_term(self, term: int) -> Float[Tensor, " samples"]:
        """Return one term's heads, sample by sample."""
        plan, touches, position = self.plan, self.plan.touches, int(self.position[term])
        # a term's first variant is its wild type: what all samples show that do not touch it
        variant = np.full(plan.samples, plan.variant_ptr[position])
        own = np.flatnonzero(touches.term == position)
        variant[touches.sample[own]] = touches.variant[own]
        return self.values[torch.from_numpy(variant).to(self.values.device)]

    def dense(self) -> Float[Tensor, "samples terms"]:
        """Return all heads [samples, terms], in the hierarchy's order of terms: what the dense form gives."""
        plan, touches = self.plan, self.plan.touches
        variant = np.broadcast_to(plan.variant_ptr[:-1, None], (len(self.position), plan.samples)).copy()
        variant[touches.term, touches.sample] = touches.variant
        index = torch.from_numpy(variant[self.position]).to(self.values.device)
        return self.values[index].t()

    def term_losses(self, target: Float[Tensor, " samples"], kind: str) -> Float[Tensor, " terms"]:
        """Return each term's mean loss over the samples, in the hierarchy's order; `kind` as in DCellLoss.

        A variant of weight m whose samples' targets have mean s and squared deviations q from it adds
        m (y - s)^2 + q; for logits m (softplus(y) - y s).
        """
        plan, y = self.plan, self.values
        # in float64 whatever the network's dtype: the sums run over thousands of samples
        mean, left = self._targets(target.detach().double().cpu().numpy())
        s, q, m = (torch.from_numpy(x).to(y) for x in (mean, left, plan.weight))
        losses = m * (softplus(y) - y * s) if kind == "bce" else m * (y - s).square() + q
        term = torch.from_numpy(plan.term).to(y.device)
        found = losses.new_zeros(len(self.position)).index_add(0, term, losses) / plan.samples
        return found[torch.from_numpy(self.position).to(y.device)]

    def _targets(self, true: Float64[np.ndarray, " samples"]) -> tuple[np.ndarray, np.ndarray]:
        """Each variant's mean target, and the sum of squared deviations from it; in float64.

        A wild type's sums are those of all samples less its term's touches: it stands for thousands, and a sum over
        them for each of 3,793 terms would cost as much as the dense form. Counted from the mean of all targets, so
        that the difference of sums of squares keeps its digits.
        """
        plan, touches = self.plan, self.plan.touches
        centre = true.mean()
        own = true[touches.sample] - centre
        found = []
        for values, every in ((own, 0.0), (own**2, float(np.square(true - centre).sum()))):
            sums = np.bincount(touches.variant, values, len(plan.weight))
            sums = sums.astype(np.float64)  # where no sample touches anything, bincount counts in int64
            sums[plan.variant_ptr[:-1]] = every - np.bincount(touches.term, values, len(self.position))
            found.append(sums)
        mean = found[0] / np.maximum(plan.weight, 1.0)  # a variant of weight 0 has no target: its mean counts 0 times
        # a difference of sums, which rounding may leave a little below 0
        left = np.maximum(found[1] - plan.weight * mean**2, 0.0)
        return mean + centre, left
