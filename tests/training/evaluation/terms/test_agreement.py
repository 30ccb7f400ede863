"""Several rankings: the same ones agree wholly, and a term stands beside the controls' terms of its place."""

from dataclasses import replace

import numpy as np
import pytest

from gocell_cli.training.evaluation.terms.agreement import agreement
from gocell_cli.training.evaluation.terms.orders import WEAK
from gocell_cli.training.evaluation.terms.ranking import TermScore, in_order

EMPTY = TermScore(0, *[None] * 9, 3, 1, None)


def ranking(*values: float | None) -> list[TermScore]:
    """A ranking by excess; None: left out."""
    scores = [replace(EMPTY, term=t, excess=v, left_out=WEAK if v is None else None) for t, v in enumerate(values)]
    return in_order(scores, "excess")


def test_runs_that_rank_alike_agree_wholly() -> None:
    one = ranking(*np.random.default_rng(0).normal(size=30))
    found = agreement([one, one, one], [], "excess", 5)
    assert (found.spearman, found.top_overlap) == (pytest.approx(1), 1)
    assert [t.term for t in found.terms] == [s.term for s in one]
    assert all(t.score_sd == pytest.approx(0) and t.rank_best == t.rank_worst for t in found.terms)
    assert (found.above_controls, found.above_any, found.terms[0].p_controls) == (None, None, None)


def test_a_term_over_runs_has_its_mean_its_range_and_the_controls_at_its_place() -> None:
    runs = [ranking(3.0, 2.0, 1.0, None), ranking(1.0, 3.0, 2.5, None), ranking(2.0, 4.0, None, 0.5)]
    controls = [ranking(0.5, 3.5, 0.0, 0.0), ranking(2.5, 1.0, 0.0, None)]
    found = agreement(runs, controls, "excess", 2)
    assert [t.term for t in found.terms] == [1, 0, 2, 3]
    first, second, _, last = found.terms
    assert (first.score, first.score_sd, first.ranked_in) == (3.0, 1.0, 3)
    assert (first.rank_median, first.rank_best, first.rank_worst) == (1, 1, 2)
    assert (first.control_score, first.p_controls) == (2.25, 2 / 3)
    assert (second.control_score, second.p_controls) == (1.5, 2 / 3)
    assert (last.ranked_in, last.p_controls) == (1, 1 / 3)
    assert (found.ranked, found.above_controls, found.above_any) == (3, 0, 0)
    assert found.top_overlap == pytest.approx((0.5 + 1 + 0.5) / 3)
    assert agreement(runs, controls[1:], "excess", 2).above_controls == 1
    assert agreement(runs, controls[1:], "excess", 2).above_any == 1


def test_one_run_and_runs_without_a_common_term_have_no_agreement() -> None:
    assert agreement([ranking(1.0, 2.0)], [], "excess", 1).spearman is None
    found = agreement([ranking(1.0, None), ranking(None, 1.0)], [], "excess", 1)
    assert (found.spearman, found.top_overlap, found.ranked) == (None, 0, 2)
