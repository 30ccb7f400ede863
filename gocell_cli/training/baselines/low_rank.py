"""Low-rank completion of the pair matrix: additive + <u_a, v_b>, by alternating least squares.

    minimise  sum over measured (a, b) of (residual(a, b) - <u_a, v_b>)^2 + strength (|u|^2 + |v|^2)

(Hu, Koren and Volinsky 2008, doi:10.1109/ICDM.2008.22, of measured entries alone). The matrix is symmetric and the
factors need not be: what is predicted is the mean of both halves. Rank and strength are chosen on the validation
samples.
"""

import numpy as np
from jaxtyping import Float64

from gocell_cli.training.baselines.neighbours import Neighbours
from gocell_cli.training.baselines.pair_matrix import PairMatrix, pair_matrix
from gocell_cli.training.baselines.samples import Fitted, Known, Others, best_of

FIRST_RANK, OTHER_RANKS = 10, (2, 50)
STRENGTHS = (3.0, 10.0, 30.0, 100.0)
"""In units of the residuals' variance."""
SWEEPS = 12


def low_rank(known: Known, others: Others) -> Fitted:
    """Fit `low_rank`; raises NotApplicable where the training part has no pairs."""
    matrix = pair_matrix(known, others)
    units = len(matrix.seen)
    variance = float(np.square(matrix.residual).sum() / matrix.seen.sum())
    best = [Neighbours(matrix, np.zeros_like(matrix.seen), {"rank": 0.0})]
    for rank, strength in [(FIRST_RANK, s) for s in STRENGTHS] + [(rank, None) for rank in OTHER_RANKS]:
        # the strength that was best at the first rank is the one for the others
        chosen = strength or best[0].settings.get("strength", STRENGTHS[-1])
        estimate = complete(matrix, min(rank, units), chosen * variance, known.seed)
        tried = Neighbours(matrix, estimate, {"rank": float(min(rank, units)), "strength": chosen})
        best = [best_of([*best, tried], known.validation)]
    return best[0]


def complete(matrix: PairMatrix, rank: int, strength: float, seed: int) -> Float64[np.ndarray, "units units"]:
    """Return what the factors say of every pair of units."""
    rng = np.random.default_rng(seed)
    v = rng.normal(size=(len(matrix.seen), rank)) / np.sqrt(rank) * np.sqrt(np.abs(matrix.residual).mean() + 1e-12)
    for _ in range(SWEEPS):
        u = _solve(matrix, v, strength)
        v = _solve(matrix, u, strength)
    found: np.ndarray = (u @ v.T + v @ u.T) / 2
    return found


def _solve(
    matrix: PairMatrix, v: Float64[np.ndarray, "units rank"], strength: float
) -> Float64[np.ndarray, "units rank"]:
    """The best u for each unit, given v: a ridge regression of its residuals on its partners' factors."""
    u = np.zeros_like(v)
    penalty = strength * np.eye(v.shape[1])
    for unit, seen in enumerate(matrix.seen):
        partners = np.flatnonzero(seen)
        if len(partners):
            x = v[partners]
            u[unit] = np.linalg.solve(x.T @ x + penalty, x.T @ matrix.residual[unit, partners])
    return u
