"""Compiled: the genes' constant of every neuron block, and its gradient handed back to every gene piece."""

from typing import no_type_check

from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.delta.compiling import parallel

with train_extra():
    from numba import prange


@parallel
@no_type_check
def add_genes(genes, block_start, found):
    """Add to block q of `found` [blocks, piece] its gene pieces, block_start[q]:block_start[q + 1]."""
    for q in prange(len(found)):
        own = found[q]
        for i in range(block_start[q], block_start[q + 1]):
            gene = genes[i]
            for k in range(len(own)):
                own[k] += gene[k]


@parallel
@no_type_check
def add_to_genes(gradient, block_start, genes):
    """Add block q's gradient to each of its gene pieces."""
    for q in prange(len(gradient)):
        own = gradient[q]
        for i in range(block_start[q], block_start[q + 1]):
            gene = genes[i]
            for k in range(len(own)):
                gene[k] += own[k]
