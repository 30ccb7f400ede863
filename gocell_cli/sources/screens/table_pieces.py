"""A long table piece by piece: what `table_file.read_table` reads whole, in memory of one piece.

Text is cut at line ends outside quotes, Parquet read batch by batch; a workbook's sheet, which has a million rows at
most, is one piece. A piece that cannot be read is no error yet: the whole table is read then, which tells the line.
"""

import codecs
import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

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
TRIED = 16
"""Line ends that are looked at from the end of a piece; where each is within quotes, the piece grows."""
LINE_ENDS = b"\r\n"


def table_pieces(path: Path, *, is_key: Callable[[str], bool], sheet: str | None = None) -> Iterator[TableFile]:
    """Yield the rows of a table in their order; each piece has all columns, and its rows' own lines.

    Raises what `read_table` raises, of a table whose fault stands late in it after the first pieces.
    """
    with open_input(path) as file:
        is_parquet = file.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC
    if sheet is not None or (not is_parquet and is_workbook(path)):
        yield read_table(path, is_key=is_key, sheet=sheet)
        return
    pieces = _of_parquet(path) if is_parquet else _of_text(path, is_key)
    while True:
        try:
            piece = next(pieces, None)
        except InvalidInput:
            read_table(path, is_key=is_key)  # says which line of the file it is, not of the piece
            raise
        if piece is None:
            return
        yield set_aside(piece)


def _of_parquet(path: Path) -> Iterator[TableFile]:
    line = FIRST_LINE
    try:
        with pq.ParquetFile(path) as source:
            for batch in source.iter_batches(ROWS):
                table = pa.Table.from_batches([batch])
                yield texts_of_parquet(table, path, line)
                line += len(table)
            if line == FIRST_LINE:
                yield texts_of_parquet(source.schema_arrow.empty_table(), path, line)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InvalidInput.at(path, None, f"not a readable Parquet table ({error})") from error


def _of_text(path: Path, is_key: Callable[[str], bool]) -> Iterator[TableFile]:
    header, line = b"", 0
    for number, body in enumerate(_cut(path)):
        if not number:
            header = body.partition(b"\n")[0]
            piece = body
        else:
            piece = header + b"\n" + body
        table = texts_of_text(piece, is_key, TextForm(), path)
        yield replace(table, line=table.line + line)
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
