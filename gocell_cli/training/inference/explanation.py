"""Looking inside: what a term's subsystem knows that its children do not, and what a deletion does to it.

RLIPP (relative local improvement in predictive power; Ma et al. 2018, doi:10.1038/nmeth.4627, and DrugCell, Kuenzi et
al. 2020, doi:10.1016/j.ccell.2020.09.014): the phenotype is regressed (ridge) on a term's own activations, and again
on those of its children; each regression's power is the Spearman correlation, on samples it was not fitted on, of its
predictions with the phenotype; RLIPP is the first power divided by the second.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from gocell_cli.storage.schema import Hierarchy
from gocell_cli.training.extra import train_extra
from gocell_cli.training.inference.interactions import Genotype, deletions_of
from gocell_cli.training.inference.term_weights import TermWeights
from gocell_cli.training.network.dcell import Batch, DCell

with train_extra():
    import torch
    from scipy.stats import spearmanr
    from torch import Tensor

RIDGE = 1.0
"""Weight of the squared coefficients, on activations standardised over the fitted samples."""


@dataclass(frozen=True)
class TermScore:
    """A term's power, its children's, and their ratio (None where the children's is not above 0, or there are none)."""

    term: int
    power: float | None
    children_power: float | None
    rlipp: float | None


@dataclass(frozen=True)
class TermEffect:
    """What deletions do to a term: length of the change of its activations, and change of its head."""

    term: int
    activation: float
    head: float


@torch.no_grad()
def activations(model: DCell, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return heads [samples, terms] and h [neurons, samples], in evaluation mode."""
    was_training = model.training
    model.eval()
    try:
        return model.levels(batch)
    finally:
        model.train(was_training)


def effects(model: DCell, hierarchy: Hierarchy, genotype: Genotype) -> list[TermEffect]:
    """Return every touched term's change against the wild type, the largest change of activations first."""
    batch = deletions_of([(), genotype], model.index.genes, model.bias.device)
    heads, h = activations(model, batch)
    change, weights = (h[:, 1] - h[:, 0]).double(), TermWeights(model, hierarchy)
    touched = ~model.index.untouched(torch.tensor(genotype, dtype=torch.int64, device=h.device))
    found = []
    for term in range(len(hierarchy.term_ids)):
        if touched[model.index["term_position"][term]]:
            length = float(change[weights.neurons(term)].norm())
            found.append(TermEffect(term, length, float(heads[1, term] - heads[0, term])))
    return sorted(found, key=lambda effect: -effect.activation)


def rlipp(
    model: DCell, hierarchy: Hierarchy, batches: Sequence[Batch], values: Float64[np.ndarray, " samples"]
) -> list[TermScore]:
    """Return every term's score over some samples, regressions fitted on one half and judged on the other.

    Activations of all samples are held at once: neurons x samples numbers.
    """
    h = torch.cat([activations(model, batch)[1][: model.stack.neurons] for batch in batches], dim=1)
    weights = TermWeights(model, hierarchy)
    rows = [weights.neurons(term) for term in range(len(hierarchy.term_ids))]
    children: list[list[int]] = [[] for _ in rows]
    for child, parent in zip(hierarchy.edge_child.tolist(), hierarchy.edge_parent.tolist(), strict=True):
        children[parent].append(child)
    found = []
    for term, own in enumerate(rows):
        power = _power(h[own].double().cpu().numpy(), values)
        inputs = [h[rows[child]].double().cpu().numpy() for child in children[term]]
        below = _power(np.concatenate(inputs), values) if inputs else None
        ratio = power / below if power is not None and below is not None and below > 0 else None
        found.append(TermScore(term, power, below, ratio))
    return found


def _power(x: Float64[np.ndarray, "features samples"], y: Float64[np.ndarray, " samples"]) -> float | None:
    """Spearman correlation of two-fold out-of-sample ridge predictions with y; None where either is constant."""
    predicted = np.empty_like(y)
    folds = [np.arange(len(y)) % 2 == 0, np.arange(len(y)) % 2 == 1]
    for fit, apply in (folds, folds[::-1]):
        predicted[apply] = _ridge(x[:, fit], y[fit], x[:, apply])
    if len(y) < 4 or np.ptp(predicted) < 1e-12 or np.ptp(y) == 0:
        return None
    return float(spearmanr(predicted, y).statistic)


def _ridge(
    x: Float64[np.ndarray, "features fitted"],
    y: Float64[np.ndarray, " fitted"],
    new: Float64[np.ndarray, "features applied"],
) -> Float64[np.ndarray, " applied"]:
    """Fit y on standardised x with an intercept and RIDGE, in the smaller of the two Gram matrices; predict for new."""
    mean, sd = x.mean(1, keepdims=True), x.std(1, keepdims=True)
    sd = np.where(sd > 1e-9, sd, np.inf)
    a, b, centred = (x - mean) / sd, (new - mean) / sd, y - y.mean()
    if len(a) <= a.shape[1]:
        weights = np.linalg.solve(a @ a.T + RIDGE * np.eye(len(a)), a @ centred)
    else:
        weights = a @ np.linalg.solve(a.T @ a + RIDGE * np.eye(a.shape[1]), centred)
    found: np.ndarray = weights @ b + y.mean()
    return found
