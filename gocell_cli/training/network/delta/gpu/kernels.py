"""Triton kernels of the delta form: a level and direction at a time, whatever the widths of its terms.

The algebra stands at the top of cpu/kernels.py; here one program holds a tile of a term's variants x neurons, ROWS by
COLS. A level up:

    products     x W^T of every edge into it, once for each variant of the edge's child (a slot)
    sums         of each variant the products that it reads less the genes that it has lost; d; the tile's mean and
                 squares of d
    statistics   the tiles of a term joined (Chan et al. 1983), in their order
    outputs      BatchNorm, tanh, x

and down, parents first:

    pull         dz of all that read a variant times W; the heads' part; the tile's sums of what BatchNorm gets
    moments      the tiles of a term joined, in their order; gradients of gamma, beta and the head
    normed       dz; the tile's sums of it
    common       the wild type's dz, which is that of all variants

The weights' gradients of all edges are one launch at the end, those of the genes another. Nothing is added up by
atomics: every sum is one program's, in an order that the plan fixes, so a step gives the same bits each time.

Addresses come from the plan in blocks of PIECE neurons, so that 32 bits hold them; entries are counted in 64. Inner
tiles are 32 wide where a block is 20: tl.dot wants powers of two, and what is masked moves no memory.
"""

import os
from typing import no_type_check

from gocell_cli.training.extra import train_extra

# A multiply and an add may be one instruction, as on the CPU; Triton 3.9 warns where nobody says so, 3.10 will not.
os.environ.setdefault("TRITON_DEFAULT_FP_FUSION", "1")

with train_extra():
    import triton
    import triton.language as tl


@triton.jit
@no_type_check
def _tanh(x):
    """Cephes' tanh: near 0 a polynomial, for d is the difference of two of them and 1 - 2 / (e^2x + 1) rounds to 6e-8.

    Relative error 2e-7 in float32 (tanhf.c), 3e-16 in float64 (tanh.c); Moshier, netlib.org/cephes.
    """
    s = x * x
    if x.dtype == tl.float64:
        p = (-9.64399179425052238628e-1 * s - 9.92877231001918586564e1) * s - 1.61468768441708447952e3
        q = ((s + 1.12811678491632931402e2) * s + 2.23548839060100448583e3) * s + 4.84406305325125486048e3
        near = x + x * s * (p / q)
    else:
        p = (((-5.70498872745e-3 * s + 2.06390887954e-2) * s - 5.37397155531e-2) * s + 1.33314422036e-1) * s
        near = x + x * s * (p - 3.33332819422e-1)
    # e^2x overflows to infinity, and 2 / infinity is 0: far out it is 1, as it should be
    far = 1.0 - 2.0 / (tl.exp(2.0 * tl.abs(x)) + 1.0)
    return tl.where(tl.abs(x) < 0.625, near, tl.where(x < 0, -far, far))


@triton.jit
@no_type_check
def _dot(a, b, total, PRECISION: tl.constexpr):
    """Total + a b; bf16 means its operands, the sum stays in float32."""
    if PRECISION == "bf16":
        found = tl.dot(a.to(tl.bfloat16), b.to(tl.bfloat16), total)
    elif PRECISION == "rounded":  # the same numbers where Triton's interpreter has no product of bf16
        found = tl.dot(a.to(tl.bfloat16).to(total.dtype), b.to(tl.bfloat16).to(total.dtype), total)
    else:
        found = tl.dot(a, b, total, input_precision=PRECISION, out_dtype=total.dtype)
    return found


# ----------------------------------------------------------------------------------------------------- the way up


@triton.jit(do_not_specialize=["first"])
@no_type_check
def products(
    first, item_edge, item_row, item_col, edge_child, edge_parent, edge_weight, edge_stride, edge_inp, term_blocks,
    variant_ptr, row_at, edge_product, x, weights, found,
    PIECE: tl.constexpr, ROWS: tl.constexpr, COLS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Rows of an edge's child times its weights: found[slot] = x[variant] W^T."""
    item = first + tl.program_id(0)
    edge = tl.load(item_edge + item)
    child = tl.load(edge_child + edge)
    rows = tl.load(item_row + item) + tl.arange(0, ROWS)
    cols = tl.load(item_col + item) + tl.arange(0, COLS)
    inp = tl.load(edge_inp + edge) * PIECE
    out = tl.load(term_blocks + tl.load(edge_parent + edge)) * PIECE
    pitch = tl.load(term_blocks + child) * PIECE
    inside = (rows < tl.load(variant_ptr + child + 1) - tl.load(variant_ptr + child))[:, None]
    given = x + tl.load(row_at + child).to(tl.int64) * PIECE + rows.to(tl.int64)[:, None] * pitch
    # [inp, out]: read along the child's neurons, which lie side by side
    turned = weights + tl.load(edge_weight + edge).to(tl.int64) * PIECE
    turned += cols.to(tl.int64)[None, :] * (tl.load(edge_stride + edge) * PIECE)
    total = tl.zeros((ROWS, COLS), x.dtype.element_ty)
    for start in range(0, inp, COLS):
        k = start + tl.arange(0, COLS)
        left = tl.load(given + k[None, :], mask=inside & (k < inp)[None, :], other=0)
        right = tl.load(turned + k[:, None], mask=(cols < out)[None, :] & (k < inp)[:, None], other=0)
        total = _dot(left, right, total, PRECISION)
    to = found + tl.load(edge_product + edge).to(tl.int64) * PIECE + rows.to(tl.int64)[:, None] * out + cols[None, :]
    tl.store(to, total.to(found.dtype.element_ty), mask=inside & (cols < out)[None, :])


@triton.jit
@no_type_check
def _add_reads(total, found, read_at, start, stop, cols, real, ROWS: tl.constexpr, PIECE: tl.constexpr):
    """Add what a wild type reads, of every child, up to hundreds: a tile's height of them at a time.

    Each of a term's tiles does so anew: alike, for all take the same sums in the same order.
    """
    for first in range(start, stop, ROWS):
        i = first + tl.arange(0, ROWS)
        at = tl.load(read_at + i, mask=i < stop, other=0).to(tl.int64) * PIECE
        read = tl.load(found + at[:, None] + cols[None, :], mask=(i < stop)[:, None] & real, other=0)
        total += tl.sum(read.to(total.dtype), 0)
    return total


@triton.jit
@no_type_check
def _take_lost(
    total, genes, lost_piece, begin, count, step, direction, cols, real, PIECE: tl.constexpr, SHARED: tl.constexpr
):
    """Take off the weights of the genes that each variant has lost.

    A pair's weights are a piece for each block of neurons, as many pieces apart as the term has genes (step).
    """
    piece = (cols // PIECE).to(tl.int64) * step
    for j in range(tl.max(count, 0)):
        lost = tl.load(lost_piece + begin + j, mask=j < count, other=0).to(tl.int64)
        at = (lost[:, None] + piece[None, :]) * PIECE + (cols % PIECE)[None, :]
        total -= tl.load(genes + at, mask=(j < count)[:, None] & real, other=0)
        if SHARED:  # shared gene weights: the same step for each lost gene, whichever it is
            own = tl.load(direction[None, :], mask=real, other=0)
            total += tl.where((j < count)[:, None], own, 0)
    return total


@triton.jit
@no_type_check
def _leave_moments(part, times, total, COLS: tl.constexpr):
    """Leave a tile's share of the samples, mean and sum of squared deviations from it."""
    weight = tl.sum(times, 0)
    # of a tile that stands for no sample any mean will do: it counts 0 times
    mean = tl.sum(times[:, None] * total, 0) / tl.where(weight > 0, weight, 1.0)
    away = total - mean[None, :]
    own = part + tl.arange(0, COLS)
    tl.store(own, tl.zeros((COLS,), mean.dtype) + weight)
    tl.store(own + COLS, mean)
    tl.store(own + 2 * COLS, tl.sum(times[:, None] * away * away, 0))


@triton.jit(do_not_specialize=["first"])
@no_type_check
def sums(
    first, tile_term, tile_row, tile_col, term_blocks, term_neuron, term_genes, variant_ptr, row_at,
    read_ptr, read_at, lost_ptr, lost_piece, share, found, genes, wild, direction, d, a0, part,
    PIECE: tl.constexpr, ROWS: tl.constexpr, COLS: tl.constexpr,
    SHARED: tl.constexpr, TANH_FIRST: tl.constexpr, TRAINING: tl.constexpr,
):  # fmt: skip
    """D of a tile: what its variants read less what they have lost; its share of the samples, mean and squares."""
    tile = first + tl.program_id(0)
    term = tl.load(tile_term + tile)
    row = tl.load(tile_row + tile)
    cols = tl.load(tile_col + tile) + tl.arange(0, COLS)
    width = tl.load(term_blocks + term) * PIECE
    wild_type = tl.load(variant_ptr + term)
    rows = row + tl.arange(0, ROWS)
    variant = wild_type + rows
    inside = variant < tl.load(variant_ptr + term + 1)
    real = (cols < width)[None, :]
    neuron = tl.load(term_neuron + term) + cols
    z0 = tl.load(wild + neuron, mask=cols < width, other=0)
    z0 = _add_reads(z0, found, read_at, tl.load(read_ptr + wild_type), tl.load(read_ptr + wild_type + 1), cols, real,
                    ROWS, PIECE)  # fmt: skip
    total = tl.zeros((ROWS, COLS), d.dtype.element_ty)
    begin = tl.load(read_ptr + variant, mask=inside, other=0)
    count = tl.load(read_ptr + variant + 1, mask=inside, other=0) - begin
    count = tl.where(rows > 0, count, 0)  # the wild type's are in z_0
    for j in range(tl.max(count, 0)):
        at = tl.load(read_at + begin + j, mask=j < count, other=0).to(tl.int64) * PIECE
        read = tl.load(found + at[:, None] + cols[None, :], mask=(j < count)[:, None] & real, other=0)
        total += read.to(total.dtype)
    begin = tl.load(lost_ptr + variant, mask=inside, other=0)
    count = tl.load(lost_ptr + variant + 1, mask=inside, other=0) - begin
    step = tl.load(term_genes + term)
    total = _take_lost(total, genes, lost_piece, begin, count, step, direction + neuron, cols, real, PIECE, SHARED)
    origin = z0
    if TANH_FIRST:
        origin = _tanh(z0)
        # what adds nothing differs by nothing, whatever a device's tanh makes of equal arguments
        total = tl.where(total == 0, 0, _tanh(z0[None, :] + total) - origin[None, :])
    to = d + tl.load(row_at + term).to(tl.int64) * PIECE + rows.to(tl.int64)[:, None] * width + cols[None, :]
    tl.store(to, total, mask=inside[:, None] & real)
    if row == 0:
        tl.store(a0 + neuron, origin, mask=cols < width)
    if TRAINING:
        times = tl.load(share + variant, mask=inside, other=0)
        _leave_moments(part + tile.to(tl.int64) * (3 * COLS), times, total, COLS)


@triton.jit(do_not_specialize=["first"])
@no_type_check
def statistics(
    first, stat_term, stat_col, term_blocks, term_neuron, term_tile, term_rows, varies, eps, part, mean, var, inv,
    PIECE: tl.constexpr, ROWS: tl.constexpr, COLS: tl.constexpr, ALONE: tl.constexpr,
):  # fmt: skip
    """Mean and squares of a term's neurons from those of its tiles: in shares of the whole batch.

    ALONE: this process has the whole batch; variance and 1 / sqrt follow at once.
    """
    item = first + tl.program_id(0)
    term = tl.load(stat_term + item)
    col = tl.load(stat_col + item)
    cols = col + tl.arange(0, COLS)
    real = cols < tl.load(term_blocks + term) * PIECE
    count = tl.load(term_rows + term)
    begin = tl.load(term_tile + term) + (col // COLS) * count
    weight = tl.zeros((COLS,), mean.dtype.element_ty)
    total, squares = weight, weight
    for start in range(0, count, ROWS):
        i = start + tl.arange(0, ROWS)
        own = part + (begin + i).to(tl.int64)[:, None] * (3 * COLS) + tl.arange(0, COLS)[None, :]
        times = tl.load(own, mask=(i < count)[:, None], other=0)
        weight += tl.sum(times, 0)
        total += tl.sum(times * tl.load(own + COLS, mask=(i < count)[:, None], other=0), 0)
    centre = total / tl.where(weight > 0, weight, 1.0)
    for start in range(0, count, ROWS):
        i = start + tl.arange(0, ROWS)
        own = part + (begin + i).to(tl.int64)[:, None] * (3 * COLS) + tl.arange(0, COLS)[None, :]
        times = tl.load(own, mask=(i < count)[:, None], other=0)
        away = tl.load(own + COLS, mask=(i < count)[:, None], other=0) - centre[None, :]
        squares += tl.sum(tl.load(own + 2 * COLS, mask=(i < count)[:, None], other=0) + times * away * away, 0)
    neuron = tl.load(term_neuron + term) + cols
    tl.store(mean + neuron, centre, mask=real)
    if ALONE:
        # where all samples agree on a variant that is not the wild type, mean is its d but for rounding: times
        # varies = 0 the variance, and with it the slope, is exactly 0
        shown = tl.load(varies + term)
        squares = squares * shown
        tl.store(inv + neuron, shown / tl.sqrt(squares + tl.load(eps)), mask=real)
    tl.store(var + neuron, squares, mask=real)


@triton.jit(do_not_specialize=["first"])
@no_type_check
def outputs(
    first, tile_term, tile_row, tile_col, term_blocks, term_neuron, variant_ptr, row_at, d, x, mean, inv, gamma, beta,
    PIECE: tl.constexpr, ROWS: tl.constexpr, COLS: tl.constexpr, TANH_FIRST: tl.constexpr,
):  # fmt: skip
    """X of a tile: h_0 in its wild type's row, h_v - h_0 in the others."""
    tile = first + tl.program_id(0)
    term = tl.load(tile_term + tile)
    cols = tl.load(tile_col + tile) + tl.arange(0, COLS)
    rows = tl.load(tile_row + tile) + tl.arange(0, ROWS)
    width = tl.load(term_blocks + term) * PIECE
    real = cols < width
    neuron = tl.load(term_neuron + term) + cols
    inside = (rows < tl.load(variant_ptr + term + 1) - tl.load(variant_ptr + term))[:, None] & real[None, :]
    at = tl.load(row_at + term).to(tl.int64) * PIECE + rows.to(tl.int64)[:, None] * width + cols[None, :]
    scale = tl.load(gamma + neuron, mask=real, other=0) * tl.load(inv + neuron, mask=real, other=0)
    h0 = tl.load(beta + neuron, mask=real, other=0) - tl.load(mean + neuron, mask=real, other=0) * scale
    own = tl.load(d + at, mask=inside, other=0) * scale[None, :]
    if not TANH_FIRST:
        offset = h0
        h0 = _tanh(offset)
        own = tl.where(own == 0, 0, _tanh(own + offset[None, :]) - h0[None, :])
    tl.store(x + at, tl.where((rows > 0)[:, None], own, h0[None, :]), mask=inside)


@triton.jit
@no_type_check
def heads(
    high_term, high_row, term_blocks, term_neuron, variant_ptr, row_at, x, head, found,
    PIECE: tl.constexpr, ROWS: tl.constexpr, COLS: tl.constexpr,
):  # fmt: skip
    """Each variant's h times its term's head weights: of all levels at once, a tile of variants a program."""
    item = tl.program_id(0)
    term = tl.load(high_term + item)
    rows = tl.load(high_row + item) + tl.arange(0, ROWS)
    width = tl.load(term_blocks + term) * PIECE
    wild_type = tl.load(variant_ptr + term)
    inside = wild_type + rows < tl.load(variant_ptr + term + 1)
    neuron = head + tl.load(term_neuron + term)
    at = x + tl.load(row_at + term).to(tl.int64) * PIECE
    own = tl.zeros((ROWS,), x.dtype.element_ty)
    base = tl.zeros((COLS,), x.dtype.element_ty)
    for start in range(0, width, COLS):
        cols = start + tl.arange(0, COLS)
        u = tl.load(neuron + cols, mask=cols < width, other=0)
        base += u * tl.load(at + cols, mask=cols < width, other=0)
        given = at + rows.to(tl.int64)[:, None] * width + cols[None, :]
        given = tl.load(given, mask=inside[:, None] & (cols < width)[None, :], other=0)
        own += tl.sum(given * u[None, :], 1)
    # x of others than the wild type is counted from h_0
    own += tl.where(rows > 0, tl.sum(base, 0), 0)
    tl.store(found + wild_type + rows, own, mask=inside)


# --------------------------------------------------------------------------------------------------- the way down


@triton.jit
@no_type_check
def _gather(table, ptr, at, slot, inside, offset, real, ROWS: tl.constexpr, COLS: tl.constexpr, PIECE: tl.constexpr):
    """Of each slot the sum of the rows that read it, in the order of their variants."""
    total = tl.zeros((ROWS, COLS), table.dtype.element_ty)
    begin = tl.load(ptr + slot, mask=inside, other=0)
    count = tl.load(ptr + slot + 1, mask=inside, other=0) - begin
    for j in range(tl.max(count, 0)):
        where = tl.load(at + begin + j, mask=j < count, other=0).to(tl.int64) * PIECE
        total += tl.load(table + where[:, None] + offset[None, :], mask=(j < count)[:, None] & real[None, :], other=0)
    return total


@triton.jit
@no_type_check
def _pulled(
    total, g, slot_ptr, slot_at, slot, inside, out, weights, stride, kept, keeps, real,
    ROWS: tl.constexpr, COLS: tl.constexpr, PIECE: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Add one edge's dz W; what each slot got is kept by the first of the tiles, as the others get the same."""
    for start in range(0, out, COLS):
        k = start + tl.arange(0, COLS)
        left = _gather(g, slot_ptr, slot_at, slot, inside, k, k < out, ROWS, COLS, PIECE)
        if keeps:
            tl.store(kept + k[None, :], left.to(kept.dtype.element_ty), mask=inside[:, None] & (k < out)[None, :])
        right = tl.load(weights + k[:, None] * stride, mask=(k < out)[:, None] & real[None, :], other=0)
        total = _dot(left, right, total, PRECISION)
    return total


@triton.jit
@no_type_check
def _leave_sums(part, total, times, u, h, h0, away, others, COLS: tl.constexpr, TANH_FIRST: tl.constexpr):
    """Add the heads' part to dx, leave the tile's sums, and return what BatchNorm's output gets; 0 of the wild type."""
    own = part + tl.arange(0, COLS)
    tl.store(own, tl.sum(tl.where(others, total, 0), 0))
    total += times[:, None] * u[None, :]
    tl.store(own + COLS, tl.sum(times[:, None] * h, 0))
    tl.store(own + 2 * COLS, tl.zeros((COLS,), total.dtype) + tl.sum(times, 0))
    tl.store(own + 3 * COLS, tl.sum(tl.where(others, 0, total), 0))
    total = tl.where(others, total, 0)
    if not TANH_FIRST:
        h += h0[None, :]
        total -= total * h * h
    tl.store(own + 4 * COLS, tl.sum(total, 0))
    tl.store(own + 5 * COLS, tl.sum(total * away, 0))
    return total


@triton.jit(do_not_specialize=["first"])
@no_type_check
def pull(
    first, tile_term, tile_row, tile_col, term_blocks, term_neuron, parent_ptr, parent_edge, edge_parent, edge_weight,
    edge_stride, edge_inp, variant_ptr, row_at, edge_slot, edge_given, edge_wide, slot_ptr, slot_at,
    weights, g, given, wide, x, d, mean, head, dy, part,
    PIECE: tl.constexpr, ROWS: tl.constexpr, COLS: tl.constexpr, PRECISION: tl.constexpr, TANH_FIRST: tl.constexpr,
):  # fmt: skip
    """What a tile's variants get from all that read them, and from their heads, up to BatchNorm's output.

    `given` keeps what each slot of a narrow parent got, for the weights' gradients; `wide` holds what a matrix library
    has made of wide parents', dz W. Sums of a tile, its wild type left out: dx, dy x, dy (with it), g, g (d - mean);
    and the wild type's dx + dy u.
    """
    tile = first + tl.program_id(0)
    term = tl.load(tile_term + tile)
    col = tl.load(tile_col + tile)
    cols = col + tl.arange(0, COLS)
    rows = tl.load(tile_row + tile) + tl.arange(0, ROWS)
    width = tl.load(term_blocks + term) * PIECE
    real = cols < width
    wild_type = tl.load(variant_ptr + term)
    inside = wild_type + rows < tl.load(variant_ptr + term + 1)
    total = tl.zeros((ROWS, COLS), x.dtype.element_ty)
    for i in range(tl.load(parent_ptr + term), tl.load(parent_ptr + term + 1)):
        edge = tl.load(parent_edge + i)
        slot = tl.load(edge_slot + edge) + rows
        inp = tl.load(edge_inp + edge) * PIECE
        if tl.load(edge_wide + edge) > 0:
            total += _gather(wide, slot_ptr, slot_at, slot, inside, cols, cols < inp, ROWS, COLS, PIECE)
        else:
            out = tl.load(term_blocks + tl.load(edge_parent + edge)) * PIECE
            own = weights + tl.load(edge_weight + edge).to(tl.int64) * PIECE + cols[None, :]
            stride = (tl.load(edge_stride + edge) * PIECE).to(tl.int64)
            kept = given + tl.load(edge_given + edge).to(tl.int64) * PIECE + rows.to(tl.int64)[:, None] * out
            total = _pulled(
                total, g, slot_ptr, slot_at, slot, inside, out, own, stride, kept, col == 0, cols < inp,
                ROWS, COLS, PIECE, PRECISION,
            )  # fmt: skip
    neuron = tl.load(term_neuron + term) + cols
    at = tl.load(row_at + term).to(tl.int64) * PIECE
    h0 = tl.load(x + at + cols, mask=real, other=0)
    at += rows.to(tl.int64)[:, None] * width + cols[None, :]
    here, others = inside[:, None] & real[None, :], (rows > 0)[:, None]
    u = tl.load(head + neuron, mask=real, other=0)
    times = tl.load(dy + wild_type + rows, mask=inside, other=0)
    h = tl.load(x + at, mask=here & others, other=0)
    away = tl.load(d + at, mask=here, other=0) - tl.load(mean + neuron, mask=real, other=0)[None, :]
    part += tile.to(tl.int64) * (6 * COLS)
    tl.store(g + at, _leave_sums(part, total, times, u, h, h0, away, others, COLS, TANH_FIRST), mask=here)


@triton.jit(do_not_specialize=["first"])
@no_type_check
def moments(
    first, stat_term, stat_col, term_blocks, term_neuron, term_tile, term_rows, row_at, absent, part,
    x, g, mean, inv, total, moment, gamma, beta, head,
    PIECE: tl.constexpr, ROWS: tl.constexpr, COLS: tl.constexpr, TANH_FIRST: tl.constexpr,
):  # fmt: skip
    """A term's tiles joined: the wild type's g, what BatchNorm's output gets in all, gradients of gamma, beta and head.

    h_0 is taken off all other variants' x: its gradient is the wild type's dx less theirs. A wild type that stands for
    no sample (absent) is only the origin that the others are counted from.
    """
    item = first + tl.program_id(0)
    term = tl.load(stat_term + item)
    col = tl.load(stat_col + item)
    cols = col + tl.arange(0, COLS)
    real = cols < tl.load(term_blocks + term) * PIECE
    count = tl.load(term_rows + term)
    begin = tl.load(term_tile + term) + (col // COLS) * count
    others = tl.zeros((COLS,), x.dtype.element_ty)
    dyx, dy, first_row, plain, away = others, others, others, others, others
    for start in range(0, count, ROWS):
        i = start + tl.arange(0, ROWS)
        own = part + (begin + i).to(tl.int64)[:, None] * (6 * COLS) + tl.arange(0, COLS)[None, :]
        here = (i < count)[:, None]
        others += tl.sum(tl.load(own, mask=here, other=0), 0)
        dyx += tl.sum(tl.load(own + COLS, mask=here, other=0), 0)
        dy += tl.sum(tl.load(own + 2 * COLS, mask=here, other=0), 0)
        first_row += tl.sum(tl.load(own + 3 * COLS, mask=here, other=0), 0)
        plain += tl.sum(tl.load(own + 4 * COLS, mask=here, other=0), 0)
        away += tl.sum(tl.load(own + 5 * COLS, mask=here, other=0), 0)
    neuron = tl.load(term_neuron + term) + cols
    at = tl.load(row_at + term).to(tl.int64) * PIECE + cols
    h0 = tl.load(x + at, mask=real, other=0)
    wild = first_row - others
    if not TANH_FIRST:
        wild -= wild * h0 * h0
    wild = tl.where(tl.load(absent + term) > 0, 0, wild)
    tl.store(g + at, wild, mask=real)
    plain += wild
    away -= wild * tl.load(mean + neuron, mask=real, other=0)  # its d is 0
    tl.store(total + neuron, plain, mask=real)
    tl.store(moment + neuron, away, mask=real)
    tl.store(beta + neuron, plain, mask=real)
    tl.store(gamma + neuron, away * tl.load(inv + neuron, mask=real, other=0), mask=real)
    tl.store(head + neuron, dyx + dy * h0, mask=real)


@triton.jit(do_not_specialize=["first"])
@no_type_check
def normed(
    first, tile_term, tile_row, tile_col, term_blocks, term_neuron, variant_ptr, row_at, lost_ptr, share,
    g, d, a0, mean, inv, gamma, total, moment, part,
    PIECE: tl.constexpr, ROWS: tl.constexpr, COLS: tl.constexpr,
    TANH_FIRST: tl.constexpr, TRAINING: tl.constexpr, SUMMED: tl.constexpr, SHARED: tl.constexpr,
):  # fmt: skip
    """From what BatchNorm's output gets to dz; with SUMMED the tile's sum of dz, and of dz for each lost gene."""
    tile = first + tl.program_id(0)
    term = tl.load(tile_term + tile)
    cols = tl.load(tile_col + tile) + tl.arange(0, COLS)
    rows = tl.load(tile_row + tile) + tl.arange(0, ROWS)
    width = tl.load(term_blocks + term) * PIECE
    real = cols < width
    wild_type = tl.load(variant_ptr + term)
    inside = wild_type + rows < tl.load(variant_ptr + term + 1)
    here = inside[:, None] & real[None, :]
    neuron = tl.load(term_neuron + term) + cols
    at = tl.load(row_at + term).to(tl.int64) * PIECE + rows.to(tl.int64)[:, None] * width + cols[None, :]
    own, away = tl.load(g + at, mask=here, other=0), tl.load(d + at, mask=here, other=0)
    slope = tl.load(inv + neuron, mask=real, other=0)
    scale = tl.load(gamma + neuron, mask=real, other=0) * slope
    if TRAINING:
        # a variant's share of what goes back through mean and variance
        centre = away - tl.load(mean + neuron, mask=real, other=0)[None, :]
        slope = tl.load(moment + neuron, mask=real, other=0) * slope * slope
        every = tl.load(total + neuron, mask=real, other=0)[None, :] + centre * slope[None, :]
        own -= tl.load(share + wild_type + rows, mask=inside, other=0)[:, None] * every
    own *= scale[None, :]
    if TANH_FIRST:
        a = away + tl.load(a0 + neuron, mask=real, other=0)[None, :]
        own -= own * a * a
    own = tl.where(here, own, 0)
    if SUMMED:
        to = part + tile.to(tl.int64) * (2 * COLS) + tl.arange(0, COLS)
        tl.store(to, tl.sum(own, 0))
        if SHARED:
            lost = tl.load(lost_ptr + wild_type + rows + 1, mask=inside, other=0)
            lost -= tl.load(lost_ptr + wild_type + rows, mask=inside, other=0)
            tl.store(to + COLS, tl.sum(own * lost.to(own.dtype)[:, None], 0))
    if TRAINING and not TANH_FIRST:
        # BatchNorm takes away what all z have in common: where it comes first, the wild type's dz is exactly 0
        own = tl.where((rows > 0)[:, None], own, 0)
    tl.store(g + at, own, mask=here)


@triton.jit(do_not_specialize=["first"])
@no_type_check
def common(
    first, stat_term, stat_col, term_blocks, term_neuron, term_tile, term_rows, row_at, part, g, wild, direction,
    PIECE: tl.constexpr, ROWS: tl.constexpr, COLS: tl.constexpr, ZERO: tl.constexpr, SHARED: tl.constexpr,
):  # fmt: skip
    """The wild type's dz: z_0 is in all variants, so its gradient is the sum of theirs. ZERO: they cancel."""
    item = first + tl.program_id(0)
    term = tl.load(stat_term + item)
    col = tl.load(stat_col + item)
    cols = col + tl.arange(0, COLS)
    real = cols < tl.load(term_blocks + term) * PIECE
    count = tl.load(term_rows + term)
    begin = tl.load(term_tile + term) + (col // COLS) * count
    every = tl.zeros((COLS,), g.dtype.element_ty)
    lost = every
    for start in range(0, count, ROWS):
        i = start + tl.arange(0, ROWS)
        own = part + (begin + i).to(tl.int64)[:, None] * (2 * COLS) + tl.arange(0, COLS)[None, :]
        every += tl.sum(tl.load(own, mask=(i < count)[:, None], other=0), 0)
        if SHARED:
            lost += tl.sum(tl.load(own + COLS, mask=(i < count)[:, None], other=0), 0)
    neuron = tl.load(term_neuron + term) + cols
    if not ZERO:
        tl.store(wild + neuron, every, mask=real)
        tl.store(g + tl.load(row_at + term).to(tl.int64) * PIECE + cols, every, mask=real)
    if SHARED:
        # added, where a lost gene's own weights are taken off: the direction counts lost genes
        tl.store(direction + neuron, lost, mask=real)


# -------------------------------------------------------------------------------------- gradients of all levels at once


@triton.jit
@no_type_check
def weight_gradients(
    item_edge, item_row, item_col, edge_child, edge_parent, edge_weight, edge_stride, edge_inp, term_blocks,
    variant_ptr, row_at, edge_given, edge_wide, x, given, found,
    PIECE: tl.constexpr, ROWS: tl.constexpr, COLS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """An edge's weights: the sum over its slots of what the slot got times x. A program has COLS by COLS of them."""
    edge = tl.load(item_edge + tl.program_id(0))
    if tl.load(edge_wide + edge) == 0:
        child = tl.load(edge_child + edge)
        outs = tl.load(item_row + tl.program_id(0)) + tl.arange(0, COLS)
        inps = tl.load(item_col + tl.program_id(0)) + tl.arange(0, COLS)
        inp = tl.load(edge_inp + edge) * PIECE
        out = tl.load(term_blocks + tl.load(edge_parent + edge)) * PIECE
        pitch = tl.load(term_blocks + child) * PIECE
        count = tl.load(variant_ptr + child + 1) - tl.load(variant_ptr + child)
        own = x + tl.load(row_at + child).to(tl.int64) * PIECE + inps[None, :]
        got = given + tl.load(edge_given + edge).to(tl.int64) * PIECE + outs[:, None]
        total = tl.zeros((COLS, COLS), found.dtype.element_ty)
        for start in range(0, count, ROWS):
            rows = start + tl.arange(0, ROWS)
            left = got + rows.to(tl.int64)[None, :] * out
            left = tl.load(left, mask=(rows < count)[None, :] & (outs < out)[:, None], other=0).to(total.dtype)
            right = own + rows.to(tl.int64)[:, None] * pitch
            right = tl.load(right, mask=(rows < count)[:, None] & (inps < inp)[None, :], other=0)
            total = _dot(left, right, total, PRECISION)
        to = found + tl.load(edge_weight + edge).to(tl.int64) * PIECE
        to += outs.to(tl.int64)[:, None] * (tl.load(edge_stride + edge) * PIECE) + inps[None, :]
        tl.store(to, total, mask=(outs < out)[:, None] & (inps < inp)[None, :])


@triton.jit
@no_type_check
def gene_gradients(
    pair_term, pair_piece, pair_ptr, pair_at, term_blocks, term_genes, g, genes,
    PIECE: tl.constexpr, ROWS: tl.constexpr, COLS: tl.constexpr,
):  # fmt: skip
    """Take dz of the variants that have lost a term-gene pair off its weights' gradient: a pair a program."""
    pair = tl.program_id(0)
    term = tl.load(pair_term + pair)
    width = tl.load(term_blocks + term) * PIECE
    begin, stop = tl.load(pair_ptr + pair), tl.load(pair_ptr + pair + 1)
    for col in range(0, width, COLS):
        cols = col + tl.arange(0, COLS)
        total = tl.zeros((COLS,), g.dtype.element_ty)
        for start in range(begin, stop, ROWS):
            i = start + tl.arange(0, ROWS)
            at = tl.load(pair_at + i, mask=i < stop, other=0).to(tl.int64) * PIECE
            own = tl.load(g + at[:, None] + cols[None, :], mask=(i < stop)[:, None] & (cols < width)[None, :], other=0)
            total += tl.sum(own, 0)
        piece = tl.load(pair_piece + pair).to(tl.int64) + (cols // PIECE).to(tl.int64) * tl.load(term_genes + term)
        to = genes + piece * PIECE + cols % PIECE
        tl.store(to, tl.load(to, mask=cols < width, other=0) - total, mask=cols < width)


@triton.jit(do_not_specialize=["first", "stop"])
@no_type_check
def spread(first, stop, copy_from, copy_to, x, wide, PIECE: tl.constexpr, ROWS: tl.constexpr, COLS: tl.constexpr):
    """Lay what wide terms' variants read side by side, block by block: the left side of a plain product."""
    item = first + tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    cols = tl.arange(0, COLS)
    inside = item < stop
    here = inside[:, None] & (cols < PIECE)[None, :]
    source = tl.load(copy_from + item, mask=inside, other=0).to(tl.int64) * PIECE
    to = tl.load(copy_to + item, mask=inside, other=0).to(tl.int64) * PIECE
    tl.store(
        wide + to[:, None] + cols[None, :], tl.load(x + source[:, None] + cols[None, :], mask=here, other=0), mask=here
    )


INTERPRETED = not isinstance(products, triton.JITFunction)
"""Whether these are Triton's interpreter's functions (TRITON_INTERPRET=1), as in the tests."""
