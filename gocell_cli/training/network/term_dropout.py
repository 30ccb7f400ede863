"""DropTerm: whole terms left out of their parents' input for a whole step, the same ones for all of its samples.

    z_t = W_t [m_c h_c / (1 - p) for c in C(t); ...]      m_c 0 with probability p, else 1; drawn anew at each step

A term's own head and loss stay, the root is never left out, and evaluation leaves out nothing (Srivastava et al. 2014,
https://jmlr.org/papers/v15/srivastava14a.html, with a term in a unit's place). Dropout sample by sample would make
equal variants unequal, and is refused by the delta form's algebra; this is W_t with its columns scaled, so the passes
of both forms stay as they are: they read scaled child weights, and autograd hands their gradient on.

Which terms are left out is a function of seed, epoch and step alone: a run that goes on, and all processes, draw alike.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int64

from gocell_cli.csr import ranges
from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.layout import Stack, StackIndex
from gocell_cli.training.network.lent import LentTable
from gocell_cli.training.network.pinned import there

with train_extra():
    import torch
    from torch import Tensor

STREAM = 1
"""The counter's highest word: no order of samples (training/data/order.py), whose word is 0, counts up to it."""

Varying = Callable[[Int64[np.ndarray, " genes"]], Int64[np.ndarray, " terms"]]
"""Which terms (1, else 0) vary between samples that differ in these genes."""


def kept_terms(terms: int, probability: float, *, seed: int, epoch: int, step: int) -> Bool[np.ndarray, " terms"]:
    """Return which terms, in the hierarchy's order, a step keeps; a function of its arguments alone.

    Philox counts from a key, its raw numbers are the same in all versions of NumPy (as in training/data/order.py).
    """
    counter = np.array([0, 0, step, STREAM], dtype=np.uint64)
    raw = np.random.Philox(key=np.array([seed, epoch], dtype=np.uint64), counter=counter).random_raw(terms)
    # the 53 bits that a float64 holds
    kept: Bool[np.ndarray, " terms"] = (raw >> np.uint64(11)) * 2.0**-53 >= probability
    return kept


@dataclass(frozen=True)
class TermDropout:
    """A network's edges, and how its child weights lie: what a step needs to leave terms out.

    Terms are positions in the running order. The edges child -> parent of group l are edge_ptr[l]:edge_ptr[l + 1] by
    their parent, children's groups first. term_of_source: of each block of all inputs its child, or the number of
    terms where it is padding. gene_ptr, gene_rows: CSR gene -> term-gene rows.
    """

    stack: Stack
    probability: float
    child: Int64[np.ndarray, " edges"]
    parent: Int64[np.ndarray, " edges"]
    edge_ptr: Int64[np.ndarray, " groups_plus_1"]
    term_of_source: Int64[np.ndarray, " source_blocks"]
    gene_ptr: Int64[np.ndarray, " genes_plus_1"]
    gene_rows: Int64[np.ndarray, " rows"]
    lent: tuple[LentTable, LentTable]

    @classmethod
    def of(cls, stack: Stack, index: StackIndex, probability: float) -> "TermDropout":
        """Read the edges from where inputs come from. All on the CPU, where no step waits for a device."""
        terms, piece = len(stack.order), stack.piece
        # of each block of neurons its term; the block of zeros behind them is nobody's
        of_block = np.append(np.repeat(np.arange(terms), stack.blocks), terms)
        term_of_source = of_block[stack.source]
        groups = np.concatenate([np.full(b.terms, b.group) for b in stack.buckets])
        counts = np.concatenate([np.full(b.terms, b.inp // piece) for b in stack.buckets])
        parent = np.repeat(np.arange(terms), counts)
        # an edge for each pair that reads at all; by parent, and so by group, for the running order is by group
        edges = np.unique(np.stack([parent, term_of_source])[:, term_of_source < terms], axis=1)
        edge_ptr = np.searchsorted(groups[edges[0]], np.arange(int(groups.max(initial=-1)) + 2))
        gene_ptr, gene_rows = (index[name].cpu().numpy() for name in ("gene_ptr", "gene_rows"))
        lent = (LentTable(), LentTable())
        return cls(stack, probability, edges[1], edges[0], edge_ptr, term_of_source, gene_ptr, gene_rows, lent)

    def drawn(self, *, seed: int, epoch: int, step: int) -> "DroppedTerms":
        """Return the terms that a step leaves out."""
        of_hierarchy = kept_terms(len(self.stack.order), self.probability, seed=seed, epoch=epoch, step=step)
        kept = of_hierarchy[self.stack.order]
        kept[-1] = True  # the root, which runs last and is nobody's input
        return DroppedTerms(self, kept)


@dataclass(frozen=True)
class DroppedTerms:
    """The terms that a step keeps, by position in the running order, and what it makes of the child weights."""

    dropout: TermDropout
    kept: Bool[np.ndarray, " terms"]

    def weights(self, own: Float[Tensor, " weights"], rows: int | None = None) -> Float[Tensor, " weights"]:
        """Return the child weights as a step reads them: 0 where the child is left out, else over 1 - p.

        rows: of each term, where they are no child weights (`products.py`).
        """
        dropout = self.dropout
        scale = np.append(self.kept / (1 - dropout.probability), 0.0)
        of_input = np.repeat(scale[dropout.term_of_source], dropout.stack.piece)
        factor = there(torch.from_numpy(of_input).to(own.dtype), own.device)
        found: Tensor = _Scaled.apply(own, factor, dropout, rows)  # type: ignore[no-untyped-call]
        return found

    def varying(self, genes: Int64[np.ndarray, " genes"]) -> Int64[np.ndarray, " terms"]:
        """Return which terms vary between samples that differ in these genes: 1, or 0 where all are equal.

        A term all of whose ways to such a gene lead over terms that are left out has equal samples, and variance 0.
        """
        dropout, found = self.dropout, np.zeros(len(self.kept), dtype=np.int64)
        first = dropout.gene_ptr[genes]
        own = dropout.gene_rows[ranges(first, dropout.gene_ptr[genes + 1] - first)[1]]
        found[dropout.stack.row_position[own]] = 1
        for start, stop in pairwise(dropout.edge_ptr.tolist()):
            child = dropout.child[start:stop]
            found[dropout.parent[start:stop][(found[child] > 0) & self.kept[child]]] = 1
        return found


class _Scaled(torch.autograd.Function):
    """Child weights times a factor for each input of a term, in memory that is lent; back, the gradient likewise."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, factor: Tensor, dropout: TermDropout, rows: int | None) -> Tensor:
        """Scale; factor: [inputs], of all terms."""
        ctx.dropout, ctx.factor, ctx.rows = dropout, factor, rows
        return _scaled(own.detach(), factor, dropout.stack, dropout.lent[0], rows)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Scale the gradient."""
        dropout = ctx.dropout
        return _scaled(grads[0].contiguous(), ctx.factor, dropout.stack, dropout.lent[1], ctx.rows), None, None, None


def _scaled(
    table: Float[Tensor, " weights"], factor: Float[Tensor, " inputs"], stack: Stack, lent: LentTable, rows: int | None
) -> Float[Tensor, " weights"]:
    """A table like the child weights, or of `rows` a term, bucket by bucket times its inputs' factors."""
    found = lent.like(table)
    for b in stack.buckets:
        shape = (b.terms, b.out if rows is None else rows, b.inp)
        first = b.weight if rows is None else rows * b.source
        part = slice(first, first + math.prod(shape))
        if b.inp:
            of_input = factor[b.source : b.source + b.terms * b.inp].view(b.terms, 1, b.inp)
            torch.mul(table[part].view(shape), of_input, out=found[part].view(shape))
    return found
