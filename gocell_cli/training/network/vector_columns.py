"""What vectors of genes give to the genes' columns, before a pass: of pair (t, g), A_t u_g.

    z_t += A_t SUM u_g over t's deleted direct genes      A_t [width of t, k], starts at 0; u_g k numbers, standardised

A deleted gene takes its column away from z, so the column that a pass reads is w_tg - A_t u_g: the passes of both forms
stay as they are, and autograd hands their gradient on. A gene never deleted in training has what its vector says.
Only the columns of the pairs that a batch's variants have lost are read in the delta form, so only these are made.

Numbers of a vector that are learnt with the network, one vector a gene for all terms, stand behind those that are
given. They start at 0, and stay there for a gene that no training sample deletes; so that they have a gradient, A_t's
columns for them are drawn from U(-1, 1) / sqrt(learnt numbers).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int64

from gocell_cli.csr import ranges
from gocell_cli.errors import UsageError
from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.delta.compiler.kinds import Lanes
from gocell_cli.training.network.delta.cpu import columns as loops
from gocell_cli.training.network.layout import Stack, StackIndex
from gocell_cli.training.network.lent import LentTable

with train_extra():
    import torch
    from torch import Tensor, nn
    from torch.nn.functional import pad


class VectorColumns(nn.Module):
    """A_t of all terms, a table [neurons, k], and the vectors [genes, k], which a state dict has as well.

    `genes` are the given ones, no part of the state where there are none; `learnt` the others, None where none are.
    """

    def __init__(
        self, stack: Stack, index: StackIndex, given: Float[Tensor, "genes columns"] | None, learnt: int = 0
    ) -> None:
        super().__init__()
        vectors = torch.zeros(index.genes, 0) if given is None else given
        if len(vectors) != index.genes or not bool(torch.isfinite(vectors).all()):
            raise UsageError(
                f"vectors of {len(vectors):,} genes, of which the hierarchy has {index.genes:,}, or not all finite",
                hint="a row for each gene of the hierarchy, 0 where nothing is known",
            )
        self.weight = nn.Parameter(torch.zeros(stack.neurons, vectors.shape[1] + learnt))
        own = vectors.detach().to(torch.get_default_dtype(), copy=True)
        self.register_buffer("genes", own, persistent=given is not None)
        self.learnt = nn.Parameter(torch.zeros(index.genes, learnt)) if learnt else None
        self.piece, self.pairs, self.lent = stack.piece, _pairs(stack, index), LentTable()
        self.register_buffer("gene_of_piece", torch.from_numpy(_gene_of_piece(stack, self.pairs)), persistent=False)
        self.register_buffer("block_of_piece", index["block_of_piece"], persistent=False)

    def forward(
        self, own: Float[Tensor, "pieces piece"], read: Int64[np.ndarray, " read"] | None = None
    ) -> Float[Tensor, "pieces piece"]:
        """Return the columns that a pass reads: a pair's own less what its gene's vector gives to each neuron.

        read: the pairs whose columns the pass reads, each once; None: all. What others' hold is not to be read.
        """
        if own.device.type == "cpu" and own.dtype in (torch.float32, torch.float64):
            found: Tensor = _Columns.apply(  # type: ignore[no-untyped-call]
                own, self._by_row(), self._by_gene(), self._given(read)
            )
            return found
        return self.by_piece(own)

    def by_piece(self, own: Float[Tensor, "pieces piece"]) -> Float[Tensor, "pieces piece"]:
        """Return the columns of all pairs, by a product of each piece: on devices that make thousands at once."""
        of_block = self.weight.view(-1, own.shape[1], self.weight.shape[1])
        of_piece = of_block.index_select(0, self.get_buffer("block_of_piece"))
        vectors = self.vectors().index_select(0, self.get_buffer("gene_of_piece"))
        return own - torch.bmm(of_piece, vectors[:, :, None])[:, :, 0]

    def vectors(self) -> Float[Tensor, "genes columns"]:
        """Return the vectors of all genes, what is learnt behind what is given."""
        given = self.get_buffer("genes")
        return given if self.learnt is None else torch.cat([given, self.learnt], dim=1)

    @torch.no_grad()
    def draw(self, real: Tensor) -> None:
        """Draw what hears the learnt numbers, which are set to 0; real: which rows are neurons and no padding."""
        if self.learnt is None:
            return
        count = self.learnt.shape[1]
        heard = self.weight[:, -count:]
        heard.copy_(torch.empty_like(heard).uniform_(-1, 1) / count**0.5 * real[:, None])
        self.learnt.zero_()

    def _by_row(self) -> Float[Tensor, "blocks tiles piece"]:
        """-A_t as the loops read it: of each block a row of `piece` numbers for each of a vector's, in whole tiles."""
        rows = pad(-self.weight, (0, -self.weight.shape[1] % loops.TILE))
        return rows.view(-1, self.piece, rows.shape[1]).transpose(1, 2).contiguous()

    def _by_gene(self) -> Float[Tensor, "genes tiles"]:
        """The vectors as the loops read them, in whole tiles."""
        genes = self.vectors()
        return pad(genes, (0, -genes.shape[1] % loops.TILE))

    def _given(self, read: Int64[np.ndarray, " read"] | None) -> "_Given":
        every = np.arange(len(self.pairs.gene)) if read is None else read
        tiles = self.weight.shape[1] + -self.weight.shape[1] % loops.TILE
        return _Given((Lanes(self.piece), self.pairs, tiles), every, self.lent)


@dataclass(frozen=True)
class _Given:
    """What the loops are given beside the weights and vectors: what both begin with, and what is read."""

    first: tuple[Lanes, loops.Pairs, int]
    read: Int64[np.ndarray, " read"]
    lent: LentTable


class _Columns(torch.autograd.Function):
    """Columns by the compiled loops, in memory that is lent; back, their gradient is the own ones' as well."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, weight: Tensor, genes: Tensor, given: _Given) -> Tensor:
        """Set those that are read; weight: [blocks, tiles, piece], genes: [genes, tiles]."""
        ctx.given = given
        ctx.save_for_backward(weight, genes)
        found = given.lent.like(own)
        loops.add(*given.first, *map(_flat, (weight, own, genes)), given.read, _flat(found))
        return found

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Sum outer products, in the pairs' order; of learnt vectors the products with what hears them, too."""
        given, (weight, genes) = ctx.given, ctx.saved_tensors
        found = torch.zeros_like(weight)
        loops.add_back(*given.first, *map(_flat, (grads[0], genes)), given.read, _flat(found))
        return (
            grads[0],
            found,
            _back_to_genes(given, grads[0], weight, genes) if ctx.needs_input_grad[2] else None,
            None,
        )


def _back_to_genes(
    given: _Given,
    slope: Float[Tensor, "pieces piece"],
    weight: Float[Tensor, "blocks tiles piece"],
    genes: Float[Tensor, "genes tiles"],
) -> Float[Tensor, "genes tiles"]:
    """Return the vectors' gradient: of each pair that is read, and each of its blocks, weight times slope."""
    pairs, read = given.first[1], given.read
    place, block = ranges(np.zeros(len(read), dtype=np.int64), pairs.blocks[read])
    pair = read[place]
    piece = torch.from_numpy(pairs.piece[pair] + block * pairs.stride[pair])
    heard = weight.index_select(0, torch.from_numpy(pairs.block[pair] + block))
    each = torch.bmm(heard, slope.index_select(0, piece)[:, :, None])[:, :, 0]
    return torch.zeros_like(genes).index_add_(0, torch.from_numpy(pairs.gene[pair]), each)


def _flat(table: Tensor) -> np.ndarray:
    """A table's numbers one after another, in its own memory where they lie so."""
    flat: np.ndarray = table.detach().contiguous().numpy().reshape(-1)
    return flat


def _pairs(stack: Stack, index: StackIndex) -> loops.Pairs:
    """Where each pair's column lies, with the padding behind a term's own neurons, where A_t is 0."""
    gene = np.empty(len(stack.row_position), dtype=np.int64)
    # gene_rows lists pairs gene by gene
    counts = np.diff(index["gene_ptr"].cpu().numpy())
    gene[index["gene_rows"].cpu().numpy()] = np.repeat(np.arange(len(counts)), counts)
    term, genes = stack.row_position, index["term_genes"].cpu().numpy()
    first_block = stack.first_neuron // stack.piece
    return loops.Pairs(stack.row_piece, genes[term], stack.blocks[term], first_block[term], gene)


def _gene_of_piece(stack: Stack, pairs: loops.Pairs) -> Int64[np.ndarray, " pieces"]:
    """Return the gene of each piece of the genes' table: of a pair with n genes in its term, every n-th one."""
    pair, block = ranges(np.zeros_like(pairs.gene), pairs.blocks)
    found = np.empty(int(stack.block_start[-1]), dtype=np.int64)
    found[stack.row_piece[pair] + block * pairs.stride[pair]] = pairs.gene[pair]
    return found
