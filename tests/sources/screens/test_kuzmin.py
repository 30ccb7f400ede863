"""Kuzmin 2018 and 2020: what is read, what is dropped and counted, where damage is told; workbooks as the same text."""

import csv
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import xlsxwriter

from gocell_cli.domain.genes import GeneTable
from gocell_cli.domain.genotype import NO_GENE, Dataset, merge_duplicates
from gocell_cli.errors import InvalidInput, SourceMissing, UsageError
from gocell_cli.sources.go import bundle
from gocell_cli.sources.screens.kuzmin import COLUMNS, STUDIES, WORKBOOK_HEADER, choose_rows, find
from gocell_cli.sources.screens.kuzmin import read as read_tables
from gocell_cli.sources.text_file import sha256_of
from tests.conftest import TOY_ROWS, read_kuzmin2018, sga_line

HEADER = "\t".join(COLUMNS)
GOOD = sga_line("YAL001C+YDL227C_tm1", "YAL002W_dma1", "digenic", "-0.5", "0.01", "0.5", "0.03")


def write(folder: Path, *lines: str, newline: str = "\n") -> Path:
    path = folder / "made.tsv"
    path.write_bytes((newline.join(lines) + newline).encode())
    return path


def read(path: Path, genes: GeneTable, phenotype: str = "fitness", order: str = "all") -> Dataset:
    return read_kuzmin2018(path, genes, phenotype=phenotype, order=order)


def genotypes(dataset: Dataset) -> list[tuple[int, ...]]:
    return [tuple(g for g in row if g != NO_GENE) for row in dataset.measurements.genes.tolist()]


def test_ho_is_removed_on_either_side_of_the_plus(toy_dataset: Dataset) -> None:
    assert genotypes(toy_dataset) == [(0, 1), (0, 1), (2, 3, 4)]
    assert [toy_dataset.queries[q] for q in toy_dataset.measurements.query] == ["YAL001C", "YAL002W", "YAL003W+YAL005C"]


def test_every_column_of_a_kept_row_is_its_own(toy_table: Path, toy_dataset: Dataset) -> None:
    rows = toy_dataset.measurements
    np.testing.assert_array_equal(rows.value, [0.5, 0.7, 0.25])
    np.testing.assert_array_equal(rows.statistic, [0.03, 0.04, 0.05])
    lines = toy_table.read_text("utf-8").split("\n")
    for i, line in enumerate(rows.row):
        query, query_allele, array, array_allele, *_ = lines[line - 1].split("\t")
        assert toy_dataset.strains[rows.query_strain[i]] == (query, query_allele)
        assert toy_dataset.strains[rows.array_strain[i]] == (array, array_allele)
    assert toy_dataset.sources == {"raw": sha256_of(toy_table)}
    assert toy_dataset.strains == tuple(sorted(set(toy_dataset.strains)))


@pytest.mark.parametrize(
    ("phenotype", "order", "rows", "dropped"),
    [
        ("fitness", "all", [2, 3, 4], {"unknown_gene": 1, "no_phenotype": 1}),
        ("fitness", "digenic", [2, 3], {"other_order": 1, "unknown_gene": 1, "no_phenotype": 1}),
        ("fitness", "trigenic", [4], {"other_order": 4}),
        ("epsilon", "all", [2, 3], {"other_order": 1, "unknown_gene": 1, "no_phenotype": 1}),
        ("epsilon", "digenic", [2, 3], {"other_order": 1, "unknown_gene": 1, "no_phenotype": 1}),
        ("tau", "all", [4], {"other_order": 4}),
        ("tau", "trigenic", [4], {"other_order": 4}),
    ],
)
def test_every_row_is_kept_or_counted_once(
    toy_table: Path, toy_genes: GeneTable, phenotype: str, order: str, rows: list[int], dropped: dict[str, int]
) -> None:
    dataset = read(toy_table, toy_genes, phenotype, order)
    assert dataset.measurements.row.tolist() == rows
    assert dataset.dropped == dropped
    assert dataset.rows_read == len(TOY_ROWS) == len(dataset.measurements) + sum(dataset.dropped.values())


def test_score_and_fitness_come_from_their_own_columns(toy_table: Path, toy_genes: GeneTable) -> None:
    for phenotype, value, statistic in (("tau", -0.2, 0.03), ("fitness", 0.25, 0.05)):
        rows = read(toy_table, toy_genes, phenotype, "trigenic").measurements
        assert (rows.value[0], rows.statistic[0]) == (value, statistic)


@pytest.mark.parametrize(
    ("query", "array", "kind"),
    [
        ("YAL001C+YDL227C_tm1", "YAL001C_dma1", "digenic"),
        ("YAL001C+YAL001C_tm1", "YAL002W_dma1", "trigenic"),
        ("YAL001C+YAL002W_tm1", "YAL002W_tsa1", "trigenic"),
        ("YAL001C+YDL227C_tm1", "YAL002W_dma1", "trigenic"),
        ("YAL001C+YAL002W_tm1", "YAL003W_dma1", "digenic"),
        ("YAL001C+YDL227C_tm1", "YDL227C_dma1", "digenic"),
    ],
)
def test_genes_that_do_not_fit_the_mutant_type_are_counted(
    tmp_path: Path, toy_genes: GeneTable, query: str, array: str, kind: str
) -> None:
    dataset = read(write(tmp_path, HEADER, GOOD, sga_line(query, array, kind, fitness="0.5"), GOOD), toy_genes)
    assert dataset.dropped == {"genes_not_distinct": 1}
    assert dataset.measurements.row.tolist() == [2, 4]
    assert dataset.rows_read == 3


@pytest.mark.parametrize("missing", ["", " ", "nan", "NaN", "NA", "N/A", "null"])
def test_missing_numbers_are_missing_not_zero(tmp_path: Path, toy_genes: GeneTable, missing: str) -> None:
    bare = sga_line("YAL003W_tm1", "YAL002W_tsa1", "digenic", fitness="0.4", sd=missing)
    without = sga_line("YAL003W_tm1", "YAL002W_tsa1", "digenic", fitness=missing, sd="0.1")
    dataset = read(write(tmp_path, HEADER, bare, without), toy_genes)
    assert np.isnan(dataset.measurements.statistic).tolist() == [True]
    assert dataset.dropped == {"no_phenotype": 1}


def test_windows_line_ends_and_trailing_blank_lines_change_nothing(tmp_path: Path, toy_genes: GeneTable) -> None:
    plain = read(write(tmp_path, HEADER, *TOY_ROWS), toy_genes)
    windows = read(write(tmp_path, HEADER, *TOY_ROWS, "", "", newline="\r\n"), toy_genes)
    np.testing.assert_array_equal(plain.measurements.value, windows.measurements.value)
    np.testing.assert_array_equal(plain.measurements.genes, windows.measurements.genes)
    assert plain.strains == windows.strains


def _cell(column: int, text: str) -> Callable[[str], str]:
    def damage(line: str) -> str:
        cells = line.split("\t")
        return "\t".join([*cells[:column], text, *cells[column + 1 :]])

    return damage


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda line: line.rsplit("\t", 1)[0], "11 tab-separated columns where 12"),
        (lambda line: line + "\tmore", "13 tab-separated columns where 12"),
        (lambda _: "", "not digenic or trigenic: ''"),
        (_cell(10, "much"), "no finite number: 'much'"),
        (_cell(10, "0,5"), "no finite number: '0,5'"),
        (_cell(10, "inf"), "no finite number: 'inf'"),
        (_cell(10, "-Infinity"), "no finite number: '-Infinity'"),
        (_cell(10, "1e999"), "no finite number: '1e999'"),
        (_cell(11, "inf"), "standard deviation"),
        (_cell(11, "x"), "standard deviation"),
        (_cell(4, "quadrigenic"), "not digenic or trigenic: 'quadrigenic'"),
        (_cell(4, ""), "not digenic or trigenic: ''"),
        (_cell(4, "Digenic"), "not digenic or trigenic"),
        (_cell(0, "YAL001C"), "not a query strain id"),
        (_cell(0, ""), "not a query strain id"),
        (_cell(0, "YAL001C+_tm1"), "not a query strain id"),
        (_cell(0, "+YAL001C_tm1"), "not a query strain id"),
        (_cell(0, "A+B+C_tm1"), "not a query strain id"),
        (_cell(0, "YAL001C+YDL227C_"), "not a query strain id"),
        (_cell(2, "YAL002W"), "not an array strain id"),
        (_cell(2, "YAL001C+YAL002W_dma1"), "not an array strain id"),
        (_cell(2, ""), "not an array strain id"),
    ],
)
def test_broken_row_in_the_middle_is_named_by_path_and_line(
    tmp_path: Path, toy_genes: GeneTable, damage: Callable[[str], str], reason: str
) -> None:
    path = write(tmp_path, HEADER, GOOD, GOOD, damage(GOOD), GOOD)
    with pytest.raises(InvalidInput) as caught:
        read(path, toy_genes)
    assert caught.value.message.startswith(f"{path}:4: ")
    assert reason in caught.value.message


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(
            _cell(10, "1_000"),
            id="number-only-python-accepts",
        ),
        pytest.param(
            lambda line: line.replace("_tm1", "_tm1\r"),
            id="lone-carriage-return",
        ),
    ],
)
def test_damage_that_pyarrow_sees_otherwise_than_python_is_named_by_line(
    tmp_path: Path, toy_genes: GeneTable, damage: Callable[[str], str]
) -> None:
    path = write(tmp_path, HEADER, GOOD, damage(GOOD), GOOD)
    with pytest.raises(InvalidInput) as caught:
        read(path, toy_genes)
    assert caught.value.message.startswith(f"{path}:3: ")


@pytest.mark.parametrize(
    ("data", "line", "reason"),
    [
        (b"\n\n", 1, "the header lacks"),
        (f"a\tb\n{GOOD}\n".encode(), 1, "the header lacks"),
        (HEADER.replace("P-value", "p").encode() + b"\n", 1, "the header lacks 'P-value'"),
        ("\t".join(COLUMNS[:-1]).encode(), 1, "the header lacks 'Combined mutant fitness standard deviation'"),
        ("\t".join(COLUMNS[::-1]).encode() + b"\n", 1, "in their order"),
        (f"{HEADER}\tmore\n".encode(), 1, "13 columns are not the 12"),
        (f"{HEADER}\n{GOOD}\n{GOOD}\n".encode().replace(b"\ta\t", b"\t\xe9\t"), 2, "not utf-8"),
        (HEADER.encode() + b"\xff\n", 1, "not utf-8"),
    ],
)
def test_file_that_is_not_data_s1_is_named_by_path_and_line(
    tmp_path: Path, toy_genes: GeneTable, data: bytes, line: int, reason: str
) -> None:
    path = tmp_path / "made.tsv"
    path.write_bytes(data)
    with pytest.raises(InvalidInput) as caught:
        read(path, toy_genes)
    assert caught.value.message.startswith(f"{path}:{line}: ")
    assert reason in caught.value.message


@pytest.mark.parametrize("ending", ["", "\n", "\r\n\r\n"])
def test_header_without_rows_is_refused(tmp_path: Path, toy_genes: GeneTable, ending: str) -> None:
    path = tmp_path / "made.tsv"
    path.write_bytes((HEADER + ending).encode())
    with pytest.raises(InvalidInput, match="a header and no rows"):
        read(path, toy_genes)


def test_missing_table_is_a_missing_source(tmp_path: Path, toy_genes: GeneTable) -> None:
    with pytest.raises(SourceMissing, match="no such file"):
        read(tmp_path / "none.tsv", toy_genes)


@pytest.mark.parametrize(
    ("phenotype", "order", "hint"),
    [
        ("viability", "all", "--phenotype tau|epsilon|fitness|smf --order all|digenic|trigenic"),
        ("fitness", "quadrigenic", "--phenotype tau|epsilon|fitness|smf --order all|digenic|trigenic"),
        ("tau", "digenic", "--phenotype fitness --order digenic"),
        ("epsilon", "trigenic", "--phenotype fitness --order trigenic"),
    ],
)
def test_phenotype_without_such_rows_is_a_usage_error_with_a_hint(phenotype: str, order: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        choose_rows("kuzmin2018", phenotype, order)
    assert hint in caught.value.hint
    assert caught.value.exit_code == 2


def test_real_slice_has_15095_rows_and_14571_genotypes(test_data: Path) -> None:
    path = test_data / "kuzmin2018" / "aao1729_data_s1.slice.tsv"
    dataset = read(path, bundle.load_genes())
    assert dataset.rows_read == 15_095 == len(dataset.measurements) + sum(dataset.dropped.values())
    merged = merge_duplicates(dataset)
    assert len(merged) == 14_571
    assert len(merged.order) == len(dataset.measurements)
    with pytest.raises(InvalidInput, match="none of its 15095 rows holds a tau"):
        read(path, bundle.load_genes(), "tau")


def test_rows_of_the_real_slice_are_read_as_printed(test_data: Path) -> None:
    genes, path = bundle.load_genes(), test_data / "kuzmin2018" / "aao1729_data_s1.slice.tsv"
    dataset = read(path, genes)
    rows = dataset.measurements
    lines = [line.split("\t") for line in path.read_text("utf-8").splitlines()]
    printed = [lines[number - 1] for number in rows.row]
    assert rows.value.tolist() == [float(cells[10]) for cells in printed]
    assert [dataset.strains[i] for i in rows.query_strain] == [(cells[0], cells[1]) for cells in printed]
    assert [dataset.strains[i] for i in rows.array_strain] == [(cells[2], cells[3]) for cells in printed]
    names = [sorted({*re.split("[+_]", c[0])[:-1], c[2].split("_")[0]} - {"YDL227C"}) for c in printed]
    assert [[genes.systematic[g] for g in genotype] for genotype in genotypes(dataset)] == names


def test_check_row_of_the_paper(tmp_path: Path) -> None:
    genes = bundle.load_genes()
    row = sga_line("YAR002W+YDL227C_tm3180", "YAL048C_dma5203", "digenic", fitness="0.8103", sd="0.0463")
    dataset = read(write(tmp_path, HEADER, row), genes)
    assert (dataset.measurements.value[0], dataset.measurements.statistic[0]) == (0.8103, 0.0463)
    assert [genes.systematic[g] for g in genotypes(dataset)[0]] == ["YAL048C", "YAR002W"]


def test_merged_rows_are_averaged_and_their_sds_root_mean_squared(toy_table: Path, toy_genes: GeneTable) -> None:
    merged = merge_duplicates(read_kuzmin2018(toy_table, toy_genes, phenotype="fitness", order="digenic"))
    assert merged.value.tolist() == pytest.approx([0.6])
    assert merged.statistic.tolist() == pytest.approx([((0.03**2 + 0.04**2) / 2) ** 0.5])
    assert merged.group_names == ("YAL001C;YAL002W",)


def test_a_gene_crossed_with_itself_is_counted(tmp_path: Path, toy_genes: GeneTable) -> None:
    row = sga_line("YAL001C+YDL227C_tm1", "YAL001C_dma1", "digenic", fitness="0.5", sd="0.1")
    with pytest.raises(InvalidInput, match="none of its 1 rows") as caught:
        read_kuzmin2018(write(tmp_path, HEADER, row), toy_genes, phenotype="fitness", order="all")
    assert "1 genes_not_distinct" in caught.value.why


def test_a_row_of_the_paper(test_data: Path) -> None:
    path, genes = test_data / "kuzmin2018" / "aao1729_data_s1.slice.tsv", bundle.load_genes()
    dataset = read_kuzmin2018(path, genes, phenotype="fitness", order="digenic")
    ids = [strain for strain, _ in dataset.strains]
    rows = dataset.measurements
    found = [
        (rows.value[i], rows.statistic[i])
        for i in range(len(rows))
        if (ids[rows.query_strain[i]], ids[rows.array_strain[i]]) == ("YAR002W+YDL227C_tm3180", "YBL041W_tsa1064")
    ]
    assert found == [(0.8184, 0.0382)]


NUMBERS = range(5, 12)


def write_workbook(path: Path, rows: list[list[str]], header: tuple[str, ...] = WORKBOOK_HEADER) -> Path:
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


def books_in(folder: Path) -> Sequence[Path]:
    return find(STUDIES["kuzmin2020"], folder / "root", own=folder).paths


def read_books(paths: Sequence[Path], genes: GeneTable, *, phenotype: str, order: str) -> Dataset:
    return read_tables(STUDIES["kuzmin2020"], paths, genes, phenotype=phenotype, order=order)


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
    books = read_books(books_in(tmp_path), toy_genes, phenotype=phenotype, order="all")
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
        read_books([path], toy_genes, phenotype="tau", order="all")
    assert f"{path}{reason}" in caught.value.message


def test_another_header_and_no_workbook_and_a_missing_one(
    tmp_path: Path, toy_table: Path, toy_genes: GeneTable
) -> None:
    path = write_workbook(tmp_path / "Table-S1.xlsx", rows_of(toy_table), ("x", *WORKBOOK_HEADER[1:]))
    with pytest.raises(InvalidInput, match="the header lacks 'Query strain ID'"):
        read_books([path], toy_genes, phenotype="tau", order="all")
    (tmp_path / "text.xlsx").write_text("no workbook")
    with pytest.raises(InvalidInput, match="not a readable workbook"):
        read_books([tmp_path / "text.xlsx"], toy_genes, phenotype="tau", order="all")
    with pytest.raises(SourceMissing, match="Table-S3"):
        books_in(tmp_path)
    with pytest.raises(UsageError):
        read_books([path], toy_genes, phenotype="smf", order="digenic")


def test_the_real_slices_single_mutants(test_data: Path) -> None:
    path, genes = test_data / "kuzmin2018" / "aao1729_data_s1.slice.tsv", bundle.load_genes()
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


def test_published_fitness_of_strains_is_noted_from_every_row(tmp_path: Path, toy_genes: GeneTable) -> None:
    """A row that is dropped speaks of its strains all the same; two values of one strain are both kept."""
    lines = (
        sga_line("YAL001C+YDL227C_tm1", "YAL002W_dma1", "digenic", "", "", "0.5", "0.1", "0.9", "0.8"),
        sga_line("YAL001C+YDL227C_tm1", "YAL003W_dma2", "digenic", "", "", "0.4", "0.1", "", "1.02"),
        sga_line("YAL001C+YDL227C_tm1", "YAL002W_dma1", "digenic", "", "", "", "", "0.9", "0.82"),
        sga_line("YAL003W+YAL005C_tm3", "YAL002W_dma1", "trigenic", "", "", "0.3", "0.1", "", "0.8"),
        sga_line("YAL003W+YAL005C_tm4", "YAL002W_dma1", "trigenic", "", "", "", "", "0.7", "0.8"),
    )
    dataset = read(write(tmp_path, HEADER, *lines), toy_genes)
    assert dict(zip((strain for strain, _ in dataset.strains), dataset.fitness, strict=True)) == {
        "YAL001C+YDL227C_tm1": (0.9,),
        "YAL002W_dma1": (0.8, 0.82),
        "YAL003W+YAL005C_tm3": (),
        "YAL003W_dma2": (1.02,),
    }


def test_fitness_of_strains_that_is_the_phenotype_is_not_kept_twice(tmp_path: Path, toy_genes: GeneTable) -> None:
    line = sga_line("YAL001C+YDL227C_tm1", "YAL002W_dma1", "digenic", "", "", "0.5", "0.1", "0.9", "0.8")
    table = write(tmp_path, HEADER, line)
    assert read(table, toy_genes, "smf").fitness == ()
    assert read(table, toy_genes, "fitness").fitness == ((0.9,), (0.8,))


def test_a_table_that_publishes_no_fitness_of_strains(toy_dataset: Dataset) -> None:
    assert toy_dataset.fitness == ()


def test_a_fitness_of_a_strain_that_is_no_number_is_told_with_its_line(tmp_path: Path, toy_genes: GeneTable) -> None:
    line = sga_line("YAL001C+YDL227C_tm1", "YAL002W_dma1", "digenic", "", "", "0.5", "0.1", "0.9", "fit")
    with pytest.raises(InvalidInput, match=":3: column 'Array single mutant fitness' is no finite number: 'fit'"):
        read(write(tmp_path, HEADER, GOOD, line), toy_genes)
