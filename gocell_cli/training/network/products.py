"""Products of children's deviations in a term: what a sum over children can't say, that two of them differ at once.

    z_t += U_t ((P_t d_t) * (Q_t d_t))      d_t = [h_c - h_c(wild type) for c in C(t)], P_t and Q_t of `rank` rows each

(a bilinear unit of low rank: Kim et al. 2017, arXiv:1610.04325, equation 4). In the wild type d_t is 0, and so is the
product, exactly; of a term that does not vary in a batch d_t is 0 as well. U_t starts at 0, so that a network with
products starts out equal to one without. A variant of the delta form holds d_t as it is: P_t d_t is a sum over the
children that it changes, in PyTorch's operations (`delta/tensors/`): the compiled loops and kernels know none.

Inner weights are stacked as the child weights are: a bucket's are [terms, 2 rank, inp], P_t's rows before Q_t's.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int64

from gocell_cli.csr import pointers, ranges
from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.layout import Bucket, Stack

with train_extra():
    import torch
    from torch import Tensor


class Products(NamedTuple):
    """P_t over Q_t of all terms, flat, and U_t."""

    inner: Float[Tensor, " product_weights"]
    outer: Float[Tensor, "neurons rank"]

    @property
    def rank(self) -> int:
        """Products of a term."""
        return self.outer.shape[1]

    def detached(self) -> "Products":
        """The same without gradients."""
        return Products(self.inner.detach(), self.outer.detach())

    def inner_of(self, b: Bucket) -> Float[Tensor, "terms rows inp"]:
        """P_t over Q_t of a bucket's terms."""
        rows = 2 * self.rank
        return self.inner[rows * b.source : rows * (b.source + b.terms * b.inp)].view(b.terms, rows, b.inp)

    def outer_of(self, b: Bucket) -> Float[Tensor, "terms out rank"]:
        """U_t of a bucket's terms."""
        return self.outer[b.neuron : b.neuron + b.terms * b.out].view(b.terms, b.out, self.rank)


class EdgeChunks(NamedTuple):
    """Where inner weights lie, edge by edge of the delta form's index, in chunks of `piece` numbers.

    Of edge e the rows of P_t over Q_t begin at chunk 2 rank * first[e] + place[e] + row * stride[e].
    """

    first: Int64[np.ndarray, " edges"]
    place: Int64[np.ndarray, " edges"]
    stride: Int64[np.ndarray, " edges"]

    @classmethod
    def of(
        cls, stack: Stack, parent: Int64[np.ndarray, " edges"], edge_chunk: Int64[np.ndarray, " edges"]
    ) -> "EdgeChunks":
        """Derive them from where the edges' child weights lie."""
        piece = stack.piece
        term = [np.arange(b.terms) for b in stack.buckets]
        first = np.concatenate(
            [b.source // piece + t * (b.inp // piece) for b, t in zip(stack.buckets, term, strict=True)]
        )
        weight = np.concatenate(
            [b.weight // piece + t * b.out * (b.inp // piece) for b, t in zip(stack.buckets, term, strict=True)]
        )
        stride = np.concatenate([np.full(b.terms, b.inp // piece) for b in stack.buckets])
        return cls(first[parent], edge_chunk - weight[parent], stride[parent])

    def chunks(
        self, order: Int64[np.ndarray, " edges"], blocks: Int64[np.ndarray, " edges"], rank: int
    ) -> tuple[Int64[np.ndarray, " chunks"], Int64[np.ndarray, " edges_plus_1"]]:
        """Return the chunks of edges in an order, each edge's row by row, and where each edge's begin.

        blocks: of each edge in that order its child's blocks.
        """
        counts = 2 * rank * blocks
        of, within = ranges(np.zeros_like(counts), counts)
        edge = order[of]
        row, block = np.divmod(within, blocks[of])
        chunk = 2 * rank * self.first[edge] + self.place[edge] + row * self.stride[edge] + block
        return chunk, pointers(counts)


@torch.no_grad()
def draw_inner(inner: Tensor, stack: Stack, reads: Bool[Tensor, " inputs"]) -> None:
    """Draw inner weights from U(-1, 1) / sqrt(a term's inputs), so that products are of the deviations' own size.

    reads: whether an input is a neuron, and not padding.
    """
    rows = len(inner) // max(len(reads), 1)
    inner.uniform_(-1, 1)
    for b in stack.buckets:
        if b.inp:
            real = reads[b.source : b.source + b.terms * b.inp].view(b.terms, 1, b.inp).to(inner)
            own = inner[rows * b.source : rows * (b.source + b.terms * b.inp)].view(b.terms, rows, b.inp)
            own.mul_(real * real.sum(2, keepdim=True).clamp(min=1).rsqrt())
