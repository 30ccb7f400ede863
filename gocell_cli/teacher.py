"""A random DCell in NumPy, one term at a time, that invents a state of growth for every genotype of a population.

    z_t = b_t + sum_c W_tc h_c + sum_{deleted g} w_tg      h_t = (tanh(z_t) - tanh(b_t)) / sd_t

as Ma et al. 2018 (doi:10.1038/nmeth.4627) wire the cell, each term with WIDTH neurons. h is counted from the wild type,
so a term that a genotype does not touch is 0 there and only touched (term, genotype) pairs are computed. sd_t is taken
over the whole population and then a constant: a genotype's state depends on nothing but its genes.

A pure function of a hierarchy's arrays, the genotypes and the seed, as a control is: who simulates a data set and who
asks a network what it learnt of one make the same teacher.
"""

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int32, Int64

from gocell_cli.controls import Wiring
from gocell_cli.dcell_rules import longest_paths
from gocell_cli.errors import UsageError

WIDTH = 4
GAIN = 1.0
"""Standard deviation of a term's z - b over the population, were its inputs independent: genes count as neurons do."""
BIAS = 0.7
OWN = 0.5
"""Genes of a term act alike: w_tg = a_t (1 + OWN times a normal number of the gene's own)."""


class TermState(NamedTuple):
    """A term, the genotypes that touch it, ascending, and its normalised neurons there; 0 for all others."""

    term: int
    rows: Int64[np.ndarray, " rows"]
    state: Float64[np.ndarray, "rows width"]


class Signal(NamedTuple):
    """Noiseless values of mean 0 and variance 1, and the share of the teacher's output that no additive model has."""

    values: Float64[np.ndarray, " n"]
    teacher_epistasis: float


def term_states(
    wiring: Wiring, terms: int, genotypes: Int32[np.ndarray, "n deletions"], seed: int
) -> Iterator[TermState]:
    """Yield every term's activity for all genotypes (rows of distinct gene indices), children first, the root last.

    Directions are functions of the seed and the term's place, scales of the population too. Takes memory for the
    touched pairs of the terms whose parents are still to come: about 1 GB for 100,000 triple deletions.
    """
    children = _lists(wiring.edge_parent, wiring.edge_child, terms)
    # parents that have still to read each term's state: at 0 it is let go, or all states would be held at once
    waiting = np.bincount(wiring.edge_child, minlength=terms)
    population = _Population(wiring, terms, genotypes)
    # the longest path to a leaf: every child has its state before a parent asks for it, and the root is the highest
    height = longest_paths(terms, wiring.edge_parent, wiring.edge_child)[0]
    order, root = np.argsort(height, kind="stable"), np.argmax(height)
    states: dict[int, TermState] = {}
    for term in np.append(order[order != root], root).tolist():
        # a stream for each term: its weights do not depend on how many numbers the terms before it drew
        rng = np.random.default_rng((seed, term))
        states[term] = TermState(term, *population.state(term, [states[child] for child in children[term]], rng))
        for child in children[term]:
            waiting[child] -= 1
            if not waiting[child]:
                del states[child]
        yield states[term]


def output_of(root: TermState, terms: int, n: int, seed: int) -> Float64[np.ndarray, " n"]:
    """Return the teacher's output for each of n genotypes, in no unit, by the state of its root."""
    # a genotype that touches no term stays at the wild type, 0
    output = np.zeros(n)
    output[root.rows] = root.state @ np.random.default_rng((seed, terms)).normal(size=WIDTH)
    return output


def growth_states(
    wiring: Wiring, terms: int, genotypes: Int32[np.ndarray, "n deletions"], seed: int
) -> Float64[np.ndarray, " n"]:
    """Return the teacher's output for each genotype, in no unit; memory as `term_states` takes it."""
    *_, root = deque(term_states(wiring, terms, genotypes, seed), maxlen=1)
    return output_of(root, terms, len(genotypes), seed)


def signal_of(
    output: Float64[np.ndarray, " n"], genotypes: Int32[np.ndarray, "n deletions"], epistasis: float
) -> Signal:
    """Return the values that a teacher's output makes: sqrt(1 - epistasis) additive + sqrt(epistasis) residual.

    Raises UsageError where the output has no variance to share out.
    """
    centred = output - output.mean()
    additive = additive_part(centred, genotypes)
    residual = centred - additive
    # a residual that is rounding alone would be blown up to variance 1 and sold as epistasis
    if additive.std() == 0 or (epistasis and residual.std() < 1e-9 * additive.std()):
        raise UsageError("the teacher's output has no variance to share out", hint="another --seed, a larger --panel")
    signal = np.sqrt(1 - epistasis) * additive / additive.std()
    if epistasis:
        signal += np.sqrt(epistasis) * residual / residual.std()
    return Signal(signal - signal.mean(), float(residual.var() / centred.var()))


def additive_part(
    values: Float64[np.ndarray, " n"], genotypes: Int32[np.ndarray, "n deletions"]
) -> Float64[np.ndarray, " n"]:
    """Return the least-squares fit of one effect a gene; an intercept is within it, for all have as many deletions."""
    used, place = np.unique(genotypes, return_inverse=True)
    place = place.reshape(genotypes.shape)
    n = len(used)
    # gram[a, b]: genotypes that delete both a and b (the normal equations' X'X), flat, so that bincount can sum it
    gram = np.zeros(n * n)
    for one in place.T:
        for other in place.T:
            gram += np.bincount(one * n + other, minlength=n * n)
    right = sum(np.bincount(column, weights=values, minlength=n) for column in place.T)
    # the smallest ridge that keeps genes always deleted together solvable
    effects = np.linalg.solve(gram.reshape(n, n) + 1e-9 * np.eye(n), right)
    fit: np.ndarray = effects[place].sum(axis=1)
    return fit


class _Population:
    """The genotypes by gene, and room for one term's sums."""

    def __init__(self, wiring: Wiring, terms: int, genotypes: Int32[np.ndarray, "n deletions"]) -> None:
        n, deletions = genotypes.shape
        total = int(max(genotypes.max(), wiring.row_gene.max())) + 1
        self.samples = _lists(genotypes.ravel(), np.repeat(np.arange(n, dtype=np.int32), deletions), total)
        self.genes = _lists(wiring.row_term, wiring.row_gene, terms)
        # the share of the population that deletes each gene
        self.share = np.bincount(genotypes.ravel(), minlength=total) / n
        # made once, and put back to 0 by each term where it was used
        self.sums = np.zeros((n, WIDTH))
        self.touched: Bool[np.ndarray, " n"] = np.zeros(n, dtype=bool)

    def state(
        self,
        term: int,
        below: list[TermState],
        rng: np.random.Generator,
    ) -> tuple[Int64[np.ndarray, " _"], Float64[np.ndarray, "_ width"]]:
        """Return the genotypes that touch a term, ascending, and its normalised neurons there."""
        genes = self.genes[term]
        bias, common = rng.normal(0, BIAS, WIDTH), rng.normal(0, 1, WIDTH)
        # drawn for all genes, deleted or not: another population keeps the same weights
        weights, own = rng.normal(size=(len(below), WIDTH, WIDTH)), rng.normal(0, OWN, (len(genes), WIDTH))
        deleted = self.share[genes] > 0
        scale = GAIN / np.sqrt(max(WIDTH * len(below) + int(deleted.sum()), 1))
        for child, weight in zip(below, weights, strict=True):
            self.sums[child.rows] += scale * (child.state @ weight)
            self.touched[child.rows] = True
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
