"""Kuzmin et al. 2020 (doi:10.1126/science.aaz5667), Tables S1 and S3 -> Dataset.

Excel workbooks with a caption in the first row and Kuzmin 2018's columns in the second, the last two renamed.
Table S5, the fitness of the query strains, repeats what the tables' digenic rows say, and is not read.
"""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from gocell_cli.domain.genes import GeneTable
from gocell_cli.domain.genotype import Dataset
from gocell_cli.domain.joined_datasets import join_datasets
from gocell_cli.errors import SourceMissing
from gocell_cli.sources.screens.kuzmin import (
    COLUMNS,
    SMF,
    Source,
    choose_rows,
    combined_mutants,
    require_rows,
    wanted_columns,
)
from gocell_cli.sources.screens.kuzmin_singles import single_mutants
from gocell_cli.sources.screens.sga_table import TextTable
from gocell_cli.sources.screens.workbook import Cell, Sheet, read_sheet
from gocell_cli.sources.text_file import sha256_of

NAME = "kuzmin2020"
PUBLISHED = 20200626
TABLES = ("Table-S1.xlsx", "Table-S3.xlsx")
HEADER_ROW = 2
HEADER = (*COLUMNS[:-2], "Double/triple mutant fitness", "Double/triple mutant fitness standard deviation")


def find_workbooks(place: Path) -> tuple[Path, ...]:
    """Return the tables in a folder, both of them, or the one that `place` is; raises SourceMissing."""
    if place.is_file():
        return (place,)
    tables = tuple(
        next((p for p in (place / name, place / f"aaz5667-{name}") if p.is_file()), place / name) for name in TABLES
    )
    missing = [table.name for table in tables if not table.is_file()]
    if missing:
        raise SourceMissing(
            f"{place}: {' and '.join(missing)} of {NAME} not there",
            why=f"looked for {', '.join(TABLES)}",
            hint=f"gocell fetch {NAME}, or gocell build-cache --dataset {NAME} --raw DIR, with DIR their folder",
        )
    return tables


def read_kuzmin2020(paths: Sequence[Path], genes: GeneTable, *, phenotype: str, order: str) -> Dataset:
    """Read the workbooks; raises InvalidInput with file and row, also where none holds the phenotype."""
    choose_rows(NAME, phenotype, order)
    parts = [_read(path, genes, phenotype, order) for path in paths]  # one of them may hold other rows only
    return require_rows(join_datasets(parts), " and ".join(map(str, paths)))


def _read(path: Path, genes: GeneTable, phenotype: str, order: str) -> Dataset:
    sheet = read_sheet(path, HEADER, header_row=HEADER_ROW)
    table = TextTable(_as_text(sheet, wanted_columns(phenotype)), path, HEADER_ROW + 1)
    source = Source(NAME, PUBLISHED, {path.name.removeprefix("aaz5667-"): sha256_of(path)})
    if phenotype == SMF:
        return single_mutants(table, source, genes)
    return combined_mutants(table, source, genes, phenotype=phenotype, order=order)


def _as_text(sheet: Sheet, wanted: Sequence[str]) -> pa.Table:
    """Return a sheet's wanted columns as text, under Kuzmin 2018's names; numbers as they are written back in full."""
    body = sheet.rows[HEADER_ROW:]
    return pa.table({name: pa.array([_text(row[COLUMNS.index(name)]) for row in body], pa.string()) for name in wanted})


def _text(cell: Cell) -> str:
    return cell if isinstance(cell, str) else repr(cell)
