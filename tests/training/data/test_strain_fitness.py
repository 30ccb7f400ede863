"""Published fitness of strains: from a table to a feature, and the phenotypes that are not told it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from gocell_cli.building.build import BuildMode, build
from gocell_cli.building.plan import BuildOptions, plan_build
from gocell_cli.building.tasks import ExecutorChoice
from gocell_cli.domain.genes import GeneTable
from gocell_cli.run_record import StrainFitnessRecord
from gocell_cli.sources.screens import kuzmin
from gocell_cli.storage.reader import Cache
from gocell_cli.storage.schema import Samples
from gocell_cli.training.baselines.samples import Genotypes, genotypes_of
from gocell_cli.training.data.strain_fitness import known_singles, offered_fitness, published_fitness
from tests import toy
from tests.commands.runners import document, invoke
from tests.conftest import read_kuzmin2018, sga_line

LINES = (
    sga_line("YAL001C+YDL227C_tm1", "YAL002W_dma1", "digenic", "-0.1", "0.1", "0.5", "0.03", "0.9", "0.75"),
    # the same genotype, the roles exchanged; nothing is known of its query strain
    sga_line("YDL227C+YAL002W_tm2", "YAL001C_dma2", "digenic", "-0.2", "0.1", "0.7", "0.04", "", "1.25"),
    sga_line("YAL003W+YAL005C_tm3", "YAL007C_dma3", "trigenic", "-0.2", "0.1", "0.25", "0.05", "0.625", "0.5"),
    # dropped, and says another thing of its array strain
    sga_line("YAL003W+YDL227C_tm4", "YAL007C_dma3", "digenic", "", "", "", "", "", "0.75"),
)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "table.tsv"
    path.write_text("\n".join(["\t".join(kuzmin.COLUMNS), *LINES]) + "\n", "utf-8")
    return path


def built(table: Path, genes: GeneTable, phenotype: str = "fitness", workers: int = 1) -> Path:
    dataset = read_kuzmin2018(table, genes, phenotype=phenotype, order="all")
    folder = table.parent
    options = BuildOptions(toy.RULES, backends=("parquet", "lmdb"), shard_size=1)
    plan = plan_build(toy.ontology(folder), toy.annotations(folder), genes, dataset, options, {})
    mode = BuildMode(executor=ExecutorChoice(workers=workers))
    return build(plan, folder / f"{phenotype}-{workers}", mode).directory


def genotypes(cache: Cache) -> Genotypes:
    return genotypes_of(cache.columns(), cache.provenance, cache.hierarchy, cache.manifest.phenotype["kind"])


def test_a_caches_strains_carry_it(table: Path, toy_genes: GeneTable) -> None:
    cache = built(table, toy_genes)
    strains = pq.read_table(cache / "provenance/strains.parquet").to_pylist()
    assert {s["strain"]: s["fitness"] for s in strains} == {
        "YAL001C+YDL227C_tm1": 0.9,
        "YAL001C_dma2": 1.25,
        "YAL002W_dma1": 0.75,
        "YAL003W+YAL005C_tm3": 0.625,
        "YAL007C_dma3": 0.625,
        "YDL227C+YAL002W_tm2": None,
    }
    manifest = Cache(cache).manifest
    assert manifest.counts["strain_fitness"] == {"strains": 5, "of": 6, "several_values": 1}
    assert manifest.config["strain_fitness"] == "mean"


def test_a_sample_has_the_mean_of_its_rows_by_side(table: Path, toy_genes: GeneTable) -> None:
    cache = Cache(built(table, toy_genes))
    found = genotypes(cache)
    assert found.strain_fitness.tolist() == [[0.9, 1.0], [0.625, 0.625]]
    assert found.take(np.array([1])).strain_fitness.tolist() == [[0.625, 0.625]]
    told = offered_fitness(cache.columns(), cache.provenance, cache.hierarchy, "fitness")
    assert told == StrainFitnessRecord(samples=2, query=2, array=2, borrowed=0, withheld="")


@pytest.mark.parametrize(
    ("phenotype", "why"), [("epsilon", "once that of its strains is taken off"), ("tau", "taken off")]
)
def test_a_score_made_of_it_is_not_told_it(phenotype: str, why: str, table: Path, toy_genes: GeneTable) -> None:
    cache = Cache(built(table, toy_genes, phenotype))
    assert np.isfinite(published_fitness(cache.columns(), cache.provenance, cache.hierarchy)).any()
    assert np.isnan(genotypes(cache).strain_fitness).all()
    told = offered_fitness(cache.columns(), cache.provenance, cache.hierarchy, phenotype)
    assert told is not None
    assert why in told.withheld


def test_single_mutant_fitness_as_a_phenotype_is_its_own_label(table: Path, toy_genes: GeneTable) -> None:
    cache = Cache(built(table, toy_genes, "smf"))
    assert np.isnan(genotypes(cache).strain_fitness).all()
    assert (
        offered_fitness(cache.columns(), cache.provenance, cache.hierarchy, "smf") is None
    )  # nothing is there to be withheld


def test_single_mutants_by_gene(table: Path, toy_genes: GeneTable) -> None:
    cache = Cache(built(table, toy_genes))
    names = cache.hierarchy.gene_names
    found = known_singles(cache.provenance, cache.hierarchy)
    known = {name: value for name, value in zip(names, found.tolist(), strict=True) if np.isfinite(value)}
    # YAL001C as query (0.9) and as array (1.25); YAL003W and YAL005C in a double mutant only
    assert known == {"YAL001C": 1.075, "YAL002W": 0.75, "YAL007C": 0.625}
    suppressed = replace(cache.provenance, kinds=("suppressor",) * len(cache.provenance.kinds))
    assert np.isnan(known_singles(suppressed, cache.hierarchy)).all()


def test_a_cache_of_before_and_samples_without_strains_have_none(toy_cache: Path, small_cache: Path) -> None:
    for cache in (Cache(toy_cache), Cache(small_cache)):
        assert cache.provenance.fitness == ()
        found = published_fitness(cache.columns(), cache.provenance, cache.hierarchy)
        assert found.shape == (len(cache), 2)
        assert np.isnan(found).all()
        assert offered_fitness(cache.columns(), cache.provenance, cache.hierarchy, "fitness") is None
    none: Samples = Cache(toy_cache).rows([])
    assert published_fitness(none, Cache(toy_cache).provenance, Cache(toy_cache).hierarchy).shape == (0, 2)


def test_files_are_the_same_whatever_the_workers(table: Path, toy_genes: GeneTable) -> None:
    one, two = built(table, toy_genes), built(table, toy_genes, workers=2)
    path = "provenance/strains.parquet"
    assert (one / path).read_bytes() == (two / path).read_bytes()
    assert (one / "manifest.sha256").read_text() == (two / "manifest.sha256").read_text()


def test_inspect_sample_shows_it(table: Path, toy_genes: GeneTable) -> None:
    cache = built(table, toy_genes)
    sources = document("inspect", "sample", 0, "--cache", cache)["provenance"]["sources"]
    assert [(s["query_fitness"], s["array_fitness"]) for s in sources] == [(0.9, 0.75), (None, 1.25)]
    shown = invoke("inspect", "sample", 1, "--cache", cache).stdout
    assert "YAL003W+YAL005C_tm3 (q, unknown, fitness 0.625) x YAL007C_dma3 (a, deletion, fitness 0.625)" in shown


def test_a_strain_of_which_nothing_was_published_has_what_was_of_the_genes_others(
    tmp_path: Path, toy_genes: GeneTable
) -> None:
    lines = (
        # of no query strain anything; YAL002W is an array strain elsewhere, once a deletion and once a ts allele
        sga_line("YAL002W+YDL227C_tm1", "YAL003W_dma1", "digenic", fitness="0.5", of_array="0.9"),
        sga_line("YAL005C_tsq1", "YAL002W_dma2", "digenic", fitness="0.6", of_array="0.75"),
        sga_line("YAL005C_tsq1", "YAL002W_tsa3", "digenic", fitness="0.6", of_array="0.25"),
        # a double mutant is no single one
        sga_line("YAL002W+YAL003W_tm4", "YAL007C_dma4", "trigenic", fitness="0.2"),
    )
    (tmp_path / "t.tsv").write_text("\n".join(["\t".join(kuzmin.COLUMNS), *lines]) + "\n", "utf-8")
    cache = Cache(built(tmp_path / "t.tsv", toy_genes))
    kinds = {strain: kind for (strain, _), kind in zip(cache.provenance.strains, cache.provenance.kinds, strict=True)}
    as_deletion = replace(
        cache.provenance, kinds=tuple("deletion" if "_tm" in s else kinds[s] for s, _ in cache.provenance.strains)
    )
    columns = cache.columns()
    found = published_fitness(columns, as_deletion, cache.hierarchy)
    by_genes = {
        tuple(cache.hierarchy.gene_names[g] for g in columns.genes[columns.gene_ptr[i] : columns.gene_ptr[i + 1]]): row
        for i, row in enumerate(found.tolist())
    }
    np.testing.assert_equal(by_genes[("YAL002W", "YAL003W")], [0.75, 0.9])
    np.testing.assert_equal(by_genes[("YAL002W", "YAL005C")], [np.nan, 0.5])
    np.testing.assert_equal(by_genes[("YAL002W", "YAL003W", "YAL007C")], [np.nan, np.nan])
    told = offered_fitness(columns, as_deletion, cache.hierarchy, "fitness")
    assert told == StrainFitnessRecord(samples=3, query=1, array=2, borrowed=1, withheld="")
