"""Tables of results: CSV, TSV, Parquet or an Excel workbook by the file's suffix, and `-` for stdout.

Of text a spreadsheet computes nothing: what would be a formula begins with `'`.
"""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from gocell_cli.commands.shell.places import require_place
from gocell_cli.errors import UsageError
from gocell_cli.user_text import cell
from gocell_cli.whole_file import whole_file

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIXES = (".xlsx", ".parquet", ".csv", ".tsv")
KINDS = ".csv, .tsv, .parquet or .xlsx; - prints it"
"""What options of tables say of themselves."""
SEPARATORS = {".tsv": "\t", ".csv": ","}
STDOUT = Path("-")
NEEDS_QUOTES = r'["\r\n]'


def is_stdout(out: Path | None) -> bool:
    """Return whether a table is to be printed: nothing else is, then."""
    return out == STDOUT


def require_table(out: Path | None, *, overwrite: bool, json: bool = False, more: tuple[str, ...] = ()) -> None:
    """Raise UsageError or CannotWrite, before anything is read, where a table cannot go to `out` (None: there is none).

    json: whether a document is printed on stdout. more: suffixes that the caller writes itself.
    """
    if out is None:
        return
    if not is_stdout(out):
        require_place(out, (*SUFFIXES, *more), overwrite=overwrite)
    elif json:
        raise UsageError("--out - and --json both print on stdout", hint="leave one out, or name a file: --out x.tsv")


def write_table(table: "pa.Table", out: Path) -> None:
    """Write a table, whole or not at all, as the suffix says; tab-separated to stdout."""
    write_tables([table], out)


def write_tables(tables: Iterable["pa.Table"], out: Path) -> None:
    """Write tables of the same columns below each other, as `write_table` does; one of them in memory at a time."""
    if is_stdout(out):
        sys.stdout.flush()
        _write_text(tables, sys.stdout.buffer, "\t")
        return
    with whole_file(out) as temporary:
        if out.suffix == ".parquet":
            _write_parquet(tables, temporary)
        elif out.suffix == ".xlsx":
            from gocell_cli.commands.shell.workbook import write_workbook

            write_workbook(tables, temporary)
        else:
            with temporary.open("wb") as file:
                _write_text(tables, file, SEPARATORS[out.suffix])


def _write_parquet(tables: Iterable["pa.Table"], path: Path) -> None:
    import pyarrow.parquet as pq

    writer = None
    try:
        for table in tables:
            writer = writer or pq.ParquetWriter(path, table.schema)
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()


@runtime_checkable
class Sink(Protocol):
    """Where bytes go: a file, or stdout, which a caller may have replaced by something of its own."""

    def write(self, data: bytes, /) -> int:
        """Take some bytes."""


def _write_text(tables: Iterable["pa.Table"], file: Sink, mark: str) -> None:
    import pyarrow.csv as pa_csv

    for number, table in enumerate(tables):
        plain, quoted = _as_text(table, mark)
        if not number:
            file.write((mark.join(plain.column_names) + "\n").encode())  # Arrow would put it into quotes
        # "needed" quotes every text, whether it needs to be or not
        style = "needed" if quoted else "none"
        pa_csv.write_csv(plain, file, pa_csv.WriteOptions(include_header=False, delimiter=mark, quoting_style=style))


def _as_text(table: "pa.Table", mark: str) -> tuple["pa.Table", bool]:
    """Return a table without coded columns, its texts as cells of their own, and whether one of them needs quotes."""
    import pyarrow as pa
    import pyarrow.compute as pc

    quoted = False
    for place, (name, column) in enumerate(zip(table.column_names, table.columns, strict=True)):
        coded = pa.types.is_dictionary(column.type)
        if coded or pa.types.is_string(column.type):
            coded = (
                column.unify_dictionaries().combine_chunks() if coded else column.combine_chunks().dictionary_encode()
            )
            cells = pa.array([None if x is None else cell(x) for x in coded.dictionary.to_pylist()], pa.large_string())
            quoted |= bool(pc.any(pc.match_substring_regex(cells, f"{NEEDS_QUOTES}|{mark}")).as_py())
            table = table.set_column(place, name, pc.take(cells, coded.indices))
    return table, quoted
