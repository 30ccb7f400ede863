"""The ceiling, found three ways, is the correlation of a truth that is known here with its measurements."""

import numpy as np
import pytest
from scipy.stats import norm

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
    assert found.method.startswith("sd: ")
    assert found.r == pytest.approx(WANTED, abs=0.01)
    p_value = 2 * norm.sf(np.abs(VALUE) / ERROR)
    assert ceiling(EACH, VALUE, p_value, "p_value").r == pytest.approx(WANTED, abs=0.06)


def test_genotypes_measured_twice() -> None:
    again = TRUTH + RNG.normal(size=N) * ERROR
    both, number = np.append(VALUE, again), np.append(EACH, EACH)
    order = RNG.permutation(2 * N)
    found = ceiling(number[order], both[order], np.full(2 * N, np.nan), "")
    assert found.r == pytest.approx(WANTED, abs=0.01)
    assert "20,000 pairs" in found.method


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
