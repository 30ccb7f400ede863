"""Deleted genes -> state tables of whole batches, in memory that is written once and then lent again and again.

A batch's table differs from the wild type's in a few rows a sample (about 10 a deleted gene, of 50,879), so
a table that nobody holds any more is turned into the next one by putting those rows back to 1 and the new
ones to 0: kilobytes written, where a new table costs its megabytes and a page fault for each 4 kB of them.
"""

import threading
import weakref
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int32, Int64

from gocell_cli.storage.schema import Hierarchy
from gocell_cli.training.extra import train_extra

with train_extra():
    import torch
    from torch import Tensor

KEPT_TABLES = 3
"""Tables kept for use again: the one in use, the one being made, and one between (prefetch)."""


def wild_type_table(hierarchy: Hierarchy) -> np.ndarray:
    """Return the table [rows, 4] float32 of (term, gene, level, state) with every state 1.

    Indices are exact in float32, which counts to 2**24.
    """
    columns = (hierarchy.row_term, hierarchy.row_gene, hierarchy.level[hierarchy.row_term], np.ones(hierarchy.rows))
    return np.stack(columns, axis=1).astype(np.float32)


def wild_type_state(hierarchy: Hierarchy) -> np.ndarray:
    """Return the state column alone, [rows, 1] uint8, all 1."""
    return np.ones((hierarchy.rows, 1), dtype=np.uint8)


def zero_places(
    hierarchy: Hierarchy, gene_ptr: Int64[np.ndarray, " samples_plus_1"], genes: Int32[np.ndarray, " deletions"]
) -> Int64[np.ndarray, " zeros"]:
    """Return where the batch's state is 0, as `sample * rows + row`, by sample, then by deletion."""
    start = hierarchy.gene_ptr[genes]
    count = hierarchy.gene_ptr[1:][genes] - start
    sample = np.repeat(np.arange(len(gene_ptr) - 1), np.diff(gene_ptr))
    first_out = np.cumsum(count) - count
    offset = np.repeat(start - first_out, count)
    offset += np.arange(len(offset))
    places = np.repeat(sample * hierarchy.rows, count)
    places += hierarchy.gene_rows[offset]
    return places


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

    def __init__(self, hierarchy: Hierarchy, wild_type: np.ndarray) -> None:
        self.hierarchy = hierarchy
        self.wild_type = wild_type
        self._tables: dict[int, list[_Table]] = {}
        self._claiming = threading.Lock()

    def fill(self, gene_ptr: Int64[np.ndarray, " samples_plus_1"], genes: Int32[np.ndarray, " deletions"]) -> Tensor:
        """Return the table [samples * rows, width] of a batch: state 0 where the row's gene is deleted."""
        zeros = zero_places(self.hierarchy, gene_ptr, genes)
        with self._claiming:
            table = self._claim(len(gene_ptr) - 1)
            lent = table.memory[:]
            table.holder = weakref.ref(lent)
        lent[table.zeros, -1] = 1
        lent[zeros, -1] = 0
        table.zeros = zeros
        # The tensor's storage holds this array object, and lets go of it with the last tensor over it.
        return torch.from_numpy(lent)

    def _claim(self, samples: int) -> _Table:
        """Return a table that nobody holds, a used one where there is one."""
        kept = self._tables.setdefault(samples, [])
        for table in [t for t in kept if t.free()]:
            if self._is_intact(table):
                return table
            kept.remove(table)
        table = _Table(np.tile(self.wild_type, (samples, 1)), np.zeros(0, dtype=np.int64))
        if len(kept) < KEPT_TABLES:
            kept.append(table)
        return table

    def _is_intact(self, table: _Table) -> bool:
        """Whether the rows set to 0, and each sample's first, hold what was put there.

        Cheap, and enough for whatever changes a table as a whole (scaling, masking, conversion in place).
        """
        rows, _ = self.wild_type.shape
        untouched = np.setdiff1d(np.arange(0, len(table.memory), rows), table.zeros)
        expected = self.wild_type[table.zeros % rows]
        expected[:, -1] = 0
        return bool(
            (table.memory[table.zeros] == expected).all() and (table.memory[untouched] == self.wild_type[0]).all()
        )
