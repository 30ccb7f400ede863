"""The teacher network, dense: every term's neurons for every genotype, from the definition, in float64."""

import numpy as np

from gocell_cli.domain.teacher import BIAS, GAIN, OWN, WIDTH
from gocell_cli.domain.term_hierarchy import TermHierarchy


def dense_growth_states(hierarchy: TermHierarchy, genotypes: list[set[int]], seed: int) -> np.ndarray:
    """The root's output; the same random numbers, drawn in the order that the teacher documents."""
    terms, n = len(hierarchy), len(genotypes)
    pairs = edges(hierarchy)
    children = [sorted(c for c, p in pairs if p == t) for t in range(terms)]
    genes: list[list[int]] = [[] for _ in range(terms)]
    for own, gene in sorted(rows(hierarchy)):
        genes[own].append(gene)
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

    root = next(t for t in range(terms) if all(c != t for c, _ in pairs))
    return state(root) @ np.random.default_rng((seed, terms)).normal(size=WIDTH)


def edges(hierarchy: TermHierarchy) -> list[tuple[int, int]]:
    return list(zip(hierarchy.edges.child.tolist(), hierarchy.edges.parent.tolist(), strict=True))


def rows(hierarchy: TermHierarchy) -> list[tuple[int, int]]:
    return list(zip(hierarchy.row_term.tolist(), hierarchy.row_gene.tolist(), strict=True))
