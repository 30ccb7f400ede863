"""Deletion propagation: rows against the obvious loop, reached terms against a walk up the hierarchy."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gocell_cli.building.plan import BuildPlan
from gocell_cli.storage.propagation import deleted_pairs, mutant_state, pair_state, reached_terms, terms_by_level
from gocell_cli.storage.schema import Hierarchy
from tests.hierarchies import random_network
from tests.reference import mutant_state as oracle
from tests.storage.strategies import bare_hierarchy, pointers


@st.composite
def drawings(draw: st.DrawFn) -> dict:
    terms, genes = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    rows = draw(st.sets(st.tuples(st.integers(0, terms - 1), st.integers(0, genes - 1))))
    level = draw(st.lists(st.integers(0, 9), min_size=terms, max_size=terms))
    genotypes = draw(st.lists(st.lists(st.integers(0, genes - 1), max_size=4), max_size=5))
    return {"hierarchy": (terms, genes, rows, level), "genotypes": genotypes}


def as_arrays(genotypes: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    flat = np.array([g for genotype in genotypes for g in genotype], dtype=np.int32)
    return pointers([len(g) for g in genotypes]), flat


@given(drawings())
def test_equals_the_loop_over_rows(drawn: dict) -> None:
    hierarchy, genotypes = bare_hierarchy(*drawn["hierarchy"]), drawn["genotypes"]
    table = mutant_state(hierarchy, *as_arrays(genotypes))
    assert table.dtype == np.int32
    assert table.shape == (len(genotypes), hierarchy.rows, 4)
    assert table.tolist() == [oracle.mutant_state(hierarchy, genotype) for genotype in genotypes]


@given(drawings())
def test_the_state_column_alone_is_the_same(drawn: dict) -> None:
    hierarchy, genotypes = bare_hierarchy(*drawn["hierarchy"]), drawn["genotypes"]
    state = pair_state(hierarchy, *as_arrays(genotypes))
    np.testing.assert_array_equal(state, mutant_state(hierarchy, *as_arrays(genotypes))[:, :, 3])


@given(drawings())
def test_deleted_pairs_list_each_deletions_rows(drawn: dict) -> None:
    hierarchy, genotypes = bare_hierarchy(*drawn["hierarchy"]), drawn["genotypes"]
    places = deleted_pairs(hierarchy, *as_arrays(genotypes))
    sample, row = np.divmod(places, hierarchy.rows) if hierarchy.rows else (places, places)
    expected = [
        (s, r)
        for s, genotype in enumerate(genotypes)
        for gene in genotype
        for r in np.flatnonzero(hierarchy.row_gene == gene).tolist()
    ]
    assert list(zip(sample.tolist(), row.tolist(), strict=True)) == expected


def test_the_wild_type_is_all_ones(toy_plan: BuildPlan) -> None:
    table = mutant_state(toy_plan.hierarchy, *as_arrays([[]]))
    assert (table[0, :, 3] == 1).all()


def test_toy_by_hand(toy_plan: BuildPlan) -> None:
    # terms 1 left, 2 right, 3 deep; deep (stratum 3) holds genes 2, 3, 4, and 2 is deleted twice
    table = mutant_state(toy_plan.hierarchy, *as_arrays([[0, 2, 2]]))
    assert table[0].tolist() == [[1, 0, 2, 0], [2, 1, 2, 1], [3, 2, 3, 0], [3, 3, 3, 1], [3, 4, 3, 1]]


def walked(hierarchy: Hierarchy, genes: list[int]) -> set[int]:
    rows = zip(hierarchy.row_term.tolist(), hierarchy.row_gene.tolist(), strict=True)
    edges = list(zip(hierarchy.edge_child.tolist(), hierarchy.edge_parent.tolist(), strict=True))
    waiting, found = [term for term, gene in rows if gene in genes], set()
    while waiting:
        term = waiting.pop()
        if term not in found:
            found.add(term)
            waiting += [parent for child, parent in edges if child == term]
    return found


@given(st.integers(0, 200), st.lists(st.integers(0, 11), max_size=4))
def test_as_a_walk_finds_them(seed: int, genes: list[int]) -> None:
    hierarchy = random_network(seed)
    found = reached_terms(hierarchy, genes)
    assert found.tolist() == sorted(walked(hierarchy, genes))
    by_level = terms_by_level(hierarchy, found)
    assert sum(by_level.values()) == len(found)
    assert all((hierarchy.level[found] == level).sum() == n for level, n in by_level.items())


def test_no_deletion_reaches_nothing() -> None:
    assert reached_terms(random_network(1), []).dtype == np.int64
    assert not len(reached_terms(random_network(1), []))
