"""Nearest neighbours by GO: a gene behaves as the genes of its terms do, whether or not it was ever deleted before.

    effect(a)      ~ sum over a' of s(a, a')^p effect(a') / (sum of s(a, a')^p + c)
    residual(a, b) ~ sum over a', b' of s(a, a')^p s(b, b')^p residual(a', b') / (the same sum of weights + c)

s is the cosine of the terms that contain two genes (`membership.py`), a' are the k training genes nearest to a, a
itself among them. A gene that training deletes keeps its own effect. Exponent p, k and c are chosen on the validation
samples; and then, for the pairs, whether of a gene that training deletes its neighbours count less than it does, and
whether residuals are mixed with what the genes of like interaction profiles say (`profile_neighbours`), which is there
for pairs that nobody measured too. Of a gene never deleted beside a known one that is worth 0.02 in r (Collins 2007).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from jaxtyping import Bool, Float64, Int32, Int64

from gocell_cli.training.baselines.membership import alike, memberships_of
from gocell_cli.training.baselines.neighbours import Nearest, Neighbours
from gocell_cli.training.baselines.pair_matrix import pair_matrix
from gocell_cli.training.baselines.samples import (
    Fitted,
    Genotypes,
    Known,
    NotApplicable,
    Others,
    Settings,
    best_of,
    unmeasured,
)
from gocell_cli.training.extra import train_extra

with train_extra():
    from scipy.sparse import csr_matrix, diags

NEIGHBOURS = (10, 30, 100)
EXPONENTS = (1.0, 2.0, 4.0)
SHRINKS = (0.03, 0.1, 0.3)
"""Weights of a residual of 0 beside the neighbours': 1 is that of a gene exactly alike, of a pair their product."""
BESIDE = (0.3, 0.0)
"""What a known gene's neighbours may count beside itself, as shares of what they do for a gene that is not known."""
MIXED = 0.5
"""Weight of a pair's own residual beside what its genes' profiles say of it."""


@dataclass(frozen=True)
class GoNeighbours:
    """The additive baseline; of genes it does not know their neighbours' mean effect; and neighbours' residuals.

    `weights` [genes, training genes] are s^p of the nearest.
    """

    base: Fitted
    effect: Float64[np.ndarray, " genes"]
    weights: csr_matrix
    shrink: float
    pairs: "PairWeights | None"
    settings: Settings

    def predict(self, genotypes: Genotypes) -> Float64[np.ndarray, " n"]:
        found: np.ndarray = self.base.predict(genotypes) + genotypes.matrix() @ self.effect
        if self.pairs is not None:
            double = np.flatnonzero(genotypes.order == 2)
            a, b = (genotypes.genes[genotypes.gene_ptr[double] + i] for i in (0, 1))
            found[double] += self.pairs.estimate(self.weights, a, b, self.shrink)
        return found


@dataclass(frozen=True)
class PairWeights:
    """Residuals of training pairs [training genes, training genes] and where there are any."""

    residual: Float64[np.ndarray, "known known"]
    seen: Float64[np.ndarray, "known known"]

    def mixed(self, profiles: Neighbours, genes: Int64[np.ndarray, " known"]) -> "PairWeights":
        """Residuals mixed with what profiles say of these genes' pairs, which is all there is of pairs not measured."""
        place = profiles.matrix.unit_of_gene[genes]
        there = (place >= 0)[:, None] & (place >= 0)[None, :]
        said = np.where(there, profiles.estimate[np.ix_(place, place)], 0.0)
        return PairWeights(
            np.where(self.seen > 0, MIXED * self.residual + (1 - MIXED) * said, said), there.astype(float)
        )

    def estimate(
        self, weights: csr_matrix, a: Int32[np.ndarray, " n"], b: Int32[np.ndarray, " n"], shrink: float
    ) -> Float64[np.ndarray, " n"]:
        """Return what the neighbours of each pair's genes say of it."""
        used, place = np.unique(np.concatenate([a, b]), return_inverse=True)
        first, second = np.split(place, 2)
        own = weights[used]
        top, bottom = ((own @ (own @ matrix).T).T[first, second] for matrix in (self.residual, self.seen))
        found: np.ndarray = top / (bottom + shrink)
        return found


def go_neighbours(known: Known, others: Others) -> Fitted:
    """Fit `go_neighbours`; raises NotApplicable where no term of the hierarchy tells genes apart."""
    base, effect, trained = _effects(known, others)
    genes = np.flatnonzero(trained)
    terms = memberships_of(known)
    if not terms.nnz or not np.any(terms.data):
        raise NotApplicable("no term of the hierarchy tells genes apart")
    similarity = alike(terms, np.arange(known.train.genotypes.total_genes), genes)
    ranked = Nearest.of(similarity, max(NEIGHBOURS))
    pairs = _pair_weights(known, others, genes)
    best: list[GoNeighbours] = []
    for k in NEIGHBOURS:
        for exponent, shrink in product(EXPONENTS, SHRINKS):
            weights = ranked.weights(k, exponent)
            total = np.asarray(weights.sum(axis=1)).ravel()
            said = np.where(trained, 0.0, weights @ effect[genes] / (total + shrink))
            settings = {"neighbours": float(k), "exponent": exponent, "shrink": shrink}
            best = [best_of([*best, GoNeighbours(base, said, weights, shrink, pairs, settings)], known.validation)]
    return best_of([best[0], *_of_known_genes(best[0], genes, others)], known.validation)


def _of_known_genes(found: GoNeighbours, genes: Int64[np.ndarray, " known"], others: Others) -> Iterator[GoNeighbours]:
    """The same neighbours, where a known gene stands more for itself and its profile tells more of its pairs."""
    profiles = others("profile_neighbours") if found.pairs is not None else None
    if found.pairs is None or not isinstance(profiles, Neighbours):
        return
    tables = {0.0: found.pairs, 1.0: found.pairs.mixed(profiles, genes)}
    for share in BESIDE:
        weights = _itself(found.weights, genes, share)
        for (mixed, pairs), shrink in product(tables.items(), SHRINKS):
            settings = {**found.settings, "shrink": shrink, "beside": share, "profiles": mixed}
            yield replace(found, weights=weights, shrink=shrink, pairs=pairs, settings=settings)


def _itself(weights: csr_matrix, genes: Int64[np.ndarray, " known"], share: float) -> csr_matrix:
    """The weights, of known genes times `share`, and 1 for each of these itself."""
    scale = np.ones(weights.shape[0])
    scale[genes] = share
    less = (diags(scale) @ weights).tocsr()
    place = np.arange(len(genes))
    own = np.asarray(less[genes, place]).ravel()
    return (less + csr_matrix((1 - own, (genes, place)), shape=weights.shape)).tocsr()


def _effects(known: Known, others: Others) -> tuple[Fitted, Float64[np.ndarray, " genes"], Bool[np.ndarray, " genes"]]:
    """The additive baseline, its effect of each gene, and which genes training deletes."""
    base = others("additive")
    total = known.train.genotypes.total_genes
    trained = np.zeros(total, dtype=bool)
    trained[known.train.genotypes.genes] = True
    single = unmeasured(np.arange(total + 1), np.arange(total, dtype=np.int32), total)
    none = unmeasured(np.zeros(2, dtype=np.int64), np.zeros(0, np.int32), total)
    return base, base.predict(single) - base.predict(none)[0], trained


def _pair_weights(known: Known, others: Others, genes: Int64[np.ndarray, " known"]) -> PairWeights | None:
    """Residuals of pairs by training gene, None where no training sample deletes two genes."""
    try:
        matrix = pair_matrix(known, others)
    except NotApplicable:
        return None
    place = matrix.unit_of_gene[genes]
    # a gene in no pair (-1) has a row of zeros
    there = (place >= 0)[:, None] & (place >= 0)[None, :]
    residual, seen = (np.where(there, m[np.ix_(place, place)], 0.0) for m in (matrix.residual, matrix.seen))
    return PairWeights(residual, seen)
