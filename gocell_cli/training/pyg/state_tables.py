"""Deleted genes -> state tables of whole batches, in memory that is written once and then lent again and again.

A batch's table differs from the wild type's in a few rows a sample (about 10 a deleted gene, of 45,212), so
a table that nobody holds any more is turned into the next one by putting those rows back to 1 and the new
ones to 0: kilobytes written, where a new table costs its megabytes and a page fault for each 4 kB of them.
"""

import threading
import weakref
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from gocell_cli.storage.reader import Cache
from gocell_cli.storage.schema import Hierarchy, Samples
from gocell_cli.training.extra import train_extra

with train_extra():
    import torch
    from torch import Tensor

KEPT_TABLES = 3
"""Tables kept of a batch size: the one in use, the one being made, and one between (prefetch)."""
KEPT_SIZES = 2
"""Batch sizes whose tables are kept: the loop's, and that of an epoch's last batch."""


def wild_type_table(hierarchy: Hierarchy) -> np.ndarray:
    """Return the table [rows, 4] float32 of (term, gene, level, state) with every state 1.

    Indices are exact in float32, which counts to 2**24.
    """
    columns = (hierarchy.row_term, hierarchy.row_gene, hierarchy.level[hierarchy.row_term], np.ones(hierarchy.rows))
    return np.stack(columns, axis=1).astype(np.float32)


@dataclass
class _Table:
    """One piece of memory [samples * rows, width], who holds it, and which places are 0 in it."""

    memory: np.ndarray
    zeros: Int64[np.ndarray, " zeros"]
    holder: "weakref.ref[np.ndarray] | None" = None

    def free(self) -> bool:
        """Whether no tensor over the memory is left."""
        return self.holder is None or self.holder() is None


class StateTables:
    """Makes the state tables of batches: copies of `wild_type` [rows, width], its last column being the state.

    The tensors are lent: their memory is used again once neither they nor any view of them (slice, detached
    tensor, NumPy array, ...) is alive. Like everything shared they are to be read; clone before writing in
    place. Where a returned table is seen to have been written to, it is thrown away.
    """

    def __init__(self, cache: Cache, wild_type: np.ndarray) -> None:
        self.cache = cache
        self.wild_type = wild_type
        self._tables: dict[int, list[_Table]] = {}
        self._claiming = threading.Lock()

    def fill(self, samples: Samples) -> Tensor:
        """Return the table [samples * rows, width] of a batch: state 0 where the row's gene is deleted."""
        zeros = self.cache.deleted_pairs(samples)
        # two threads must not be lent one table
        with self._claiming:
            table = self._claim(len(samples))
            # an array object of its own, which dies with the last tensor over it; the memory lives on here
            lent = table.memory[:]
            table.holder = weakref.ref(lent)
        lent[zeros, -1] = 0
        table.zeros = zeros
        # The tensor's storage holds this array object, and lets go of it with the last tensor over it.
        return torch.from_numpy(lent)

    def _claim(self, samples: int) -> _Table:
        """Return a table of the wild type that nobody holds, a used one where there is one."""
        kept = self._tables.pop(samples, [])
        self._tables[samples] = kept
        while len(self._tables) > KEPT_SIZES:
            del self._tables[next(iter(self._tables))]
        for table in [t for t in kept if t.free()]:
            if self._reset(table):
                return table
            kept.remove(table)
        table = _Table(np.tile(self.wild_type, (samples, 1)), np.zeros(0, dtype=np.int64))
        if len(kept) < KEPT_TABLES:
            kept.append(table)
        return table

    def _reset(self, table: _Table) -> bool:
        """Put the states set to 0 back to 1; return whether nobody else is seen to have written to the table.

        Only those rows and each sample's first are looked at: cheap, and enough for whatever changes a table
        as a whole (scaling, masking, inverting in place).
        """
        rows = len(self.wild_type)
        as_left = not table.memory[table.zeros, -1].any()
        table.memory[table.zeros, -1] = 1
        # % rows: from a place in the batch to the row of the one sample's table
        same = np.array_equal(table.memory[table.zeros], self.wild_type[table.zeros % rows])
        return as_left and same and bool((table.memory[::rows] == self.wild_type[0]).all())
