"""A table as an Excel workbook of one sheet (ECMA-376, SpreadsheetML); text stands there as text, never a formula."""

import math
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from gocell_cli.errors import UsageError
from gocell_cli.user_text import printable

if TYPE_CHECKING:
    import pyarrow as pa

MOST_ROWS, MOST_COLUMNS, MOST_LETTERS = 1_048_576, 16_384, 32_767
"""Of a sheet, and of a cell: Excel's own limits."""
HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
OFFICE = "http://schemas.openxmlformats.org"
MAIN, DOCUMENT = f"{OFFICE}/spreadsheetml/2006/main", f"{OFFICE}/officeDocument/2006/relationships"
PACKAGE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
SHEET = "xl/worksheets/sheet1.xml"
PARTS = {
    "[Content_Types].xml": f'<Types xmlns="{OFFICE}/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{PACKAGE}.sheet.main+xml"/>'
    f'<Override PartName="/{SHEET}" ContentType="{PACKAGE}.worksheet+xml"/></Types>',
    "_rels/.rels": f'<Relationships xmlns="{OFFICE}/package/2006/relationships">'
    f'<Relationship Id="rId1" Type="{DOCUMENT}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{DOCUMENT}"><sheets>'
    '<sheet name="gocell" sheetId="1" r:id="rId1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{OFFICE}/package/2006/relationships">'
    f'<Relationship Id="rId1" Type="{DOCUMENT}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
}


def write_workbook(tables: Iterable["pa.Table"], path: Path) -> None:
    """Write tables of the same columns below each other; raises UsageError for more than a sheet holds."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in PARTS.items():
            archive.writestr(_entry(name), HEAD + text)
        with archive.open(_entry(SHEET), "w", force_zip64=True) as sheet:
            _write_sheet(tables, sheet.write)


def _entry(name: str) -> zipfile.ZipInfo:
    found = zipfile.ZipInfo(name)  # of 1980: the same table is the same file
    found.compress_type = zipfile.ZIP_DEFLATED
    return found


def _write_sheet(tables: Iterable["pa.Table"], write: Callable[[bytes], int]) -> None:
    write(f'{HEAD}<worksheet xmlns="{MAIN}"><sheetData>'.encode())
    for number, row in enumerate(_rows(tables), 1):
        if number > MOST_ROWS or len(row) > MOST_COLUMNS:
            raise UsageError(
                f"more than the {MOST_ROWS:,} rows or {MOST_COLUMNS:,} columns that a workbook's sheet holds",
                hint="--out with .parquet, .tsv or .csv",
            )
        write(f'<row r="{number}">{"".join(map(_cell, row))}</row>'.encode())
    write(b"</sheetData></worksheet>")


def _rows(tables: Iterable["pa.Table"]) -> Iterator[tuple[object, ...]]:
    """Yield the header, then every row."""
    for number, table in enumerate(tables):
        if not number:
            yield tuple(table.column_names)
        for batch in table.to_batches(max_chunksize=10_000):
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return f'<c t="b"><v>{int(value)}</v></c>'
    if isinstance(value, int | float) and math.isfinite(value):
        return f"<c><v>{value!r}</v></c>"
    if value is None or isinstance(value, float):  # a number that is none: an empty cell
        return "<c/>"
    text = escape(printable(str(value))[:MOST_LETTERS])
    return f'<c t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'
