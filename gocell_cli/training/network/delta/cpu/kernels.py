"""Compiled loops of the delta form on the CPU: a task is some neurons of a term, from its children to its heads.

Of term t, variant 0 is the wild type; its x is h_0, that of the others x_v = h_v - h_0, so that a product that a
variant does not read need not exist (docs/algebra.md, "The delta form"; one term in plain torch: `term_reference` in
network/dcell.py). Forward, with b the bias and w the genes' columns,

    z_0 = SUM_c W_c x_c,0 + b + SUM_g w_g
    z_v = z_0 + d_v,     d_v = SUM over the children that v reads of W_c x_c,v' - SUM over the genes v has lost of w_g

then BatchNorm over the batch's n samples, variant v counted weight_v times, of d counted from the wild type,

    mean = a_0 + SUM weight_v d_v / n      var = SUM weight_v (d_v - mean of d)^2 / n      (biased)

where a is tanh(z) (tanh-bn, d_v = a_v - a_0) or z (bn-tanh). Counted so, what is equal is exactly equal: d_v is 0, not
rounding noise that 1 / sqrt(eps) = 316 would blow up at every level, and the gradient that should be 0 is exactly 0.

Where things lie. Neurons are counted in blocks of `piece`; block b of term t, with V variants, is V rows of `piece`
numbers side by side in each table, from row row_ptr[t] + b V on: a block of 2,048 variants is 160 kB and stays in a
core's cache from sum to head, and walks through no more pages than that. A row is one vector (`vectors.py`).

A direction has one list of tasks (`Schedule`), each of some blocks of a term, level by level. Threads take the next
one by an atomic counter, wait until all tasks of its term's children (downwards: parents) are done, and run it: no
thread waits for a whole level, of which the last task would keep the others waiting thirty times a step. What a task
waits for stands before it in the list, so somebody has it in hand. A task writes nothing that another one, but for
those that wait for it, reads or writes, and takes its own sums in a
fixed order, so the result does not depend on who took what. Upwards a task takes each child's products in tiles of
three variants (`_tile`: accumulators of 20 float32 in nine registers, W's row and three numbers of x beside them; four
variants' do not fit the sixteen that there are, 28 GFLOP/s against 39; of AVX-512's thirty-two six variants' take
twelve, and with fewer a sum would wait for itself) and adds them to the variants that read them while they are near: no
table of products. Downwards a child's task fetches what its parents' variants got, sums it for
each of its own, and takes from that its own gradient and the edge's weights' alike. Of wide terms it does so as a
library's matrix product does, a CHUNK of variants by a PANEL of blocks for a GROUP of blocks at a time: the panel's
weights then stay in the first cache while a chunk goes by, the chunk's rows in the second while the group's blocks do.
A sum's order is that of its edges, blocks and neurons, wherever the cuts are.

Either has three phases: SUMS of products, then two with BatchNorm's sums between them: PARTIAL leaves them, FINAL takes
them. One call runs all, or several processes join theirs in between.

Sums over variants are taken in the table's dtype for SOME of them and in float64 beyond: they have up to thousands of
terms of both signs.
"""

from typing import NamedTuple, no_type_check

import numpy as np

from gocell_cli.training.network.delta.compiler.compiled import compiled
from gocell_cli.training.network.delta.compiler.kinds import REGISTER, register_bytes
from gocell_cli.training.network.delta.cpu.vectors import (
    count_up,
    current,
    get,
    load,
    muladd,
    scaled,
    size,
    store,
    tanh,
    total,
    wide,
    zeros,
)

SUMS, PARTIAL, FINAL = 1, 2, 4
TILE, WIDE_TILE, WIDE_ROWS = 3, 6, 5
"""Rows whose products are summed side by side: where registers are not WIDE; where they are; and of weights there."""
WIDE = register_bytes() > REGISTER
"""Whether there are 32 registers of AVX-512, two to a row: three rows' sums would wait for each other."""
CHUNK = 504
"""Variants of a child that are taken at once, whole tiles: how long weights are used once they have been fetched."""
PANEL = 6
"""Blocks summed over at once: their weights stay in a core's first cache, a chunk of their rows in its second."""
GROUP = 8
"""Blocks of a term that are taken at once: so often is a panel of rows used once it has been fetched."""
PART = 126
"""Rows over which gradients of weights are summed at once: what a block's sums read stays in the first cache."""
SOME = 32
SPINS = 4000
"""Looks at a counter before a thread that waits goes to sleep: about 20 us."""


class Terms(NamedTuple):
    """Of the hierarchy. Term t has `blocks` of neurons, the first of all is first_block, and `genes` of its own.

    The pieces of gene weights of block q are gene_start[q]:gene_start[q + 1]. Edges up from its children are
    child_edge[t]:child_edge[t + 1], those to its parents parent_edge[parent_ptr[t]:parent_ptr[t + 1]].
    """

    blocks: np.ndarray
    first_block: np.ndarray
    genes: np.ndarray
    gene_start: np.ndarray
    child_edge: np.ndarray
    parent_ptr: np.ndarray
    parent_edge: np.ndarray


class Edges(NamedTuple):
    """Child and parent; the weights of the parent's neuron o begin at number `weight` + o * `stride`."""

    child: np.ndarray
    parent: np.ndarray
    weight: np.ndarray
    stride: np.ndarray


class Batch(NamedTuple):
    """A batch's plan (`plan.py`), and the row at which a term's part of the tables begins; `rows` of a table in all.

    lost_piece: the first piece of a lost pair's weights. share: weight / samples in training, else 0. varies: 1, or 0
    where all samples of a term agree. wild: samples that show a term's wild type. `samples`, varies
    and wild are those of all processes.
    """

    variant_ptr: np.ndarray
    row_ptr: np.ndarray
    edge_slot: np.ndarray
    slot_ptr: np.ndarray
    slot_reader: np.ndarray
    lost_ptr: np.ndarray
    lost_piece: np.ndarray
    weight: np.ndarray
    share: np.ndarray
    varies: np.ndarray
    wild: np.ndarray
    samples: float
    rows: int


class Parameters(NamedTuple):
    """Flat tables of neurons but for weights and genes. `direction` may be empty; `head` is `heads` tables, one a head.

    counted_mean (the running mean less the wild type's a_0) and running_var are read outside training only.
    """

    weights: np.ndarray
    genes: np.ndarray
    direction: np.ndarray
    bias: np.ndarray
    gamma: np.ndarray
    beta: np.ndarray
    head: np.ndarray
    counted_mean: np.ndarray
    running_var: np.ndarray
    eps: float
    training: bool
    tanh_first: bool
    heads: int
    neurons: int


class Tables(NamedTuple):
    """Rows of `piece` numbers: d is what BatchNorm takes less the wild type's, x what parents read.

    g is the gradient of x while it is being summed, then that of z; dots [heads, rows] is x times a head's weights.
    """

    d: np.ndarray
    x: np.ndarray
    g: np.ndarray
    dots: np.ndarray


class State(NamedTuple):
    """Of each neuron: a_0, mean (less a_0), biased variance and 1 / sqrt(var + eps); and BatchNorm's sums, float64.

    Upwards, from PARTIAL to FINAL: mean64 and squares, the sum of weight (d - mean)^2. Downwards: own_total and
    own_moment, the sum of what BatchNorm's output gets and of that times d - mean; all_*: those of all processes.
    """

    a0: np.ndarray
    mean: np.ndarray
    var: np.ndarray
    inv: np.ndarray
    mean64: np.ndarray
    squares: np.ndarray
    own_total: np.ndarray
    own_moment: np.ndarray
    all_total: np.ndarray
    all_moment: np.ndarray


class Found(NamedTuple):
    """Gradients, shaped like the parameters; `wild` is dz of wild types."""

    weights: np.ndarray
    genes: np.ndarray
    direction: np.ndarray
    wild: np.ndarray
    gamma: np.ndarray
    beta: np.ndarray
    head: np.ndarray


class Schedule(NamedTuple):
    """Tasks, blocks [first, last) of a term; those of a level are level_ptr[i]:level_ptr[i + 1].

    A term's work is cut into `parts` tasks, of which `done` have been run. `taken`: the next task, alone in its line of
    a cache, or threads would wait for each other's counters.
    """

    term: np.ndarray
    first: np.ndarray
    last: np.ndarray
    level_ptr: np.ndarray
    parts: np.ndarray
    done: np.ndarray
    taken: np.ndarray


class Scratch(NamedTuple):
    """A thread's own: a panel of an edge's weights, a group's chunk of products, a panel of what parents got, sums."""

    packed: np.ndarray
    rows: np.ndarray
    given: np.ndarray
    sums: np.ndarray


# ----------------------------------------------------------------------------------------------------- the way up


@compiled
@no_type_check
def _pack(lanes, weights, start, stride, inputs, packed):
    """W^T of a panel to one block of the parent: a vector of the block's weights for each of the child's neurons."""
    piece = size(lanes)
    for o in range(piece):
        own = start + o * stride
        for i in range(inputs):
            packed[i * piece + o] = get(weights, own + i)


@compiled
@no_type_check
def _tile(lanes, table, at, step, blocks, packed, rows, to, fresh):
    """Three rows of a table times packed weights, set where `fresh`, else added; its blocks are `step` numbers apart.

    Rows behind a term's last are another's, or none's: their products are not used.
    """
    piece = size(lanes)
    a, b, c = zeros(lanes, table), zeros(lanes, table), zeros(lanes, table)
    if not fresh:
        a, b, c = load(lanes, rows, to), load(lanes, rows, to + piece), load(lanes, rows, to + 2 * piece)
    for block in range(blocks):
        own = at + block * step
        first = block * piece * piece
        for i in range(piece):
            w = load(lanes, packed, first + i * piece)
            a = muladd(a, get(table, own + i), w)
            b = muladd(b, get(table, own + piece + i), w)
            c = muladd(c, get(table, own + 2 * piece + i), w)
    store(rows, to, a)
    store(rows, to + piece, b)
    store(rows, to + 2 * piece, c)


@compiled
@no_type_check
def _wide_tile(lanes, table, at, step, blocks, packed, rows, to, fresh):
    """`_tile` of six rows."""
    piece = size(lanes)
    a, b, c = zeros(lanes, table), zeros(lanes, table), zeros(lanes, table)
    d, e, f = zeros(lanes, table), zeros(lanes, table), zeros(lanes, table)
    if not fresh:
        a, b, c = load(lanes, rows, to), load(lanes, rows, to + piece), load(lanes, rows, to + 2 * piece)
        d, e = load(lanes, rows, to + 3 * piece), load(lanes, rows, to + 4 * piece)
        f = load(lanes, rows, to + 5 * piece)
    for block in range(blocks):
        own = at + block * step
        first = block * piece * piece
        for i in range(piece):
            w = load(lanes, packed, first + i * piece)
            a = muladd(a, get(table, own + i), w)
            b = muladd(b, get(table, own + piece + i), w)
            c = muladd(c, get(table, own + 2 * piece + i), w)
            d = muladd(d, get(table, own + 3 * piece + i), w)
            e = muladd(e, get(table, own + 4 * piece + i), w)
            f = muladd(f, get(table, own + 5 * piece + i), w)
    store(rows, to, a)
    store(rows, to + piece, b)
    store(rows, to + 2 * piece, c)
    store(rows, to + 3 * piece, d)
    store(rows, to + 4 * piece, e)
    store(rows, to + 5 * piece, f)


@compiled
@no_type_check
def _tiles(lanes, table, at, step, blocks, packed, rows, to, count, fresh):
    """Rows of a table times packed weights, tile by tile; returns how many, of `count` all but one or two."""
    piece, whole = size(lanes), 0
    if WIDE:
        for v in range(0, count - WIDE_TILE + 1, WIDE_TILE):
            _wide_tile(lanes, table, at + v * piece, step, blocks, packed, rows, to + v * piece, fresh)
            whole = v + WIDE_TILE
    for v in range(whole, count - TILE + 1, TILE):
        _tile(lanes, table, at + v * piece, step, blocks, packed, rows, to + v * piece, fresh)
        whole = v + TILE
    return whole


@compiled
@no_type_check
def _add_products(lanes, terms, edges, batch, weights, tables, scratch, edge, lo, hi):
    """Add an edge's products to the rows of d, blocks [lo, hi) of its parent, that read them.

    Of a wide child a panel after the other, each times all these blocks: whole rows of all its variants would come
    from memory again for each block.
    """
    piece = size(lanes)
    child, parent = get(edges.child, edge), get(edges.parent, edge)
    blocks, variants = get(terms.blocks, child), batch.variant_ptr[child + 1] - batch.variant_ptr[child]
    first_reader = batch.variant_ptr[parent]
    readers = batch.variant_ptr[parent + 1] - first_reader
    stride, span = get(edges.stride, edge), (CHUNK + TILE) * piece
    rows, d = scratch.rows, tables.d
    for first in range(0, variants, CHUNK):
        count = min(CHUNK, variants - first)
        for panel in range(0, blocks, PANEL):
            some = min(PANEL, blocks - panel)
            at = (get(batch.row_ptr, child) + panel * variants + first) * piece
            for block in range(lo, hi):
                start = get(edges.weight, edge) + (block * stride + panel) * piece
                _pack(lanes, weights, start, stride, some * piece, scratch.packed)
                to, step = (block - lo) * span, variants * piece
                v = _tiles(lanes, tables.x, at, step, some, scratch.packed, rows, to, count, panel == 0)
                if v < count:
                    row, own = at + v * piece, to + v * piece
                    _tile(lanes, tables.x, row, step, some, scratch.packed, rows, own, panel == 0)
        slot = get(batch.edge_slot, edge) + first
        for block in range(lo, hi):
            base = (get(batch.row_ptr, parent) + block * readers - first_reader) * piece
            for v in range(count):
                product = load(lanes, rows, (block - lo) * span + v * piece)
                for i in range(get(batch.slot_ptr, slot + v), get(batch.slot_ptr, slot + v + 1)):
                    to = base + get(batch.slot_reader, i) * piece
                    store(d, to, load(lanes, d, to) + product)


@compiled
@no_type_check
def _add_up(lanes, terms, edges, batch, net, tables, scratch, term, lo, hi):
    """Set d of blocks [lo, hi) to what each variant reads, less the genes that it has lost; a wild type's to its z."""
    piece = size(lanes)
    d, first = tables.d, batch.variant_ptr[term]
    variants = batch.variant_ptr[term + 1] - first
    for row in range(get(batch.row_ptr, term) + lo * variants, get(batch.row_ptr, term) + hi * variants):
        store(d, row * piece, zeros(lanes, d))
    for edge in range(terms.child_edge[term], terms.child_edge[term + 1]):
        _add_products(lanes, terms, edges, batch, net.weights, tables, scratch, edge, lo, hi)
    for block in range(lo, hi):
        row = get(batch.row_ptr, term) + block * variants
        step, q = block * get(terms.genes, term), get(terms.first_block, term) + block
        for v in range(variants):
            at = (row + v) * piece
            for i in range(get(batch.lost_ptr, first + v), get(batch.lost_ptr, first + v + 1)):
                own = load(lanes, d, at) - load(lanes, net.genes, (get(batch.lost_piece, i) + step) * piece)
                if len(net.direction):  # shared gene weights: the same step for each lost gene, whichever it is
                    own = own + load(lanes, net.direction, q * piece)
                store(d, at, own)
        whole = load(lanes, net.bias, q * piece)
        for i in range(get(terms.gene_start, q), get(terms.gene_start, q + 1)):
            whole = whole + load(lanes, net.genes, i * piece)
        store(d, row * piece, load(lanes, d, row * piece) + whole)


@compiled
@no_type_check
def _sums(lanes, batch, tables, state, term, row, q):
    """Mean (counted from the wild type's) and squared deviations of a block, a variant counted `weight` times.

    In two passes, the mean first: the mean of squares less the square of the mean loses what tiny variances have.
    """
    piece = size(lanes)
    d, first = tables.d, batch.variant_ptr[term]
    variants, samples = batch.variant_ptr[term + 1] - first, 0.0
    whole = zeros(lanes, state.mean64)
    for start in range(0, variants, SOME):
        some = zeros(lanes, d)
        for v in range(start, min(start + SOME, variants)):
            samples += get(batch.weight, first + v)
            some = muladd(some, get(batch.weight, first + v), load(lanes, d, (row + v) * piece))
        whole = whole + wide(some)
    # a process of which no sample is left: mean and squares 0
    store(state.mean64, q * piece, scaled(1.0 / max(samples, 1.0), whole))
    store(state.mean, q * piece, load(lanes, state.mean64, q * piece))
    mean, whole = load(lanes, state.mean, q * piece), zeros(lanes, state.mean64)
    for start in range(0, variants, SOME):
        some = zeros(lanes, d)
        for v in range(start, min(start + SOME, variants)):
            away = load(lanes, d, (row + v) * piece) - mean
            some = muladd(some, scaled(get(batch.weight, first + v), away), away)
        whole = whole + wide(some)
    store(state.squares, q * piece, whole)


@compiled
@no_type_check
def _up_partial(lanes, terms, batch, net, tables, state, term, block):
    """From z to what BatchNorm takes, less the wild type's, and its sums."""
    piece = size(lanes)
    variants = batch.variant_ptr[term + 1] - batch.variant_ptr[term]
    row, q = get(batch.row_ptr, term) + block * variants, get(terms.first_block, term) + block
    d = tables.d
    z0 = load(lanes, d, row * piece)
    if net.tanh_first:
        # tanh(z_0 + d) - tanh(z_0), as t (1 - a_0^2) / (1 + a_0 t) of t = tanh(d), keeps more digits of small d, but
        # is 0 / 0 where both are saturated: in float32 against float64, heads at weights of 0.1 came out 30 times worse
        a0 = tanh(z0)
        store(state.a0, q * piece, a0)
        for v in range(1, variants):
            store(d, (row + v) * piece, tanh(z0 + load(lanes, d, (row + v) * piece)) - a0)
    else:
        store(state.a0, q * piece, z0)
    store(d, row * piece, zeros(lanes, d))
    if net.training:
        _sums(lanes, batch, tables, state, term, row, q)


@compiled
@no_type_check
def _settle(lanes, batch, net, state, term, q):
    """Set a block's mean, variance and inverse deviation."""
    piece = size(lanes)
    for k in range(q * piece, (q + 1) * piece):
        if net.training:
            varies = batch.varies[term]
            state.mean[k] = state.mean64[k]
            # where all samples agree on a variant that is not the wild type, mean is its d but for rounding: times
            # varies = 0 the variance, and with it the slope, is exactly 0, not rounding / sqrt(eps)
            state.var[k] = varies * state.squares[k] / batch.samples
            state.inv[k] = varies / np.sqrt(state.var[k] + net.eps)
        else:
            state.mean[k] = net.counted_mean[k]  # of a running mean in float32, minus a0, only rounding would be left
            state.inv[k] = 1 / np.sqrt(net.running_var[k] + net.eps)


@compiled
@no_type_check
def _up_final(lanes, terms, batch, net, tables, state, term, block):
    """Through BatchNorm to x of every variant, and its part of the head."""
    piece = size(lanes)
    variants = batch.variant_ptr[term + 1] - batch.variant_ptr[term]
    row, q = get(batch.row_ptr, term) + block * variants, get(terms.first_block, term) + block
    d, x = tables.d, tables.x
    _settle(lanes, batch, net, state, term, q)
    scale = load(lanes, net.gamma, q * piece) * load(lanes, state.inv, q * piece)
    offset = load(lanes, net.beta, q * piece) - load(lanes, state.mean, q * piece) * scale
    h0 = offset if net.tanh_first else tanh(offset)
    head = load(lanes, net.head, q * piece)
    store(x, row * piece, h0)
    tables.dots[row] = total(h0 * head)
    for v in range(row + 1, row + variants):
        own = load(lanes, d, v * piece) * scale
        if not net.tanh_first:
            own = tanh(own + offset) - h0
        store(x, v * piece, own)
        tables.dots[v] = total(own * head)
    # further heads read x while it is near; the first is apart, so that a network of one is as fast as ever
    for p in range(1, net.heads):
        head = load(lanes, net.head, p * net.neurons + q * piece)
        for v in range(row, row + variants):
            tables.dots[p * batch.rows + v] = total(load(lanes, x, v * piece) * head)


@compiled
@no_type_check
def _wait(schedule, term, spins):
    """Look for a little while whether a term's tasks are done; returns how often in all, above SPINS: they are not."""
    while current(schedule.done, term) < get(schedule.parts, term):
        spins += 1
        if spins > SPINS:
            break
    return spins


@compiled
@no_type_check
def up(lanes, terms, edges, batch, net, tables, state, schedule, scratch, phases, task, end):
    """Run tasks up to `end`, first the one that was taken before, where `task` is not -1.

    Returns `end`; or a task, taken, that waits for another thread's. The caller sleeps a little then, and calls again.
    """
    while True:
        if task < 0:
            task = count_up(schedule.taken, 0)
        if task >= end:
            break
        term, last = schedule.term[task], schedule.last[task]
        spins = 0
        for edge in range(terms.child_edge[term], terms.child_edge[term + 1]):
            spins = _wait(schedule, get(edges.child, edge), spins)
        if spins > SPINS:
            return task
        for lo in range(schedule.first[task], last, GROUP):
            hi = min(lo + GROUP, last)
            if phases & SUMS:
                _add_up(lanes, terms, edges, batch, net, tables, scratch, term, lo, hi)
            for block in range(lo, hi):
                if phases & PARTIAL:
                    _up_partial(lanes, terms, batch, net, tables, state, term, block)
                if phases & FINAL:
                    _up_final(lanes, terms, batch, net, tables, state, term, block)
        count_up(schedule.done, term)
        task = -1
    return end


@compiled
@no_type_check
def add_heads(terms, batch, dots, heads, number):
    """Give each variant its `number` heads: the sum over the term's blocks, and the wild type's, its origin."""
    for p in range(number):
        for term in range(len(terms.blocks)):
            variants = batch.variant_ptr[term + 1] - batch.variant_ptr[term]
            first = p * len(batch.weight) + batch.variant_ptr[term]
            row = p * batch.rows + batch.row_ptr[term]
            for v in range(variants):
                own = dots[row + v]
                for block in range(1, terms.blocks[term]):
                    own += dots[row + block * variants + v]
                heads[first + v] = own if v == 0 else own + heads[first]


# --------------------------------------------------------------------------------------------------- the way down


@compiled
@no_type_check
def _fetch(lanes, batch, g, scratch, base, slot, count, to):
    """Sum for each of a chunk's variants the rows of a parent's block that read it, into `given`."""
    piece = size(lanes)
    for v in range(count):
        first, last = get(batch.slot_ptr, slot + v), get(batch.slot_ptr, slot + v + 1)
        own = zeros(lanes, g)
        for i in range(first, last):
            own = own + load(lanes, g, base + get(batch.slot_reader, i) * piece)
        store(scratch.given, to + v * piece, own)


@compiled
@no_type_check
def _five_weight_rows(lanes, given, at, x, row, count, found, to, stride, fresh):
    """Five rows of `_weight_tiles`, which all are the block's: ten registers of sums."""
    piece = size(lanes)
    a, b, c = zeros(lanes, x), zeros(lanes, x), zeros(lanes, x)
    d, e = zeros(lanes, x), zeros(lanes, x)
    if not fresh:
        a, b, c = load(lanes, found, to), load(lanes, found, to + stride), load(lanes, found, to + 2 * stride)
        d, e = load(lanes, found, to + 3 * stride), load(lanes, found, to + 4 * stride)
    for v in range(count):
        own, by = load(lanes, x, row + v * piece), at + v * piece
        a = muladd(a, get(given, by), own)
        b = muladd(b, get(given, by + 1), own)
        c = muladd(c, get(given, by + 2), own)
        d = muladd(d, get(given, by + 3), own)
        e = muladd(e, get(given, by + 4), own)
    store(found, to, a)
    store(found, to + stride, b)
    store(found, to + 2 * stride, c)
    store(found, to + 3 * stride, d)
    store(found, to + 4 * stride, e)


@compiled
@no_type_check
def _weight_tiles(lanes, given, at, x, row, count, found, start, stride, fresh):
    """A block of an edge's weights' gradient: three of its rows at a time, summed over some variants.

    `fresh`: set, else added. Of the last three rows some may be none of the block's: they are not kept.
    """
    piece, whole = size(lanes), 0
    if WIDE:
        for o in range(0, piece - WIDE_ROWS + 1, WIDE_ROWS):
            _five_weight_rows(lanes, given, at + o, x, row, count, found, start + o * stride, stride, fresh)
            whole = o + WIDE_ROWS
    for o in range(whole, piece, TILE):
        a, b, c = zeros(lanes, x), zeros(lanes, x), zeros(lanes, x)
        for v in range(count):
            own, by = load(lanes, x, row + v * piece), at + v * piece + o
            a = muladd(a, get(given, by), own)
            b = muladd(b, get(given, by + 1), own)
            c = muladd(c, get(given, by + 2), own)
        to = start + o * stride
        if not fresh:
            a = a + load(lanes, found, to)
        store(found, to, a)
        if o + 1 < piece:
            if not fresh:
                b = b + load(lanes, found, to + stride)
            store(found, to + stride, b)
        if o + 2 < piece:
            if not fresh:
                c = c + load(lanes, found, to + 2 * stride)
            store(found, to + 2 * stride, c)


@compiled
@no_type_check
def _weights_down(lanes, given, at, x, row, count, found, start, stride, fresh, sums):
    """A block of an edge's weights' gradient from a chunk of variants, part by part.

    Of several parts summed side by side first: in the table rows are `stride` apart, a page and a line of cache each.
    """
    piece = size(lanes)
    if count <= PART:
        _weight_tiles(lanes, given, at, x, row, count, found, start, stride, fresh)
        return
    for first in range(0, count, PART):
        own = first * piece
        _weight_tiles(lanes, given, at + own, x, row + own, min(PART, count - first), sums, 0, piece, first == 0)
    for o in range(piece):
        whole, to = load(lanes, sums, o * piece), start + o * stride
        if not fresh:
            whole = whole + load(lanes, found, to)
        store(found, to, whole)


@compiled
@no_type_check
def _rows_down(lanes, given, span, blocks, packed, g, row, count, rows):
    """Add a panel of what a parent got times weights to a chunk of one block's rows of g."""
    piece = size(lanes)
    whole = _tiles(lanes, given, 0, span, blocks, packed, g, row, count, False)
    # behind the last row another task may write
    for v in range(whole, count):
        store(rows, (v - whole) * piece, load(lanes, g, row + v * piece))
    if whole < count:
        _tile(lanes, given, whole * piece, span, blocks, packed, rows, 0, False)
    for v in range(whole, count):
        store(g, row + v * piece, load(lanes, rows, (v - whole) * piece))


@compiled
@no_type_check
def _down_edge(lanes, terms, edges, batch, weights, tables, found, scratch, edge, lo, hi):
    """An edge's part of the gradient of its child's x, blocks [lo, hi), and of the weights from these."""
    piece = size(lanes)
    child, parent = get(edges.child, edge), get(edges.parent, edge)
    variants = batch.variant_ptr[child + 1] - batch.variant_ptr[child]
    first_reader = batch.variant_ptr[parent]
    readers = batch.variant_ptr[parent + 1] - first_reader
    stride, span = get(edges.stride, edge), (CHUNK + TILE) * piece
    g, given, packed = tables.g, scratch.given, scratch.packed
    for first in range(0, variants, CHUNK):
        count = min(CHUNK, variants - first)
        for panel in range(0, get(terms.blocks, parent), PANEL):
            some = min(PANEL, get(terms.blocks, parent) - panel)
            for above in range(some):
                base = (get(batch.row_ptr, parent) + (panel + above) * readers - first_reader) * piece
                _fetch(lanes, batch, g, scratch, base, get(batch.edge_slot, edge) + first, count, above * span)
            for block in range(lo, hi):
                row = (get(batch.row_ptr, child) + block * variants + first) * piece
                start = get(edges.weight, edge) + (panel * stride + block) * piece
                # side by side: `stride` apart the rows may all fall into one set of the cache
                for o in range(some * piece):
                    store(packed, o * piece, load(lanes, weights, start + o * stride))
                _rows_down(lanes, given, span, some, packed, g, row, count, scratch.rows)
                for above in range(some):
                    to = start + above * piece * stride
                    _weights_down(
                        lanes, given, above * span, tables.x, row, count, found.weights, to, stride, first == 0,
                        scratch.sums,
                    )  # fmt: skip


@compiled
@no_type_check
def _heads_down(lanes, batch, tables, state, found, dy, term, row, q):
    """Turn dx (in g) into dh but for the heads' part, and set the gradient of the head's weights.

    x_v is h_v - h_0 and x_0 is h_0, so dh_0 = dx_0 - SUM over v > 0 of dx_v. The head saw h_v: its gradient is
    SUM dy_v x_v, and x_0 = h_0 once more for each v > 0.
    """
    piece = size(lanes)
    g, x, first = tables.g, tables.x, batch.variant_ptr[term]
    variants, every = batch.variant_ptr[term + 1] - first, 0.0
    whole, seen = zeros(lanes, state.mean64), zeros(lanes, state.mean64)
    for start in range(0, variants, SOME):
        some, own = zeros(lanes, g), zeros(lanes, g)
        for v in range(start, min(start + SOME, variants)):
            every += get(dy, first + v)
            if v > 0:
                some = some + load(lanes, g, (row + v) * piece)
                own = muladd(own, get(dy, first + v), load(lanes, x, (row + v) * piece))
        whole, seen = whole + wide(some), seen + wide(own)
    store(g, row * piece, wide(load(lanes, g, row * piece)) - whole)
    store(found.head, q * piece, muladd(seen, every, wide(load(lanes, x, row * piece))))


@compiled
@no_type_check
def _further_head_down(lanes, batch, net, tables, state, found, dy, term, row, q, p):
    """Set the gradient of a further head's weights, as `_heads_down` does that of the first."""
    piece = size(lanes)
    x, first = tables.x, p * len(batch.weight) + batch.variant_ptr[term]
    variants, every = batch.variant_ptr[term + 1] - batch.variant_ptr[term], 0.0
    seen = zeros(lanes, state.mean64)
    for start in range(0, variants, SOME):
        own = zeros(lanes, x)
        for v in range(start, min(start + SOME, variants)):
            every += get(dy, first + v)
            if v > 0:
                own = muladd(own, get(dy, first + v), load(lanes, x, (row + v) * piece))
        seen = seen + wide(own)
    to = p * net.neurons + q * piece
    store(found.head, to, muladd(seen, every, wide(load(lanes, x, row * piece))))


@compiled
@no_type_check
def _down_partial(lanes, terms, batch, net, tables, state, found, dy, term, block):
    """From dx of a block, all its parents' edges summed, to what BatchNorm's output gets, and the sums of that."""
    piece = size(lanes)
    g, d, x, first = tables.g, tables.d, tables.x, batch.variant_ptr[term]
    variants = batch.variant_ptr[term + 1] - first
    row, q = get(batch.row_ptr, term) + block * variants, get(terms.first_block, term) + block
    _heads_down(lanes, batch, tables, state, found, dy, term, row, q)
    for p in range(1, net.heads):
        _further_head_down(lanes, batch, net, tables, state, found, dy, term, row, q, p)
    head, mean = load(lanes, net.head, q * piece), load(lanes, state.mean, q * piece)
    # a wild type that no sample shows is only the origin that the others are counted from
    absent = batch.wild[term] == 0
    h0 = load(lanes, x, row * piece)
    whole, moment = zeros(lanes, state.mean64), zeros(lanes, state.mean64)
    for start in range(0, variants, SOME):
        some, away = zeros(lanes, g), zeros(lanes, g)
        for v in range(start, min(start + SOME, variants)):
            at = (row + v) * piece
            own = muladd(load(lanes, g, at), get(dy, first + v), head)
            for p in range(1, net.heads):
                further = load(lanes, net.head, p * net.neurons + q * piece)
                own = muladd(own, get(dy, p * len(batch.weight) + first + v), further)
            if v == 0 and absent:
                own = zeros(lanes, g)
            if not net.tanh_first:
                h = load(lanes, x, at)
                if v > 0:
                    h = h + h0
                own = own - own * h * h
            store(g, at, own)
            some = some + own
            away = muladd(away, own, load(lanes, d, at) - mean)
        whole, moment = whole + wide(some), moment + wide(away)
    store(state.own_total, q * piece, whole)
    store(state.own_moment, q * piece, moment)


@compiled
@no_type_check
def _down_final(lanes, terms, batch, net, tables, state, found, scratch, term, block):
    """Through BatchNorm to dz of every variant, and the gradients of the block's own parameters."""
    piece = size(lanes)
    g, d, first = tables.g, tables.d, batch.variant_ptr[term]
    variants = batch.variant_ptr[term + 1] - first
    row, q = get(batch.row_ptr, term) + block * variants, get(terms.first_block, term) + block
    slope, plain = 0, piece
    # a variant's share of what goes back through mean and variance: total + (d_v - mean) slope = plain + d_v slope
    for k in range(piece):
        j, inv = q * piece + k, np.float64(state.inv[q * piece + k])
        scratch.rows[slope + k] = state.all_moment[j] * inv * inv
        scratch.rows[plain + k] = state.all_total[j] - np.float64(state.mean[j]) * scratch.rows[slope + k]
        found.gamma[j] = state.own_moment[j] * inv
        found.beta[j] = state.own_total[j]
    tilt, level = load(lanes, scratch.rows, slope), load(lanes, scratch.rows, plain)
    scale = load(lanes, net.gamma, q * piece) * load(lanes, state.inv, q * piece)
    a0, whole = load(lanes, state.a0, q * piece), zeros(lanes, state.mean64)
    for start in range(0, variants, SOME):
        some = zeros(lanes, g)
        for v in range(start, min(start + SOME, variants)):
            at = (row + v) * piece
            away = load(lanes, d, at)
            own = (load(lanes, g, at) - scaled(get(batch.share, first + v), muladd(level, away, tilt))) * scale
            if net.tanh_first:
                a = away + a0
                own = own - own * a * a
            store(g, at, own)
            some = some + own
        whole = whole + wide(some)
    # z_0 is in every variant, so its gradient is the sum of all. BatchNorm takes away what all z share: where it
    # comes first, that sum is 0, and rounding in its place would reach every untouched child's weights
    if net.training and not net.tanh_first:
        whole = zeros(lanes, state.mean64)
    store(found.wild, q * piece, whole)
    store(g, row * piece, whole)
    _genes_down(lanes, terms, batch, net, tables, found, term, block, row)


@compiled
@no_type_check
def _genes_down(lanes, terms, batch, net, tables, found, term, block, row):
    """Hand dz to the block's genes: the sum of all variants' to each gene, less that of those that have lost it."""
    piece = size(lanes)
    g, first = tables.g, batch.variant_ptr[term]
    variants = batch.variant_ptr[term + 1] - first
    q, step = get(terms.first_block, term) + block, block * get(terms.genes, term)
    common = load(lanes, g, row * piece)
    for i in range(get(terms.gene_start, q), get(terms.gene_start, q + 1)):
        store(found.genes, i * piece, common)
    turn = zeros(lanes, g)
    for v in range(variants):
        own = load(lanes, g, (row + v) * piece)
        for i in range(get(batch.lost_ptr, first + v), get(batch.lost_ptr, first + v + 1)):
            at = (get(batch.lost_piece, i) + step) * piece
            store(found.genes, at, load(lanes, found.genes, at) - own)
            turn = turn + own
    if len(net.direction):
        store(found.direction, q * piece, turn)


@compiled
@no_type_check
def down(lanes, terms, edges, batch, net, tables, state, schedule, dy, found, scratch, phases, task, end):
    """Run tasks, parents first; else as `up`. A task sums what its term's parents got (g is theirs and dz by now)."""
    piece = size(lanes)
    while True:
        if task < 0:
            task = count_up(schedule.taken, 0)
        if task >= end:
            break
        term, lo, hi = schedule.term[task], schedule.first[task], schedule.last[task]
        spins = 0
        for i in range(get(terms.parent_ptr, term), get(terms.parent_ptr, term + 1)):
            spins = _wait(schedule, get(edges.parent, get(terms.parent_edge, i)), spins)
        if spins > SPINS:
            return task
        if phases & SUMS:
            variants = batch.variant_ptr[term + 1] - batch.variant_ptr[term]
            row = get(batch.row_ptr, term)
            for v in range(row + lo * variants, row + hi * variants):
                store(tables.g, v * piece, zeros(lanes, tables.g))
            for i in range(get(terms.parent_ptr, term), get(terms.parent_ptr, term + 1)):
                edge = get(terms.parent_edge, i)
                _down_edge(lanes, terms, edges, batch, net.weights, tables, found, scratch, edge, lo, hi)
        for block in range(lo, hi):
            if phases & PARTIAL:
                _down_partial(lanes, terms, batch, net, tables, state, found, dy, term, block)
            if phases & FINAL:
                _down_final(lanes, terms, batch, net, tables, state, found, scratch, term, block)
        count_up(schedule.done, term)
        task = -1
    return end
