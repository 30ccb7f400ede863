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
    inputs: slice
    reads: slice
    entries: slice


@dataclass(frozen=True)
class DeltaPlan:
    """Rows of terms, and the slots of the edges' products, counted from the first of their run; int64 unless said.

    Term t has rows term_start[t] on, the wild type first; `term` says whose row each is, `weight` for how many samples
    it stands. The tables have `blocks` blocks: run i's rows, each of all the run's blocks. `input` is the block that a
    slot multiplies (`blocks`: zeros), `chunk` the chunks of the child weights, matmul after matmul. Reads: row `reader`
    (ascending) adds up the slots `slot`. Gene entries: row `entry_row` loses term-gene row `entry_gene`. Pairs: sample
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
    entry_row: Int64[np.ndarray, " entries"]
    entry_gene: Int64[np.ndarray, " entries"]
    pair_term: Int64[np.ndarray, " pairs"]
    pair_sample: Int64[np.ndarray, " pairs"]
    pair_row: Int64[np.ndarray, " pairs"]


@dataclass(frozen=True)
class _Rows:
    """Touched rows (the wild type's not counted), by term; pairs by (term, sample); the deletions behind the pairs."""

    term: np.ndarray
    start: np.ndarray
    leader: np.ndarray
    pair_term: np.ndarray
    pair_sample: np.ndarray
    pair_row: np.ndarray
    entry_pair: np.ndarray
    entry_closure: np.ndarray


def make_plan(
    index: DeltaIndex, sample: Int64[np.ndarray, " deletions"], gene: Int64[np.ndarray, " deletions"], samples: int
) -> DeltaPlan:
    """Plan a batch of deletions, sorted by sample, each (sample, gene) once."""
    rows = _distinct_rows(index, sample, gene)
    counts = np.diff(rows.start) + 1
    term_start = np.concatenate([[0], np.cumsum(counts)])
    place = np.arange(len(rows.term)) + rows.term + 1  # the wild type's row comes before a term's others
    weight = np.zeros(term_start[-1])
    weight[place] = np.bincount(rows.pair_row, minlength=len(rows.term))
    weight[term_start[:-1]] = samples - np.bincount(rows.pair_term, minlength=index.terms)
    run_rows = term_start[index.run_term]
    run_block = np.concatenate([[0], np.cumsum(np.diff(run_rows) * index.run_blocks)])
    chunk, edge_slot, input_, parts, slots = _slots(index, term_start, run_rows, run_block)
    reader, slot = _reads(index, rows, samples, place, term_start, edge_slot)
    entry_row, entry_gene = _entries(index, rows, place)
    reads, entries = (np.searchsorted(x, run_rows).tolist() for x in (reader, entry_row))
    runs = tuple(
        RunPlan(
            slice(*index.run_term[i : i + 2].tolist()), slice(*run_rows[i : i + 2].tolist()),
            slice(*run_block[i : i + 2].tolist()), int(index.run_blocks[i]), parts[i], slots[i],
            _inputs(parts[i]), slice(*reads[i : i + 2]), slice(*entries[i : i + 2]),
        )
        for i in range(len(parts))
    )  # fmt: skip
    return DeltaPlan(
        samples, int(run_block[-1]), chunk, runs, term_start, np.repeat(np.arange(index.terms), counts), weight,
        input_, slot, reader, entry_row, entry_gene, rows.pair_term, rows.pair_sample, place[rows.pair_row],
    )  # fmt: skip


def _distinct_rows(index: DeltaIndex, sample: np.ndarray, gene: np.ndarray) -> _Rows:
    starts = index.closure_ptr[gene]
    owner, pair = ranges(starts, index.closure_ptr[gene + 1] - starts)
    term = index.closure[pair]
    by_term = stable_argsort(term)  # the deletions ascend by sample, so this is by (term, sample)
    term, pair, owner = term[by_term], pair[by_term], owner[by_term]
    own = sample[owner]
    new = np.ones(len(term), dtype=bool)
    new[1:] = (term[1:] != term[:-1]) | (own[1:] != own[:-1])
    first = np.flatnonzero(new)
    size = np.diff(np.append(first, len(term)))
    pair_term, pair_sample = term[first].astype(np.int64), own[first]
    row_of_pair = np.empty(len(first), dtype=np.int64)
    alone = size == 1
    used = np.zeros(len(index.closure), dtype=bool)
    used[pair[first[alone]]] = True
    singles = np.flatnonzero(used)
    number = np.empty(len(used), dtype=np.int64)
    number[singles] = np.arange(len(singles))
    row_of_pair[alone] = number[pair[first[alone]]]
    joint_first, row_of_pair[~alone] = _joint_rows(gene[owner], first, size, ~alone, pair_term)
    row_of_pair[~alone] += len(singles)
    row_term = np.concatenate([index.closure[singles], pair_term[joint_first]]).astype(np.int64)
    order = stable_argsort(row_term)
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    row_of_pair = rank[row_of_pair]
    leader = np.zeros(len(row_term), dtype=np.int64)
    leader[row_of_pair] = np.arange(len(row_of_pair))
    counts = np.bincount(row_term, minlength=index.terms)
    start = np.concatenate([[0], np.cumsum(counts)])
    return _Rows(row_term[order], start, leader, pair_term, pair_sample, row_of_pair, np.cumsum(new) - 1, pair)


def _joint_rows(
    genes: np.ndarray, first: np.ndarray, size: np.ndarray, joint: np.ndarray, term: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of several genes: the first pair of each, and the row of each joint pair; equal sets by two 64-bit sums."""
    if not joint.any():
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    which = np.flatnonzero(joint)
    _, at = ranges(first[which], size[which])
    bounds = np.cumsum(size[which]) - size[which]
    sums = [np.add.reduceat(_hashed(genes[at], salt), bounds) + _hashed(term[which], salt + 2) for salt in (0, 1)]
    _, index, inverse = np.unique(sums[0], return_index=True, return_inverse=True)
    if not (sums[1] == sums[1][index][inverse]).all():
        raise AssertionError("two sets of genes have one hash")  # once in 2**64 pairs of rows
    return which[index], inverse


def _hashed(values: np.ndarray, salt: int) -> np.ndarray:
    """64 bits that look random (splitmix64)."""
    x = values.astype(np.uint64) * np.uint64(4) + np.uint64(salt)
    x = (x + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    found: np.ndarray = x ^ (x >> np.uint64(31))
    return found


def _slots(
    index: DeltaIndex, term_start: np.ndarray, run_rows: np.ndarray, run_block: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[tuple[Part, ...]], list[int]]:
    """Order the edges by (run, blocks, padded rows): weight chunks, each edge's first slot, inputs, and the matmuls."""
    first = term_start[index.child]
    rows = term_start[index.child + 1] - first
    padded = np.where(rows > SIZES[-1], rows, SIZES[np.searchsorted(SIZES, np.minimum(rows, SIZES[-1]))])
    run = index.run_of_term[index.parent]
    order = np.lexsort((padded, index.child_blocks, run))
    sizes, blocks = padded[order], index.child_blocks[order]
    slot = np.concatenate([[0], np.cumsum(sizes)])
    start = np.concatenate([[0], np.cumsum(sizes * blocks)])
    bounds = np.searchsorted(run[order], np.arange(len(run_block)))
    base = slot[bounds]
    edge_slot, edge_input = np.empty(len(order), dtype=np.int64), np.empty(len(order), dtype=np.int64)
    edge_slot[order] = slot[:-1] - base[run[order]]
    edge_input[order] = start[:-1]
    input_ = np.full(start[-1], run_block[-1], dtype=np.int64)
    owner, row = ranges(first, rows)
    own = index.child_blocks[owner]
    where, child_run = edge_input[owner] + (row - first[owner]) * own, index.run_of_term[index.child[owner]]
    block = run_block[child_run] + (row - run_rows[child_run]) * index.run_blocks[child_run]
    for k in range(int(own.max(initial=0))):
        wide = own > k
        input_[where[wide] + k] = block[wide] + k
    sizes_of = index.chunk_ptr[order + 1] - index.chunk_ptr[order]
    chunk = index.chunk[ranges(index.chunk_ptr[order], sizes_of)[1]]
    weight = np.concatenate([[0], np.cumsum(sizes_of)])
    changes = np.flatnonzero((np.diff(sizes) != 0) | (np.diff(blocks) != 0)) + 1
    parts = []
    for a, b in pairwise(bounds.tolist()):
        cuts = [a, *changes[(changes > a) & (changes < b)].tolist(), b]
        parts.append(
            tuple(
                Part(i, j, int(sizes[i]), int(blocks[i]), int(slot[i] - slot[a]), int(start[i]), int(weight[i]))
                for i, j in pairwise(cuts)
                if j > i
            )
        )
    return chunk, edge_slot, input_, parts, np.diff(base).tolist()


def _inputs(parts: tuple[Part, ...]) -> slice:
    """A run's part of the plan's inputs."""
    if not parts:
        return slice(0, 0)
    last = parts[-1]
    return slice(parts[0].input, last.input + (last.stop - last.first) * last.size * last.blocks)


def _reads(
    index: DeltaIndex, rows: _Rows, samples: int, place: np.ndarray, term_start: np.ndarray, edge_slot: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return (reader, slot), ascending by reader: the wild type reads every child, another row those it touches."""
    found = [(term_start[index.parent], edge_slot)]
    for parent, edge, child in _parent_reads(index, rows, samples):
        found.append((place[parent], edge_slot[edge] + place[child] - term_start[index.child[edge]]))
    reader, slot = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
    order = stable_argsort(reader)
    return reader[order], slot[order]


def _parent_reads(
    index: DeltaIndex, rows: _Rows, samples: int
) -> Iterator[tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, " n"], Int64[np.ndarray, " n"]]]:
    """Yield (parent row, edge, child row) of every read, each parent row by the sample that leads it."""
    width = max(1, min(samples, TABLE // index.terms))
    table: Int32[np.ndarray, "terms width"] = np.empty((index.terms, width), dtype=np.int32)
    lead_sample = rows.pair_sample[rows.leader]
    for start in range(0, samples, width):
        part = slice(None)
        if width < samples:
            part = np.flatnonzero((rows.pair_sample >= start) & (rows.pair_sample < start + width))
        term, sample, row = rows.pair_term[part], rows.pair_sample[part], rows.pair_row[part]
        table[term, sample - start] = row
        owner, found = ranges(index.parent_ptr[term], index.parent_ptr[term + 1] - index.parent_ptr[term])
        edge = index.parent_edge[found]
        parent = table[index.parent[edge], sample[owner] - start].astype(np.int64)
        leads = lead_sample[parent] == sample[owner]
        yield parent[leads], edge[leads], row[owner[leads]]


def _entries(index: DeltaIndex, rows: _Rows, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row and term-gene row of every directly annotated gene that a row has lost, ascending by row."""
    leads = np.zeros(len(rows.pair_row), dtype=bool)
    leads[rows.leader] = True
    annotated = index.closure_row[rows.entry_closure]
    kept = np.flatnonzero(leads[rows.entry_pair] & (annotated >= 0))
    row = place[rows.pair_row[rows.entry_pair[kept]]]
    order = stable_argsort(row)
    return row[order], annotated[kept][order]


def ranges(starts: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (owner, value) of all ranges [start, start + count), one after another."""
    owner = np.repeat(np.arange(len(counts)), counts)
    return owner, np.arange(len(owner)) - (np.cumsum(counts) - counts)[owner] + starts[owner]


def stable_argsort(keys: np.ndarray) -> np.ndarray:
    """Sort non-negative integers below 2**32, equal ones in their order: NumPy's 16-bit radix sort once or twice."""
    order: np.ndarray = np.argsort(keys.astype(np.uint16), kind="stable")
    high = keys >> 16
    if len(keys) and high.max() > 0:
        order = order[np.argsort(high[order].astype(np.uint16), kind="stable")]
    return order
