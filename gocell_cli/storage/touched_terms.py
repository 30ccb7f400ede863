"""The terms that a deletion reaches: those that hold one of its genes, and all their ancestors."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64

from gocell_cli.storage.schema import Hierarchy


def touched_terms(hierarchy: Hierarchy, genes: Sequence[int]) -> Int64[np.ndarray, " touched"]:
    """Return the terms, ascending, whose contained genes (direct ones and all descendants') include one of `genes`."""
    touched = np.zeros(len(hierarchy.term_ids), dtype=bool)
    touched[hierarchy.row_term[np.isin(hierarchy.row_gene, np.asarray(genes, dtype=np.int64))]] = True
    below = hierarchy.height[hierarchy.edge_child]
    for height in range(int(below.max(initial=-1)) + 1):  # children first: a child is final before it is read
        here = below == height
        reached = touched[hierarchy.edge_child[here]]
        touched[hierarchy.edge_parent[here][reached]] = True
    return np.flatnonzero(touched)


def terms_by_level(hierarchy: Hierarchy, terms: Int64[np.ndarray, " terms"]) -> dict[int, int]:
    """Return how many of some terms each level has."""
    levels, counts = np.unique(hierarchy.level[terms], return_counts=True)
    return dict(zip(levels.tolist(), counts.tolist(), strict=True))
