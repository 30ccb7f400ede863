"""Simulated phenotypes: the teacher against a dense oracle, and shares of variance that are what they say."""

from dataclasses import replace

import numpy as np
import pytest

from gocell_cli.building.plan import plan_hierarchy
from gocell_cli.controls import Wiring
from gocell_cli.domain.genotype import Dataset
from gocell_cli.domain.simulation import Simulation
from gocell_cli.domain.term_filters import PRESETS
from gocell_cli.domain.term_hierarchy import TermHierarchy
from gocell_cli.errors import UsageError
from gocell_cli.sources.go import bundle
from gocell_cli.teacher import additive_part, growth_states
from tests.reference.teacher import dense_growth_states

SMALL = Simulation(samples=3000, deletions=3, seed=4, panel=60)


@pytest.fixture(scope="module")
def bundled() -> TermHierarchy:
    rules = PRESETS["true-path"].changed(min_genes=60)
    return plan_hierarchy(bundle.load_ontology(), bundle.load_annotations(), bundle.load_genes(), rules)[0]


@pytest.fixture(scope="module")
def drawn(bundled: TermHierarchy) -> Dataset:
    return SMALL.draw(bundled)


def least_squares_residual(values: np.ndarray, genotypes: np.ndarray) -> np.ndarray:
    """NumPy's own solver on the dense indicator matrix with an intercept."""
    used, place = np.unique(genotypes, return_inverse=True)
    x = np.ones((len(values), len(used) + 1))
    x[:, 1:] = 0
    np.put_along_axis(x, place.reshape(genotypes.shape) + 1, 1, axis=1)
    return values - x @ np.linalg.lstsq(x, values, rcond=None)[0]


def test_the_teacher_is_the_dense_network(bundled: TermHierarchy) -> None:
    rng = np.random.default_rng(1)
    pool = rng.choice(np.unique(bundled.row_gene), 30, replace=False)
    genotypes = np.sort(np.stack([rng.choice(pool, 2, replace=False) for _ in range(40)]), axis=1).astype(np.int32)
    wiring = Wiring(bundled.edges.child, bundled.edges.parent, bundled.row_term, bundled.row_gene)
    found = growth_states(wiring, len(bundled), genotypes, 7)
    wanted = dense_growth_states(bundled, [set(row) for row in genotypes.tolist()], 7)
    assert wanted.std() > 0.1
    assert np.allclose(found, wanted, rtol=0, atol=1e-9)
    assert not np.allclose(found, growth_states(wiring, len(bundled), genotypes, 8))


@pytest.mark.parametrize("epistasis", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("noise", [0.0, 0.4])
def test_shares_are_realised_exactly_and_stored(bundled: TermHierarchy, epistasis: float, noise: float) -> None:
    quiet = replace(SMALL, epistasis=epistasis, noise=0.0).draw(bundled)
    dataset = replace(SMALL, epistasis=epistasis, noise=noise).draw(bundled)
    signal, value = quiet.measurements.value, dataset.measurements.value
    residual = least_squares_residual(signal, dataset.measurements.genes)
    assert residual.var() / signal.var() == pytest.approx(epistasis, abs=1e-5)
    assert dataset.shares["epistasis"] == pytest.approx(epistasis, abs=1e-5)
    assert dataset.shares["noise"] == pytest.approx(np.var(value - signal) / np.var(value), abs=1e-5)
    assert dataset.shares["noise"] == pytest.approx(noise, abs=0.03)
    assert dataset.shares["ceiling"] == pytest.approx(np.corrcoef(signal, value)[0, 1], abs=1e-5)
    assert signal.std() == pytest.approx(1.0, abs=1e-5)


def test_genotypes_are_distinct_sorted_and_of_the_panel(drawn: Dataset, bundled: TermHierarchy) -> None:
    genes = drawn.measurements.genes
    assert genes.shape == (3000, 3)
    assert (np.diff(genes, axis=1) > 0).all()
    assert len(np.unique(genes, axis=0)) == 3000
    assert len(np.unique(genes)) == 60
    assert np.isin(genes, bundled.row_gene).all()
    assert drawn.rows_read == 3000
    assert not drawn.dropped


def test_the_seed_decides_everything(drawn: Dataset, bundled: TermHierarchy) -> None:
    again, other = SMALL.draw(bundled), replace(SMALL, seed=5).draw(bundled)
    assert np.array_equal(again.measurements.value, drawn.measurements.value)
    assert np.array_equal(again.measurements.genes, drawn.measurements.genes)
    assert not np.array_equal(other.measurements.genes, drawn.measurements.genes)
    assert again.options == drawn.options
    assert drawn.options["seed"] == "4"


def test_the_additive_part_is_least_squares() -> None:
    rng = np.random.default_rng(0)
    genotypes = np.sort(np.stack([rng.choice(9, 2, replace=False) for _ in range(80)]), axis=1).astype(np.int32) * 5
    values = rng.normal(size=80)
    residual = values - additive_part(values, genotypes)
    assert np.allclose(residual, least_squares_residual(values, genotypes), atol=1e-7)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epistasis": 1.5}, "within 0 and 1"),
        ({"noise": 1.0}, "below 1"),
        ({"deletions": 1}, "no epistasis"),
        ({"samples": 20_000}, "too small for 20000 distinct"),
        ({"samples": 100}, "do not determine"),
        ({"panel": 100_000, "samples": 300_000}, "the hierarchy holds"),
        ({"samples": 0}, "at least 1"),
    ],
)
def test_what_can_not_be_drawn_is_an_error(bundled: TermHierarchy, change: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replace(SMALL, **change).draw(bundled)
