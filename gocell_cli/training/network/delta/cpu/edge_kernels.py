"""Compiled products of edges with few rows: too small for a matrix library's calls, and there are thousands.

An edge's rows are its child's, [rows, inp], each `pitch` after the one before; its weights W [out, inp] lie in the
stacked weights with a stride. edges [n, 7]: rows, where the first row begins in x, pitch, inp, where the weights begin,
their stride, the first slot. `cuts` share the edges among threads: all edges of a child go to one, for they add to the
same rows.
"""

from typing import no_type_check

from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.delta.compiling import compiled, parallel, reordered

with train_extra():
    import numpy as np
    from numba import prange


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
def _outer(dz, at, inp, weight, stride, x, weights, g, weight_gradients):
    """The gradients of an edge of one row, the wild type's; with BatchNorm first they are 0 and are left so."""
    row, back = x[at : at + inp], g[at : at + inp]
    for o in range(len(dz)):
        if dz[o] != 0:
            start, times = weight + o * stride, dz[o]
            own, found = weights[start : start + inp], weight_gradients[start : start + inp]
            for i in range(len(row)):
                found[i] = times * row[i]
                back[i] += times * own[i]


@parallel
@no_type_check
def products(cuts, edges, x, weights, found):
    """Give x W^T of every edge: rows [slot, slot + rows) of `found` [slots, out]."""
    out = found.shape[1]
    for task in prange(len(cuts) - 1):
        turned = np.empty((0, out), found.dtype)  # W^T, so that the inner loop runs over out
        for e in range(cuts[task], cuts[task + 1]):
            count, at, pitch, inp, weight, stride, slot = edges[e]
            if count == 1:
                for o in range(out):
                    row = weights[weight + o * stride : weight + o * stride + inp]
                    found[slot, o] = _dot(row, x[at : at + inp])
                continue
            if len(turned) != inp:
                turned = np.empty((inp, out), found.dtype)
            for o in range(out):
                row = weights[weight + o * stride : weight + o * stride + inp]
                for i in range(inp):
                    turned[i, o] = row[i]
            given = found[slot : slot + count]
            given[:] = 0
            _add_product(given, x[at : at + count * pitch].reshape((count, pitch))[:, :inp], turned)


@parallel
@no_type_check
def product_gradients(cuts, edges, x, weights, given, g, weight_gradients):
    """From the products' gradients `given` to those of the weights (set, they come as zeros) and of x (added to g)."""
    out = given.shape[1]
    for task in prange(len(cuts) - 1):
        copied = np.empty((out, 0), given.dtype)
        for e in range(cuts[task], cuts[task + 1]):
            count, at, pitch, inp, weight, stride, slot = edges[e]
            if count == 1:
                _outer(given[slot], at, inp, weight, stride, x, weights, g, weight_gradients)
                continue
            if copied.shape[1] != inp:
                copied = np.empty((out, inp), given.dtype)
            for o in range(out):
                copied[o] = weights[weight + o * stride : weight + o * stride + inp]
            dz = given[slot : slot + count]
            _add_product(g[at : at + count * pitch].reshape((count, pitch))[:, :inp], dz, copied)
            copied[:] = 0
            _add_product(copied, dz.T, x[at : at + count * pitch].reshape((count, pitch))[:, :inp])
            for o in range(out):
                weight_gradients[weight + o * stride : weight + o * stride + inp] = copied[o]
