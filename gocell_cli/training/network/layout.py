"""Where every weight and activation of the level-batched network lies: index arrays, made once from a Hierarchy.

Terms of one group (a level of the hierarchy) share no edge. Within a group they are sorted by (width, inputs) and cut
into buckets; all terms of a bucket are padded to one [out, inp] shape and run as one batched matmul. Neurons are rows:
a term's `out` rows follow each other, buckets and groups too, in the order they run. All of it is counted in blocks
of `piece` rows (20 for DCell's least width of 20), so that a gather moves a block at a time. Padding has weight 0,
reads neurons that are 0 (the last block of all, or a child's own padding), and gets gradient 0, so it stays 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Int64

from gocell_cli import csr
from gocell_cli.csr import pointers
from gocell_cli.dcell_rules import forbidden_edges, term_width
from gocell_cli.errors import LevelsError
from gocell_cli.level_directions import ROOT_DOWN
from gocell_cli.storage.schema import Hierarchy
from gocell_cli.training.extra import train_extra

with train_extra():
    import torch
    from torch import Tensor, nn

BUCKET_COST = 3_000
"""What one more bucket costs, in multiply-adds a sample: its launches, at the batch sizes in use (measured)."""
NEURON_COST = 60
"""What one more neuron costs, in multiply-adds: its elementwise passes (tanh, BatchNorm, their gradients)."""


@dataclass(frozen=True)
class Bucket:
    """Terms [first, first + terms) of the running order, all of one padded shape.

    Neurons start at row `neuron`, weights [terms, out, inp] at `weight`, inputs [terms * inp] at row `source`.
    """

    group: int
    first: int
    terms: int
    out: int
    inp: int
    neuron: int
    weight: int
    source: int


@dataclass(frozen=True)
class Stack:
    """The whole layout. `order[p]` is the hierarchy's index of the term that runs as number p.

    By term of the hierarchy: `width`, and `inputs`, its children's outputs. By position in the running order:
    `first_neuron`, and `blocks`, its neuron blocks with padding.

    `source[i]` is the neuron block that block i of all inputs reads: a term's children ascending, each with its
    padding, then the block of zeros. A term-gene row r keeps its weights in pieces of `piece` neurons: piece j of
    row r of a term with n genes is row `row_piece[r] + j * n` of the table [pieces, piece]; the pieces of neuron
    block q (rows [q * piece, (q + 1) * piece)) are `block_start[q]:block_start[q + 1]`.
    """

    buckets: tuple[Bucket, ...]
    piece: int
    order: Int64[np.ndarray, " terms"]
    width: Int64[np.ndarray, " terms"]
    inputs: Int64[np.ndarray, " terms"]
    first_neuron: Int64[np.ndarray, " terms"]
    blocks: Int64[np.ndarray, " terms"]
    source: Int64[np.ndarray, " source_blocks"]
    row_position: Int64[np.ndarray, " rows"]
    row_piece: Int64[np.ndarray, " rows"]
    block_start: Int64[np.ndarray, " neuron_blocks_plus_1"]

    @property
    def neurons(self) -> int:
        """Rows of neurons, padding included; the block of zeros follows them."""
        return (len(self.block_start) - 1) * self.piece

    @property
    def multiply_adds(self) -> int:
        """Child weights of all terms, padding not counted: multiply-adds of one sample's forward pass."""
        return int((self.width * self.inputs).sum())

    @property
    def child_weights(self) -> int:
        """Entries of the stacked child weights, padding included."""
        return sum(b.terms * b.out * b.inp for b in self.buckets)

    @property
    def real_neurons(self) -> Bool[np.ndarray, " neurons"]:
        """Which rows are neurons and not padding."""
        real = np.zeros(self.neurons, dtype=bool)
        for position, width in enumerate(self.width[self.order].tolist()):
            start = int(self.first_neuron[position])
            real[start : start + width] = True
        return real


def term_widths(
    hierarchy: Hierarchy, width_by: str, min_width: int, ratio: float, top_width: int = 0, top_strata: int = 0
) -> Int64[np.ndarray, " terms"]:
    """Return each term's neurons by the rule of Ma et al. 2018, of its direct or contained genes.

    Those of the first `top_strata` strata, the root's the first, have `top_width` at least. Of a hierarchy with
    channels, whose terms count inputs, it is genes that the width goes by.
    """
    counts = hierarchy.direct_genes if width_by == "direct" else hierarchy.contained_genes
    if hierarchy.inputs is not None:
        counts = counts // hierarchy.inputs.per_gene
    width = term_width(counts, min_width, ratio)
    return np.where(hierarchy.stratum < top_strata, np.maximum(width, top_width), width)


def running_groups(hierarchy: Hierarchy) -> Int64[np.ndarray, " terms"]:
    """Return each term's group: the terms of one level, numbered from 0 in running order (children first).

    The levels are the hierarchy's own, whatever they are named: stratum, height, or any grouping that holds on every
    edge. Raises LevelsError where one does not: then terms of a level read each other, and can't run at once.
    """
    levels = hierarchy.level.astype(np.int64)
    child, parent = (levels[ends] for ends in (hierarchy.edge_child, hierarchy.edge_parent))
    same, inverted = forbidden_edges(child, parent, hierarchy.level_direction)
    broken = np.flatnonzero(same | inverted)
    if len(broken):
        ends = " -> ".join(hierarchy.term_ids[int(e[broken[0]])] for e in (hierarchy.edge_child, hierarchy.edge_parent))
        raise LevelsError(
            f"{len(broken)} edges do not lead to another {hierarchy.level_by}, the first is {ends}: "
            "its terms can't run at once",
            hint="rebuild the cache: gocell build-cache --overwrite",
        )
    # levels that count down from the root are negated, so that children run first by either kind
    running = -levels if hierarchy.level_direction == ROOT_DOWN else levels
    return np.unique(running, return_inverse=True)[1].astype(np.int64)  # a filtered hierarchy's depths have gaps


def cut(shapes: list[tuple[int, int, int]]) -> list[int]:
    """Cut sorted (out, inputs, terms) shapes into runs of least cost; returns the ends of the runs.

    A run costs terms * out * (inputs + NEURON_COST), out and inputs the largest of the run, plus BUCKET_COST.
    """
    # dynamic programming: best[e] is the least cost of the first e shapes, last[e] where its last run begins
    best, last = [0.0], [0]
    for end in range(1, len(shapes) + 1):
        terms = out = inputs = 0
        best.append(float("inf"))
        last.append(end - 1)
        for start in range(end - 1, -1, -1):
            terms += shapes[start][2]
            out, inputs = max(out, shapes[start][0]), max(inputs, shapes[start][1])
            cost = best[start] + terms * out * (inputs + NEURON_COST) + BUCKET_COST
            if cost < best[end]:
                best[end], last[end] = cost, start
    ends = [len(shapes)]
    # from the end backwards; a run that begins at 0 is the first
    while last[ends[-1]]:
        ends.append(last[ends[-1]])
    return ends[::-1]


def _runs(
    groups: Int64[np.ndarray, " terms"], out: Int64[np.ndarray, " terms"], inputs: Int64[np.ndarray, " terms"]
) -> tuple[Int64[np.ndarray, " terms"], list[tuple[int, int, int]]]:
    """Return the running order, and (group, first, stop) of each bucket in it."""
    # lexsort's last key counts first: by group, then width, then inputs, so that like shapes are neighbours
    order = np.lexsort((inputs, out, groups))
    runs: list[tuple[int, int, int]] = []
    # one bound more than groups, the end; without any term max is -1, and no group is left
    bounds = np.searchsorted(groups[order], np.arange(groups.max(initial=-1) + 2))
    for group, (start, stop) in enumerate(pairwise(bounds.tolist())):
        pairs = np.stack([out[order[start:stop]], inputs[order[start:stop]]], axis=1)
        shapes, counts = np.unique(pairs, axis=0, return_counts=True)
        steps = pointers(counts)
        ends = cut([(int(o), int(i), int(n)) for (o, i), n in zip(shapes, counts, strict=True)])
        runs += [(group, start + int(steps[a]), start + int(steps[b])) for a, b in pairwise([0, *ends])]
    return order, runs


def make_stack(hierarchy: Hierarchy, width: Int64[np.ndarray, " terms"], piece: int) -> Stack:
    """Lay out the network of a hierarchy; raises LevelsError where its levels do not hold."""
    # -(-a // b) is the ceiling of a / b in integers: a term's neurons in whole blocks
    own = -(-width // piece) * piece
    # with the children's padding; bincount sums in float64, which holds such counts exactly
    inputs = np.bincount(hierarchy.edge_parent, own[hierarchy.edge_child], len(width)).astype(np.int64)
    order, runs = _runs(running_groups(hierarchy), own, inputs)
    buckets, neuron, weight, source = [], 0, 0, 0
    first_neuron, blocks = np.zeros(len(order), np.int64), np.zeros(len(order), np.int64)
    for group, first, stop in runs:
        members, terms = order[first:stop], stop - first
        out, inp = int(own[members].max()), int(inputs[members].max())
        buckets.append(Bucket(group, first, terms, out, inp, neuron, weight, source))
        first_neuron[first:stop] = neuron + np.arange(terms) * out
        blocks[first:stop] = out // piece
        neuron, weight, source = neuron + terms * out, weight + terms * out * inp, source + terms * inp
    # argsort of a permutation is its inverse: where each term of the hierarchy runs
    position = np.argsort(order)
    # the block behind the last neuron is the zeros: what no child is written over below stays padding
    sources = np.full(source // piece, neuron // piece, dtype=np.int64)
    rows = child_rows(hierarchy, own, position, buckets)
    count = own[hierarchy.edge_child] // piece
    child_block = first_neuron[position[hierarchy.edge_child]] // piece
    # block by block of each edge: where the parent takes it in, and where the child puts it out
    sources[csr.ranges(rows // piece, count)[1]] = csr.ranges(child_block, count)[1]
    row_position, row_piece, block_start = _gene_pieces(hierarchy, order, position, blocks)
    real_inputs = np.bincount(hierarchy.edge_parent, width[hierarchy.edge_child], len(width)).astype(np.int64)
    return Stack(
        tuple(buckets), piece, order, width, real_inputs, first_neuron, blocks, sources,
        row_position, row_piece, block_start,
    )  # fmt: skip


def child_rows(
    hierarchy: Hierarchy,
    own: Int64[np.ndarray, " terms"],
    position: Int64[np.ndarray, " terms"],
    buckets: Sequence[Bucket],
) -> Int64[np.ndarray, " edges"]:
    """Return, for each edge, the input row where its child's outputs start: children of a term ascending."""
    base = np.concatenate([b.source + np.arange(b.terms) * b.inp for b in buckets])
    parent = position[hierarchy.edge_parent]
    by_parent = np.lexsort((hierarchy.edge_child, parent))
    spans = own[hierarchy.edge_child[by_parent]]
    before = np.cumsum(spans) - spans
    # each edge's parent's first edge: less its sum, the running sum starts anew at every term
    first = np.searchsorted(parent[by_parent], parent[by_parent])
    rows = np.empty(len(parent), dtype=np.int64)
    rows[by_parent] = base[parent[by_parent]] + before - before[first]
    return rows


def _gene_pieces(
    hierarchy: Hierarchy,
    order: Int64[np.ndarray, " terms"],
    position: Int64[np.ndarray, " terms"],
    blocks: Int64[np.ndarray, " terms"],
) -> tuple[Int64[np.ndarray, " rows"], Int64[np.ndarray, " rows"], Int64[np.ndarray, " blocks"]]:
    """Return each row's term position and first piece, and where each neuron block's pieces start."""
    row_position = position[hierarchy.row_term]
    counts = np.bincount(row_position, minlength=len(order)).astype(np.int64)
    # a term's pieces: all its genes for its first neuron block, then all for the second, and so on
    first = pointers(counts * blocks)
    # stable: within a term the genes keep the hierarchy's order
    by_term = np.argsort(row_position, kind="stable")
    place = np.empty_like(row_position)
    place[by_term] = csr.ranges(np.zeros_like(counts), counts)[1]
    sizes = np.repeat(counts, blocks)
    return row_position, first[row_position] + place, pointers(sizes)


def running_closure(hierarchy: Hierarchy, stack: Stack) -> tuple[Int64[np.ndarray, " g"], Int64[np.ndarray, " c"]]:
    """Return the hierarchy's closure, CSR gene -> terms that contain it, by their positions in the running order."""
    ptr, term = hierarchy.closure
    position = np.argsort(stack.order)[term]
    gene = np.repeat(np.arange(len(ptr) - 1), np.diff(ptr))
    return ptr, position[np.lexsort((position, gene))]  # ascending again, as the positions are another order


def ranges(starts: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Return (owner, value) of all ranges [start, start + count), one after another."""
    owner = torch.repeat_interleave(torch.arange(len(counts), device=counts.device), counts)
    offsets = counts.cumsum(0) - counts
    return owner, torch.arange(len(owner), device=counts.device) - offsets[owner] + starts[owner]


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
        closure_ptr, closure = running_closure(hierarchy, stack)
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
            # not persistent: the hierarchy gives them again, and a checkpoint holds trained numbers only
            self.register_buffer(name, torch.from_numpy(array.astype(kind)), persistent=False)
        # Python's integers: a loop over terms slices by them, and must not wait for a device each time
        self.row_bounds = tuple(pointers(counts).tolist())

    def __getitem__(self, name: str) -> Tensor:
        return self.get_buffer(name)

    def untouched(self, genes: Int64[Tensor, " some_genes"]) -> Bool[Tensor, " terms"]:
        """Which terms contain none of these genes."""
        ptr = self["closure_ptr"]
        _, places = ranges(ptr[genes], ptr[genes + 1] - ptr[genes])
        untouched = torch.ones(self.terms, dtype=torch.bool, device=genes.device)
        untouched[self["closure"][places]] = False
        return untouched
