"""What the genes give to every neuron, in its two forms: deletions (sparse) and any gene values (dense).

Both fill z chunk by chunk on the way up and collect dz chunk by chunk on the way down. Gene weights are a table
[pieces, piece] (see Stack); a neuron block is `piece` neurons of one term.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

from jaxtyping import Float, Int64

from gocell_cli.training.data.batch import Deletions
from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.dense.memory import Chunk
from gocell_cli.training.network.layout import Stack, StackIndex, ranges

with train_extra():
    import torch
    from torch import Tensor
    from torch.nn.functional import embedding_bag


@dataclass(frozen=True)
class GeneWeights:
    """The gene side of a model, detached, and the index of where it lies.

    from_wild_type: a column counts x_g - 1, so that the wild type's z is the bias alone.
    """

    table: Float[Tensor, "pieces piece"]
    direction: Float[Tensor, " neurons"] | None
    bias: Float[Tensor, " neurons"]
    index: StackIndex
    stack: Stack
    from_wild_type: bool = False

    @property
    def piece(self) -> int:
        """Neurons in a block."""
        return self.table.shape[1]


@runtime_checkable
class GeneInput(Protocol):
    """Fills z with the genes' part, and turns dz into the gradients of the weights that made it."""

    samples: int

    def fill(self, z: Tensor, chunk: Chunk) -> None:
        """Write bias and genes' part of the chunk's neurons into z [rows, samples]."""

    def fill_differences(self, z: Tensor, chunk: Chunk) -> None:
        """Write the same into z [rows, samples + 1]: the wild type's into the last column, what differs before it."""

    def collect(self, dz: Tensor, chunk: Chunk) -> None:
        """Take in the gradient dz [rows, samples] of the chunk's neurons."""

    def extremes(self) -> tuple[Float[Tensor, " genes"], Float[Tensor, " genes"]]:
        """Return the least and the greatest value of each gene within the batch."""

    def gradients(self, dz_sum: Float[Tensor, " neurons"]) -> tuple[Tensor, Tensor | None]:
        """Return the gradients of the table and the direction; dz_sum is dz summed over samples."""


@dataclass(frozen=True)
class GenePlan:
    """Bags of pieces: bag m takes pieces[start[m]:start[m + 1]] away from neuron block block[m] of sample[m].

    Bags are sorted by term position; those of the terms [p, q) are bags bag_of[p] to bag_of[q]. `deleted` is the
    number of genes each bag's term has lost (for shared gene weights).
    """

    pieces: Int64[Tensor, " pieces"]
    start: Int64[Tensor, " bags_plus_1"]
    block: Int64[Tensor, " bags"]
    sample: Int64[Tensor, " bags"]
    deleted: Int64[Tensor, " bags"]
    bag_of: Int64[Tensor, " terms_plus_1"]


def gene_plan(index: StackIndex, deletions: Deletions) -> GenePlan:
    """Plan a batch: its (term-gene row, sample) pairs, joined by (term, sample), spread over neuron blocks."""
    # at least 1: the base of the key below, by which it is divided again
    samples = max(deletions.samples, 1)
    ptr = index["gene_ptr"]
    of, places = ranges(ptr[deletions.gene], ptr[deletions.gene + 1] - ptr[deletions.gene])
    row = index["gene_rows"][places]
    # one integer for (term, sample): one sort puts terms in running order, and a sample's rows together
    key, by_key = torch.sort(index["row_position"][row] * samples + deletions.sample[of])
    row = row[by_key]
    pair, counts = torch.unique_consecutive(key, return_counts=True)
    position = pair // samples
    # a bag for each neuron block of the pair's term
    owner, block = ranges(index["term_block"][position], index["term_blocks"][position])
    bag, place = ranges((counts.cumsum(0) - counts)[owner], counts[owner])
    term = position[owner]
    # a term's pieces lie block after block, one for each of its genes: so far behind the first block's
    within = (block - index["term_block"][term]) * index["term_genes"][term]
    sizes = counts[owner]
    return GenePlan(
        pieces=index["row_piece"][row[place]] + within[bag],
        start=torch.cat([sizes.new_zeros(1), sizes.cumsum(0)]),
        block=block,
        sample=(pair % samples)[owner],
        deleted=sizes,
        bag_of=torch.searchsorted(term, torch.arange(index.terms + 1, device=key.device)),
    )


class DeletedGenes:
    """x is 1 but for the deleted genes: the wild type's constant minus a few columns."""

    def __init__(self, weights: GeneWeights, deletions: Deletions) -> None:
        plan = gene_plan(weights.index, deletions)
        self.samples, self._weights, self._plan = deletions.samples, weights, plan
        self._deletions = deletions
        self._bounds: list[int] = plan.bag_of.tolist()
        every = torch.arange(len(weights.table), device=weights.table.device)
        self._wild = weights.bias
        if not weights.from_wild_type:
            starts = weights.index["block_start"][:-1]
            self._wild = self._wild + _sum_rows(weights.table, every, starts).reshape(-1)
        lost = _sum_rows(weights.table, plan.pieces, plan.start[:-1])
        if weights.direction is not None:
            lost = lost - weights.direction.view(-1, weights.piece)[plan.block] * plan.deleted[:, None]
        self._lost = lost
        self._gradient = torch.zeros_like(lost)

    @cached_property
    def _value(self) -> Tensor:
        """What each bag's neurons have left; made once, not chunk by chunk."""
        return self._wild.view(-1, self._weights.piece)[self._plan.block] - self._lost

    def _bags(self, z: Tensor, chunk: Chunk) -> tuple[slice, Tensor, tuple[Tensor, Tensor]]:
        """Return the chunk's bags, z seen as [blocks, samples, piece], and the bags' places in it."""
        part, piece = slice(self._bounds[chunk.first], self._bounds[chunk.stop]), self._weights.piece
        places = (self._plan.block[part] - chunk.rows.start // piece, self._plan.sample[part])
        return part, z.view(-1, piece, self.samples).transpose(1, 2), places

    def fill(self, z: Tensor, chunk: Chunk) -> None:
        z.copy_(self._wild[chunk.rows, None].expand_as(z))
        part, blocks, places = self._bags(z, chunk)
        if part.start < part.stop:
            # put, not added: each (block, sample) is in one bag at most, so no order of sums can matter
            blocks.index_put_(places, self._value[part])

    def fill_differences(self, z: Tensor, chunk: Chunk) -> None:
        # exact zeros where nothing is deleted, so that equal samples stay equal at every level
        z.zero_()
        z[:, -1] = self._wild[chunk.rows]
        part, blocks, places = self._bags(z[:, :-1], chunk)
        if part.start < part.stop:
            blocks.index_put_(places, -self._lost[part])

    def collect(self, dz: Tensor, chunk: Chunk) -> None:
        part, blocks, places = self._bags(dz, chunk)
        if part.start < part.stop:
            self._gradient[part] = blocks[places]

    def extremes(self) -> tuple[Float[Tensor, " genes"], Float[Tensor, " genes"]]:
        # a gene's least value is 0 if any sample deletes it, its greatest 1 if any sample keeps it
        counts = torch.bincount(self._deletions.gene, minlength=self._weights.index.genes)
        kind = self._weights.table.dtype
        return (counts == 0).to(kind), (counts < self.samples).to(kind)

    def gradients(self, dz_sum: Float[Tensor, " neurons"]) -> tuple[Tensor, Tensor | None]:
        weights, plan = self._weights, self._plan
        if weights.from_wild_type:
            total = torch.zeros_like(weights.table)
        else:  # as if every sample had every gene; what the samples without it put in is taken off below
            total = dz_sum.view(-1, weights.piece).index_select(0, weights.index["block_of_piece"])
        bag = torch.repeat_interleave(torch.arange(len(plan.block), device=dz_sum.device), plan.start.diff())
        total.index_add_(0, plan.pieces, self._gradient[bag], alpha=-1)
        if weights.direction is None:
            return total, None
        direction = torch.zeros_like(dz_sum).view(-1, weights.piece)
        return total, direction.index_add_(0, plan.block, self._gradient * plan.deleted[:, None]).view(-1)


class GeneValues:
    """x [samples, genes] of any values (expression, dosage; 1 is wild type): one dense product a term."""

    def __init__(self, weights: GeneWeights, x: Float[Tensor, "samples genes"]) -> None:
        self.from_wild_type = weights.from_wild_type
        # transposed once: like all tables, rows are what a term gathers and samples are columns
        self.samples, self._weights, self._x = len(x), weights, x.t().contiguous()
        self._gradient = torch.zeros_like(weights.table)
        self._direction = None if weights.direction is None else torch.zeros_like(weights.direction)
        # what a column's gene has where it adds nothing
        self._at_rest = 1.0 if weights.from_wild_type else 0.0

    def _terms(self, chunk: Chunk) -> Iterator[tuple[slice, slice, Tensor]]:
        """Each term with genes: its neuron rows, its pieces, and its genes' values [genes, samples]."""
        stack, bounds = self._weights.stack, self._weights.index.row_bounds
        for term in range(chunk.first, chunk.stop):
            genes = self._weights.index["gene_of_row"][bounds[term] : bounds[term + 1]]
            if len(genes):
                first, blocks = int(stack.first_neuron[term]), int(stack.blocks[term])
                pieces = int(stack.block_start[first // stack.piece])
                rows = slice(first - chunk.rows.start, first - chunk.rows.start + blocks * stack.piece)
                yield rows, slice(pieces, pieces + blocks * len(genes)), self._x[genes]

    def fill(self, z: Tensor, chunk: Chunk) -> None:
        z.copy_(self._weights.bias[chunk.rows, None].expand_as(z))
        for rows, pieces, x in self._terms(chunk):
            self._add(z[rows], pieces, x - self._at_rest)
            self._add_direction(z[rows], rows, chunk, x)

    def fill_differences(self, z: Tensor, chunk: Chunk) -> None:
        z.zero_()
        z[:, -1] = self._weights.bias[chunk.rows]
        for rows, pieces, x in self._terms(chunk):
            # x - 1 is 0 for a gene as in the wild type: a sample without a change differs by exactly 0
            self._add(z[rows, :-1], pieces, x - 1)
            self._add(z[rows, -1:], pieces, torch.ones_like(x[:, :1]) - self._at_rest)
            self._add_direction(z[rows, :-1], rows, chunk, x)

    def _add(self, z: Tensor, pieces: slice, x: Float[Tensor, "genes columns"]) -> None:
        """Add one term's gene weights times x to its neurons."""
        columns = self._weights.table[pieces].view(-1, len(x), self._weights.piece).transpose(1, 2)
        z += (columns @ x).reshape(z.shape)

    def _add_direction(self, z: Tensor, rows: slice, chunk: Chunk, x: Float[Tensor, "genes samples"]) -> None:
        """Add the term's shared direction, as often as genes are lost."""
        if self._weights.direction is not None:
            start = chunk.rows.start
            z += self._weights.direction[start + rows.start : start + rows.stop, None] * (1 - x).sum(0)

    def collect(self, dz: Tensor, chunk: Chunk) -> None:
        for rows, pieces, x in self._terms(chunk):
            own = dz[rows]
            blocks = own.view(-1, self._weights.piece, self.samples)
            self._gradient[pieces] = ((x - self._at_rest) @ blocks.transpose(1, 2)).reshape(-1, self._weights.piece)
            if self._direction is not None:
                start = chunk.rows.start
                self._direction[start + rows.start : start + rows.stop] = own @ (1 - x).sum(0)

    def extremes(self) -> tuple[Float[Tensor, " genes"], Float[Tensor, " genes"]]:
        low, high = torch.aminmax(self._x, dim=1)
        return low, high

    def gradients(self, dz_sum: Float[Tensor, " neurons"]) -> tuple[Tensor, Tensor | None]:
        del dz_sum
        return self._gradient, self._direction


def _sum_rows(table: Tensor, rows: Tensor, starts: Tensor) -> Tensor:
    """Sum table[rows] over the bags that start at `starts`: [bags, width]; an empty bag gives 0."""
    if not len(rows) or not len(starts):
        return table.new_zeros(len(starts), table.shape[1])
    return embedding_bag(rows, table, starts, mode="sum")
