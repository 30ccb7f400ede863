"""Metrics against their formulas, and every case that has no number."""

import numpy as np
import pytest

from gocell_cli.errors import Diverged
from gocell_cli.training.evaluation.metrics import evaluate

RNG = np.random.default_rng(0)
TRUE = RNG.normal(0.8, 0.1, 500)
PREDICTED = TRUE + RNG.normal(0, 0.05, 500)


def measure(predicted: np.ndarray, true: np.ndarray, kind: str = "mse") -> dict[str, float | None]:
    found: dict[str, float | None] = evaluate(predicted, true, mean=0.8, sd=0.1, kind=kind)
    return found


def ranks(x: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.argsort(np.argsort(x))
    return found


def test_metrics_are_their_formulas() -> None:
    found = measure(PREDICTED, TRUE)
    error = PREDICTED - TRUE
    wanted = {
        "mse": (error**2).mean(), "rmse": np.sqrt((error**2).mean()), "mae": np.abs(error).mean(),
        "pearson": np.corrcoef(PREDICTED, TRUE)[0, 1],
        "spearman": np.corrcoef(ranks(PREDICTED), ranks(TRUE))[0, 1],
        "r2": 1 - (error**2).sum() / ((TRUE - TRUE.mean()) ** 2).sum(),
        "standardised_mse": (error**2).mean() / 0.01, "standardised_mae": np.abs(error).mean() / 0.1,
        "standardised_pearson": np.corrcoef(PREDICTED, TRUE)[0, 1],
        "wasserstein": np.abs(np.sort(PREDICTED) - np.sort(TRUE)).mean(),
    }  # fmt: skip
    assert {key: found[key] for key in wanted} == pytest.approx(wanted, rel=1e-5)
    assert found["jensen_shannon"] is not None
    assert 0 < found["jensen_shannon"] < 1
    assert measure(TRUE, TRUE)["jensen_shannon"] == 0


def test_binary_labels_are_ranked() -> None:
    true = np.array([0.0, 0.0, 1.0, 1.0])
    found = measure(np.array([0.1, 0.6, 0.5, 0.9]), true, "bce")
    assert found["auroc"] == pytest.approx(0.75)
    assert found["average_precision"] == pytest.approx((1 + 2 / 3) / 2)
    assert measure(np.array([0.1, 0.6, 0.5, 0.9]), np.ones(4), "bce")["auroc"] is None


@pytest.mark.parametrize("constant", [0.7, 0.0])
def test_constants_have_errors_but_no_correlation(constant: float) -> None:
    flat = measure(np.full(500, constant), TRUE)
    assert (flat["pearson"], flat["spearman"]) == (None, None)
    assert flat["r2"] is not None
    assert flat["r2"] <= 0
    assert flat["mse"] == pytest.approx(((TRUE - constant) ** 2).mean())
    assert measure(PREDICTED, np.full(500, constant))["r2"] is None


def test_small_and_empty_sets_and_missing_labels() -> None:
    one = measure(PREDICTED[:1], TRUE[:1])
    assert one["mae"] == pytest.approx(abs(PREDICTED[0] - TRUE[0]))
    assert (one["pearson"], one["wasserstein"], one["n"]) == (None, None, 1)
    empty = measure(PREDICTED[:0], TRUE[:0])
    assert {value for key, value in empty.items() if key not in ("n", "nan_labels")} == {None}
    gaps = TRUE.copy()
    gaps[::5] = np.nan
    found = measure(PREDICTED, gaps)
    assert (found["n"], found["nan_labels"]) == (400, 100)
    kept = ~np.isnan(gaps)
    assert found["pearson"] == pytest.approx(np.corrcoef(PREDICTED[kept], TRUE[kept])[0, 1])
    same = measure(np.full(3, 2.0), np.full(3, 2.0))
    assert (same["wasserstein"], same["jensen_shannon"]) == (0.0, 0.0)


def test_predictions_that_are_not_finite_are_an_error() -> None:
    with pytest.raises(Diverged, match="not finite"):
        measure(np.array([1.0, np.nan]), np.array([1.0, 2.0]))


@pytest.mark.parametrize(("spread", "defined"), [(1e-9, False), (1e-5, True)])
@pytest.mark.parametrize("unit", [1e-90, 1.0, 1e90])
def test_a_nearly_constant_prediction_has_no_correlation_on_any_scale(
    unit: float, spread: float, defined: bool
) -> None:
    true, predicted = TRUE * unit, (0.8 + spread * (TRUE - 0.8)) * unit
    found = evaluate(predicted, true, mean=0.8 * unit, sd=0.1 * unit, kind="mse")
    for name in ("pearson", "spearman", "standardised_pearson", "standardised_spearman"):
        assert (found[name] is not None) is defined, name
    assert found["pearson"] == found["standardised_pearson"]
    assert all(x is None or np.isfinite(x) for x in found.values())


def test_values_that_rounding_alone_tells_apart_fill_no_histogram() -> None:
    same = 0.1 + np.array([0.0, 1e-17, 2e-17, 1.4e-17])
    found = evaluate(same, same[::-1].copy(), mean=0.1, sd=1.0, kind="mse")
    assert (found["wasserstein"], found["jensen_shannon"]) == (0.0, 0.0)
