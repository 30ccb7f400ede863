"""The teacher network, dense: every term's neurons for every genotype, from the definition, in float64."""

import numpy as np

from gocell_cli.domain.term_hierarchy import TermHierarchy
from gocell_cli.storage.schema import Hierarchy
from gocell_cli.teacher import BIAS, GAIN, OWN, WIDTH


def dense_growth_states(hierarchy: TermHierarchy, genotypes: list[set[int]], seed: int) -> np.ndarray:
    """The root's output; the same random numbers, drawn in the order that the teacher documents."""
    terms = len(hierarchy)
    children = set(hierarchy.edges.child.tolist())
    pairs = (hierarchy.edges.child, hierarchy.edges.parent), (hierarchy.row_term, hierarchy.row_gene)
    root = next(t for t in range(terms) if t not in children)
    return _states(terms, *pairs, genotypes, seed)[root] @ np.random.default_rng((seed, terms)).normal(size=WIDTH)


def dense_states(hierarchy: Hierarchy, genotypes: list[set[int]], seed: int) -> dict[int, np.ndarray]:
    """Every term's neurons for each genotype."""
    edges, rows = (hierarchy.edge_child, hierarchy.edge_parent), (hierarchy.row_term, hierarchy.row_gene)
    return _states(len(hierarchy.term_ids), edges, rows, genotypes, seed)


Pairs = tuple[np.ndarray, np.ndarray]


def _states(terms: int, edges: Pairs, rows: Pairs, genotypes: list[set[int]], seed: int) -> dict[int, np.ndarray]:
    n = len(genotypes)
    children = [sorted(edges[0][edges[1] == t].tolist()) for t in range(terms)]
    genes = [sorted(rows[1][rows[0] == t].tolist()) for t in range(terms)]
    states: dict[int, np.ndarray] = {}

    def state(term: int) -> np.ndarray:
        if term in states:
            return states[term]
        rng = np.random.default_rng((seed, term))
        bias, common = rng.normal(0, BIAS, WIDTH), rng.normal(0, 1, WIDTH)
        weights = rng.normal(size=(len(children[term]), WIDTH, WIDTH))
        own = rng.normal(0, OWN, (len(genes[term]), WIDTH))
        share = {g: sum(g in genotype for genotype in genotypes) / n for g in genes[term]}
        inputs = WIDTH * len(children[term]) + sum(s > 0 for s in share.values())
        z = np.zeros((n, WIDTH))
        for child, weight in zip(children[term], weights, strict=True):
            z += state(child) @ weight
        for gene, shift in zip(genes[term], own, strict=True):
            if share[gene] > 0:
                deleted = np.array([gene in genotype for genotype in genotypes], dtype=float)
                spread = deleted.std() or 1.0
                z += deleted[:, None] / spread * common * (1 + shift)
        h = np.tanh(bias + GAIN / np.sqrt(max(inputs, 1)) * z) - np.tanh(bias)
        spread = np.array([column.std() if column.std() > 1e-15 else 1.0 for column in h.T])
        states[term] = h / spread
        return states[term]

    for term in range(terms):
        state(term)
    return states
