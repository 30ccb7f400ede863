"""Metrics order by order and in the tails of a score, against counting by hand."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from gocell_cli.errors import UsageError
from gocell_cli.training.evaluation.slices import by_order, by_unseen, tail_metrics
from gocell_cli.training.evaluation.tails import NO_TAILS, Tails, tails_of

RNG = np.random.default_rng(0)
TRUE = RNG.normal(0, 2, 1000)
PREDICTED = TRUE + RNG.normal(0, 2, 1000)
NONE = np.full(1000, np.nan)


def test_tails_are_those_of_the_papers_or_as_asked_for() -> None:
    assert tails_of("auto", "s_score") == Tails(-2.5, 2.0)
    assert tails_of("auto", "tau") == Tails(-0.08, None)
    assert tails_of("auto", "fitness") == tails_of("none", "tau") == NO_TAILS
    assert tails_of("-3,", "tau") == Tails(-3.0, None)
    assert tails_of(", 0.5", "fitness") == Tails(None, 0.5)
    for wrong in ("", "1", "a,b", "1,2,3", "nan,1"):
        with pytest.raises(UsageError, match="tails is"):
            tails_of(wrong, "tau")


def test_precision_and_average_precision_of_both_tails() -> None:
    found = tail_metrics(PREDICTED, TRUE, NONE, Tails(-2.5, 2.0))
    low, high = TRUE <= -2.5, TRUE >= 2.0
    lowest, highest = np.argsort(PREDICTED)[:100], np.argsort(-PREDICTED)[:100]
    wanted = {
        "negative_precision_at_100": low[lowest].mean(),
        "negative_average_precision": average_precision_score(low, -PREDICTED),
        "positive_precision_at_100": high[highest].mean(),
        "positive_average_precision": average_precision_score(high, PREDICTED),
    }
    assert found == pytest.approx(wanted)


def test_what_is_not_significant_is_no_interaction_and_nan_labels_do_not_count() -> None:
    p_value = np.where(np.arange(1000) % 2, 0.2, 0.01)
    true = np.where(np.arange(1000) % 5, TRUE, np.nan)
    found = tail_metrics(PREDICTED, true, p_value, Tails(-2.5, None))
    kept = np.isfinite(true)
    one = (true[kept] <= -2.5) & (p_value[kept] < 0.05)
    wanted = average_precision_score(one, -PREDICTED[kept])
    assert found["negative_average_precision"] == pytest.approx(wanted)
    assert set(found) == {"negative_precision_at_100", "negative_average_precision"}
    for predicted, tail in ((np.ones(1000), -2.5), (PREDICTED, -99.0), (PREDICTED, 99.0)):
        assert set(tail_metrics(predicted, TRUE, NONE, Tails(tail, None)).values()) == {None}
    assert tail_metrics(PREDICTED, TRUE, NONE, NO_TAILS) == {}


def test_each_order_is_measured_for_itself() -> None:
    order = np.arange(1000) % 3 + 1

    def measure(predicted: np.ndarray, true: np.ndarray) -> dict[str, float]:
        return {"n": len(true), "pearson": float(np.corrcoef(predicted, true)[0, 1]), "other": 1.0}

    found = by_order(PREDICTED, TRUE, order, measure)
    assert set(found) == {f"{name}_{key}" for name in ("single", "double", "triple") for key in ("n", "pearson")}
    assert found["double_n"] == (order == 2).sum()
    assert found["triple_pearson"] == pytest.approx(np.corrcoef(PREDICTED[order == 3], TRUE[order == 3])[0, 1])
    assert by_order(PREDICTED, TRUE, np.full(1000, 2), measure) == {}


def test_samples_are_measured_by_how_many_of_their_genes_are_unseen() -> None:
    unseen = np.arange(1000) % 5

    def measure(predicted: np.ndarray, true: np.ndarray) -> dict[str, float]:
        return {"n": len(true), "pearson": float(np.corrcoef(predicted, true)[0, 1]), "mae": 1.0}

    found = by_unseen(PREDICTED, TRUE, unseen, measure)
    kept = {"all_seen": unseen == 0, "one_unseen": unseen == 1, "more_unseen": unseen >= 2}
    wanted = {f"{name}_n": rows.sum() for name, rows in kept.items()}
    wanted |= {f"{name}_pearson": np.corrcoef(PREDICTED[rows], TRUE[rows])[0, 1] for name, rows in kept.items()}
    assert found == pytest.approx(wanted)
    assert found["more_unseen_n"] == 600
    for kinds, there in (([0, 2], {"all_seen", "more_unseen"}), ([1, 2], {"one_unseen", "more_unseen"})):
        of_two = by_unseen(PREDICTED, TRUE, np.resize(kinds, 1000), measure)
        assert {key.rsplit("_", 1)[0] for key in of_two} == there
    for same in (np.zeros(1000, dtype=np.int64), np.ones(1000, dtype=np.int64), 2 + np.arange(1000) % 2):
        assert by_unseen(PREDICTED, TRUE, same, measure) == {}
