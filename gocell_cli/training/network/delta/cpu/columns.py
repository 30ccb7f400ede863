"""Compiled loops from vectors of genes to (term, gene) pairs' columns, and back: only of the pairs that a pass reads.

Of each block of neurons `weight` holds a row of `piece` numbers for each of a vector's: a product is a row times one
number. Rows stay in the first cache while their term's pairs go by, TILE of these at a time, or, on the way back, TILE
rows in registers: sums of 20 numbers that follow each other would wait for one another. A step of 800 triple deletions,
width 6, true-path, 20 numbers a gene, one thread: 53 ms of CPU, 42 without vectors, 457 by a library's product for each
piece of each pair.
"""

from typing import NamedTuple, no_type_check

import numpy as np

from gocell_cli.training.network.delta.compiler.compiled import compiled
from gocell_cli.training.network.delta.cpu.vectors import get, load, muladd, size, store

TILE = 4
"""Pairs whose columns are made side by side; numbers of a vector whose rows are summed side by side."""


class Pairs(NamedTuple):
    """Where pair p's column lies: `blocks` pieces from number `piece` on, each `stride` behind the one before.

    It is of the neurons of its term, from block `block` on, and of `gene`.
    """

    piece: np.ndarray
    stride: np.ndarray
    blocks: np.ndarray
    block: np.ndarray
    gene: np.ndarray


@compiled
@no_type_check
def _end(pairs, read, first):
    """Return where the pairs end, from number `first` on, that are of its term."""
    end = first + 1
    while end < len(read):
        if get(pairs.block, get(read, end)) != get(pairs.block, get(read, first)):
            break
        end += 1
    return end


@compiled
@no_type_check
def _place(lanes, pairs, pair, block):
    """Return where a pair's piece of a block begins, in numbers of the table."""
    return (get(pairs.piece, pair) + block * get(pairs.stride, pair)) * size(lanes)


@compiled
@no_type_check
def _tile(lanes, pairs, columns, weight, own, genes, read, table, block, first, last):
    """Set one block of TILE pairs' columns; behind the last pair, its own once more."""
    n = size(lanes)
    a, b = get(read, first), get(read, min(first + 1, last))
    c, d = get(read, min(first + 2, last)), get(read, min(first + 3, last))
    to_a, to_b = _place(lanes, pairs, a, block), _place(lanes, pairs, b, block)
    to_c, to_d = _place(lanes, pairs, c, block), _place(lanes, pairs, d, block)
    of_a, of_b = get(pairs.gene, a) * columns, get(pairs.gene, b) * columns
    of_c, of_d = get(pairs.gene, c) * columns, get(pairs.gene, d) * columns
    sum_a, sum_b = load(lanes, own, to_a), load(lanes, own, to_b)
    sum_c, sum_d = load(lanes, own, to_c), load(lanes, own, to_d)
    row = (get(pairs.block, a) + block) * columns * n
    for i in range(columns):
        w = load(lanes, weight, row + i * n)
        sum_a = muladd(sum_a, get(genes, of_a + i), w)
        sum_b = muladd(sum_b, get(genes, of_b + i), w)
        sum_c = muladd(sum_c, get(genes, of_c + i), w)
        sum_d = muladd(sum_d, get(genes, of_d + i), w)
    store(table, to_a, sum_a)
    store(table, to_b, sum_b)
    store(table, to_c, sum_c)
    store(table, to_d, sum_d)


@compiled
@no_type_check
def add(lanes, pairs, columns, weight, own, genes, read, table):
    """Set the columns of the pairs `read`: their own plus their genes' vectors, of `columns` numbers each, weighted."""
    first = 0
    while first < len(read):
        end = _end(pairs, read, first)
        for block in range(get(pairs.blocks, get(read, first))):
            for i in range(first, end, TILE):
                _tile(lanes, pairs, columns, weight, own, genes, read, table, block, i, end - 1)
        first = end


@compiled
@no_type_check
def add_back(lanes, pairs, columns, slope, genes, read, found):
    """Add to the weights' gradient the outer products of the pairs' gradients, `slope`, with their genes' vectors.

    columns: a multiple of TILE.
    """
    n, first = size(lanes), 0
    while first < len(read):
        end = _end(pairs, read, first)
        for block in range(get(pairs.blocks, get(read, first))):
            row = (get(pairs.block, get(read, first)) + block) * columns
            for i in range(0, columns, TILE):
                to = (row + i) * n
                a, b = load(lanes, found, to), load(lanes, found, to + n)
                c, d = load(lanes, found, to + 2 * n), load(lanes, found, to + 3 * n)
                for at in range(first, end):
                    pair = get(read, at)
                    own, u = load(lanes, slope, _place(lanes, pairs, pair, block)), get(pairs.gene, pair) * columns + i
                    a = muladd(a, get(genes, u), own)
                    b = muladd(b, get(genes, u + 1), own)
                    c = muladd(c, get(genes, u + 2), own)
                    d = muladd(d, get(genes, u + 3), own)
                store(found, to, a)
                store(found, to + n, b)
                store(found, to + 2 * n, c)
                store(found, to + 3 * n, d)
        first = end
