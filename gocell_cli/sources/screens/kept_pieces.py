"""What is kept of a long table: codes and numbers, some 30 bytes a row, and of its text no more than tells of it later.

    piece of the file -> table of text -> KeptPiece     each for itself, in any process
    all pieces        -> data set                       own_table.py: what only all rows together say

Which gene a name is depends on all names of the table (in capitals throughout, it carries no case), so names stay
names here, coded piece by piece.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Int16, Int32

from gocell_cli.errors import InvalidInput
from gocell_cli.gene_names import GeneNames
from gocell_cli.sources.screens.cell_names import names_of
from gocell_cli.sources.screens.table_columns import Columns, TableOptions, choose_columns, is_gene_column
from gocell_cli.sources.screens.table_file import COMMA, Measured, TableFile
from gocell_cli.sources.screens.table_pieces import Piece, cut_table, is_cut, tables_of
from gocell_cli.worker_processes import in_order

FEW_TEXTS = 2**15 - 2
"""Distinct texts, or names, that 16 bits tell apart, one value left for none."""
LONG = 48 << 20
"""Bytes of a file from which it is read by several processes."""


@dataclass(frozen=True)
class KeptTable(TableFile):
    """Rows of a table whose names are coded and whose numbers are read.

    `names` index `own_names`, NO_NAME where there is none; `columns` are those that are texts to the end.
    """

    names: Int16[np.ndarray, "kept names_max"] | Int32[np.ndarray, "kept names_max"] | None = None
    own_names: tuple[str, ...] = ()
    numbers: Mapping[str, Measured] = None  # type: ignore[assignment]  # a dataclass that follows one with defaults

    def measured(self, name: str, decimal: str | None = None, *, words: bool = True) -> Measured:  # noqa: ARG002
        """Return a column's numbers, as they were read of its text."""
        return self.numbers[name]


class KeptPiece(NamedTuple):
    """A KeptTable as it travels and waits: lines that follow each other are told by the first."""

    table: KeptTable
    columns: Columns
    first: int | None
    rows: int

    def opened(self) -> KeptTable:
        """Return the table with the line of each row."""
        if self.first is None:
            return self.table
        return replace(self.table, line=np.arange(self.first, self.first + self.rows, dtype=np.int64))

    @property
    def bytes(self) -> int:
        """Bytes that it takes in memory."""
        table = self.table
        held = [column.nbytes for column in table.columns.values()]
        numbers = [measured.values.nbytes for measured in table.numbers.values()]
        return sum((*held, *numbers, table.names.nbytes if table.names is not None else 0, table.line.nbytes))


class ReadAhead(NamedTuple):
    """How pieces are read: by so many processes; `progress` is told of (bytes of text read, rows kept) after each."""

    workers: int = 1
    progress: Callable[[int, int], None] | None = None


INLINE = ReadAhead()


def kept_pieces(path: Path, options: TableOptions, lookup: GeneNames, ahead: ReadAhead = INLINE) -> list[KeptPiece]:
    """Return a table's pieces in their order; [] where only the whole of it says what it holds, or what is wrong.

    That is where a cell cannot be read, where the contents of a column say whether it is the phenotype's, and where
    pieces taken for themselves would be in different code pages, or have different decimal marks.
    """
    if not is_cut(path, options.sheet):
        return []
    found: list[KeptPiece] = []
    done = rows = 0
    function = partial(_keep_piece, path, options, lookup)
    # a second Python would only take time to start
    workers = ahead.workers if path.stat().st_size >= LONG else 1
    try:
        for size, some in in_order(function, cut_table(path), workers, f"a process that reads {path}"):
            found += some
            done, rows = done + size, rows + sum(piece.rows for piece in some)
            if ahead.progress is not None:
                ahead.progress(done, rows)
    except InvalidInput:
        return []
    return found if _agree([piece.table for piece in found]) else []


def _keep_piece(path: Path, options: TableOptions, lookup: GeneNames, piece: Piece) -> tuple[int, list[KeptPiece]]:
    """Return the bytes of text of a piece, and what is kept of its tables."""
    tables: Iterator[TableFile] = tables_of(piece, path, is_key=is_gene_column, form=options.form)
    kept = [keep(table, _columns(table, options), options, lookup) for table in tables]
    return len(getattr(piece, "data", b"")), kept


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
        table.notes,
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
