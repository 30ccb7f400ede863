"""Which terms contain a gene, against sets; and its memory at the size of a large genome."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gocell_cli.errors import LevelsError
from gocell_cli.storage import schema
from gocell_cli.storage.schema import Hierarchy
from tests.hierarchies import make_network, random_network
from tests.storage.strategies import bare_hierarchy


def contained(hierarchy: Hierarchy) -> list[set[int]]:
    """Genes of each term: the term's own and, again and again until nothing changes, its children's."""
    genes: list[set[int]] = [set() for _ in hierarchy.term_ids]
    for term, gene in zip(hierarchy.row_term.tolist(), hierarchy.row_gene.tolist(), strict=True):
        genes[term].add(gene)
    changed = True
    while changed:
        changed = False
        for child, parent in zip(hierarchy.edge_child.tolist(), hierarchy.edge_parent.tolist(), strict=True):
            changed |= not genes[child] <= genes[parent]
            genes[parent] |= genes[child]
    return genes


def check(hierarchy: Hierarchy) -> None:
    genes = contained(hierarchy)
    ptr, term = hierarchy.closure
    assert (ptr.dtype, term.dtype) == (np.int64, np.int32)
    found = [term[ptr[g] : ptr[g + 1]].tolist() for g in range(len(hierarchy.gene_names))]
    assert found == [[t for t, held in enumerate(genes) if g in held] for g in range(len(hierarchy.gene_names))]
    assert ptr[-1] == len(term)


@given(st.integers(0, 500), st.sampled_from([3, 9, 20]), st.sampled_from([7, 8, 12, 17]), st.booleans())
def test_as_sets_say(seed: int, terms: int, genes: int, by_height: bool) -> None:
    hierarchy = random_network(seed, terms, genes)
    by = {"level": hierarchy.height, "level_by": "height", "level_direction": "leaf_up"} if by_height else {}
    check(replace(hierarchy, **by))


def test_blocks_of_genes_join(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "BLOCK", 8)
    for genes in (8, 16, 17, 23):
        check(random_network(genes, 9, genes))


def test_nothing_contains_nothing() -> None:
    check(bare_hierarchy(0, 0, set(), []))
    check(bare_hierarchy(2, 3, set(), [0, 1]))


def test_it_is_computed_once() -> None:
    hierarchy = random_network(1)
    assert hierarchy.closure is hierarchy.closure


def test_levels_that_do_not_hold_are_refused() -> None:
    network = make_network([(1, 0), (2, 1)], [(2, 0)], terms=3, genes=1)
    for level in ([0, 1, 1], [0, 2, 1]):
        with pytest.raises(LevelsError, match="1 edges"):
            _ = replace(network, level=np.array(level, dtype=np.int32)).closure


def test_its_memory_is_bits_not_bytes() -> None:
    """4,000 terms and 16,384 genes: 8 MB of bits and blocks of 8 MB, where a byte a pair would be 66 MB."""
    terms, genes = 4_000, 8 * schema.BLOCK
    rng = np.random.default_rng(0)
    child = np.arange(1, terms, dtype=np.int32)
    parent = (child // 2).astype(np.int32)
    keys = np.unique(rng.integers(0, terms * genes, 2 * genes))
    hierarchy = replace(
        bare_hierarchy(terms, 0, set(), [t.bit_length() for t in range(terms)]),
        gene_names=("",) * genes,
        gene_ptr=np.zeros(genes + 1, dtype=np.int64),
        edge_child=child,
        edge_parent=parent,
        row_term=(keys // genes).astype(np.int32),
        row_gene=(keys % genes).astype(np.int32),
        gene_rows=np.zeros(len(keys), dtype=np.int32),
    )
    tracemalloc.start()
    try:
        ptr, _ = hierarchy.closure
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert ptr[-1] > 10 * genes
    assert peak < 40e6
