"""Where everything of a batch lies on a GPU, and which program takes what: integers, made on the CPU ahead of the step.

Tables x, d and g have a row for each variant, in the order of terms: term t's begin at block row_at[t], each of the
term's padded width. A level's products lie in one table that the next level takes again. All arrays are parts of one
buffer of 32-bit integers, so that a batch is one copy to the device; the long ones are written by compiled loops.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Int, Int32, Int64

from gocell_cli.csr import pointers, ranges
from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.delta.gpu.tables import (
    Edges,
    Slots,
    Terms,
    write_copies,
    write_pairs,
    write_readers,
    write_reads,
    write_tiles,
)
from gocell_cli.training.network.delta.plan import DeltaIndex, DeltaPlan
from gocell_cli.training.network.pinned import packed

with train_extra():
    from torch import Tensor

ROWS = 32
"""Variants of a tile. A tile's neurons are 32 as well (a block of 20 in one), or 16 where blocks are that small."""
WIDE = 2**27
"""Multiply-adds of a term's products from which they are a matrix library's: 0.05 ms as small tiles (predicted)."""
WASTE = 3
"""How many times the multiply-adds that are needed a plain product may take: what is not touched is multiplied, too."""


@dataclass(frozen=True)
class Items:
    """Programs of a launch: those from `first` on, `count` of them."""

    first: int
    count: int


@dataclass(frozen=True)
class WideTerm:
    """A term whose products are plain ones: X [variants, inp] from block `at` of the wide table, W from `weight` on.

    Z, `variants` rows of `out`, begins at block `product` of the level's products, its part of d, x and g at `row`.
    """

    term: int
    variants: int
    inp: int
    out: int
    at: int
    weight: int
    product: int
    row: int


@dataclass(frozen=True)
class Level:
    """A level's programs: tiles, (term, neurons) pairs and tiles of products; its neurons; its wide terms."""

    tiles: Items
    stats: Items
    products: Items
    neurons: slice
    wide: tuple[WideTerm, ...]
    copies: Items


@dataclass(frozen=True)
class GpuIndex:
    """What the hierarchy alone decides. `ints` are arrays that kernels read by name; levels by terms and edges."""

    piece: int
    cols: int
    ints: Mapping[str, np.ndarray]
    edge_ptr: Int64[np.ndarray, " terms_plus_1"]
    pair_term: Int64[np.ndarray, " pairs"]
    level_ptr: Int64[np.ndarray, " levels_plus_1"]
    level_edge: Int64[np.ndarray, " levels_plus_1"]
    blocks: Int64[np.ndarray, " terms"]
    edge_offset: Int64[np.ndarray, " edges"]
    inputs: Int64[np.ndarray, " terms"]
    weight: Int64[np.ndarray, " terms"]
    stat_ptr: Int64[np.ndarray, " levels_plus_1"]
    neuron_ptr: Int64[np.ndarray, " levels_plus_1"]


def make_gpu_index(index: DeltaIndex, piece: int) -> GpuIndex:
    """Derive the arrays."""
    level_ptr = index.term_level_ptr
    cols = 32 if piece > 16 else 16
    blocks = index.band_blocks[index.band_of_term]
    tiles = -(-blocks * piece // cols)
    neuron = pointers(blocks * piece)
    edge_out, edge_in = tiles[index.parent], -(-index.child_blocks * piece // cols)
    edge, place = ranges(np.zeros(len(index.child), np.int64), edge_out * edge_in)
    term, tile = ranges(np.zeros(index.terms, np.int64), tiles)
    edge_ptr = np.searchsorted(index.parent, np.arange(index.terms + 1))
    weight, inputs = np.zeros(index.terms, np.int64), np.zeros(index.terms, np.int64)
    leads = edge_ptr[:-1][edge_ptr[:-1] < edge_ptr[1:]]
    if len(leads):
        # one of a term's edges, whichever, begins where the term's weights do
        weight[index.parent[leads]] = np.minimum.reduceat(index.edge_chunk, leads)
        inputs[index.parent[leads]] = index.edge_stride[leads]
    direct = index.closure_pair >= 0
    pair_term = np.empty(len(index.pair_piece), np.int64)
    pair_term[index.closure_pair[direct]] = index.closure[direct]
    ints = {
        "term_blocks": blocks, "term_neuron": neuron[:-1], "term_genes": index.term_genes,
        "edge_child": index.child, "edge_parent": index.parent, "edge_weight": index.edge_chunk,
        "edge_stride": index.edge_stride, "edge_inp": index.child_blocks,
        "parent_ptr": index.parent_ptr, "parent_edge": index.parent_edge,
        "neuron_term": np.repeat(np.arange(index.terms), blocks * piece), "stat_term": term, "stat_col": tile * cols,
        "weight_edge": edge, "weight_row": place // edge_in[edge] * cols, "weight_col": place % edge_in[edge] * cols,
    }  # fmt: skip
    return GpuIndex(
        piece=piece,
        cols=cols,
        ints=ints,
        edge_ptr=edge_ptr,
        pair_term=pair_term,
        level_ptr=level_ptr,
        level_edge=edge_ptr[level_ptr],
        blocks=blocks,
        edge_offset=index.edge_chunk - weight[index.parent],
        inputs=inputs,
        weight=weight,
        stat_ptr=pointers(tiles)[level_ptr],
        neuron_ptr=neuron[level_ptr],
    )


@dataclass(frozen=True)
class GpuPlan:
    """A batch's integers: one flat buffer, and its parts, that kernels read by name; sizes of the tables in blocks."""

    samples: int
    ints: Int32[Tensor, " ints"]
    parts: Mapping[str, slice]
    levels: tuple[Level, ...]
    table: int
    products: int
    given: int
    wide: int
    tiles: int
    high: int
    pairs: int

    def part(self, name: str, ints: Tensor) -> Tensor:
        """An array by its name, of the buffer wherever it is."""
        return ints[self.parts[name]]


@dataclass(frozen=True)
class Places:
    """Of a batch, by term: variants, first block; by edge: first block of its products, of what its slots got."""

    variants: Int64[np.ndarray, " terms"]
    row_at: Int64[np.ndarray, " terms_plus_1"]
    wide: Bool[np.ndarray, " terms"]
    wide_at: Int64[np.ndarray, " terms_plus_1"]
    product_at: Int64[np.ndarray, " terms"]
    edge_product: Int64[np.ndarray, " edges"]
    edge_given: Int64[np.ndarray, " edges_plus_1"]
    products: int


def lay_out(
    index: DeltaIndex,
    fixed: GpuIndex,
    plan: DeltaPlan,
    shown: Int[np.ndarray, " samples"],
    wide_from: int = WIDE,
) -> GpuPlan:
    """Lay a plan out, in any thread: others run meanwhile. `shown` goes along."""
    places = find_places(index, fixed, plan, wide_from)
    rows = -(-places.variants // ROWS)
    cols = -(-fixed.blocks * fixed.piece // fixed.cols)
    item_rows, item_cols = rows[index.child] * ~places.wide[index.parent], cols[index.parent]
    reads = np.diff(plan.slot_ptr[plan.edge_slot]).astype(np.int64)  # of each edge
    copies = reads * index.child_blocks * places.wide[index.parent]
    tile_ptr, item_ptr, copy_ptr = pointers(rows * cols), pointers(item_rows * item_cols), pointers(copies)
    high_term, high = ranges(np.zeros_like(rows), rows)
    short = {
        "variant_ptr": plan.variant_ptr, "row_at": places.row_at[:-1], "edge_slot": plan.edge_slot[:-1],
        "edge_product": places.edge_product, "edge_given": places.edge_given[:-1],
        "edge_wide": places.wide[index.parent], "lost_ptr": plan.lost_ptr, "lost_piece": index.pair_piece[plan.lost],
        "weight": plan.weight, "term": plan.term, "varies": plan.varies,
        "absent": plan.weight[plan.variant_ptr[:-1]] == 0, "shown": shown, "slot_ptr": plan.slot_ptr,
        "term_tile": tile_ptr[:-1], "term_rows": rows, "high_term": high_term, "high_row": high * ROWS,
    }  # fmt: skip
    narrow = int(reads[~places.wide[index.parent]].sum())
    tiles, items, lost = int(tile_ptr[-1]), int(item_ptr[-1]), len(plan.lost)
    made = {
        "slot_at": len(plan.slot_reader), "read_ptr": len(plan.weight) + 1,
        "read_at": narrow + int(places.variants[places.wide].sum()),
        "pair_term": lost, "pair_piece": lost, "pair_ptr": lost + 1, "pair_at": lost,
        "tile_term": tiles, "tile_row": tiles, "tile_col": tiles, "item_edge": items, "item_row": items,
        "item_col": items, "copy_from": int(copy_ptr[-1]), "copy_to": int(copy_ptr[-1]),
    }  # fmt: skip
    ints, parts = packed(short, made)
    views = {name: ints.numpy()[part] for name, part in parts.items()}
    write_tiles(rows, cols, ROWS, fixed.cols, views["tile_term"], views["tile_row"], views["tile_col"])
    write_tiles(item_rows, item_cols, ROWS, fixed.cols, views["item_edge"], views["item_row"], views["item_col"])
    pairs = _write(index, fixed, plan, places, views)
    for name in ("pair_term", "pair_piece", "pair_ptr"):  # there is room for each lost pair, were all different
        first = parts[name].start
        parts[name] = slice(first, first + pairs + (name == "pair_ptr"))
    levels = _levels(fixed, places, tile_ptr, item_ptr, copy_ptr)
    return GpuPlan(
        samples=plan.samples, ints=ints, parts=parts, levels=levels, table=int(places.row_at[-1]),
        products=places.products, given=int(places.edge_given[-1]), wide=int(places.wide_at[-1]), tiles=tiles,
        high=len(high), pairs=pairs,
    )  # fmt: skip


def _levels(
    fixed: GpuIndex,
    places: Places,
    tile_ptr: Int64[np.ndarray, " terms_plus_1"],
    item_ptr: Int64[np.ndarray, " edges_plus_1"],
    copy_ptr: Int64[np.ndarray, " edges_plus_1"],
) -> tuple[Level, ...]:
    """Each level's part of the tiles by term, and of the products' tiles and the copies by edge."""
    found = []
    for i, (a, b) in enumerate(pairwise(fixed.level_ptr.tolist())):
        found.append(
            Level(
                tiles=_items(tile_ptr[fixed.level_ptr], i),
                stats=_items(fixed.stat_ptr, i),
                products=_items(item_ptr[fixed.level_edge], i),
                neurons=slice(int(fixed.neuron_ptr[i]), int(fixed.neuron_ptr[i + 1])),
                wide=tuple(_wide_term(int(t), fixed, places) for t in a + np.flatnonzero(places.wide[a:b])),
                copies=_items(copy_ptr[fixed.level_edge], i),
            )
        )
    return tuple(found)


def _items(ptr: Int64[np.ndarray, " n"], level: int) -> Items:
    return Items(int(ptr[level]), int(ptr[level + 1] - ptr[level]))


def find_places(index: DeltaIndex, fixed: GpuIndex, plan: DeltaPlan, wide_from: int) -> Places:
    """Return where everything of a batch begins."""
    piece, variants = fixed.piece, np.diff(plan.variant_ptr)
    slots = variants[index.child]
    needed = np.bincount(index.parent, slots * index.child_blocks, index.terms) * fixed.blocks * piece**2
    plain = variants * fixed.inputs * fixed.blocks * piece**2
    wide = (needed >= wide_from) & (plain <= WASTE * needed)
    narrow = ~wide[index.parent]
    # of a wide term the products are its variants' own z, of another one for each slot of its edges
    edge_blocks = slots * fixed.blocks[index.parent] * narrow
    term_products = np.where(wide, variants * fixed.blocks, np.bincount(index.parent, edge_blocks, index.terms))
    first = pointers(term_products.astype(np.int64))
    # each level's products begin at 0 again
    level = np.searchsorted(fixed.level_ptr, np.arange(index.terms), side="right") - 1
    product_at = first[:-1] - first[fixed.level_ptr[level]]
    given = pointers(edge_blocks)
    edge_ptr = np.searchsorted(index.parent, np.arange(index.terms))
    return Places(
        variants=variants,
        row_at=pointers(variants * fixed.blocks),
        wide=wide,
        wide_at=pointers(variants * fixed.inputs * wide),
        product_at=product_at,
        edge_product=product_at[index.parent] + given[:-1] - given[edge_ptr[index.parent]],
        edge_given=given,
        products=int(np.diff(first[fixed.level_ptr]).max(initial=0)),
    )


def _write(index: DeltaIndex, fixed: GpuIndex, plan: DeltaPlan, places: Places, views: Mapping[str, np.ndarray]) -> int:
    """Write what is read, copied and lost; returns how many different pairs are lost."""
    slots = Slots(plan.variant_ptr, plan.edge_slot, plan.slot_ptr, plan.slot_reader)
    terms = Terms(
        fixed.edge_ptr, fixed.blocks, fixed.inputs, places.wide, places.row_at, places.wide_at, places.product_at
    )
    edges = Edges(index.child, index.child_blocks, fixed.edge_offset, places.edge_product)
    write_reads(slots, terms, edges, views["read_ptr"], views["read_at"])
    write_readers(slots, terms, edges, views["slot_at"])
    if places.wide.any():
        write_copies(slots, terms, edges, views["copy_from"], views["copy_to"])
    place, pair = np.zeros(len(fixed.pair_term), np.int32), views["pair_term"]
    found: int = write_pairs(
        plan.variant_ptr, terms, plan.lost_ptr, plan.lost, place, pair, views["pair_ptr"], views["pair_at"]
    )
    views["pair_piece"][:found] = index.pair_piece[pair[:found]]
    pair[:found] = fixed.pair_term[pair[:found]]
    return found


def _wide_term(term: int, fixed: GpuIndex, places: Places) -> WideTerm:
    values = (
        places.variants[term], fixed.inputs[term], fixed.blocks[term], places.wide_at[term], fixed.weight[term],
        places.product_at[term], places.row_at[term],
    )  # fmt: skip
    return WideTerm(term, *map(int, values))
