"""What vectors of genes give to the genes' columns, before a pass: of pair (t, g), A_t u_g.

    z_t += A_t SUM u_g over t's deleted direct genes      A_t [width of t, k], starts at 0; u_g k numbers, standardised

A deleted gene takes its column away from z, so the column that a pass reads is w_tg - A_t u_g: the passes of both forms
stay as they are, and autograd hands their gradient on. A gene never deleted in training has what its vector says.
"""

import numpy as np
from jaxtyping import Float

from gocell_cli.csr import ranges
from gocell_cli.errors import UsageError
from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.layout import Stack, StackIndex

with train_extra():
    import torch
    from torch import Tensor, nn


class VectorColumns(nn.Module):
    """A_t of all terms, a table [neurons, k], and the vectors [genes, k], which a state dict has as well."""

    def __init__(self, stack: Stack, index: StackIndex, vectors: Float[Tensor, "genes columns"]) -> None:
        super().__init__()
        if len(vectors) != index.genes or not bool(torch.isfinite(vectors).all()):
            raise UsageError(
                f"vectors of {len(vectors):,} genes, of which the hierarchy has {index.genes:,}, or not all finite",
                hint="a row for each gene of the hierarchy, 0 where nothing is known",
            )
        self.weight = nn.Parameter(torch.zeros(stack.neurons, vectors.shape[1]))
        self.register_buffer("genes", vectors.detach().to(torch.get_default_dtype(), copy=True))
        self.register_buffer("gene_of_piece", torch.from_numpy(_gene_of_piece(stack, index)), persistent=False)
        self.register_buffer("block_of_piece", index["block_of_piece"], persistent=False)

    def forward(self, own: Float[Tensor, "pieces piece"]) -> Float[Tensor, "pieces piece"]:
        """Return the columns that a pass reads: a pair's own less what its gene's vector gives to each neuron."""
        of_block = self.weight.view(-1, own.shape[1], self.weight.shape[1])
        of_piece = of_block.index_select(0, self.get_buffer("block_of_piece"))
        vectors = self.get_buffer("genes").index_select(0, self.get_buffer("gene_of_piece"))
        return own - torch.bmm(of_piece, vectors[:, :, None])[:, :, 0]


def _gene_of_piece(stack: Stack, index: StackIndex) -> np.ndarray:
    """Return the gene of each piece of the genes' table [pieces]: of a row with n genes in its term, every n-th one."""
    gene_of_row = np.empty(len(stack.row_position), dtype=np.int64)
    # gene_rows lists term-gene rows gene by gene
    counts = np.diff(index["gene_ptr"].cpu().numpy())
    gene_of_row[index["gene_rows"].cpu().numpy()] = np.repeat(np.arange(len(counts)), counts)
    blocks, genes = (index[name].cpu().numpy()[stack.row_position] for name in ("term_blocks", "term_genes"))
    row, block = ranges(np.zeros_like(blocks), blocks)
    found = np.empty(int(stack.block_start[-1]), dtype=np.int64)
    found[stack.row_piece[row] + block * genes[row]] = gene_of_row[row]
    return found
