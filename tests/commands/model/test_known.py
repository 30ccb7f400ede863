"""What `gocell train` is told beside its samples: gene vectors, kept with the run, and published fitness of strains."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from gocell_cli.errors import InvalidInput, SourceMissing, UsageError
from gocell_cli.sources.go.bundle import load_genes
from gocell_cli.sources.screens.kuzmin import COLUMNS
from gocell_cli.training.runs.config import RunConfig, read_config, resolve
from tests import toy
from tests.commands.runners import document, document_apart, run
from tests.conftest import sga_line

SMALL = ("--set", "min_width=2", "--set", "ratio=0.0", "--batch-size", 32, "--epochs", 1, "--baselines", "none")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "vectors.csv"
    rows = [f"{gene},{i + 0.5},{i % 2}" for i, gene in enumerate(toy.GENES)]
    path.write_text("\n".join(["gene,x,same", *rows, "NOGENE,1,1"]) + "\n", "utf-8")
    return path


def test_a_run_keeps_the_vectors_it_was_trained_with(small_cache: Path, file: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    trained = run("train", small_cache, "--out", out, "--gene-vectors", file, "--json", *SMALL, cwd=tmp_path)
    assert trained.returncode == 0, trained.stderr
    assert "vectors.csv: 2 numbers for 5 genes; 1 rows of unknown names (NOGENE)" in trained.stderr
    record = json.loads((out / "run.json").read_text("utf-8"))["gene_vectors"]
    assert record["columns"] == ["x", "same"]
    assert record["missing"] == 0
    assert (record["sources"][0]["path"], record["sources"][0]["unknown"]) == (str(file), 1)
    table = pq.read_table(out / "gene_vectors.parquet")
    assert table.column("gene").to_pylist() == list(toy.GENES)
    # the fifth gene is never deleted: the scale is that of the four others
    x = table.column("x").to_numpy()
    np.testing.assert_allclose([x[:4].mean(), x[:4].std()], [0, 1], atol=1e-12)
    assert f'gene_vectors = ["{file}"]' in (out / "config.toml").read_text("utf-8")
    file.unlink()  # what was read is the run's own
    assert document_apart("evaluate", out)["metrics"] == json.loads(trained.stdout)["metrics"]
    assert document("predict", out, "--genes", toy.GENES[4], "--genes", toy.GENES[0])


def test_a_file_that_is_not_there_or_of_other_genes_is_told_before_any_run(small_cache: Path, tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("gene,x\nA1,1\nB2,2\nC3,3\nD4,4\nE5,5\nF6,6\n", "utf-8")
    words = ("train", small_cache, "--root", tmp_path, "--gene-vectors")
    missing = run(*words, "none.csv", cwd=tmp_path)
    assert missing.returncode == SourceMissing.exit_code
    assert "none.csv: cannot be read" in missing.stderr
    assert "hint: gocell gene-vectors --out FILE makes one" in missing.stderr
    other = run(*words, "other.csv", cwd=tmp_path)
    assert other.returncode == InvalidInput.exit_code
    assert "0 of 6 names are among the 5 genes here" in other.stderr
    assert not (tmp_path / "runs").exists()


def test_paths_of_a_settings_file_are_relative_to_it(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text('gene_vectors = ["a.csv", "b/c.npz"]\n', "utf-8")
    found = resolve({}, set(), tmp_path / "settings.toml", [])
    assert found.gene_vectors == (str(tmp_path / "a.csv"), str(tmp_path / "b/c.npz"))
    (tmp_path / "again.toml").write_text(found.to_toml(), "utf-8")
    assert read_config(tmp_path / "again.toml") == found
    assert resolve({"gene_vectors": ["/x.csv"]}, set(), tmp_path / "settings.toml", []).gene_vectors == ("/x.csv",)
    assert RunConfig().gene_vectors == ()
    with pytest.raises(UsageError, match="told to nobody: no wide part, and not the network"):
        RunConfig(gene_vectors=("a.csv",), wide="none", gene_weights="own")
    assert RunConfig(gene_vectors=("a.csv",), wide="none").network("direct").from_wild_type, "the network takes them"


def test_published_fitness_is_said_and_recorded(small_kuzmin: Path, tmp_path: Path) -> None:
    words = ("train", small_kuzmin, *SMALL, "--set", "neighbours=none")
    told = run(*words, "--out", tmp_path / "run", cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    fitness = "published fitness of the query strain in 0 and of the array strain in 40 of 40 samples is"
    assert f"{fitness} told to the voices beside the network" in " ".join(told.stderr.split())
    record = json.loads((tmp_path / "run/run.json").read_text("utf-8"))["strain_fitness"]
    assert record == {"samples": 40, "query": 0, "array": 40, "borrowed": 0, "withheld": ""}
    alone = run(*words, "--set", "wide=none", "--out", tmp_path / "alone", cwd=tmp_path)
    assert f"{fitness} not used: there is no voice beside the network" in " ".join(alone.stderr.split())


@pytest.fixture
def small_kuzmin(tmp_path: Path) -> Path:
    """Forty pairs of the bundled release's genes; the table publishes fitness of the array strains."""
    genes = load_genes().systematic[100:145]
    rng = np.random.default_rng(0)
    rows = [
        sga_line(f"{genes[i]}+YDL227C_tm{i}", f"{genes[j]}_dma{j}", "digenic", fitness=f"{rng.uniform(0.5, 1.1):.3f}",
                 of_array=f"{0.5 + j / 100:.2f}")
        for i in range(5) for j in range(5 + 8 * i, 13 + 8 * i)
    ]  # fmt: skip
    (tmp_path / "s1.tsv").write_text("\n".join(["\t".join(COLUMNS), *rows]) + "\n", "utf-8")
    words = ["--dataset", "kuzmin2018", "--raw", tmp_path / "s1.tsv", "--phenotype", "fitness", "--min-genes", 400]
    return Path(document("build-cache", *words, "--out", tmp_path / "kuzmin", "--root", tmp_path)["cache"])
