"""What a deletion touches: the index of a hierarchy, made once, and the plan of a batch, made at every step.

A deletion propagates to every term that contains the gene, directly or by a descendant (the true-path rule). Of term t
a sample then shows a *variant*: the set of its deleted genes that t contains (docs/algebra.md, "The delta form").
Variant 0 is the wild type, the empty set. Samples with equal sets share a variant, `weight` says how many; a variant
reads another than the wild type of a child only where the child contains one of its genes, too.

The plan is integers alone, no number of the network: any backend reads it. Terms are positions in the running order.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple, no_type_check

import numpy as np
from jaxtyping import Float64, Int32, Int64

from gocell_cli.csr import pointers
from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.delta.compiling import compiled, parallel
from gocell_cli.training.network.layout import Stack

with train_extra():
    from numba import get_num_threads, prange


# --------------------------------------------------------------------------------------- the index of a hierarchy


@dataclass(frozen=True)
class DeltaIndex:
    """What the hierarchy alone decides: bands of equally wide terms, edges and their weights, and closures.

    A band is a range of terms of one level and one padded width, so that its neurons are one table [terms, width]:
    band i holds the terms band_ptr[i]:band_ptr[i + 1], each of band_blocks[i] blocks of `piece` neurons. The bands of
    level l are level_ptr[l]:level_ptr[l + 1], children's before their parents'.

    Edges child -> parent are sorted by (parent, child). Their weights lie in the dense form's stacked child weights,
    so that both forms share one parameter: those of edge e are the chunks (`piece` numbers each)
    chunk[chunk_ptr[e]:chunk_ptr[e + 1]], parent's neuron by neuron, child's block by block; those of the parent's
    neuron o begin with chunk edge_chunk[e] + o * edge_stride[e]. The edges up from child t are
    parent_edge[parent_ptr[t]:parent_ptr[t + 1]].

    `closure` is CSR gene -> terms that contain it; closure_pair is the term-gene pair of the network where the gene is
    annotated to the term directly, else -1. The first piece of a pair's weights is pair_piece.
    """

    terms: int
    band_ptr: Int64[np.ndarray, " bands_plus_1"]
    band_blocks: Int64[np.ndarray, " bands"]
    band_of_term: Int64[np.ndarray, " terms"]
    level_ptr: Int64[np.ndarray, " levels_plus_1"]
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
    closure: Int32[np.ndarray, " contained"]
    closure_pair: Int64[np.ndarray, " contained"]
    pair_piece: Int64[np.ndarray, " pairs"]
    term_genes: Int64[np.ndarray, " terms"]


def make_delta_index(
    stack: Stack,
    closure_ptr: Int64[np.ndarray, " genes_plus_1"],
    closure: Int64[np.ndarray, " contained"],
    pair_gene: Int32[np.ndarray, " pairs"],
) -> DeltaIndex:
    """Derive the arrays from a stack, the CSR closure gene -> terms, and the gene of each term-gene pair."""
    terms = len(stack.order)
    group = np.concatenate([np.full(b.terms, b.group) for b in stack.buckets])
    # the running order is by group and then padded width: a band ends where either changes
    new = (np.diff(group) != 0) | (np.diff(stack.blocks) != 0)
    band_ptr = np.concatenate([[0], np.flatnonzero(new) + 1, [terms]])
    child, parent, blocks, first, stride = _edges(stack)
    order = np.lexsort((child, parent))
    child, parent, blocks, first, stride = (x[order] for x in (child, parent, blocks, first, stride))
    sizes = stack.blocks[parent] * stack.piece * blocks
    chunk_ptr = pointers(sizes)
    edge = np.repeat(np.arange(len(sizes)), sizes)
    # an edge's chunks: the child's blocks count fastest, then the parent's neurons
    neuron, block = np.divmod(np.arange(chunk_ptr[-1]) - chunk_ptr[edge], blocks[edge])
    gene_of = np.repeat(np.arange(len(closure_ptr) - 1), np.diff(closure_ptr))
    return DeltaIndex(
        terms=terms,
        band_ptr=band_ptr,
        band_blocks=stack.blocks[band_ptr[:-1]],
        band_of_term=np.repeat(np.arange(len(band_ptr) - 1), np.diff(band_ptr)),
        level_ptr=pointers(np.unique_counts(group[band_ptr[:-1]]).counts),
        child=child,
        parent=parent,
        child_blocks=blocks,
        edge_chunk=first,
        edge_stride=stride,
        chunk_ptr=chunk_ptr,
        chunk=first[edge] + neuron * stride[edge] + block,
        parent_ptr=pointers(np.bincount(child, minlength=terms)),
        parent_edge=np.argsort(child, kind="stable"),
        closure_ptr=closure_ptr,
        closure=closure.astype(np.int32),
        closure_pair=_direct_pairs(stack, gene_of * terms + closure, pair_gene),
        pair_piece=stack.row_piece,
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
            # blocks from stack.neurons on are the block of zeros, which fills up the inputs: no child's
            # the term that a block lies in is the last that begins at it or before
            child = np.searchsorted(first_block, source[source < stack.neurons // piece], side="right") - 1
            # a child's blocks stand together: where the child changes, the next edge begins
            cuts = [0, *(np.flatnonzero(np.diff(child)) + 1).tolist(), len(child)]
            weight = b.weight // piece + term * b.out * inp
            found += [(int(child[i]), b.first + term, j - i, weight + i, inp) for i, j in pairwise(cuts) if j > i]
    # reshape gives five columns even where there is no edge
    return tuple(np.array(found, dtype=np.int64).reshape(-1, 5).T.copy())


def _direct_pairs(
    stack: Stack, contained: Int64[np.ndarray, " contained"], pair_gene: Int32[np.ndarray, " pairs"]
) -> Int64[np.ndarray, " contained"]:
    """The term-gene pair of each entry of the closure, or -1; entries ascend by gene * terms + term."""
    keys = pair_gene.astype(np.int64) * len(stack.order) + stack.row_position
    found = np.full(len(contained), -1, dtype=np.int64)
    found[np.searchsorted(contained, keys)] = np.arange(len(keys))
    return found


# ------------------------------------------------------------------------------------------- the plan of a batch


class Touches(NamedTuple):
    """Each (term, sample) where the sample deletes a gene that the term contains, and the variant that it shows.

    Ascending by (term, sample). All other samples show the term's wild type.
    """

    term: Int64[np.ndarray, " touches"]
    sample: Int64[np.ndarray, " touches"]
    variant: Int64[np.ndarray, " touches"]


@dataclass(frozen=True)
class DeltaPlan:
    """Variants of all terms, what each reads and has lost, and the (term, sample) touches that they stand for.

    Term t has the variants variant_ptr[t]:variant_ptr[t + 1], the wild type first; variant v stands for weight[v]
    samples. It reads variant read_variant[i] (counted from the child's wild type) over edge read_edge[i] of the index,
    i in read_ptr[v]:read_ptr[v + 1]; the wild type reads every child's wild type. It has lost the term-gene pairs
    lost[lost_ptr[v]:lost_ptr[v + 1]]. `deleted` counts the samples that delete each gene.
    """

    samples: int
    variant_ptr: Int64[np.ndarray, " terms_plus_1"]
    weight: Float64[np.ndarray, " variants"]
    read_ptr: Int64[np.ndarray, " variants_plus_1"]
    read_edge: Int32[np.ndarray, " reads"]
    read_variant: Int32[np.ndarray, " reads"]
    lost_ptr: Int64[np.ndarray, " variants_plus_1"]
    lost: Int64[np.ndarray, " lost"]
    deleted: Int64[np.ndarray, " genes"]
    touches: Touches

    @cached_property
    def term(self) -> Int64[np.ndarray, " variants"]:
        """The term of each variant."""
        return np.repeat(np.arange(len(self.variant_ptr) - 1), np.diff(self.variant_ptr))

    @cached_property
    def varies(self) -> Int64[np.ndarray, " terms"]:
        """1 where a term's samples show more than one variant, 0 where one stands for all of them.

        A wild type of weight 0 is there as the origin that others are counted from, but no sample shows it.
        """
        # reduceat would err on an empty range; no term has one, as each has its wild type
        shown = np.add.reduceat((self.weight > 0).astype(np.int64), self.variant_ptr[:-1])
        return (shown > 1).astype(np.int64)


def make_plan(
    index: DeltaIndex, sample: Int64[np.ndarray, " deletions"], gene: Int64[np.ndarray, " deletions"], samples: int
) -> DeltaPlan:
    """Plan a batch of deletions, sorted by (sample, gene), each once."""
    reached = propagate_deletions(sample, gene, index.closure_ptr, index.closure, index.terms)
    touches, variants = distinct_variants(reached, len(index.closure))
    weight = variants.shown.astype(np.float64)
    # all samples that touch nothing of a term show its wild type
    weight[variants.ptr[:-1]] = samples - np.bincount(touches.term, minlength=index.terms)
    edges = Edges(index.parent_ptr, index.parent_edge, index.parent, index.parent[index.parent_edge])
    read_ptr, read_edge, read_variant = find_reads(touches, samples, variants, edges)
    lost_ptr, lost = lost_pairs(variants, reached, index.closure_pair)
    deleted = np.bincount(gene, minlength=len(index.closure_ptr) - 1)
    return DeltaPlan(samples, variants.ptr, weight, read_ptr, read_edge, read_variant, lost_ptr, lost, deleted, touches)


# Compiled loops: sorts by counting, one pass over the touches each. NumPy's sorts and gathers of the 260,000 touches
# of 2,048 triple deletions took 97 ms a batch, a third of a training step. int32 where the numbers fit: these passes
# wait for memory. Named tuples cost nothing: numba compiles them to their fields.


class Reached(NamedTuple):
    """Deletions propagated: what reaches term t is ptr[t]:ptr[t + 1], by deletion, so by (sample, gene).

    contained: the entry of the closure (gene, term); it stands for the gene, equal entries are equal genes.
    """

    ptr: Int64[np.ndarray, " terms_plus_1"]
    sample: Int32[np.ndarray, " reached"]
    contained: Int32[np.ndarray, " reached"]


class Variants(NamedTuple):
    """Variants term by term (CSR `ptr`), each with how many samples show it (`shown`; 0 for wild types).

    Its genes are `size` entries of what reaches the term, from `first` on; `lead` is the first sample that shows it
    (-1: a wild type).
    """

    ptr: Int64[np.ndarray, " terms_plus_1"]
    shown: Int64[np.ndarray, " variants"]
    first: Int64[np.ndarray, " variants"]
    size: Int32[np.ndarray, " variants"]
    lead: Int32[np.ndarray, " variants"]


class Edges(NamedTuple):
    """The index's edges: each one's `parent`; and those up from child t, ptr[t]:ptr[t + 1], with their `up_parent`."""

    ptr: Int64[np.ndarray, " terms_plus_1"]
    edge: Int64[np.ndarray, " edges"]
    parent: Int64[np.ndarray, " edges"]
    up_parent: Int64[np.ndarray, " edges"]


class BySample(NamedTuple):
    """CSR sample -> its touches, terms ascending."""

    ptr: Int64[np.ndarray, " samples_plus_1"]
    touch: Int32[np.ndarray, " touches"]


class Reads(NamedTuple):
    """Reads in the order found: the variant that reads, over which edge, and which of the child's variants."""

    reader: Int32[np.ndarray, " reads"]
    edge: Int32[np.ndarray, " reads"]
    variant: Int32[np.ndarray, " reads"]


@compiled
@no_type_check
def propagate_deletions(sample, gene, closure_ptr, closure, terms):
    """Propagate each deletion to all terms that contain the gene; returns Reached.

    A sort by counting: the deletions come in order, so each term's part keeps the order (sample, gene).
    """
    ptr = np.zeros(terms + 1, np.int64)
    for g in gene:
        for entry in range(closure_ptr[g], closure_ptr[g + 1]):
            # counted one place further, so that the running sum gives where each term begins
            ptr[closure[entry] + 1] += 1
    for term in range(terms):
        ptr[term + 1] += ptr[term]
    at = ptr[:-1].copy()
    reached_sample = np.empty(ptr[-1], np.int32)
    contained = np.empty(ptr[-1], np.int32)
    for i in range(len(gene)):
        for entry in range(closure_ptr[gene[i]], closure_ptr[gene[i] + 1]):
            where = at[closure[entry]]
            reached_sample[where] = sample[i]
            contained[where] = entry
            at[closure[entry]] = where + 1
    return Reached(ptr, reached_sample, contained)


@compiled
@no_type_check
def _hashed(contained, start, stop):
    """64 bits of a set of genes: each one's bits mixed (splitmix64's finish, doi:10.1145/2660193.2660195), summed."""
    found = np.uint64(0)
    for i in range(start, stop):
        # + 1, for entry 0 would mix to 0, and a set with it would hash like the set without
        x = (np.uint64(contained[i]) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        found += x ^ (x >> np.uint64(27))
    return found


@compiled
@no_type_check
def _same(contained, start, other, size):
    """Whether two sets of genes, each ascending, are equal."""
    for i in range(size):
        if contained[start + i] != contained[other + i]:
            return False
    return True


@compiled
@no_type_check
def _look_up(table, contained, start, stop, first, size):
    """Return the variant whose genes are contained[start:stop], or -1; and its place in the hash table, or a free one.

    Hashes only find the place: the sets themselves are compared, or two that collide would silently become one variant.
    """
    at = np.int64(_hashed(contained, start, stop) & np.uint64(len(table) - 1))
    while table[at] >= 0:
        other = table[at]
        if size[other] == stop - start and _same(contained, start, first[other], stop - start):
            return other, at
        # linear probing: at most half of the table is full, so it meets a free place
        at = (at + 1) & (len(table) - 1)
    return -1, at


@compiled
@no_type_check
def distinct_variants(reached, closure_size):
    """Join what reaches a (term, sample) into a touch, and touches with equal genes into a variant.

    Returns Touches and Variants. An entry of the closure is of one gene AND one term, so one hash table serves all
    terms: sets of different terms differ.
    """
    terms, entries = len(reached.ptr) - 1, len(reached.sample)
    contained = reached.contained
    touch_term, touch_sample = np.empty(entries, np.int64), np.empty(entries, np.int64)
    touch_variant = np.empty(entries, np.int64)
    ptr = np.zeros(terms + 1, np.int64)
    shown, first = np.zeros(entries + terms, np.int64), np.zeros(entries + terms, np.int64)
    size, lead = np.zeros(entries + terms, np.int32), np.full(entries + terms, -1, np.int32)
    slots = 2 ** int(np.ceil(np.log2(2 * entries + 2)))  # at most half full; & (slots - 1) is its modulo
    # most variants of small terms have lost a single gene: those are looked up by its entry, without a hash
    alone, table = np.full(closure_size, -1, np.int32), np.full(slots, -1, np.int32)
    touch, variants = 0, 0
    for term in range(terms):
        ptr[term] = variants
        variants += 1  # the wild type, whether a sample shows it or not: all others are counted from it
        i, stop = reached.ptr[term], reached.ptr[term + 1]
        while i < stop:
            j = i + 1
            while j < stop and reached.sample[j] == reached.sample[i]:
                j += 1
            own, at = -1, 0
            if j == i + 1:
                own = alone[contained[i]]
            else:
                own, at = _look_up(table, contained, i, j, first, size)
            if own < 0:
                own, variants = variants, variants + 1
                first[own], size[own], lead[own] = i, j - i, reached.sample[i]
                if j == i + 1:
                    alone[contained[i]] = own
                else:
                    table[at] = own
            shown[own] += 1
            touch_term[touch], touch_sample[touch], touch_variant[touch] = term, reached.sample[i], own
            touch, i = touch + 1, j
    ptr[terms] = variants
    touches = Touches(touch_term[:touch], touch_sample[:touch], touch_variant[:touch])
    return touches, Variants(ptr, shown[:variants], first[:variants], size[:variants], lead[:variants])


@compiled
@no_type_check
def _by_sample(touch_sample, samples):
    """Sort the touches by sample, by counting."""
    ptr = np.zeros(samples + 1, np.int64)
    for s in touch_sample:
        ptr[s + 1] += 1
    for s in range(samples):
        ptr[s + 1] += ptr[s]
    at, found = ptr[:-1].copy(), np.empty(len(touch_sample), np.int32)
    for touch in range(len(touch_sample)):
        s = touch_sample[touch]
        found[at[s]] = touch
        at[s] += 1
    return BySample(ptr, found)


@compiled
@no_type_check
def _visit(touches, own, span, variants, edges, reads, at):
    """Find the reads of the variants that the samples span[0]:span[1] lead; write from `at` on, return the end.

    A variant's reads are the same for every sample that shows it: only its leading sample writes them. `mine` keeps
    what other samples left, but is read only at ancestors of touched terms, which this sample touches, too.
    """
    mine = np.empty(len(variants.ptr) - 1, np.int32)  # the sample's variant of each term that it touches
    for s in range(span[0], span[1]):
        first, last = own.ptr[s], own.ptr[s + 1]
        for i in range(first, last):
            touch = own.touch[i]
            mine[touches.term[touch]] = touches.variant[touch]
        for i in range(first, last):
            touch = own.touch[i]
            child = touches.term[touch]
            for e in range(edges.ptr[child], edges.ptr[child + 1]):
                reader = mine[edges.up_parent[e]]
                if variants.lead[reader] == s:
                    reads.reader[at], reads.edge[at] = reader, edges.edge[e]
                    reads.variant[at] = touches.variant[touch] - variants.ptr[child]
                    at += 1
    return at


@parallel
@no_type_check
def _visit_all(touches, own, cuts, bounds, variants, edges, reads):
    """Samples cuts[i]:cuts[i + 1] are one thread's, which writes from bounds[i] on; returns where each ended."""
    ends = np.zeros(len(cuts) - 1, np.int64)
    for task in prange(len(cuts) - 1):
        ends[task] = _visit(touches, own, (cuts[task], cuts[task + 1]), variants, edges, reads, bounds[task])
    return ends


@compiled
@no_type_check
def _sort_reads(reads, bounds, ends, variant_ptr, parent):
    """Sort the reads by the variant that reads, by counting, after the wild types', which read every child's."""
    variants = variant_ptr[-1]
    read_ptr = np.zeros(variants + 1, np.int64)
    for e in range(len(parent)):
        read_ptr[variant_ptr[parent[e]] + 1] += 1
    for task in range(len(ends)):
        for i in range(bounds[task], ends[task]):
            read_ptr[reads.reader[i] + 1] += 1
    for v in range(variants):
        read_ptr[v + 1] += read_ptr[v]
    at = read_ptr[:-1].copy()
    read_edge, read_variant = np.empty(read_ptr[-1], np.int32), np.empty(read_ptr[-1], np.int32)
    for e in range(len(parent)):
        reader = variant_ptr[parent[e]]
        read_edge[at[reader]], read_variant[at[reader]] = e, 0
        at[reader] += 1
    for task in range(len(ends)):
        for i in range(bounds[task], ends[task]):
            where = at[reads.reader[i]]
            read_edge[where], read_variant[where] = reads.edge[i], reads.variant[i]
            at[reads.reader[i]] = where + 1
    return read_ptr, read_edge, read_variant


def find_reads(
    touches: Touches, samples: int, variants: Variants, edges: Edges
) -> tuple[Int64[np.ndarray, " variants_plus_1"], Int32[np.ndarray, " reads"], Int32[np.ndarray, " reads"]]:
    """Return read_ptr, and of each read the edge and the child's variant, counted from the child's wild type."""
    own = _by_sample(touches.sample, samples)
    # how many reads the touches before one can have at most: where each thread may write without asking the others
    most = pointers(np.diff(edges.ptr)[touches.term[own.touch]])
    cuts = np.searchsorted(own.ptr, np.linspace(0, own.ptr[-1], get_num_threads() + 1))
    # samples without a touch at either end: no search finds them, some thread must take them
    cuts[0], cuts[-1] = 0, samples
    bounds = most[own.ptr[cuts]]
    reads = Reads(*(np.empty(most[-1], np.int32) for _ in range(3)))
    ends = _visit_all(touches, own, cuts, bounds, variants, edges, reads)
    found: tuple[np.ndarray, np.ndarray, np.ndarray] = _sort_reads(reads, bounds, ends, variants.ptr, edges.parent)
    return found


@compiled
@no_type_check
def lost_pairs(variants, reached, closure_pair):
    """Return lost_ptr [variants + 1], and the term-gene pairs that each variant has lost.

    Of a variant's genes only those annotated to the term itself have a weight there; the others' loss comes in
    through the children.
    """
    ptr, found = np.zeros(len(variants.first) + 1, np.int64), np.empty(len(reached.contained), np.int64)
    at = 0
    for v in range(len(variants.first)):
        for i in range(variants.first[v], variants.first[v] + variants.size[v]):
            pair = closure_pair[reached.contained[i]]
            if pair >= 0:
                found[at] = pair
                at += 1
        ptr[v + 1] = at
    return ptr, found[:at]
