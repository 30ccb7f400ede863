"""RLIPP, on activations whose answer is known; and ridge, whose two ways give one minimum."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from gocell_cli.training.evaluation.ridge import fit_ridge
from gocell_cli.training.evaluation.rlipp import rlipp
from tests.hierarchies import make_network

FAMILY = make_network([(1, 0), (2, 0)], [(1, 0), (2, 1), (0, 2)], terms=3, genes=3)
NEURONS = [slice(0, 2), slice(2, 3), slice(3, 4)]


def test_rlipp_is_high_where_a_term_combines_what_its_children_do_not() -> None:
    """Two children carry one gene each; the root sees a product of both, which no linear reading of them holds."""
    x, y = np.random.default_rng(0).normal(size=(2, 400))
    h = np.stack([x * y + x, x, x, y]).astype(np.float32)
    scores = rlipp(h, NEURONS, FAMILY, x * y + x)
    assert [s.term for s in scores] == [0, 1, 2]
    root, child, _ = scores
    assert root.power == pytest.approx(1.0, abs=0.01)
    assert root.children_power is not None
    assert 0.5 < root.children_power < 0.95
    assert root.rlipp == pytest.approx(root.power / root.children_power)
    assert (child.children_power, child.rlipp) == (None, None)


def test_a_constant_phenotype_or_neuron_has_no_power() -> None:
    h = np.random.default_rng(0).normal(size=(4, 22)).astype(np.float32)
    assert all(s.power is None and s.rlipp is None for s in rlipp(h, NEURONS, FAMILY, np.ones(22)))
    h[3] = 0.25
    still = rlipp(h, NEURONS, FAMILY, np.arange(22.0))[2]
    assert still.power is None or abs(still.power) <= 1


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
