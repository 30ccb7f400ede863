"""Deletion propagation: deleted genes -> the (term, gene) pairs whose state is 0 -> the terms that this reaches.

The one place where a deletion becomes rows. A gene's deletion sets the state of its pairs, the terms that it is
annotated to directly, to 0; every term that contains it, those and all their ancestors, is reached (true-path rule).
The genotype-phenotype map of Ma et al. 2018 (doi:10.1038/nmeth.4627) reads the first; a change can be seen only in
the second. NumPy on the hierarchy's arrays alone: inspect, the reader and the trainer's data all come here.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64, Int32, Int64, UInt8

from gocell_cli.csr import ranges
from gocell_cli.storage.schema import Hierarchy


def deleted_pairs(
    hierarchy: Hierarchy,
    gene_ptr: Int64[np.ndarray, " samples_plus_1"],
    genes: Int32[np.ndarray, " deletions"],
) -> Int64[np.ndarray, " zeros"]:
    """Return where a batch's state is 0, as `sample * rows + row`, by sample, then by deletion.

    Flat places, so that one assignment sets a whole batch whatever its layout. A gene deleted twice in one sample
    gives its rows twice; setting them to 0 twice does no harm.
    """
    # deletion: which of `genes` a place comes from; place: where in gene_rows, a gene's rows lying side by side there
    start = hierarchy.gene_ptr[genes]
    deletion, place = ranges(start, hierarchy.gene_ptr[1:][genes] - start)
    sample = np.repeat(np.arange(len(gene_ptr) - 1), np.diff(gene_ptr))
    places: Int64[np.ndarray, " zeros"] = sample[deletion] * hierarchy.rows + hierarchy.gene_rows[place]
    return places


def pair_state(
    hierarchy: Hierarchy,
    gene_ptr: Int64[np.ndarray, " samples_plus_1"],
    genes: Int32[np.ndarray, " deletions"],
) -> UInt8[np.ndarray, "samples rows"]:
    """Return the state column alone: 0 where the row's gene is deleted in the sample, else 1."""
    state = np.ones((len(gene_ptr) - 1, hierarchy.rows), dtype=np.uint8)
    state.reshape(-1)[deleted_pairs(hierarchy, gene_ptr, genes)] = 0
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
    # a copy of the wild type for each sample, columns term, gene, level, state: only column 3 changes
    table = np.tile(wild_type, (len(gene_ptr) - 1, 1, 1))
    table.reshape(-1, 4)[deleted_pairs(hierarchy, gene_ptr, genes), 3] = 0
    return table


def channel_states(
    hierarchy: Hierarchy,
    gene_ptr: Int64[np.ndarray, " samples_plus_1"],
    genes: Int32[np.ndarray, " changed"],
) -> Float64[np.ndarray, "samples rows"]:
    """Return each row's state in its channel: the input's where the sample has it, the wild type's elsewhere.

    Of a hierarchy without channels that is `pair_state`.
    """
    state = pair_state(hierarchy, gene_ptr, genes).astype(np.float64)
    if hierarchy.inputs is None:
        return state
    own, base = hierarchy.inputs.state[hierarchy.row_gene], hierarchy.inputs.base[hierarchy.row_gene]
    found: Float64[np.ndarray, "samples rows"] = np.where(state == 0, own, base)
    return found


def reached_terms(hierarchy: Hierarchy, genes: Sequence[int]) -> Int64[np.ndarray, " reached"]:
    """Return the terms, ascending, that contain one of `genes`: annotated to it, or above a term that is."""
    ptr, term = hierarchy.closure
    chosen = np.asarray(genes, dtype=np.int64)
    reached = np.zeros(len(hierarchy.term_ids), dtype=bool)
    reached[term[ranges(ptr[chosen], ptr[chosen + 1] - ptr[chosen])[1]]] = True
    return np.flatnonzero(reached)


def terms_by_level(hierarchy: Hierarchy, terms: Int64[np.ndarray, " terms"]) -> dict[int, int]:
    """Return how many of some terms each level has."""
    levels, counts = np.unique(hierarchy.level[terms], return_counts=True)
    return dict(zip(levels.tolist(), counts.tolist(), strict=True))
