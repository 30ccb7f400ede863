"""A column that is read block by block, in one piece of memory from the start."""

import numpy as np

STEP = 1 << 21
"""Rows that a column grows by: the allocator moves pages of this size, it does not copy them."""


class GrowingColumn:
    """Appended to until `finish`: blocks joined at the end would have to be held twice."""

    def __init__(self) -> None:
        self._held: np.ndarray | None = None
        self._rows = 0

    def append(self, values: np.ndarray) -> None:
        """Add rows; dtype and width are those of the first block."""
        if self._held is None:
            self._held = np.empty((0, *values.shape[1:]), dtype=values.dtype)
        stop = self._rows + len(values)
        if stop > len(self._held):
            self._held.resize((stop + STEP, *self._held.shape[1:]), refcheck=False)
        self._held[self._rows : stop] = values
        self._rows = stop

    def __len__(self) -> int:
        return self._rows

    def finish(self) -> np.ndarray:
        """Return all rows and give them up; raises ValueError where no block was added."""
        held, self._held = self._held, None
        if held is None:
            raise ValueError("no block was added")
        held.resize((self._rows, *held.shape[1:]), refcheck=False)
        return held
