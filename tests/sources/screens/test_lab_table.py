"""A laboratory's file as it is: its spreadsheet's marks and code page, its headers, strains as it writes them."""

from pathlib import Path
from typing import Any

import pytest
import xlsxwriter

from gocell_cli.domain.alleles import keep_deletions
from gocell_cli.domain.genotype import Dataset
from gocell_cli.errors import InvalidInput, UsageError
from gocell_cli.sources.go.bundle import load_genes
from gocell_cli.sources.screens.code_pages import require_code_page
from gocell_cli.sources.screens.lab_names import gene_in, made_a_date
from gocell_cli.sources.screens.own_table import read
from gocell_cli.sources.screens.table_columns import TableOptions
from gocell_cli.sources.screens.table_file import TextForm

GENES = load_genes()
HEADER = "Gene A;Gene B;Fitness;Notes"
ROWS = ("smi1Δ;vth1-Δ;0,81;", "dcp1-delta;;0,93;µ", "cdc28-4;HIS3::KanMX;1,02;ok", "tps1;dcp1Δ;0,5;")
EXPECTED = {2: ("SMI1 VTH1", 0.81), 3: ("DCP1", 0.93), 4: ("CDC28 HIS3", 1.02), 5: ("DCP1 TPS1", 0.5)}


def rows_of(dataset: Dataset) -> dict[int, tuple[str, float]]:
    rows = dataset.measurements
    genes = [" ".join(sorted(GENES.standard[g] for g in row if g >= 0)) for row in rows.genes.tolist()]
    return dict(zip(rows.row.tolist(), zip(genes, rows.value.tolist(), strict=True), strict=True))


def taken(path: Path, **options: Any) -> tuple[Dataset, str]:
    dataset, notes = read(path, GENES, TableOptions(**options))
    return dataset, "\n".join(notes)


def written(path: Path, *rows: str, header: str = HEADER, encoding: str = "utf-8", end: str = "\n") -> Path:
    path.write_bytes((end.join((header, *rows)) + end).encode(encoding))
    return path


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1253", "cp737", "mac_greek"])
def test_whatever_the_spreadsheet_wrote(tmp_path: Path, encoding: str, end: str) -> None:
    rows = [row.replace("µ", "") for row in ROWS]
    dataset, told = taken(written(tmp_path / "screen.csv", *rows, encoding=encoding, end=end))
    assert rows_of(dataset) == EXPECTED
    assert dataset.phenotype.kind == "fitness"
    wanted = "cells between semicolons (--delimiter)", "decimal commas (--decimal)", "'Gene A' and 'Gene B'"
    assert all(text in told for text in (*wanted, "phenotype 'Fitness' (--phenotype-column)", "--notation exact"))
    assert ("(--encoding)" in told) == (not encoding.startswith("utf"))
    assert "in 1 of 4 rows (line 3)" in told


def test_a_western_page_has_no_delta(tmp_path: Path) -> None:
    rows = ["dcp1-delta;;0,93;µm größer", "TPS1;;1;"]
    dataset, told = taken(written(tmp_path / "screen.csv", *rows, encoding="cp1252"))
    assert (len(dataset.measurements), "Windows-1252" in told) == (2, True)
    path = written(tmp_path / "dos.csv", "dcp1-delta;;0,93;für", *rows, encoding="cp850")  # 0x81 is none of Windows'
    with pytest.raises(InvalidInput, match=":2: not utf-8 text"):
        taken(path)
    assert len(taken(path, form=TextForm(encoding="cp850"))[0].measurements) == 3
    with pytest.raises(UsageError, match="--encoding klingon: no encoding of text"):
        require_code_page("klingon")


def test_a_workbook(tmp_path: Path) -> None:
    with xlsxwriter.Workbook(tmp_path / "screen.xlsx") as book:
        sheet = book.add_worksheet("Sheet1")
        sheet.write_row(0, 0, HEADER.split(";"))
        for at, row in enumerate(ROWS, 1):
            a, b, value, note = row.split(";")
            sheet.write_row(at, 0, [a, b, float(value.replace(",", ".")), note])
        sheet.write_row(5, 0, ["smi1Δ", "tps1Δ", "0,7", ""])
    dataset, told = taken(tmp_path / "screen.xlsx")
    assert rows_of(dataset).items() >= EXPECTED.items()
    assert "decimal" in told


def test_alleles_of_a_cell_are_kept(tmp_path: Path) -> None:
    dataset, told = taken(written(tmp_path / "screen.csv", *ROWS))
    assert "no deletions, or not known to be: cdc28-4;" in told
    assert list(rows_of(keep_deletions(dataset))) == [2, 3, 5]
    exact = taken(written(tmp_path / "screen.csv", *ROWS, "TPS1;;1;"), notation="exact")[0]
    assert (rows_of(exact), dict(exact.dropped)) == ({6: ("TPS1", 1.0)}, {"unknown_gene": 4})


@pytest.mark.parametrize(
    ("text", "gene"),
    [
        *((text, "SMI1") for text in ("smi1Δ", "smi1∆", "Δsmi1", "smi1-Δ", "SMI1 deletion", "smi1-null", "smi1Δ0")),
        *((text, "SMI1") for text in ("smi1::kanMX4", "smi1Δ::NatMX", "smi1::URA3", "smi1-Δ200", "smi1-delta")),
        *((text, "CDC28") for text in ("cdc28-4", "cdc28-as1", "cdc28-ts", "CDC28-DAmP", "cdc28-13")),
        ("YAL044W-AΔ", "YAL044W-A"),
        ("YOL149W_dma298", "YOL149W"),
        *((text, "") for text in ("xyz9Δ", "KanMX", "Δ", "-", "SMI1", "YAL044W-A", "smi1Δ vth1Δ")),
    ],
)
def test_the_gene_of_an_allele(text: str, gene: str) -> None:
    assert gene_in(text, GENES.lookup).upper() == gene


@pytest.mark.parametrize(
    ("text", "names"),
    [
        *((text, ("OCT1",)) for text in ("01-Okt", "1-Oct", "1. Okt", "Oct-01", "2026-10-01 00:00:00", "01.10.2026")),
        ("2-Sep", ("SEP2", "SEPT2")),
        ("1-Mär", ("MAR1", "MARCH1")),
        ("10/1/2026", ("OCT1", "JAN10")),
        *((text, ()) for text in ("OCT1", "marker-1", "cdc28-4", "1-Foo", "2026-13-01", "")),
    ],
)
def test_dates_are_named_for_what_they_were(text: str, names: tuple[str, ...]) -> None:
    assert made_a_date(text) == names


def test_what_is_not_taken_is_listed_with_what_may_be_meant(tmp_path: Path) -> None:
    rows = ["01-Okt;tps1Δ;0,9;", "smi2Δ;;1,5;", ";;0,4;", "smi1Δ;tps1Δ;n.d.;", "smi1Δ;TPS1;sick;", "smi1Δ;dcp1Δ;;"]
    dataset, told = taken(written(tmp_path / "screen.csv", *rows, *ROWS, "smi1Δ;wt;0,8;", "L19E;;1;"))
    assert dict(dataset.dropped) == {
        "no_gene": 1,
        "date_for_gene": 1,
        "unknown_gene": 1,
        "ambiguous_gene": 1,
        "no_phenotype": 3,
    }
    assert (dataset.rows_read, dataset.rejected.number) == (12, 7)
    rejected = {row.line: row for row in dataset.rejected.rows}
    assert sorted(rejected) == [2, 3, 4, 5, 6, 7, 13]
    assert (rejected[2].reason, rejected[2].cells) == ("date_for_gene", ("01-Okt", "tps1Δ", "0,9"))
    assert "a date, which a spreadsheet made of OCT1" in rejected[2].near
    assert rejected[3].near.startswith("smi2Δ: near SMI1, ")
    assert "a name of " in rejected[13].near
    assert "no number in 2 cells of 'Fitness': 'n.d.' 1, 'sick' 1" in told
    assert rows_of(dataset)[12] == ("SMI1", 0.8)


def test_a_blank_gene_is_told_or_rejected(tmp_path: Path) -> None:
    path = written(tmp_path / "screen.csv", *ROWS, ";tps1Δ;1,5;")
    dataset, told = taken(path)
    assert "in 2 of 5 rows (lines 3, 6): taken for strains of the other genes" in told
    assert rows_of(dataset)[6] == ("TPS1", 1.5)
    dataset, told = taken(path, blank_gene="reject")
    assert (dict(dataset.dropped), sorted(rows_of(dataset))) == ({"blank_gene": 2}, [2, 4, 5])
    assert "(lines 3, 6): left out" in told


@pytest.mark.parametrize(
    ("header", "genes", "phenotype"),
    [
        ("ORF 1;ORF 2;Score;Notes", "'ORF 1' and 'ORF 2'", "Score"),
        ("Query gene;Array gene;Colony size (px);p", "'Query gene' and 'Array gene'", "Colony size (px)"),
        ("Array;QUERY;Growth;p", "'QUERY' and 'Array'", "Growth"),
        ("Array ORF;Query ORF;x;note", "'Query ORF' and 'Array ORF'", "x"),
        ("ORF;Remark;Relative fitness;n", "'ORF'", "Relative fitness"),
    ],
)
def test_headers_as_laboratories_write_them(tmp_path: Path, header: str, genes: str, phenotype: str) -> None:
    rows = ["TPS1;DCP1;0,5;a", "SMI1;VTH1;0,25;b"]
    dataset, told = taken(written(tmp_path / "t.csv", *rows, header=header))
    assert f"genes in {genes} (--gene-column); phenotype {phenotype!r}" in told
    assert dataset.measurements.value.tolist() == [0.5, 0.25]


def test_columns_may_be_named(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", "TPS1;DCP1;0,5;1", header="a;b;c;d")
    dataset, told = taken(path, genes=("A,b",), phenotype="c", decimal="comma", form=TextForm(delimiter=";"))
    assert rows_of(dataset) == {2: ("DCP1 TPS1", 0.5)}
    assert told.startswith("not read: 'd' (")
    with pytest.raises(InvalidInput, match="a gene column is named twice: a, a"):
        taken(path, genes=("a", "A"))
    with pytest.raises(InvalidInput, match="no gene column 'x'"):
        taken(path, genes=("x",))
    with pytest.raises(InvalidInput, match="two columns have one number: Gene A, gene-1"):
        taken(written(tmp_path / "t.csv", "TPS1;DCP1;1", header="Gene A;gene a;g".replace("gene a", "gene-1")))


def test_files_put_one_behind_another_are_told(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", "TPS1;DCP1;0,5", "Gene A;Gene B;y", "SMI1;VTH1;0,25", header="Gene A;Gene B;y")
    with pytest.raises(InvalidInput, match=r"t\.csv:3: its header again, in 1 rows"):
        taken(path)
