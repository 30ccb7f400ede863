"""Means over the pairs of genes between two terms, and how sure they are where pairs have genes in common.

A block (s, t) are the pairs with a gene in s and their other in t; x_p is what single effects leave of pair p, and w_p
is 1, or 2 where both its genes are in both terms (of s = t all are). Its mean and the variance of that are

    m = sum of w_p x_p / W,  W = sum of w_p,   e_p = x_p - m
    V = G / (G - 1) * max(sum over genes g of (sum over pairs of g of w_p e_p)^2 - sum of (w_p e_p)^2,
                          sum of (w_p e_p)^2) / W^2

pairs being dyads, which err together where they share a gene (Aronow, Samii and Assenova 2015, doi:10.1093/pan/mpv018,
equation 4; of two sets without a common gene it is the variance of Cameron, Gelbach and Miller 2011,
doi:10.1198/jbes.2010.07136). G is the number of genes in the smaller set, and m / sqrt(V) has a t distribution of G - 1
degrees of freedom: a handful of genes says little of a term, however many pairs they are in.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from gocell_cli.training.baselines.samples import Genotypes
from gocell_cli.training.extra import train_extra

with train_extra():
    from scipy.sparse import csr_matrix
    from scipy.special import stdtrit

LEAST_GENES = 2
"""Genes of either term below which nothing is known of how far its genes differ."""
ROUNDING = 1e-9
"""Share of a block's squares below which what its mean leaves of them is none."""
LEVEL = 0.05
"""Chance with which an interval misses."""
Square = Float64[np.ndarray, "terms terms"]


@dataclass(frozen=True)
class BlockMeans:
    """The mean of each block of two terms, its standard error, and how many genes the smaller side has; symmetric.

    NaN where a side has fewer than LEAST_GENES genes in a pair of the block; the error also where all
    its values are one.
    """

    mean: Square
    error: Square
    genes: Square

    def reach(self) -> Square:
        """Return half the width of the intervals."""
        most = int(self.genes.max(initial=LEAST_GENES))
        wide = np.full(most + 1, np.nan)
        wide[LEAST_GENES:] = stdtrit(np.arange(LEAST_GENES - 1, most), 1 - LEVEL / 2)
        found: np.ndarray = self.error * wide[self.genes.astype(np.int64)]
        return found

    def sure(self) -> Square:
        """Return the effect's size at the interval's end that is nearer to 0; not above 0 where that is inside."""
        found: np.ndarray = np.abs(self.mean) - self.reach()
        return found


@dataclass(frozen=True)
class Dyads:
    """Pairs of the genes `used`, the lower first: `total` of the values of a pair's samples, and their `count`.

    Both [used, used], with the same places.
    """

    used: Int64[np.ndarray, " used"]
    total: csr_matrix
    count: csr_matrix

    @classmethod
    def of(cls, genotypes: Genotypes, values: Float64[np.ndarray, " n"]) -> "Dyads":
        """Take every pair of genes that a sample deletes; of three its value is that of each pair, and of chance.

        Pairs of one triple share a gene, two by two, and so err together as the formula has it.
        """
        owner, low, high = genotypes.pairs
        used = np.unique(np.concatenate([low, high])).astype(np.int64)
        at = (np.searchsorted(used, low), np.searchsorted(used, high))
        total, count = (
            csr_matrix((numbers, at), shape=(len(used), len(used))) for numbers in (values[owner], np.ones(len(low)))
        )
        return cls(used, total, count)

    def block_means(self, inside: csr_matrix) -> BlockMeans:
        """Return the mean of every two of the terms that contain genes, `inside` [used, terms] of 0 and 1.

        Arrays of terms x terms: ten at once.
        """
        values = [_of_genes(one, inside) for one in (self.total, self.count)]
        x, n = (inside.T @ one for one in values)
        side = inside.T @ (values[1] > 0).astype(np.float64)
        genes = np.minimum(side, side.T)
        known = genes >= LEAST_GENES
        mean = np.divide(x, n, out=np.full_like(x, np.nan), where=known)
        together, own = self._squares(inside, values, mean)
        # one pair alone leaves nothing but rounding of what it is squared
        known &= own > ROUNDING * mean**2 * n
        variance = np.maximum(together - own, own) * genes / np.where(known, genes - 1, 1.0)
        error = np.sqrt(variance, out=np.full_like(x, np.nan), where=known) / np.where(known, n, 1.0)
        return BlockMeans(mean, error, genes)

    def _squares(self, inside: csr_matrix, values: list[np.ndarray], mean: Square) -> tuple[Square, Square]:
        """Sums of squares of w e: over genes, of what each gene's pairs are together; and over pairs.

        e = x - m n differs between blocks in m alone, so each is a polynomial of m.
        """
        together, own = np.zeros_like(mean), np.zeros_like(mean)
        low, high = self.count.nonzero()
        both_sides = inside[low].multiply(inside[high]).tocsr()
        of_pair = [np.asarray(one[low, high]).ravel() for one in (self.total, self.count)]
        of_gene = [inside.multiply(one).tocsr() for one in values]
        for a, b, factor in ((0, 0, np.ones_like(mean)), (0, 1, -2 * mean), (1, 1, mean**2)):
            # a gene's pairs in a block: those of the gene in s with t, and of the gene in t with s
            side = inside.T @ (values[a] * values[b])
            crossed = (of_gene[a].T @ of_gene[b]).toarray()
            together += factor * (side + side.T + crossed + crossed.T)
            product = of_pair[a] * of_pair[b]
            # w^2 is w, and 2 more where both genes are on both sides
            once = inside.T @ _of_genes(csr_matrix((product, (low, high)), shape=self.count.shape), inside)
            own += factor * (once + 2 * (both_sides.T @ both_sides.multiply(product[:, None])).toarray())
        return together, own


def _of_genes(pairs: csr_matrix, inside: csr_matrix) -> Float64[np.ndarray, "used terms"]:
    """The sum over each gene's pairs whose other gene is in a term."""
    found: np.ndarray = ((pairs + pairs.T).tocsr() @ inside).toarray()
    return found
