"""Which pairs of terms interact, as between-pathway models draw them: by the screen, and by the wide part.

The screen: the mean, over the training pairs with a gene in either term, of what single effects leave of the sample,
and its interval (`dyads.py`). The wide part: a pair of genes (g, h) has from the terms s and t

    T_gs T_ht <z_s, D z_t>

of its phenotype, where s contains g and t contains h (`wide.py`); summed over the training pairs that is what it takes
two terms for. With s = t it is what a term says of pairs within it (Kelley and Ideker 2005, doi:10.1038/nbt1096). Terms
of the same screened genes are one.

A pair of terms stands clear where the end of its interval that is nearer to 0 is farther from it than chance goes, and
the wide part has its sign. Chance is the same screen with its genes drawn anew for the terms, whose sizes and overlaps
stay: of pairs of terms so far away no more than FALSE may be by it (significance analysis of microarrays, Tusher,
Tibshirani and Chu 2001, doi:10.1073/pnas.091062498). Samples that share genes, terms that share genes and long tails
are then in chance as they are in the screen.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float64, Int64

from gocell_cli.storage.schema import Hierarchy
from gocell_cli.training.baselines.factorisation import by_size
from gocell_cli.training.baselines.membership import memberships
from gocell_cli.training.baselines.samples import Genotypes, Labelled, NotApplicable, predicted, require_room
from gocell_cli.training.extra import train_extra
from gocell_cli.training.voices.dyads import LEAST_GENES, Dyads
from gocell_cli.training.voices.wide import Wide

with train_extra():
    from scipy.sparse import csr_matrix

HELD = 20
"""Matrices of terms x terms at once, sparse ones and pairs of terms as such."""
LEAST_PAIRS = 10
"""Training pairs that two terms must hold to be tested."""
FALSE = 0.05
"""Share of the pairs of terms that stand clear which may do so by chance."""
DRAWN, DRAWS = 1_000_000, (2, 40)
"""Pairs of terms that chance is counted over, in draws of genes for the terms: no fewer, and no more than so many."""
HOLDS = 0.8
"""Share of a term's screened genes from which on another term holds it: around it, or nearly the same."""
WITHIN, NESTED, OVERLAPPING, BETWEEN = "within", "nested", "overlapping", "between"
"""How the screened genes of two terms lie: one term, one set inside the other, in part the same, none shared."""


@dataclass(frozen=True)
class TermPairs:
    """Pairs of terms, that with the largest sure effect first: its numbers `first` <= `second`.

    `pairs`: training pairs with a gene in either. In the phenotype's unit and per training pair: `mean` of what single
    effects leave of it, with its standard `error`, `low` and `high` of its interval; and `share`, what the wide part
    gives the two terms of it.
    """

    first: Int64[np.ndarray, " n"]
    second: Int64[np.ndarray, " n"]
    pairs: Int64[np.ndarray, " n"]
    mean: Float64[np.ndarray, " n"]
    error: Float64[np.ndarray, " n"]
    low: Float64[np.ndarray, " n"]
    high: Float64[np.ndarray, " n"]
    share: Float64[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.first)

    def take(self, places: Int64[np.ndarray, " places"]) -> "TermPairs":
        """Return some of the pairs, in the order asked for."""
        return TermPairs(*(values[places] for values in vars(self).values()))


@dataclass(frozen=True)
class Tested:
    """The pairs of terms that stand clear; how many were `tested`, and how many were left out, and why.

    farther: than which chance does not go, in the phenotype's unit; inf where none stands clear. same_genes: terms that
    have another's screened genes. few_genes: terms of a single one, or none. too_few: pairs of the other terms with
    fewer training pairs than the least. against: pairs that would stand clear, but the wide part has the other sign.
    """

    clear: TermPairs
    tested: int
    farther: float
    same_genes: int
    few_genes: int
    too_few: int
    against: int


@dataclass(frozen=True)
class Terms:
    """Terms of the pairs that stand clear, that of the first pair first: its number, and in `pairs` of how many it is.

    `partner` is the term of the first of these.
    """

    term: Int64[np.ndarray, " n"]
    partner: Int64[np.ndarray, " n"]
    pairs: Int64[np.ndarray, " n"]

    @classmethod
    def of(cls, pairs: TermPairs) -> "Terms":
        """Take both sides of every pair; of s = t one."""
        other = pairs.first != pairs.second
        place = np.append(np.arange(len(pairs)), np.flatnonzero(other))
        term = np.append(pairs.first, pairs.second[other])
        partner = np.append(pairs.second, pairs.first[other])
        by_place = np.argsort(place, kind="stable")
        found, at, times = np.unique(term[by_place], return_index=True, return_counts=True)
        order = np.argsort(at, kind="stable")
        return cls(found[order], partner[by_place][at[order]], times[order])


def interacting_terms(fit: Wide, hierarchy: Hierarchy, train: Labelled, least_pairs: int = LEAST_PAIRS) -> Tested:
    """Find pairs of terms that interact by what the training samples say of pairs of genes, and by the wide part.

    Raises NotApplicable where the wide part has no vectors, no sample deletes two genes, or there is no room.
    """
    if fit.machine is None:
        raise NotApplicable("the wide part has single effects alone: pairs say no more than they do")
    dyads = Dyads.of(train.genotypes, train.value - predicted(fit.effects, train.genotypes))
    if not len(dyads.used):
        raise NotApplicable("no training sample deletes two genes")
    every = by_size(memberships(hierarchy))[dyads.used]
    one_of = _distinct(every)
    told = np.flatnonzero(one_of >= 0)
    here, place = np.unique(one_of[told], return_inverse=True)
    require_room(8.0 * HELD * len(told) ** 2, f"pairs of {len(told):,} terms")
    inside = every[:, here].astype(bool).astype(np.float64).tocsr()
    # what the wide part gives terms of the same genes is together what it gives the one that stands for them
    named = csr_matrix((np.ones(len(told)), (place, np.arange(len(told)))), shape=(len(here), len(told)))
    given = _given(fit.term_vector[told], fit.machine.signs, every[:, told], dyads.count)
    found = _tested(here, dyads, inside, named @ given @ named.T, least_pairs)
    return replace(found, same_genes=len(told) - len(here), few_genes=len(one_of) - len(told))


def _distinct(terms: csr_matrix) -> Int64[np.ndarray, " terms"]:
    """The first term, by number, with the same genes as each; -1 of terms with fewer than LEAST_GENES."""
    columns = terms.tocsc()
    columns.sort_indices()
    first: dict[bytes, int] = {}
    found = np.full(columns.shape[1], -1)
    for term in np.flatnonzero(np.diff(columns.indptr) >= LEAST_GENES).tolist():
        genes = columns.indices[columns.indptr[term] : columns.indptr[term + 1]].tobytes()
        found[term] = first.setdefault(genes, term)
    return found


def _given(
    z: Float64[np.ndarray, "terms rank"], signs: Float64[np.ndarray, " rank"], terms: csr_matrix, count: csr_matrix
) -> Float64[np.ndarray, "terms terms"]:
    """What the wide part gives every two terms of all training pairs, summed; of s = t in both orders, as of others."""
    found: np.ndarray = (terms.T @ (count + count.T) @ terms).toarray() * ((z * signs) @ z.T)
    return found


def _held(inside: csr_matrix, count: csr_matrix) -> Int64[np.ndarray, "terms terms"]:
    """How many training pairs have a gene in the one term and their other in the other, each pair once."""
    ordered = (inside.T @ (count + count.T) @ inside).toarray()
    # a pair with both genes in both terms stands there in both orders
    share = count.tocoo()
    twice = inside[share.row].multiply(inside[share.col]).tocsr()
    found: np.ndarray = np.rint(ordered - (twice.T @ twice.multiply(share.data[:, None])).toarray()).astype(np.int64)
    return found


def _tested(
    here: Int64[np.ndarray, " terms"],
    dyads: Dyads,
    inside: csr_matrix,
    given: Float64[np.ndarray, "terms terms"],
    least_pairs: int,
) -> Tested:
    pairs, means = _held(inside, dyads.count), dyads.block_means(inside)
    there = np.triu(pairs > 0)
    few = there & (pairs < least_pairs)
    asked = there & ~few & np.isfinite(means.error)
    sure = np.where(asked, means.sure(), 0.0)
    draws = int(np.clip(-(-DRAWN // max(int(asked.sum()), 1)), *DRAWS))
    chance = [_by_chance(dyads, inside, least_pairs, seed) for seed in range(draws)]
    farther = _farther(sure[asked], np.concatenate(chance), draws)
    far = sure >= farther
    agree = far & (means.mean * given > 0)
    first, second = np.nonzero(agree)
    at, reach, held = means.mean[agree], means.reach()[agree], pairs[agree]
    # of one term either order is the same pair
    share = given[agree] / np.where(first == second, 2, 1) / held
    found = TermPairs(here[first], here[second], held, at, means.error[agree], at - reach, at + reach, share)
    # stable: of equals the first are first wherever this runs
    clear = found.take(np.argsort(-sure[agree], kind="stable"))
    return Tested(clear, int(asked.sum()), farther, 0, 0, int(few.sum()), int(far.sum() - agree.sum()))


def _by_chance(dyads: Dyads, inside: csr_matrix, least_pairs: int, seed: int) -> Float64[np.ndarray, " pairs"]:
    """How far from 0 pairs of terms surely are where their genes are drawn at random, of those that are at all."""
    drawn = inside[np.random.default_rng(seed).permutation(inside.shape[0])]
    enough = np.triu(_held(drawn, dyads.count) >= least_pairs)
    sure = np.where(enough, dyads.block_means(drawn).sure(), 0.0)
    found: np.ndarray = sure[sure > 0]
    return found


def _farther(sure: Float64[np.ndarray, " tested"], chance: Float64[np.ndarray, " drawn"], draws: int) -> float:
    """The least sure effect of which no more than FALSE, among all as large, is chance; inf where there is none."""
    sizes = np.sort(sure[sure > 0])[::-1]
    # one more than were drawn: none in a few draws is not never
    by_chance = (len(chance) - np.searchsorted(np.sort(chance), sizes, side="left") + 1) / draws
    stand = np.flatnonzero(by_chance <= FALSE * np.arange(1, len(sizes) + 1))
    return float(sizes[stand[-1]]) if len(stand) else np.inf


@dataclass(frozen=True)
class ScreenedTerms:
    """Which screened genes every term contains, `inside` [genes, terms] of 0 and 1, and how many, `size` [terms]."""

    inside: csr_matrix
    size: Float64[np.ndarray, " terms"]

    @classmethod
    def of(cls, hierarchy: Hierarchy, train: Genotypes) -> "ScreenedTerms":
        """Take the genes of the training pairs: of others the screen says nothing, wherever terms have them."""
        _, low, high = train.pairs
        closure, genes = hierarchy.closure, np.unique(np.concatenate([low, high]))
        shape = (len(hierarchy.gene_names), len(hierarchy.term_ids))
        inside = csr_matrix((np.ones(len(closure.term)), closure.term, closure.ptr), shape=shape)[genes]
        return cls(inside, np.asarray(inside.sum(axis=0)).ravel())

    def shared(self, term: int) -> Float64[np.ndarray, " terms"]:
        """Return how many screened genes each term has in common with this one."""
        found: np.ndarray = self.inside.T @ self.inside[:, [term]].toarray().ravel()
        return found

    def holding(self, term: int) -> Bool[np.ndarray, " terms"]:
        """Return the terms that hold this one: HOLDS of its screened genes, or more; itself among them."""
        found: np.ndarray = self.shared(term) >= HOLDS * max(self.size[term], 1.0)
        return found

    def within(self, term: int) -> Bool[np.ndarray, " terms"]:
        """Return the terms that lie within this one: HOLDS of their screened genes, or more; itself among them."""
        found: np.ndarray = self.shared(term) >= HOLDS * np.maximum(self.size, 1.0)
        return found

    def relation(self, first: int, second: int) -> str:
        """Return how the screened genes of two terms lie: one of the four words above."""
        shared = float(self.shared(first)[second])
        if first == second or shared == 0:
            return WITHIN if first == second else BETWEEN
        return NESTED if shared == min(self.size[first], self.size[second]) else OVERLAPPING


def told_apart(pairs: TermPairs, terms: ScreenedTerms, most: int) -> tuple[Int64[np.ndarray, " shown"], int]:
    """Return the places of the first `most` pairs that differ from those before them, and how many were passed over.

    A pair is passed over where its terms hold those of a pair before it, one each: then it is a wider, weaker
    description of the same training pairs, or of terms that no deletion of the screen tells apart. So is one whose
    terms lie within those of a pair before it, unless its effect is larger: then it says where in them the interaction
    lies. (By a Jaccard index of 0.8 on both sides alone, the first 15 pairs of Collins 2007 were two complexes under 15
    names.)
    """
    left = np.ones(len(pairs), dtype=bool)
    shown: list[int] = []
    while len(shown) < most and left.any():
        place = int(left.argmax())
        one, other = (terms.holding(int(term)) for term in (pairs.first[place], pairs.second[place]))
        left &= ~(one[pairs.first] & other[pairs.second] | other[pairs.first] & one[pairs.second])
        one, other = (terms.within(int(term)) for term in (pairs.first[place], pairs.second[place]))
        inside = one[pairs.first] & other[pairs.second] | other[pairs.first] & one[pairs.second]
        left &= ~(inside & (np.abs(pairs.mean) <= abs(pairs.mean[place])))
        left[place] = False  # a term without a screened gene holds not even itself
        shown.append(place)
    passed = shown[-1] + 1 - len(shown) if shown else 0
    return np.array(shown, dtype=np.int64), passed
