"""Kuzmin 2020's workbooks against the same rows as Kuzmin 2018's text; single-mutant fitness of both."""

import csv
from pathlib import Path

import numpy as np
import pytest
import xlsxwriter

from gocell_cli.domain.genes import GeneTable
from gocell_cli.domain.genotype import merge_duplicates
from gocell_cli.errors import InvalidInput, SourceMissing, UsageError
from gocell_cli.sources.go.bundle import load_genes
from gocell_cli.sources.screens.kuzmin import COLUMNS
from gocell_cli.sources.screens.kuzmin2018 import read_kuzmin2018
from gocell_cli.sources.screens.kuzmin2020 import HEADER, find_workbooks, read_kuzmin2020

NUMBERS = range(5, 12)


def write_workbook(path: Path, rows: list[list[str]], header: tuple[str, ...] = HEADER) -> Path:
    book = xlsxwriter.Workbook(str(path))
    sheet = book.add_worksheet("S")
    sheet.write_string(0, 0, "Table S1. Genetic interactions.")
    for column, title in enumerate(header):
        sheet.write_string(1, column, title)
    for r, row in enumerate(rows, 2):
        for c, cell in enumerate(row):
            if c in NUMBERS and cell not in ("", "NaN", "big"):
                sheet.write_number(r, c, float(cell))
            else:
                sheet.write_string(r, c, cell)
    book.close()
    return path


def rows_of(table: Path) -> list[list[str]]:
    with table.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[1:]


@pytest.mark.parametrize("phenotype", ["tau", "epsilon", "fitness", "smf"])
def test_two_workbooks_hold_what_one_text_table_does(
    tmp_path: Path, toy_table: Path, toy_genes: GeneTable, phenotype: str
) -> None:
    rows = rows_of(toy_table)
    for i, row in enumerate(rows):
        row[8], row[9] = "0.75", str(0.5 + i / 100)  # single-mutant fitness, which the toy table lacks
    table = tmp_path / "toy.tsv"
    table.write_text("".join("\t".join(row) + "\n" for row in [list(COLUMNS), *rows]), "utf-8")
    text = read_kuzmin2018(table, toy_genes, phenotype=phenotype, order="all")
    half = len(rows) // 2
    write_workbook(tmp_path / "Table-S1.xlsx", rows[:half])
    write_workbook(tmp_path / "Table-S3.xlsx", rows[half:])
    books = read_kuzmin2020(find_workbooks(tmp_path), toy_genes, phenotype=phenotype, order="all")
    one, two = merge_duplicates(text, "first"), merge_duplicates(books, "first")
    np.testing.assert_array_equal(one.genes, two.genes)
    np.testing.assert_array_equal(one.value, two.value)
    np.testing.assert_array_equal(one.statistic, two.statistic)
    assert set(books.strains) == set(text.strains)
    assert books.rows_read == text.rows_read
    assert [file.name for file in books.files] == ["Table-S1.xlsx", "Table-S3.xlsx"]
    assert books.files[1].first_row > half


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ((2, 6, "big"), ":5: column 'Adjusted genetic interaction score (epsilon or tau)' is no finite number: 'big'"),
        ((0, 0, "nothing"), ":3: not a query strain id ORF1+ORF2_tmN: 'nothing'"),
        ((1, 4, "quadrigenic"), ":4: not digenic or trigenic: 'quadrigenic'"),
    ],
)
def test_damage_is_told_with_its_row(
    tmp_path: Path, toy_table: Path, toy_genes: GeneTable, change: tuple[int, int, str], reason: str
) -> None:
    rows = rows_of(toy_table)
    rows[change[0]][change[1]] = change[2]
    path = write_workbook(tmp_path / "Table-S1.xlsx", rows)
    with pytest.raises(InvalidInput) as caught:
        read_kuzmin2020([path], toy_genes, phenotype="tau", order="all")
    assert f"{path}{reason}" in caught.value.message


def test_another_header_and_no_workbook_and_a_missing_one(
    tmp_path: Path, toy_table: Path, toy_genes: GeneTable
) -> None:
    path = write_workbook(tmp_path / "Table-S1.xlsx", rows_of(toy_table), ("x", *HEADER[1:]))
    with pytest.raises(InvalidInput, match="the header lacks 'Query strain ID'"):
        read_kuzmin2020([path], toy_genes, phenotype="tau", order="all")
    (tmp_path / "text.xlsx").write_text("no workbook")
    with pytest.raises(InvalidInput, match="not a readable workbook"):
        read_kuzmin2020([tmp_path / "text.xlsx"], toy_genes, phenotype="tau", order="all")
    with pytest.raises(SourceMissing, match="Table-S3"):
        find_workbooks(tmp_path)
    with pytest.raises(UsageError):
        read_kuzmin2020([path], toy_genes, phenotype="smf", order="digenic")


def test_the_real_slices_single_mutants(test_data: Path) -> None:
    path, genes = test_data / "kuzmin2018" / "aao1729_data_s1.slice.tsv", load_genes()
    found = read_kuzmin2018(path, genes, phenotype="smf", order="all")
    readings: dict[tuple[str, float], str] = {}
    for row in rows_of(path):
        sides = [(row[2], row[9])] + ([(row[0], row[8])] if row[4] == "digenic" else [])
        for strain, value in sides:
            names = strain.partition("_")[0].split("+")
            gene = next((n for n in names if n != "YDL227C"), None)
            if value not in ("", "NaN") and gene is not None:
                readings[strain, float(value)] = gene
    rows = found.measurements
    got = {
        (found.strains[s][0], float(v)): genes.systematic[g]
        for s, v, g in zip(rows.query_strain.tolist(), rows.value.tolist(), rows.genes[:, 0].tolist(), strict=True)
    }
    assert got == readings
    assert len(rows) == len(readings)
    assert found.rows_read == 2 * 15_095 == len(rows) + sum(found.dropped.values())
    assert COLUMNS[9] == "Array single mutant fitness"
