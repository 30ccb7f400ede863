"""What is kept of a piece of a long table (kept_pieces.py), as it is held, sent and opened again."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Int16, Int32

from gocell_cli.sources.screens.table_columns import Columns
from gocell_cli.sources.screens.table_file import Measured, TableFile


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
