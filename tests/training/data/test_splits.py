"""Splits: disjoint, reproducible, and honest about what leaks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gocell_cli.errors import UsageError
from gocell_cli.storage.schema import Samples
from gocell_cli.training.data.splits import PARTS, Split, make_split

FRACTIONS = (0.6, 0.2, 0.2)


def samples_of(genotypes: list[tuple[int, ...]], groups: list[int]) -> Samples:
    n = len(genotypes)
    return Samples(
        gene_ptr=np.concatenate([[0], np.cumsum([len(g) for g in genotypes])]).astype(np.int64),
        genes=np.array([g for genotype in genotypes for g in genotype], dtype=np.int32),
        value=np.zeros(n), statistic=np.full(n, np.nan), dataset=np.zeros(n, np.int16),
        query_group=np.array(groups, dtype=np.int32), source_ptr=np.arange(n + 1, dtype=np.int64),
        source_row=np.arange(n, dtype=np.int64), query_strain=np.full(n, -1, np.int32),
        array_strain=np.full(n, -1, np.int32),
    )  # fmt: skip


def made_up(seed: int, n: int = 200, genes: int = 12, groups: int = 30) -> Samples:
    rng = np.random.default_rng(seed)
    genotypes = [tuple(sorted(rng.choice(genes, int(rng.integers(1, 4)), replace=False).tolist())) for _ in range(n)]
    return samples_of(genotypes, rng.integers(0, groups, n).tolist())


def genes_of(samples: Samples, rows: np.ndarray) -> set[int]:
    return {int(g) for r in rows for g in samples.genes[samples.gene_ptr[r] : samples.gene_ptr[r + 1]]}


def parts_of(split: Split) -> np.ndarray:
    return np.concatenate([split.rows(part) for part in PARTS])


@settings(max_examples=30)
@given(seed=st.integers(0, 1000))
def test_random_and_query_splits_use_every_sample_once(seed: int) -> None:
    samples = made_up(seed)
    for kind in ("random", "query"):
        split = make_split(samples, kind, FRACTIONS, seed, 12)
        assert sorted(parts_of(split).tolist()) == list(range(200))
        assert split.dropped == 0
        again = make_split(samples, kind, FRACTIONS, seed, 12)
        assert all(np.array_equal(split.rows(p), again.rows(p)) for p in PARTS)
        sizes = [len(split.rows(p)) for p in PARTS]
        assert all(abs(size - 200 * f) <= 12 for size, f in zip(sizes, FRACTIONS, strict=True))
    groups = [set(samples.query_group[split.rows(p)].tolist()) for p in PARTS]
    assert sum(map(len, groups)) == len(set.union(*groups))
    assert split.test_groups_in_train == 0.0


@settings(max_examples=30)
@given(seed=st.integers(0, 1000))
def test_gene_split_shares_no_gene_and_counts_what_it_drops(seed: int) -> None:
    samples = made_up(seed, n=400)
    split = make_split(samples, "gene", FRACTIONS, seed, 12)
    genes = [genes_of(samples, split.rows(p)) for p in PARTS]
    assert sum(map(len, genes)) == len(set.union(*genes))
    assert len(parts_of(split)) + split.dropped == 400
    assert split.dropped > 0
    assert split.test_with_new_gene == len(split.test)


def test_what_leaks_is_counted_by_hand() -> None:
    samples = samples_of([(0,), (0, 1), (2,), (1, 3), (0,)] * 4, [0, 0, 1, 1, 2] * 4)
    split = make_split(samples, "random", FRACTIONS, 3, 5)
    train_genes = genes_of(samples, split.train)
    new = sum(bool(genes_of(samples, np.array([r])) - train_genes) for r in split.test)
    assert split.test_with_new_gene == new
    train_groups = set(samples.query_group[split.train].tolist())
    shared = np.mean([int(samples.query_group[r]) in train_groups for r in split.test])
    assert split.test_groups_in_train == pytest.approx(shared)


def test_impossible_splits_are_errors() -> None:
    one_group = samples_of([(0,), (1,), (2,), (3,)] * 5, [0] * 20)
    with pytest.raises(UsageError, match="leaves a part empty: train 20, validation 0, test 0"):
        make_split(one_group, "query", FRACTIONS, 0, 5)
    no_group = samples_of([(0,), (1,)] * 5, [-1] * 10)
    with pytest.raises(UsageError, match="without a query group"):
        make_split(no_group, "query", FRACTIONS, 0, 5)
    one_gene = samples_of([(0,)] * 10, [-1] * 10)
    with pytest.raises(UsageError, match="leaves a part empty"):
        make_split(one_gene, "gene", FRACTIONS, 0, 5)
    with pytest.raises(UsageError, match="add up to 1"):
        make_split(one_gene, "random", (0.5, 0.1, 0.1), 0, 5)
    with pytest.raises(UsageError, match="no split 'time'"):
        make_split(one_gene, "time", FRACTIONS, 0, 5)
