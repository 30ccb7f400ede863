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
from gocell_cli.errors import UsageError
from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.delta.compiler.compiled import compiled
from gocell_cli.training.network.delta.compiler.emitter import Emitter, Intrinsic, Value
from gocell_cli.training.network.delta.compiler.kinds import BITS, INT
from gocell_cli.training.network.layout import Stack
from gocell_cli.training.network.products import EdgeChunks

with train_extra():
    from llvmlite import ir

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
    annotated to the term directly, else -1. The first piece of a pair's weights is pair_piece. product: where an
    edge's weights of products lie, in a network that has some.
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
    product: EdgeChunks

    @cached_property
    def term_level_ptr(self) -> Int64[np.ndarray, " levels_plus_1"]:
        """Level l is the terms term_level_ptr[l]:term_level_ptr[l + 1]."""
        found: Int64[np.ndarray, " levels_plus_1"] = self.band_ptr[self.level_ptr]
        return found

    @cached_property
    def gene_reads(self) -> Int64[np.ndarray, " genes"]:
        """How many edges go up from the terms that contain a gene: as many reads a deletion can make at most."""
        return np.diff(np.append(0, np.cumsum(np.diff(self.parent_ptr)[self.closure]))[self.closure_ptr])


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
        product=EdgeChunks.of(stack, parent, first),
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

    Sample by sample; a sample's terms come in no order. All other samples show the term's wild type.
    """

    term: Int32[np.ndarray, " touches"]
    sample: Int32[np.ndarray, " touches"]
    variant: Int32[np.ndarray, " touches"]


@dataclass(frozen=True)
class DeltaPlan:
    """Variants of all terms, what each reads and has lost, and the (term, sample) touches that they stand for.

    Term t has the variants variant_ptr[t]:variant_ptr[t + 1], the wild type first; variant v stands for weight[v]
    samples. Edge e of the index has a slot for each variant of its child, the wild type's first, from edge_slot[e] on;
    the parent's variants that read slot s are slot_reader[slot_ptr[s]:slot_ptr[s + 1]], ascending. A wild type reads
    every child's wild type, and no other variant does. Variant v has lost the term-gene pairs
    lost[lost_ptr[v]:lost_ptr[v + 1]]. `deleted` counts the samples that delete each gene.
    """

    samples: int
    variant_ptr: Int64[np.ndarray, " terms_plus_1"]
    weight: Float64[np.ndarray, " variants"]
    edge_slot: Int64[np.ndarray, " edges_plus_1"]
    slot_ptr: Int32[np.ndarray, " slots_plus_1"]
    slot_reader: Int32[np.ndarray, " reads"]
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

    @cached_property
    def lost_pairs(self) -> Int64[np.ndarray, " lost_pairs"]:
        """The pairs that any variant has lost, ascending, each once."""
        return np.flatnonzero(np.bincount(self.lost))

    @cached_property
    def reads(self) -> "Reads":
        """The same reads by the variant that reads, for a backend that adds them up variant by variant."""
        edge = np.repeat(np.arange(len(self.edge_slot) - 1, dtype=np.int32), np.diff(self.edge_slot))
        own = np.arange(len(edge)) - self.edge_slot[edge]
        slot = np.repeat(np.arange(len(edge)), np.diff(self.slot_ptr))
        order = np.argsort(self.slot_reader, kind="stable")  # stable: by edge, then by the child's variant
        ptr = pointers(np.bincount(self.slot_reader, minlength=len(self.weight)))
        return Reads(ptr, edge[slot][order], own[slot][order].astype(np.int32))


class Reads(NamedTuple):
    """Variant v reads variant `variant[i]` (counted from the child's wild type) over `edge[i]`, i in ptr[v]:ptr[v + 1].

    Ascending by (reader, edge).
    """

    ptr: Int64[np.ndarray, " variants_plus_1"]
    edge: Int32[np.ndarray, " reads"]
    variant: Int32[np.ndarray, " reads"]


def make_plan(
    index: DeltaIndex, sample: Int64[np.ndarray, " deletions"], gene: Int64[np.ndarray, " deletions"], samples: int
) -> DeltaPlan:
    """Plan a batch of deletions, sorted by (sample, gene), each once; raises UsageError for more than int32 counts."""
    deletions = Deleted(np.searchsorted(sample, np.arange(samples + 1)), gene)
    reached = np.diff(index.closure_ptr)[gene]
    of_sample = np.add.reduceat(np.append(reached, 0), deletions.ptr[:-1])
    # distinct sets of genes: of a sample all combinations at most, and no more than what is reached
    every = np.minimum(2.0 ** np.minimum(np.diff(deletions.ptr), 60), of_sample)
    reads = index.gene_reads[gene].sum() + len(index.parent)
    sizes = np.array([reached.sum(), reads, int(every.sum()), of_sample.max(initial=0)])
    if sizes.max() > np.iinfo(np.int32).max:
        raise UsageError(f"{samples:,} samples are too many for one batch", hint="a smaller batch_size")
    contains = Contains(index.closure_ptr, index.closure, index.closure_pair)
    up = Up(index.parent_ptr, index.parent_edge, index.parent[index.parent_edge])
    touches, made, found, lost = _visit_all(deletions, contains, up, (*sizes.tolist(),))
    number, variant_ptr = np.empty(len(made.term), np.int32), np.zeros(index.terms + 1, np.int64)
    _number(made.term, variant_ptr, np.empty(index.terms, np.int64), number)
    weight = np.zeros(variant_ptr[-1])
    _weights(number, made.shown, touches, variant_ptr, samples, weight)
    edge_slot = pointers(np.diff(variant_ptr)[index.child])
    slot_ptr, slot_reader = _by_slot(found, number, variant_ptr, Edges(index.child, index.parent), edge_slot)
    lost_ptr, pairs = np.zeros(len(weight) + 1, np.int64), np.empty(len(lost.pair), np.int64)
    _by_variant(lost, number, lost_ptr, np.empty(len(weight), np.int64), pairs)
    deleted = np.bincount(gene, minlength=len(index.closure_ptr) - 1)
    return DeltaPlan(samples, variant_ptr, weight, edge_slot, slot_ptr, slot_reader, lost_ptr, pairs, deleted, touches)


def sum_by_variant(plan: DeltaPlan, values: Float64[np.ndarray, "samples 2"]) -> Float64[np.ndarray, "variants 2"]:
    """Return of each variant the sum of its samples' two values.

    A wild type's is that of all samples less its term's other variants': it stands for thousands, and a sum over them
    for each of 3,793 terms would cost as much as the dense form.
    """
    found = np.zeros((len(plan.weight), 2))
    _add_touches(plan.touches, np.ascontiguousarray(values).reshape(-1), found.reshape(-1))
    found[plan.variant_ptr[:-1]] = values.sum(0) - np.add.reduceat(found, plan.variant_ptr[:-1])
    return found


# Compiled loops. Samples are the outer loop, for what a sample touches fits the nearest cache: a number for each term,
# and the entries of its genes' closures, side by side. By terms instead, with a sort by counting before and after, it
# took nearly twice as long (47 ms a batch of 2,048 triple deletions, not 27). int32 where the numbers fit: these passes
# wait for memory.


class Deleted(NamedTuple):
    """CSR sample -> its deleted genes, ascending."""

    ptr: Int64[np.ndarray, " samples_plus_1"]
    gene: Int64[np.ndarray, " deletions"]


class Contains(NamedTuple):
    """The index's closure: CSR gene -> terms that contain it, and the pair of each entry, or -1."""

    ptr: Int64[np.ndarray, " genes_plus_1"]
    term: Int32[np.ndarray, " contained"]
    pair: Int64[np.ndarray, " contained"]


class Up(NamedTuple):
    """The edges up from child t, ptr[t]:ptr[t + 1], with their parents."""

    ptr: Int64[np.ndarray, " terms_plus_1"]
    edge: Int64[np.ndarray, " edges"]
    parent: Int64[np.ndarray, " edges"]


class Edges(NamedTuple):
    """Each edge's child and parent."""

    child: Int64[np.ndarray, " edges"]
    parent: Int64[np.ndarray, " edges"]


class Made(NamedTuple):
    """Variants in the order in which samples first show them, without wild types; `next`: the next of its gene set."""

    term: Int32[np.ndarray, " made"]
    shown: Int32[np.ndarray, " made"]
    next: Int32[np.ndarray, " made"]


class Found(NamedTuple):
    """Reads in the order found: the variant that reads, over which edge, which of the child's; numbered as Made."""

    reader: Int32[np.ndarray, " found"]
    edge: Int32[np.ndarray, " found"]
    variant: Int32[np.ndarray, " found"]


class Lost(NamedTuple):
    """Term-gene pairs, and the variant that has lost each, numbered as Made."""

    variant: Int32[np.ndarray, " lost"]
    pair: Int64[np.ndarray, " lost"]


class GeneSets(NamedTuple):
    """All sets of genes that were seen, as a trie: set 0 is empty, others are a set and one more gene, a higher one.

    Genes are taken in ascending order, so equal sets are one node. Which node a set and a gene give stands in a hash
    table (linear probing; `node` 0: a free place), and in `memo` for as long as one deletion is propagated.
    `first`: the last made of the variants that have lost these genes, a chain over Made.next; -1: none.
    """

    size: Int32[np.ndarray, " one"]
    key: Int64[np.ndarray, " places"]
    node: Int32[np.ndarray, " places"]
    memo: Int32[np.ndarray, " sets"]
    asked: Int32[np.ndarray, " sets"]
    sample: Int32[np.ndarray, " sets"]
    first: Int32[np.ndarray, " sets"]


class Here(NamedTuple):
    """Of the sample that is visited: the terms that it touches, and of each term the set of genes and the variant.

    0 and -1 where it touches nothing. `direct` are its genes' direct annotations: the term, and the term-gene pair.
    """

    terms: Int32[np.ndarray, " terms"]
    genes: Int32[np.ndarray, " terms"]
    variant: Int32[np.ndarray, " terms"]
    direct: Int32[np.ndarray, " direct"]
    pair: Int64[np.ndarray, " direct"]


@Intrinsic
def _hashed(code: Emitter, key: Value) -> Value:
    """The upper half of splitmix64's product (doi:10.1145/2660193.2660195)."""
    product = code.builder.mul(key.number, ir.Constant(BITS, 0x9E3779B97F4A7C15))
    return Value(INT, (code.builder.lshr(product, ir.Constant(BITS, 32)),))


@compiled
@no_type_check
def _with_gene(sets, node, gene):
    """Return the set of a set's genes and one more: known, or a new node of the trie."""
    key = (node << 32) | gene
    at = _hashed(key) & (len(sets.key) - 1)  # node 0 marks free places, so keys are compared
    while sets.node[at] != 0:
        if sets.key[at] == key:
            return sets.node[at]
        # at most half of the table is full, so it meets a free place
        at = (at + 1) & (len(sets.key) - 1)
    sets.size[0] += 1
    sets.key[at], sets.node[at] = key, sets.size[0]
    return sets.size[0]


@compiled
@no_type_check
def _reach(deleted, sample, contains, here, sets):
    """Propagate a sample's deletions: which terms they reach, each with the set of genes; returns how many, and pairs.

    A gene meets few different sets, each at many terms: each is asked for once a deletion.
    """
    touched, pairs = 0, 0
    for i in range(deleted.ptr[sample], deleted.ptr[sample + 1]):
        gene = deleted.gene[i]
        for entry in range(contains.ptr[gene], contains.ptr[gene + 1]):
            term = contains.term[entry]
            before = here.genes[term]
            if before == 0:
                here.terms[touched] = term
                touched += 1
            if sets.asked[before] != i:
                sets.asked[before], sets.memo[before] = i, _with_gene(sets, before, gene)
            here.genes[term] = sets.memo[before]
            if contains.pair[entry] >= 0:
                here.direct[pairs], here.pair[pairs] = term, contains.pair[entry]
                pairs += 1
    return touched, pairs


@compiled
@no_type_check
def _known(sample, touched, here, sets, made):
    """Set the variants of a sample's terms that were made before: of each of its sets, those whose term shows it."""
    for i in range(touched):
        node = here.genes[here.terms[i]]
        if sets.sample[node] != sample:
            sets.sample[node] = sample
            v = sets.first[node]
            while v >= 0:
                if here.genes[made.term[v]] == node:
                    here.variant[made.term[v]] = v
                v = made.next[v]


@compiled
@no_type_check
def _read(touched, here, up, first, reads, at):
    """Write the reads of the variants from `first` on, which are this sample's: what it touches is what they read.

    A variant's reads are the same for every sample that shows it. A sample that touches a child touches its parents.
    """
    for i in range(touched):
        child = here.terms[i]
        for e in range(up.ptr[child], up.ptr[child + 1]):
            reader = here.variant[up.parent[e]]
            if reader >= first:
                reads.reader[at], reads.edge[at], reads.variant[at] = reader, up.edge[e], here.variant[child]
                at += 1
    return at


def _tables(terms: int, most_direct: int, most_sets: int, reached: int) -> tuple[Here, GeneSets, Made]:
    """What _visit works on, empty."""
    here = Here(
        np.empty(terms, np.int32), np.zeros(terms, np.int32), np.full(terms, -1, np.int32),
        np.empty(most_direct, np.int32), np.empty(most_direct, np.int64),
    )  # fmt: skip
    places = 2 << max(most_sets - 1, 0).bit_length()  # & (places - 1) is a hash's modulo
    sets = GeneSets(
        np.zeros(1, np.int32), np.empty(places, np.int64), np.zeros(places, np.int32),
        np.empty(most_sets + 1, np.int32), np.full(most_sets + 1, -1, np.int32), np.full(most_sets + 1, -1, np.int32),
        np.full(most_sets + 1, -1, np.int32),
    )  # fmt: skip
    return here, sets, Made(*(np.empty(reached, np.int32) for _ in range(3)))


def _visit_all(
    deleted: Deleted, contains: Contains, up: Up, sizes: tuple[int, int, int, int]
) -> tuple[Touches, Made, Found, Lost]:
    """Visit every sample: what it touches, the variants that it is the first to show, what these read and have lost.

    sizes: touches, reads and sets of genes at most, and the most entries that the genes of one sample have in
    `contains`.
    """
    reached, most_reads, most_sets, most_direct = sizes
    here, sets, made = _tables(len(up.ptr) - 1, most_direct, most_sets, reached)
    touches = Touches(*(np.empty(reached, np.int32) for _ in range(3)))
    reads = Found(*(np.empty(most_reads, np.int32) for _ in range(3)))
    lost = Lost(np.empty(reached, np.int32), np.empty(reached, np.int64))
    touch, variants, read, loss = _visit(deleted, contains, up, here, sets, made, touches, reads, lost)
    return (
        Touches(*(array[:touch] for array in touches)),
        Made(*(array[:variants] for array in made)),
        Found(*(array[:read] for array in reads)),
        Lost(*(array[:loss] for array in lost)),
    )


@compiled
@no_type_check
def _visit(deleted, contains, up, here, sets, made, touches, reads, lost):
    """Fill all of these from `here` on, sample by sample; returns how many touches, variants, reads and lost pairs."""
    touch, variants, read, loss = 0, 0, 0, 0
    for s in range(len(deleted.ptr) - 1):
        touched, pairs = _reach(deleted, s, contains, here, sets)
        first = variants
        _known(s, touched, here, sets, made)
        for i in range(touched):
            term = here.terms[i]
            if here.variant[term] < 0:
                node = here.genes[term]
                made.term[variants], made.shown[variants], made.next[variants] = term, 0, sets.first[node]
                here.variant[term] = sets.first[node] = variants
                variants += 1
            own = here.variant[term]
            made.shown[own] += 1
            touches.term[touch], touches.sample[touch], touches.variant[touch] = term, s, own
            touch += 1
        if variants > first:
            read = _read(touched, here, up, first, reads, read)
            loss = _lose(here, pairs, first, lost, loss)
        for i in range(touched):
            here.genes[here.terms[i]], here.variant[here.terms[i]] = 0, -1
    return touch, variants, read, loss


@compiled
@no_type_check
def _lose(here, pairs, first, lost, at):
    """Write the lost pairs of the variants from `first` on: only genes annotated to the term itself have weights."""
    for i in range(pairs):
        own = here.variant[here.direct[i]]
        if own >= first:
            lost.variant[at], lost.pair[at] = own, here.pair[i]
            at += 1
    return at


@compiled
@no_type_check
def _number(made_term, ptr, at, number):
    """Number the variants term by term, the wild type first: each one's number, and CSR term -> variants.

    ptr: zeros. at: room for a number for each term.
    """
    for i in range(len(made_term)):
        ptr[made_term[i] + 1] += 1
    for term in range(len(at)):
        at[term] = ptr[term] + 1
        ptr[term + 1] += ptr[term] + 1
    for v in range(len(made_term)):
        number[v] = at[made_term[v]]
        at[made_term[v]] += 1


@compiled
@no_type_check
def _weights(number, shown, touches, variant_ptr, samples, weight):
    """How many samples each variant stands for; the touches' variants get their numbers."""
    # all samples that touch nothing of a term show its wild type
    for term in range(len(variant_ptr) - 1):
        weight[variant_ptr[term]] = samples
    for i in range(len(touches.term)):
        weight[variant_ptr[touches.term[i]]] -= 1
        touches.variant[i] = number[touches.variant[i]]
    for v in range(len(number)):
        weight[number[v]] = shown[v]


def _by_slot(
    reads: Found, number: np.ndarray, variant_ptr: np.ndarray, edges: Edges, edge_slot: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Sort the reads by slot, the wild types' among them; returns slot_ptr and slot_reader."""
    ptr, slots = np.zeros(edge_slot[-1] + 1, np.int32), np.empty(len(reads.edge), np.int32)
    reader = np.empty(len(reads.edge) + len(edges.child), np.int32)
    _sort_reads(reads, number, variant_ptr, edges, edge_slot, ptr, slots, np.empty_like(ptr), reader)
    return ptr, reader


@compiled
@no_type_check
def _sort_reads(reads, number, variant_ptr, edges, edge_slot, ptr, slots, at, reader):
    """Sort by counting: of a slot's readers, numbers ascend as they were found, for so a term's variants are numbered.

    ptr: zeros.
    """
    for i in range(len(reads.edge)):
        edge = reads.edge[i]
        slot = edge_slot[edge] + number[reads.variant[i]] - variant_ptr[edges.child[edge]]
        slots[i] = slot
        ptr[slot + 1] += 1
    for e in range(len(edge_slot) - 1):
        ptr[edge_slot[e] + 1] += 1  # the wild type's slot
    for s in range(len(ptr) - 1):
        at[s] = ptr[s]
        ptr[s + 1] += ptr[s]
    for e in range(len(edge_slot) - 1):
        reader[ptr[edge_slot[e]]] = variant_ptr[edges.parent[e]]
    for i in range(len(slots)):
        reader[at[slots[i]]] = number[reads.reader[i]]
        at[slots[i]] += 1


@compiled
@no_type_check
def _by_variant(lost, number, ptr, at, pairs):
    """Sort the lost pairs by variant, by counting, of a variant ascending; ptr: zeros, `at`: room."""
    for i in range(len(lost.variant)):
        ptr[number[lost.variant[i]] + 1] += 1
    for v in range(len(at)):
        at[v] = ptr[v]
        ptr[v + 1] += ptr[v]
    for i in range(len(lost.pair)):
        own = number[lost.variant[i]]
        pairs[at[own]] = lost.pair[i]
        at[own] += 1


@compiled
@no_type_check
def _add_touches(touches, values, found):
    """Add each sample's two values to those of the variants that it shows; both, for a variant is far away."""
    for i in range(len(touches.variant)):
        own, to = 2 * touches.sample[i], 2 * touches.variant[i]
        found[to] += values[own]
        found[to + 1] += values[own + 1]
