"""The plan of a batch in the delta form: which rows are distinct, and which row of a child each parent row reads.

A row of term t is a set of deleted genes that t contains (algebra 2 and 4): row 0 is the wild type, the others stand
for the samples that agree on them, `weight` says how many. A parent row reads a child's row only where the child
contains one of its genes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float64, Int32, Int64

from gocell_cli.training.delta_index import DeltaIndex
from gocell_cli.training.distinct_rows import DistinctRows, distinct_rows, ranges, stable_argsort

SIZES = np.array([1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128])
"""Rows that an edge's matmul is padded to, so that those of a size run as one; an edge with more rows runs alone."""
TABLE = 1 << 26
"""Entries of the (term, sample) table that finds a parent's row; more samples are looked up part by part."""


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
    """One run: its terms, term rows, blocks of the tables, matmuls, number of slots; its reads and gene entries."""

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
class DeltaPlan:
    """Rows of terms, and the slots of the edges' products, counted from the first of their run; int64 unless said.

    Term t has rows term_start[t] on, the wild type first; `term` says whose row each is, `weight` for how many samples
    it stands. The tables have `blocks` blocks: run i's rows, each of all the run's blocks. `input` is the block that a
    slot multiplies (`blocks`: zeros), `chunk` the chunks of the child weights, matmul after matmul.

    Reads: row `reader` (ascending) adds up the slots `slot`, counted from the run's first. The other way, slot s of all
    is read by slot_reader[slot_bag[s]] and those up to the next bag, block b by the inputs
    user[user_bag[b]:user_bag[b + 1]]. Gene entries: row `entry_row` loses term-gene row `entry_gene`. Pairs: sample
    pair_sample touches term pair_term, its row is pair_row.
    """

    samples: int
    blocks: int
    chunk: Int64[np.ndarray, " chunks"]
    runs: tuple[RunPlan, ...]
    term_start: Int64[np.ndarray, " terms_plus_1"]
    term: Int64[np.ndarray, " rows"]
    weight: Float64[np.ndarray, " rows"]
    input: Int64[np.ndarray, " inputs"]
    slot: Int64[np.ndarray, " reads"]
    reader: Int64[np.ndarray, " reads"]
    slot_reader: Int64[np.ndarray, " reads"]
    slot_bag: Int64[np.ndarray, " slots"]
    user: Int64[np.ndarray, " users"]
    user_bag: Int64[np.ndarray, " blocks_plus_1"]
    entry_row: Int64[np.ndarray, " entries"]
    entry_gene: Int64[np.ndarray, " entries"]
    pair_term: Int64[np.ndarray, " pairs"]
    pair_sample: Int64[np.ndarray, " pairs"]
    pair_row: Int64[np.ndarray, " pairs"]


def make_plan(
    index: DeltaIndex, sample: Int64[np.ndarray, " deletions"], gene: Int64[np.ndarray, " deletions"], samples: int
) -> DeltaPlan:
    """Plan a batch of deletions, sorted by sample, each (sample, gene) once."""
    rows = distinct_rows(index, sample, gene)
    counts = np.diff(rows.start) + 1
    term_start = np.concatenate([[0], np.cumsum(counts)])
    place = np.arange(len(rows.term)) + rows.term + 1  # the wild type's row comes before a term's others
    weight = np.zeros(term_start[-1])
    weight[place] = np.bincount(rows.pair_row, minlength=len(rows.term))
    weight[term_start[:-1]] = samples - np.bincount(rows.pair_term, minlength=index.terms)
    run_rows = term_start[index.run_term]
    run_block = np.concatenate([[0], np.cumsum(np.diff(run_rows) * index.run_blocks)])
    slots = _make_slots(index, term_start, run_rows, run_block)
    reader, slot = _reads(index, rows, samples, place, term_start, slots.edge)
    all_slots = slot + np.repeat(slots.first[:-1], np.diff(np.searchsorted(reader, run_rows)))
    by_slot, by_block = stable_argsort(all_slots), stable_argsort(slots.input)
    entry_row, entry_gene = _entries(index, rows, place)
    bounds = [index.run_term, run_rows, run_block, *(np.searchsorted(x, run_rows) for x in (reader, entry_row))]
    user_bag = _starts(slots.input, int(run_block[-1]) + 1)
    return DeltaPlan(
        samples=samples,
        blocks=int(run_block[-1]),
        chunk=slots.chunk,
        runs=_make_runs(index, slots, bounds),
        term_start=term_start,
        term=np.repeat(np.arange(index.terms), counts),
        weight=weight,
        input=slots.input,
        slot=slot,
        reader=reader,
        slot_reader=reader[by_slot],
        slot_bag=_starts(all_slots, int(slots.first[-1]))[:-1],
        user=by_block[: user_bag[-2]],
        user_bag=user_bag[:-1],
        entry_row=entry_row,
        entry_gene=entry_gene,
        pair_term=rows.pair_term,
        pair_sample=rows.pair_sample,
        pair_row=place[rows.pair_row],
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


def _reads(
    index: DeltaIndex,
    rows: DistinctRows,
    samples: int,
    place: np.ndarray,
    term_start: np.ndarray,
    edge_slot: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return (reader, slot), ascending by reader: the wild type reads every child, another row those it touches."""
    found = [(term_start[index.parent], edge_slot)]
    for parent, edge, child in _parent_reads(index, rows, samples):
        found.append((place[parent], edge_slot[edge] + place[child] - term_start[index.child[edge]]))
    reader, slot = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
    order = stable_argsort(reader)
    return reader[order], slot[order]


def _parent_reads(
    index: DeltaIndex, rows: DistinctRows, samples: int
) -> Iterator[tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, " n"], Int64[np.ndarray, " n"]]]:
    """Yield (parent row, edge, child row) of every read, each parent row by the sample that leads it."""
    width = max(1, min(samples, TABLE // index.terms))
    table: Int32[np.ndarray, "terms width"] = np.empty((index.terms, width), dtype=np.int32)
    lead_sample = rows.pair_sample[rows.leader]
    for start in range(0, samples, width):
        part: slice | np.ndarray = slice(None)
        if width < samples:
            part = np.flatnonzero((rows.pair_sample >= start) & (rows.pair_sample < start + width))
        term, sample, row = rows.pair_term[part], rows.pair_sample[part], rows.pair_row[part]
        table[term, sample - start] = row
        owner, found = ranges(index.parent_ptr[term], index.parent_ptr[term + 1] - index.parent_ptr[term])
        edge = index.parent_edge[found]
        parent = table[index.parent[edge], sample[owner] - start].astype(np.int64)
        leads = lead_sample[parent] == sample[owner]
        yield parent[leads], edge[leads], row[owner[leads]]


def _entries(index: DeltaIndex, rows: DistinctRows, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row and term-gene row of every directly annotated gene that a row has lost, ascending by row."""
    leads = np.zeros(len(rows.pair_row), dtype=bool)
    leads[rows.leader] = True
    annotated = index.closure_row[rows.entry_closure]
    kept = np.flatnonzero(leads[rows.entry_pair] & (annotated >= 0))
    row = place[rows.pair_row[rows.entry_pair[kept]]]
    order = stable_argsort(row)
    return row[order], annotated[kept][order]
