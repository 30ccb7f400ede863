"""A workbook's sheet, read in a process of its own: `python -m gocell_cli.sources.screens.sheet_process FILE [SHEET]`.

calamine lays a sheet out as a rectangle before anybody can ask how large it is: one stray cell in the last row and
column makes it ask for 400 GB, and Rust aborts the process where memory ends. So it happens here, with a limit, and
whoever waits for the rows is told. On stdout stands JSON, a line each: first what `Opened` has, or a `fault`, then the
rows. A date, a time or a duration is an object with its text.
"""

import json
import resource
import sys
from typing import Any, BinaryIO

MOST_CELLS = 32 << 20
"""A sheet of Excel's full height and 32 columns."""
MOST_MEMORY, MOST_SECONDS = 4 << 30, 600
"""Bytes of address space, and seconds of processor time."""
OTHER = "other"


def main() -> None:
    """Read what the command line names, and print it."""
    _limit(resource.RLIMIT_AS, MOST_MEMORY)
    _limit(resource.RLIMIT_CPU, MOST_SECONDS)
    _limit(resource.RLIMIT_CORE, 0)
    _tell(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None, sys.stdout.buffer)


def _limit(what: int, most: int) -> None:
    soft, hard = resource.getrlimit(what)
    allowed = [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(what, (min([most, *allowed]), hard))


def _tell(path: str, name: str | None, out: BinaryIO) -> None:
    from python_calamine import CalamineWorkbook

    try:
        book = CalamineWorkbook.from_path(path)
        names = book.sheet_names
        if name is not None and name not in names:
            _write(out, {"names": names})
            return
        sheet = book.get_sheet_by_index(0) if name is None else book.get_sheet_by_name(name)
        end = sheet.end or (-1, -1)
        cells = (end[0] + 1) * (end[1] + 1)
        if cells > MOST_CELLS:
            reason = f"sheet {sheet.name!r} has {end[0] + 1:,} rows and {end[1] + 1:,} columns, more than a table has"
            _write(out, {"fault": f"{reason}: is there a cell far out?"})
            return
        rows = sheet.to_python(skip_empty_area=False)  # else row numbers would count from the first filled row
    # A panic of Rust's is a BaseException and no Exception; of what calamine raises each is of the file.
    except BaseException as error:
        _write(out, {"fault": f"not a readable workbook ({str(error)[:200]})"})
        return
    _write(out, {"names": names, "sheet": sheet.name})
    for row in rows:
        _write(out, row)


def _write(out: BinaryIO, value: Any) -> None:
    out.write(json.dumps(value, default=lambda cell: {OTHER: str(cell)}).encode() + b"\n")


if __name__ == "__main__":
    main()
