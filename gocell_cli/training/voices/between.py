"""What the wide part says of terms: which pairs of them interact, as between-pathway models draw it.

A pair of genes (g, h) has from the terms s and t  T_gs T_ht <z_s, D z_t>  of its phenotype, where s contains g and t
contains h (`wide.py`). Summed over the training pairs that is what two terms say of the screen: positive where
deletions in both make the phenotype larger than their single effects do, negative where smaller. With s = t it is what
a term says of pairs within it (Kelley and Ideker 2005, doi:10.1038/nbt1096).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from gocell_cli.storage.schema import Hierarchy
from gocell_cli.training.baselines.factorisation import by_size
from gocell_cli.training.baselines.membership import memberships
from gocell_cli.training.baselines.samples import Genotypes, NotApplicable, require_room
from gocell_cli.training.extra import train_extra
from gocell_cli.training.voices.wide import Wide

with train_extra():
    from scipy.sparse import csr_matrix

HELD = 10
"""Matrices of terms x terms at once, sparse ones and pairs of terms as such: 8 of 3,793 terms, Collins 2007."""
LEAST_PAIRS = 10
"""Training pairs that two terms must hold to be ranked."""
HOLDS = 0.8
"""Share of a term's screened genes from which on another term holds it: around it, or nearly the same."""
WITHIN, NESTED, OVERLAPPING, BETWEEN = "within", "nested", "overlapping", "between"
"""How the screened genes of two terms lie: one term, one set inside the other, in part the same, none shared."""


@dataclass(frozen=True)
class TermPairs:
    """Pairs of terms, the one that says most first: its numbers `first` <= `second`.

    `pairs`: training pairs with a gene in either. `total`: what the two terms add to the phenotypes of these, summed;
    `mean` is that of one of them, both in the phenotype's unit. `too_few`: pairs of terms left out for their few
    training pairs.
    """

    first: Int64[np.ndarray, " n"]
    second: Int64[np.ndarray, " n"]
    pairs: Int64[np.ndarray, " n"]
    total: Float64[np.ndarray, " n"]
    mean: Float64[np.ndarray, " n"]
    too_few: int = 0

    def __len__(self) -> int:
        return len(self.first)

    def take(self, places: Int64[np.ndarray, " places"]) -> "TermPairs":
        """Return some of the pairs, in the order asked for."""
        first, second, pairs = self.first[places], self.second[places], self.pairs[places]
        return TermPairs(first, second, pairs, self.total[places], self.mean[places], self.too_few)


@dataclass(frozen=True)
class Terms:
    """Terms, the one that says most first: its number, `total` |what it adds with each other term|, summed.

    `partner` is the term with which it adds most, `pairs` are the training pairs with a gene in it.
    """

    term: Int64[np.ndarray, " n"]
    total: Float64[np.ndarray, " n"]
    partner: Int64[np.ndarray, " n"]
    pairs: Int64[np.ndarray, " n"]


def interacting_terms(
    fit: Wide, hierarchy: Hierarchy, train: Genotypes, least_pairs: int = LEAST_PAIRS
) -> tuple[TermPairs, Terms]:
    """Rank pairs of terms, and terms, by what the wide part says of the training pairs they contain.

    Pairs of terms that hold fewer than `least_pairs` training pairs are left out. Raises NotApplicable where the wide
    part has no vectors, or there is no room.
    """
    if fit.machine is None:
        raise NotApplicable("the wide part has single effects alone: pairs say no more than they do")
    terms = by_size(memberships(hierarchy))
    require_room(8.0 * HELD * terms.shape[1] ** 2, f"pairs of {terms.shape[1]:,} terms")
    _, low, high = train.pairs
    genes = (train.total_genes, train.total_genes)
    counts = csr_matrix((np.ones(len(low)), (low, high)), shape=genes)
    both = (counts + counts.T).tocsr()
    inside = terms.astype(bool).astype(np.float64)
    weight = (terms.T @ both @ terms).toarray()
    pairs = _held(inside, both, counts)
    total = weight * ((fit.term_vector * fit.machine.signs) @ fit.term_vector.T)
    # of one term both genes of a pair are in it, and the sum over ordered pairs has either twice
    np.fill_diagonal(total, np.diagonal(total) / 2)
    few = (pairs > 0) & (pairs < least_pairs)
    total[pairs < least_pairs] = 0.0
    return _term_pairs(total, pairs, int(np.triu(few).sum())), _terms(total, inside, both, counts)


def _held(inside: csr_matrix, both: csr_matrix, counts: csr_matrix) -> Int64[np.ndarray, "terms terms"]:
    """How many training pairs have a gene in the one term and their other in the other, each pair once."""
    ordered = (inside.T @ both @ inside).toarray()
    # a pair with both genes in both terms stands there in both orders
    share = counts.tocoo()
    twice = inside[share.row].multiply(inside[share.col]).tocsr()
    found: np.ndarray = np.rint(ordered - (twice.T @ twice.multiply(share.data[:, None])).toarray()).astype(np.int64)
    return found


def _term_pairs(
    total: Float64[np.ndarray, "terms terms"], pairs: Int64[np.ndarray, "terms terms"], too_few: int
) -> TermPairs:
    first, second = np.nonzero(np.triu(total))
    found = total[first, second]
    # stable: of equals the first are first wherever this runs
    order = np.argsort(-np.abs(found), kind="stable")
    first, second, found = first[order], second[order], found[order]
    there = pairs[first, second]
    return TermPairs(first, second, there, found, found / np.maximum(there, 1), too_few)


def _terms(
    total: Float64[np.ndarray, "terms terms"], inside: csr_matrix, both: csr_matrix, counts: csr_matrix
) -> Terms:
    size = np.abs(total)
    said = size.sum(axis=1)
    order = np.argsort(-said, kind="stable")
    order = order[said[order] > 0]
    # pairs with a gene in the term: all its genes' pairs, less those that have both in it, counted twice
    each = inside.T @ np.asarray(both.sum(axis=1)).ravel()
    share = counts.tocoo()
    within = inside[share.row].multiply(inside[share.col]).T @ share.data
    held = np.rint(each - np.asarray(within).ravel()).astype(np.int64)
    return Terms(order, said[order], size[order].argmax(axis=1), held[order])


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

    def relation(self, first: int, second: int) -> str:
        """Return how the screened genes of two terms lie: one of the four words above."""
        shared = float(self.shared(first)[second])
        if first == second or shared == 0:
            return WITHIN if first == second else BETWEEN
        return NESTED if shared == min(self.size[first], self.size[second]) else OVERLAPPING


def told_apart(pairs: TermPairs, terms: ScreenedTerms, most: int) -> tuple[Int64[np.ndarray, " shown"], int]:
    """Return the places of the first `most` pairs that differ from those before them, and how many were passed over.

    A pair is passed over where its terms hold those of a pair before it, one each: then it is a wider, weaker
    description of the same training pairs, or of terms that no deletion of the screen tells apart. (By a Jaccard index
    of 0.8 on both sides alone, the first 15 pairs of Collins 2007 were two complexes under 15 names.)
    """
    left = np.ones(len(pairs), dtype=bool)
    shown: list[int] = []
    while len(shown) < most and left.any():
        place = int(left.argmax())
        one, other = (terms.holding(int(term)) for term in (pairs.first[place], pairs.second[place]))
        left &= ~(one[pairs.first] & other[pairs.second] | other[pairs.first] & one[pairs.second])
        left[place] = False  # a term without a screened gene holds not even itself
        shown.append(place)
    passed = shown[-1] + 1 - len(shown) if shown else 0
    return np.array(shown, dtype=np.int64), passed
