"""A long table piece by piece: what `table_file.read_table` reads whole, in memory of one piece.

Text is cut at line ends outside quotes, Parquet at its row groups; a workbook's sheet, which has a million rows at
most, is one piece. Where a table is cut is a matter of its bytes alone. A piece that cannot be read is no error yet:
the whole table is read then, which tells the line.
"""

import codecs
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, cast

import pyarrow as pa
import pyarrow.parquet as pq

from gocell_cli.errors import InvalidInput
from gocell_cli.sources.screens.table_file import (
    FIRST_LINE,
    PARQUET_MAGIC,
    TableFile,
    TextForm,
    read_table,
    set_aside,
    texts_of_parquet,
    texts_of_text,
)
from gocell_cli.sources.screens.workbook import is_workbook
from gocell_cli.sources.text_file import open_input, text_chunks

BYTES, ROWS = 1 << 23, 1 << 18
"""Of a piece of text, and of one of Parquet: some 400,000 and 262,144 rows of two genes."""
HEAD_BYTES = 4096
TRIED = 16
"""Line ends that are looked at from the end of a piece; where each is within quotes, the piece grows."""
LINE_ENDS = b"\r\n"


class TextPiece(NamedTuple):
    """The header and some lines of a table of text; the piece's second line is line `above` + 2 of the file."""

    data: bytes
    above: int


class GroupPiece(NamedTuple):
    """A row group of a Parquet table; its first row is line `first`."""

    group: int
    first: int


Piece = TextPiece | GroupPiece


def is_cut(path: Path, sheet: str | None = None) -> bool:
    """Whether a table is read in pieces: no workbook is, and no sheet."""
    return sheet is None and (_is_parquet(path) or not is_workbook(path))


def cut_table(path: Path) -> Iterator[Piece]:
    """Yield the pieces of a table that `is_cut`, unread, in their order."""
    yield from _groups(path) if _is_parquet(path) else _text_pieces(path)


def rows_or_bytes(path: Path) -> int:
    """Return what the pieces of a table add up to: a Parquet table's rows, a text's bytes; 0 where it is packed."""
    if _is_parquet(path):
        with _readable(path), pq.ParquetFile(path) as source:
            return int(source.metadata.num_rows)
    with io.BufferedReader(open_input(path)) as file:
        first = next(text_chunks(cast("io.BufferedReader", file), path), b"")[:HEAD_BYTES]
    with open_input(path) as file:
        plain = first == file.read(HEAD_BYTES)[: len(first)]
    return path.stat().st_size if plain else 0


def tables_of(piece: Piece, path: Path, *, is_key: Callable[[str], bool], form: TextForm) -> Iterator[TableFile]:
    """Yield a piece's rows as tables of a few hundred thousand each; raises InvalidInput, with no certain line."""
    if isinstance(piece, TextPiece):
        table = texts_of_text(piece.data, is_key, form, path)
        yield set_aside(replace(table, line=table.line + piece.above))
        return
    yield from map(set_aside, _of_group(path, piece))


def table_pieces(path: Path, *, is_key: Callable[[str], bool], sheet: str | None = None) -> Iterator[TableFile]:
    """Yield the rows of a table in their order; each piece has all columns, and its rows' own lines.

    Raises what `read_table` raises, of a table whose fault stands late in it after the first pieces.
    """
    if not is_cut(path, sheet):
        yield read_table(path, is_key=is_key, sheet=sheet)
        return
    try:
        for piece in cut_table(path):
            yield from tables_of(piece, path, is_key=is_key, form=TextForm())
    except InvalidInput:
        read_table(path, is_key=is_key)  # says which line of the file it is, not of the piece
        raise


def _is_parquet(path: Path) -> bool:
    with open_input(path) as file:
        return file.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC


def _groups(path: Path) -> Iterator[GroupPiece]:
    with _readable(path), pq.ParquetFile(path) as source:
        rows = [source.metadata.row_group(i).num_rows for i in range(source.metadata.num_row_groups)]
    line = FIRST_LINE
    for group, count in enumerate(rows):
        if count:
            yield GroupPiece(group, line)
        line += count
    if line == FIRST_LINE:
        yield GroupPiece(-1, line)


def _of_group(path: Path, piece: GroupPiece) -> Iterator[TableFile]:
    line = piece.first
    with _readable(path), pq.ParquetFile(path) as source:
        if piece.group < 0:  # a table without rows has its columns all the same
            yield texts_of_parquet(source.schema_arrow.empty_table(), path, line)
            return
        for batch in source.iter_batches(ROWS, row_groups=[piece.group]):
            table = pa.Table.from_batches([batch])
            yield texts_of_parquet(table, path, line)
            line += len(table)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Make one error of all that a damaged Parquet table raises."""
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InvalidInput.at(path, None, f"not a readable Parquet table ({error})") from error


def _text_pieces(path: Path) -> Iterator[TextPiece]:
    header, line = b"", 0
    for number, body in enumerate(_cut(path)):
        if not number:
            header = body.partition(b"\n")[0]
        yield TextPiece(body if not number else header + b"\n" + body, line)
        # of the first piece the header is a line, and of all others the line end behind it was there already
        line += body.count(b"\n") + (0 if not number else 1)


def _cut(path: Path) -> Iterator[bytes]:
    """Yield a text's bytes, cut at line ends, without those; the blank lines at its end are left out."""
    with io.BufferedReader(open_input(path)) as file:
        rest, enough = b"", BYTES
        for chunk in text_chunks(cast("io.BufferedReader", file), path):
            rest += chunk
            while len(rest) >= enough:
                at = _line_end(rest)
                if not at:
                    enough = 2 * len(rest)  # within quotes: to look again at every chunk would take for ever
                    break
                yield rest[:at].removesuffix(b"\r").removeprefix(codecs.BOM_UTF8)
                rest, enough = rest[at + 1 :], BYTES
        yield rest.rstrip(LINE_ENDS).removeprefix(codecs.BOM_UTF8)


def _line_end(data: bytes) -> int:
    """Return the last place where a line ends outside quotes, between two lines that are not blank; 0: there is none.

    Blank lines at the end of the table are no rows, and only at its end one knows that they are.
    """
    at = data.rfind(b"\n", 0, len(data) - 1)
    for _ in range(TRIED):
        if at <= 0:
            break
        blank = data[at - 1 : at] == b"\n" or data[at - 2 : at] == b"\n\r" or data[at + 1] in LINE_ENDS
        if not blank and data.count(b'"', 0, at) % 2 == 0:
            return at
        at = data.rfind(b"\n", 0, at)
    return 0
