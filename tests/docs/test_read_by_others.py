"""The page for users of other programs is true: each block runs in a cache's folder and agrees with gocell's reader."""

import csv
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pytest

from gocell_cli.storage.reader import Cache
from gocell_cli.storage.records import DESCRIPTIONS
from gocell_cli.storage.verify import verify_cache
from tests.commands.runners import document

PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "read-by-others.md"
SLICE = "kuzmin2018/aao1729_data_s1.slice.tsv"


def blocks(section: str, language: str) -> list[str]:
    """A section's code blocks in one language."""
    text = re.split(r"^## ", PAGE.read_text("utf-8"), flags=re.MULTILINE)
    (found,) = [part for part in text if part.startswith(section)]
    return re.findall(rf"^```{language}\n(.*?)^```", found, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module", params=["bundled", "kuzmin2018"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two caches with both backends: the bundled data in one shard, and a slice of a real screen in four."""
    words: tuple[object, ...] = ()
    if request.param == "kuzmin2018":
        raw = request.getfixturevalue("test_data") / SLICE
        words = ("--dataset", "kuzmin2018", "--raw", raw, "--phenotype", "fitness", "--shard-size", 4000)
    root = tmp_path_factory.mktemp("others")
    return Path(document("build-cache", *words, "--backend", "both", "--root", root)["cache"])


@pytest.fixture
def inside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    """The cache, and its folder the working directory."""
    monkeypatch.chdir(folder)
    return Cache(folder)


def term_means(cache: Cache, *, contained: bool) -> dict[str, tuple[int, float]]:
    """By term id: the samples that delete a gene of it (contained or its own), and the mean of their values."""
    h, columns = cache.hierarchy, cache.columns()
    sample = np.repeat(np.arange(len(cache)), np.diff(columns.gene_ptr))
    term, gene = h.row_term, h.row_gene
    if contained:
        term, gene = h.closure.term, np.repeat(np.arange(len(h.gene_names)), np.diff(h.closure.ptr))
    found: dict[str, tuple[int, float]] = {}
    for number, name in enumerate(h.term_ids):
        reached = np.unique(sample[np.isin(columns.genes, gene[term == number])])
        if len(reached):
            found[name] = (len(reached), float(columns.value[reached].mean()))
    return found


def agree(found: dict[str, tuple[int, float]], expected: dict[str, tuple[int, float]]) -> None:
    assert {name: n for name, (n, _) in found.items()} == {name: n for name, (n, _) in expected.items()}
    np.testing.assert_allclose(
        [found[name][1] for name in expected], [mean for _, mean in expected.values()], rtol=1e-12
    )


@pytest.fixture
def con(inside: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> duckdb.DuckDBPyConnection:
    """A connection made by the page's own lines, with `cache` a folder that is not the working directory."""
    (block,) = blocks("DuckDB", "python")
    names: dict[str, Any] = {}
    exec(compile(block, PAGE.name, "exec"), names)  # in the cache's folder, as the page has it
    monkeypatch.chdir(tmp_path)
    names = {"here": inside.directory}
    exec(compile(block.replace("Path.cwd()", "here"), PAGE.name, "exec"), names)
    return names["con"]


def test_duckdb_joins_samples_genes_and_terms_by_name(con: duckdb.DuckDBPyConnection, inside: Cache) -> None:
    by_term, most = blocks("DuckDB", "sql")
    found = con.execute(by_term).fetchall()
    assert [row[0] for row in found] == sorted(row[0] for row in found)
    agree({id_: (n, mean) for id_, _, n, mean in found}, term_means(inside, contained=True))
    counts = np.bincount(inside.columns().genes, minlength=len(inside.hierarchy.gene_names))
    expected = {name: n for name, n in zip(inside.hierarchy.gene_names, counts.tolist(), strict=True) if n}
    assert dict(con.execute(most).fetchall()) == expected


def test_the_views_say_what_the_reader_says(con: duckdb.DuckDBPyConnection, inside: Cache) -> None:
    h = inside.hierarchy
    for sample in range(0, len(inside), len(inside) // 7):
        ours = inside.sample(sample)
        row = con.execute("SELECT genes, value, dataset FROM samples WHERE sample = ?", [sample]).fetchone()
        assert row == (list(ours.genes), ours.value, ours.dataset)
        names = con.execute("SELECT systematic FROM sample_genes WHERE sample = ? ORDER BY gene", [sample]).fetchall()
        assert [name for (name,) in names] == [h.gene_names[g] for g in ours.genes]
    assert con.execute("SELECT count(*), count(DISTINCT sample), max(sample) FROM samples").fetchone() == (
        len(inside), len(inside), len(inside) - 1,
    )  # fmt: skip
    edges = con.execute("SELECT child_id, parent_id FROM edges").fetchall()
    assert sorted(edges) == sorted(
        (h.term_ids[c], h.term_ids[p]) for c, p in zip(h.edge_child, h.edge_parent, strict=True)
    )
    rows = con.execute("SELECT id, systematic FROM term_genes").fetchall()
    assert sorted(rows) == sorted((h.term_ids[t], h.gene_names[g]) for t, g in zip(h.row_term, h.row_gene, strict=True))
    counts = dict(con.execute("SELECT id, count(*) FROM contained_genes GROUP BY id").fetchall())
    assert counts == {i: n for i, n in zip(h.term_ids, h.contained_genes.tolist(), strict=True) if n}
    assert con.execute("SELECT dataset_name FROM datasets ORDER BY dataset").fetchall() == [
        (name,) for name in inside.manifest.datasets
    ]
    strains = con.execute("SELECT strain, allele FROM strains ORDER BY strain_index").fetchall()
    assert strains == list(inside.provenance.strains)


def test_polars(inside: Cache) -> None:
    (block,) = blocks("Polars", "python")
    names: dict[str, Any] = {}
    exec(compile(block, PAGE.name, "exec"), names)
    means: pl.DataFrame = names["means"]
    agree({id_: (n, mean) for id_, _, n, mean in means.rows()}, term_means(inside, contained=False))


def test_r(inside: Cache) -> None:
    if shutil.which("Rscript") is None:
        pytest.skip("no Rscript on this machine")
    if subprocess.run(["Rscript", "-e", "library(arrow)"], capture_output=True, check=False).returncode:
        pytest.skip("R has no package arrow")
    (block,) = blocks("R", "r")
    printed = subprocess.run(["Rscript", "-e", block], capture_output=True, text=True, check=True).stdout
    _, *rows = csv.reader(printed[printed.index('"id"') :].splitlines())
    expected = term_means(inside, contained=False)
    assert [name for name, _ in rows] == sorted(expected)
    np.testing.assert_allclose([float(mean) for _, mean in rows], [expected[name][1] for name, _ in rows], rtol=1e-9)


def compiled(source: str, out: Path, *words: str) -> None:
    """Compile a block as the page says; the test is skipped where there is no compiler."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler (cc) on this machine")
    path = out.with_suffix(".c")
    path.write_text(source, "utf-8")
    command = ["cc", "-Wall", "-Wextra", "-Werror", "-o", str(out), str(path), *words]
    subprocess.run(command, check=True)


def test_c_reads_pointers_and_arrays(inside: Cache, tmp_path: Path) -> None:
    library = tmp_path / "by_gene.so"
    compiled(blocks("C,", "c")[0], library, "-O2", "-shared", "-fPIC")
    names: dict[str, Any] = {"library": library}
    exec(compile(blocks("C,", "python")[0], PAGE.name, "exec"), names)
    shard = next(iter(inside.shards()))
    values = np.repeat(shard.value, np.diff(shard.gene_ptr))
    expected = np.bincount(shard.genes, weights=values, minlength=len(inside.hierarchy.gene_names))
    np.testing.assert_allclose(names["total"], expected, rtol=1e-12)
    assert names["count"].tolist() == np.bincount(shard.genes, minlength=len(expected)).tolist()
    assert expected.any()


def test_c_reads_records_of_lmdb(inside: Cache, tmp_path: Path) -> None:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler (cc) on this machine")
    if subprocess.run(
        ["cc", "-E", "-"], input="#include <lmdb.h>", capture_output=True, text=True, check=False
    ).returncode:
        pytest.skip("no lmdb.h on this machine (Debian: liblmdb-dev)")
    compiled(blocks("C,", "c")[1], tmp_path / "samples", "-llmdb")
    number = 0
    for shard in inside.manifest.shards:
        command = [tmp_path / "samples", shard.files["lmdb"].path]
        for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines():
            value, *genes = line.split()
            ours = inside.sample(number)
            assert (float(value), tuple(map(int, genes))) == (ours.value, ours.genes)
            number += 1
    assert number == len(inside)


@pytest.mark.parametrize(("section", "package"), [("Hugging Face", "datasets"), ("WebDataset", "webdataset")])
def test_loaders_of_samples(inside: Cache, tmp_path: Path, section: str, package: str) -> None:
    """In a process of its own: what these packages start and warn of is theirs."""
    command = [sys.executable, "-c", f"import {package}"]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip(f"the package {package} is not installed")
    (block,) = blocks(section, "python")
    script = f"out = {str(tmp_path)!r}\n{block}"
    variables = {"HOME": str(tmp_path), "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1", "PATH": "/usr/bin:/bin"}
    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=variables, check=False)
    assert process.returncode == 0, process.stderr
    lines = process.stdout.splitlines()
    ours, first = inside.sample(0), inside.manifest.shards[0].rows
    shown = list(ours.genes) if package == "webdataset" else [inside.hierarchy.gene_names[g] for g in ours.genes]
    assert lines[0] == f"{shown} {ours.value}"
    assert len(lines) == (first if package == "webdataset" else 1)


def test_croissant(inside: Cache, tmp_path: Path) -> None:
    """All samples, in the cache's order; in a process of its own, too."""
    if subprocess.run([sys.executable, "-c", "import mlcroissant"], capture_output=True, check=False).returncode:
        pytest.skip("the package mlcroissant is not installed")
    (block,) = blocks("Croissant", "python")
    process = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    samples, names = inside.columns(), inside.hierarchy.gene_names
    expected = [
        f"{[names[gene] for gene in samples.genes[start:stop]]} {value}"
        for start, stop, value in zip(samples.gene_ptr[:-1], samples.gene_ptr[1:], samples.value.tolist(), strict=True)
    ]
    assert process.stdout.splitlines() == expected


def test_the_folder_is_as_it_was(inside: Cache) -> None:
    """Reading by others left nothing behind, which `cache verify` would tell."""
    assert verify_cache(inside.directory).findings == ()
    assert all((inside.directory / name).is_file() for name in DESCRIPTIONS)
