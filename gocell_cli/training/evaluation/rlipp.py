"""RLIPP: what a term's subsystem knows that its children do not.

Relative local improvement in predictive power (Ma et al. 2018, doi:10.1038/nmeth.4627, and DrugCell, Kuenzi et al.
2020, doi:10.1016/j.ccell.2020.09.014): the phenotype is regressed (ridge) on a term's own activations, and again on
those of its children; each regression's power is the Spearman correlation, on samples it was not fitted on, of its
predictions with the phenotype; RLIPP is the first power divided by the second.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from gocell_cli.storage.schema import Hierarchy
from gocell_cli.training.evaluation.metrics import is_constant
from gocell_cli.training.evaluation.ridge import fit_ridge
from gocell_cli.training.extra import train_extra

with train_extra():
    from scipy.stats import spearmanr

RIDGE = 1.0
"""Weight of the squared coefficients, on activations standardised over the fitted samples."""
STILL = 1e-9
"""Standard deviation up to which a neuron is taken as constant: what its float32 holds of a change is rounding."""


@dataclass(frozen=True)
class TermScore:
    """A term's power, its children's, and their ratio (None where the children's is not above 0, or there are none)."""

    term: int
    power: float | None
    children_power: float | None
    rlipp: float | None


def rlipp(
    h: Float[np.ndarray, "neurons samples"],
    neurons: Sequence[slice],
    hierarchy: Hierarchy,
    values: Float64[np.ndarray, " samples"],
) -> list[TermScore]:
    """Return every term's score, regressions fitted on one half of the samples and judged on the other.

    `h` are the activations, `neurons[t]` the rows of term t's in it, `values` the phenotypes.
    """
    children: list[list[int]] = [[] for _ in neurons]
    for child, parent in zip(hierarchy.edge_child.tolist(), hierarchy.edge_parent.tolist(), strict=True):
        children[parent].append(child)
    found = []
    for term, own in enumerate(neurons):
        power = _power(h[own].T.astype(np.float64), values)
        inputs = [h[neurons[child]] for child in children[term]]
        below = _power(np.concatenate(inputs).T.astype(np.float64), values) if inputs else None
        ratio = power / below if power is not None and below is not None and below > 0 else None
        found.append(TermScore(term, power, below, ratio))
    return found


def _power(x: Float64[np.ndarray, "samples features"], y: Float64[np.ndarray, " samples"]) -> float | None:
    """Spearman correlation of two-fold out-of-sample ridge predictions with y; None where either is constant."""
    predicted = np.empty_like(y)
    # every other sample, not drawn: scores are the same at each call
    folds = [np.arange(len(y)) % 2 == 0, np.arange(len(y)) % 2 == 1]
    for fit, apply in (folds, folds[::-1]):
        sd = x[fit].std(0)
        scaled = x / np.where(sd > STILL, sd, np.inf)  # a constant neuron says nothing: 0
        predicted[apply] = fit_ridge(scaled[fit], y[fit], RIDGE).predict(scaled[apply])
    unit = float(y.std()) or 1.0
    if len(y) < 4 or is_constant((predicted - y.mean()) / unit) or is_constant((y - y.mean()) / unit):
        return None
    return float(spearmanr(predicted, y).statistic)
