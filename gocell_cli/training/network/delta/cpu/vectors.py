"""A vector for the compiler: `piece` numbers side by side, one value that stays in registers from load to store.

Everything in the network is a multiple of `piece` neurons wide (`layout.py` of the network), 20 with DCell's least
width. A loop over 20 numbers is what LLVM's vectoriser does badly: it makes 32 of them one turn and leaves 20 to the
scalar rest, at 20 to 30 cycles a number where 2 are needed. So the kernels have no such loop: a variable of theirs is
a whole piece, kept as registers of 8, 4, 2 and 1 numbers that add up to it (20 float32 are 8 + 8 + 4; with AVX-512's
registers 16 + 4), and every operation is one instruction for each of those.

A kernel is given a `Lanes`, whose `piece` is a part of its kind: each piece has kernels of its own.

    v = load(lanes, table, at) * scale          +, -, * and / of two vectors
    v = muladd(v, s, w)                          v + s * w, s a number or a vector; one rounding where the machine can
    store(table, at, v)

No index is checked, nor counted from the end: `at` counts numbers from a table's first.
"""

from collections.abc import Callable
from itertools import accumulate
from typing import Any

from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.delta.compiler.emitter import FUSED, Emitter, Intrinsic, Value, declared
from gocell_cli.training.network.delta.compiler.kinds import (
    BITS,
    ELEMENTS,
    INT,
    Array,
    Lanes,
    Number,
    Vector,
)

with train_extra():
    from llvmlite import ir

# ------------------------------------------------------------------------- what LLVM is told, register by register


def _spread(builder: Any, number: Any, kind: Any) -> Any:
    """A register of equal numbers."""
    first = builder.insert_element(ir.Constant(kind, ir.Undefined), number, ir.Constant(ir.IntType(32), 0))
    picks = ir.Constant(ir.VectorType(ir.IntType(32), kind.count), [0] * kind.count)
    return builder.shuffle_vector(first, ir.Constant(kind, ir.Undefined), picks)


def _constant(kind: Any, value: float) -> Any:
    return ir.Constant(kind, [value] * kind.count)


def _call(builder: Any, name: str, kind: Any, arguments: list[Any]) -> Any:
    """LLVM's own function of that name for registers."""
    suffix = f"v{kind.count}{'f32' if kind.element == ir.FloatType() else 'f64'}"
    return builder.call(declared(builder.module, f"llvm.{name}.{suffix}", kind, len(arguments)), arguments)


def _places(code: Emitter, array: Value, at: Value, registers: list[Any]) -> list[Any]:
    """Pointers to the registers' parts of an array."""
    first = code.place(array, at)
    starts = [0, *accumulate(own.count for own in registers)][:-1]
    element = ELEMENTS[_array(array).element]
    return [code.builder.gep(first, [ir.Constant(BITS, start)], source_etype=element) for start in starts]


def _array(value: Value) -> Array:
    if not isinstance(value.kind, Array):
        raise TypeError(f"no array: {value.kind}")
    return value.kind


def _vector(value: Value) -> Vector:
    if not isinstance(value.kind, Vector):
        raise TypeError(f"no vector: {value.kind}")
    return value.kind


def _piece(lanes: Value) -> int:
    if not isinstance(lanes.kind, Lanes):
        raise TypeError(f"no lanes: {lanes.kind}")
    return lanes.kind.piece


# ----------------------------------------------------------------------------------------------- numbers and pieces


@Intrinsic
def size(code: Emitter, lanes: Value) -> Value:
    """The piece, a constant to the compiler."""
    return code.integer(_piece(lanes))


@Intrinsic
def get(code: Emitter, array: Value, at: Value) -> Value:
    """One number of an array."""
    return code.element(array, at)


@Intrinsic
def load(code: Emitter, lanes: Value, array: Value, at: Value) -> Value:
    """The piece of an array that begins at a number of it."""
    kind = Vector(_piece(lanes), _array(array).element)
    places, bytes_each = _places(code, array, at, kind.registers), _bytes(array)
    loaded = (code.builder.load(p, typ=own, align=bytes_each) for p, own in zip(places, kind.registers, strict=True))
    return Value(kind, tuple(loaded))


def _bytes(array: Value) -> int:
    return 4 if _array(array).element.endswith("32") else 8


@Intrinsic
def store(code: Emitter, array: Value, at: Value, vector: Value) -> None:
    """Set the piece of an array that begins at a number of it; narrows float64 to the array's dtype."""
    code.writes(array)
    element = ELEMENTS[_array(array).element]
    kinds = [ir.VectorType(element, part.type.count) for part in vector.parts]
    for place, part, kind in zip(_places(code, array, at, kinds), vector.parts, kinds, strict=True):
        given = part if part.type == kind else code.builder.fptrunc(part, kind)
        code.builder.store(given, place, align=_bytes(array))


@Intrinsic
def zeros(_code: Emitter, lanes: Value, array: Value) -> Value:
    """A piece of zeros, of an array's dtype."""
    kind = Vector(_piece(lanes), _array(array).element)
    return Value(kind, tuple(_constant(own, 0.0) for own in kind.registers))


@Intrinsic
def wide(code: Emitter, vector: Value) -> Value:
    """The same numbers in float64."""
    if _vector(vector).element == "float64":
        return vector
    # their registers hold half as many numbers: taken one by one, which LLVM turns into conversions of registers
    builder, numbers = code.builder, list[Any]()
    for part in vector.parts:
        numbers += [builder.extract_element(part, ir.Constant(BITS, i)) for i in range(part.type.count)]
    numbers = [builder.fpext(number, ir.DoubleType()) for number in numbers]
    kind, parts, at = Vector(_vector(vector).piece, "float64"), list[Any](), 0
    for own in kind.registers:
        whole = ir.Constant(own, ir.Undefined)
        for i in range(own.count):
            whole = builder.insert_element(whole, numbers[at + i], ir.Constant(BITS, i))
        parts.append(whole)
        at += own.count
    return Value(kind, tuple(parts))


def _factors(code: Emitter, factor: Value, vector: Value) -> list[Any]:
    """A factor's registers; a number is the same in all of a vector's."""
    if isinstance(factor.kind, Vector):
        return [*factor.parts]
    element = _vector(vector).element
    number = code.narrow(factor) if element == "float32" else code.to(Number(element), factor)
    return [_spread(code.builder, number.number, part.type) for part in vector.parts]


@Intrinsic
def muladd(code: Emitter, added: Value, factor: Value, vector: Value) -> Value:
    """Return added + factor * vector; factor is a number, taken in the vector's dtype, or a vector."""
    # where the machine has no such instruction this is a product and a sum; `llvm.fma` would be a slow call
    terms = zip(_factors(code, factor, vector), vector.parts, added.parts, strict=True)
    return Value(_vector(vector), tuple(_call(code.builder, "fmuladd", v.type, [by, v, a]) for by, v, a in terms))


@Intrinsic
def scaled(code: Emitter, factor: Value, vector: Value) -> Value:
    """A number, taken in the vector's dtype, times a vector."""
    pairs = zip(_factors(code, factor, vector), vector.parts, strict=True)
    return Value(_vector(vector), tuple(code.builder.fmul(by, v, flags=FUSED) for by, v in pairs))


@Intrinsic
def total(code: Emitter, vector: Value) -> Value:
    """The sum of a piece's numbers, in an order that is always the same."""
    found, builder = None, code.builder
    for part in vector.parts:
        # halves onto each other until one number is left
        count, own = part.type.count, part
        while count > 1:
            count //= 2
            low, high = (
                ir.Constant(ir.VectorType(ir.IntType(32), count), [*range(start, start + count)])
                for start in (0, count)
            )
            empty = ir.Constant(own.type, ir.Undefined)
            own = builder.fadd(builder.shuffle_vector(own, empty, low), builder.shuffle_vector(own, empty, high))
        number = builder.extract_element(own, ir.Constant(BITS, 0))
        found = number if found is None else builder.fadd(found, number)
    return Value(Number(_vector(vector).element), (found,))


# ---------------------------------------------------------------------------------------------------------- tanh

# tanh(x) = x P(x^2) / Q(x^2), fitted for the least relative error, 2.1e-8, on [-9.02, 9.02] (Lawson's weights on the
# linearised problem); beyond, float32 holds 1. What rounding adds leaves it within 3e-7 of tanh: the test tries
# all float32 numbers there are a few apart.
CLAMP = 9.02
NUMERATOR = (9.999999791e-01, 1.337975823e-01, 3.494081313e-03, 2.058420185e-05, 1.331996981e-08)
DENOMINATOR = (1.0, 4.671307351e-01, 2.587125397e-02, 3.283167253e-04, 7.762408663e-07)


def _polynomial(builder: Any, coefficients: tuple[float, ...], t: Any) -> Any:
    """By Horner's rule."""
    found = _constant(t.type, coefficients[-1])
    for c in coefficients[-2::-1]:
        found = _call(builder, "fmuladd", t.type, [found, t, _constant(t.type, c)])
    return found


def _bounded(builder: Any, x: Any, reach: float) -> Any:
    """Within [-reach, reach]; a comparison with NaN is false, so NaN stays NaN."""
    for sign, limit in ((">", reach), ("<", -reach)):
        bound = _constant(x.type, limit)
        x = builder.select(builder.fcmp_ordered(sign, x, bound), bound, x)
    return x


def _rational_tanh(builder: Any, x: Any) -> Any:
    x = _bounded(builder, x, CLAMP)
    t = builder.fmul(x, x)
    above = builder.fmul(x, _polynomial(builder, NUMERATOR, t))
    return _bounded(builder, builder.fdiv(above, _polynomial(builder, DENOMINATOR, t)), 1.0)


def _library_tanh(builder: Any, x: Any) -> Any:
    """The C library's, number by number."""
    function, whole = declared(builder.module, "tanh", ir.DoubleType(), 1), x
    for i in range(x.type.count):
        at = ir.Constant(BITS, i)
        whole = builder.insert_element(whole, builder.call(function, [builder.extract_element(x, at)]), at)
    return whole


@Intrinsic
def tanh(code: Emitter, vector: Value) -> Value:
    """The hyperbolic tangent: in float32 within 3e-7 of it, relative; in float64 the C library's, number by number."""
    kind = _vector(vector)
    compute: Callable[[Any, Any], Any] = _rational_tanh if kind.element == "float32" else _library_tanh
    return Value(kind, tuple(compute(code.builder, part) for part in vector.parts))


# ------------------------------------------------------------------------------------------ counters of several threads


@Intrinsic
def count_up(code: Emitter, counters: Value, at: Value) -> Value:
    """Add 1 to an int64 counter that other threads add to as well; returns what it was."""
    code.writes(counters)
    return Value(INT, (code.builder.atomic_rmw("add", code.place(counters, at), ir.Constant(BITS, 1), "seq_cst"),))


@Intrinsic
def current(code: Emitter, counters: Value, at: Value) -> Value:
    """A counter's value now; what its threads wrote before they counted up is seen by who reads after this."""
    return Value(INT, (code.builder.load_atomic(code.place(counters, at), "acquire", 8, typ=BITS),))
