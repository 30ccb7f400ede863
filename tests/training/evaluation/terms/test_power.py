"""Powers of terms: held to slow, obvious code; nothing where there is nothing; P-values as good as they say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, kstest, spearmanr

from gocell_cli.training.baselines.ridge import fit_ridge
from gocell_cli.training.evaluation.terms.power import (
    Powers,
    benjamini_hochberg,
    p_above,
    p_of_power,
    powers,
    ridge_by_variant,
)
from gocell_cli.training.evaluation.terms.ranking import children_of
from gocell_cli.training.evaluation.terms.variants import TermVariants
from tests.attempts import attempts
from tests.hierarchies import random_network
from tests.training.evaluation.terms.planted_toy import deleted, judged, members, pairs


@settings(max_examples=attempts(20, 500), deadline=None)
@given(seed=st.integers(0, 10_000), samples=st.integers(1, 30))
def test_variants_are_what_a_sample_deletes_of_a_term(seed: int, samples: int) -> None:
    hierarchy = random_network(seed, terms=7, genes=9)
    rng = np.random.default_rng(seed)
    sets = [np.sort(rng.choice(9, int(rng.integers(0, 5)), replace=False)) for _ in range(samples)]
    gene_ptr = np.concatenate([[0], np.cumsum([len(s) for s in sets])]).astype(np.int64)
    genes = np.concatenate([*sets, np.zeros(0)]).astype(np.int32)
    found, inside = TermVariants.of(hierarchy, gene_ptr, genes), members(hierarchy)
    for term in range(7):
        own = [tuple(g for g in s.tolist() if inside[term, g]) for s in sets]
        variant = found.of_term(term).tolist()
        assert [v == 0 for v in variant] == [not genotype for genotype in own]
        assert len(set(variant)) == len(set(own)) == len(set(zip(variant, own, strict=True)))
        assert max(variant) == len({genotype for genotype in own if genotype})


@settings(max_examples=attempts(10, 300), deadline=None)
@given(seed=st.integers(0, 10_000))
def test_ridge_of_variants_is_ridge_of_their_samples(seed: int) -> None:
    """Fewer features than variants and more; the last variant has no sample to be fitted on."""
    rng = np.random.default_rng(seed)
    for features in (3, 12):
        x, variant = rng.normal(size=(8, features)), np.concatenate([np.arange(7), rng.integers(0, 7, 30)])
        y = rng.normal(size=(len(variant), 2))
        counts = np.bincount(variant, minlength=8).astype(float)
        sums = np.stack([np.bincount(variant, one, minlength=8) for one in (y - y.mean(0)).T], axis=1)
        found = ridge_by_variant(x, counts, sums, 0.7)
        scaled = (x - x[variant].mean(0)) / x[variant].std(0)
        assert found is not None
        for output in range(2):
            wanted = fit_ridge(scaled[variant], y[:, output], 0.7).predict(scaled) - y[:, output].mean()
            assert np.allclose(found[:, output], wanted)
    assert ridge_by_variant(np.ones((3, 2)), np.ones(3), np.zeros((3, 1))) is None


def test_powers_are_those_of_slow_loops() -> None:
    """Sample by sample, term by term, by scikit-like steps: regressed on one part, ranked on the other."""
    hierarchy, fitted = random_network(5, terms=8, genes=12), 60
    gene_ptr, genes = pairs(5, 140, 12)
    values = np.random.default_rng(5).normal(size=140) + 2 * deleted(gene_ptr, genes, 12)[:, 3]
    given_ = judged(hierarchy, gene_ptr, genes, values, fitted)
    children = children_of(hierarchy)
    found = powers(given_, children)
    for term, below in enumerate(children):
        for inputs, value in (([term], found.own[term]), (below, found.children[term])):
            if not inputs:
                assert np.isnan(value)
                continue
            x = np.concatenate([given_.h[given_.neurons[one]] for one in inputs]).T.astype(float)
            sd = x[:fitted].std(0)
            scaled = x / np.where(sd > 1e-6, sd, np.inf)
            predicted = fit_ridge(scaled[:fitted], values[:fitted], 1.0).predict(scaled[fitted:])
            predicted = (predicted - predicted.mean()) / (predicted.std() or 1.0)
            predicted = predicted.round(6)
            if len(set(predicted)) > 1:
                assert value == pytest.approx(spearmanr(predicted, values[fitted:]).statistic, abs=1e-6)


def test_what_no_sample_touches_has_no_power() -> None:
    """It had: the difference of two halves' means."""
    hierarchy = random_network(1, terms=9, genes=12)
    inside = members(hierarchy)
    rng = np.random.default_rng(0)
    term = next(t for t in range(9) if inside[t].sum() < 8)
    outside = np.flatnonzero(~inside[term])
    genes = np.stack([np.sort(rng.choice(outside, 2, replace=False)) for _ in range(80)]).astype(np.int32).ravel()
    gene_ptr = np.arange(0, 161, 2, dtype=np.int64)
    found = powers(judged(hierarchy, gene_ptr, genes, rng.normal(size=80), 40), children_of(hierarchy))
    assert np.isnan(found.own[term])
    assert np.isnan(found.children[term])


def test_powers_do_not_depend_on_the_order_of_the_samples() -> None:
    hierarchy = random_network(3, terms=8, genes=12)
    gene_ptr, genes = pairs(3, 90, 12)
    values = np.random.default_rng(3).normal(size=90)
    order = np.concatenate([np.random.default_rng(1).permutation(50), 50 + np.random.default_rng(2).permutation(40)])
    turned = genes.reshape(-1, 2)[order].ravel()
    children = children_of(hierarchy)
    one = powers(judged(hierarchy, gene_ptr, genes, values, 50), children)
    other = powers(judged(hierarchy, gene_ptr, turned, values[order], 50), children)
    assert np.allclose(one.own, other.own, equal_nan=True)
    assert np.allclose(one.children, other.children, equal_nan=True)


def test_p_values_of_a_phenotype_that_no_term_knows_are_uniform() -> None:
    """One term's over many phenotypes; fitted on halves of the same samples they were not."""
    hierarchy = random_network(2, terms=4, genes=12)
    gene_ptr, genes = pairs(2, 120, 12)
    found = []
    for seed in range(150):
        values = np.random.default_rng((seed, 7)).normal(size=120)
        found.append(powers(judged(hierarchy, gene_ptr, genes, values, 60), [[], [], [], []]).own[0])
    p = p_of_power(np.array(found), np.full(150, 60.0))
    assert kstest(p, "uniform").pvalue > 0.001
    assert 0.0 < (p < 0.1).mean() < 0.2


def test_p_of_power_is_spearmans() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 40))
    done = spearmanr(x, y + x, alternative="greater")
    assert p_of_power(np.array([done.statistic]), np.array([40.0]))[0] == pytest.approx(done.pvalue)
    assert p_of_power(np.array([1.0, np.nan]), np.full(2, 40.0))[0] == 0


def test_williams_test_is_steigers_example() -> None:
    """Steiger 1980 prints r = 0.41, 0.50 and 0.47 (n = 103) as his example of two correlations with one variable.

    Equation 7 gives t = -1.0 for 0.41 against 0.50, computed by hand here; equal correlations give P = 0.5.
    """
    a, b, c, n = 0.41, 0.50, 0.47, 103
    determinant = 1 - a * a - b * b - c * c + 2 * a * b * c
    t = (a - b) * np.sqrt((n - 1) * (1 + c) / (2 * (n - 1) / (n - 3) * determinant + ((a + b) / 2) ** 2 * (1 - c) ** 3))
    assert t == pytest.approx(-1.0, abs=0.05)
    samples = np.full(3, float(n))
    numbers = Powers(np.array([a, 0.3, 0.3]), np.array([b, 0.3, 0.2]), np.array([c, 0.5, 1.0]), samples, samples)
    found = p_above(numbers)
    assert found[0] == pytest.approx(0.84, abs=0.01)
    assert found[1] == pytest.approx(0.5)
    assert np.isnan(found[2])


def test_q_values_are_scipys() -> None:
    p = np.random.default_rng(0).uniform(size=30) ** 2
    tested = np.arange(30) % 3 > 0
    found = benjamini_hochberg(p, tested)
    assert np.allclose(found[tested], false_discovery_control(p[tested]))
    assert np.isnan(found[~tested]).all()
