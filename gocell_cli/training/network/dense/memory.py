"""Memory of a dense pass: terms cut into chunks whose rows fit the cores' cache, and big tables lent again and again.

At batch 2048 a level's rows are tens of MB, and each of some thirty passes over them would go to memory; cut into
chunks of a few terms they run in cache. At batch 32 a chunk is a whole level.

A fresh table of a few hundred MB costs a page fault for each 4 kB of it, at every step; the pass that borrowed a
workspace gives it back by letting go of it, so two passes that are alive at once never share one. The same holds of the
gradient of the child weights (`lent.py`).
"""

import weakref
from dataclasses import dataclass, replace
from itertools import pairwise

from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.layout import Bucket, Stack
from gocell_cli.training.network.lent import LentTable

with train_extra():
    import torch
    from torch import Tensor

KEPT = 3
"""Workspaces kept of all shapes together: that of the loop, of its last batch, and of evaluation."""
CHUNK_BYTES = 12 << 20
"""Bytes of a chunk's inputs and tables on a CPU. Of 2, 4, 8, 12 and 16 MB measured, 8 and more win: two level 2 caches
hold 4, but twice the launches cost more."""
PART_BYTES = 4 << 20
"""Bytes of the tables of a part of a chunk: a chunk of one wide term is larger than the cache (1,920 neurons of 2,048
samples are 16 MB a table), but BatchNorm, tanh and their gradients go row by row, so they pass it in parts."""
TABLES = 3
"""Tables of a chunk's neurons in use at once: inner, outer, grad."""


@dataclass(frozen=True)
class Block:
    """Terms of a chunk of one shape: rows and sources relative to the chunk, `weight` in the stacked weights.

    A term that is a block by itself, as wide ones are, is multiplied without its padding; `padding` is that in the
    stacked weights (empty otherwise). What its rows would give is 0: so are their weights, and their dz.
    """

    terms: int
    out: int
    inp: int
    rows: slice
    sources: slice
    weight: slice
    padding: slice


@dataclass(frozen=True)
class Run:
    """Neighbouring terms of a chunk of one width, whatever their inputs: their heads are one matmul."""

    terms: int
    out: int
    rows: slice
    heads: slice


@dataclass(frozen=True)
class Chunk:
    """Terms [first, stop) of the running order, of one group (numbered as it runs), and their part of each table.

    `blocks` leaves out terms without children: their z is the genes' part alone.
    """

    group: int
    first: int
    stop: int
    rows: slice
    sources: slice
    blocks: tuple[Block, ...]
    runs: tuple[Run, ...]


def _split(bucket: Bucket, most: int) -> list[Bucket]:
    """Cut a bucket into parts of at most `most` terms."""
    return [
        replace(
            bucket,
            first=bucket.first + start,
            terms=min(most, bucket.terms - start),
            neuron=bucket.neuron + start * bucket.out,
            weight=bucket.weight + start * bucket.out * bucket.inp,
            source=bucket.source + start * bucket.inp,
        )
        for start in range(0, bucket.terms, most)
    ]


def _runs(parts: list[Bucket]) -> tuple[Run, ...]:
    joined: list[Bucket] = []
    for part in parts:
        if joined and joined[-1].out == part.out:
            joined[-1] = replace(joined[-1], terms=joined[-1].terms + part.terms)
        else:
            joined.append(part)
    base, first = parts[0].neuron, parts[0].first
    return tuple(
        Run(
            p.terms,
            p.out,
            slice(p.neuron - base, p.neuron - base + p.terms * p.out),
            slice(p.first - first, p.first - first + p.terms),
        )
        for p in joined
    )


def _block(p: Bucket, out: int, row: int, source: int) -> Block:
    """A bucket's part of a chunk that starts at these rows; `out` of its rows a term are multiplied."""
    whole = p.weight + p.terms * p.out * p.inp
    used = p.weight + p.terms * out * p.inp
    return Block(
        p.terms,
        out,
        p.inp,
        slice(p.neuron - row, p.neuron - row + p.terms * out),
        slice(p.source - source, p.source - source + p.terms * p.inp),
        slice(p.weight, used),
        slice(used, whole),
    )


def _chunk(stack: Stack, parts: list[Bucket]) -> Chunk:
    first, last = parts[0], parts[-1]
    rows = slice(first.neuron, last.neuron + last.terms * last.out)
    sources = slice(first.source, last.source + last.terms * last.inp)

    def width(p: Bucket) -> int:
        return int(stack.width[stack.order[p.first]]) if p.terms == 1 else p.out

    blocks = tuple(_block(p, width(p), rows.start, sources.start) for p in parts if p.inp)
    return Chunk(first.group, first.first, last.first + last.terms, rows, sources, blocks, _runs(parts))


def chunks(stack: Stack, row_bytes: int, chunk_bytes: int | None) -> tuple[Chunk, ...]:
    """Cut the stack for rows of `row_bytes`; `chunk_bytes` None: a chunk is a whole group (GPU)."""
    # counted in rows, a neuron or an input each; 2**62 is no limit: a GPU gains by few launches, not by its cache
    limit = chunk_bytes // row_bytes if chunk_bytes is not None else 2**62
    made: list[Chunk] = []
    open_parts: list[Bucket] = []
    used = 0
    for bucket in stack.buckets:
        # at least 1: a term too large for the limit is a chunk of its own
        for part in _split(bucket, max(1, limit // (TABLES * bucket.out + bucket.inp))):
            size = part.terms * (TABLES * part.out + part.inp)
            if open_parts and (part.group != open_parts[0].group or used + size > limit):
                made.append(_chunk(stack, open_parts))
                open_parts, used = [], 0
            open_parts.append(part)
            used += size
    return (*made, _chunk(stack, open_parts)) if open_parts else tuple(made)


class WeightViews:
    """One chunk's weights, batched by term: (W, W transposed) of each block, (u, u transposed) of each run's heads."""

    def __init__(self, views: "ChunkViews", child: Tensor, head: Tensor) -> None:
        self.blocks = [(w := child[b.weight].view(b.shape), w.transpose(1, 2)) for b in views.blocks]
        heads = head.view(-1, head.shape[-1]).unbind(0)
        every = [[of[r.neurons].view(r.terms, 1, r.out) for of in heads] for r in views.runs]
        self.runs = [[(u, u.transpose(1, 2)) for u in run] for run in every]


@dataclass(frozen=True)
class BlockViews:
    """A block's tables, batched by term: z and dz [terms, out, samples], x [terms, inp, samples], x transposed."""

    weight: slice
    padding: slice
    shape: tuple[int, int, int]
    z: Tensor
    x: Tensor
    x_t: Tensor
    dz: Tensor


@dataclass(frozen=True)
class RunViews:
    """A run's tables, batched by term: h and dh [terms, out, samples]; where its neurons and heads are."""

    neurons: slice
    heads: slice
    terms: int
    out: int
    h: Tensor
    dh: Tensor


@dataclass(frozen=True)
class RowViews:
    """Some rows of every table, [rows, samples]."""

    rows: slice
    inner: Tensor
    outer: Tensor
    grad: Tensor


@dataclass(frozen=True)
class ChunkViews:
    """A chunk and its rows of every table; `inputs` and `sources` by neuron block, [blocks, piece * samples].

    `parts` are its rows again, so few at a time that their tables fit the cache.
    """

    chunk: Chunk
    parts: tuple[RowViews, ...]
    inner: Tensor
    outer: Tensor
    grad: Tensor
    inputs: Tensor
    sources: slice
    blocks: tuple[BlockViews, ...]
    runs: tuple[RunViews, ...]


class Buffers:
    """Tables of one batch size: [neurons + piece, samples] thrice, and scratch for the inputs of the largest chunk.

    `inner` is what BatchNorm takes, `outer` what parents read (its last block is 0), `grad` the gradient of outer,
    then of z. Memory that a pass never writes (grad, in evaluation) is never resident on a CPU. Views are made once:
    at batch 32 making them at every step took a third of it.
    """

    def __init__(self, stack: Stack, samples: int, most: int, parts: tuple[Chunk, ...], like: Tensor) -> None:
        self.most = most

        def table(rows: int) -> Tensor:
            return torch.empty(rows, samples, dtype=like.dtype, device=like.device)

        neurons, blocks = stack.neurons, (-1, stack.piece * samples)
        self.inner, self.outer, self.grad = table(neurons), table(neurons + stack.piece), table(neurons + stack.piece)
        # what padded inputs read. The same rows of grad take in what those inputs send back, and nobody reads them
        self.outer[neurons:].zero_()
        self.outer_blocks, self.grad_blocks, self._piece = self.outer.view(blocks), self.grad.view(blocks), stack.piece
        # one scratch for all chunks: inputs are read while their chunk runs, and gathered anew on the way down
        self._inputs = table(max(c.sources.stop - c.sources.start for c in parts))
        self.chunks = tuple(self._views(chunk) for chunk in parts)
        # (0, 0) is no address of a tensor: the first pass makes its views
        self._place, self._weights = (0, 0), list[WeightViews]()

    def weights(self, child: Tensor, head: Tensor) -> list[WeightViews]:
        """Each chunk's weights, made anew only where the parameters have moved (their memory stays as they train)."""
        place = (child.data_ptr(), head.data_ptr())
        if place != self._place:
            self._place, self._weights = place, [WeightViews(views, child, head) for views in self.chunks]
        return self._weights

    def _views(self, chunk: Chunk) -> ChunkViews:
        z, h, dh = self.inner[chunk.rows], self.outer[chunk.rows], self.grad[chunk.rows]
        x, samples = self._inputs[: chunk.sources.stop - chunk.sources.start], self.inner.shape[1]
        blocks = []
        for b in chunk.blocks:
            inputs = x[b.sources].view(b.terms, b.inp, samples)
            own_z, own_dz = (table[b.rows].view(b.terms, b.out, samples) for table in (z, dh))
            shape = (b.terms, b.out, b.inp)
            blocks.append(BlockViews(b.weight, b.padding, shape, own_z, inputs, inputs.transpose(1, 2), own_dz))
        runs = []
        for r in chunk.runs:
            neurons = slice(chunk.rows.start + r.rows.start, chunk.rows.start + r.rows.stop)
            heads = slice(chunk.first + r.heads.start, chunk.first + r.heads.stop)
            own_h, own_dh = (table[r.rows].view(r.terms, r.out, samples) for table in (h, dh))
            runs.append(RunViews(neurons, heads, r.terms, r.out, own_h, own_dh))
        sources = slice(chunk.sources.start // self._piece, chunk.sources.stop // self._piece)
        by_block = x.view(-1, self._piece * samples)
        parts = tuple(self._rows(rows) for rows in row_parts(chunk.rows, samples * z.element_size()))
        return ChunkViews(chunk, parts, z, h, dh, by_block, sources, tuple(blocks), tuple(runs))

    def _rows(self, rows: slice) -> RowViews:
        return RowViews(rows, self.inner[rows], self.outer[rows], self.grad[rows])


def row_parts(rows: slice, row_bytes: int) -> list[slice]:
    """Cut rows into parts of like size, each with at most PART_BYTES of tables."""
    count = rows.stop - rows.start
    pieces = max(1, -(-count * TABLES * row_bytes // PART_BYTES))
    bounds = [rows.start + count * i // pieces for i in range(pieces + 1)]
    return [slice(a, b) for a, b in pairwise(bounds) if a < b]


class Loan:
    """Borrowed buffers; they are free again when this object is gone."""

    def __init__(self, buffers: Buffers) -> None:
        self.buffers = buffers


class Workspaces:
    """Buffers by size, dtype and device; the least recently used are dropped first."""

    def __init__(self) -> None:
        self._kept: list[tuple[Buffers, weakref.ref[Loan]]] = []
        self.gradient = LentTable()

    def borrow(self, stack: Stack, samples: int, like: Tensor, most: int | None = None) -> Loan:
        """Return buffers for `samples` in the dtype and on the device of `like`; what they hold is arbitrary.

        Chunks are cut for `most` samples: several processes must cut alike, however many samples each has.
        """
        most = most or samples
        wanted = (samples, most, like.dtype, like.device)
        for index, (buffers, holder) in enumerate(self._kept):
            inner = buffers.inner
            # a dead reference: the pass that borrowed these is gone, and its backward pass with it
            if holder() is None and (inner.shape[1], buffers.most, inner.dtype, inner.device) == wanted:
                # safe within the loop, which ends here
                del self._kept[index]
                return self._lend(buffers)
        limit = CHUNK_BYTES if like.device.type == "cpu" else None
        parts = chunks(stack, most * like.element_size(), limit)
        return self._lend(Buffers(stack, samples, most, parts, like))

    def _lend(self, buffers: Buffers) -> Loan:
        loan = Loan(buffers)
        # the oldest leaves the list only: a pass that has borrowed it still holds it
        self._kept = [*self._kept[-(KEPT - 1) :], (buffers, weakref.ref(loan))]
        return loan

    # a copied or pickled model starts with none: they hold a batch's numbers, nothing of the model
    def __deepcopy__(self, memo: object) -> "Workspaces":
        return Workspaces()

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return Workspaces, ()
