"""Fixtures: the real test data (skipped, with the reason, where it is absent), a local web server, and toy caches."""

import os
import tempfile
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from gocell_cli.building.build import BuildMode, build
from gocell_cli.building.plan import BuildOptions, BuildPlan, plan_build
from gocell_cli.domain.genes import GeneTable
from gocell_cli.domain.genotype import Dataset
from gocell_cli.sources.screens import kuzmin, own_table, table_columns
from gocell_cli.storage.records import BACKENDS
from tests import toy
from tests.sources.http_server import LocalSite, serving

# Triton reads it when it is imported, which torch may do, in whichever test file is collected first: the GPU's kernels
# run in its interpreter here.
os.environ["TRITON_INTERPRET"] = "1"
# What gocell remembers of LMDB files that it wrote: for these tests alone, and for the processes that they start.
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="gocell-state-")

PROJECT = Path(__file__).resolve().parent.parent

# No example has a time limit, and none is refused for being slow to draw: a busy machine is no fault of the code.
settings.register_profile("gocell", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("gocell")

LONGEST = (
    "commands/test_kept_json.py", "training/network/test_dcell_oracle.py", "training/runs/test_processes.py",
    "attacks/test_kills.py", "training/runs/test_without_cache.py", "commands/model/test_train.py",
    "commands/build/test_build_cache.py", "docs/test_pages.py", "training/inference/test_all_combinations.py",
    "training/network/test_delta.py", "commands/look/test_inspect.py", "commands/build/test_hierarchy_choice.py",
    "commands/look/test_plot.py", "attacks/test_many_readers.py", "training/pyg/test_cell_dataset.py",
    "training/runs/test_two_at_once.py", "commands/model/test_wandb.py", "packaging/test_distributions.py",
)  # fmt: skip
"""Files whose tests take longest, begun first: what is left for the end are files of a second, in any process."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    place = {PROJECT / "tests" / name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path, len(place)))


def pytest_make_parametrize_id(val: object) -> str | None:
    """Bytes give a test a number, not their content: gzip writes the second into its header, so that two processes
    that collect the same tests would name them differently (pytest-xdist then runs none)."""
    return "bytes" if isinstance(val, bytes) else None


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real data: GOCELL_TEST_DATA, else ../shared/data beside the checkout."""
    path = Path(os.environ.get("GOCELL_TEST_DATA") or PROJECT.parent / "shared" / "data")
    if not path.is_dir():
        pytest.skip(f"no real test data at {path}; set GOCELL_TEST_DATA to run this test")
    return path


@pytest.fixture
def local_site(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalSite]:
    """A real HTTP server on this machine, reached past any proxy of the environment."""
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "GOCELL_MIRROR", "GOCELL_TIMEOUT"):
        for name in (variable, variable.lower()):
            monkeypatch.delenv(name, raising=False)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    with serving() as site:
        yield site


@pytest.fixture(scope="session")
def toy_genes() -> GeneTable:
    return toy.gene_table()


def sga_line(
    query: str, array: str, kind: str, score: str = "", p: str = "", fitness: str = "", sd: str = "",
    of_query: str = "", of_array: str = "",
) -> str:  # fmt: skip
    """One row of Kuzmin 2018's table."""
    return "\t".join([query, "q", array, "a", kind, "", score, p, of_query, of_array, fitness, sd])


def read_kuzmin2018(path: Path, genes: GeneTable, *, phenotype: str, order: str) -> Dataset:
    """Data S1 as build-cache reads it."""
    return kuzmin.read(kuzmin.STUDIES["kuzmin2018"], [path], genes, phenotype=phenotype, order=order)


TOY_ROWS = (
    sga_line("YAL001C+YDL227C_tm1", "YAL002W_dma1", "digenic", "-0.5", "0.01", "0.5", "0.03"),
    sga_line("YDL227C+YAL002W_tm2", "YAL001C_dma2", "digenic", "-0.1", "0.02", "0.7", "0.04"),
    sga_line("YAL003W+YAL005C_tm3", "YAL007C_dma3", "trigenic", "-0.2", "0.03", "0.25", "0.05"),
    sga_line("YAL003W+YDL227C_tm4", "YZZ999W_dma4", "digenic", "0.1", "0.5", "0.9", "0.01"),
    sga_line("YAL003W+YDL227C_tm4", "YAL007C_dma3", "digenic", "", "", "", ""),
)


@pytest.fixture
def toy_table(tmp_path: Path) -> Path:
    """Five rows: two of one genotype, one trigenic, one with an unknown gene, one without a phenotype."""
    path = tmp_path / "toy.tsv"
    path.write_text("\n".join(["\t".join(kuzmin.COLUMNS), *TOY_ROWS]) + "\n", "utf-8")
    return path


@pytest.fixture
def toy_dataset(toy_table: Path, toy_genes: GeneTable) -> Dataset:
    return read_kuzmin2018(toy_table, toy_genes, phenotype="fitness", order="all")


@pytest.fixture
def toy_plan(tmp_path: Path, toy_dataset: Dataset, toy_genes: GeneTable) -> BuildPlan:
    """Two genotypes on the filtered toy hierarchy, one sample a shard, both backends."""
    options = BuildOptions(toy.RULES, backends=("parquet", "lmdb"), shard_size=1)
    return plan_build(toy.ontology(tmp_path), toy.annotations(tmp_path), toy_genes, toy_dataset, options, {})


@pytest.fixture
def toy_cache(tmp_path: Path, toy_plan: BuildPlan) -> Path:
    """A finished cache of the toy plan."""
    return build(toy_plan, tmp_path / "cache", BuildMode()).directory


@pytest.fixture(scope="session")
def small_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a training needs and no more: fitness of 168 strains, all sets of 1 to 3 of the toy's first four genes.

    The fifth gene is never deleted. Twelve samples of each set, with noise; shards of 50, both backends.
    """
    folder, rng = tmp_path_factory.mktemp("small"), np.random.default_rng(0)
    fitness = (0.9, 0.8, 0.95, 0.6)
    sets = [s for size in (1, 2, 3) for s in combinations(range(4), size)]
    lines = [
        f"{'+'.join(toy.GENES[g] for g in genes)},{np.prod([fitness[g] for g in genes]) + rng.normal(0, 0.02):.6f}"
        for genes in sets * 12
    ]
    (folder / "screen.csv").write_text("\n".join(["genes,fitness", *lines]) + "\n", "utf-8")
    dataset, _ = own_table.read(folder / "screen.csv", toy.gene_table(), table_columns.TableOptions())
    options = BuildOptions(toy.RULES, backends=BACKENDS, shard_size=50, duplicates="keep")
    plan = plan_build(toy.ontology(folder), toy.annotations(folder), toy.gene_table(), dataset, options, {})
    return build(plan, folder / "cache", BuildMode()).directory
