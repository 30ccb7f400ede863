"""Vectors of genes as a file gives them, row by row: `sources/screens` reads it, `training/data` finds the genes."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64


@dataclass(frozen=True)
class NamedVectors:
    """Rows of a file: a gene's name, as it stands there, and numbers, NaN where a cell is empty.

    `line` is each row's (of a workbook its row, of an npz its place from 1); `notes` say what was set aside.
    """

    path: Path
    sha256: str
    line: Int64[np.ndarray, " rows"]
    names: tuple[str, ...]
    columns: tuple[str, ...]
    values: Float64[np.ndarray, "rows columns"]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)
