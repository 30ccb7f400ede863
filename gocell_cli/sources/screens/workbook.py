"""Excel workbooks, read by calamine; what is wrong is told with file, sheet and row."""

import math
import shlex
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gocell_cli.errors import InvalidInput
from gocell_cli.sources.screens.sga import NULLS
from gocell_cli.sources.text_file import require_file

OLE_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
WORKBOOK_PARTS = frozenset({"xl/workbook.xml", "xl/workbook.bin", "content.xml"})
"""What an Excel or OpenDocument workbook holds, and no other zip that a table comes in."""
Cell = Any
"""What calamine makes of a cell: str, float, bool, a date or time; "" where it is empty."""


@dataclass(frozen=True)
class Sheet:
    """One sheet: `rows[i]` is row i + 1, all of equal length."""

    path: Path
    name: str
    rows: list[list[Cell]]

    def fault(self, row: int, reason: str) -> InvalidInput:
        """Return the error for one row, counted from 1."""
        return InvalidInput.at(f"{self.path}, sheet {self.name!r}, row {row}", None, reason)

    def text(self, row: int, column: int) -> str:
        """Return the text of a cell; raises InvalidInput where it is none."""
        cell = self.rows[row - 1][column]
        if not isinstance(cell, str):
            raise self.fault(row, f"column {column + 1} is no text: {cell!r}")
        return cell.strip()

    def number(self, row: int, column: int) -> float:
        """Return the number in a cell, NaN where it is missing; raises InvalidInput where it is none."""
        cell = self.rows[row - 1][column]
        if isinstance(cell, str):
            if cell.strip() in NULLS:
                return math.nan
        elif isinstance(cell, (int, float)) and not isinstance(cell, bool) and math.isfinite(cell):  # True is an int
            return float(cell)
        raise self.fault(row, f"column {column + 1} is no finite number: {cell!r}")


def is_workbook(path: Path) -> bool:
    """Return whether a file is a workbook, by its content: an Excel or OpenDocument one in a zip, or an old .xls."""
    with path.open("rb") as file:
        if file.read(len(OLE_MAGIC)) == OLE_MAGIC:
            return True
    try:
        with zipfile.ZipFile(path) as archive:
            return not WORKBOOK_PARTS.isdisjoint(archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return False


def open_sheet(path: Path, name: str | None) -> tuple[Sheet, tuple[str, ...]]:
    """Return a workbook's sheet, by default its first, and the names of all.

    Raises SourceMissing where there is no such file, InvalidInput where it is no workbook or has no such sheet.
    """
    # Imported here: only who reads a workbook needs it.
    from python_calamine import CalamineError, CalamineWorkbook

    require_file(path)
    try:
        workbook = CalamineWorkbook.from_path(str(path))
        names = tuple(workbook.sheet_names)
        if name is not None and name not in names:
            hint = f"--sheet {shlex.quote(names[0])}" if names else ""
            raise InvalidInput.at(path, None, f"no sheet {name!r}; it has {', '.join(map(repr, names))}", hint=hint)
        found = workbook.get_sheet_by_index(0) if name is None else workbook.get_sheet_by_name(name)
        rows = found.to_python(skip_empty_area=False)  # else row numbers would count from the first filled row
    except CalamineError as error:
        raise InvalidInput.at(path, None, f"not a readable workbook ({error})", hint="fetch the file again") from error
    return Sheet(path, found.name, rows), names


def read_sheet(path: Path, header: Sequence[str], *, header_row: int = 1) -> Sheet:
    """Read a workbook's first sheet, whose row `header_row` must begin with `header`.

    Raises SourceMissing where there is no such file, InvalidInput where it is no workbook, the header
    differs or nothing stands below it. Columns beyond the header are left out.
    """
    whole, _ = open_sheet(path, None)
    rows = whole.rows
    sheet = replace(whole, rows=[row[: len(header)] for row in rows])
    titles = [str(cell).strip() for cell in sheet.rows[header_row - 1]] if len(rows) >= header_row else []
    lacking = [title for title in header if title not in titles]
    if lacking:
        raise sheet.fault(header_row, f"the header lacks {', '.join(map(repr, lacking[:3]))}")
    if titles != list(header):
        raise sheet.fault(header_row, f"the header's columns are not the {len(header)} expected, in their order")
    if len(rows) == header_row:
        raise sheet.fault(header_row, "the sheet has a header and no rows")
    return sheet
