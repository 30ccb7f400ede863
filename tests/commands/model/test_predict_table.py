"""`gocell predict --input`: tables of genotypes in any form, every row accounted for."""

import gzip
import io
import json
import subprocess
from pathlib import Path

import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from gocell_cli.errors import InvalidInput, UsageError
from tests.commands.fork_server import environment
from tests.commands.runners import GOCELL, document, failure, invoke, predicted, run

ROWS = "gene_1,gene_2,note\ncdc28,YFL039C,a\nACT1,,b\nYAL001C,NOSUCH1,c\n,,d\nYAL001C,tfc3,e\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "genotypes.csv"
    path.write_text(ROWS)
    return path


def test_every_row_goes_out_predicted_or_with_a_reason(trained: Path, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    done = run("predict", trained, "--input", table, "--out", out, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["rows"], said["predicted"], said["rows_written"]) == (5, 2, 5)
    assert said["not_predicted"] == {"no_gene": 1, "unknown_gene": 1, "genes_not_distinct": 1}
    assert "1 of 5 rows are not predicted: unknown_gene (the first: unknown_gene: NOSUCH1)" in done.stderr
    rows = pq.read_table(out).to_pylist()
    assert [r["row"] for r in rows] == [2, 3, 4, 5, 6]
    assert [r["genes"] for r in rows] == ["YBR160W YFL039C", "YFL039C", None, None, None]
    assert [r["reason"] for r in rows] == [None, None, "unknown_gene: NOSUCH1", "no_gene", "genes_not_distinct"]
    alone = predicted(trained, "--genes", "YFL039C,cdc28", "--genes", "act1")
    assert [r["viability"] for r in rows[:2]] == pytest.approx([one["value"] for one in alone], abs=1e-6)
    assert [r["untrained_genes"] for r in rows[:2]] == [len(one["never_deleted_in_training"]) for one in alone]
    assert "is there already" in failure("predict", trained, "--input", table, "--out", out).message


def test_a_table_comes_in_any_form_and_from_stdin(trained: Path, table: Path, tmp_path: Path) -> None:
    whole = invoke("predict", trained, "--input", table)
    assert whole.exit_code == 0, (whole.exception, whole.stderr)
    wanted = whole.stdout
    assert wanted.splitlines()[0].split("\t") == ["row", "genes", "viability", "untrained_genes", "reason"]
    (tmp_path / "packed").write_bytes(gzip.compress(ROWS.replace(",", "\t").encode()))
    pq.write_table(pa_csv.read_csv(io.BytesIO(ROWS.encode())), tmp_path / "t.parquet")
    for path in (tmp_path / "packed", tmp_path / "t.parquet"):
        assert invoke("predict", trained, "--input", path).stdout == wanted
    done = subprocess.run(
        [GOCELL, "predict", str(trained), "--input", "-"],
        input=ROWS.encode(), capture_output=True, cwd=tmp_path, env=environment(), check=False,
    )  # fmt: skip
    assert done.stdout.decode() == wanted, done.stderr


def test_the_top_is_that_of_all_rows_sorted(trained: Path, tmp_path: Path) -> None:
    names = ["cdc28", "act1", "YAL001C", "YAL002W", "YAL003W", "YBR160W", "YKL191W"]
    path = tmp_path / "one.tsv"
    path.write_text("orf\n" + "\n".join(names) + "\n")
    root = "GO:ROOT"
    every, top = tmp_path / "every.tsv", tmp_path / "top.tsv"
    document("predict", trained, "--input", path, "--out", every, "--terms", root)
    document("predict", trained, "--input", path, "--out", top, "--terms", root, "--top", 3, "--rank-by", "highest")
    rows, best = (
        pa_csv.read_csv(p, parse_options=pa_csv.ParseOptions(delimiter="\t")).to_pylist() for p in (every, top)
    )
    assert f"{root} head" in rows[0]
    wanted = sorted(rows, key=lambda r: -r["viability"])[:3]
    for one, other in zip(best, wanted, strict=True):  # terms are asked of the first alone: another batch
        state, head = f"{root} state", f"{root} head"
        assert json.loads(one.pop(state)) == pytest.approx(json.loads(other.pop(state)), rel=1e-4, abs=1e-6)
        assert one.pop(head) == pytest.approx(other.pop(head), rel=1e-4)
        assert one == other


def test_the_first_of_all_pairs_are_text_where_that_is_asked(trained: Path, tmp_path: Path) -> None:
    """Genes of a file, one a line; what the text is made of is gone afterwards."""
    genes = tmp_path / "genes.txt"
    genes.write_text("cdc28 # a comment\n\nact1\nYAL001C,YAL002W\n")
    words = ("predict", trained, "--all-pairs", "--genes", f"@{genes}", "--terms", "GO:ROOT", "--top", 3, "--out")
    told = document(*words, tmp_path / "p.tsv")
    assert (told["out"], told["genes"], told["pairs"], told["rows_written"]) == (str(tmp_path / "p.tsv"), 4, 6, 3)
    document(*words, tmp_path / "p.parquet")
    assert {path.name for path in tmp_path.iterdir()} == {"genes.txt", "p.tsv", "p.parquet"}
    whole = pq.read_table(tmp_path / "p.parquet").to_pylist()
    text = pa_csv.read_csv(tmp_path / "p.tsv", parse_options=pa_csv.ParseOptions(delimiter="\t")).to_pylist()
    assert [row["gene_1"] for row in text] == [row["gene_1"] for row in whole]
    assert [row["viability"] for row in text] == pytest.approx([row["viability"] for row in whole])
    assert json.loads(text[0]["GO:ROOT state"]) == pytest.approx(whole[0]["GO:ROOT state"], rel=1e-5)
    assert "is there already" in failure(*words, tmp_path / "p.tsv").message
    assert "with --top N" in failure(*words[:7], "--out", tmp_path / "all.tsv").hint
    alone = predicted(trained, "--genes", f"@{genes}")
    assert [one["genes"] for one in alone] == [["YBR160W"], ["YFL039C"], ["YAL001C", "YAL002W"]]
    (tmp_path / "none.txt").write_text("# nothing\n")
    assert "no gene is named" in failure("predict", trained, "--genes", f"@{tmp_path / 'none.txt'}").message
    assert failure("predict", trained, "--genes", "@nowhere.txt").why == "no such file"


def test_the_wild_type_is_a_row_that_says_so(trained: Path, tmp_path: Path) -> None:
    """An empty cell is none; what is written is read again as the same."""
    path, out = tmp_path / "wild.csv", tmp_path / "out.tsv"
    path.write_text("gene_1,gene_2\nWT,\ncdc28,WT\n,\nwild type,-\n")
    done = run("predict", trained, "--input", path, "--out", out, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["wild_type"], said["predicted"], said["not_predicted"]) == (2, 3, {"no_gene": 1})
    assert "2 of 4 rows are the wild type" in done.stderr
    assert "no_gene (the first: no_gene); WT in a cell means the wild type" in done.stderr
    rows = pa_csv.read_csv(out, parse_options=pa_csv.ParseOptions(delimiter="\t")).to_pylist()
    assert [row["genes"] for row in rows] == ["WT", "YBR160W", "", "WT"]
    wild = predicted(trained, "--genes", "")[0]["value"]
    assert [row["viability"] for row in rows if row["genes"] == "WT"] == pytest.approx([wild, wild], abs=1e-6)
    assert [row["untrained_genes"] for row in rows if row["genes"] == "WT"] == [0, 0]
    again = invoke("predict", trained, "--input", out).stdout.splitlines()
    assert [line.split("\t")[1:] for line in again] == [line.split("\t")[1:] for line in out.read_text().splitlines()]


@pytest.mark.parametrize("suffix", [".tsv", ".csv"])
def test_neurons_in_text_are_lists_of_json(trained: Path, table: Path, tmp_path: Path, suffix: str) -> None:
    """Whatever the first of them is: a list that begins below 0 is no formula."""
    out, whole = tmp_path / f"out{suffix}", tmp_path / "out.parquet"
    for path in (out, whole):
        document("predict", trained, "--input", table, "--terms", "GO:ROOT", "--out", path)
    delimiter = {".tsv": "\t", ".csv": ","}[suffix]
    rows = pa_csv.read_csv(out, parse_options=pa_csv.ParseOptions(delimiter=delimiter)).to_pylist()
    wanted = [row["GO:ROOT state"] for row in pq.read_table(whole).to_pylist()]
    assert min(min(state) for state in wanted if state) < 0
    for row, state in zip(rows, wanted, strict=True):
        text = row["GO:ROOT state"]
        assert (json.loads(text) if text else None) == (None if state is None else pytest.approx(state, rel=1e-6))


def test_what_cannot_be_is_refused(trained: Path, table: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("gene\nFBgn0000001\n")
    assert "--gene-column" in failure("predict", trained, "--input", other).hint
    assert isinstance(failure("predict", trained, "--input", other), InvalidInput)
    for words, what in (
        (("--input", table, "--genes", "cdc28"), "--input has the genotypes"),
        (("--genes", "cdc28", "--top", 3), "there are few"),
        (("--input", table, "--json"), "--json tells"),
        (("--input", table, "--top", 3, "--rank-by", "tau"), "only a model of fitness"),
        (("--input", table, "--terms", "GO:77"), "no term 'GO:77'"),
    ):
        error = failure("predict", trained, *words)
        assert isinstance(error, UsageError)
        assert what in error.message
