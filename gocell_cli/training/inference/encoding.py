"""What a trained network makes of each gene: how far its deletion moves the head of every term that contains the gene.

    encoded_gt = y_t(g deleted alone) - y_t(wild type)

A term that does not contain the gene does not see its deletion, so this is as sparse as membership itself. Columns of
a gene's own that are deviations from their term's direction are taken as 0: a gene that training never deletes has
none, and would be another kind of thing than those that it does.
"""

import numpy as np
from jaxtyping import Float64

from gocell_cli.storage.schema import Hierarchy
from gocell_cli.training.extra import train_extra
from gocell_cli.training.inference.predict import deletions_of
from gocell_cli.training.network.dcell import DCell
from gocell_cli.training.network.delta.heads import VariantHeads

with train_extra():
    import torch
    from scipy.sparse import csr_matrix

GENES = 511
"""Deleted at once, each alone and beside the wild type: their heads of 4,000 terms are 8 MB."""


@torch.no_grad()
def encoded_genes(model: DCell, hierarchy: Hierarchy, number: int | None = None) -> csr_matrix:
    """Return [genes, terms], float64: the change of each term's head where a gene is deleted, in the heads' unit.

    number: which of several phenotypes' heads.
    The model is left as it was. Entries are those of the hierarchy's closure, zeros among them.
    """
    genes, closure = len(hierarchy.gene_names), hierarchy.closure
    found, was_training, own = np.empty(len(closure.term)), model.training, model.gene_weight.clone()
    model.eval()
    try:
        if model.from_wild_type:
            model.gene_weight.zero_()
        for start in range(0, genes, GENES):
            stop = min(start + GENES, genes)
            ptr = closure.ptr[start : stop + 1]
            gene, terms = np.repeat(np.arange(stop - start), np.diff(ptr)), closure.term[ptr[0] : ptr[-1]]
            found[ptr[0] : ptr[-1]] = _changes(model, start, stop, number)[gene, terms]
    finally:
        model.gene_weight.copy_(own)
        model.train(was_training)
    return csr_matrix((found, closure.term, closure.ptr), shape=(genes, len(hierarchy.term_ids)))


def _changes(model: DCell, start: int, stop: int, number: int | None) -> Float64[np.ndarray, "genes terms"]:
    """What the deletion of each of some genes changes in all heads."""
    genotypes = [(), *((gene,) for gene in range(start, stop))]
    heads = model.heads(deletions_of(genotypes, model.index.genes, model.bias.device))
    table = (heads.dense() if isinstance(heads, VariantHeads) else heads).double().cpu().numpy()
    table = table if number is None else table[..., number]
    found: np.ndarray = table[1:] - table[0]
    return found
