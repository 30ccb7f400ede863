"""What of a ranking is the same in several runs, and what of it networks on control hierarchies have as well.

Importances of networks like this differ from seed to seed (Esser-Skala and Fortelny 2023,
doi:10.1038/s41540-023-00310-8), and a network on a hierarchy drawn at random has terms that lead, too. A term is
followed by its place: a control's term of the same place has other genes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Bool, Float64

from gocell_cli.training.evaluation.terms.ranking import TermScore
from gocell_cli.training.extra import train_extra

with train_extra():
    from scipy.stats import spearmanr


@dataclass(frozen=True)
class TermAgreement:
    """A term over the runs; None where no run gives any.

    score, score_sd: mean and standard deviation (n - 1; None of one run) of the order's column. ranked_in: runs that
    rank it; rank_median, rank_best, rank_worst: over these. control_score: mean of the controls' at its place.
    p_controls: the share of controls that reach its score, itself counted with them: (1 + those) / (1 + controls).
    """

    term: int
    score: float | None
    score_sd: float | None
    ranked_in: int
    rank_median: float | None
    rank_best: int | None
    rank_worst: int | None
    control_score: float | None
    p_controls: float | None


@dataclass(frozen=True)
class Agreement:
    """Terms by mean score, those first that half of the runs or more rank; and how far the runs agree.

    spearman: of the scores of two runs over the terms that both rank, mean over pairs. top_overlap: the share of the
    first `top` terms of one that are among the first of another, mean over pairs. None for one run. above_controls: of
    the first `top` here, those that score above every control at their place; above_any: above every term of every
    control.
    """

    terms: list[TermAgreement]
    ranked: int
    top: int
    spearman: float | None
    top_overlap: float | None
    above_controls: int | None
    above_any: int | None


@dataclass(frozen=True)
class _Table:
    """The order's column and the ranks of several runs; NaN where there is none."""

    score: Float64[np.ndarray, "runs terms"]
    rank: Float64[np.ndarray, "runs terms"]

    @classmethod
    def of(cls, runs: Sequence[Sequence[TermScore]], order: str, terms: int) -> "_Table":
        score, rank = np.full((2, len(runs), terms), np.nan)
        for run, scores in enumerate(runs):
            for place, one in enumerate(scores, 1):
                value = getattr(one, order)
                score[run, one.term] = np.nan if value is None else value
                rank[run, one.term] = place if one.left_out is None else np.nan
        return cls(score, rank)


def agreement(
    runs: Sequence[Sequence[TermScore]], controls: Sequence[Sequence[TermScore]], order: str, top: int
) -> Agreement:
    """Compare rankings of the same terms by `order`; `runs` are at least one, each in its order."""
    terms = len(runs[0])
    own, others = _Table.of(runs, order, terms), _Table.of(controls, order, terms)
    found = [_term(term, own, others) for term in range(terms)]
    often = [2 * one.ranked_in >= len(runs) and one.score is not None for one in found]
    found.sort(key=lambda one: (not often[one.term], -(one.score or 0.0), one.term))
    ranked = sum(often)
    first = found[: min(top, ranked)]
    above = [one for one in first if one.p_controls == 1 / (1 + len(controls))]
    shown = others.score[np.isfinite(others.rank)]
    highest = float(shown.max()) if shown.size else -np.inf
    pairs = list(combinations(range(len(runs)), 2))
    return Agreement(
        terms=found,
        ranked=ranked,
        top=top,
        spearman=_mean([_spearman(own, a, b) for a, b in pairs]),
        top_overlap=_mean([_overlap(own.rank[a] <= top, own.rank[b] <= top) for a, b in pairs]),
        above_controls=len(above) if controls else None,
        above_any=sum((one.score or 0.0) > highest for one in first) if controls else None,
    )


def _term(term: int, own: _Table, others: _Table) -> TermAgreement:
    scores, ranks = (values[:, term][np.isfinite(values[:, term])] for values in (own.score, own.rank))
    control = others.score[:, term]
    mean = float(scores.mean()) if len(scores) else None
    # a control without a score at this place has nothing to reach it with
    reached = int((control[np.isfinite(control)] >= mean).sum()) if mean is not None else 0
    known = control[np.isfinite(control)]
    return TermAgreement(
        term=term,
        score=mean,
        score_sd=float(scores.std(ddof=1)) if len(scores) > 1 else None,
        ranked_in=len(ranks),
        rank_median=float(np.median(ranks)) if len(ranks) else None,
        rank_best=int(ranks.min()) if len(ranks) else None,
        rank_worst=int(ranks.max()) if len(ranks) else None,
        control_score=float(known.mean()) if len(known) else None,
        p_controls=(1 + reached) / (1 + len(control)) if len(control) and mean is not None else None,
    )


def _mean(values: Sequence[float]) -> float | None:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else None


def _spearman(table: _Table, one: int, other: int) -> float:
    both = np.isfinite(table.rank[[one, other]]).all(0) & np.isfinite(table.score[[one, other]]).all(0)
    a, b = table.score[one, both], table.score[other, both]
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(spearmanr(a, b).statistic)


def _overlap(one: Bool[np.ndarray, " terms"], other: Bool[np.ndarray, " terms"]) -> float:
    most = max(int(one.sum()), int(other.sum()))
    return float((one & other).sum() / most) if most else float("nan")
