"""The vector of the compiled loops: every piece and dtype, its sums, and how far its tanh is from the real one."""

import re
from typing import Any, no_type_check

import numpy as np
import pytest

from gocell_cli.training.network.delta.compiler.compiled import compiled
from gocell_cli.training.network.delta.compiler.kinds import REGISTER, Lanes, register_bytes, registers
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
from tests.attempts import attempts

PIECES = [1, 7, 20] if attempts(1, 2) == 1 else list(range(1, 21))
BOUND = 3e-7


@compiled
@no_type_check
def every_operation(lanes, table, other, found, sums):
    """Row by row of `found`: what each operation gives of the tables' second pieces."""
    n = size(lanes)
    a, b = load(lanes, table, n), load(lanes, other, n)
    store(found, 0, a + b)
    store(found, n, a - b)
    store(found, 2 * n, a * b)
    store(found, 3 * n, a / b)
    store(found, 4 * n, muladd(a, get(other, 0), b))
    store(found, 5 * n, muladd(a, a, b))
    store(found, 6 * n, scaled(get(other, 0), b))
    store(found, 7 * n, wide(a) + wide(b))
    store(found, 8 * n, zeros(lanes, table))
    sums[0] = total(a)


@compiled
@no_type_check
def multiply_add(lanes, table, other, found):
    store(found, 0, muladd(load(lanes, table, 0), load(lanes, other, 0), load(lanes, found, 0)))


@compiled
@no_type_check
def tanh_of(lanes, given, found):
    for at in range(0, len(given) - size(lanes) + 1, size(lanes)):
        store(found, at, tanh(load(lanes, given, at)))


@compiled
@no_type_check
def count(counters):
    return count_up(counters, 1), current(counters, 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("piece", PIECES)
def test_every_operation_of_every_piece(piece: int, dtype: Any) -> None:
    rng = np.random.default_rng(piece)
    a, b = (rng.uniform(0.5, 2.0, 3 * piece).astype(dtype) for _ in range(2))
    found, sums = np.full(10 * piece, 7, dtype), np.zeros(1, dtype)
    every_operation(Lanes(piece), a, b, found, sums)
    x, y, s = a[piece : 2 * piece], b[piece : 2 * piece], b[0]
    wanted = [x + y, x - y, x * y, x / y, x + s * y, x + x * y, s * y, x + y, 0 * x, np.full(piece, 7)]
    assert np.allclose(found.reshape(10, piece), wanted, rtol=4 * np.finfo(dtype).eps, atol=0)
    assert sums[0] == pytest.approx(x.sum(), rel=piece * float(np.finfo(dtype).eps))


@pytest.mark.parametrize("bytes_each", [4, 8])
def test_registers_add_up_to_the_piece(bytes_each: int) -> None:
    for piece in range(1, 65):
        found = registers(piece, bytes_each)
        assert sum(found) == piece
        assert found == sorted(found, reverse=True)
        assert all(n in (1, 2, 4, 8, 16) and n * bytes_each <= register_bytes() for n in found)


def test_tanh_in_float32_stays_within_its_bound() -> None:
    """Every 5th float32 of the upper ranges, by bits, and every 1,001st below: relative, against float64."""
    ranges = ((2.0**-40, 2.0**-10, 1001), (2.0**-10, 12.0, attempts(101, 5)))
    bits = [np.arange(*(np.float32(x).view(np.int32) for x in (a, b)), step, dtype=np.int32) for a, b, step in ranges]
    x = np.concatenate(bits).view(np.float32)
    x = np.concatenate([x, -x])[: 2 * len(x) // 20 * 20]
    found = np.empty_like(x)
    tanh_of(Lanes(20), x, found)
    exact = np.tanh(x.astype(np.float64))
    assert np.abs(found.astype(np.float64) / exact - 1).max() < BOUND
    assert np.abs(found).max() <= 1


def test_tanh_at_the_ends() -> None:
    given = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 50.0, -50.0, 1e-45], np.float32)
    for dtype in (np.float32, np.float64):
        x = given.astype(dtype)
        found = np.empty_like(x)
        tanh_of(Lanes(4), x, found)
        assert np.array_equal(found[:7], np.tanh(x[:7]), equal_nan=True)
        assert (np.signbit(found[:2]) == [False, True]).all()


def test_tanh_in_float64_is_the_librarys() -> None:
    x = np.random.default_rng(0).normal(0, 3, 60)
    found = np.empty_like(x)
    tanh_of(Lanes(20), x, found)
    assert np.allclose(found, np.tanh(x), rtol=4e-16, atol=0)


def test_the_lanes_of_a_vector_do_not_see_each_other() -> None:
    """A number's tanh is the same bits wherever it stands: variants that are computed alike must be equal."""
    x = np.random.default_rng(0).normal(0, 2, 40).astype(np.float32)
    found = [np.empty_like(x) for _ in range(2)]
    for shift, out in zip((0, 7), found, strict=True):
        tanh_of(Lanes(20), np.roll(x, shift), out)
    assert np.array_equal(np.roll(found[0], 7), found[1])


def test_counters_count() -> None:
    counters = np.zeros(3, np.int64)
    assert [count(counters) for _ in range(3)] == [(0, 1), (1, 2), (2, 3)]
    assert counters.tolist() == [0, 3, 0]


def test_a_vector_is_a_multiply_add_of_whole_registers() -> None:
    """What the loops are fast by: 20 float32 are multiplied and added by three instructions, or by two of AVX-512's."""
    wide = register_bytes() > REGISTER
    tables = [np.ones(24, np.float32) for _ in range(3)]
    text = multiply_add.assembly(Lanes(20), *tables)
    fused = re.findall(r"\bvfmadd\w+\s.*", text)
    if not fused:
        pytest.skip("this processor has no fused multiply-add of x86")
    assert len(fused) == (2 if wide else 3)
    assert all(re.match(r"vfmadd\d+ps\s", line) for line in fused)
    # sixteen, or eight and eight; and the last four
    assert sum(("%zmm" if wide else "%ymm") in line for line in fused) >= (1 if wide else 2)
