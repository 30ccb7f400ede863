"""What `export` writes `--dataset table` reads back, gene by gene, whatever the genes are called."""

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gocell_cli.building.build import BuildMode, build
from gocell_cli.building.plan import BuildOptions, plan_build
from gocell_cli.domain.annotations import AnnotationRows
from gocell_cli.domain.genes import GeneTable, make_gene_table
from gocell_cli.sources.go.bundle import load_genes
from gocell_cli.sources.go.releases import load_release
from gocell_cli.sources.screens.own_table import read
from gocell_cli.sources.screens.table_columns import TableOptions
from gocell_cli.storage.export import exported_columns, sample_rows
from gocell_cli.storage.reader import Cache
from tests import toy
from tests.attempts import attempts, some

READ_BACK = TableOptions(phenotype="value")


def make_cache(folder: Path, genes: GeneTable, genotypes: Sequence[Sequence[int]]) -> Cache:
    """A real cache of these genotypes on the toy's hierarchy, whose terms hold the first genes only."""
    width = max(map(len, genotypes))
    columns = {f"gene_{i + 1}": [genes.systematic[g[i]] if i < len(g) else "" for g in genotypes] for i in range(width)}
    pq.write_table(pa.table({**columns, "growth": np.arange(len(genotypes)) / 7}), folder / "genotypes.parquet")
    dataset, _ = read(folder / "genotypes.parquet", genes, TableOptions())
    held = [(toy.term_id(number), genes.systematic[g % len(genes)]) for number, gs in toy.DIRECT.items() for g in gs]
    rows = AnnotationRows(
        source="made here",
        names=tuple((name,) for _, name in held),
        object_of_row=np.arange(len(held), dtype=np.int32),
        term=tuple(term for term, _ in held),
        qualifier=("",) * len(held),
        evidence=("IDA",) * len(held),
        date=np.zeros(len(held), dtype=np.int32),
    )
    plan = plan_build(toy.ontology(folder), rows, genes, dataset, BuildOptions(toy.RULES), {})
    return Cache(build(plan, folder / "cache", BuildMode()).directory)


def written(cache: Cache, path: Path) -> tuple[str, ...]:
    columns = exported_columns(cache)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t" if path.suffix == ".tsv" else ",", lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(sample_rows(cache, columns))
    return columns


def pairs(dataset_genes: np.ndarray) -> list[tuple[int, ...]]:
    return [tuple(g for g in row if g >= 0) for row in dataset_genes.tolist()]


def assert_round_trip(folder: Path, genes: GeneTable, genotypes: Sequence[Sequence[int]]) -> tuple[str, ...]:
    cache = make_cache(folder, genes, genotypes)
    for suffix in ("csv", "tsv"):
        columns = written(cache, folder / f"out.{suffix}")
        back, _ = read(folder / f"out.{suffix}", genes, READ_BACK)
        assert dict(back.dropped) == {}
        assert set(back.names[0].rows) == {"systematic"}
        samples = cache.columns()
        bounds = zip(samples.gene_ptr[:-1].tolist(), samples.gene_ptr[1:].tolist(), strict=True)
        assert pairs(back.measurements.genes) == [tuple(samples.genes[a:b].tolist()) for a, b in bounds]
        assert np.array_equal(back.measurements.value, samples.value)
    return columns


def all_pairs_of_neighbours(genes: GeneTable) -> list[list[int]]:
    """Every gene alone, and every gene with the next one: each name stands in a cell of its own, and beside another."""
    return [[g] for g in range(len(genes))] + [[g, g + 1] for g in range(len(genes) - 1)]


def test_every_gene_of_yeast(tmp_path: Path) -> None:
    genes = load_genes()
    assert assert_round_trip(tmp_path, genes, all_pairs_of_neighbours(genes))[1] == "genes"


def test_standard_names_as_the_genes_own(tmp_path: Path) -> None:
    """`--gene-id symbol` makes them the genes' names: ADE5,7, ARG5,6 and DUR1,2 among them."""
    of = load_genes()
    names = sorted({standard or systematic for systematic, standard in zip(of.systematic, of.standard, strict=True)})
    genes = make_gene_table([(name,) for name in names])
    assert {"ADE5,7", "ARG5,6", "DUR1,2"} <= set(genes.systematic)
    assert_round_trip(tmp_path, genes, all_pairs_of_neighbours(genes))


def test_genes_stand_in_columns_of_their_own_where_a_cell_would_read_otherwise(tmp_path: Path) -> None:
    genes = make_gene_table([("A",), ("B",), ("A B",), ("C,D",)])
    i = genes.index
    columns = assert_round_trip(tmp_path, genes, [[i["A"], i["B"]], [i["A B"]], [i["A"], i["C,D"]]])
    assert columns[1:3] == ("gene_1", "gene_2")


def test_no_name_is_a_formula_for_a_spreadsheet(tmp_path: Path) -> None:
    genes = make_gene_table([("=1+1",), ("@SUM(A1)",), ("'quoted",), ("+A",), ("-B",), ("plain",)])
    assert_round_trip(tmp_path, genes, [[i] for i in range(6)] + [[0, 1]])
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = [text for row in rows for column, text in row.items() if column not in ("value", "statistic")]
    assert not [text for text in names if text.startswith(("=", "+", "-", "@"))]
    assert "'=1+1" in names


ODD = st.text(st.sampled_from("ABab1 ,;|+/-=@'\"(.)ω\t"), min_size=1, max_size=5).map(str.strip).filter(bool)


@settings(max_examples=attempts(12, 400), deadline=None)
@given(st.lists(ODD, min_size=2, max_size=8, unique=True), st.data())
def test_any_names(tmp_path_factory: Any, names: list[str], data: Any) -> None:
    # three plain ones besides: a term of the toy's that is kept holds three genes
    names = [*names, *{"G1", "G2", "G3"}.difference(names)]
    genes = make_gene_table([(name,) for name in names])
    few = st.lists(st.integers(0, len(names) - 1), min_size=1, max_size=3, unique=True).map(sorted)
    genotypes = data.draw(st.lists(few, min_size=1, max_size=6, unique_by=tuple))
    # all genes, for one of those that are measured must be annotated
    assert_round_trip(
        tmp_path_factory.mktemp("odd"),
        genes,
        [*([g] for g in range(len(names))), *(g for g in genotypes if len(g) > 1)],
    )


ORGANISMS = Path(os.environ.get("GOCELL_TEST_ORGANISMS", "/nowhere"))


@pytest.mark.skipif(not ORGANISMS.is_dir(), reason="GOCELL_TEST_ORGANISMS names no folder of GAFs")
@pytest.mark.parametrize("gene_id", some(1, ["auto", "id", "symbol"]))
@pytest.mark.parametrize("organism", ["arabidopsis", "fly", "human", "mouse", "rat", "worm", "zebrafish"])
def test_every_gene_of_every_organism(tmp_path: Path, organism: str, gene_id: str) -> None:
    (gaf,) = [path for path in ORGANISMS.iterdir() if f"goa_{organism}" in path.name]
    genes = load_release(toy.write_obo(tmp_path), gaf, gene_id=gene_id).genes
    assert len(genes) > 5_000
    assert_round_trip(tmp_path, genes, all_pairs_of_neighbours(genes))
