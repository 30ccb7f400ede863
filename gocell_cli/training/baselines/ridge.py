"""Ridge regression with an intercept that is not shrunk; one objective, three ways to its minimum.

minimise |(x - mean(x)) w - (y - mean(y))|^2 + strength |w|^2,     predict mean(y) + (x - mean(x)) w
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from gocell_cli.training.extra import train_extra

with train_extra():
    from scipy.linalg import solve
    from scipy.sparse import csr_matrix
    from scipy.sparse.linalg import LinearOperator, lsqr

MOST_COLUMNS = 2048
"""Of a sparse matrix, up to which its Gram matrix is solved: a second for seven strengths; 300 iterations take ten."""


@dataclass(frozen=True)
class Ridge:
    """A fitted regression on features [n, k], dense or sparse."""

    intercept: float
    means: Float64[np.ndarray, " k"]
    effects: Float64[np.ndarray, " k"]

    def predict(self, x: np.ndarray | csr_matrix) -> Float64[np.ndarray, " n"]:
        """Return the predictions of samples [n, k]."""
        predicted: np.ndarray = self.intercept + x @ self.effects - self.means @ self.effects
        return predicted


def fit_ridge(x: np.ndarray | csr_matrix, y: Float64[np.ndarray, " n"], strength: float) -> Ridge:
    """Fit y on x [n, k], float64; see `fit_ridges`."""
    return fit_ridges(x, y, (strength,))[0]


def fit_ridges(x: np.ndarray | csr_matrix, y: Float64[np.ndarray, " n"], strengths: Sequence[float]) -> list[Ridge]:
    """Fit y on x [n, k], float64, once with each strength.

    By the smaller of its two Gram matrices where x is dense; where it is sparse by that of its columns in use, and
    iteratively where these are many.
    """
    means = np.asarray(x.mean(axis=0)).ravel()
    intercept = float(y.mean())
    if isinstance(x, np.ndarray):
        found = [_dense(x, means, y - intercept, s) for s in strengths]
    else:
        used = np.flatnonzero(np.bincount(x.indices, minlength=x.shape[1]))
        if len(used) <= MOST_COLUMNS and min(strengths) > 0:
            found = _gram(x, used, means, y - intercept, strengths)
        else:
            found = [_sparse(x, means, y - intercept, s) for s in strengths]
    return [Ridge(intercept, means, effects) for effects in found]


def _gram(
    x: csr_matrix,
    used: Int64[np.ndarray, " used"],
    means: Float64[np.ndarray, " k"],
    y: Float64[np.ndarray, " n"],
    strengths: Sequence[float],
) -> list[Float64[np.ndarray, " k"]]:
    """Minimise by the normal equations of the columns in use, set up once: the others' effects are 0."""
    x, m = x[:, used], means[used]
    # the Gram matrix of x - means, without making that dense
    gram = (x.T @ x).toarray() - len(y) * np.outer(m, m)
    right, found = x.T @ y - m * y.sum(), []
    for strength in strengths:
        effects = np.zeros(len(means))
        effects[used] = solve(gram + strength * np.eye(len(used)), right, assume_a="pos")
        found.append(effects)
    return found


def _sparse(
    x: csr_matrix, means: Float64[np.ndarray, " k"], y: Float64[np.ndarray, " n"], strength: float
) -> Float64[np.ndarray, " k"]:
    """Minimise without making x - means dense: 20 million samples x 6,604 genes would be a terabyte."""
    # both products of x - means, each as the sparse product less the means' part
    centred = LinearOperator(
        x.shape,
        matvec=lambda w: x @ w.ravel() - means @ w.ravel(),
        rmatvec=lambda r: x.T @ r.ravel() - means * r.sum(),
        dtype=np.float64,
    )
    # lsqr's damping squared is the weight of the squared effects
    found: np.ndarray = lsqr(centred, y, damp=float(np.sqrt(strength)), atol=1e-8, btol=1e-8, iter_lim=300)[0]
    return found


def _dense(
    x: Float64[np.ndarray, "n k"], means: Float64[np.ndarray, " k"], y: Float64[np.ndarray, " n"], strength: float
) -> Float64[np.ndarray, " k"]:
    a = x - means
    samples, features = a.shape
    found: np.ndarray
    if features <= samples:
        found = np.linalg.solve(a.T @ a + strength * np.eye(features), a.T @ y)
    else:  # the same by the push-through identity (A'A + sI)^-1 A' = A' (AA' + sI)^-1
        found = a.T @ np.linalg.solve(a @ a.T + strength * np.eye(samples), y)
    return found
