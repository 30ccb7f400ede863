"""Ridge regression with an intercept that is not shrunk; one objective, two ways to its minimum.

minimise |(x - mean(x)) w - (y - mean(y))|^2 + strength |w|^2,     predict mean(y) + (x - mean(x)) w
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from gocell_cli.training.extra import train_extra

with train_extra():
    from scipy.sparse import csr_matrix, issparse
    from scipy.sparse.linalg import LinearOperator, lsqr


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
    """Fit y on x [n, k], float64: iteratively where x is sparse, by the smaller of its two Gram matrices where not."""
    means = np.asarray(x.mean(axis=0)).ravel()
    intercept = float(y.mean())
    solve = _sparse if issparse(x) else _dense
    return Ridge(intercept, means, solve(x, means, y - intercept, strength))


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
