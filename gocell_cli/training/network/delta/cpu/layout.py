"""Where everything of a batch lies on the CPU: bands one after another in flat tables, and which thread takes what.

A table has a number for each variant's neurons: band i's part is [variants, width], its terms' variants one after
another, each term's wild type first. Numbers of a table are many (7 million at 2,048 triples) and every pass over one
waits for memory, so the same few tables serve a whole step, and later steps again.
"""

import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64

from gocell_cli.csr import pointers
from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.delta.plan import DeltaIndex, DeltaPlan

with train_extra():
    import torch
    from torch import Tensor

MANY = 128
"""Variants of an edge's child from which a matrix library's call pays (measured: 64 to 256 make no difference).

Below, the call itself takes longer than the product, and there are thousands of edges.
"""
SPARE = 1.2
"""How much larger than asked for a table is made: the next batch's may be a little longer."""


class Edge(NamedTuple):
    """Where an edge's product lies: [variants, inp] of its child times W^T gives [variants, out] from `slot` on.

    The child's first variant begins at `at` in the table x, each next one `pitch` after it; W's row o begins at
    `weight` + o * `stride` in the stacked weights. A band's products have a slot for each variant of each edge's child.
    """

    variants: int
    at: int
    pitch: int
    inp: int
    weight: int
    stride: int
    slot: int


class Task(NamedTuple):
    """One thread's part of a band: terms [first, last) of it, and of these the neurons [lo, hi)."""

    first: int
    last: int
    lo: int
    hi: int


# As rows of a NumPy array a kernel reads their fields by name (numba compiles that to an offset).
EDGE = np.dtype([(name, np.int64) for name in Edge._fields])
TASK = np.dtype([(name, np.int64) for name in Task._fields])


@dataclass(frozen=True)
class Band:
    """A band in one batch: its terms, variants (of all), part of the tables, neurons, and its work.

    Edges whose child has `few` variants are cut into tasks, few[cuts[i]:cuts[i + 1]]; the `many` are a matrix
    library's. The products that term t's variants read are the slots slot_ptr[t]:slot_ptr[t + 1].
    """

    terms: slice
    variants: slice
    table: slice
    neurons: slice
    width: int
    tasks: np.ndarray
    slots: int
    slot_ptr: Int64[np.ndarray, " terms_plus_1"]
    few: np.ndarray
    cuts: Int64[np.ndarray, " tasks_plus_1"]
    many: tuple[Edge, ...]


def edge_slots(index: DeltaIndex, plan: DeltaPlan) -> Int64[np.ndarray, " edges"]:
    """Return each edge's first slot, counted from its band's."""
    variants = np.diff(plan.variant_ptr)[index.child]
    first = pointers(variants)
    band = index.band_of_term[index.parent]
    start = first[np.searchsorted(band, np.arange(len(index.band_blocks)))]
    slots: Int64[np.ndarray, " edges"] = first[:-1] - start[band]
    return slots


def lay_out_bands(
    index: DeltaIndex, plan: DeltaPlan, piece: int, slot: Int64[np.ndarray, " edges"], threads: int
) -> list[Band]:
    """Lay the tables out band by band, and share the work of each among threads; `slot` is `edge_slots`' answer."""
    first_variant = plan.variant_ptr[index.band_ptr]
    table = pointers(np.diff(first_variant) * index.band_blocks) * piece
    neurons = pointers(np.diff(index.band_ptr) * index.band_blocks) * piece
    edges = _edges(index, plan, piece, table, slot)
    bounds = np.searchsorted(index.band_of_term[index.parent], np.arange(len(index.band_blocks) + 1))
    found = []
    for i, blocks in enumerate(index.band_blocks.tolist()):
        here = slice(int(bounds[i]), int(bounds[i + 1]))
        own, child, parent = edges[here], index.child[here], index.parent[here]
        # by child, as `_cuts` takes them
        order = np.argsort(child, kind="stable")
        order = order[own["variants"][order] < MANY]
        terms = slice(int(index.band_ptr[i]), int(index.band_ptr[i + 1]))
        slots = np.append(own["slot"], own["variants"].sum())
        found.append(
            Band(
                terms=terms,
                variants=slice(int(first_variant[i]), int(first_variant[i + 1])),
                table=slice(int(table[i]), int(table[i + 1])),
                neurons=slice(int(neurons[i]), int(neurons[i + 1])),
                width=blocks * piece,
                tasks=_tasks(plan.variant_ptr[terms.start : terms.stop + 1], blocks, piece, threads),
                slots=int(slots[-1]),
                slot_ptr=slots[np.searchsorted(parent, np.arange(terms.start, terms.stop + 1))],
                few=own[order],
                cuts=_cuts(own["variants"][order], child[order], threads),
                many=tuple(Edge(*edge) for edge in own[own["variants"] >= MANY].tolist()),
            )
        )
    return found


def _edges(index: DeltaIndex, plan: DeltaPlan, piece: int, table: np.ndarray, slot: np.ndarray) -> np.ndarray:
    """All edges as rows of EDGE."""
    child, first = index.child, plan.variant_ptr
    band = index.band_of_term[child]
    found = np.empty(len(child), EDGE)
    found["variants"] = first[child + 1] - first[child]
    found["pitch"] = index.band_blocks[band] * piece
    found["at"] = table[band] + (first[child] - first[index.band_ptr[band]]) * found["pitch"]
    found["inp"], found["weight"] = index.child_blocks * piece, index.edge_chunk * piece
    found["stride"], found["slot"] = index.edge_stride * piece, slot
    return found


def _tasks(variant_ptr: Int64[np.ndarray, " terms_plus_1"], blocks: int, piece: int, threads: int) -> np.ndarray:
    """Cut a band into rows of TASK: terms of about equally many variants; of few terms, all of them and some neurons.

    The upper terms are alone in their bands, and are touched by all samples: only their neurons can be shared out.
    Whole terms otherwise, for BatchNorm's sums then need no second look at another thread's.
    """
    terms = len(variant_ptr) - 1
    # whole terms would be uneven shares of so few; neurons are cut at blocks, which genes' pieces keep whole
    if terms < 4 * threads and blocks > 1:
        cuts = np.linspace(0, blocks, min(blocks, threads) + 1).astype(np.int64) * piece
        return np.array([(0, terms, a, b) for a, b in pairwise(cuts)], TASK)
    cuts = np.searchsorted(variant_ptr, np.linspace(variant_ptr[0], variant_ptr[-1], threads + 1))
    cuts[0], cuts[-1] = 0, terms
    return np.array([(a, b, 0, blocks * piece) for a, b in pairwise(cuts)], TASK)


def _cuts(
    variants: Int64[np.ndarray, " few"], child: Int64[np.ndarray, " few"], threads: int
) -> Int64[np.ndarray, " tasks_plus_1"]:
    """Cut edges, sorted by child, into tasks of about equally many variants.

    A child's edges stay in one task: backwards they all add to the same rows of its gradient, and two threads that
    did so would lose each other's sums.
    """
    total = pointers(variants)
    cuts = np.searchsorted(total, np.linspace(0, total[-1], threads + 1))
    first = np.searchsorted(child, child)  # of an edge, the first of its child's
    whole = [int(first[c]) if 0 < c < len(child) else int(c) for c in cuts.tolist()]
    whole[0], whole[-1] = 0, len(child)
    return np.array(whole, dtype=np.int64)


class Buffers:
    """The flat tables of a pass, lent to one borrower at a time; a second one at once gets tables of its own.

    Fresh memory costs a page fault for each 4 kB at every step: 170 MB of tables at 2,048 samples, a fifth of a step.
    """

    def __init__(self) -> None:
        self._tables: dict[str, Tensor] = {}
        self._holder: weakref.ref[object] | None = None

    def borrow(self, holder: object, sizes: Mapping[str, int], dtype: torch.dtype) -> dict[str, Tensor]:
        """Return tables of these numbers of entries on the CPU, held until `holder` is gone; their content is any."""
        if self._holder is not None and self._holder() is not None:
            return {name: torch.empty(size, dtype=dtype) for name, size in sizes.items()}
        self._holder = weakref.ref(holder)
        for name, size in sizes.items():
            kept = self._tables.get(name)
            # one far too large is dropped: one long batch must not hold its memory for good
            if kept is None or len(kept) < size or len(kept) > 4 * SPARE * size or kept.dtype != dtype:
                self._tables[name] = torch.empty(int(SPARE * size), dtype=dtype)
        return {name: self._tables[name][:size] for name, size in sizes.items()}

    # A copied or pickled model starts with empty tables: they hold a step's numbers, nothing of the model.
    def __deepcopy__(self, memo: object) -> "Buffers":
        return Buffers()

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return Buffers, ()
