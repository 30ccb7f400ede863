"""What genes that training never deletes borrow from those of their terms that it does.

nearest  s(a, a')^p / (sum of s^p over the k nearest + c),   s: cosine of the terms that contain two genes
ridge    S_a (S + c)^-1,   S = s^2:  kernel ridge regression of what the lenders are on their terms

(by information content, `baselines/membership.py`). A gene borrows the mean of both where there are no more than
MOST_LENDERS, else what the nearest say: r of pairs with a gene never seen was 0.009 to 0.017 higher than by the nearest
alone (Collins 2007, three splits). A gene that training deletes has the weight 1 of itself alone. k, p and c of the
nearest are chosen on the validation samples.
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
    from scipy.linalg import solve
    from scipy.sparse import csr_matrix, diags

NEIGHBOURS, EXPONENTS, SHRINKS = (10, 30), (4.0, 2.0), (0.1, 0.3, 0.03)
RIDGE, SQUARED = 0.3, 2.0
MOST_LENDERS = 2000
"""A system of as many equations takes two seconds."""
LEAST_WEIGHT = 1e-3
"""Of a ridge's weights, which are all there: those below are kept by no one."""


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
    """`genes` that training deletes, `borrowers` that it does not, and which of the first are nearest to these."""

    genes: Int64[np.ndarray, " lenders"]
    borrowers: Int64[np.ndarray, " borrowers"]
    nearest: Nearest

    @classmethod
    def of(cls, known: Known, genes: Int64[np.ndarray, " lenders"]) -> "Lenders":
        """Rank lenders for every other gene that is asked for, once for the same lenders."""

        def rank() -> Lenders:
            borrowers = np.setdiff1d(known.asked, genes)
            return cls(genes, borrowers, Nearest.of(alike(memberships_of(known), borrowers, genes), max(NEIGHBOURS)))

        found: Lenders = known.once(f"lenders {genes.tobytes().hex()}", rank)
        return found

    def weights(self, known: Known, lending: Lending) -> csr_matrix:
        """Return the weights [genes, lenders], 0 of genes that are not asked for."""
        weights = self.nearest.weights(lending.neighbours, lending.exponent)
        total = np.asarray(weights.sum(axis=1)).ravel() + lending.shrink
        both = diags(1 / total) @ weights
        if len(self.genes) <= MOST_LENDERS:
            both = (both + known.once(f"ridge {self.genes.tobytes().hex()}", lambda: self._ridge(known))) / 2
        found = (_rows(self.borrowers, known) @ both + _rows(self.genes, known)).tocsr()
        found.eliminate_zeros()
        return found

    def _ridge(self, known: Known) -> csr_matrix:
        """Weights [borrowers, lenders]."""
        similar = alike(memberships_of(known), np.append(self.genes, self.borrowers), self.genes) ** SQUARED
        system, of_borrowers = np.split(similar, [len(self.genes)])
        system += RIDGE * np.eye(len(self.genes))
        found: np.ndarray = solve(system, of_borrowers.T, assume_a="pos").T
        return csr_matrix(np.where(np.abs(found) >= LEAST_WEIGHT, found, 0.0))


def _rows(genes: Int64[np.ndarray, " k"], known: Known) -> csr_matrix:
    """[all genes, k]: what puts rows of some genes at their place."""
    shape = (known.train.genotypes.total_genes, len(genes))
    return csr_matrix((np.ones(len(genes)), (genes, np.arange(len(genes)))), shape=shape)
