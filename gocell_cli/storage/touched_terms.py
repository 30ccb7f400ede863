"""The terms that a deletion reaches: those that hold one of its genes, and all their ancestors."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64

from gocell_cli.csr import ranges
from gocell_cli.storage.schema import Hierarchy


def touched_terms(hierarchy: Hierarchy, genes: Sequence[int]) -> Int64[np.ndarray, " touched"]:
    """Return the terms, ascending, whose contained genes (direct ones and all descendants') include one of `genes`."""
    ptr, term = hierarchy.closure
    chosen = np.asarray(genes, dtype=np.int64)
    touched = np.zeros(len(hierarchy.term_ids), dtype=bool)
    touched[term[ranges(ptr[chosen], ptr[chosen + 1] - ptr[chosen])[1]]] = True
    return np.flatnonzero(touched)


def terms_by_level(hierarchy: Hierarchy, terms: Int64[np.ndarray, " terms"]) -> dict[int, int]:
    """Return how many of some terms each level has."""
    levels, counts = np.unique(hierarchy.level[terms], return_counts=True)
    return dict(zip(levels.tolist(), counts.tolist(), strict=True))
