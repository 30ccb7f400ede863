"""`gocell export --hierarchy`: of a cache with its tables, of ontology options, of another hierarchy's file."""

from pathlib import Path

import numpy as np
import pytest

from gocell_cli.errors import InvalidInput, SourceMissing, UsageError
from gocell_cli.storage.cell_tables import CellTables
from gocell_cli.storage.reader import Cache
from tests import toy
from tests.commands.runners import document, failure, invoke
from tests.storage.test_export import make_cache

TABLES = ("gene2ind", "cell2ind", "cell2mutation", "drugcell_samples", "dcell_samples")
EDGES = {(toy.KEPT[p], toy.KEPT[c]) for c, p in toy.KEPT_EDGES}


def lines(folder: Path, word: str) -> list[str]:
    return (folder / f"go.{word}.txt").read_text("utf-8").splitlines()


def test_a_cache_with_its_tables(toy_cache: Path, tmp_path: Path) -> None:
    cache = Cache(toy_cache)
    found = document("export", "--hierarchy", "drugcell", "--out", tmp_path / "go.txt", "--cache", toy_cache)
    assert found["beside"] == [str(tmp_path / f"go.{word}.txt") for word in TABLES]
    assert (found["terms"], found["edges"], found["rows"], found["samples"]) == (5, 6, 5, 2)
    rows = [line.split("\t") for line in (tmp_path / "go.txt").read_text("utf-8").splitlines()]
    assert {(p, c) for p, c, kind in rows if kind == "default"} == EDGES
    assert lines(tmp_path, "gene2ind") == [f"{i}\t{name}" for i, name in enumerate(cache.hierarchy.gene_names)]
    cells = [line.split("\t") for line in lines(tmp_path, "cell2ind")]
    mutated = np.array([line.split(",") for line in lines(tmp_path, "cell2mutation")]).astype(int)
    assert mutated.shape == (2, len(cache.hierarchy.gene_names))
    for i, (number, name) in enumerate(cells):
        sample = cache.sample(i)
        assert int(number) == i
        assert name == "+".join(cache.hierarchy.gene_names[g] for g in sample.genes)
        assert np.flatnonzero(mutated[i]).tolist() == list(sample.genes)
        cell, drug, value, dataset = lines(tmp_path, "drugcell_samples")[i].split("\t")
        assert (cell, drug, float(value), dataset) == (name, "fitness", sample.value, "kuzmin2018")
        count, *genes, value = lines(tmp_path, "dcell_samples")[i].split(" ")
        assert (int(count), "+".join(genes), float(value)) == (len(genes), name, sample.value)


def test_ontology_options_and_a_file_to_convert(tmp_path: Path) -> None:
    files = ("--obo", toy.write_obo(tmp_path), "--gaf", toy.write_gaf(tmp_path), "--min-genes", 3)
    made = document("export", "--hierarchy", "cx2", "--out", tmp_path / "a.cx2", *files)
    assert (made["cache"], made["beside"]) == (None, [])
    again = document("export", "--hierarchy", "ddot", "--out", tmp_path / "b.txt", "--from", tmp_path / "a.cx2")
    assert {k: again[k] for k in ("terms", "edges", "rows", "genes")} == {
        k: made[k] for k in ("terms", "edges", "rows", "genes")
    }
    rows = [line.split("\t") for line in (tmp_path / "b.txt").read_text("utf-8").splitlines()[1:]]
    assert {(p, c) for p, c, kind in rows if kind == "Child-Parent"} == EDGES


def test_samples_of_one_genotype_are_one_cell(tmp_path: Path) -> None:
    cache = make_cache(tmp_path, toy.gene_table(), [[0], [0, 1], [2]])
    made = CellTables(cache)
    assert [len(made.cells), made.without_value, made.without_term] == [3, 0, 0]
    assert made.mutation_bytes == sum(len(line) + 1 for line in made.cell2mutation())


@pytest.mark.parametrize(
    ("words", "kind", "message"),
    [
        (("--out", "a.txt"), UsageError, "neither .xlsx nor .parquet nor .csv nor .tsv"),
        (("--out", "a.tsv", "--preset", "ma2018"), UsageError, "options of a hierarchy, and samples"),
        (("--out", "a.tsv", "--no-tables"), UsageError, "options of a hierarchy, and samples"),
        (("--hierarchy", "cx2", "--out", "a.txt"), UsageError, "not .cx2"),
        (("--hierarchy", "ddot", "--out", "a.txt"), SourceMissing, "no cache has been built"),
        (
            ("--hierarchy", "ddot", "--out", "a.txt", "--cache", ".", "--preset", "ma2018"),
            UsageError,
            "two hierarchies",
        ),
        (("--hierarchy", "ddot", "--out", "a.txt", "--from", "x", "--preset", "ma2018"), UsageError, "go with --from"),
        (("--hierarchy", "ddot", "--out", "a.txt", "--from", "none.txt"), SourceMissing, "none.txt"),
    ],
)
def test_what_cannot_be(
    words: tuple[str, ...], kind: type, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    error = failure("export", *words)
    assert isinstance(error, kind)
    assert message in error.message
    assert not list(tmp_path.iterdir())


def test_nothing_is_replaced_unasked(toy_cache: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "go.cell2ind.txt").write_text("mine")
    words = ("export", "--hierarchy", "dcell", "--out", folder / "go.txt", "--cache", toy_cache)
    assert "go.cell2ind.txt: is there already" in failure(*words).message
    assert [p.name for p in folder.iterdir()] == ["go.cell2ind.txt"]
    assert invoke(*words, "--overwrite").exit_code == 0
    assert (folder / "go.cell2ind.txt").read_text() != "mine"


def test_a_gene_that_trainers_would_split_leaves_the_tables_out(tmp_path: Path) -> None:
    from gocell_cli.domain.genes import make_gene_table

    genes = make_gene_table([(name,) for name in ("A B", "G1", "G2", "G3", "G4")])
    cache = make_cache(tmp_path, genes, [[0], [1]])
    with pytest.raises(InvalidInput, match="the gene 'A B' has a blank in its name") as caught:
        CellTables(cache)
    assert "--no-tables" in caught.value.hint
