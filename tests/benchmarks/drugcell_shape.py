"""A hierarchy of the shape of DrugCell's human ontology: its counts of terms, genes, edges, annotations and levels.

The real one is not at hand; parents and genes are drawn by a fixed seed, every term has one of each at least.
"""

import numpy as np

from gocell_cli.storage.schema import Hierarchy
from tests.hierarchies import make_network

TERMS, GENES, EDGES, ANNOTATIONS, LEVELS = 2_086, 3_008, 3_167, 59_753, 6
WIDTH = 6


def drugcell_shape(seed: int = 2020) -> Hierarchy:
    """Terms are numbered by level from the root, which is level 0; a parent is of the level above or any above it."""
    rng = np.random.default_rng(seed)
    inner = np.sort(rng.choice(np.arange(1, LEVELS), TERMS - LEVELS, p=np.array([1, 3, 6, 8, 9]) / 27))
    level = np.sort(np.concatenate([np.arange(LEVELS), inner]))
    first = np.searchsorted(level, np.arange(LEVELS + 1))
    edges = {(t, int(rng.integers(first[level[t] - 1], first[level[t]]))) for t in range(1, TERMS)}
    while len(edges) < EDGES:
        child = int(rng.integers(first[2], TERMS))
        edges.add((child, int(rng.integers(1, first[level[child]]))))
    rows = {(t, int(rng.integers(GENES))) for t in range(TERMS)}
    rows |= {(int(rng.integers(TERMS)), g) for g in range(GENES)}
    while len(rows) < ANNOTATIONS:
        rows.add((int(rng.integers(TERMS)), int(rng.integers(GENES))))
    return make_network(sorted(edges), sorted(rows), TERMS, GENES)
