"""Compiled loops from each variant's head to each term's loss, and back: of term t, variants start[t]:start[t + 1].

One pass over some 140,000 numbers each, on one thread. By NumPy's operations, a temporary each, a step's took 3.5 ms;
PyTorch would share them out to its pool and wait for it at each operation. Sums run in float64, in the variants' order.
"""

from typing import no_type_check

from gocell_cli.training.network.delta.compiler.compiled import compiled


@compiled
@no_type_check
def spread(start, own, values, found):
    """Each variant's own value and its term's."""
    for term in range(len(start) - 1):
        value = values[term]
        for v in range(start[term], start[term + 1]):
            found[v] = own[v] + value


@compiled
@no_type_check
def scaled(start, own, values, found):
    """Each variant's own value times its term's."""
    for term in range(len(start) - 1):
        value = values[term]
        for v in range(start[term], start[term + 1]):
            found[v] = own[v] * value


@compiled
@no_type_check
def summed(start, values, found):
    """Each term's sum of its variants' values."""
    for term in range(len(start) - 1):
        whole = 0.0
        for v in range(start[term], start[term + 1]):
            whole += values[v]
        found[term] = whole


@compiled
@no_type_check
def squared(start, y, mean, left, weight, slope, found):
    """Each term's sum of weight (y - mean)^2 + left over its variants, and the slope of each."""
    for term in range(len(start) - 1):
        whole = 0.0
        for v in range(start[term], start[term + 1]):
            away = y[v] - mean[v]
            by = weight[v] * away
            slope[v] = 2.0 * by
            whole += by * away + left[v]
        found[term] = whole
