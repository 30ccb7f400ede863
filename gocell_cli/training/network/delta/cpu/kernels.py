"""Compiled loops of the delta form on the CPU: a term's variants stay in the cache from sum to statistics to output.

Of term t, variant 0 is the wild type; its x is h_0, that of the others x_v = h_v - h_0, so that a product that a
variant does not read need not exist (docs/algebra.md, "The delta form"; one term in plain torch: `term_reference` in
network/dcell.py). Forward, with b the bias and w the genes' columns,

    z_0 = SUM_c W_c x_c,0 + b + SUM_g w_g
    z_v = z_0 + d_v,     d_v = SUM over the children that v reads of W_c x_c,v' - SUM over the genes v has lost of w_g

then BatchNorm over the batch's n samples, variant v counted weight_v times, of d counted from the wild type,

    mean = a_0 + SUM weight_v d_v / n      var = SUM weight_v (d_v - mean of d)^2 / n      (biased)

where a is tanh(z) (tanh-bn, d_v = a_v - a_0) or z (bn-tanh). Counted so, what is equal is exactly equal: d_v is 0, not
rounding noise that 1 / sqrt(eps) = 316 would blow up at every level, and the gradient that should be 0 is exactly 0.

A call runs one band. Parameters and statistics of a band are tables [terms, width], d, x and their gradient g tables
[variants, width]. Variants are the outer loop and neurons the inner one, for a variant's neurons lie side by side in
memory and a term's statistics are one vector that stays in the cache; inner loops run over slices, which the compiler
turns into vector instructions: indexed with an offset they took three times as long. Sums over variants are taken in
float64, for they have up to thousands of terms of both signs.

Each parallel loop is nothing but calls of a compiled function for a task: numba's passes over a parallel function take
seconds for a long one.
"""

from typing import NamedTuple, no_type_check

from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.delta.compiling import compiled, parallel, reordered

with train_extra():
    import numpy as np
    from numba import prange


class VariantArrays(NamedTuple):
    """Of every variant of the batch, whichever its band; what variant v reads are the slots read_slot[read_ptr[v]:...].

    read_slot counts from the first slot of the band's products; lost_piece is the first piece of the weights of a
    term-gene pair that v has lost, lost_ptr[v]:lost_ptr[v + 1]. share: weight / samples in training, else 0.
    """

    read_ptr: np.ndarray
    read_slot: np.ndarray
    lost_ptr: np.ndarray
    lost_piece: np.ndarray
    weight: np.ndarray
    share: np.ndarray


class BandArrays(NamedTuple):
    """A band: rows of TASK; its terms' variants (of all) and slots, CSR; varies: 1, or 0 where all samples agree.

    A pair's weights are a piece for each block of neurons, gene_step pieces apart: a term's number of genes.
    """

    tasks: np.ndarray
    variant_ptr: np.ndarray
    slot_ptr: np.ndarray
    gene_step: np.ndarray
    varies: np.ndarray


class Tables(NamedTuple):
    """A band's part of the three tables, [variants, width]; g is empty on the way up."""

    d: np.ndarray
    x: np.ndarray
    g: np.ndarray


class Inputs(NamedTuple):
    """What z is made of: the band's products [slots, width], gene pieces, and [terms, width] wild and direction.

    wild is bias plus all genes; direction has no row without shared gene weights. On the way down: their gradients.
    """

    products: np.ndarray
    genes: np.ndarray
    wild: np.ndarray
    direction: np.ndarray


class Norm(NamedTuple):
    """BatchNorm's parameters [terms, width] and settings; read outside training only: the statistics of evaluation.

    counted_mean is the running mean less the wild type's a_0 (no row in training).
    """

    gamma: np.ndarray
    beta: np.ndarray
    counted_mean: np.ndarray
    running_var: np.ndarray
    eps: float
    samples: float
    training: bool
    tanh_first: bool


class State(NamedTuple):
    """What the way up leaves for the way down, [terms, width]: a_0, mean (less a_0), variance, 1 / sqrt(var + eps)."""

    a0: np.ndarray
    mean: np.ndarray
    var: np.ndarray
    inv: np.ndarray


class Found(NamedTuple):
    """Gradients that the way down sets, [terms, width]."""

    gamma: np.ndarray
    beta: np.ndarray
    head: np.ndarray


class Place(NamedTuple):
    """Where a term is worked on: neurons [lo, hi); its first variant of all, and [first, last) of the band's."""

    term: int
    variant: int
    first: int
    last: int
    lo: int
    hi: int


@compiled
@no_type_check
def _place(band, task, term):
    start = band.variant_ptr[0]
    variant = band.variant_ptr[term]
    return Place(term, variant, variant - start, band.variant_ptr[term + 1] - start, task.lo, task.hi)


@compiled
@no_type_check
def _at(table, place):
    """A term's rows of a table [variants, width]."""
    return table[place.first : place.last, place.lo : place.hi]


@compiled
@no_type_check
def _of(values, place):
    """A term's row of a table [terms, width]."""
    return values[place.term, place.lo : place.hi]


# ----------------------------------------------------------------------------------------------------- the way up


@compiled
@no_type_check
def _add_up(d, place, variants, inputs, step):
    """Set d to what each variant reads, less the genes that it has lost; its first row to the wild type's sum."""
    genes = inputs.genes
    piece = genes.shape[1]
    for v in range(len(d)):
        own = d[v]
        own[:] = 0
        for i in range(variants.read_ptr[place.variant + v], variants.read_ptr[place.variant + v + 1]):
            read = inputs.products[variants.read_slot[i], place.lo : place.hi]
            for k in range(len(own)):
                own[k] += read[k]
        for i in range(variants.lost_ptr[place.variant + v], variants.lost_ptr[place.variant + v + 1]):
            for b in range(place.lo // piece, place.hi // piece):
                part = own[b * piece - place.lo : (b + 1) * piece - place.lo]
                gene = genes[variants.lost_piece[i] + b * step]
                for k in range(len(part)):
                    part[k] -= gene[k]
            if len(inputs.direction):  # shared gene weights: the same step for each lost gene, whichever it is
                own += _of(inputs.direction, place)


@compiled
@no_type_check
def _statistics(d, weight, samples):
    """Mean (counted from the wild type's) and biased variance of each neuron, a variant counted `weight` times.

    In two passes, the mean first: the mean of squares less the square of the mean loses what tiny variances have.
    """
    total, squares = np.zeros(d.shape[1]), np.zeros(d.shape[1])
    mean = np.empty(d.shape[1], d.dtype)
    for v in range(1, len(d)):  # the wild type's d is 0
        own, times = d[v], weight[v]
        for k in range(len(own)):
            total[k] += times * own[k]
    for k in range(len(mean)):
        mean[k] = total[k] / samples
    for v in range(len(d)):
        own, times = d[v], weight[v]
        for k in range(len(own)):
            c = own[k] - mean[k]
            squares[k] += times * c * c
    return mean, squares / samples


@compiled
@no_type_check
def _normalise(d, place, variants, varies, norm, state):
    """Take a_0 out of d's first row, set the state; return scale and offset, BatchNorm of a_v is d_v scale + offset."""
    a0, mean, var, inv = _of(state.a0, place), _of(state.mean, place), _of(state.var, place), _of(state.inv, place)
    a0[:] = d[0]
    d[0] = 0
    if norm.training:
        found, squares = _statistics(d, variants.weight[place.variant : place.variant + len(d)], norm.samples)
        for k in range(len(a0)):
            mean[k] = found[k]
            # where all samples agree on a variant that is not the wild type, mean is its d but for rounding: times
            # varies = 0 the variance, and with it the slope, is exactly 0, not rounding / sqrt(eps)
            var[k] = varies * squares[k]
            inv[k] = varies / np.sqrt(var[k] + norm.eps)
    else:
        counted, spread = _of(norm.counted_mean, place), _of(norm.running_var, place)
        for k in range(len(a0)):
            mean[k] = counted[k]  # of a running mean in float32, minus a0, only rounding would be left
            inv[k] = 1 / np.sqrt(spread[k] + norm.eps)
    scale = _of(norm.gamma, place) * inv
    return scale, _of(norm.beta, place) - mean * scale


@compiled
@no_type_check
def _linear_task(task, band, variants, tables, inputs, norm, state):
    for term in range(task.first, task.last):
        place = _place(band, task, term)
        d, x = _at(tables.d, place), _at(tables.x, place)
        _add_up(d, place, variants, inputs, band.gene_step[term])
        z0, wild = d[0], _of(inputs.wild, place)
        for k in range(len(z0)):
            z0[k] += wild[k]
        if norm.tanh_first:
            for v in range(1, len(d)):
                own = d[v]
                for k in range(len(own)):
                    own[k] += z0[k]
        else:
            scale, offset = _normalise(d, place, variants, band.varies[term], norm, state)
            for v in range(len(d)):
                own, given = d[v], x[v]
                for k in range(len(own)):
                    given[k] = own[k] * scale[k] + offset[k]


@parallel
@no_type_check
def linear(band, variants, tables, inputs, norm, state):
    """Z of the band's variants. With tanh last, go on through BatchNorm: x is what tanh is taken of; else d is.

    tanh itself is PyTorch's, between this call and `outputs`: it runs in vectors, numba's one number at a time.
    """
    for i in prange(len(band.tasks)):
        _linear_task(band.tasks[i], band, variants, tables, inputs, norm, state)


@compiled
@no_type_check
def _hand_over(x, head, heads):
    """Give each variant's head, whose x is h - h_0 or, in the first row, h_0."""
    base = 0.0
    for v in range(len(x)):
        own, total = x[v], 0.0
        for k in range(len(own)):
            total += own[k] * head[k]
        heads[v] = base + total
        if v == 0:
            base = total


@compiled
@no_type_check
def _outputs_task(task, band, variants, tables, norm, state, head, heads):
    for term in range(task.first, task.last):
        place = _place(band, task, term)
        d, x = _at(tables.d, place), _at(tables.x, place)
        outer = d if norm.tanh_first else x  # what tanh has just been taken of
        origin = outer[0]
        # tanh(z_0 + d) - tanh(z_0), as t (1 - a_0^2) / (1 + a_0 t) of t = tanh(d), keeps more digits of small d, but
        # is 0 / 0 where both are saturated: in float32 against float64, heads at weights of 0.1 came out 30 times worse
        for v in range(1, len(x)):
            own = outer[v]
            for k in range(len(own)):
                own[k] -= origin[k]
        if norm.tanh_first:
            scale, offset = _normalise(d, place, variants, band.varies[term], norm, state)
            x[0] = offset
            for v in range(1, len(d)):
                own, given = d[v], x[v]
                for k in range(len(own)):
                    given[k] = own[k] * scale[k]
        _hand_over(x, _of(head, place), heads[place.first : place.last])


@parallel
@no_type_check
def outputs(band, variants, tables, norm, state, head, heads):
    """With tanh first, BatchNorm of it; then x of every variant, and its head.

    heads [parts, variants]: tasks that share terms have a part each, of their own neurons, to be added up.
    """
    for i in prange(len(band.tasks)):
        part = np.int64(i) if len(heads) > 1 else 0
        _outputs_task(band.tasks[i], band, variants, tables, norm, state, head, heads[part])


# --------------------------------------------------------------------------------------------------- the way down


@compiled
@no_type_check
def _heads_down(g, x, dy, head, found):
    """Turn dx (in g) into dh, and add the heads' part; set the gradient of the head's weights.

    x_v is h_v - h_0 and x_0 is h_0, so dh_0 = dx_0 - SUM over v > 0 of dx_v (= 2 g_0 - SUM over all of g). The head
    saw h_v: its gradient is SUM dy_v x_v, and x_0 = h_0 once more for each v > 0.
    """
    total, every = np.zeros(g.shape[1]), 0.0
    for v in range(1, len(g)):
        own = g[v]
        for k in range(len(own)):
            total[k] += own[k]
    g[0] -= total
    total[:] = 0
    for v in range(len(g)):
        own, times = g[v], dy[v]
        every += times
        for k in range(len(own)):
            own[k] += times * head[k]
        if v > 0:
            given = x[v]
            for k in range(len(own)):
                total[k] += times * given[k]
    h0 = x[0]
    for k in range(len(found)):
        found[k] = total[k] + every * h0[k]


@compiled
@no_type_check
def _moments_down(g, d, x, absent, mean, tanh_first):
    """With tanh last, go through it; return the sum of what BatchNorm's output gets, and of that times a - mean."""
    total, moment, h0 = np.zeros(g.shape[1]), np.zeros(g.shape[1]), x[0].copy()
    if absent:  # a wild type that stands for no sample is only the origin that the others are counted from
        g[0] = 0
    for v in range(len(g)):
        own, given, away = g[v], x[v], d[v]
        if not tanh_first and v == 0:
            for k in range(len(own)):
                own[k] -= own[k] * given[k] * given[k]
        elif not tanh_first:
            for k in range(len(own)):
                h = given[k] + h0[k]
                own[k] -= own[k] * h * h
        for k in range(len(own)):
            total[k] += own[k]
        for k in range(len(own)):
            moment[k] += own[k] * (away[k] - mean[k])
    return total, moment


@compiled
@no_type_check
def _norm_down(g, d, share, slope, plain, scale, a0, tanh_first):
    """From the gradient of BatchNorm's output to dz of every variant; returns the sum of all of them."""
    common = np.zeros(g.shape[1])
    for v in range(len(g)):
        own, away, part = g[v], d[v], share[v]
        for k in range(len(own)):
            own[k] = (own[k] - part * (plain[k] + away[k] * slope[k])) * scale[k]
        if tanh_first:
            for k in range(len(own)):
                a = away[k] + a0[k]
                own[k] -= own[k] * a * a
        for k in range(len(own)):
            common[k] += own[k]
    return common


@compiled
@no_type_check
def _scatter(g, place, variants, inputs, slots, step):
    """Hand dz of each variant to the products that it read and, negated, to the genes that it has lost.

    `slots`, the term's products, are set to what all of its variants add up to: no other term reads them.
    """
    genes = inputs.genes
    piece = genes.shape[1]
    inputs.products[slots[0] : slots[1], place.lo : place.hi] = 0
    for v in range(len(g)):
        own = g[v]
        for i in range(variants.read_ptr[place.variant + v], variants.read_ptr[place.variant + v + 1]):
            read = inputs.products[variants.read_slot[i], place.lo : place.hi]
            for k in range(len(own)):
                read[k] += own[k]
        for i in range(variants.lost_ptr[place.variant + v], variants.lost_ptr[place.variant + v + 1]):
            for b in range(place.lo // piece, place.hi // piece):
                part = own[b * piece - place.lo : (b + 1) * piece - place.lo]
                gene = genes[variants.lost_piece[i] + b * step]
                for k in range(len(part)):
                    gene[k] -= part[k]
            if len(inputs.direction):
                slope = _of(inputs.direction, place)
                slope += own


@compiled
@no_type_check
def _gradients_task(task, band, variants, tables, inputs, norm, state, head, dy, found):
    for term in range(task.first, task.last):
        place = _place(band, task, term)
        d, x, g = _at(tables.d, place), _at(tables.x, place), _at(tables.g, place)
        mean, inv = _of(state.mean, place), _of(state.inv, place)
        _heads_down(g, x, dy[place.first : place.last], _of(head, place), _of(found.head, place))
        absent = variants.weight[place.variant] == 0
        total, moment = _moments_down(g, d, x, absent, mean, norm.tanh_first)
        # a variant's share of what goes back through mean and variance: total + (d_v - mean) slope = plain + d_v slope
        scale, slope = _of(norm.gamma, place) * inv, np.empty(g.shape[1], g.dtype)
        plain = np.empty(g.shape[1], g.dtype)
        for k in range(len(slope)):
            slope[k] = moment[k] * inv[k] * inv[k]
            plain[k] = total[k] - mean[k] * slope[k]
        share = variants.share[place.variant : place.variant + len(g)]
        common = _norm_down(g, d, share, slope, plain, scale, _of(state.a0, place), norm.tanh_first)
        # z_0 is in every variant, so its gradient is the sum of all. BatchNorm takes away what all z share: where it
        # comes first, that sum is 0, and rounding in its place would reach every untouched child's weights
        if norm.training and not norm.tanh_first:
            common[:] = 0
        _of(found.gamma, place)[:] = moment * inv
        _of(found.beta, place)[:] = total
        _of(inputs.wild, place)[:] = common
        g[0] = common
        _scatter(g, place, variants, inputs, (band.slot_ptr[term], band.slot_ptr[term + 1]), band.gene_step[term])


@parallel
@no_type_check
def gradients(band, variants, tables, inputs, norm, state, head, dy, found):
    """From dx (in g) and the heads' gradient dy to dz of every variant (into g), on to Inputs and Found.

    Backwards all of a band's parents come first: they have added to g what they read of it.
    """
    for i in prange(len(band.tasks)):
        _gradients_task(band.tasks[i], band, variants, tables, inputs, norm, state, head, dy, found)


# ------------------------------------------------- products of edges with few variants: W times x, and the way back


@compiled
@no_type_check
def _add_product(out, left, right):
    """Add left [rows, inner] times right [inner, columns] to out [rows, columns]; four inner ones a pass over out."""
    inner = len(right)
    for r in range(len(out)):
        own, by = out[r], left[r]
        for quad in range(inner // 4):
            j = 4 * quad
            a, b, c, e = by[j], by[j + 1], by[j + 2], by[j + 3]
            first, second, third, fourth = right[j], right[j + 1], right[j + 2], right[j + 3]
            for k in range(len(own)):
                own[k] += a * first[k] + b * second[k] + (c * third[k] + e * fourth[k])
        for j in range(inner - inner % 4, inner):
            a, first = by[j], right[j]
            for k in range(len(own)):
                own[k] += a * first[k]


@reordered
@no_type_check
def _dot(a, b):
    total = 0.0
    for i in range(len(a)):
        total += a[i] * b[i]
    return total


@compiled
@no_type_check
def _child(table, edge):
    """The edge's child's rows [variants, inp], of x or of its gradient."""
    rows = table[edge.at : edge.at + edge.variants * edge.pitch].reshape((edge.variants, edge.pitch))
    return rows[:, : edge.inp]


@compiled
@no_type_check
def _weights(weights, edge, neuron):
    """The edge's weights to one of the parent's neurons, [inp]."""
    start = edge.weight + neuron * edge.stride
    return weights[start : start + edge.inp]


@compiled
@no_type_check
def _products_task(edges, x, weights, found):
    out = found.shape[1]
    turned = np.empty((0, out), found.dtype)  # W^T, so that the inner loop runs over out: side by side in `found`
    for e in range(len(edges)):
        edge = edges[e]
        if edge.variants == 1:  # the wild type's alone: turning W around would cost more than the product
            row = x[edge.at : edge.at + edge.inp]
            for o in range(out):
                found[edge.slot, o] = _dot(_weights(weights, edge, o), row)
            continue
        if len(turned) != edge.inp:
            turned = np.empty((edge.inp, out), found.dtype)
        for o in range(out):
            own = _weights(weights, edge, o)
            for i in range(edge.inp):
                turned[i, o] = own[i]
        given = found[edge.slot : edge.slot + edge.variants]
        given[:] = 0
        _add_product(given, _child(x, edge), turned)


@parallel
@no_type_check
def products(cuts, edges, x, weights, found):
    """Set x W^T of every edge: rows [slot, slot + variants) of `found` [slots, out].

    Too small for a matrix library's calls, and there are thousands. edges: rows of EDGE; few[cuts[i]:cuts[i + 1]] are
    one task's.
    """
    for i in prange(len(cuts) - 1):
        _products_task(edges[cuts[i] : cuts[i + 1]], x, weights, found)


@compiled
@no_type_check
def _outer(dz, edge, x, weights, g, weight_gradients):
    """The gradients of an edge of one variant, the wild type's; with BatchNorm first they are 0 and are left so."""
    row, back = x[edge.at : edge.at + edge.inp], g[edge.at : edge.at + edge.inp]
    for o in range(len(dz)):
        if dz[o] != 0:
            own, found, times = _weights(weights, edge, o), _weights(weight_gradients, edge, o), dz[o]
            for i in range(len(row)):
                found[i] = times * row[i]
                back[i] += times * own[i]


@compiled
@no_type_check
def _product_gradients_task(edges, x, weights, given, g, weight_gradients):
    out = given.shape[1]
    copied = np.empty(
        (out, 0), given.dtype
    )  # W, then its gradient, rows side by side: `stride` apart they miss the cache
    for e in range(len(edges)):
        edge = edges[e]
        if edge.variants == 1:
            _outer(given[edge.slot], edge, x, weights, g, weight_gradients)
            continue
        if copied.shape[1] != edge.inp:
            copied = np.empty((out, edge.inp), given.dtype)
        for o in range(out):
            copied[o] = _weights(weights, edge, o)
        dz = given[edge.slot : edge.slot + edge.variants]
        _add_product(_child(g, edge), dz, copied)
        copied[:] = 0
        _add_product(copied, dz.T, _child(x, edge))
        for o in range(out):
            _weights(weight_gradients, edge, o)[:] = copied[o]


@parallel
@no_type_check
def product_gradients(cuts, edges, x, weights, given, g, weight_gradients):
    """From the products' gradients `given` to those of the weights (set: an edge's are its own) and of x (added to g).

    All edges of a child are one task's, for they add to the same rows of g.
    """
    for i in prange(len(cuts) - 1):
        _product_gradients_task(edges[cuts[i] : cuts[i + 1]], x, weights, given, g, weight_gradients)


# ------------------------------------------------------------------------- the genes' constant, once a step


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
    """Add block q's gradient to each of its gene pieces: all of them are in the wild type's z."""
    for q in prange(len(gradient)):
        own = gradient[q]
        for i in range(block_start[q], block_start[q + 1]):
            gene = genes[i]
            for k in range(len(own)):
                gene[k] += own[k]
