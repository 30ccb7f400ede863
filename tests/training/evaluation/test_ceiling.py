"""The ceiling, found four ways, is the correlation of a truth that is known here with its measurements."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from gocell_cli.training.baselines.samples import Genotypes, unknown_fitness
from gocell_cli.training.evaluation.ceiling import Ceiling, ceiling

N = 20_000
RNG = np.random.default_rng(0)
TRUTH = RNG.normal(0, 1, N)
ERROR = RNG.uniform(0.2, 1.4, N)
VALUE = TRUTH + RNG.normal(size=N) * ERROR
WANTED = float(np.corrcoef(TRUTH, VALUE)[0, 1])
NONE, EACH = np.full(N, np.nan), np.arange(N)


def test_errors_that_are_known() -> None:
    found = ceiling(EACH, VALUE, ERROR, "sd")
    assert found.method.startswith("sd: 20,000 measurements claim an error of 0.87")
    assert "if each SD is the error of its measurement" in found.method
    assert found.r == pytest.approx(WANTED, abs=0.01)
    p_value = 2 * norm.sf(np.abs(VALUE) / ERROR)
    assert ceiling(EACH, VALUE, p_value, "p_value").r == pytest.approx(WANTED, abs=0.06)


def test_genotypes_measured_twice_and_thrice() -> None:
    again = TRUTH + RNG.normal(size=N) * ERROR
    third = TRUTH[:500] + RNG.normal(size=500) * ERROR[:500]
    every, number = np.concatenate([VALUE, again, third]), np.concatenate([EACH, EACH, EACH[:500]])
    order = RNG.permutation(len(every))
    found = ceiling(number[order], every[order], np.full(len(every), np.nan), "")
    assert found.r == pytest.approx(WANTED, abs=0.01)
    assert found.method.startswith("repeated: 20,500 repeats of a cross")


@given(st.integers(0, 2**32), st.floats(0.1, 1.0), st.floats(0.0, 1.0), st.sampled_from([1, 4, 9]))
def test_simulated_screens_whose_ceiling_is_known(seed: int, noise: float, role: float, colonies: int) -> None:
    """A fitness by query and array, of some crosses measured twice and some both ways; SDs are those of colonies."""
    rng = np.random.default_rng(seed)
    n = 3000
    truth = rng.normal(size=n)
    effect = role * rng.normal(size=n)  # of which gene is the query's
    turned = rng.normal(size=n) > 0

    def measure(which: np.ndarray, exchanged: np.ndarray) -> np.ndarray:
        signed = np.where(exchanged, -1.0, 1.0)
        return truth[which] + signed * effect[which] + noise * rng.normal(size=len(which))

    first, twice, both = np.arange(n), np.arange(600), np.arange(600, 1200)
    genotype = np.concatenate([first, twice, both])
    turned_of = np.concatenate([turned, turned[twice], ~turned[both]])
    value = np.concatenate([measure(first, turned), measure(twice, turned[twice]), measure(both, ~turned[both])])
    whole = 1 + role**2 + noise**2
    none, none_apart = np.full(len(value), np.nan), np.full(n + 600, np.nan)
    found = ceiling(genotype, value, none, "", turned_of.astype(np.int64))
    assert_share(found, noise**2 / whole)
    # without repeats in the same roles those with exchanged ones lie lower by what roles do
    apart = np.r_[0:n, n + 600 : n + 1200]
    below = ceiling(genotype[apart], value[apart], none_apart, "", turned_of[apart].astype(np.int64))
    assert below.method.startswith("reciprocal: 600 crosses")
    assert_share(below, (noise**2 + 2 * role**2) / whole)
    # and SDs of single colonies claim a lower one than their mean has
    claimed = ceiling(first, value[:n], np.full(n, noise * colonies**0.5), "sd")
    assert_share(claimed, colonies * noise**2 / whole)


def assert_share(found: Ceiling, errors: float) -> None:
    """Hold a ceiling to the errors' share of the variance, within five standard deviations of it at 600 repeats."""
    assert found.r is not None
    assert found.r**2 == pytest.approx(max(1 - errors, 0.0), abs=5 * errors * (2 / 600) ** 0.5 + 0.02)


def test_what_lies_above_it_by_more_than_chance_contradicts_it() -> None:
    told = Ceiling(0.81, "sd: so")
    assert told.contradicted({"DCell": 0.79, "roles": 0.815}, 1000) == told
    found = told.contradicted({"DCell": 0.85, "roles": 0.88, "mean": 0.1}, 1000)
    assert found == Ceiling(None, "not a bound: roles reaches r 0.8800, beyond 0.8100 (sd: so)")
    assert told.contradicted({"DCell": 0.88}, 10) == told
    assert Ceiling(None, "none").contradicted({"DCell": 0.99}, 1000) == Ceiling(None, "none")
    assert Ceiling(0.0, "sd: all noise").contradicted({"DCell": 0.5}, 1000).r is None


def test_roles_are_numbers_of_the_arrays_genes() -> None:
    array = np.array([0.0, 1.0, 1.0, 0.0, np.nan, np.nan, 1.0])
    genotypes = Genotypes(np.array([0, 2, 4, 6, 7]), np.array([1, 2, 1, 2, 1, 2, 5], np.int32), 9,
                          np.full(4, -1, np.int32), array, unknown_fitness(4))  # fmt: skip
    assert genotypes.roles.tolist() == [2, 1, -1, 1]


def test_data_that_tell_none_say_so() -> None:
    assert ceiling(EACH, VALUE, NONE, "") == Ceiling(
        None, "none: no genotype is there twice, and measurements carry no SD or P-value"
    )
    assert ceiling(EACH, VALUE, NONE, "sd").r is None
    assert ceiling(EACH[:0], VALUE[:0], NONE[:0], "sd").r is None
    assert ceiling(EACH, np.ones(N), ERROR, "sd").r is None
    assert ceiling(EACH, VALUE, 99 * ERROR, "sd").r == 0
    gaps = np.where(EACH % 2, VALUE, np.nan)
    assert ceiling(EACH, gaps, ERROR, "sd").r == pytest.approx(WANTED, abs=0.02)
    assert Ceiling(0.8, "").share_of(0.4) == 0.5
    assert Ceiling(None, "").share_of(0.4) is Ceiling(0.8, "").share_of(None) is None
