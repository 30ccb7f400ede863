"""The compiler's language: each construct gives what Python's own run of the same source gives, all else is refused."""

import sys
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple, no_type_check

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from llvmlite import binding as llvm

from gocell_cli.training.network.dcell import DCellConfig
from gocell_cli.training.network.delta import plan
from gocell_cli.training.network.delta.compiler.compiled import Compiled, compiled, optimised
from gocell_cli.training.network.delta.compiler.emitter import NotUnderstood
from gocell_cli.training.network.delta.compiler.kinds import Lanes
from gocell_cli.training.network.delta.cpu import kernels, losses
from gocell_cli.training.network.delta.cpu.vectors import load, store
from gocell_cli.training.network.delta.gpu import tables
from gocell_cli.training.network.loss import DCellLoss
from tests.training import networks as nets

THREE = 3
NUMBERS = st.integers(-(2**40), 2**40)
INDICES = st.lists(st.integers(0, 9), min_size=0, max_size=12)


class Pair(NamedTuple):
    values: np.ndarray
    scale: float


@no_type_check
def arithmetic(a, b, x, y, out):
    out[0], out[1], out[2] = a + b, a - b, a * b
    out[3], out[4], out[5] = a & b, a | b, a << 5
    out[6], out[7] = min(a, b), max(a, b)
    out[8] = a + THREE - -1
    real = x + y
    real -= x * 2.0
    part = x * y
    ratio = a / 7
    return real, part, ratio, np.sqrt(x * x), min(x, y), max(x, y), np.float64(a) + True


@no_type_check
def comparisons(a, b, x, y, out):
    out[0], out[1], out[2] = a < b, a <= b, a == b
    out[3], out[4], out[5] = x > y, x >= y, x != y
    out[6] = a < b and x < y
    out[7] = a < b or x < y or a == 0
    out[8] = not a < x
    return a if a < b else b, x if not a < b else y


@no_type_check
def loops(n, step, table, flags, out):
    count = 0
    for i in range(2, n, 3):
        if i == 5:
            continue
        for j in range(i):
            if j > THREE or (i + j) & 7 == 6:
                break
            count += j
        count += 10
    for value in table:
        count = count * 3 + value
    for i in range(len(table)):
        if flags[i]:
            out[i] = count
        elif table[i] > 4:
            out[i] += table[i]
        else:
            pass
    k = n
    while True:
        k -= step
        if k < 0:
            return count, k


@compiled
@no_type_check
def _half(pair, at):
    if at >= len(pair.values):
        return -1.0, at
    return pair.values[at] * pair.scale, at + 1


@no_type_check
def _plain_half(pair, at):
    if at >= len(pair.values):
        return -1.0, at
    return pair.values[at] * pair.scale, at + 1


@no_type_check
def calls(pair, table):
    values, total, at = pair.values, 0.0, 0
    for i in range(len(table)):
        value, at = _half(pair, table[i])
        table[i] = at
        values[0] = total
        total += value
    a, b = at, len(values)
    a, b = b, a
    return total, a, b


def both(function: Callable[..., Any], *arguments: Any, **others: Any) -> None:
    """Run it compiled and as Python's own, on copies: the same results, and the same in all arrays."""
    ours, theirs = ([_copy(one) for one in arguments] for _ in range(2))
    plain = type(function)(function.__code__, {**function.__globals__, **others})
    found, wanted = compiled(function)(*ours), plain(*theirs)
    assert found == pytest.approx(wanted, rel=1e-15, abs=1e-300, nan_ok=True)
    for one, other in zip(ours, theirs, strict=True):
        for array, same in zip(*((w if isinstance(w, tuple) else (w,)) for w in (one, other)), strict=True):
            assert np.array_equal(array, same, equal_nan=True)


def _copy(value: Any) -> Any:
    if isinstance(value, tuple):
        return type(value)(*map(_copy, value))
    return value.copy() if isinstance(value, np.ndarray) else value


@given(NUMBERS, NUMBERS, st.integers(-1000, 1000), st.integers(-1000, 1000))
def test_arithmetic(a: int, b: int, x: int, y: int) -> None:
    with np.errstate(over="ignore"):  # integers wrap at 64 bits, as NumPy's
        both(arithmetic, np.int64(a), np.int64(b), x / 8, y / 8, np.zeros(9, np.int64))


@given(st.integers(-3, 3), st.integers(-3, 3), st.sampled_from([-1.0, 0.0, 2.0, float("nan")]), st.integers(-2, 2))
def test_comparisons(a: int, b: int, x: float, y: int) -> None:
    both(comparisons, a, b, x, float(y), np.zeros(9, np.int64))


@given(st.integers(0, 20), st.integers(1, 4), INDICES, st.sampled_from([np.int32, np.int64]))
def test_loops(n: int, step: int, values: list[int], dtype: Any) -> None:
    table = np.array(values, dtype)
    with np.errstate(over="ignore"):
        both(loops, np.int64(n), step, table, table % 3 == 1, np.ones(len(values), np.int64))


@given(INDICES, st.integers(-8, 8), st.sampled_from([np.float32, np.float64]))
def test_calls_and_fields(values: list[int], scale: int, dtype: Any) -> None:
    both(calls, Pair(np.arange(1, 8, dtype=dtype), scale / 4), np.array(values, np.int64), _half=_plain_half)


def test_integers_wrap_and_narrow_as_numpys() -> None:
    @compiled
    @no_type_check
    def narrow(a, small, single):
        small[0] = a
        single[0] = a / 3
        return a * a

    small, single, a = np.zeros(1, np.int32), np.zeros(1, np.float32), np.int64(2**40 + 7)
    with np.errstate(over="ignore"):
        assert narrow(a, small, single) == a * a
    assert small[0] == 7
    assert single[0] == np.float32(a / 3)


def test_nothing_is_returned() -> None:
    @compiled
    @no_type_check
    def nothing(table):
        for i in range(len(table)):
            table[i] = 1

    table = np.zeros(3)
    assert nothing(table) is None
    assert table.tolist() == [1, 1, 1]


REFUSED = (
    "return a // 2", "return a % 2", "return a ** 2", "return ~a", "return -a", "return a >> 1", "return a ^ 1",
    "return a << a", "return a << 64", "return a < 2 < 3", "return a is a", "return a in t", "return t[0:1]",
    "return t[0, 1]", "return a and a", "return (a := 2)", "return [a]", "return f'{a}'", "return unknown",
    "return len(t, t)", "return len(a)", "return max(a, b=2)", "return str(a)", "return np.pi", "return t.shape",
    "return 2 ** 70", "return 99999999999999999999", "return t", "return a.real", "return lambda: a",
    "b = 1\n    b = 1.5\n    return b", "b = t\n    b = 2\n    return 1", "b = a\n    b = t\n    return b",
    "if a:\n        b = 1\n    return b", "for i in range(a):\n        pass\n    return i",
    "while a:\n        b = 1\n        break\n    return b", "if a:\n        return 1",
    "if a:\n        return 1\n    return 1.5",
    "for i in range(a):\n        pass\n    else:\n        pass\n    return 1",
    "while a:\n        break\n    else:\n        pass", "for i in range(3, 1, -1):\n        pass",
    "for i in range(0, 9, a):\n        pass", "for i in range(1.5):\n        pass", "for i in a:\n        pass",
    "with a:\n        pass", "try:\n        pass\n    finally:\n        pass", "del a", "assert a", "raise a",
    "global c", "b: int = a\n    return b", "import os", "def g():\n        pass", "a, b = 1\n    return b",
    "t.x = 1", "[b] = [a]", "a", "t[1.5] = 2", "t[0] = 1.5", "refused(a, t)", "yield a", "pass; return a if t else 2",
    "return print(a)", "return not t", "c = 1\n    c()", "b = (a, a)\n    return b[0]",
)  # fmt: skip


@pytest.mark.parametrize("body", REFUSED)
def test_what_is_not_of_the_language_is_refused(body: str, tmp_path: Any) -> None:
    """While compiling, by file, line and statement; none of it is ever run."""
    file = tmp_path / "refused.py"
    file.write_text(f"def refused(a, t):\n    {body}\n")
    names: dict[str, Any] = {"np": np}
    exec(compile(file.read_text(), str(file), "exec"), names)
    function = compiled(names["refused"])
    names["refused"] = function
    with pytest.raises(NotUnderstood, match=r"refused.py:\d"):
        function.text(function.kinds(2, np.zeros(3, np.int64)))


@pytest.mark.parametrize("given", ["*a", "a, /", "a=1", "*, a", "**a"])
def test_arguments_are_given_by_position(given: str, tmp_path: Any) -> None:
    file, names = tmp_path / "refused.py", dict[str, Any]()
    file.write_text(f"def refused({given}):\n    return 1\n")
    exec(compile(file.read_text(), str(file), "exec"), names)
    with pytest.raises(NotUnderstood, match="by position"):
        compiled(names["refused"])(1)


@pytest.mark.parametrize("value", ["text", None, [1], np.zeros((2, 2)), np.zeros(6)[::2], np.zeros(2, np.int16), 1j])
def test_what_loops_cannot_take_is_refused(value: Any) -> None:
    @compiled
    @no_type_check
    def nothing(_):
        pass

    with pytest.raises(TypeError):
        nothing(value)


@compiled
@no_type_check
def _fill(value, pair):
    table = pair.values
    for i in range(len(table)):
        table[i] = value


@compiled
@no_type_check
def _hand_on(other, pair, lanes, kept):
    _fill(pair.scale + other[0], pair)
    store(kept, 0, load(lanes, other, 0))


def test_an_array_that_is_read_only_is_never_written() -> None:
    """Told by what the loops do with it, in functions called and by vectors too; it may be read."""
    tables = [np.ones(4) for _ in range(3)]

    def run() -> None:
        _hand_on.given(tables[0], Pair(tables[1], 2.0))(Lanes(4), tables[2])

    tables[0].flags.writeable = False
    run()
    assert [table.tolist() for table in tables] == [[1.0] * 4, [3.0] * 4, [1.0] * 4]
    for kept in tables[1:]:
        kept[:] = 7.0
        kept.flags.writeable = False
        with pytest.raises(TypeError, match="_hand_on writes to an array that is read-only"):
            run()
        assert kept.tolist() == [7.0] * 4
        kept.flags.writeable = True


def test_numbers_in_another_order_of_bytes_are_refused() -> None:
    with pytest.raises(TypeError, match="no table of numbers side by side"):
        _fill.kinds(Pair(np.zeros(4, ">f8" if sys.byteorder == "little" else "<f8"), 2.0))


@cache
def every_kernel() -> list[tuple[Compiled, Any]]:
    """All that Python calls of our loops, each with all the kinds it was given in a step of either dtype."""
    model, _ = nets.pair(nets.random_network(4), DCellConfig(min_width=4, form="delta"))
    for network in (model.float(), model.double()):
        heads = network.heads(nets.deletions([(0,), (1, 2), ()], 12))
        DCellLoss(network.root)(heads, nets.torch.linspace(-1, 1, 3)).total.backward()
    found = [v for room in (plan, kernels, losses, tables) for v in vars(room).values() if isinstance(v, Compiled)]
    return [(one, kinds) for one in dict.fromkeys(found) for kinds in one.machines]


@pytest.mark.parametrize("triple", ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu", "arm64-apple-darwin"])
def test_every_kernel_compiles_for(triple: str) -> None:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    target = llvm.Target.from_triple(triple).create_target_machine(opt=2)
    names = set()
    for kernel, kinds in every_kernel():
        text, *_ = kernel.text(kinds)
        assert target.emit_object(optimised(text, target))
        names.add(kernel.source.name)
    assert {"up", "down", "add_heads", "squared", "_visit"} <= names
