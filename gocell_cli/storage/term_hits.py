"""Which terms the deletions of a cache hit, how often, and what was measured where they do.

A sample hits a term where it deletes a gene that the term contains: its own or a descendant's (the true-path rule).
Shard by shard: memory is that of a block of (sample, term) pairs, however many samples there are.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from gocell_cli.csr import ranges
from gocell_cli.storage.reader import Cache
from gocell_cli.storage.samples import take_samples
from gocell_cli.storage.schema import GeneTerms, Hierarchy, Samples

BLOCK = 50_000
"""Samples at once: of three deletions in some forty terms each, 6 million pairs."""
FEW = 10
"""Samples on either side below which a difference of means is no claim: its error is not known well enough itself."""
HITS, MEAN, EFFECT = "hits", "mean", "effect"
SORTS = (HITS, MEAN, EFFECT)


@dataclass(frozen=True)
class TermHits:
    """For each term: `samples` that hit it, `direct` of them by a gene annotated to it, `deleted` genes it contains.

    `values` is how many of the samples have a phenotype, `mean` theirs (NaN: none), `effect` the mean less that of all
    other samples, `error` the standard error of that difference (Welch 1947, doi:10.1093/biomet/34.1-2.28, eq. 4),
    in the phenotype's unit, NaN where a side has fewer than two.
    """

    samples: Int64[np.ndarray, " terms"]
    direct: Int64[np.ndarray, " terms"]
    deleted: Int64[np.ndarray, " terms"]
    values: Int64[np.ndarray, " terms"]
    mean: Float64[np.ndarray, " terms"]
    effect: Float64[np.ndarray, " terms"]
    error: Float64[np.ndarray, " terms"]
    all_values: int

    @property
    def few(self) -> Bool[np.ndarray, " terms"]:
        """Terms of whose effect nothing can be said: FEW samples or less hit them, or do not."""
        found: Bool[np.ndarray, " terms"] = np.minimum(self.values, self.all_values - self.values) < FEW
        return found

    def order(self, by: str) -> Int64[np.ndarray, " hit"]:
        """Return the terms that are hit: by most samples, by lowest mean, or by largest effect; few samples last."""
        hit = np.flatnonzero(self.samples)
        key = {HITS: -self.samples.astype(float), MEAN: self.mean, EFFECT: -np.abs(self.effect)}[by][hit]
        few = self.few[hit] if by != HITS else np.zeros(len(hit), dtype=bool)
        # lexsort's last key comes first; NaN comes after all numbers
        found: Int64[np.ndarray, " hit"] = hit[np.lexsort((hit, key, few))]
        return found


def term_hits(cache: Cache) -> TermHits:
    """Count a cache's samples by the terms they hit; raises DamagedCache where a shard cannot be read."""
    hierarchy = cache.hierarchy
    terms = len(hierarchy.term_ids)
    contained = hierarchy.closure
    direct_of = GeneTerms(hierarchy.gene_ptr, hierarchy.row_term[hierarchy.gene_rows])
    samples, direct, values = (np.zeros(terms, dtype=np.int64) for _ in range(3))
    # sums over the samples that hit a term, and over all (the last entry): of 1, of the value, of its square
    total, square = (np.zeros(terms + 1) for _ in range(2))
    used = np.zeros(len(hierarchy.gene_names), dtype=bool)
    known = 0
    for block in _blocks(cache):
        used[block.genes] = True
        direct += np.bincount(_pairs(block, direct_of, terms)[1], minlength=terms)
        owner, term = _pairs(block, contained, terms)
        samples += np.bincount(term, minlength=terms)
        is_known = np.isfinite(block.value)
        value = np.where(is_known, block.value, 0.0)
        known += int(is_known.sum())
        values += np.bincount(term[is_known[owner]], minlength=terms)
        for sums, power in ((total, 1), (square, 2)):
            sums[:-1] += np.bincount(term, weights=value[owner] ** power, minlength=terms)
            sums[-1] += (value**power).sum()
    deleted = _deleted(hierarchy, contained, used)
    return TermHits(samples, direct, deleted, values, *_effect(values, total, square, known), known)


def _blocks(cache: Cache) -> Iterator[Samples]:
    for shard in cache.shards():
        for start in range(0, len(shard), BLOCK):
            yield take_samples(shard, np.arange(start, min(start + BLOCK, len(shard))))


def _pairs(
    block: Samples, lists: GeneTerms, terms: int
) -> tuple[Int64[np.ndarray, " pairs"], Int64[np.ndarray, " pairs"]]:
    """Each (sample, term) of a block once, whichever of the sample's genes hit the term."""
    start = lists.ptr[block.genes]
    deletion, place = ranges(start, lists.ptr[1:][block.genes] - start)
    sample = np.repeat(np.arange(len(block)), np.diff(block.gene_ptr))
    once = np.unique(sample[deletion] * terms + lists.term[place])
    return once // terms, once % terms


def _deleted(
    hierarchy: Hierarchy, contained: GeneTerms, used: Bool[np.ndarray, " genes"]
) -> Int64[np.ndarray, " terms"]:
    """How many of the genes that some sample deletes each term contains."""
    gene = np.repeat(np.arange(len(used)), np.diff(contained.ptr))
    found: Int64[np.ndarray, " terms"] = np.bincount(contained.term[used[gene]], minlength=len(hierarchy.term_ids))
    return found


def _effect(
    values: Int64[np.ndarray, " terms"],
    total: Float64[np.ndarray, " terms_and_all"],
    square: Float64[np.ndarray, " terms_and_all"],
    known: int,
) -> tuple[Float64[np.ndarray, " terms"], Float64[np.ndarray, " terms"], Float64[np.ndarray, " terms"]]:
    """Mean where a term is hit, what it is more than elsewhere, and that difference's standard error."""
    with np.errstate(divide="ignore", invalid="ignore"):
        sides = []
        for n, s, q in (
            (values, total[:-1], square[:-1]),
            (known - values, total[-1] - total[:-1], square[-1] - square[:-1]),
        ):
            # of no sample nothing, whatever rounding left of the difference of two sums
            mean = np.where(n > 0, s / n, np.nan)
            variance = np.where(n > 1, np.maximum(q - n * mean**2, 0.0) / (n - 1), np.nan)
            sides.append((mean, variance / n))
        (here, here_error), (there, there_error) = sides
        return here, here - there, np.sqrt(here_error + there_error)
