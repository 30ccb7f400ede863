"""The terms that a deletion reaches, against a walk up the hierarchy term by term."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gocell_cli.storage.schema import Hierarchy
from gocell_cli.storage.touched_terms import terms_by_level, touched_terms
from tests.training.networks import random_network


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


@settings(deadline=None)
@given(st.integers(0, 200), st.lists(st.integers(0, 11), max_size=4))
def test_as_a_walk_finds_them(seed: int, genes: list[int]) -> None:
    hierarchy = random_network(seed)
    found = touched_terms(hierarchy, genes)
    assert found.tolist() == sorted(walked(hierarchy, genes))
    by_level = terms_by_level(hierarchy, found)
    assert sum(by_level.values()) == len(found)
    assert all((hierarchy.level[found] == level).sum() == n for level, n in by_level.items())


def test_no_deletion_reaches_nothing() -> None:
    assert touched_terms(random_network(1), []).dtype == np.int64
    assert not len(touched_terms(random_network(1), []))
