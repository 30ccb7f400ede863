"""Tables of results: every kind holds the same, by the file's suffix; a spreadsheet computes nothing of them."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gocell_cli.commands.shell import workbook
from gocell_cli.commands.shell.tables import SUFFIXES, write_table
from gocell_cli.errors import UsageError
from tests.commands.conftest import Built
from tests.commands.runners import document, failure, invoke, run

NAMES = ["plain", "=1+1", "a,b", 'say "x"', "two\nlines", " <&> ", None]
TABLE = pa.table(
    {
        "name": pa.array(NAMES),
        "count": pa.array([0, 1, -2, 3, 4, 5, None], pa.int64()),
        "value": pa.array([0.1, 1e-300, -2.5, 1 / 3, 1e300, None, 0.0]),
        "few": pa.array([True, False, None, True, True, False, True]),
    }
)


def cells(path: Path) -> list[list[Any]]:
    """The rows of a workbook, its header first, as another library reads them."""
    return [list(row) for row in openpyxl.load_workbook(path)["gocell"].iter_rows(values_only=True)]


def test_a_workbook_holds_what_the_table_holds(tmp_path: Path) -> None:
    write_table(TABLE, tmp_path / "x.xlsx")
    header, *rows = cells(tmp_path / "x.xlsx")
    assert header == TABLE.column_names
    assert rows == [list(row.values()) for row in TABLE.to_pylist()]
    sheet = openpyxl.load_workbook(tmp_path / "x.xlsx")["gocell"]
    assert sheet["A3"].data_type == "s"  # not "f", a formula
    again = tmp_path / "again.xlsx"
    write_table(TABLE, again)
    assert again.read_bytes() == (tmp_path / "x.xlsx").read_bytes()


def test_a_workbook_of_more_rows_than_a_sheet_has_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook, "MOST_ROWS", 8)
    write_table(TABLE, tmp_path / "fits.xlsx")
    with pytest.raises(UsageError, match="more than the 8 rows"):
        write_table(pa.concat_tables([TABLE, TABLE]), tmp_path / "x.xlsx")
    assert [path.name for path in tmp_path.iterdir()] == ["fits.xlsx"]


@pytest.mark.parametrize(("suffix", "mark"), [(".csv", ","), (".tsv", "\t")])
def test_text_holds_it_with_formulas_defused(tmp_path: Path, suffix: str, mark: str) -> None:
    write_table(TABLE, tmp_path / f"x{suffix}")
    with (tmp_path / f"x{suffix}").open(newline="") as file:
        header, *rows = csv.reader(file, delimiter=mark)
    assert header == TABLE.column_names
    assert [row[0] for row in rows] == ["plain", "'=1+1", *NAMES[2:-1], ""]
    assert [float(row[2]) for row in rows if row[2]] == [x for x in TABLE["value"].to_pylist() if x is not None]


def test_every_kind_of_export_is_the_same_table(toy_cache: Path, tmp_path: Path) -> None:
    for suffix in SUFFIXES:
        assert document("export", "--out", tmp_path / f"x{suffix}", "--cache", toy_cache)["samples"] == 2
    found = pq.read_table(tmp_path / "x.parquet")
    header, *rows = cells(tmp_path / "x.xlsx")
    assert header == found.column_names
    assert rows == [list(row.values()) for row in found.to_pylist()]
    with (tmp_path / "x.tsv").open(newline="") as file:
        text = list(csv.DictReader(file, delimiter="\t"))
    assert [(row["genes"], float(row["value"])) for row in text] == [
        (row["genes"], row["value"]) for row in found.to_pylist()
    ]
    printed = invoke("export", "--out", "-", "--cache", toy_cache)
    assert printed.stdout == (tmp_path / "x.tsv").read_text()


def test_terms_are_printed_as_a_table(essentiality: Built, tmp_path: Path) -> None:
    words = ("inspect", "terms", "--root", essentiality.root)
    printed = run(*words, "--out", "-", cwd=tmp_path)
    told = document(*words)["terms"]
    rows = list(csv.DictReader(io.StringIO(printed.stdout), delimiter="\t"))
    assert [row["term"] for row in rows] == [term["term"] for term in told]
    assert "both print on stdout" in str(failure(*words, "--out", "-", "--json"))


def test_scores_and_predictions_are_written(trained: Path, tmp_path: Path) -> None:
    told = json.loads(run("explain", trained, "--out", "terms.xlsx", "--json", cwd=tmp_path).stdout)
    header, *rows = cells(tmp_path / "terms.xlsx")
    assert header[:2] == ["term", "name"]
    assert [row[0] for row in rows] == [term["term"] for term in told["terms"]]
    printed = run("predict", trained, "--genes", "COX1,COX3", "--genes", "", "--out", "-", cwd=tmp_path)
    table = list(csv.DictReader(io.StringIO(printed.stdout), delimiter="\t"))
    found = json.loads(run("predict", trained, "--genes", "COX1,COX3", "--genes", "", "--json", cwd=tmp_path).stdout)
    found = found["predictions"]
    assert [float(row["value"]) for row in table] == pytest.approx([one["value"] for one in found])
    assert [row["genotype"] for row in table] == ["+".join(one["genes"]) for one in found]
