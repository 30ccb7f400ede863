"""Paired bootstrap: weights do what drawing arrays again does, and what is the same differs by exactly 0."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Float64
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import roc_auc_score

from gocell_cli.training.evaluation import paired
from gocell_cli.training.evaluation.paired import (
    NO_GROUP,
    Pairing,
    auroc,
    draw,
    drawn_weights,
    interval,
    measures,
    places,
)
from tests.attempts import whole_only


def screen(seed: int, n: int, *, groups: int = 0, classes: bool = False, ties: bool = False) -> Pairing:
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=n)
    first, second = (truth + noise * rng.normal(size=n) for noise in (1.0, 0.8))
    if ties:
        first, second = np.round(first), np.round(second)
    value = (truth > 0).astype(float) if classes else truth + 3.0
    group = rng.integers(groups, size=n) if groups else np.full(n, NO_GROUP)
    return Pairing(value, first, second, group)


def measured(name: str, value: Float64[np.ndarray, " n"], predicted: Float64[np.ndarray, " n"]) -> float:
    """The slow way, by libraries, of an array that was drawn."""
    if name == "rmse":
        return float(np.sqrt(np.mean((value - predicted) ** 2)))
    if name == "auroc":
        return float(roc_auc_score(value, predicted))
    return float((pearsonr if name == "pearson" else spearmanr)(value, predicted)[0])


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("groups", [0, 7])
def test_weights_are_resampled_arrays(groups: int, ties: bool) -> None:
    pairing = screen(1, 60, groups=groups, classes=True, ties=ties)
    found = draw(pairing, seed=5, resamples=40)
    clusters, seed = (pairing.clusters, 6) if groups else (np.arange(60), 5)
    weights = np.concatenate(list(drawn_weights(int(clusters.max()) + 1, seed, 40)))
    assert set(found) == {"pearson", "spearman", "auroc", "rmse"}
    for name, draws in found.items():
        got = draws.groups if groups else draws.samples
        assert got is not None
        for row, difference in zip(weights, got, strict=True):
            times = row[clusters].astype(int)
            value, first, second = (np.repeat(x, times) for x in (pairing.value, pairing.first, pairing.second))
            if len(np.unique(value)) == 2:
                wanted = measured(name, value, second) - measured(name, value, first)
                assert difference == pytest.approx(wanted, abs=1e-10)
        assert draws.first == pytest.approx(measured(name, pairing.value, pairing.first), abs=1e-12)


def test_weights_are_drawn_as_often_as_there_are_clusters(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = np.concatenate(list(drawn_weights(11, 3, 50)))
    assert whole.shape == (50, 11)
    assert (whole.sum(axis=1) == 11).all()
    # however few of them are in memory at once
    monkeypatch.setattr(paired, "CHUNK", 30)
    assert (np.concatenate(list(drawn_weights(11, 3, 50))) == whole).all()


@given(st.integers(0, 2**32), st.integers(10, 80), st.booleans())
def test_the_same_predictions_differ_by_exactly_0(seed: int, n: int, classes: bool) -> None:
    pairing = screen(seed, n, groups=4, classes=classes)
    same = Pairing(pairing.value, pairing.first, pairing.first.copy(), pairing.group)
    for draws in draw(same, seed, resamples=30).values():
        assert draws.difference == 0 or np.isnan(draws.difference)
        assert interval(draws.samples) in ((0.0, 0.0), None)


@given(st.integers(0, 2**32), st.integers(10, 80), st.integers(0, 5))
def test_exchanged_the_sign_changes_and_nothing_else(seed: int, n: int, groups: int) -> None:
    pairing = screen(seed, n, groups=groups)
    other = Pairing(pairing.value, pairing.second, pairing.first, pairing.group)
    one, two = draw(pairing, 1, resamples=30), draw(other, 1, resamples=30)
    for name, draws in one.items():
        assert draws.difference == -two[name].difference
        assert (draws.samples == -two[name].samples).all()


def test_a_group_is_drawn_whole() -> None:
    # within a group all samples are alike: over samples the interval is that of 2,000, over groups that of 20
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(20), 100)
    value, first, second = (rng.normal(size=20)[group] for _ in range(3))
    found = draw(Pairing(value, value + first, value + 0.5 * second, group), 0, resamples=500)["pearson"]
    assert found.groups is not None
    assert np.std(found.groups) == pytest.approx(10 * np.std(found.samples), rel=0.4)


def test_a_sample_without_a_group_is_one_of_its_own() -> None:
    group = np.array([1, NO_GROUP, 1, 0, NO_GROUP])
    assert Pairing(*[np.arange(5.0)] * 3, group).clusters.tolist() == [1, 2, 1, 0, 3]
    assert Pairing(*[np.arange(5.0)] * 3, group).groups == 2
    assert draw(screen(0, 20), 0, 10)["pearson"].groups is None


def test_many_samples_are_drawn_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    pairing = screen(2, 3000)
    single = draw(pairing, 0, resamples=600)["pearson"].samples
    monkeypatch.setattr(paired, "BLOCKS", 500)
    monkeypatch.setattr(paired, "RANKED", 3000 * 250)
    found = draw(pairing, 0, resamples=600)
    assert np.std(found["pearson"].samples) == pytest.approx(np.std(single), rel=0.15)
    assert len(found["spearman"].samples) == 250


def test_what_is_not_defined_is_nan() -> None:
    constant = Pairing(np.arange(30.0), np.ones(30), np.arange(30.0), np.full(30, NO_GROUP))
    found = draw(constant, 0, 20)
    assert np.isnan(found["pearson"].difference)
    assert interval(found["pearson"].samples) is None
    assert np.isfinite(found["rmse"].difference)
    assert np.isnan(auroc(np.ones(3), places(np.arange(3.0)), np.ones(3)))


@whole_only
@pytest.mark.parametrize("groups", [0, 60])
def test_intervals_hold_the_true_difference_19_times_of_20(groups: int) -> None:
    """Over samples of independent ones, over groups where a group's samples share what is not predicted."""
    # of noise 1 and 0.8 beside a truth of 1, with a shared part of groups: r by the variances
    held, tries = 0, 200
    for seed in range(tries):
        rng = np.random.default_rng(seed)
        n = 600
        group = rng.integers(groups, size=n) if groups else np.full(n, NO_GROUP)
        shared = rng.normal(size=max(groups, 1))[group] if groups else 0.0
        truth = rng.normal(size=n)
        value = truth + shared
        first, second = (truth + noise * rng.normal(size=n) for noise in (1.0, 0.8))
        variance = 2.0 if groups else 1.0
        wanted = 1 / np.sqrt(variance * 1.64) - 1 / np.sqrt(variance * 2.0)
        both = tuple({"pearson": measures(value, predicted)["pearson"]} for predicted in (first, second))
        clusters = Pairing(value, first, second, group).clusters if groups else np.arange(n)
        ends = interval(paired._differences(both, clusters, seed, 400)["pearson"])
        assert ends is not None
        held += ends[0] <= wanted <= ends[1]
    # 95 % of 200 is 190, with a standard deviation of 3.1; of few groups a little less
    assert 178 <= held <= 199
