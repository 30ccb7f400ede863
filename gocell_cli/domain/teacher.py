"""A random DCell in NumPy, one term at a time, that invents a state of growth for every genotype of a population.

    z_t = b_t + sum_c W_tc h_c + sum_{deleted g} w_tg      h_t = (tanh(z_t) - tanh(b_t)) / sd_t

as Ma et al. 2018 (doi:10.1038/nmeth.4627) wire the cell, each term with WIDTH neurons. h is counted from the wild type,
so a term that a genotype does not touch is 0 there and only touched (term, genotype) pairs are computed. sd_t is taken
over the whole population and then a constant: a genotype's state depends on nothing but its genes.
"""

import numpy as np
from jaxtyping import Bool, Float64, Int32, Int64

from gocell_cli.domain.term_hierarchy import TermHierarchy

WIDTH = 4
GAIN = 1.0
"""Standard deviation of a term's z - b over the population, were its inputs independent: genes count as neurons do."""
BIAS = 0.7
OWN = 0.5
"""Genes of a term act alike: w_tg = a_t (1 + OWN times a normal number of the gene's own)."""


def growth_states(
    hierarchy: TermHierarchy, genotypes: Int32[np.ndarray, "n deletions"], seed: int
) -> Float64[np.ndarray, " n"]:
    """Return the root's output for each genotype (rows of distinct gene indices), in no unit.

    Directions are functions of the seed and the term's place, scales of the population too. Takes memory for the
    touched pairs of the terms whose parents are still to come: about 1 GB for 100,000 triple deletions.
    """
    children = _lists(hierarchy.edges.parent, hierarchy.edges.child, len(hierarchy))
    # parents that have still to read each term's state: at 0 it is let go, or all states would be held at once
    waiting = np.bincount(hierarchy.edges.child, minlength=len(hierarchy))
    population = _Population(hierarchy, genotypes)
    height = hierarchy.groupings["height"].level
    states: dict[int, tuple[Int64[np.ndarray, " _"], Float64[np.ndarray, "_ width"]]] = {}
    # the root is the highest: a path down to a leaf from any other term is longer when begun above it
    root = int(np.argmax(height))
    # height counts from the leaves, so every child has its state before a parent asks for it
    for term in np.argsort(height, kind="stable").tolist():
        # a stream for each term: its weights do not depend on how many numbers the terms before it drew
        rng = np.random.default_rng((seed, term))
        below = [states[child] for child in children[term]]
        states[term] = population.state(term, below, rng)
        for child in children[term]:
            waiting[child] -= 1
            if not waiting[child]:
                del states[child]
    rows, state = states[root]
    # a genotype that touches no term stays at the wild type, 0
    output = np.zeros(len(genotypes))
    output[rows] = state @ np.random.default_rng((seed, len(hierarchy))).normal(size=WIDTH)
    return output


class _Population:
    """The genotypes by gene, and room for one term's sums."""

    def __init__(self, hierarchy: TermHierarchy, genotypes: Int32[np.ndarray, "n deletions"]) -> None:
        n, deletions = genotypes.shape
        total = int(max(genotypes.max(), hierarchy.row_gene.max())) + 1
        self.samples = _lists(genotypes.ravel(), np.repeat(np.arange(n, dtype=np.int32), deletions), total)
        self.genes = _lists(hierarchy.row_term, hierarchy.row_gene, len(hierarchy))
        # the share of the population that deletes each gene
        self.share = np.bincount(genotypes.ravel(), minlength=total) / n
        # made once, and put back to 0 by each term where it was used
        self.sums = np.zeros((n, WIDTH))
        self.touched: Bool[np.ndarray, " n"] = np.zeros(n, dtype=bool)

    def state(
        self,
        term: int,
        below: list[tuple[Int64[np.ndarray, " _"], Float64[np.ndarray, "_ width"]]],
        rng: np.random.Generator,
    ) -> tuple[Int64[np.ndarray, " _"], Float64[np.ndarray, "_ width"]]:
        """Return the genotypes that touch a term, ascending, and its normalised neurons there."""
        genes = self.genes[term]
        bias, common = rng.normal(0, BIAS, WIDTH), rng.normal(0, 1, WIDTH)
        # drawn for all genes, deleted or not: another population keeps the same weights
        weights, own = rng.normal(size=(len(below), WIDTH, WIDTH)), rng.normal(0, OWN, (len(genes), WIDTH))
        deleted = self.share[genes] > 0
        scale = GAIN / np.sqrt(max(WIDTH * len(below) + int(deleted.sum()), 1))
        for (rows, state), weight in zip(below, weights, strict=True):
            self.sums[rows] += scale * (state @ weight)
            self.touched[rows] = True
        for gene, shift in zip(genes[deleted].tolist(), own[deleted], strict=True):
            rows = self.samples[gene]
            # divided by the SD of a gene's 0-or-1 column, a rare deletion moves a term as much as a neuron does; 0
            # where every genotype deletes the gene
            unit = np.sqrt(self.share[gene] * (1 - self.share[gene])) or 1.0
            self.sums[rows] += scale / unit * common * (1 + shift)
            self.touched[rows] = True
        rows = np.flatnonzero(self.touched)
        state = np.tanh(bias + self.sums[rows]) - np.tanh(bias)
        self.sums[rows], self.touched[rows] = 0.0, False
        return rows, state / self._deviation(state)

    def _deviation(self, state: Float64[np.ndarray, "rows width"]) -> Float64[np.ndarray, " width"]:
        """Over the whole population, whose other genotypes are at 0."""
        # over all genotypes: those without a row here add 0 to both sums; biased, for this is the whole population
        mean = state.sum(axis=0) / len(self.sums)
        variance = np.square(state).sum(axis=0) / len(self.sums) - np.square(mean)
        # np.where computes both sides: the floor keeps a variance rounded below 0 from a NaN and its warning
        found: np.ndarray = np.where(variance > 0, np.sqrt(np.maximum(variance, 1e-300)), 1.0)
        return found


def _lists(
    keys: Int32[np.ndarray, " pairs"], values: Int32[np.ndarray, " pairs"], total: int
) -> list[Int32[np.ndarray, " some"]]:
    """Return the values of each key from 0 to total - 1, in their order."""
    order = np.argsort(keys, kind="stable")
    return np.split(values[order], np.cumsum(np.bincount(keys, minlength=total))[:-1])
