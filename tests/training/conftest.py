"""Caches that the trainer's tests read: the bundled essentiality data, and one where statistics are missing."""

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gocell_cli.building.build import BuildMode, build
from gocell_cli.building.plan import BuildOptions, plan_build
from gocell_cli.domain.simulation import Simulation
from gocell_cli.domain.term_filters import PRESETS
from gocell_cli.sources.go import bundle
from gocell_cli.sources.screens import essentiality
from gocell_cli.storage.reader import Cache, Rows
from gocell_cli.storage.records import BACKENDS
from gocell_cli.storage.schema import Hierarchy, Samples

with warnings.catch_warnings():  # torch_geometric compiles its pooling layers on import, as torch no longer likes
    warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is", DeprecationWarning, r"torch\.jit\.")
    import torch_geometric.data  # noqa: F401

FORK_OF_THREADS = "ignore:This process .* is multi-threaded, use of fork:DeprecationWarning"
"""Python 3.12 and later warn of what torch's DataLoader does by default, and what is tested here."""


@pytest.fixture(scope="session")
def essentiality_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled data, 5,887 samples in shards of 1,000, both backends."""
    genes = bundle.load_genes()
    dataset = essentiality.read(genes, genes, bundle.load_essential(), {})
    options = BuildOptions(PRESETS["true-path"], backends=BACKENDS, shard_size=1000)
    plan = plan_build(bundle.load_ontology(), bundle.load_annotations(), genes, dataset, options, {})
    return build(plan, tmp_path_factory.mktemp("essentiality") / "cache", BuildMode()).directory


@pytest.fixture(scope="session")
def simulated_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated cache of 380 double deletions of 40 genes, on the bundled GO's terms of 600 genes or more."""
    options = BuildOptions(PRESETS["true-path"].changed(min_genes=600))
    simulation = Simulation(samples=380, deletions=2, panel=40, seed=3)
    release = bundle.load_ontology(), bundle.load_annotations(), bundle.load_genes()
    plan = plan_build(*release, simulation, options, {})
    return build(plan, tmp_path_factory.mktemp("simulated") / "cache", BuildMode()).directory


class ThreeGenesCache(Cache):
    """A cache whose samples, made up, delete 1 to 3 genes and have a statistic in every second one."""

    def rows(self, rows: Rows) -> Samples:
        samples = super().rows(rows)
        row = np.asarray(rows, dtype=np.int64)
        deleted = [np.unique((g * 7919 + np.arange(g % 3 + 1) * 31) % len(self.hierarchy.gene_names)) for g in row]
        return replace(
            samples,
            gene_ptr=np.cumsum([0, *map(len, deleted)]),
            genes=np.concatenate(deleted).astype(np.int32),
            statistic=np.where(row % 2, np.nan, row / 8),
        )


@pytest.fixture
def three_genes_cache(essentiality_cache: Path) -> ThreeGenesCache:
    return ThreeGenesCache(essentiality_cache)


@pytest.fixture(scope="session")
def bundled_hierarchy(essentiality_cache: Path) -> Hierarchy:
    """The bundled GO under `true-path`: 3,793 terms."""
    return Cache(essentiality_cache).hierarchy
