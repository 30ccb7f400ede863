"""The stacked network against the per-term loop: outputs, loss, every gradient, running statistics, in float64."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gocell_cli.storage.reader import Cache
from gocell_cli.storage.schema import Hierarchy
from gocell_cli.training.network.config import CHOICES, DCellConfig
from tests.attempts import attempts, whole_only
from tests.reference.dcell import gene_table
from tests.training import networks as nets

SMALL = DCellConfig(min_width=2, init_range=0.5)
GENE_WEIGHTS = CHOICES["gene_weights"]


def compare(
    hierarchy: Hierarchy, config: DCellConfig, genotypes: nets.Genotypes, *, training: bool, seed: int = 0
) -> dict[str, float]:
    model, oracle = nets.pair(hierarchy, config, seed)
    genes = len(hierarchy.gene_names)
    y = torch.from_numpy(np.random.default_rng(seed).normal(size=len(genotypes)))
    model.train(training)
    oracle.train(training)
    fast = nets.run_fast(model, hierarchy, nets.deletions(genotypes, genes), y)
    slow = nets.run_oracle(oracle, hierarchy, gene_table(genotypes, genes), y, config.alpha)
    return nets.difference(fast, slow)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("norm_order", ["tanh-bn", "bn-tanh"])
@pytest.mark.parametrize("gene_weights", GENE_WEIGHTS)
def test_toy_equals_oracle(toy_cache: Path, norm_order: str, gene_weights: str, training: bool) -> None:
    hierarchy = Cache(toy_cache).hierarchy
    config = replace(SMALL, norm_order=norm_order, gene_weights=gene_weights)
    genotypes = [(0,), (1,), (2,), (3,), (4,), (0, 1), (1, 2, 4), ()]
    worst = compare(hierarchy, config, genotypes, training=training)
    assert max(worst.values()) < 1e-10, worst


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    terms=st.integers(1, 14),
    config=st.builds(
        DCellConfig,
        min_width=st.integers(1, 7),
        ratio=st.sampled_from([0.0, 0.3, 1.0]),
        width_by=st.sampled_from(["direct", "contained"]),
        norm_order=st.sampled_from(["tanh-bn", "bn-tanh"]),
        gene_weights=st.sampled_from(GENE_WEIGHTS),
        init_range=st.just(0.5),
        top_width=st.sampled_from([0, 11]),
        top_strata=st.integers(1, 3),
    ),
    level_by=st.sampled_from(nets.LEVELS),
    training=st.booleans(),
)
def test_random_hierarchies_equal_oracle(
    seed: int, terms: int, config: DCellConfig, level_by: str, training: bool
) -> None:
    hierarchy = nets.by_level(nets.random_network(seed, terms=terms), level_by)
    worst = compare(hierarchy, config, nets.random_genotypes(seed, 20, 12), training=training, seed=seed)
    assert max(worst.values()) < 1e-10, worst


@settings(max_examples=15)
@given(
    seed=st.integers(0, 10_000),
    norm_order=st.sampled_from(["tanh-bn", "bn-tanh"]),
    gene_weights=st.sampled_from(GENE_WEIGHTS),
)
def test_gene_values_equal_oracle(seed: int, norm_order: str, gene_weights: str) -> None:
    """Any float per gene: expression or dosage."""
    hierarchy = nets.random_network(seed)
    config = replace(SMALL, norm_order=norm_order, gene_weights=gene_weights)
    model, oracle = nets.pair(hierarchy, config, seed)
    rng = np.random.default_rng(seed)
    x, y = torch.from_numpy(rng.normal(size=(20, 12))), torch.from_numpy(rng.normal(size=20))
    fast = nets.run_fast(model, hierarchy, x, y)
    slow = nets.run_oracle(oracle, hierarchy, x, y, config.alpha)
    worst = nets.difference(fast, slow)
    assert max(worst.values()) < 1e-10, worst


@pytest.mark.parametrize("gene_weights", ["shared", "deviation"])
def test_deletions_and_their_gene_values_agree(gene_weights: str) -> None:
    hierarchy = nets.random_network(5)
    genotypes = nets.random_genotypes(5, 20, 12)
    y = torch.linspace(-1, 1, len(genotypes), dtype=torch.float64)
    model, _ = nets.pair(hierarchy, replace(SMALL, gene_weights=gene_weights))
    again, _ = nets.pair(hierarchy, replace(SMALL, gene_weights=gene_weights))
    one = nets.run_fast(model, hierarchy, nets.deletions(genotypes, 12), y)
    other = nets.run_fast(again, hierarchy, gene_table(genotypes, 12), y)
    assert max(nets.difference(one, other).values()) < 1e-12


def bundled_pass(
    hierarchy: Hierarchy, config: DCellConfig, genotypes: nets.Genotypes, order: np.ndarray
) -> tuple[nets.Pass, nets.Pass]:
    torch.manual_seed(0)
    model, oracle = nets.plain_pair(hierarchy, config)
    y = torch.from_numpy(np.random.default_rng(0).normal(size=len(genotypes)))[order]
    genotypes = [genotypes[i] for i in order]
    fast = nets.run_fast(model, hierarchy, nets.deletions(genotypes, len(hierarchy.gene_names)), y)
    x = gene_table(genotypes, len(hierarchy.gene_names))
    return fast, nets.run_oracle(oracle, hierarchy, x, y, config.alpha)


@pytest.mark.parametrize("norm_order", ["tanh-bn", "bn-tanh"])
def test_bundled_hierarchy_equals_oracle(bundled_hierarchy: Hierarchy, norm_order: str) -> None:
    """Weights U(-0.001, 0.001), and single deletions that touch every term: no variance is zero."""
    genotypes = nets.covering_singles(bundled_hierarchy)
    fast, slow = bundled_pass(
        bundled_hierarchy,
        DCellConfig(norm_order=norm_order, min_width=attempts(4, 20)),
        genotypes,
        np.arange(len(genotypes)),
    )
    worst = nets.difference(fast, slow)
    assert max(worst.values()) < 1e-10, worst


@whole_only
def test_bundled_hierarchy_with_larger_weights_is_as_stable_as_the_oracle(bundled_hierarchy: Hierarchy) -> None:
    """With U(-0.1, 0.1) rounding is amplified: the bound is 10 times what a permutation moves the oracle itself."""
    genotypes = nets.covering_singles(bundled_hierarchy)
    order = np.random.default_rng(1).permutation(len(genotypes))
    config = DCellConfig(init_range=0.1)
    fast, slow = bundled_pass(bundled_hierarchy, config, genotypes, np.arange(len(genotypes)))
    _, moved = bundled_pass(bundled_hierarchy, config, genotypes, order)
    moved.heads = moved.heads[np.argsort(order)]
    own = max(nets.difference(moved, slow).values())
    assert 0 < own < 1e-3
    assert max(nets.difference(fast, slow).values()) < 10 * own
