"""Which terms lead: every term's scores, what is left out and why, and the order of the rest.

A phenotype that acts through one term is seen by all its ancestors, which contain its genes, and in part by its
descendants: power alone does not tell them apart, and RLIPP, a ratio, is largest where the children's power is next to
nothing. The default order, `excess`, asks what a term has beyond what its share of the deletions would bring:

    excess = (power^2 - share root_power^2) / sqrt(share (1 - share))

share: of all deletions of the screen, those of a gene in the term. Were the explained variance root_power^2 spread over
the deletions without regard to terms, a term would get share of it on average, with a standard deviation that goes with
sqrt(share (1 - share)) (genes drawn without replacement; the competitive null hypothesis of gene sets, Goeman and
Buehlmann 2007, doi:10.1093/bioinformatics/btm051). An ancestor has the planted term's power at a larger share, a
descendant the same power a share at a smaller one: both get less. A term of all deletions has none, 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int32, Int64

from gocell_cli.errors import UsageError
from gocell_cli.storage.schema import Hierarchy
from gocell_cli.training.evaluation.terms.orders import ORDERS, WEAK, Cutoffs
from gocell_cli.training.evaluation.terms.power import (
    LEAST_SAMPLES,
    Judged,
    Powers,
    benjamini_hochberg,
    p_above,
    p_of_power,
    powers,
)


@dataclass(frozen=True)
class TermScore:
    """A term's scores; None where there is none.

    power: of its own activations; children_power: of all its children's (None for a leaf); rlipp: power divided by
    children_power; difference: power less children_power, a leaf's whole power; excess: see the module. p_value: of the
    power above 0, q_value among all terms of enough activations; p_above_children: of the power above the children's;
    effective_samples: so many that share no gene would say as much. activations: distinct ones among the samples used;
    screen_genes: the term's genes that the screen deletes.
    left_out: why it is not ranked.
    """

    term: int
    power: float | None
    children_power: float | None
    rlipp: float | None
    difference: float | None
    excess: float | None
    p_value: float | None
    q_value: float | None
    p_above_children: float | None
    effective_samples: float | None
    activations: int
    screen_genes: int
    left_out: str | None


@dataclass(frozen=True)
class Screen:
    """Of every term: how many of the genes that a screen deletes it contains, and its share of all deletions."""

    genes: Int64[np.ndarray, " terms"]
    share: Float64[np.ndarray, " terms"]

    @classmethod
    def of(cls, hierarchy: Hierarchy, deleted: Int32[np.ndarray, " deletions"]) -> "Screen":
        """Count the genes of all samples' deletions."""
        ptr, term = hierarchy.closure
        times = np.bincount(deleted, minlength=len(ptr) - 1)
        weights = np.repeat(times, np.diff(ptr)).astype(np.float64)
        terms = len(hierarchy.term_ids)
        genes = np.bincount(term[weights > 0], minlength=terms)
        return cls(genes, np.bincount(term, weights=weights, minlength=terms) / max(len(deleted), 1))


def excess(
    power: Float64[np.ndarray, " terms"], share: Float64[np.ndarray, " terms"], root: int
) -> Float64[np.ndarray, " terms"]:
    """Return each term's excess (see the module); a negative power counts as none."""
    explained = np.square(np.maximum(power, 0))
    whole = float(np.nan_to_num(explained[root]))
    spread = np.sqrt(share * (1 - share))
    # of all deletions but for rounding: no term is left to have less
    inside = (share > 0) & (share < 1 - 1e-9)
    found: np.ndarray = np.where(inside, (explained - share * whole) / np.where(inside, spread, 1), 0.0)
    return np.where(np.isnan(power), np.nan, found)


def children_of(hierarchy: Hierarchy) -> list[list[int]]:
    """Return the children of every term, ascending."""
    found: list[list[int]] = [[] for _ in hierarchy.term_ids]
    for child, parent in zip(hierarchy.edge_child.tolist(), hierarchy.edge_parent.tolist(), strict=True):
        found[parent].append(child)
    return found


def score_terms(judged: Judged, hierarchy: Hierarchy, screen: Screen, cutoffs: Cutoffs, order: str) -> list[TermScore]:
    """Return every term's scores: those ranked in their order, then those left out."""
    if order not in ORDERS:
        raise UsageError(f"order is {order!r}", hint=f"one of: {', '.join(ORDERS)}")
    samples = len(judged.judged)
    if min(samples, judged.fitted) < LEAST_SAMPLES:
        raise UsageError(
            f"{judged.fitted} validation and {samples} test samples with a label are too few to score terms",
            why=f"regressions are fitted on the validation part and judged on the test part: {LEAST_SAMPLES} of each",
        )
    found = powers(judged, children_of(hierarchy))
    least = cutoffs.power_for(samples)
    counts = _activations(judged)
    reasons = [cutoffs.reason(count, power, least) for count, power in zip(counts, found.own.tolist(), strict=True)]
    # terms left out as weak were tested too: among the strong ones alone every q-value would be small
    tested = np.array([reason in (None, WEAK) for reason in reasons], dtype=bool) & np.isfinite(found.own)
    root = int(np.flatnonzero(~np.isin(np.arange(len(reasons)), hierarchy.edge_child))[0])
    columns = _columns(found, screen, root, least)
    columns["q_value"] = benjamini_hochberg(columns["p_value"], tested)
    scores = [
        TermScore(
            term=term, activations=counts[term], screen_genes=int(screen.genes[term]), left_out=reasons[term],
            **{name: None if np.isnan(values[term]) else float(values[term]) for name, values in columns.items()},
        )
        for term in range(len(reasons))
    ]  # fmt: skip
    return in_order(scores, order)


def _columns(found: Powers, screen: Screen, root: int, least: float) -> dict[str, Float64[np.ndarray, " terms"]]:
    leaf = np.isnan(found.children)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(found.children >= least, found.own / found.children, np.nan)
    return {
        "power": found.own,
        "children_power": found.children,
        "rlipp": ratio,
        "difference": found.own - np.where(leaf, 0, found.children),
        "excess": excess(found.own, screen.share, root),
        "p_value": p_of_power(found.own, found.samples),
        "p_above_children": p_above(found),
        "effective_samples": found.samples,
    }


def _activations(judged: Judged) -> list[int]:
    """Distinct variants of every term among the samples used, the intact one with them where it is there."""
    found = judged.variants
    return [
        # numbered from 1, so the largest number counts them
        int(found.variant[start:end].max(initial=0)) + (end - start < found.samples)
        for start, end in zip(found.ptr[:-1].tolist(), found.ptr[1:].tolist(), strict=True)
    ]


def in_order(scores: Sequence[TermScore], order: str) -> list[TermScore]:
    """Return the ranked terms, the largest of `order` first and those without one last, then what is left out.

    Of equal ones the term of fewer genes leads: the more particular statement.
    """

    def key(score: TermScore) -> tuple[bool, bool, float, int, int]:
        value = getattr(score, order)
        return score.left_out is not None, value is None, -(value or 0.0), score.screen_genes, score.term

    return sorted(scores, key=key)
