"""Where everything of a batch lies on the CPU: rows of `piece` numbers, and the tasks of each level.

A table has a row for each block of neurons of each variant: block b of term t is V rows, its variants one after
another, from row row_ptr[t] + b V on. Numbers of a table are many (7 million at 2,048 triples) and every pass over one
waits for memory, so the same few tables serve a whole step, and later steps again.
"""

import weakref
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from gocell_cli.csr import pointers, ranges
from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.delta.compiler.kinds import Lanes
from gocell_cli.training.network.delta.cpu import kernels
from gocell_cli.training.network.delta.plan import DeltaIndex, DeltaPlan
from gocell_cli.training.network.layout import Stack
from gocell_cli.training.network.lent import LentTable

with train_extra():
    import torch
    from torch import Tensor

SPARE = 1.2
"""How much larger than asked for a table is made: the next batch's may be a little longer."""
SETS = 2
"""Tables that are kept, of so many passes alive at once."""
SHARES = 4
"""Tasks that a level is cut into for each thread, at least, where its terms have blocks enough."""
BLOCK, ROW, TERM = 40, 60, 300
"""Cycles, about, of a block's weights to be turned, a row to be normalised, and a term: what tasks are cut by."""
LINE = 8
"""Numbers of int64 in a line of the cache."""
ALONE = 2_000_000
"""Cycles of a pass below which one thread runs it: to wake another one takes longer than it helps."""


NUMPY = {torch.float32: np.float32, torch.float64: np.float64}


@dataclass(frozen=True)
class Unused:
    """Pieces of the weights and of the genes' table whose gradient the kernels do not write whole: it starts at 0.

    They are padding; and, where columns count from the wild type, all of the genes' table.
    """

    weights: Int64[np.ndarray, " pieces"]
    genes: Int64[np.ndarray, " gene_pieces"]

    @classmethod
    def of(
        cls, index: DeltaIndex, stack: Stack, blocks: Int64[np.ndarray, " terms"], gene_start: Int64[np.ndarray, " b"]
    ) -> "Unused":
        """Find them: what no neuron of a term's own blocks reads from its children's own blocks, or from its genes."""
        weights = np.ones(stack.child_weights // stack.piece, dtype=bool)
        rows = blocks[index.parent] * stack.piece
        edge, row = ranges(np.zeros_like(rows), rows)
        first = index.edge_chunk[edge] + row * index.edge_stride[edge]
        weights[ranges(first, blocks[index.child][edge])[1]] = False
        genes = np.ones(int(stack.block_start[-1]), dtype=bool)
        own = ranges(stack.first_neuron // stack.piece, blocks)[1]
        genes[ranges(gene_start[own], np.diff(gene_start)[own])[1]] = False
        return cls(np.flatnonzero(weights), np.flatnonzero(genes))


@dataclass(frozen=True)
class Network:
    """What kernels read of the hierarchy, by `piece`; level i is the terms level_ptr[i]:level_ptr[i + 1]."""

    lanes: Lanes
    terms: kernels.Terms
    edges: kernels.Edges
    level_ptr: Int64[np.ndarray, " levels_plus_1"]
    most_blocks: int
    unused: Unused

    @classmethod
    def of(cls, index: DeltaIndex, stack: Stack, *, from_wild_type: bool = False) -> "Network":
        """Derive it; a term has the blocks that its own neurons fill, none of those that pad it to its bucket's.

        from_wild_type: the wild type's z has no gene's column in it, and its dz goes to none.
        """
        piece = stack.piece
        blocks = -(-stack.width[stack.order] // piece)
        gene_start = np.zeros_like(stack.block_start) if from_wild_type else stack.block_start
        terms = kernels.Terms(
            blocks=blocks,
            first_block=stack.first_neuron // piece,
            genes=index.term_genes,
            gene_start=gene_start,
            child_edge=np.searchsorted(index.parent, np.arange(index.terms + 1)),
            parent_ptr=index.parent_ptr,
            parent_edge=index.parent_edge,
        )
        edges = kernels.Edges(index.child, index.parent, index.edge_chunk * piece, index.edge_stride * piece)
        most = int(blocks.max(initial=1))
        return cls(Lanes(piece), terms, edges, index.term_level_ptr, most, Unused.of(index, stack, blocks, gene_start))

    def neurons(self, level: int) -> slice:
        """The neurons of a level."""
        first = np.append(self.terms.first_block, len(self.terms.gene_start) - 1) * self.lanes.piece
        return slice(int(first[self.level_ptr[level]]), int(first[self.level_ptr[level + 1]]))


@dataclass(frozen=True)
class Rows:
    """A batch's rows: `row_ptr` by term, and how many there are; cycles of each term's work, up and down."""

    row_ptr: Int64[np.ndarray, " terms"]
    rows: int
    up: np.ndarray
    down: np.ndarray

    @classmethod
    def of(cls, network: Network, plan: DeltaPlan) -> "Rows":
        """Count them."""
        terms, edges = network.terms, network.edges
        variants = np.diff(plan.variant_ptr)
        ptr = pointers(variants * terms.blocks)
        piece = network.lanes.piece
        # eight multiply-adds a cycle
        each = terms.blocks[edges.child] * terms.blocks[edges.parent] * (piece * piece)
        work = each * (variants[edges.child] / 8 + BLOCK / 20)
        own = variants * terms.blocks * ROW + TERM
        return cls(
            row_ptr=ptr[:-1].copy(),
            rows=int(ptr[-1]),
            up=own + np.bincount(edges.parent, work, len(variants)),
            down=own + np.bincount(edges.child, 2 * work, len(variants)),
        )


def make_schedule(network: Network, work: np.ndarray, threads: int, *, upwards: bool) -> kernels.Schedule:
    """Cut each level into tasks, the largest first; a term of much of its level's work is cut into its blocks."""
    blocks = network.terms.blocks
    levels = len(network.level_ptr) - 1
    level = np.repeat(np.arange(levels), np.diff(network.level_ptr))
    share = np.bincount(level, work, levels) / (SHARES * threads)
    parts = np.minimum(blocks, np.ceil(work / share[level]).astype(np.int64)) if threads > 1 else np.ones_like(blocks)
    term = np.repeat(np.arange(len(blocks)), parts)
    number = np.arange(len(term)) - np.repeat(pointers(parts)[:-1], parts)
    lo, hi = (blocks[term] * n // parts[term] for n in (number, number + 1))
    at = level[term] if upwards else levels - 1 - level[term]
    order = np.lexsort((-(work / parts)[term], at))
    return kernels.Schedule(
        term=term[order],
        first=lo[order],
        last=hi[order],
        level_ptr=pointers(np.bincount(at, minlength=levels)),
        parts=parts,
        done=np.zeros(len(blocks), np.int64),
        taken=np.zeros(2 * LINE, np.int64)[LINE - 1 :],  # wherever an array begins, this is nobody else's line
    )


def make_scratch(network: Network, dtype: np.dtype) -> kernels.Scratch:
    """A thread's own tables."""
    piece, most = network.lanes.piece, network.most_blocks
    rows = (kernels.CHUNK + kernels.TILE) * piece
    panel, group = min(kernels.PANEL, most), min(kernels.GROUP, most)
    return kernels.Scratch(
        packed=np.empty(panel * piece * piece, dtype),
        rows=np.empty(group * rows, dtype),
        given=np.empty(panel * rows + kernels.TILE, dtype),  # sums of weights' rows in threes look behind the last one
        sums=np.empty(piece * piece, dtype),
    )


class Buffers:
    """The flat tables of passes, lent to two borrowers at a time; a third one at once gets tables of its own.

    Fresh memory costs a page fault for each 4 kB at every step: 170 MB of tables at 2,048 samples, a fifth of a step.
    Two, for a loop that keeps a step's heads or loss until it has the next ones holds two passes at a time.
    """

    def __init__(self) -> None:
        self.weights, self.genes = LentTable(), LentTable()
        self._lent: list[tuple[dict[str, Tensor], weakref.ref[object]]] = []

    def borrow(self, holder: object, sizes: Mapping[str, int], dtype: torch.dtype) -> dict[str, Tensor]:
        """Return tables of these numbers of entries on the CPU, held until `holder` is gone; their content is any."""
        free = next((i for i, (_, held) in enumerate(self._lent) if held() is None), len(self._lent))
        tables = self._lent[free][0] if free < len(self._lent) else dict[str, Tensor]()
        for name, size in sizes.items():
            kept = tables.get(name)
            # one far too large is dropped: one long batch must not hold its memory for good
            if kept is None or len(kept) < size or len(kept) > 4 * SPARE * size or kept.dtype != dtype:
                # NumPy's memory, for it asks the system for pages of 2 MB where an array is large: rows of many terms
                # lie 80 bytes here and there, and with pages of 4 kB a step took 4 to 7 % longer
                tables[name] = torch.from_numpy(np.empty(int(SPARE * size), NUMPY[dtype]))
        if free < SETS:
            self._lent[free : free + 1] = [(tables, weakref.ref(holder))]
        return {name: tables[name][:size] for name, size in sizes.items()}

    # A copied or pickled model starts with empty tables: they hold a step's numbers, nothing of the model.
    def __deepcopy__(self, memo: object) -> "Buffers":
        return Buffers()

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return Buffers, ()
