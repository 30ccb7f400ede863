"""Where everything of a batch lies on a GPU, and which program takes what: integers, made on the CPU ahead of the step.

Tables x, d and g have a row for each variant, in the order of terms: term t's begin at block row_at[t], each of the
term's padded width. A level's products lie in one table that the next level takes again. All arrays are parts of one
buffer of 32-bit integers, so that a batch is one copy to the device.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Int, Int32, Int64

from gocell_cli.csr import pointers, ranges
from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.delta.plan import DeltaIndex, DeltaPlan

with train_extra():
    import torch
    from torch import Tensor

ROWS = 32
"""Variants of a tile. A tile's neurons are 32 as well (a block of 20 in one), or 16 where blocks are that small."""
WIDE = 2**27
"""Multiply-adds of a term's products from which they are a matrix library's: 0.05 ms as small tiles (predicted)."""
WASTE = 3
"""How many times the multiply-adds that are needed a plain product may take: what is not touched is multiplied, too."""
ALIGNED = 4
"""32-bit integers: Triton compiles a kernel anew for a pointer that is not a multiple of 16 bytes."""


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
class _Places:
    """Of a batch, by term: variants, first block; by edge: first block of its products, of what its slots got."""

    variants: np.ndarray
    row_at: np.ndarray
    wide: np.ndarray
    wide_at: np.ndarray
    product_at: np.ndarray
    edge_product: np.ndarray
    edge_given: np.ndarray
    products: int


def lay_out(
    index: DeltaIndex,
    fixed: GpuIndex,
    plan: DeltaPlan,
    shown: Int[np.ndarray, " samples"],
    wide_from: int = WIDE,
) -> GpuPlan:
    """Lay a plan out; in NumPy, whose loops over whole arrays let other threads run. `shown` goes along."""
    piece = fixed.piece
    places = _places(index, fixed, plan, piece, wide_from)
    arrays = {
        "variant_ptr": plan.variant_ptr, "row_at": places.row_at[:-1], "edge_slot": plan.edge_slot[:-1],
        "edge_product": places.edge_product, "edge_given": places.edge_given[:-1],
        "edge_wide": places.wide[index.parent], "lost_ptr": plan.lost_ptr, "lost_piece": index.pair_piece[plan.lost],
        "weight": plan.weight, "term": plan.term, "varies": plan.varies,
        "absent": plan.weight[plan.variant_ptr[:-1]] == 0, "shown": shown,
    }  # fmt: skip
    arrays |= _read_arrays(index, fixed, plan, places)
    arrays |= _pair_arrays(index, fixed, plan, places)
    tiles, tile_ptr = _tile_arrays(fixed, places, piece)
    items, item_ptr = _product_arrays(index, fixed, places, piece)
    copies, copy_ptr = _copy_arrays(index, fixed, plan, places)
    arrays |= tiles | items | copies
    levels = []
    for i, (a, b) in enumerate(pairwise(fixed.level_ptr.tolist())):
        levels.append(
            Level(
                tiles=_items(tile_ptr[fixed.level_ptr], i),
                stats=_items(fixed.stat_ptr, i),
                products=_items(item_ptr[fixed.level_edge], i),
                neurons=slice(int(fixed.neuron_ptr[i]), int(fixed.neuron_ptr[i + 1])),
                wide=tuple(_wide_term(int(t), fixed, places) for t in a + np.flatnonzero(places.wide[a:b])),
                copies=_items(copy_ptr[fixed.level_ptr], i),
            )
        )
    ints, parts = packed(arrays)
    return GpuPlan(
        samples=plan.samples, ints=ints, parts=parts, levels=tuple(levels), table=int(places.row_at[-1]),
        products=places.products,
        given=int(places.edge_given[-1]), wide=int(places.wide_at[-1]), tiles=int(tile_ptr[-1]),
        high=len(arrays["high_term"]), pairs=len(arrays["pair_term"]),
    )  # fmt: skip


def _items(ptr: Int64[np.ndarray, " n"], level: int) -> Items:
    return Items(int(ptr[level]), int(ptr[level + 1] - ptr[level]))


def _places(index: DeltaIndex, fixed: GpuIndex, plan: DeltaPlan, piece: int, wide_from: int) -> _Places:
    variants = np.diff(plan.variant_ptr)
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
    return _Places(
        variants=variants,
        row_at=pointers(variants * fixed.blocks),
        wide=wide,
        wide_at=pointers(variants * fixed.inputs * wide),
        product_at=product_at,
        edge_product=product_at[index.parent] + given[:-1] - given[edge_ptr[index.parent]],
        edge_given=given,
        products=int(np.diff(first[fixed.level_ptr]).max(initial=0)),
    )


def _read_arrays(index: DeltaIndex, fixed: GpuIndex, plan: DeltaPlan, places: _Places) -> dict[str, np.ndarray]:
    """Of each variant where the products lie that it reads; of each slot where dz of its readers lies."""
    reads = plan.reads
    edge, variant = reads.edge.astype(np.int64), reads.variant.astype(np.int64)
    parent = index.parent[edge]
    # a wide term's variants read one row each, their own z
    wide = np.repeat(places.wide, places.variants)
    read_ptr = pointers(np.where(wide, 1, np.diff(reads.ptr)))
    single, term = read_ptr[:-1][wide], plan.term[wide]
    others = np.ones(read_ptr[-1], bool)
    others[single] = False
    read_at = np.empty(read_ptr[-1], np.int64)
    read_at[single] = places.product_at[term] + (np.flatnonzero(wide) - plan.variant_ptr[term]) * fixed.blocks[term]
    read_at[others] = (places.edge_product[edge] + variant * fixed.blocks[parent])[~places.wide[parent]]
    slot_edge = np.repeat(np.arange(len(index.child)), np.diff(plan.edge_slot))
    edge = np.repeat(slot_edge, np.diff(plan.slot_ptr))
    parent = index.parent[edge]
    own = plan.slot_reader - plan.variant_ptr[parent]
    slot_at = np.where(
        places.wide[parent],
        places.wide_at[parent] + own * fixed.inputs[parent] + fixed.edge_offset[edge],
        places.row_at[parent] + own * fixed.blocks[parent],
    )
    return {"read_ptr": read_ptr, "read_at": read_at, "slot_ptr": plan.slot_ptr, "slot_at": slot_at}


def _pair_arrays(index: DeltaIndex, fixed: GpuIndex, plan: DeltaPlan, places: _Places) -> dict[str, np.ndarray]:
    """Lost term-gene pairs, each once, and where dz of the variants lies that have lost it."""
    variant = np.repeat(np.arange(len(plan.weight)), np.diff(plan.lost_ptr))
    term = plan.term[variant]
    at = places.row_at[term] + (variant - plan.variant_ptr[term]) * fixed.blocks[term]
    order = np.argsort(plan.lost, kind="stable")
    pairs, first = np.unique(plan.lost[order], return_index=True)
    return {
        "pair_term": term[order][first], "pair_piece": index.pair_piece[pairs],
        "pair_ptr": np.append(first, len(order)), "pair_at": at[order],
    }  # fmt: skip


def _tile_arrays(fixed: GpuIndex, places: _Places, piece: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Tiles (term, row, neuron), a term's rows counted fastest, so that what is joined lies side by side."""
    rows, cols = -(-places.variants // ROWS), -(-fixed.blocks * piece // fixed.cols)
    first = pointers(rows * cols)
    term, place = ranges(np.zeros_like(rows), rows * cols)
    high_term, high = ranges(np.zeros_like(rows), rows)
    arrays = {
        "tile_term": term, "tile_row": place % rows[term] * ROWS, "tile_col": place // rows[term] * fixed.cols,
        "term_tile": first[:-1], "term_rows": rows, "high_term": high_term, "high_row": high * ROWS,
    }  # fmt: skip
    return arrays, first


def _product_arrays(
    index: DeltaIndex, fixed: GpuIndex, places: _Places, piece: int
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Tiles (edge, slot, neuron of the parent) of the products; none of wide parents."""
    rows = -(-places.variants[index.child] // ROWS) * ~places.wide[index.parent]
    cols = -(-fixed.blocks[index.parent] * piece // fixed.cols)
    first = pointers(rows * cols)
    edge, place = ranges(np.zeros_like(rows), rows * cols)
    arrays = {
        "item_edge": edge, "item_row": place % rows[edge] * ROWS, "item_col": place // rows[edge] * fixed.cols,
    }  # fmt: skip
    return arrays, first


def _copy_arrays(
    index: DeltaIndex, fixed: GpuIndex, plan: DeltaPlan, places: _Places
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Blocks of x, and where wide terms' plain products want them; how many there are before each term's."""
    reads = plan.reads
    wide = np.flatnonzero(places.wide[index.parent[reads.edge]])
    edge, variant = reads.edge[wide].astype(np.int64), reads.variant[wide].astype(np.int64)
    parent, child = index.parent[edge], index.child[edge]
    reader = np.searchsorted(reads.ptr, wide, side="right") - 1
    start = places.row_at[child] + variant * fixed.blocks[child]
    to = places.wide_at[parent] + (reader - plan.variant_ptr[parent]) * fixed.inputs[parent] + fixed.edge_offset[edge]
    owner, block = ranges(np.zeros(len(edge), np.int64), index.child_blocks[edge])
    ptr = pointers(np.bincount(parent[owner], minlength=index.terms))
    return {"copy_from": start[owner] + block, "copy_to": to[owner] + block}, ptr


def _wide_term(term: int, fixed: GpuIndex, places: _Places) -> WideTerm:
    values = (
        places.variants[term], fixed.inputs[term], fixed.blocks[term], places.wide_at[term], fixed.weight[term],
        places.product_at[term], places.row_at[term],
    )  # fmt: skip
    return WideTerm(term, *map(int, values))


def packed(arrays: Mapping[str, np.ndarray]) -> tuple[Tensor, dict[str, slice]]:
    """All arrays behind each other as 32-bit integers, in memory that a copy to a GPU need not wait for."""
    starts = pointers(np.array([-(-len(array) // ALIGNED) * ALIGNED for array in arrays.values()], dtype=np.int64))
    ints = torch.zeros(int(starts[-1]), dtype=torch.int32, pin_memory=torch.cuda.is_available())
    flat, parts = ints.numpy(), {}
    for (name, array), start in zip(arrays.items(), starts.tolist(), strict=False):
        parts[name] = slice(start, start + len(array))
        flat[parts[name]] = array
    return ints, parts


def there(tensor: Tensor, device: torch.device) -> Tensor:
    """Move a tensor of the CPU's to a device without waiting for it: by way of page-locked memory where that is one."""
    pinned = device.type == "cuda" and torch.cuda.is_available()
    return (tensor.pin_memory() if pinned else tensor).to(device, non_blocking=True)
