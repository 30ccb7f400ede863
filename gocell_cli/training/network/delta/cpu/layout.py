"""Where the rows, edges and products of a plan lie on the CPU, level by level, and which thread takes which."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Int64

from gocell_cli.training.network.delta.index import DeltaIndex
from gocell_cli.training.network.delta.plan import DeltaPlan

MANY = 128
"""Rows of an edge from which a matrix library's call pays (measured: 64 to 256 make no difference)."""


@dataclass(frozen=True)
class RowLevel:
    """The terms of a level and one width: their rows, and where their tables and neurons begin.

    An edge has a slot in the products for each of its child's rows; term t's are first_slot[t]:first_slot[t + 1]. Edges
    with `few` rows are cut into tasks, those with `many` are a matrix library's. Both: rows, where the first begins in
    the table, pitch, inp, where the weights begin, their stride, the first slot.
    """

    terms: slice
    rows: slice
    table: slice
    neurons: slice
    width: int
    tasks: Int64[np.ndarray, "tasks 4"]
    slots: int
    first_slot: Int64[np.ndarray, " terms_plus_1"]
    few: Int64[np.ndarray, "few 7"]
    cuts: Int64[np.ndarray, " tasks_plus_1"]
    many: list[list[int]]


def edge_slots(index: DeltaIndex, plan: DeltaPlan) -> Int64[np.ndarray, " edges"]:
    """Each edge's first slot, counted from its level's."""
    rows = np.diff(plan.term_start)[index.child]
    first = np.cumsum(rows) - rows
    run = index.run_of_term[index.parent]
    start = np.append(first, 0)[np.searchsorted(run, np.arange(len(index.run_blocks)))]
    slots: Int64[np.ndarray, " edges"] = first - start[run]
    return slots


def row_levels(
    index: DeltaIndex, plan: DeltaPlan, piece: int, slot: Int64[np.ndarray, " edges"], threads: int
) -> list[RowLevel]:
    """Lay the tables out level by level, and share the work of each among threads."""
    run_rows = plan.term_start[index.run_term]
    table = np.concatenate([[0], np.cumsum(np.diff(run_rows) * index.run_blocks)]) * piece
    neurons = np.concatenate([[0], np.cumsum(np.diff(index.run_term) * index.run_blocks)]) * piece
    edges = _edges(index, plan, piece, table, slot)
    bounds = np.searchsorted(index.run_of_term[index.parent], np.arange(len(index.run_blocks) + 1))
    found = []
    for i, blocks in enumerate(index.run_blocks.tolist()):
        here = slice(int(bounds[i]), int(bounds[i + 1]))
        own, child, parent = edges[here], index.child[here], index.parent[here]
        order = np.argsort(child, kind="stable")
        order = order[own[order, 0] < MANY]
        terms = slice(int(index.run_term[i]), int(index.run_term[i + 1]))
        slots = np.append(own[:, 6], own[:, 0].sum())
        found.append(
            RowLevel(
                terms, slice(int(run_rows[i]), int(run_rows[i + 1])), slice(int(table[i]), int(table[i + 1])),
                slice(int(neurons[i]), int(neurons[i + 1])), blocks * piece,
                _tasks(plan.term_start, terms, blocks, piece, threads), int(slots[-1]),
                slots[np.searchsorted(parent, np.arange(terms.start, terms.stop + 1))], own[order],
                _cuts(own[order, 0], child[order], threads), own[own[:, 0] >= MANY].tolist(),
            )
        )  # fmt: skip
    return found


def _edges(
    index: DeltaIndex, plan: DeltaPlan, piece: int, table: np.ndarray, slot: np.ndarray
) -> Int64[np.ndarray, "edges 7"]:
    child, starts = index.child, plan.term_start
    run = index.run_of_term[child]
    pitch = index.run_blocks[run] * piece
    at = table[run] + (starts[child] - starts[index.run_term[run]]) * pitch
    inp, weight, stride = (x * piece for x in (index.child_blocks, index.edge_chunk, index.edge_stride))
    return np.column_stack([starts[child + 1] - starts[child], at, pitch, inp, weight, stride, slot])


def _tasks(
    starts: Int64[np.ndarray, " terms_plus_1"], terms: slice, blocks: int, piece: int, threads: int
) -> Int64[np.ndarray, "tasks 4"]:
    """Terms and neurons of each task: about equal rows; where the terms are few, all terms and about equal neurons."""
    count = terms.stop - terms.start
    if count < 4 * threads and blocks > 1:
        cuts = np.linspace(0, blocks, min(blocks, threads) + 1).astype(np.int64) * piece
        return np.array([(0, count, a, b) for a, b in pairwise(cuts)])
    own = starts[terms.start : terms.stop + 1]
    cuts = np.searchsorted(own, np.linspace(own[0], own[-1], threads + 1))
    cuts[0], cuts[-1] = 0, count
    return np.array([(a, b, 0, blocks * piece) for a, b in pairwise(cuts)])


def _cuts(
    rows: Int64[np.ndarray, " few"], child: Int64[np.ndarray, " few"], threads: int
) -> Int64[np.ndarray, " tasks_plus_1"]:
    """Cut edges, sorted by child, into tasks of about equal rows; a child's edges, which share rows, stay together."""
    total = np.concatenate([[0], np.cumsum(rows)])
    cuts = np.searchsorted(total, np.linspace(0, total[-1], threads + 1))
    first = np.searchsorted(child, child)  # of an edge, the first of its child's
    whole = [int(first[c]) if 0 < c < len(child) else int(c) for c in cuts.tolist()]
    whole[0], whole[-1] = 0, len(child)
    return np.array(whole, dtype=np.int64)
