"""Heads of distinct rows: what the delta form gives, and the losses of all samples taken from them in closed form."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Float64, Int64

from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.delta.plan import DeltaPlan

with train_extra():
    import torch
    from torch import Tensor
    from torch.nn.functional import softplus


@dataclass(frozen=True)
class RowHeads:
    """`values` [term rows] of a plan; `position[t]` is where term t of the hierarchy runs."""

    values: Float[Tensor, " term_rows"]
    plan: DeltaPlan
    position: Int64[np.ndarray, " terms"]

    @property
    def shape(self) -> tuple[int, int]:
        """Samples that the rows stand for, and terms."""
        return self.plan.samples, len(self.position)

    def _rows_of(self, term: int) -> np.ndarray:
        """The term row of each sample."""
        plan, position = self.plan, int(self.position[term])
        rows = np.full(plan.samples, plan.term_start[position])
        first, stop = np.searchsorted(plan.pair_term, [position, position + 1])
        rows[plan.pair_sample[first:stop]] = plan.pair_row[first:stop]
        return rows

    def of_term(self, term: int) -> Float[Tensor, " samples"]:
        """Return one term's heads, sample by sample."""
        return self.values[torch.from_numpy(self._rows_of(term)).to(self.values.device)]

    def dense(self) -> Float[Tensor, "samples terms"]:
        """Return all heads [samples, terms], in the hierarchy's order of terms: what the dense form gives."""
        plan = self.plan
        rows = np.broadcast_to(plan.term_start[:-1, None], (len(self.position), plan.samples)).copy()
        rows[plan.pair_term, plan.pair_sample] = plan.pair_row
        index = torch.from_numpy(rows[self.position]).to(self.values.device)
        return self.values[index].t()

    @cached_property
    def _term(self) -> Tensor:
        counts = np.diff(self.plan.term_start)
        return torch.from_numpy(np.repeat(np.arange(len(counts)), counts)).to(self.values.device)

    def term_losses(self, target: Float[Tensor, " samples"], kind: str) -> Float[Tensor, " terms"]:
        """Return each term's mean loss over the samples, in the hierarchy's order; `kind` as in DCellLoss.

        A row of weight m whose samples' targets have mean s and squared deviations q from it adds m (y - s)^2 + q;
        for logits m (softplus(y) - y s).
        """
        plan, y = self.plan, self.values
        true = target.detach().double().cpu().numpy()
        mean, left = self._targets(true)
        s, q, m = (torch.from_numpy(x).to(y) for x in (mean, left, plan.weight))
        rows = m * (softplus(y) - y * s) if kind == "bce" else m * (y - s).square() + q
        losses = rows.new_zeros(len(self.position)).index_add(0, self._term, rows) / plan.samples
        return losses[torch.from_numpy(self.position).to(y.device)]

    def _targets(self, true: Float64[np.ndarray, " samples"]) -> tuple[np.ndarray, np.ndarray]:
        """Mean target of each term row, and the sum of squared deviations from it."""
        plan, rows = self.plan, len(self.plan.weight)
        centre = true.mean()
        own = true[plan.pair_sample] - centre
        found = []
        for values, all_ in ((own, 0.0), (own**2, float(np.square(true - centre).sum()))):
            sums = np.bincount(plan.pair_row, weights=values, minlength=rows).astype(
                np.float64
            )  # of none it counts ints
            wild = np.bincount(plan.pair_term, weights=values, minlength=len(self.position))
            sums[plan.term_start[:-1]] = all_ - wild
            found.append(sums)
        weight = np.maximum(plan.weight, 1.0)
        mean = found[0] / weight
        left = np.maximum(found[1] - plan.weight * mean**2, 0.0)
        return mean + centre, left
