"""The stack's index arrays as buffers, and the plan of a batch of deletions made from them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64

from gocell_cli.storage.schema import Hierarchy
from gocell_cli.training.data.batch import Deletions
from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.layout import Stack

with train_extra():
    import torch
    from torch import Tensor, nn


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


def ranges(starts: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Return (owner, value) of all ranges [start, start + count), one after another."""
    owner = torch.repeat_interleave(torch.arange(len(counts), device=counts.device), counts)
    offsets = counts.cumsum(0) - counts
    return owner, torch.arange(len(owner), device=counts.device) - offsets[owner] + starts[owner]


def gene_closure(hierarchy: Hierarchy, stack: Stack) -> tuple[Int64[np.ndarray, " g"], Int64[np.ndarray, " c"]]:
    """Return the CSR index gene -> positions of all terms that contain it, direct or by descendants, ascending."""
    position = np.argsort(stack.order)
    contains = np.zeros((len(position), len(hierarchy.gene_names)), dtype=bool)
    contains[stack.row_position, hierarchy.row_gene] = True
    bits = np.packbits(contains, axis=1)
    edges = np.stack([position[hierarchy.edge_child], position[hierarchy.edge_parent]])
    for child, parent in edges[:, np.argsort(edges[0], kind="stable")].T.tolist():
        bits[parent] |= bits[child]
    terms, genes = np.nonzero(np.unpackbits(bits, axis=1, count=contains.shape[1]))
    counts = np.bincount(genes, minlength=contains.shape[1])
    ptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return ptr, terms[np.argsort(genes, kind="stable")].astype(np.int64)


class StackIndex(nn.Module):
    """Buffers that follow the model to its device; not part of its state, and no parameters.

    source [sources]; term_position [terms], where a term of the hierarchy runs; term_of_neuron and real [neurons];
    block_of_piece [pieces]; gene_ptr, gene_rows: CSR gene -> rows; row_position, row_piece [rows];
    term_block, term_blocks, term_genes [terms]; closure_ptr, closure: CSR gene -> terms that contain it;
    gene_of_row [rows], the genes term by term in running order.
    """

    def __init__(self, hierarchy: Hierarchy, stack: Stack) -> None:
        super().__init__()
        self.genes, self.terms = len(hierarchy.gene_names), len(stack.order)
        counts = np.bincount(stack.row_position, minlength=self.terms)
        closure_ptr, closure = gene_closure(hierarchy, stack)
        by_term = np.lexsort((hierarchy.row_gene, stack.row_position))
        arrays = {
            "source": stack.source, "term_position": np.argsort(stack.order), "block_start": stack.block_start,
            "block_of_piece": np.repeat(np.arange(len(stack.block_start) - 1), np.diff(stack.block_start)),
            "term_of_neuron": np.repeat(np.arange(self.terms), stack.blocks * stack.piece), "real": stack.real_neurons,
            "gene_ptr": hierarchy.gene_ptr, "gene_rows": hierarchy.gene_rows, "row_position": stack.row_position,
            "row_piece": stack.row_piece, "term_genes": counts, "term_blocks": stack.blocks,
            "term_block": stack.first_neuron // stack.piece, "closure_ptr": closure_ptr, "closure": closure,
            "gene_of_row": hierarchy.row_gene[by_term],
        }  # fmt: skip
        for name, array in arrays.items():
            kind = bool if name == "real" else np.int64
            self.register_buffer(name, torch.from_numpy(array.astype(kind)), persistent=False)
        self.row_bounds = tuple(np.concatenate([[0], np.cumsum(counts)]).tolist())

    def __getitem__(self, name: str) -> Tensor:
        return self.get_buffer(name)

    def untouched(self, genes: Int64[Tensor, " some_genes"]) -> Bool[Tensor, " terms"]:
        """Which terms contain none of these genes."""
        ptr = self["closure_ptr"]
        _, places = ranges(ptr[genes], ptr[genes + 1] - ptr[genes])
        untouched = torch.ones(self.terms, dtype=torch.bool, device=genes.device)
        untouched[self["closure"][places]] = False
        return untouched

    def plan(self, deletions: Deletions) -> GenePlan:
        """Plan a batch: its (term-gene row, sample) pairs, joined by (term, sample), spread over neuron blocks."""
        samples = max(deletions.samples, 1)
        ptr = self["gene_ptr"]
        of, places = ranges(ptr[deletions.gene], ptr[deletions.gene + 1] - ptr[deletions.gene])
        row = self["gene_rows"][places]
        key, by_key = torch.sort(self["row_position"][row] * samples + deletions.sample[of])
        row = row[by_key]
        pair, counts = torch.unique_consecutive(key, return_counts=True)
        position = pair // samples
        owner, block = ranges(self["term_block"][position], self["term_blocks"][position])
        bag, place = ranges((counts.cumsum(0) - counts)[owner], counts[owner])
        term = position[owner]
        within = (block - self["term_block"][term]) * self["term_genes"][term]
        sizes = counts[owner]
        return GenePlan(
            pieces=self["row_piece"][row[place]] + within[bag],
            start=torch.cat([sizes.new_zeros(1), sizes.cumsum(0)]),
            block=block,
            sample=(pair % samples)[owner],
            deleted=sizes,
            bag_of=torch.searchsorted(term, torch.arange(self.terms + 1, device=key.device)),
        )
