"""Ridge, whose ways give one minimum."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from gocell_cli.training.baselines.ridge import fit_ridge


@pytest.mark.parametrize("samples", [8, 50])
def test_both_ways_of_ridge_are_the_closed_form(samples: int) -> None:
    """More features than samples, and fewer; dense by either Gram matrix, sparse by lsqr."""
    rng = np.random.default_rng(1)
    x, y, new = rng.normal(size=(samples, 20)), rng.normal(size=samples), rng.normal(size=(5, 20))
    centred = x - x.mean(0)
    w = np.linalg.inv(centred.T @ centred + 0.7 * np.eye(20)) @ centred.T @ (y - y.mean())
    wanted = y.mean() + (new - x.mean(0)) @ w
    assert np.allclose(fit_ridge(x, y, 0.7).predict(new), wanted)
    assert np.allclose(fit_ridge(csr_matrix(x), y, 0.7).predict(csr_matrix(new)), wanted, atol=1e-6)
