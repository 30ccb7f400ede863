"""`gocell gene-vectors`: what it writes in each format reads back, what it leaves out, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest

from gocell_cli.sources.go.sgd_numbers import read_sgd_numbers
from gocell_cli.sources.screens.vector_table import read
from gocell_cli.storage.reader import Cache
from gocell_cli.training.baselines.membership import memberships, vectors
from gocell_cli.training.data.gene_vectors import read_gene_vectors
from tests.commands.conftest import Built
from tests.commands.runners import document, failure, invoke

SGD_LINE = "\t".join(["S1", "{kind}", "{what}", "{name}", "", "", "{parent}", "", "1", "{start}", "{stop}", *[""] * 5])


def sgd_table(folder: Path, genes: tuple[str, ...]) -> Path:
    """ORFs of 30, 60, 90 .. bases, the first with an intron and two CDS; the last one has no CDS."""
    lines = [SGD_LINE.format(kind="intron", what="", name="", parent=genes[0], start=11, stop=20)]
    for i, name in enumerate(genes):
        lines.append(
            SGD_LINE.format(kind="ORF", what=("Verified", "Dubious")[i % 2], name=name, parent="", start=1, stop=9)
        )
        if i < len(genes) - 1:
            lines.append(SGD_LINE.format(kind="CDS", what="", name="", parent=name, start=30 * (i + 1), stop=1))
    lines.append(SGD_LINE.format(kind="CDS", what="", name="", parent=genes[0], start=101, stop=170))
    path = folder / "SGD_features.tab"
    path.write_text("\n".join(lines) + "\n", "latin-1")
    return path


def test_every_format_reads_back_as_the_same(essentiality: Built, tmp_path: Path) -> None:
    cache = Cache(essentiality.cache)
    expected = vectors(memberships(cache.hierarchy), 4)
    with_terms = np.any(expected, axis=1)
    for suffix in ("tsv", "csv", "parquet", "npz", "xlsx"):
        out = tmp_path / f"v.{suffix}"
        told = document("gene-vectors", essentiality.cache, "--out", out, "--size", "4")
        assert (told["genes"], told["columns"]) == (6604, 4)
        found = read(out)
        assert found.names == cache.hierarchy.gene_names
        assert found.columns == ("terms_1", "terms_2", "terms_3", "terms_4")
        np.testing.assert_array_equal(found.values[with_terms], expected[with_terms])
        assert np.isnan(found.values[~with_terms]).all()
        (block,) = told["blocks"]
        assert block["lacking"] == [n for n, has in zip(found.names, with_terms.tolist(), strict=True) if not has]
        everywhere = np.ones(len(found), dtype=bool)
        assert read_gene_vectors([found], cache.hierarchy, everywhere, "fitness").missing.sum() == (~with_terms).sum()


def test_essentiality_is_told_to_no_model_of_essentiality(essentiality: Built, tmp_path: Path) -> None:
    told = document("gene-vectors", essentiality.cache, "--out", tmp_path / "v.tsv")
    assert told["left_out"]["essential"] == "it is the label itself"
    assert "essential" not in read(tmp_path / "v.tsv").columns
    # nor where the file is of another cache
    cache = Cache(essentiality.cache)
    path = tmp_path / "own.csv"
    path.write_text(
        "gene,essential,x\n" + "".join(f"{n},{i % 2},{i}\n" for i, n in enumerate(cache.hierarchy.gene_names))
    )
    everywhere = np.ones(len(cache.hierarchy.gene_names), dtype=bool)
    found = read_gene_vectors([read(path)], cache.hierarchy, everywhere, "viability")
    assert found.names == ("x",)
    assert "essential: not used for viability: it is the label itself" in found.notes
    assert read_gene_vectors([read(path)], cache.hierarchy, everywhere, "fitness").names == ("essential", "x")


def test_a_fitness_cache_offers_what_its_table_publishes(kuzmin_like: Path, tmp_path: Path) -> None:
    told = document("gene-vectors", kuzmin_like, "--out", tmp_path / "v.tsv", "--size", "2")
    found = read(tmp_path / "v.tsv")
    assert found.columns == ("terms_1", "terms_2", "single_fitness", "essential")
    values = dict(zip(found.names, found.values[:, 2].tolist(), strict=True))
    assert {name: value for name, value in values.items() if np.isfinite(value)} == {"YAL001C": 0.9, "YAL002W": 0.75}
    essential = dict(zip(found.names, found.values[:, 3].tolist(), strict=True))
    assert (essential["YAL001C"], essential["YAL002W"]) == (1.0, 0.0)
    assert told["left_out"] == {}
    # for scores that are made of fitness it is left out, by whoever reads the file
    hierarchy = Cache(kuzmin_like).hierarchy
    everywhere = np.ones(len(hierarchy.gene_names), dtype=bool)
    assert "single_fitness" not in read_gene_vectors([found], hierarchy, everywhere, "tau").names


@pytest.fixture
def kuzmin_like(tmp_path: Path) -> Path:
    """A cache of one digenic row, on the bundled release."""
    from gocell_cli.sources.screens.kuzmin import COLUMNS
    from tests.conftest import sga_line

    row = sga_line("YAL001C+YDL227C_tm1", "YAL002W_dma1", "digenic", "", "", "0.5", "0.1", "0.9", "0.75")
    (tmp_path / "s1.tsv").write_text("\n".join(["\t".join(COLUMNS), row]) + "\n", "utf-8")
    words = ["--dataset", "kuzmin2018", "--raw", tmp_path / "s1.tsv", "--phenotype", "fitness", "--out", tmp_path / "c"]
    built: dict[str, str] = document("build-cache", *words, "--root", tmp_path)
    return Path(built["cache"])


def test_sgds_table(essentiality: Built, tmp_path: Path) -> None:
    genes = Cache(essentiality.cache).hierarchy.gene_names[:6]
    table = sgd_table(tmp_path, genes)
    numbers = read_sgd_numbers(table)
    assert numbers.names == genes
    np.testing.assert_allclose(10 ** numbers.values[:-1, 0], [100, 60, 90, 120, 150])
    assert np.isnan(numbers.values[-1, 0])
    assert numbers.values[:, 1:].tolist() == [[1, 1], [0, 0], [0, 1], [0, 0], [0, 1], [0, 0]]
    told = document("gene-vectors", essentiality.cache, "--out", tmp_path / "v.tsv", "--sgd", table, "--size", "1")
    assert told["columns"] == 4
    bad = tmp_path / "bad.tab"
    bad.write_text(table.read_text("latin-1").replace("\t60\t", "\tsixty\t"), "latin-1")
    message = failure("gene-vectors", essentiality.cache, "--out", tmp_path / "w.tsv", "--sgd", bad).message
    assert "bad.tab:5: a CDS from 'sixty' to '1': two whole numbers are wanted" in message


def test_a_file_that_is_there_and_another_suffix_are_refused(essentiality: Built, tmp_path: Path) -> None:
    out = tmp_path / "v.tsv"
    result = invoke("gene-vectors", essentiality.cache, "--out", out, "--size", "3")
    assert "terms_1 .. terms_3 (terms of the hierarchy)" in result.stdout
    assert "essential is left out: it is the label itself" in result.stderr
    assert "--overwrite" in failure("gene-vectors", essentiality.cache, "--out", out).hint
    again = invoke("gene-vectors", essentiality.cache, "--out", out, "--overwrite", "--json", "--size", "2")
    assert json.loads(again.stdout)["columns"] == 2
    assert "v.txt" in failure("gene-vectors", essentiality.cache, "--out", tmp_path / "v.txt").message
