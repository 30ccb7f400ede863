"""Runs are joined by genotype, paired by split and seed; what is not shared is counted, and words follow intervals."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Float64, Int64

from gocell_cli.errors import UsageError
from gocell_cli.training.runs.comparing import (
    Comparison,
    Contender,
    Measured,
    Member,
    compare,
    contenders_of,
    join,
    paired,
)
from gocell_cli.training.runs.predictions import Predictions

N = 200
GENES = np.array([f"Y{i:03d} Y{i + 1:03d}" for i in range(N)])
VALUE = np.random.default_rng(0).normal(size=N)


def predictions(rows: Int64[np.ndarray, " n"], noise: float = 1.0, *, groups: int = 0) -> Predictions:
    """What a run of so much noise predicts of some samples."""
    predicted = VALUE + noise * np.random.default_rng(1).normal(size=N)
    group = [f"q{i % groups}" if groups else None for i in rows.tolist()]
    table = {
        "sample": np.arange(len(rows)), "genes": GENES[rows], "order": np.full(len(rows), 2),
        "part": ["test"] * len(rows), "query_group": pa.array(group, pa.string()), "value": VALUE[rows],
        "DCell": predicted[rows],
    }  # fmt: skip
    return Predictions.of(pa.table(table))


def member(name: str, seed: int, split: str, found: Predictions, phenotype: str = "tau") -> Member:
    return Member(Path(name), seed, split, phenotype, found)


def contender(name: str, *members: Member) -> Contender:
    return Contender(name, members)


ALL = np.arange(N)


@given(st.integers(0, 2**32))
def test_rows_in_another_order_change_nothing(seed: int) -> None:
    shuffled = np.random.default_rng(seed).permutation(N)
    one = contender("a", member("a", 0, "s", predictions(ALL, 1.0, groups=9)))
    two = contender("b", member("b", 0, "s", predictions(ALL, 0.9, groups=9)))
    other_one = contender("a", member("a", 0, "s", predictions(shuffled, 1.0, groups=9)))
    other_two = contender("b", member("b", 0, "s", predictions(shuffled[::-1], 0.9, groups=9)))
    wanted, found = (compare(*both, seed=3, resamples=20) for both in ((one, two), (other_one, other_two)))
    assert found == wanted


def test_shared_samples_count_and_the_others_are_told() -> None:
    one = contender("a", member("a", 0, "s", predictions(ALL[:150])))
    two = contender("b", member("b", 0, "t", predictions(ALL[50:], 0.5)))
    found = compare(one, two, 0, 50)
    assert (found.shared, found.only_first, found.only_second, found.unpaired, found.groups) == (100, 50, 50, 0, 0)
    r = [np.corrcoef(VALUE[50:150], predictions(ALL[50:150], noise).predicted["DCell"])[0, 1] for noise in (1.0, 0.5)]
    measured = found.metrics["pearson"]
    assert (measured.first, measured.second) == pytest.approx(r, abs=1e-12)
    assert measured.difference == pytest.approx(r[1] - r[0], abs=1e-12)
    assert measured.groups is None


def test_samples_of_one_genotype_are_told_apart_by_value_then_by_their_order() -> None:
    def of(genes: list[str], value: list[float]) -> Predictions:
        nothing = pa.DictionaryArray.from_arrays(pa.array([None] * len(genes), pa.int32()), pa.array([], pa.string()))
        return Predictions(pa.array(genes), nothing, np.array(value), {"DCell": np.zeros(len(genes))})

    a = of(["A", "B", "A", "A", "C"], [1.0, 2.0, 3.0, 1.0, 5.0])
    b = of(["C", "A", "A", "B", "A"], [5.0, 3.0, 1.0, 2.5, 1.0])
    here, there = join(a, b)
    assert list(zip(here.tolist(), there.tolist(), strict=True)) == [(0, 2), (3, 4), (2, 1), (4, 0)]


def test_nothing_in_common_is_refused() -> None:
    one = contender("a", member("a", 0, "s", predictions(ALL[:100])))
    for other, why in (
        (member("b", 0, "s", predictions(ALL[100:])), "0 samples"),
        (member("b", 0, "s", predictions(ALL[:100]), "fitness"), "one is of tau, the other of fitness"),
    ):
        with pytest.raises(UsageError) as refused:
            compare(one, contender("b", other), 0, 10)
        assert why in (refused.value.why or "")
        assert "--split a" in (refused.value.hint or "")
    series = contender("c", *(member(f"c{i}", i, f"t{i}", predictions(ALL)) for i in range(2)))
    with pytest.raises(UsageError, match="no run of it has the split"):
        compare(one, series, 0, 10)


def test_runs_are_paired_by_split_then_seed() -> None:
    found = predictions(ALL)
    first = [
        member(f"a{i}", seed, split, found) for i, (seed, split) in enumerate([(0, "s"), (1, "s"), (2, "t"), (3, "u")])
    ]
    second = [
        member(f"b{i}", seed, split, found) for i, (seed, split) in enumerate([(1, "s"), (7, "s"), (9, "t"), (3, "v")])
    ]
    pairs = [(str(a.directory), str(b.directory)) for a, b in paired(first, second)]
    assert pairs == [("a0", "b1"), ("a1", "b0"), ("a2", "b2")]
    compared = compare(Contender("a", tuple(first)), Contender("b", tuple(second)), 0, 10)
    assert compared.unpaired == 2
    assert compared.metrics["pearson"].each == (0.0, 0.0, 0.0)
    assert compared.metrics["pearson"].sd == 0
    assert compared.says("pearson") == "b and a have the same pearson"


def test_controls_are_compared_with_the_run_of_their_seed() -> None:
    found = predictions(ALL)
    runs = [member(f"seed-{seed}", seed, "s", found) for seed in range(3)]
    drawn = [
        replace(member(f"seed-{seed}-{kind}-{n}", seed, "s", predictions(ALL, 2.0)), control=kind)
        for seed, kind, n in ((0, "genes", 1), (0, "genes", 2), (1, "genes", 1), (0, "dag", 1))
    ]
    network, *others = contenders_of("series", [*drawn, *runs])
    assert [(c.name, len(c.members)) for c in (network, *others)] == [
        ("series", 3), ("dag control", 1), ("genes control", 3),
    ]  # fmt: skip
    compared = compare(network, others[1], 0, 20)
    assert [(str(Path(a)), str(Path(b))) for a, b in compared.pairs] == [
        ("seed-0", "seed-0-genes-1"), ("seed-0", "seed-0-genes-2"), ("seed-1", "seed-1-genes-1"),
    ]  # fmt: skip
    assert compared.unpaired == 1
    back = compare(others[1], network, 0, 20).metrics["pearson"]
    assert back.difference == -(compared.metrics["pearson"].difference or 0)


def measured(
    difference: float, samples: tuple[float, float], groups: tuple[float, float] | None, each: Float64[np.ndarray, " n"]
) -> Measured:
    return Measured(0.5, 0.5 + difference, difference, samples, groups, tuple(each.tolist()))


ONE = np.ones(1)


@pytest.mark.parametrize(
    ("found", "groups", "wanted"),
    [
        (measured(0.01, (0.004, 0.02), None, ONE), 0,
         "b is better than a by 0.0100 in pearson (+0.0040 to +0.0200 over samples)"),
        (measured(-0.01, (-0.02, 0.001), None, ONE), 0,
         "b and a are not told apart by pearson: -0.0100, over samples the interval holds 0 (-0.0200 to +0.0010)"),
        (measured(0.01, (0.004, 0.02), (-0.01, 0.03), ONE), 40,
         "b is better than a by 0.0100 in pearson (+0.0040 to +0.0200 over samples); over query groups the"
         " interval holds 0 (-0.0100 to +0.0300): not told apart"),
        (measured(-0.01, (-0.02, -0.004), (-0.03, -0.001), np.array([-0.02, 0.01, -0.02])), 9,
         "b is worse than a by 0.0100 in pearson (-0.0200 to -0.0040 over samples), over query groups as well"
         " (-0.0300 to -0.0010; of 9 groups it is rough); worse in 2 of 3 pairs of runs, sd 0.0173"),
    ],
)  # fmt: skip
def test_words_follow_the_intervals(found: Measured, groups: int, wanted: str) -> None:
    comparison = Comparison("a", "b", (("a", "b"),), 9, 0, 0, 0, groups, {"pearson": found})
    assert comparison.says("pearson") == wanted


def test_a_smaller_error_is_better() -> None:
    found = compare(
        contender("a", member("a", 0, "s", predictions(ALL, 1.0))),
        contender("b", member("b", 0, "s", predictions(ALL, 0.5))), 0, 50,
    )  # fmt: skip
    assert found.says("rmse").startswith("b is better than a by 0.")
