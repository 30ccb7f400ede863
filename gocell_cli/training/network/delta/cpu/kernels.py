"""Compiled loops of the delta form on the CPU: a term's rows stay in the cache from sum to statistics to output.

One call runs the terms of a level and one width. It is cut into tasks (first term, last, first neuron, last) that no
two threads share: a term's rows and the products that they read belong to one task, or, of a wide term, its neurons do.
Sums over rows are taken in float64. Tables of a run are [rows, width], parameters [terms, width]. Inner loops run over
slices, which the compiler turns into vector instructions; indexed with an offset they took three times as long.
"""

from typing import no_type_check

from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.delta.compiling import compiled, parallel
from gocell_cli.training.network.delta.cpu.reads import add_up, scatter

with train_extra():
    import numpy as np
    from numba import prange


@compiled
@no_type_check
def _statistics(d, weight, samples):
    """Mean (counted from the wild type's) and biased variance of each neuron, a row counted `weight` times."""
    total, squares = np.zeros(d.shape[1]), np.zeros(d.shape[1])
    mean = np.empty(d.shape[1], d.dtype)
    for r in range(1, len(d)):
        own, times = d[r], weight[r]
        for k in range(len(own)):
            total[k] += times * own[k]
    for k in range(len(mean)):
        mean[k] = total[k] / samples
    for r in range(len(d)):
        own, times = d[r], weight[r]
        for k in range(len(own)):
            c = own[k] - mean[k]
            squares[k] += times * c * c
    return mean, squares / samples


@compiled
@no_type_check
def _normalise(d, at, weight, varies, norm, state, affine):
    """Take a_0 out of d's first row, set a_0, mean, var and inv at `at`; h is d * scale + offset."""
    counted_mean, running_var, eps, samples, training = norm
    term, lo, hi = at
    a0, mean, var, inv = (state[0][term, lo:hi], state[1][term, lo:hi], state[2][term, lo:hi], state[3][term, lo:hi])
    gamma, beta = affine[0][term, lo:hi], affine[1][term, lo:hi]
    a0[:] = d[0]
    d[0] = 0
    if training:
        found, squares = _statistics(d, weight, samples)
        for k in range(len(a0)):
            mean[k] = found[k]
            var[k] = varies * squares[k]
            inv[k] = varies / np.sqrt(var[k] + eps)
    else:
        counted, spread = counted_mean[term, lo:hi], running_var[term, lo:hi]
        for k in range(len(a0)):
            mean[k] = counted[k]  # of a running mean in float32, minus a0, only rounding would be left
            inv[k] = 1 / np.sqrt(spread[k] + eps)
    scale = gamma * inv
    return scale, beta - mean * scale


@parallel
@no_type_check
def linear(tasks, starts, tables, rows, genes, steps, wild, direction, stats, norm, state, affine, tanh_first):
    """Z of the run's rows. With tanh last, go on through BatchNorm: x is what tanh is taken of; else d is."""
    weight, varies = stats
    for task in prange(len(tasks)):
        lo, hi = tasks[task, 2], tasks[task, 3]
        for term in range(tasks[task, 0], tasks[task, 1]):
            first, last, row = starts[term] - starts[0], starts[term + 1] - starts[0], starts[term]
            d, x = tables[0][first:last, lo:hi], tables[1][first:last, lo:hi]
            add_up(d, (term, row, lo, hi), rows, genes, steps[term], direction)
            z0, bias = d[0], wild[term, lo:hi]
            for k in range(len(z0)):
                z0[k] += bias[k]
            if tanh_first:
                for r in range(1, len(d)):
                    own = d[r]
                    for k in range(len(own)):
                        own[k] += z0[k]
            else:
                scale, offset = _normalise(
                    d, (term, lo, hi), weight[row : row + len(d)], varies[term], norm, state, affine
                )
                for r in range(len(d)):
                    own, given = d[r], x[r]
                    for k in range(len(own)):
                        given[k] = own[k] * scale[k] + offset[k]


@compiled
@no_type_check
def _hand_over(x, head, heads):
    """Give each row's head, whose x is h - h_0 or, in the first row, h_0."""
    base = 0.0
    for r in range(len(x)):
        own, total = x[r], 0.0
        for k in range(len(own)):
            total += own[k] * head[k]
        heads[r] = base + total
        if r == 0:
            base = total


@parallel
@no_type_check
def outputs(tasks, starts, tables, stats, norm, state, affine, head, heads, tanh_first):
    """With tanh first, BatchNorm of it; then x of every row, and its head, added up over the parts of `heads`."""
    weight, varies = stats
    for task in prange(len(tasks)):
        lo, hi = tasks[task, 2], tasks[task, 3]
        part = np.int64(task) if len(heads) > 1 else 0
        for term in range(tasks[task, 0], tasks[task, 1]):
            first, last, row = starts[term] - starts[0], starts[term + 1] - starts[0], starts[term]
            d, x = tables[0][first:last, lo:hi], tables[1][first:last, lo:hi]
            origin = d[0] if tanh_first else x[0]
            target = d if tanh_first else x
            for r in range(1, len(x)):
                own = target[r]
                for k in range(len(own)):
                    own[k] -= origin[k]
            if tanh_first:
                scale, offset = _normalise(
                    d, (term, lo, hi), weight[row : row + len(d)], varies[term], norm, state, affine
                )
                x[0] = offset
                for r in range(1, len(d)):
                    own, given = d[r], x[r]
                    for k in range(len(own)):
                        given[k] = own[k] * scale[k]
            _hand_over(x, head[term, lo:hi], heads[part, first:last])


@compiled
@no_type_check
def _heads_down(g, x, dy, head, found):
    """Turn dx into dh (x_r is h_r - h_0: the first row's h is in all) and add the heads' part."""
    total, every = np.zeros(g.shape[1]), 0.0
    for r in range(1, len(g)):
        own = g[r]
        for k in range(len(own)):
            total[k] += own[k]
    g[0] -= total
    total[:] = 0
    for r in range(len(g)):
        own, times = g[r], dy[r]
        every += times
        for k in range(len(own)):
            own[k] += times * head[k]
        if r > 0:
            given = x[r]
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
    for r in range(len(g)):
        own, given, away = g[r], x[r], d[r]
        if not tanh_first and r == 0:
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
    """From the gradient of BatchNorm's output to dz of every row; returns the sum of all rows'."""
    common = np.zeros(g.shape[1])
    for r in range(len(g)):
        own, away, part = g[r], d[r], share[r]
        for k in range(len(own)):
            own[k] = (own[k] - part * (plain[k] + away[k] * slope[k])) * scale[k]
        if tanh_first:
            for k in range(len(own)):
                a = away[k] + a0[k]
                own[k] -= own[k] * a * a
        for k in range(len(own)):
            common[k] += own[k]
    return common


@parallel
@no_type_check
def gradients(tasks, starts, slots, tables, rows, genes, steps, stats, dy, norm, state, gamma, head, found, tanh_first):
    """From dx (in g) and the heads' gradient dy to dz of every row (into g), on to products, genes and parameters.

    `found`: the gradients of gamma, beta, head, wild and direction. Term t's products are slots[t]:slots[t + 1].
    """
    weight, share = stats
    for task in prange(len(tasks)):
        lo, hi = tasks[task, 2], tasks[task, 3]
        for term in range(tasks[task, 0], tasks[task, 1]):
            first, last, row = starts[term] - starts[0], starts[term + 1] - starts[0], starts[term]
            d, x, g = (tables[0][first:last, lo:hi], tables[1][first:last, lo:hi], tables[2][first:last, lo:hi])
            mean, inv = state[1][term, lo:hi], state[3][term, lo:hi]
            _heads_down(g, x, dy[first:last], head[term, lo:hi], found[2][term, lo:hi])
            total, moment = _moments_down(g, d, x, weight[row] == 0, mean, tanh_first)
            scale, slope = gamma[term, lo:hi] * inv, np.empty(hi - lo, g.dtype)
            plain = np.empty(hi - lo, g.dtype)
            for k in range(hi - lo):
                slope[k] = moment[k] * inv[k] * inv[k]
                plain[k] = total[k] - mean[k] * slope[k]
            common = _norm_down(g, d, share[row : row + len(g)], slope, plain, scale, state[0][term, lo:hi], tanh_first)
            # BatchNorm takes away what all rows of z share: where it comes first, that gradient is exactly 0
            if norm[4] and not tanh_first:
                common[:] = 0
            found[0][term, lo:hi] = moment * inv
            found[1][term, lo:hi] = total
            found[3][term, lo:hi] = common
            g[0] = common
            scatter(g, (term, row, lo, hi), rows, (slots[term], slots[term + 1]), genes, steps[term], found[4])
