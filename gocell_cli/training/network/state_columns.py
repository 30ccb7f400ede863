"""Columns of genes with several states: one column a (term, gene, channel), of which each state reads a multiple.

    z_t += (s - base) (w_tg - a_t)        s the gene's state in the channel, base the wild type's

An input of the hierarchy is one (gene, channel, state), that a sample has or has not. A pass takes an input's column
away from z where the sample has it, as it does for a deletion. So the column that a pass reads is (base - s) times the
gene's, and the passes of both forms stay as they are; autograd sums the states' gradients into the one column, which
lies with the first of them. Columns count from the wild type, or the states that a sample has not would stand in its z
as well. a_t is the term's direction, where `gene_weights` gives it one: of a deletion, base 1 and s 0, it adds a_t as
DCell's own does.
"""

import numpy as np
from jaxtyping import Bool, Float, Int64

from gocell_cli.csr import ranges
from gocell_cli.errors import UsageError
from gocell_cli.gene_channels import Inputs
from gocell_cli.storage.schema import Hierarchy
from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.config import DCellConfig
from gocell_cli.training.network.layout import Stack

with train_extra():
    import torch
    from torch import Tensor, nn


class StateColumns(nn.Module):
    """Which piece of the genes' table each piece reads, and its multiple of it.

    `owns` [rows] says which (term, input) rows have a column of their own; `direction` [neurons] is a_t, None without.
    """

    def __init__(self, hierarchy: Hierarchy, stack: Stack, config: DCellConfig) -> None:
        super().__init__()
        inputs = hierarchy.inputs
        if inputs is None:
            raise UsageError("state columns are of a hierarchy with channels")
        owner = _owners(hierarchy, inputs)
        self.owns: Bool[np.ndarray, " rows"] = owner == np.arange(len(owner))
        source, row = _pieces(stack, owner)
        multiple = -inputs.step[hierarchy.row_gene][row]
        self.register_buffer("source", torch.from_numpy(source), persistent=False)
        # float64 whatever the model's dtype: 1 - 0.3 in float32 would be another multiple in a model of float64
        self.register_buffer("multiple", torch.from_numpy(multiple), persistent=False)
        shared = config.gene_weights != "own"
        self.direction = nn.Parameter(torch.zeros(stack.neurons)) if shared else None
        block = np.repeat(np.arange(len(stack.block_start) - 1), np.diff(stack.block_start))
        self.register_buffer("block", torch.from_numpy(block), persistent=False)

    def forward(self, own: Float[Tensor, "pieces piece"]) -> Float[Tensor, "pieces piece"]:
        """Return the columns that a pass reads."""
        columns = own.index_select(0, self.get_buffer("source"))
        if self.direction is not None:
            columns = columns - self.direction.view(-1, own.shape[1]).index_select(0, self.get_buffer("block"))
        return columns * self.get_buffer("multiple").to(own.dtype)[:, None]


def _owners(hierarchy: Hierarchy, inputs: Inputs) -> Int64[np.ndarray, " rows"]:
    """Of each (term, input) row the one of the same term whose input owns the column."""
    key = hierarchy.row_term.astype(np.int64) * len(hierarchy.gene_names)
    # rows are sorted by (term, gene), so that a key can be searched
    own: Int64[np.ndarray, " rows"] = np.searchsorted(key + hierarchy.row_gene, key + inputs.column[hierarchy.row_gene])
    return own


def _pieces(
    stack: Stack, owner: Int64[np.ndarray, " rows"]
) -> tuple[Int64[np.ndarray, " pieces"], Int64[np.ndarray, " pieces"]]:
    """Return, of each piece of the genes' table, the piece of its owner and the row that it is of."""
    counts = np.bincount(stack.row_position, minlength=len(stack.order))[stack.row_position]
    row, block = ranges(np.zeros(len(owner), dtype=np.int64), stack.blocks[stack.row_position])
    # pieces of a row lie as many apart as its term has genes
    at = stack.row_piece[row] + block * counts[row]
    source, of_row = np.empty((2, int(stack.block_start[-1])), dtype=np.int64)
    source[at], of_row[at] = stack.row_piece[owner[row]] + block * counts[row], row
    return source, of_row
