"""A plan's products as batched matmuls: edges whose children have about as many rows are padded alike and run as one.

What devices without the compiled loops of `row_kernels.py` run by; NumPy on the CPU, tensors on the device.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Int64

from gocell_cli.training.network.delta.index import DeltaIndex
from gocell_cli.training.network.delta.plan import DeltaPlan

SIZES = np.array([1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128])
"""Rows that an edge's matmul is padded to, so that those of a size run as one; an edge with more rows runs alone."""


@dataclass(frozen=True)
class Part:
    """Edges [first, stop) of the plan's order: `size` slots each from slot `slot` of the run on, one matmul.

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
class RunPlan:
    """One run: its terms, term rows, blocks of the tables, matmuls, number of slots; its reads and lost genes."""

    terms: slice
    rows: slice
    blocks: slice
    width: int
    parts: tuple[Part, ...]
    slots: int
    first_slot: int
    inputs: slice
    reads: slice
    entries: slice


@dataclass(frozen=True)
class MatmulPlan:
    """Slots of the edges' products, counted from the first of their run; int64.

    The tables have `blocks` blocks: run i's rows, each of all the run's blocks. `input` is the block that a slot
    multiplies (`blocks`: zeros), `chunk` the chunks of the child weights, matmul after matmul. A row's reads are the
    slots `slot`, counted from the run's first. The other way, slot s of all is read by slot_reader[slot_bag[s]] and
    those up to the next bag, block b by the inputs user[user_bag[b]:user_bag[b + 1]]. Row `entry_row` has lost
    term-gene row `entry_gene`.
    """

    blocks: int
    chunk: Int64[np.ndarray, " chunks"]
    runs: tuple[RunPlan, ...]
    input: Int64[np.ndarray, " inputs"]
    slot: Int64[np.ndarray, " reads"]
    slot_reader: Int64[np.ndarray, " reads"]
    slot_bag: Int64[np.ndarray, " slots"]
    user: Int64[np.ndarray, " users"]
    user_bag: Int64[np.ndarray, " blocks_plus_1"]
    entry_row: Int64[np.ndarray, " lost"]


def make_matmul_plan(index: DeltaIndex, plan: DeltaPlan) -> MatmulPlan:
    """Lay out the products of a plan."""
    run_rows = plan.term_start[index.run_term]
    run_block = np.concatenate([[0], np.cumsum(np.diff(run_rows) * index.run_blocks)])
    slots = _make_slots(index, plan.term_start, run_rows, run_block)
    rows = np.arange(len(plan.weight))
    slot = slots.edge[plan.read_edge] + plan.read_row
    run_reads = plan.read_ptr[run_rows]
    all_slots = slot + np.repeat(slots.first[:-1], np.diff(run_reads))
    by_slot, by_block = np.argsort(all_slots, kind="stable"), np.argsort(slots.input, kind="stable")
    user_bag = _starts(slots.input, int(run_block[-1]) + 1)
    bounds = [index.run_term, run_rows, run_block, run_reads, plan.lost_ptr[run_rows]]
    return MatmulPlan(
        blocks=int(run_block[-1]),
        chunk=slots.chunk,
        runs=_make_runs(index, slots, bounds),
        input=slots.input,
        slot=slot,
        slot_reader=np.repeat(rows, np.diff(plan.read_ptr))[by_slot],
        slot_bag=_starts(all_slots, int(slots.first[-1]))[:-1],
        user=by_block[: user_bag[-2]],
        user_bag=user_bag[:-1],
        entry_row=np.repeat(rows, np.diff(plan.lost_ptr)),
    )


def _starts(keys: np.ndarray, total: int) -> np.ndarray:
    """Where each key from 0 to total begins in sorted order."""
    return np.concatenate([[0], np.cumsum(np.bincount(keys, minlength=total))])


@dataclass(frozen=True)
class _Slots:
    """Weight chunks, each edge's first slot within its run, all inputs, every run's matmuls and first slot."""

    chunk: np.ndarray
    edge: np.ndarray
    input: np.ndarray
    parts: tuple[tuple[Part, ...], ...]
    first: np.ndarray


def _make_runs(index: DeltaIndex, slots: _Slots, bounds: list[np.ndarray]) -> tuple[RunPlan, ...]:
    found = []
    for i, parts in enumerate(slots.parts):
        terms, rows, blocks, reads, entries = (slice(int(x[i]), int(x[i + 1])) for x in bounds)
        first, count = int(slots.first[i]), int(slots.first[i + 1] - slots.first[i])
        width, inputs = int(index.run_blocks[i]), _inputs(parts)
        found.append(RunPlan(terms, rows, blocks, width, parts, count, first, inputs, reads, entries))
    return tuple(found)


def _make_slots(index: DeltaIndex, term_start: np.ndarray, run_rows: np.ndarray, run_block: np.ndarray) -> _Slots:
    """Order the edges by (run, blocks, padded rows), so that equal ones are neighbours and run as one matmul."""
    rows = term_start[index.child + 1] - term_start[index.child]
    padded = np.where(rows > SIZES[-1], rows, SIZES[np.searchsorted(SIZES, np.minimum(rows, SIZES[-1]))])
    run = index.run_of_term[index.parent]
    order = np.lexsort((padded, index.child_blocks, run))
    sizes, blocks = padded[order], index.child_blocks[order]
    bounds = np.searchsorted(run[order], np.arange(len(run_block)))
    counts = index.chunk_ptr[order + 1] - index.chunk_ptr[order]
    slot, start, weight = (np.concatenate([[0], np.cumsum(x)]) for x in (sizes, sizes * blocks, counts))
    first = slot[bounds]
    edge_slot, edge_input = np.empty(len(order), dtype=np.int64), np.empty(len(order), dtype=np.int64)
    edge_slot[order] = slot[:-1] - first[run[order]]
    edge_input[order] = start[:-1]
    changes = np.flatnonzero((np.diff(sizes) != 0) | (np.diff(blocks) != 0)) + 1
    parts = []
    for a, b in pairwise(bounds.tolist()):
        cuts = [a, *changes[(changes > a) & (changes < b)].tolist(), b]
        own = [
            Part(i, j, *(int(x) for x in (sizes[i], blocks[i], slot[i] - slot[a], start[i], weight[i])))
            for i, j in pairwise(cuts)
            if j > i
        ]
        parts.append(tuple(own))
    chunk = index.chunk[ranges(index.chunk_ptr[order], counts)[1]]
    input_ = _slot_inputs(index, term_start, run_rows, run_block, edge_input, int(start[-1]))
    return _Slots(chunk, edge_slot, input_, tuple(parts), first)


def _slot_inputs(
    index: DeltaIndex,
    term_start: np.ndarray,
    run_rows: np.ndarray,
    run_block: np.ndarray,
    edge_input: np.ndarray,
    total: int,
) -> Int64[np.ndarray, " inputs"]:
    """The block that each input reads: its child's row, block by block; what is padding reads the zeros."""
    found = np.full(total, run_block[-1], dtype=np.int64)
    first = term_start[index.child]
    owner, row = ranges(first, term_start[index.child + 1] - first)
    own, run = index.child_blocks[owner], index.run_of_term[index.child[owner]]
    where = edge_input[owner] + (row - first[owner]) * own
    block = run_block[run] + (row - run_rows[run]) * index.run_blocks[run]
    for k in range(int(own.max(initial=0))):
        wide = own > k
        found[where[wide] + k] = block[wide] + k
    return found


def _inputs(parts: tuple[Part, ...]) -> slice:
    """A run's part of the plan's inputs."""
    if not parts:
        return slice(0, 0)
    last = parts[-1]
    return slice(parts[0].input, last.input + (last.stop - last.first) * last.size * last.blocks)


def ranges(starts: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (owner, value) of all ranges [start, start + count), one after another."""
    owner = np.repeat(np.arange(len(counts)), counts)
    return owner, np.arange(len(owner)) - (np.cumsum(counts) - counts)[owner] + starts[owner]
