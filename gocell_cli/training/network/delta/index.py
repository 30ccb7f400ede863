"""Index arrays of the delta form that the hierarchy alone decides: runs of equally wide terms, edges, and closures.

Terms are positions in the running order. A run is a range of terms of one group and one padded width, so that its
neurons are one table [terms, width]. An edge's weights are chunks of `piece` numbers in the stacked child weights:
both forms of the network share one parameter.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Int32, Int64

from gocell_cli.training.network.layout import Stack


@dataclass(frozen=True)
class DeltaIndex:
    """Run i holds the terms run_term[i]:run_term[i + 1], each of run_blocks[i] blocks of `piece` neurons.

    Edges child -> parent are sorted by (parent, child). The weights of edge e are the chunks
    chunk[chunk_ptr[e]:chunk_ptr[e + 1]], parent's neuron by neuron, child's block by block: those of the parent's
    neuron o begin with chunk edge_chunk[e] + o * edge_stride[e]. The edges of child t are
    parent_edge[parent_ptr[t]:parent_ptr[t + 1]]. `closure` is CSR gene -> terms that contain it; `closure_row` is a
    (gene, term) pair's term-gene row where it is annotated directly, else -1.
    """

    terms: int
    run_term: Int64[np.ndarray, " runs_plus_1"]
    run_blocks: Int64[np.ndarray, " runs"]
    run_of_term: Int64[np.ndarray, " terms"]
    child: Int64[np.ndarray, " edges"]
    parent: Int64[np.ndarray, " edges"]
    child_blocks: Int64[np.ndarray, " edges"]
    edge_chunk: Int64[np.ndarray, " edges"]
    edge_stride: Int64[np.ndarray, " edges"]
    chunk_ptr: Int64[np.ndarray, " edges_plus_1"]
    chunk: Int64[np.ndarray, " chunks"]
    parent_ptr: Int64[np.ndarray, " terms_plus_1"]
    parent_edge: Int64[np.ndarray, " edges"]
    closure_ptr: Int64[np.ndarray, " genes_plus_1"]
    closure: Int32[np.ndarray, " pairs"]
    closure_row: Int64[np.ndarray, " pairs"]
    row_piece: Int64[np.ndarray, " rows"]
    term_genes: Int64[np.ndarray, " terms"]


def make_delta_index(
    stack: Stack,
    closure_ptr: Int64[np.ndarray, " genes_plus_1"],
    closure: Int64[np.ndarray, " pairs"],
    row_gene: Int32[np.ndarray, " rows"],
) -> DeltaIndex:
    """Derive the arrays from a stack, the CSR closure gene -> terms, and the gene of each term-gene row."""
    terms = len(stack.order)
    group = np.concatenate([np.full(b.terms, b.group) for b in stack.buckets])
    new = (np.diff(group) != 0) | (np.diff(stack.blocks) != 0)
    run_term = np.concatenate([[0], np.flatnonzero(new) + 1, [terms]])
    run_of_term = np.repeat(np.arange(len(run_term) - 1), np.diff(run_term))
    child, parent, blocks, first, stride = _edges(stack)
    order = np.lexsort((child, parent))
    child, parent, blocks, first, stride = (x[order] for x in (child, parent, blocks, first, stride))
    sizes = stack.blocks[parent] * stack.piece * blocks
    chunk_ptr = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    edge = np.repeat(np.arange(len(sizes)), sizes)
    neuron, block = np.divmod(np.arange(chunk_ptr[-1]) - chunk_ptr[edge], blocks[edge])
    chunk = first[edge] + neuron * stride[edge] + block
    gene_of = np.repeat(np.arange(len(closure_ptr) - 1), np.diff(closure_ptr))
    return DeltaIndex(
        terms=terms,
        run_term=run_term,
        run_blocks=stack.blocks[run_term[:-1]],
        run_of_term=run_of_term,
        child=child,
        parent=parent,
        child_blocks=blocks,
        edge_chunk=first,
        edge_stride=stride,
        chunk_ptr=chunk_ptr,
        chunk=chunk,
        parent_ptr=np.concatenate([[0], np.cumsum(np.bincount(child, minlength=terms))]).astype(np.int64),
        parent_edge=np.argsort(child, kind="stable"),
        closure_ptr=closure_ptr,
        closure=closure.astype(np.int32),
        closure_row=_direct_rows(stack, gene_of * terms + closure, row_gene),
        row_piece=stack.row_piece,
        term_genes=np.bincount(stack.row_position, minlength=terms),
    )


def _edges(stack: Stack) -> tuple[np.ndarray, ...]:
    """Child, parent, the child's own blocks, first chunk and stride of each edge, read from where inputs come from."""
    piece, found = stack.piece, []
    first_block = stack.first_neuron // piece
    for b in stack.buckets:
        inp = b.inp // piece
        for term in range(b.terms):
            source = stack.source[b.source // piece + term * inp : b.source // piece + (term + 1) * inp]
            child = np.searchsorted(first_block, source[source < stack.neurons // piece], side="right") - 1
            cuts = [0, *(np.flatnonzero(np.diff(child)) + 1).tolist(), len(child)]
            weight = b.weight // piece + term * b.out * inp
            found += [(int(child[i]), b.first + term, j - i, weight + i, inp) for i, j in pairwise(cuts) if j > i]
    return tuple(np.array(found, dtype=np.int64).reshape(-1, 5).T.copy())


def _direct_rows(
    stack: Stack, pair: Int64[np.ndarray, " pairs"], row_gene: Int32[np.ndarray, " rows"]
) -> Int64[np.ndarray, " pairs"]:
    """The term-gene row of each (gene, term) pair of the closure, or -1; pairs ascend by gene * terms + term."""
    keys = row_gene.astype(np.int64) * len(stack.order) + stack.row_position
    found = np.full(len(pair), -1, dtype=np.int64)
    found[np.searchsorted(pair, keys)] = np.arange(len(keys))
    return found
