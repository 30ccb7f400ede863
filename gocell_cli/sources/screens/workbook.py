"""Excel workbooks, read by calamine in a process of its own; what is wrong is told with file, sheet and row."""

import json
import math
import os
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gocell_cli.errors import InvalidInput
from gocell_cli.sources.screens import sheet_process
from gocell_cli.sources.screens.sga import NULLS
from gocell_cli.sources.text_file import LEAST_BOMB, MOST_TIMES, ZIP_DAMAGE, require_file

OLE_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
WORKBOOK_PARTS = frozenset({"xl/workbook.xml", "xl/workbook.bin", "content.xml"})
"""What an Excel or OpenDocument workbook holds, and no other zip that a table comes in."""
Cell = Any
"""A str, a float, a bool or an OtherCell; "" where it is empty."""


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
    except ZIP_DAMAGE:
        return False


def open_sheet(path: Path, name: str | None) -> tuple[Sheet, tuple[str, ...]]:
    """Return a workbook's sheet, by default its first, and the names of all.

    Raises SourceMissing where there is no such file, InvalidInput where it is no workbook, has no such sheet, or a
    sheet larger than a table is.
    """
    require_file(path)
    _refuse_bomb(path)
    command = [sys.executable, "-P", "-m", sheet_process.__name__, str(path), *([] if name is None else [name])]
    # -P, and the path as it is here: nothing is imported from the working directory that would not be here.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(  # noqa: S603  # this very Python, and arguments that no shell reads
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    ) as process:
        try:
            rows = [json.loads(line, object_hook=_other) for line in process.stdout or ()]
        except BaseException:  # an interrupt, too, leaves no process behind
            process.kill()
            raise
    return _opened(path, name, rows, process.returncode)


def _opened(path: Path, name: str | None, rows: list[Any], code: int) -> tuple[Sheet, tuple[str, ...]]:
    told = rows[0] if rows else {}
    if "fault" in told:
        raise InvalidInput.at(path, None, told["fault"], hint="fetch the file again, or save the table as CSV")
    names = tuple(told.get("names", ()))
    if names and name is not None and name not in names:
        hint = f"--sheet {shlex.quote(names[0])}"
        raise InvalidInput.at(path, None, f"no sheet {name!r}; it has {', '.join(map(repr, names))}", hint=hint)
    if code or "sheet" not in told:
        reason = f"not a readable workbook: its reader died (exit {code}) within {sheet_process.MOST_MEMORY >> 30} GiB"
        hint = "is there a cell far out in the sheet? Delete it, or save the table as CSV"
        raise InvalidInput.at(path, None, reason, hint=hint)
    return Sheet(path, told["sheet"], rows[1:]), names


def _refuse_bomb(path: Path) -> None:
    """Raise InvalidInput for a zip that says it unpacks to what no workbook does."""
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
    except ZIP_DAMAGE:
        return  # an old .xls, or what calamine will name
    if size > max(MOST_TIMES * path.stat().st_size, LEAST_BOMB):
        raise InvalidInput.at(path, None, f"it unpacks to {size:,} bytes, which no workbook of its size does")


@dataclass(frozen=True)
class OtherCell:
    """A date, a time or a duration: what Excel makes of the gene MAR1, for one."""

    text: str

    def __str__(self) -> str:
        return self.text

    __repr__ = __str__


def _other(told: dict[str, Any]) -> Any:
    """Return what a JSON object stands for: a cell, or as it is the line before the rows."""
    return OtherCell(told[sheet_process.OTHER]) if sheet_process.OTHER in told else told


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
