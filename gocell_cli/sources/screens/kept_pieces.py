"""What is kept of a long table: codes and numbers, some 30 bytes a row, and of its text no more than tells of it later.

    piece of the file -> table of text -> KeptPiece     each for itself, in any process
    all pieces        -> data set                       own_table.py: what only all rows together say

Which gene a name is depends on all names of the table (in capitals throughout, it carries no case), so names stay
names here, coded piece by piece.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from gocell_cli.errors import InvalidInput
from gocell_cli.gene_names import GeneNames
from gocell_cli.sources.screens import table_pieces
from gocell_cli.sources.screens.cell_names import names_of
from gocell_cli.sources.screens.kept_table import KeptPiece, KeptTable
from gocell_cli.sources.screens.shared_pieces import SharedReading, read_together
from gocell_cli.sources.screens.table_columns import Columns, TableOptions, choose_columns, is_gene_column
from gocell_cli.sources.screens.table_file import COMMA, TableFile
from gocell_cli.sources.screens.table_notes import unread
from gocell_cli.sources.screens.table_pieces import Piece, cut_table, is_cut, rows_or_bytes, tables_of
from gocell_cli.worker_processes import in_order

FEW_TEXTS = 2**15 - 2
"""Distinct texts, or names, that 16 bits tell apart, one value left for none."""
SAMPLED_PIECES = 2
"""Of a long table, for a forecast: some 800,000 rows."""
LONG = 48 << 20
"""Bytes of a file from which it is read by several processes."""


class Sampled:
    """A reading that stops after the first pieces of a long table, for a forecast: `share` of it, in `seconds`."""

    def __init__(self) -> None:
        self.share, self.seconds = 1.0, 0.0

    @property
    def seconds_more(self) -> float:
        """The seconds that the rest would take, by one process."""
        return self.seconds * (1 / self.share - 1)


class ReadAhead(NamedTuple):
    """How pieces are read: by so many processes.

    `progress` is told of (bytes of text read, or rows of Parquet; all of them, 0 where a packed text does not tell;
    rows kept) after each. `shared`: with the other parts of a build. `sampled`: its beginning alone.
    """

    workers: int = 1
    progress: Callable[[int, int, int], None] | None = None
    shared: SharedReading | None = None
    sampled: Sampled | None = None


INLINE = ReadAhead()


def kept_pieces(
    path: Path, options: TableOptions, lookup: GeneNames, ahead: ReadAhead = INLINE, sha256: str = ""
) -> list[KeptPiece]:
    """Return a table's pieces in their order; [] where only the whole of it says what it holds, or what is wrong.

    That is where a cell cannot be read, where the contents of a column say whether it is the phenotype's, and where
    pieces taken for themselves would be in different code pages, or have different decimal marks.
    """
    if not is_cut(path, options.sheet):
        return []
    found: list[KeptPiece] = []
    done = rows = 0
    total = rows_or_bytes(path) if ahead.progress is not None else 0
    try:
        for size, some in _all_kept(path, options, lookup, ahead, sha256):
            found += some
            done, rows = done + size, rows + sum(piece.rows for piece in some)
            if ahead.progress is not None:
                ahead.progress(done or rows, total, rows)
    except InvalidInput:
        return []
    return found if _agree([piece.table for piece in found]) else []


def _all_kept(
    path: Path, options: TableOptions, lookup: GeneNames, ahead: ReadAhead, sha256: str
) -> Iterator[tuple[int, list[KeptPiece]]]:
    """Yield (bytes of text, what is kept) of each piece, read here, by processes beside this one or by other parts."""
    long = path.stat().st_size >= LONG
    # for a short table a second Python would only take time to start
    workers, what = ahead.workers if long else 1, f"a process that reads {path}"
    function = partial(_keep_piece, path, options, lookup)

    def keep_all(pieces: Iterator[tuple[int, Piece]]) -> Iterator[tuple[int, int, list[KeptPiece]]]:
        return in_order(function, pieces, workers, what)

    if long and ahead.sampled is not None and (total := rows_or_bytes(path)):
        some = [*islice(cut_table(path), SAMPLED_PIECES)]
        read = [(size, kept) for _, size, kept in map(function, enumerate(some))]
        done = sum(size or sum(piece.rows for piece in kept) for size, kept in read)
        ahead.sampled.share = min(1.0, done / total)
        yield from read
        return
    if long and ahead.shared is not None:
        cut = (table_pieces.BYTES, table_pieces.ROWS)
        yield from read_together(ahead.shared.begin(sha256, options, lookup, cut), lambda: cut_table(path), keep_all)
        return
    yield from ((size, kept) for _, size, kept in keep_all(enumerate(cut_table(path))))


def _keep_piece(
    path: Path, options: TableOptions, lookup: GeneNames, numbered: tuple[int, Piece]
) -> tuple[int, int, list[KeptPiece]]:
    """Return a piece's number, its bytes of text, and what is kept of its tables."""
    number, piece = numbered
    tables: Iterator[TableFile] = tables_of(piece, path, is_key=is_gene_column, form=options.form)
    kept = [keep(table, _columns(table, options), options, lookup) for table in tables]
    return number, len(getattr(piece, "data", b"")), kept


def _columns(table: TableFile, options: TableOptions) -> Columns:
    """The columns by their headers alone; raises InvalidInput where what is in them would have to tell."""
    empty = {name: column.slice(0, 0) for name, column in table.columns.items()}
    return choose_columns(replace(table, columns=empty, line=table.line[:0]), options)


def keep(table: TableFile, columns: Columns, options: TableOptions, lookup: GeneNames) -> KeptPiece:
    """Return what is kept of a table; raises InvalidInput with the line of a cell that is no number."""
    index: dict[str, int] = {}
    first = int(table.line[0]) if len(table) else 0
    follow = bool(len(table)) and bool((np.diff(table.line) == 1).all())
    numeric = (columns.phenotype, columns.statistic, *(n for pair in columns.others for n in pair), *columns.fitness)
    numbers = {name: table.measured(name, options.decimal) for name in dict.fromkeys(numeric) if name is not None}
    names = names_of(table, columns.genes, lookup, index)
    texts = (*columns.genes, columns.phenotype, *columns.alleles, columns.query, columns.group)
    held = {name: _packed(table.columns[name]) for name in dict.fromkeys(texts) if name is not None}
    short = len(index) <= FEW_TEXTS
    kept = KeptTable(
        table.path,
        held,
        np.zeros(0, dtype=np.int64) if follow else table.line,
        (*table.notes, *unread([*table.columns], columns)),
        table.delimiter,
        table.encoding,
        np.asfortranarray(names.astype(np.int16)) if short else names,
        tuple(index),
        numbers,
    )
    return KeptPiece(kept, columns, first if follow else None, len(table))


def _packed(column: pa.Array) -> pa.Array:
    """A column of texts, coded where it has few distinct ones."""
    coded = column.dictionary_encode()
    if len(coded.dictionary) > FEW_TEXTS:
        return column
    return pa.DictionaryArray.from_arrays(coded.indices.cast(pa.int16()), coded.dictionary)


def _agree(tables: Sequence[KeptTable]) -> bool:
    """Whether pieces that were read by themselves are of one code page, and each column of one decimal mark."""
    if len({(table.encoding, table.delimiter, *table.columns) for table in tables}) != 1:
        return False
    if len(tables) > 1 and tables[0].encoding:
        return False
    marks = ({table.numbers[name].decimal for table in tables} for name in tables[0].numbers)
    # "" is of numbers without a mark, and of such that needed no look at their marks: they have points
    return all(COMMA not in found or len(found) == 1 for found in marks)
