"""Means of blocks of two terms, held against loops over their pairs, and intervals that miss as often as they say."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.stats import t as student

from gocell_cli.training.voices.dyads import Dyads
from tests.training.baselines.screens import all_pairs, genotypes

GENES = 12


def sets() -> list[set[int]]:
    """Apart, overlapping, nested, of all genes, and of one."""
    return [{0, 1, 2, 3}, {4, 5, 6, 7, 8}, {7, 8, 9, 10}, {9, 10}, set(range(GENES)), {11}]


def inside(members: list[set[int]], used: np.ndarray) -> csr_matrix:
    return csr_matrix(np.array([[float(gene in one) for one in members] for gene in used.tolist()]))


def by_loops(rows: np.ndarray, x: np.ndarray, s: set[int], t: set[int]) -> tuple[float, float]:
    """The mean and its standard error by the formulas, one dyad after another."""
    dyads: dict[tuple[int, int], list[float]] = {}
    for (g, h), value in zip(rows.tolist(), x.tolist(), strict=True):
        dyads.setdefault((g, h), []).append(value)
    weight = {p: (p[0] in s and p[1] in t) + (p[1] in s and p[0] in t) for p in dyads}
    held = {p: values for p, values in dyads.items() if weight[p]}
    total = sum(weight[p] * len(values) for p, values in held.items())
    mean = sum(weight[p] * sum(values) for p, values in held.items()) / total
    error = {p: weight[p] * sum(value - mean for value in values) for p, values in held.items()}
    own = sum(e**2 for e in error.values())
    together = sum(sum(e for p, e in error.items() if g in p) ** 2 for g in range(GENES))
    sides = [{g for g in one if any(g in p and (set(p) - {g}) & two for p in held)} for one, two in ((s, t), (t, s))]
    genes = min(map(len, sides))
    return mean, np.sqrt(max(together - own, own) * genes / (genes - 1)) / total


def test_means_and_errors_are_those_of_loops() -> None:
    rng = np.random.default_rng(0)
    rows = all_pairs(GENES)
    rows = np.concatenate([rows[rng.random(len(rows)) < 0.8], rows[:9]])  # some in two samples
    x = rng.normal(size=len(rows)) + rng.normal(size=GENES)[rows].sum(axis=1)
    dyads = Dyads.of(genotypes(rows, GENES), x)
    members = sets()
    found = dyads.block_means(inside(members, dyads.used))
    for i, s in enumerate(members):
        for j, t in enumerate(members):
            if len(s) > 1 and len(t) > 1:
                wanted = by_loops(rows, x, s, t)
                assert found.mean[i, j] == pytest.approx(wanted[0], abs=1e-12)
                if (i, j) == (3, 3):  # of one pair
                    assert np.isnan(found.error[i, j])
                else:
                    assert found.error[i, j] == pytest.approx(wanted[1], rel=1e-9)
    assert np.isnan(found.mean[5]).all()
    assert np.isnan(found.error[:, 5]).all()
    assert found.reach()[0, 1] == pytest.approx(found.error[0, 1] * student.isf(0.025, 3))


@pytest.mark.parametrize("of_genes", [0.0, 1.0])
def test_intervals_miss_as_seldom_as_they_say(of_genes: float) -> None:
    """Also where a gene's pairs err together, which an interval over pairs alone would miss half the time."""
    rng = np.random.default_rng(1)
    rows, members = all_pairs(GENES), [set(range(6)), set(range(6, 12))]
    missed, alone = 0, 0
    for _ in range(300):
        x = rng.normal(size=len(rows)) + of_genes * rng.normal(size=GENES)[rows].sum(axis=1)
        dyads = Dyads.of(genotypes(rows, GENES), x)
        found = dyads.block_means(inside(members, dyads.used))
        missed += bool(found.sure()[0, 1] > 0)
        between = x[(rows[:, 0] < 6) & (rows[:, 1] >= 6)]
        alone += bool(abs(between.mean()) > 1.96 * between.std(ddof=1) / 6)
    assert missed / 300 < 0.08
    assert alone / 300 > 0.3 or not of_genes


def test_each_pair_of_a_triple_has_its_value() -> None:
    dyads = Dyads.of(genotypes([(0, 1), (1, 3, 4), (5,)], GENES), np.array([1.0, 5.0, 9.0]))
    assert dyads.used.tolist() == [0, 1, 3, 4]
    assert dyads.total.toarray().tolist() == [[0, 1, 0, 0], [0, 0, 5, 5], [0, 0, 0, 5], [0, 0, 0, 0]]
    assert dyads.count.sum() == 4


def test_values_that_do_not_differ_have_no_error() -> None:
    """A pair measured twenty times is one pair, and equal values tell nothing of what others would be."""
    dyads = Dyads.of(genotypes([(0, 1)] * 20 + [(2, 3), (2, 4), (3, 4)], GENES), np.repeat([0.7, 0.3], [20, 3]))
    found = dyads.block_means(inside([{0, 1}, {2, 3, 4}], dyads.used))
    assert np.allclose(np.diagonal(found.mean), [0.7, 0.3])
    assert np.isnan(found.error).all()
