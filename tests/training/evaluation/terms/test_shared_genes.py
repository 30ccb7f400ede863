"""Samples that share genes: sums over pairs held to slow loops, P-values uniform where genes have effects."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from scipy.stats import kstest

from gocell_cli.training.evaluation.terms.power import p_of_power
from gocell_cli.training.evaluation.terms.shared_genes import SharedGenes


def unit(values: np.ndarray) -> np.ndarray:
    """Of mean 0 and length 1."""
    centred = values - values.mean()
    found: np.ndarray = centred / np.linalg.norm(centred)
    return found


def crossed(queries: int, arrays: int) -> np.ndarray:
    """Every query with every array: [samples, genes], few genes of many samples each."""
    found = np.zeros((queries * arrays, queries + arrays))
    for query in range(queries):
        for array in range(arrays):
            found[query * arrays + array, [query, queries + array]] = 1
    return found


@given(seed=st.integers(0, 10_000))
def test_rho_is_the_slope_over_all_pairs_and_the_inflation_their_sum(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, 20))
    g = (rng.random((n, 5)) < rng.random()).astype(float)
    y, x = unit(rng.normal(size=n) + g @ rng.normal(size=5)), unit(rng.normal(size=n))
    found = SharedGenes.of(csr_matrix(g), y)
    pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
    c = np.array([g[i] @ g[j] for i, j in pairs])
    products = np.array([n * y[i] * y[j] for i, j in pairs])
    slope = 0.0 if np.ptp(c) < 1e-9 else np.polyfit(c, products, 1)[0]
    centred = g - g.mean(axis=0)
    kappa = np.trace(centred @ centred.T) / (n - 1)
    assert found.kappa == pytest.approx(kappa, abs=1e-9)
    assert found.rho == pytest.approx(min(max(slope, 0.0), 1 / kappa) if kappa > 1e-9 else 0.0, abs=1e-6)
    covariance = (1 - found.rho * kappa) * np.eye(n) + found.rho * g @ g.T
    assert found.inflation(3 * x) == pytest.approx(max(x @ covariance @ x, 1.0))


def test_p_values_are_uniform_where_genes_have_effects_that_no_prediction_knows() -> None:
    """Predictions of one gene's or of four genes' strains; taken as independent, most were called significant."""
    g, independent, corrected = crossed(8, 40), [], []
    for seed in range(300):
        rng = np.random.default_rng((seed, 3))
        y = unit(g @ rng.normal(size=48) + rng.normal(size=320))
        x = unit(g[:, : 1 + 3 * (seed % 2)] @ rng.normal(size=1 + 3 * (seed % 2)))
        shared = SharedGenes.of(csr_matrix(g), y)
        independent.append(320.0)
        corrected.append((x @ y, 1 + 319 / shared.inflation(x)))
    r, samples = np.array(corrected).T
    naive, p = p_of_power(r, np.array(independent)), p_of_power(r, samples)
    assert (naive < 0.05).mean() > 0.3
    assert (p < 0.05).mean() < 0.09
    assert kstest(p, "uniform").pvalue > 0.001


def test_independent_samples_stay_what_they_are() -> None:
    """No gene is shared, or every sample shares the same: nothing is to be told apart."""
    x = unit(np.arange(6.0))
    for g in (np.eye(6), np.ones((6, 1)), np.zeros((6, 2))):
        found = SharedGenes.of(csr_matrix(g), unit(np.array([1.0, 3, 2, 5, 4, 6])))
        assert (found.rho, found.inflation(x)) == (0, 1)
    assert found.inflation(np.zeros(6)) == 1
