"""A factorisation machine on genes and terms (Rendle 2010, doi:10.1109/ICDM.2010.127).

    y = mu + sum of w_g + sum over pairs of deleted genes of <v_g, D v_h>
    w = F beta,   v = F Z,   F = [gene indicator | the terms that contain the gene, by 1 / sqrt(their number of genes)]

so a gene is its own vector plus those of its terms, and one that training never deletes has its terms'. All deletion
orders are one model: a single deletion has no pair, a triple one three. D is 1 for half of the factors and -1 for the
other half: without it genes of one term could only raise each other's phenotype (on Collins 2007's random split r was
0.34 so, and 0.63 with it). Fitted by Adam, all samples a step; the weight of a gene's own indicator, the penalty and
the number of steps are chosen on the validation samples.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from gocell_cli.training.baselines.membership import memberships_of
from gocell_cli.training.baselines.samples import (
    Fitted,
    Genotypes,
    Known,
    Labelled,
    Others,
    Settings,
    best_of,
    require_room,
)
from gocell_cli.training.extra import train_extra

with train_extra():
    from scipy.sparse import csr_matrix, diags, hstack

RANK = 48
OWN = (0.3, 1.0)
"""Weights of a gene's own indicator beside its terms, whose squares add up to 1."""
PENALTIES = (5.0, 15.0, 45.0)
"""Of the squared numbers of Z, in units of the labels' variance."""
LINEAR_PENALTY = 0.1
"""Of beta, as a share of Z's: there are `rank` times fewer numbers."""
STEPS, CHECKED = 90, 15
"""Of Adam, and after how many of them the validation samples are asked again."""
RATE, LATE_RATE, LATE = 0.03, 0.01, 54
"""Of Adam, in standard deviations of the labels: later steps are shorter."""
DENSE = 0.05
"""Share of all pairs of genes from which products are computed for all of them: one matrix product is faster."""


@dataclass(frozen=True)
class Machine:
    """A fitted machine: the effect and the vector of every gene."""

    intercept: float
    effect: Float64[np.ndarray, " genes"]
    vector: Float64[np.ndarray, "genes rank"]
    signs: Float64[np.ndarray, " rank"]
    settings: Settings

    def predict(self, genotypes: Genotypes) -> Float64[np.ndarray, " n"]:
        x = genotypes.matrix()
        # the sum over pairs is half of what the squared sum has more than the sum of squares
        pairs = (np.square(x @ self.vector) - x @ np.square(self.vector)) @ self.signs / 2
        found: np.ndarray = self.intercept + x @ self.effect + pairs
        return found


def factorisation(known: Known, others: Others) -> Fitted:
    """Fit `factorisation`; there is always one: without pairs it is a ridge regression on genes and terms."""
    del others
    problem = Problem.of(known.train)
    # an even number, half of either sign
    rank = RANK if len(problem.pair) else 0
    terms = terms_by_size(known)
    room = 8.0 * 8 * (rank + 1) * sum(terms.shape) + 8.0 * 3 * len(problem.used) ** 2 * problem.dense
    require_room(room, f"a machine of {sum(terms.shape):,} genes and terms at rank {rank}")
    best: list[Machine] = []
    for own in OWN:
        features = hstack([own * diags(np.ones(terms.shape[0])), terms], format="csr")
        for penalty in PENALTIES:
            for machine in _machines(problem, features, rank, penalty, own, known):
                best = [best_of([*best, machine], known.validation)]
    return best[0]


def terms_by_size(known: Known) -> csr_matrix:
    """Return `by_size` of what is known, made once."""
    found: csr_matrix = known.once("terms by size", lambda: by_size(memberships_of(known)))
    return found


def by_size(terms: csr_matrix) -> csr_matrix:
    """Return each gene's terms [genes, terms] weighted by 1 / sqrt(number of genes), rows of length 1 or 0.

    By information content, whose weights differ less, r on Collins 2007's validation part is 0.014 to 0.022 lower, of
    random pairs and, three splits, of unseen genes.
    """
    size = np.bincount(terms.indices, minlength=terms.shape[1])
    found = csr_matrix((size[terms.indices] ** -0.5, terms.indices, terms.indptr), shape=terms.shape)
    length = np.sqrt(np.asarray(found.multiply(found).sum(axis=1)).ravel())
    found.data = found.data / np.repeat(length, np.diff(found.indptr))
    return found


@dataclass(frozen=True)
class Problem:
    """Training samples for the machine: gene indicators `x`, and each distinct `pair` of genes, `q` [n, pairs].

    Labels `y` have mean 0, and `unit` as their own unit.
    """

    x: csr_matrix
    q: csr_matrix
    y: Float64[np.ndarray, " n"]
    unit: float
    pair: Int64[np.ndarray, "pairs 2"]
    used: Int64[np.ndarray, " used"]

    @classmethod
    def of(cls, train: Labelled) -> "Problem":
        """Number the genes and pairs in use."""
        used = np.unique(train.genotypes.genes).astype(np.int64)
        place = np.zeros(train.genotypes.total_genes, dtype=np.int64)
        place[used] = np.arange(len(used))
        owner, low, high = train.genotypes.pairs
        keys, number = np.unique(place[low] * len(used) + place[high], return_inverse=True)
        q = csr_matrix((np.ones(len(owner)), (owner, number)), shape=(len(train), len(keys)))
        pair = np.stack([keys // max(len(used), 1), keys % max(len(used), 1)], axis=1)
        unit = float(train.value.std()) or 1.0
        y = (train.value - train.value.mean()) / unit
        return cls(train.genotypes.matrix()[:, used], q, y, unit, pair, used)

    @property
    def dense(self) -> bool:
        """Whether products of all pairs of genes cost less than those in use alone."""
        return len(self.pair) > DENSE * len(self.used) ** 2 / 2

    def products(
        self, v: Float64[np.ndarray, "used rank"], signs: Float64[np.ndarray, " rank"]
    ) -> Float64[np.ndarray, " pairs"]:
        """<v_g, D v_h> of every pair."""
        a, b = self.pair.T
        signed = v * signs
        found: np.ndarray = (signed @ v.T)[a, b] if self.dense else np.einsum("pr,pr->p", signed[a], v[b])
        return found

    def pulled(
        self, error: Float64[np.ndarray, " pairs"], v: Float64[np.ndarray, "used rank"]
    ) -> Float64[np.ndarray, "used rank"]:
        """Gradient of sum(error * products) by v, the signs left out."""
        a, b = self.pair.T
        n = len(self.used)
        both = csr_matrix((np.concatenate([error, error]), (np.append(a, b), np.append(b, a))), shape=(n, n))
        found: np.ndarray = (both.toarray() if self.dense else both) @ v
        return found


def _machines(
    problem: Problem, features: csr_matrix, rank: int, penalty: float, own: float, known: Known
) -> Iterator[Machine]:
    """The machine every CHECKED steps."""
    for step, z, signs in descent(problem, features, rank, penalty, known.seed):
        found = features @ z
        settings = {"rank": float(rank), "own": own, "penalty": penalty, "steps": float(step)}
        effect, vector = problem.unit * found[:, 0], problem.unit**0.5 * found[:, 1:]
        yield Machine(float(known.train.value.mean()), effect, vector, signs, settings)


def descent(
    problem: Problem, features: csr_matrix, rank: int, penalty: float, seed: int, steps: int = STEPS
) -> Iterator[tuple[int, Float64[np.ndarray, "features numbers"], Float64[np.ndarray, " rank"]]]:
    """Yield (step, [beta | Z] in the labels' unit, D) every CHECKED steps on the way to the least squares.

    Features that no training sample has are 0 throughout.
    """
    here = features[problem.used].tocsc()
    reached = np.flatnonzero(np.diff(here.indptr))
    here = here[:, reached].tocsr()
    back = here.T.tocsr()
    signs = np.where(np.arange(rank) % 2 == 0, 1.0, -1.0)
    z = np.zeros((len(reached), rank + 1))
    # vectors of 0 have no gradient; with these a pair's product is a tenth of the labels' unit
    z[:, 1:] = np.random.default_rng(seed).normal(size=(len(reached), rank)) / 3 / max(rank, 1) ** 0.5
    penalties = penalty * np.append(LINEAR_PENALTY, np.ones(rank))
    first, second = np.zeros_like(z), np.zeros_like(z)
    for step in range(1, steps + 1):
        gradient = back @ _gradient(problem, here @ z, signs) + penalties * z
        first, second = 0.9 * first + 0.1 * gradient, 0.99 * second + 0.01 * gradient**2
        rate = RATE if step <= LATE else LATE_RATE
        z -= rate * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.99**step)) + 1e-8)
        if step % CHECKED == 0:
            whole = np.zeros((features.shape[1], rank + 1))
            whole[reached] = z
            yield step, whole, signs


def _gradient(
    problem: Problem, found: Float64[np.ndarray, "used numbers"], signs: Float64[np.ndarray, " rank"]
) -> Float64[np.ndarray, "used numbers"]:
    """Gradient of half the squared errors by [effect | vector] of each gene in use."""
    effect, v = found[:, 0], found[:, 1:]
    error = problem.x @ effect - problem.y
    if len(signs):
        error = error + problem.q @ problem.products(v, signs)
    gradient = np.empty_like(found)
    gradient[:, 0] = problem.x.T @ error
    if len(signs):
        gradient[:, 1:] = problem.pulled(problem.q.T @ error, v) * signs
    return gradient
