"""A batch's tables for the GPU's kernels in NumPy, array by array, as they are described: slow, and obvious."""

from collections.abc import Mapping

import numpy as np

from gocell_cli.csr import pointers, ranges
from gocell_cli.training.network.delta.gpu.layout import ROWS, GpuIndex, Places
from gocell_cli.training.network.delta.plan import DeltaIndex, DeltaPlan


def tables(index: DeltaIndex, fixed: GpuIndex, plan: DeltaPlan, places: Places) -> Mapping[str, np.ndarray]:
    """All that layout.py writes by compiled loops, by name."""
    return {
        **_reads(index, fixed, plan, places),
        **_pairs(index, fixed, plan, places),
        **_copies(index, fixed, plan, places),
        **_tiles("tile_term", "tile_row", "tile_col", fixed, places.variants, fixed.blocks),
        **_tiles(
            "item_edge", "item_row", "item_col", fixed,
            places.variants[index.child] * ~places.wide[index.parent], fixed.blocks[index.parent],
        ),
    }  # fmt: skip


def _reads(index: DeltaIndex, fixed: GpuIndex, plan: DeltaPlan, places: Places) -> dict[str, np.ndarray]:
    """Each variant's products by edge; a wide term's variants read one row each, their own z."""
    reads = plan.reads
    edge, variant = reads.edge.astype(np.int64), reads.variant.astype(np.int64)
    parent = index.parent[edge]
    wide = np.repeat(places.wide, places.variants)
    read_ptr = pointers(np.where(wide, 1, np.diff(reads.ptr)))
    single, term = read_ptr[:-1][wide], plan.term[wide]
    others = np.ones(read_ptr[-1], bool)
    others[single] = False
    read_at = np.empty(read_ptr[-1], np.int64)
    read_at[single] = places.product_at[term] + (np.flatnonzero(wide) - plan.variant_ptr[term]) * fixed.blocks[term]
    read_at[others] = (places.edge_product[edge] + variant * fixed.blocks[parent])[~places.wide[parent]]
    edge, parent, own, _ = _by_slot(index, plan)
    slot_at = np.where(
        places.wide[parent],
        places.wide_at[parent] + own * fixed.inputs[parent] + fixed.edge_offset[edge],
        places.row_at[parent] + own * fixed.blocks[parent],
    )
    return {"read_ptr": read_ptr, "read_at": read_at, "slot_at": slot_at}


def _by_slot(index: DeltaIndex, plan: DeltaPlan) -> tuple[np.ndarray, ...]:
    """Of each read by slot: edge, parent, the reader and the variant that is read, counted from their terms' first."""
    slot_edge = np.repeat(np.arange(len(index.child)), np.diff(plan.edge_slot))
    slot = np.repeat(np.arange(len(slot_edge)), np.diff(plan.slot_ptr))
    edge = slot_edge[slot]
    parent = index.parent[edge]
    return edge, parent, plan.slot_reader - plan.variant_ptr[parent], slot - plan.edge_slot[edge]


def _pairs(index: DeltaIndex, fixed: GpuIndex, plan: DeltaPlan, places: Places) -> dict[str, np.ndarray]:
    """Lost pairs, each once, and the rows of the variants that have lost it, ascending."""
    variant = np.repeat(np.arange(len(plan.weight)), np.diff(plan.lost_ptr))
    term = plan.term[variant]
    at = places.row_at[term] + (variant - plan.variant_ptr[term]) * fixed.blocks[term]
    # stable: of a pair its variants ascend
    order = np.argsort(plan.lost, kind="stable")
    pairs, first = np.unique(plan.lost[order], return_index=True)
    return {
        "pair_term": term[order][first], "pair_piece": index.pair_piece[pairs],
        "pair_ptr": np.append(first, len(order)), "pair_at": at[order],
    }  # fmt: skip


def _copies(index: DeltaIndex, fixed: GpuIndex, plan: DeltaPlan, places: Places) -> dict[str, np.ndarray]:
    """Blocks of x that wide terms read, and where their plain products want them, by slot."""
    found = _by_slot(index, plan)
    edge, parent, reader, variant = (x[places.wide[found[1]]] for x in found)
    start = places.row_at[index.child[edge]] + variant * fixed.blocks[index.child[edge]]
    to = places.wide_at[parent] + reader * fixed.inputs[parent] + fixed.edge_offset[edge]
    owner, block = ranges(np.zeros(len(edge), np.int64), index.child_blocks[edge])
    return {"copy_from": start[owner] + block, "copy_to": to[owner] + block}


def _tiles(
    owner: str, row: str, col: str, fixed: GpuIndex, variants: np.ndarray, blocks: np.ndarray
) -> dict[str, np.ndarray]:
    """Tiles of rows by neurons, the rows counted fastest."""
    rows, cols = -(-variants // ROWS), -(-blocks * fixed.piece // fixed.cols)
    found, place = ranges(np.zeros_like(rows), rows * cols)
    return {owner: found, row: place % rows[found] * ROWS, col: place // rows[found] * fixed.cols}
