"""The big buffers of a pass, lent to it and used again when nobody holds them any more.

A fresh buffer of a few hundred MB costs a page fault for each 4 kB of it, at every step; the pass that borrowed a
workspace gives it back by letting go of it, so two passes that are alive at once never share one.
"""

import weakref
from dataclasses import dataclass

from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.dense.chunks import CHUNK_BYTES, Chunk, chunks
from gocell_cli.training.network.layout import Stack

with train_extra():
    import torch
    from torch import Tensor

KEPT = 3
"""Workspaces kept of all shapes together: that of the loop, of its last batch, and of evaluation."""


class WeightViews:
    """One chunk's weights, batched by term: (W, W transposed) of each block, (u, u transposed) of each run."""

    def __init__(self, views: "ChunkViews", child: Tensor, head: Tensor) -> None:
        self.blocks = [(w := child[b.weight].view(b.shape), w.transpose(1, 2)) for b in views.blocks]
        self.runs = [(u := head[r.neurons].view(r.terms, 1, r.out), u.transpose(1, 2)) for r in views.runs]


@dataclass(frozen=True)
class BlockViews:
    """A block's tables, batched by term: z and dz [terms, out, samples], x [terms, inp, samples], x transposed."""

    weight: slice
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
class ChunkViews:
    """A chunk and its rows of every table; `inputs` and `sources` by neuron block, [blocks, piece * samples]."""

    chunk: Chunk
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
        self.outer[neurons:].zero_()
        self.outer_blocks, self.grad_blocks, self._piece = self.outer.view(blocks), self.grad.view(blocks), stack.piece
        self._inputs = table(max(c.sources.stop - c.sources.start for c in parts))
        self.chunks = tuple(self._views(chunk) for chunk in parts)
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
            blocks.append(BlockViews(b.weight, (b.terms, b.out, b.inp), own_z, inputs, inputs.transpose(1, 2), own_dz))
        runs = []
        for r in chunk.runs:
            neurons = slice(chunk.rows.start + r.rows.start, chunk.rows.start + r.rows.stop)
            heads = slice(chunk.first + r.heads.start, chunk.first + r.heads.stop)
            own_h, own_dh = (table[r.rows].view(r.terms, r.out, samples) for table in (h, dh))
            runs.append(RunViews(neurons, heads, r.terms, r.out, own_h, own_dh))
        sources = slice(chunk.sources.start // self._piece, chunk.sources.stop // self._piece)
        by_block = x.view(-1, self._piece * samples)
        return ChunkViews(chunk, z, h, dh, by_block, sources, tuple(blocks), tuple(runs))


class Loan:
    """Borrowed buffers; they are free again when this object is gone."""

    def __init__(self, buffers: Buffers) -> None:
        self.buffers = buffers


class Workspaces:
    """Buffers by size, dtype and device; the least recently used are dropped first."""

    def __init__(self) -> None:
        self._kept: list[tuple[Buffers, weakref.ref[Loan]]] = []

    def borrow(self, stack: Stack, samples: int, like: Tensor, most: int | None = None) -> Loan:
        """Return buffers for `samples` in the dtype and on the device of `like`; what they hold is arbitrary.

        Chunks are cut for `most` samples: several processes must cut alike, however many samples each has.
        """
        most = most or samples
        wanted = (samples, most, like.dtype, like.device)
        for index, (buffers, holder) in enumerate(self._kept):
            inner = buffers.inner
            if holder() is None and (inner.shape[1], buffers.most, inner.dtype, inner.device) == wanted:
                del self._kept[index]
                return self._lend(buffers)
        limit = CHUNK_BYTES if like.device.type == "cpu" else None
        parts = chunks(stack, most * like.element_size(), limit)
        return self._lend(Buffers(stack, samples, most, parts, like))

    def _lend(self, buffers: Buffers) -> Loan:
        loan = Loan(buffers)
        self._kept = [*self._kept[-(KEPT - 1) :], (buffers, weakref.ref(loan))]
        return loan

    def __deepcopy__(self, memo: object) -> "Workspaces":
        return Workspaces()

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return Workspaces, ()
