"""Baselines that add: of the field's standing these are what a network must beat first.

mean            the training mean
query_mean      the training mean of the query group, shrunk to the mean
additive        intercept + one effect a gene
roles           intercept + an effect of each gene as query and one as array: a screen measures its queries all on the
                same plates, and its arrays beside another neighbour
multiplicative  additive on log(max(value, 0.01)), exponentiated: independent effects on fitness multiply
pair_ridge      additive + an effect of each pair of genes that several training samples delete, as a query pair is

All but the means are ridge regressions whose strength is chosen on the validation samples.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from gocell_cli.training.baselines.ridge import Ridge, fit_ridges
from gocell_cli.training.baselines.samples import (
    Fitted,
    Genotypes,
    Known,
    Labelled,
    NotApplicable,
    OneFit,
    Others,
    Settings,
    best_of,
)
from gocell_cli.training.extra import train_extra

with train_extra():
    from scipy.sparse import csr_matrix, hstack

STRENGTHS = (0.03, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""Ridge strengths tried, weights of the squared effects."""
QUERY_STRENGTHS = (0.0, 1.0, 10.0, 100.0)
"""Samples of the mean value that a query group is given besides its own."""
# A dead strain's fitness is 0 and noise goes below: neither has a logarithm.
LEAST_FITNESS = 0.01
POSITIVE = 0.98
"""Share of positive values from which a phenotype counts as a fitness: measured fitness goes a little below 0."""
LEAST_REPEATS = 2
"""Training samples from which on a pair of genes has an effect of its own."""


@dataclass(frozen=True)
class Mean:
    """The training mean, of everything."""

    mean: float
    settings: Settings

    def predict(self, genotypes: Genotypes) -> Float64[np.ndarray, " n"]:
        return np.full(len(genotypes), self.mean)


def mean(known: Known, others: Others) -> Fitted:
    """Fit `mean`."""
    del others
    return Mean(float(known.train.value.mean()), {})


@dataclass(frozen=True)
class QueryMean:
    """A mean for each query group, and one for what has none or an unknown one."""

    mean: float
    by_group: Float64[np.ndarray, " groups"]
    settings: Settings

    def predict(self, genotypes: Genotypes) -> Float64[np.ndarray, " n"]:
        group = genotypes.query
        known = (group >= 0) & (group < len(self.by_group))
        return np.where(known, self.by_group[np.where(known, group, 0)], self.mean)


def query_mean(known: Known, others: Others) -> Fitted:
    """Fit `query_mean`; raises NotApplicable where no training sample has a query group."""
    del others
    group, value = known.train.genotypes.query, known.train.value
    has = group >= 0
    if not has.any():
        raise NotApplicable("the samples have no query groups")
    overall = float(value.mean())
    counts, sums = np.bincount(group[has]), np.bincount(group[has], weights=value[has] - overall)
    tries = [QueryMean(overall, overall + sums / np.maximum(counts + s, 1), {"strength": s}) for s in QUERY_STRENGTHS]
    return best_of(tries, known.validation)


@dataclass(frozen=True)
class Additive:
    """Ridge on gene indicators, with those of roles beside them or not."""

    ridge: Ridge
    by_role: bool
    settings: Settings

    def predict(self, genotypes: Genotypes) -> Float64[np.ndarray, " n"]:
        return self.ridge.predict(role_features(genotypes, by_role=self.by_role))


def additive(known: Known, others: Others) -> Fitted:
    """Fit `additive`: of a gene never deleted in training the effect is 0."""
    del others
    return _fit_additive(known.train, known.validation, by_role=False)


def roles(known: Known, others: Others) -> Fitted:
    """Fit `roles`; raises NotApplicable where no training sample says which gene was the query's."""
    del others
    if not known.roles:
        raise NotApplicable("no sample says which of its genes were the query's and which the array's")
    return _fit_additive(known.train, known.validation, by_role=True)


def role_features(genotypes: Genotypes, *, by_role: bool) -> csr_matrix:
    """Gene indicators [n, genes], or [n, 2 genes]: each gene's share as query and its share as array.

    A deletion without a role counts as half of either.
    """
    if not by_role:
        return genotypes.matrix()
    share = np.where(np.isfinite(genotypes.array), genotypes.array, 0.5)
    shape = (len(genotypes), genotypes.total_genes)
    both = [csr_matrix((x, genotypes.genes, genotypes.gene_ptr), shape=shape) for x in (1 - share, share)]
    return hstack(both, format="csr")


def _fit_additive(train: Labelled, validation: Labelled, *, by_role: bool) -> Additive:
    x = role_features(train.genotypes, by_role=by_role)
    return _best_ridge(x, train, validation, lambda ridge, chosen: Additive(ridge, by_role, chosen))


def _best_ridge(
    x: csr_matrix, train: Labelled, validation: Labelled, made: Callable[[Ridge, Settings], OneFit]
) -> OneFit:
    """Fit features of the training samples with each strength; returns what is `made` of the best."""
    fits = fit_ridges(x, train.value, STRENGTHS)
    return best_of([made(fit, {"strength": s}) for fit, s in zip(fits, STRENGTHS, strict=True)], validation)


@dataclass(frozen=True)
class Multiplicative:
    """exp of an additive model of logarithms."""

    logs: Additive
    settings: Settings

    def predict(self, genotypes: Genotypes) -> Float64[np.ndarray, " n"]:
        found: np.ndarray = np.exp(self.logs.predict(genotypes))
        return found


def multiplicative(known: Known, others: Others) -> Fitted:
    """Fit `multiplicative`; raises NotApplicable where values are no fitness: not nearly all above 0, or classes."""
    del others
    if known.classes or np.isin(known.train.value, (0.0, 1.0)).all():
        raise NotApplicable("the labels are 0 and 1")
    if not (known.train.value > 0).mean() > POSITIVE:
        raise NotApplicable(f"not {POSITIVE:.0%} of the values are above 0, as those of a fitness are")
    train, validation = (Labelled(x.genotypes, logarithm(x.value)) for x in (known.train, known.validation))
    ways = (False, True) if known.roles else (False,)
    fits = [_fit_additive(train, validation, by_role=by_role) for by_role in ways]
    tries = [Multiplicative(fit, {**fit.settings, "roles": float(fit.by_role)}) for fit in fits]
    return best_of(tries, known.validation)


def logarithm(values: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """Return the logarithm of fitnesses, at least that of LEAST_FITNESS."""
    found: np.ndarray = np.log(np.maximum(values, LEAST_FITNESS))
    return found


@dataclass(frozen=True)
class PairRidge:
    """Additive, and an effect for each of some pairs of genes: `pairs` are lower * total_genes + higher, ascending."""

    ridge: Ridge
    pairs: Int64[np.ndarray, " pairs"]
    settings: Settings

    def predict(self, genotypes: Genotypes) -> Float64[np.ndarray, " n"]:
        return self.ridge.predict(_with_pairs(genotypes, self.pairs))


def pair_ridge(known: Known, others: Others) -> Fitted:
    """Fit `pair_ridge`; raises NotApplicable where no pair of genes is in two training samples."""
    del others
    keys, times = np.unique(_keys(known.train.genotypes)[1], return_counts=True)
    pairs = keys[times >= LEAST_REPEATS]
    if not len(pairs):
        raise NotApplicable("no pair of genes is deleted in two training samples: it would be the additive ridge")
    x = _with_pairs(known.train.genotypes, pairs)
    return _best_ridge(x, known.train, known.validation, lambda ridge, chosen: PairRidge(ridge, pairs, chosen))


def _keys(genotypes: Genotypes) -> tuple[Int64[np.ndarray, " pairs"], Int64[np.ndarray, " pairs"]]:
    owner, low, high = genotypes.pairs
    return owner, low.astype(np.int64) * genotypes.total_genes + high


def _with_pairs(genotypes: Genotypes, pairs: Int64[np.ndarray, " pairs"]) -> csr_matrix:
    owner, keys = _keys(genotypes)
    place = np.minimum(np.searchsorted(pairs, keys), len(pairs) - 1)
    there = pairs[place] == keys
    own = csr_matrix((np.ones(int(there.sum())), (owner[there], place[there])), shape=(len(genotypes), len(pairs)))
    return hstack([genotypes.matrix(), own], format="csr")
