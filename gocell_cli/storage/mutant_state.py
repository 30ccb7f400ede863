"""Deleted genes -> the [term, gene, level, state] table. The one place where a deletion becomes rows.

NumPy on the hierarchy's arrays alone; used by inspect, the reader and the trainer alike.
"""

import numpy as np
from jaxtyping import Int32, Int64, UInt8

from gocell_cli.storage.schema import Hierarchy


def places_at_zero(
    hierarchy: Hierarchy,
    gene_ptr: Int64[np.ndarray, " samples_plus_1"],
    genes: Int32[np.ndarray, " deletions"],
) -> Int64[np.ndarray, " zeros"]:
    """Return where a batch's state is 0, as `sample * rows + row`, by sample, then by deletion.

    A gene deleted twice in one sample gives its rows twice; setting them to 0 twice does no harm.
    """
    start = hierarchy.gene_ptr[genes]
    count = hierarchy.gene_ptr[1:][genes] - start
    sample = np.repeat(np.arange(len(gene_ptr) - 1), np.diff(gene_ptr))
    offset = np.repeat(start - (np.cumsum(count) - count), count)
    offset += np.arange(len(offset))
    places = np.repeat(sample * hierarchy.rows, count)
    places += hierarchy.gene_rows[offset]
    return places


def gene_state(
    hierarchy: Hierarchy,
    gene_ptr: Int64[np.ndarray, " samples_plus_1"],
    genes: Int32[np.ndarray, " deletions"],
) -> UInt8[np.ndarray, "samples rows"]:
    """Return the state column alone: 0 where the row's gene is deleted in the sample, else 1."""
    state = np.ones((len(gene_ptr) - 1, hierarchy.rows), dtype=np.uint8)
    state.reshape(-1)[places_at_zero(hierarchy, gene_ptr, genes)] = 0
    return state


def mutant_state(
    hierarchy: Hierarchy,
    gene_ptr: Int64[np.ndarray, " samples_plus_1"],
    genes: Int32[np.ndarray, " deletions"],
) -> Int32[np.ndarray, "samples rows 4"]:
    """Return the table (term index, gene index, level, state) of each sample, sorted by (term, gene).

    State is 0 where the row's gene is deleted in the sample, else 1.
    """
    wild_type = np.stack(
        [
            hierarchy.row_term,
            hierarchy.row_gene,
            hierarchy.level[hierarchy.row_term],
            np.ones(hierarchy.rows, dtype=np.int32),
        ],
        axis=1,
    )
    table = np.tile(wild_type, (len(gene_ptr) - 1, 1, 1))
    table.reshape(-1, 4)[places_at_zero(hierarchy, gene_ptr, genes), 3] = 0
    return table
