"""The long tables of a batch for the GPU's kernels, written by compiled loops: they hold no lock of Python's.

In NumPy each took a sort, a gather and a few copies of all reads: 130 ms of one core for a batch of 8,192 triple
deletions, beside the plan's 108. Here reads are turned round term by term, by counting, while a term's part of both
tables is in the cache. All tables are parts of the plan's one buffer of 32-bit integers.
"""

from typing import NamedTuple, no_type_check

import numpy as np
from jaxtyping import Bool, Int32, Int64

from gocell_cli.training.network.delta.compiler.compiled import compiled


class Slots(NamedTuple):
    """Of the plan: CSR term -> variants, edge -> slots, slot -> readers (delta/plan.py)."""

    variant_ptr: Int64[np.ndarray, " terms_plus_1"]
    edge_slot: Int64[np.ndarray, " edges_plus_1"]
    slot_ptr: Int32[np.ndarray, " slots_plus_1"]
    slot_reader: Int32[np.ndarray, " reads"]


class Terms(NamedTuple):
    """Of each term: its blocks and those of its inputs; where its rows, wide inputs and products begin, in blocks.

    edge_ptr: CSR term -> the edges up to it from its children.
    """

    edge_ptr: Int64[np.ndarray, " terms_plus_1"]
    blocks: Int64[np.ndarray, " terms"]
    inputs: Int64[np.ndarray, " terms"]
    wide: Bool[np.ndarray, " terms"]
    row_at: Int64[np.ndarray, " terms_plus_1"]
    wide_at: Int64[np.ndarray, " terms_plus_1"]
    product_at: Int64[np.ndarray, " terms"]


class Edges(NamedTuple):
    """Of each edge: its child, the child's blocks, where among its parent's inputs these lie; its first product."""

    child: Int64[np.ndarray, " edges"]
    blocks: Int64[np.ndarray, " edges"]
    offset: Int64[np.ndarray, " edges"]
    product: Int64[np.ndarray, " edges"]


@compiled
@no_type_check
def write_reads(slots, terms, edges, read_ptr, read_at):
    """Of each variant where the products lie that it reads, edge by edge: by counting, term by term.

    A wide term's variants read one row each, their own z.
    """
    at = 0
    read_ptr[0] = 0
    for t in range(len(terms.blocks)):
        first, stop, blocks = slots.variant_ptr[t], slots.variant_ptr[t + 1], terms.blocks[t]
        if terms.wide[t]:
            for v in range(first, stop):
                read_at[at] = terms.product_at[t] + (v - first) * blocks
                at += 1
                read_ptr[v + 1] = at
            continue
        for v in range(first, stop):
            read_ptr[v + 1] = 0
        begin, end = slots.edge_slot[terms.edge_ptr[t]], slots.edge_slot[terms.edge_ptr[t + 1]]
        for i in range(slots.slot_ptr[begin], slots.slot_ptr[end]):
            read_ptr[slots.slot_reader[i] + 1] += 1
        # where a variant's reads begin, which by its last one has become where they end
        for v in range(first, stop):
            at, read_ptr[v + 1] = at + read_ptr[v + 1], at
        for e in range(terms.edge_ptr[t], terms.edge_ptr[t + 1]):
            for s in range(slots.edge_slot[e], slots.edge_slot[e + 1]):
                for i in range(slots.slot_ptr[s], slots.slot_ptr[s + 1]):
                    reader = slots.slot_reader[i]
                    read_at[read_ptr[reader + 1]] = edges.product[e] + (s - slots.edge_slot[e]) * blocks
                    read_ptr[reader + 1] += 1


@compiled
@no_type_check
def write_readers(slots, terms, edges, slot_at):
    """Of each slot where dz of its readers lies; of a wide term's where a matrix library leaves dz W."""
    for t in range(len(terms.blocks)):
        for e in range(terms.edge_ptr[t], terms.edge_ptr[t + 1]):
            row, pitch = terms.row_at[t], terms.blocks[t]
            if terms.wide[t]:
                row, pitch = terms.wide_at[t] + edges.offset[e], terms.inputs[t]
            row -= slots.variant_ptr[t] * pitch
            for i in range(slots.slot_ptr[slots.edge_slot[e]], slots.slot_ptr[slots.edge_slot[e + 1]]):
                slot_at[i] = row + slots.slot_reader[i] * pitch


@compiled
@no_type_check
def write_copies(slots, terms, edges, copy_from, copy_to):
    """Blocks of x, and where wide terms' plain products want them: term by term, slot by slot."""
    at = 0
    for t in range(len(terms.blocks)):
        if terms.wide[t]:
            for e in range(terms.edge_ptr[t], terms.edge_ptr[t + 1]):
                child, to = edges.child[e], terms.wide_at[t] + edges.offset[e]
                for s in range(slots.edge_slot[e], slots.edge_slot[e + 1]):
                    source = terms.row_at[child] + (s - slots.edge_slot[e]) * terms.blocks[child]
                    for i in range(slots.slot_ptr[s], slots.slot_ptr[s + 1]):
                        row = to + (slots.slot_reader[i] - slots.variant_ptr[t]) * terms.inputs[t]
                        for block in range(edges.blocks[e]):
                            copy_from[at], copy_to[at] = source + block, row + block
                            at += 1


@compiled
@no_type_check
def write_pairs(variant_ptr, terms, lost_ptr, lost, place, pair, pair_ptr, pair_at):
    """The lost term-gene pairs, each once, ascending, and where dz of the variants lies that have lost it.

    place: zeros, one for each pair of the network. Returns how many there are.
    """
    for i in range(len(lost)):
        place[lost[i]] += 1
    found, at = 0, 0
    pair_ptr[0] = 0
    for p in range(len(place)):
        if place[p] > 0:
            place[p], at = at, at + place[p]
            pair[found], pair_ptr[found + 1] = p, at
            found += 1
    for t in range(len(terms.blocks)):
        for v in range(variant_ptr[t], variant_ptr[t + 1]):
            for i in range(lost_ptr[v], lost_ptr[v + 1]):
                pair_at[place[lost[i]]] = terms.row_at[t] + (v - variant_ptr[t]) * terms.blocks[t]
                place[lost[i]] += 1
    return found


@compiled
@no_type_check
def write_tiles(rows, cols, height, width, owner, row, col):
    """Tiles of rows[i] by cols[i] for each owner i, its rows counted fastest: what is joined lies side by side."""
    at = 0
    for i in range(len(rows)):
        for c in range(cols[i]):
            for r in range(rows[i]):
                owner[at], row[at], col[at] = i, r * height, c * width
                at += 1
