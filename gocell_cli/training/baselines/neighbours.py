"""Nearest neighbours: a pair behaves as the pairs of genes that resemble its genes.

profile_neighbours  two genes resemble each other by their interaction profiles, the rows of the pair matrix: cosine of
                    the residuals over the partners that both were measured with (Costanzo et al. 2010,
                    doi:10.1126/science.1180823, and all maps since, compare profiles). A gene without measured pairs
                    has no profile.
go_neighbours       by the terms that contain them, weighted by information content (Resnik 1995,
                    arXiv:cmp-lg/9511007): so a gene never deleted in training has neighbours as well.

    residual(a, b) ~ sum over a' of s(a, a')^p residual(a', b) / (sum of s(a, a')^p + c),  a' the k nearest of a

and the same from the side of b. Exponent p, k and c are chosen on the validation samples.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from gocell_cli.training.baselines.pair_matrix import PairMatrix, pair_matrix
from gocell_cli.training.baselines.samples import Fitted, Genotypes, Known, Others, Settings, best_of
from gocell_cli.training.extra import train_extra

with train_extra():
    from scipy.sparse import csr_matrix

NEIGHBOURS = (10, 20, 50)
EXPONENTS = (1.0, 2.0, 3.0)
SHRINKS = (0.0, 0.3, 1.0)
"""Weights of a residual of 0 beside the neighbours', in units of the mean sum of weights."""
OVERLAP = 10.0
"""Partners in common at which a similarity counts half: of two or three numbers any cosine may come."""


@dataclass(frozen=True)
class Neighbours:
    """Additive, and what neighbours' residuals say of a pair [units, units]."""

    matrix: PairMatrix
    estimate: Float64[np.ndarray, "units units"]
    settings: Settings

    def predict(self, genotypes: Genotypes) -> Float64[np.ndarray, " n"]:
        found = self.matrix.base.predict(genotypes)
        paired, a, b = self.matrix.units(genotypes)
        found[paired] += self.estimate[a, b]
        return found


def profile_neighbours(known: Known, others: Others) -> Fitted:
    """Fit `profile_neighbours`; raises NotApplicable where the training part has no pairs."""
    matrix = pair_matrix(known, others)
    similarity = profile_similarity(matrix)
    best: list[Neighbours] = []
    for settings, weights in _weightings(similarity):
        top, bottom = weights @ matrix.residual, weights @ matrix.seen
        top, bottom = top + top.T, bottom + bottom.T
        unit = float(bottom[bottom > 0].mean()) if (bottom > 0).any() else 1.0
        tries = [
            Neighbours(matrix, _ratio(top, bottom + shrink * unit), {**settings, "shrink": shrink})
            for shrink in SHRINKS
        ]
        best = [best_of([*best, *tries], known.validation)]
    return best[0]


def profile_similarity(matrix: PairMatrix) -> Float64[np.ndarray, "units units"]:
    """Cosine of two units' residuals over the partners that both have, less where these are few; 0 with itself."""
    residual, seen = matrix.residual, matrix.seen
    squares = residual**2 @ seen
    common = seen @ seen
    scale = np.sqrt(squares * squares.T)
    similarity = _ratio(residual @ residual, scale) * (common / (common + OVERLAP))
    np.fill_diagonal(similarity, 0.0)
    found: np.ndarray = np.maximum(similarity, 0.0)
    return found


def _weightings(similarity: Float64[np.ndarray, "a b"]) -> Iterator[tuple[Settings, csr_matrix]]:
    """Yield the weights of each row's nearest, for every k and exponent."""
    ranked = Nearest.of(similarity, max(NEIGHBOURS))
    for k in NEIGHBOURS:
        for exponent in EXPONENTS:
            yield {"neighbours": float(k), "exponent": exponent}, ranked.weights(k, exponent)


@dataclass(frozen=True)
class Nearest:
    """Each row's most similar columns of `total`, the nearest first."""

    columns: Int64[np.ndarray, "a most"]
    similarity: Float64[np.ndarray, "a most"]
    total: int

    @classmethod
    def of(cls, similarity: Float64[np.ndarray, "a b"], most: int) -> "Nearest":
        """Rank a matrix of similarities."""
        # stable, so that of equals the first are kept wherever this runs
        columns = np.argsort(-similarity, axis=1, kind="stable")[:, :most]
        return cls(columns, np.take_along_axis(similarity, columns, axis=1), similarity.shape[1])

    def weights(self, k: int, exponent: float) -> csr_matrix:
        """Return the similarities above 0 of each row's k nearest, to a power, [a, b]."""
        columns, values = self.columns[:, :k], np.maximum(self.similarity[:, :k], 0.0) ** exponent
        ptr = np.arange(len(columns) + 1) * columns.shape[1]
        found = csr_matrix((values.ravel(), columns.ravel(), ptr), shape=(len(columns), self.total))
        found.eliminate_zeros()
        return found


def _ratio(top: Float64[np.ndarray, "a b"], bottom: Float64[np.ndarray, "a b"]) -> Float64[np.ndarray, "a b"]:
    """Top / bottom, 0 where there is nothing to divide by."""
    found: np.ndarray = np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)
    return found
