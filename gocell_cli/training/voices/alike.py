"""What genes that training never deletes borrow from those of their terms that it does.

weight(a, a') = s(a, a')^p / (sum of s^p over the k nearest + c),   s: cosine of the terms that contain two genes

(by information content, `baselines/membership.py`); a gene that training deletes has the weight 1 of itself alone. k, p
and c are chosen on the validation samples.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from jaxtyping import Int64

from gocell_cli.training.baselines.membership import alike, memberships_of
from gocell_cli.training.baselines.neighbours import Nearest
from gocell_cli.training.baselines.samples import Known
from gocell_cli.training.extra import train_extra

with train_extra():
    from scipy.sparse import csr_matrix, diags

NEIGHBOURS, EXPONENTS, SHRINKS = (30, 10), (4.0, 2.0), (0.1, 0.3, 0.03)


@dataclass(frozen=True)
class Lending:
    """How many neighbours of a gene lend, how much more the nearest do, and the weight of nothing beside them."""

    neighbours: int = NEIGHBOURS[0]
    exponent: float = EXPONENTS[0]
    shrink: float = SHRINKS[0]


def lendings() -> Iterator[Lending]:
    """What there is to choose from, the usual one first."""
    for k, exponent, shrink in product(NEIGHBOURS, EXPONENTS, SHRINKS):
        yield Lending(k, exponent, shrink)


@dataclass(frozen=True)
class Lenders:
    """`genes` that training deletes, and which of them are nearest to every gene."""

    genes: Int64[np.ndarray, " lenders"]
    nearest: Nearest

    @classmethod
    def of(cls, known: Known, genes: Int64[np.ndarray, " lenders"]) -> "Lenders":
        """Rank lenders for every gene of the hierarchy, once for the same lenders."""

        def rank() -> Lenders:
            total = known.train.genotypes.total_genes
            return cls(genes, Nearest.of(alike(memberships_of(known), np.arange(total), genes), max(NEIGHBOURS)))

        found: Lenders = known.once(f"lenders {genes.tobytes().hex()}", rank)
        return found

    def weights(self, lending: Lending) -> csr_matrix:
        """Return the weights [genes, lenders]."""
        weights = self.nearest.weights(lending.neighbours, lending.exponent)
        total = np.asarray(weights.sum(axis=1)).ravel() + lending.shrink
        share = 1 / total
        share[self.genes] = 0.0
        place = np.arange(len(self.genes))
        own = csr_matrix((np.ones(len(place)), (self.genes, place)), shape=weights.shape)
        found = (diags(share) @ weights + own).tocsr()
        found.eliminate_zeros()
        return found
