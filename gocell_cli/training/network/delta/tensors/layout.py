"""A plan's products as batched matmuls: edges whose children have about as many variants are padded alike, run as one.

What devices without the CPU's compiled loops run by. Laid out in NumPy, since a few hundred small operations a batch
would each be a launch on a device; then moved there once (PlanTensors).
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int64

from gocell_cli.csr import pointers, ranges
from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.delta.plan import DeltaIndex, DeltaPlan
from gocell_cli.training.network.delta.whole import Whole

with train_extra():
    import torch
    from torch import Tensor

SIZES = np.array([1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128])
"""Variants that an edge's matmul is padded to, so that those of a size run as one; an edge with more runs alone."""


@dataclass(frozen=True)
class Part:
    """One matmul: edges [first, stop) of the plan's order, `size` slots each, from slot `slot` of the band on.

    Their inputs, [edges, size, blocks], are entries [input, ...) of the plan's; their weights, [edges, neurons, blocks]
    chunks, entries [weight, ...) of the plan's.
    """

    first: int
    stop: int
    size: int
    blocks: int
    slot: int
    input: int
    weight: int


@dataclass(frozen=True)
class BandPlan:
    """A band: its terms, variants, blocks of the tables, matmuls, number of slots; its reads and lost pairs."""

    terms: slice
    variants: slice
    blocks: slice
    width: int
    parts: tuple[Part, ...]
    slots: int
    first_slot: int
    inputs: slice
    reads: slice
    lost: slice


@dataclass(frozen=True)
class MatmulPlan:
    """Slots of the edges' products, counted from the first of their band; int64.

    The tables have `blocks` blocks of `piece` neurons: band i's variants, each of all the band's blocks. `input` is the
    block that a slot multiplies (`blocks`: zeros), `chunk` the chunks of the child weights, matmul after matmul. A
    variant's reads are the slots `slot`, counted from the band's first. The other way, slot s of all is read by
    slot_reader[slot_bag[s]] and those up to the next bag, block b by the inputs user[user_bag[b]:user_bag[b + 1]]: the
    way down gathers along them, for scattered sums would be atomic, in any order. lost_variant: which variant has lost
    each of the plan's lost pairs. order: the index's edges as the matmuls take them.
    """

    blocks: int
    order: Int64[np.ndarray, " edges"]
    chunk: Int64[np.ndarray, " chunks"]
    bands: tuple[BandPlan, ...]
    input: Int64[np.ndarray, " inputs"]
    slot: Int64[np.ndarray, " reads"]
    slot_reader: Int64[np.ndarray, " reads"]
    slot_bag: Int64[np.ndarray, " slots"]
    user: Int64[np.ndarray, " users"]
    user_bag: Int64[np.ndarray, " blocks_plus_1"]
    lost_variant: Int64[np.ndarray, " lost"]


def make_matmul_plan(index: DeltaIndex, plan: DeltaPlan) -> MatmulPlan:
    """Lay out the products of a plan."""
    band_variant = plan.variant_ptr[index.band_ptr]
    band_block = pointers(np.diff(band_variant) * index.band_blocks)
    slots = _make_slots(index, plan.variant_ptr, band_variant, band_block)
    variants = np.arange(len(plan.weight))
    slot = slots.edge[plan.reads.edge] + plan.reads.variant
    band_reads = plan.reads.ptr[band_variant]
    all_slots = slot + np.repeat(slots.first[:-1], np.diff(band_reads))
    # stable: each sum takes its parts in one order, so a run can be repeated
    by_slot, by_block = np.argsort(all_slots, kind="stable"), np.argsort(slots.input, kind="stable")
    user_bag = _starts(slots.input, int(band_block[-1]) + 1)
    bounds = [index.band_ptr, band_variant, band_block, band_reads, plan.lost_ptr[band_variant]]
    return MatmulPlan(
        blocks=int(band_block[-1]),
        order=slots.order,
        chunk=slots.chunk,
        bands=_make_bands(index, slots, bounds),
        input=slots.input,
        slot=slot,
        slot_reader=np.repeat(variants, np.diff(plan.reads.ptr))[by_slot],
        slot_bag=_starts(all_slots, int(slots.first[-1]))[:-1],
        user=by_block[: user_bag[-2]],  # the last block's users read the zeros: nobody's gradient
        user_bag=user_bag[:-1],
        lost_variant=np.repeat(variants, np.diff(plan.lost_ptr)),
    )


def _starts(keys: np.ndarray, total: int) -> np.ndarray:
    """Where each key from 0 to total begins in sorted order."""
    return pointers(np.bincount(keys, minlength=total))


@dataclass(frozen=True)
class _Slots:
    """The edges' order, weight chunks, each edge's first slot in its band, inputs, every band's matmuls and slots."""

    order: np.ndarray
    chunk: np.ndarray
    edge: np.ndarray
    input: np.ndarray
    parts: tuple[tuple[Part, ...], ...]
    first: np.ndarray


def _make_bands(index: DeltaIndex, slots: _Slots, bounds: list[np.ndarray]) -> tuple[BandPlan, ...]:
    found = []
    for i, parts in enumerate(slots.parts):
        terms, variants, blocks, reads, lost = (slice(int(x[i]), int(x[i + 1])) for x in bounds)
        first, count = int(slots.first[i]), int(slots.first[i + 1] - slots.first[i])
        width, inputs = int(index.band_blocks[i]), _inputs(parts)
        found.append(BandPlan(terms, variants, blocks, width, parts, count, first, inputs, reads, lost))
    return tuple(found)


def _make_slots(index: DeltaIndex, variant_ptr: np.ndarray, band_variant: np.ndarray, band_block: np.ndarray) -> _Slots:
    """Order the edges by (band, blocks, padded variants), so that equal ones are neighbours and run as one matmul."""
    own = variant_ptr[index.child + 1] - variant_ptr[index.child]
    # the next size up; the search needs the minimum, for beyond the largest size it would find no place
    padded = np.where(own > SIZES[-1], own, SIZES[np.searchsorted(SIZES, np.minimum(own, SIZES[-1]))])
    band = index.band_of_term[index.parent]
    # lexsort's last key counts first: band, then the child's blocks, then padded variants
    order = np.lexsort((padded, index.child_blocks, band))
    sizes, blocks = padded[order], index.child_blocks[order]
    bounds = np.searchsorted(band[order], np.arange(len(band_block)))
    counts = index.chunk_ptr[order + 1] - index.chunk_ptr[order]
    slot, start, weight = (pointers(x) for x in (sizes, sizes * blocks, counts))
    first = slot[bounds]
    edge_slot, edge_input = np.empty(len(order), dtype=np.int64), np.empty(len(order), dtype=np.int64)
    # slots are counted anew in each band, whose products share one table; inputs are counted through
    edge_slot[order] = slot[:-1] - first[band[order]]
    edge_input[order] = start[:-1]
    changes = np.flatnonzero((np.diff(sizes) != 0) | (np.diff(blocks) != 0)) + 1
    parts = []
    for a, b in pairwise(bounds.tolist()):
        cuts = [a, *changes[(changes > a) & (changes < b)].tolist(), b]
        found = [
            Part(i, j, *(int(x) for x in (sizes[i], blocks[i], slot[i] - slot[a], start[i], weight[i])))
            for i, j in pairwise(cuts)
            if j > i
        ]
        parts.append(tuple(found))
    chunk = index.chunk[ranges(index.chunk_ptr[order], counts)[1]]
    input_ = _slot_inputs(index, variant_ptr, band_variant, band_block, edge_input, int(start[-1]))
    return _Slots(order, chunk, edge_slot, input_, tuple(parts), first)


def _slot_inputs(
    index: DeltaIndex,
    variant_ptr: np.ndarray,
    band_variant: np.ndarray,
    band_block: np.ndarray,
    edge_input: np.ndarray,
    total: int,
) -> Int64[np.ndarray, " inputs"]:
    """The block that each input reads: its child's variant, block by block; what is padding reads the zeros."""
    # behind all variants' blocks lies the block of zeros
    found = np.full(total, band_block[-1], dtype=np.int64)
    first = variant_ptr[index.child]
    owner, variant = ranges(first, variant_ptr[index.child + 1] - first)
    own, band = index.child_blocks[owner], index.band_of_term[index.child[owner]]
    where = edge_input[owner] + (variant - first[owner]) * own
    block = band_block[band] + (variant - band_variant[band]) * index.band_blocks[band]
    for k in range(int(own.max(initial=0))):
        wide = own > k
        found[where[wide] + k] = block[wide] + k
    return found


def _inputs(parts: tuple[Part, ...]) -> slice:
    """A band's part of the plan's inputs."""
    if not parts:
        return slice(0, 0)
    last = parts[-1]
    return slice(parts[0].input, last.input + (last.stop - last.first) * last.size * last.blocks)


@dataclass(frozen=True)
class PlanTensors:
    """A matmul plan on the network's device; of the plan: weights; of the whole batch: `varies`, `wild` (1: shown).

    bag: a variant's first read; slot_reader, slot_bag: the reads by slot, and a slot's first; user, user_bag: which
    inputs read a block, and a block's first. pieces: of each band, the gene pieces [lost, width] that variants lose.
    """

    chunk: Int64[Tensor, " chunks"]
    input: Int64[Tensor, " inputs"]
    slot: Int64[Tensor, " reads"]
    bag: Int64[Tensor, " variants"]
    slot_reader: Int64[Tensor, " reads"]
    slot_bag: Int64[Tensor, " slots"]
    user: Int64[Tensor, " users"]
    user_bag: Int64[Tensor, " blocks_plus_1"]
    term: Int64[Tensor, " variants"]
    start: Int64[Tensor, " terms"]
    weight: Float[Tensor, " variants"]
    varies: Float[Tensor, " terms"]
    wild: Float[Tensor, " terms"]
    lost_variant: Int64[Tensor, " lost"]
    pieces: tuple[Int64[Tensor, "_ _"], ...]


def plan_tensors(
    index: DeltaIndex, plan: DeltaPlan, whole: Whole, matmuls: MatmulPlan, device: torch.device, dtype: torch.dtype
) -> PlanTensors:
    """Move a plan to a device, and what is known of the whole batch."""

    def there(array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(device)

    piece, genes = index.pair_piece[plan.lost], index.term_genes[plan.term[matmuls.lost_variant]]
    # a term's pieces are all its genes for one neuron block, then for the next: a pair's lie `genes` apart
    pieces = [piece[b.lost, None] + genes[b.lost, None] * np.arange(b.width) for b in matmuls.bands]
    return PlanTensors(
        chunk=there(matmuls.chunk), input=there(matmuls.input), slot=there(matmuls.slot),
        slot_reader=there(matmuls.slot_reader), slot_bag=there(matmuls.slot_bag), user=there(matmuls.user),
        user_bag=there(matmuls.user_bag), bag=there(plan.reads.ptr[:-1]), term=there(plan.term),
        start=there(plan.variant_ptr[:-1]), weight=there(plan.weight).to(dtype), varies=there(whole.varies).to(dtype),
        wild=there(whole.wild > 0).to(dtype),
        lost_variant=there(matmuls.lost_variant), pieces=tuple(map(there, pieces)),
    )  # fmt: skip
