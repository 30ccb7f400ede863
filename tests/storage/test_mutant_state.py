"""Deleted genes -> [term, gene, level, state], against the obvious loop."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gocell_cli.building.plan import BuildPlan
from gocell_cli.storage.mutant_state import gene_state, mutant_state, places_at_zero
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
    state = gene_state(hierarchy, *as_arrays(genotypes))
    np.testing.assert_array_equal(state, mutant_state(hierarchy, *as_arrays(genotypes))[:, :, 3])


@given(drawings())
def test_places_at_zero_list_each_deletions_rows(drawn: dict) -> None:
    hierarchy, genotypes = bare_hierarchy(*drawn["hierarchy"]), drawn["genotypes"]
    places = places_at_zero(hierarchy, *as_arrays(genotypes))
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
