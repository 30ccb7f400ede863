"""A vector for numba: `piece` numbers side by side, one value that stays in registers from load to store.

Everything in the network is a multiple of `piece` neurons wide (`layout.py` of the network), 20 with DCell's least
width. A loop over 20 numbers is what LLVM's vectoriser does badly: it makes 32 of them one turn and leaves 20 to the
scalar rest, at 20 to 30 cycles a number where 2 are needed. So the kernels have no such loop: a variable of theirs is
a whole piece, kept as registers of 8, 4, 2 and 1 numbers that add up to it (20 float32 are 8 + 8 + 4), and every
operation is one instruction for each of those.

A kernel is given a `Lanes`, of which numba sees `piece` as a part of the type: each piece has kernels of its own.

    v = load(lanes, table, at) * scale          +, -, * and / of two vectors
    v = muladd(v, s, w)                          v + s * w, s a number or a vector; one rounding where the machine can
    store(table, at, v)

No index is checked, nor counted from the end: `at` counts numbers from a table's first.
"""

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, no_type_check

from gocell_cli.training.extra import train_extra

with train_extra():
    from llvmlite import ir
    from numba import types
    from numba.core import cgutils
    from numba.core.typing.templates import AbstractTemplate, infer_global, signature
    from numba.extending import (
        NativeValue,
        intrinsic,
        lower_builtin,
        models,
        register_model,
        typeof_impl,
        unbox,
    )

REGISTER = 32
"""Bytes of the widest register used, AVX2's; LLVM makes two of it where a machine's are half as wide."""
INDEX = ir.IntType(64)
FUSED = ("contract",)  # a multiply and an add may become one instruction


@dataclass(frozen=True)
class Lanes:
    """Numbers of a vector: the network's `piece`."""

    piece: int


class LanesType(types.Type):
    """Numba's type of a Lanes."""

    def __init__(self, piece: int) -> None:
        self.piece = piece
        super().__init__(f"Lanes({piece})")


class VectorType(types.Type):
    """`piece` numbers of a dtype."""

    def __init__(self, piece: int, dtype: Any) -> None:
        self.piece, self.dtype = piece, dtype
        super().__init__(f"Vector({piece}, {dtype})")


register_model(LanesType)(models.OpaqueModel)


@typeof_impl.register(Lanes)
def _typeof(lanes: Lanes, _: Any) -> LanesType:
    return LanesType(lanes.piece)


@unbox(LanesType)
@no_type_check
def _unbox(_type: Any, _value: Any, c: Any) -> NativeValue:
    return NativeValue(c.context.get_dummy_value())  # all that a Lanes says is in its type


def registers(piece: int, bytes_each: int) -> list[int]:
    """Cut a piece into registers: powers of two, the widest first."""
    found, left, width = [], piece, REGISTER // bytes_each
    while left:
        while width > left:
            width //= 2
        found.append(width)
        left -= width
    return found


@register_model(VectorType)
class VectorModel(models.PrimitiveModel):
    """In LLVM a structure of vectors, which it takes apart into registers."""

    def __init__(self, manager: Any, kind: VectorType) -> None:
        element = ir.FloatType() if kind.dtype == types.float32 else ir.DoubleType()
        parts = [ir.VectorType(element, n) for n in registers(kind.piece, kind.dtype.bitwidth // 8)]
        super().__init__(manager, kind, ir.LiteralStructType(parts))  # type: ignore[no-untyped-call]


# ------------------------------------------------------------------------- what LLVM is told, register by register


def _split(builder: Any, vector: Any) -> list[Any]:
    return [builder.extract_value(vector, i) for i in range(len(vector.type.elements))]


def _join(builder: Any, kind: Any, parts: list[Any]) -> Any:
    whole = ir.Constant(kind, ir.Undefined)
    for i, part in enumerate(parts):
        whole = builder.insert_value(whole, part, i)
    return whole


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
    form = ir.FunctionType(kind, [kind] * len(arguments))
    return builder.call(cgutils.get_or_insert_function(builder.module, form, f"llvm.{name}.{suffix}"), arguments)


def _data(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    return context.make_array(kind)(context, builder, array).data


def _places(context: Any, builder: Any, array: tuple[Any, Any], at: Any, parts: Any) -> list[Any]:
    """Pointers to the registers' parts of an array; `array` is its type and itself."""
    first = builder.gep(_data(context, builder, *array), [at])
    starts = [0, *accumulate(p.count for p in parts)][:-1]
    return [
        builder.bitcast(builder.gep(first, [ir.Constant(INDEX, start)]), part.as_pointer())
        for start, part in zip(starts, parts, strict=True)
    ]


def _by_register(operation: Callable[..., Any]) -> Callable[..., Any]:
    """Code of an operation on vectors: `operation` of their registers, one after another."""

    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        parts = [_split(builder, arg) for arg in args]
        found = [operation(builder, *same) for same in zip(*parts, strict=True)]
        return _join(builder, context.get_value_type(sig.return_type), found)

    return code


# ----------------------------------------------------------------------------------------------- numbers and pieces


@intrinsic
@no_type_check
def size(_context, lanes):
    """The piece, a constant to the compiler."""

    def code(_context, _builder, _sig, _args):
        return ir.Constant(INDEX, lanes.piece)

    return types.intp(lanes), code


@intrinsic
@no_type_check
def get(_context, array, at):
    """One number of an array."""

    def code(context, builder, _sig, args):
        return builder.load(builder.gep(_data(context, builder, array, args[0]), [args[1]]))

    return array.dtype(array, types.intp), code


@intrinsic
@no_type_check
def load(_context, lanes, array, at):
    """The piece of an array that begins at a number of it."""
    found = VectorType(lanes.piece, array.dtype)

    def code(context, builder, _sig, args):
        kind = context.get_value_type(found)
        places = _places(context, builder, (array, args[1]), args[2], kind.elements)
        return _join(builder, kind, [builder.load(p, align=array.dtype.bitwidth // 8) for p in places])

    return found(lanes, array, types.intp), code


@intrinsic
@no_type_check
def store(_context, array, at, vector):
    """Set the piece of an array that begins at a number of it; narrows float64 to the array's dtype."""

    def code(context, builder, _sig, args):
        parts = _split(builder, args[2])
        element = context.get_value_type(array.dtype)
        kinds = [ir.VectorType(element, p.type.count) for p in parts]
        places = _places(context, builder, (array, args[0]), args[1], kinds)
        for place, part, kind in zip(places, parts, kinds, strict=True):
            given = part if part.type == kind else builder.fptrunc(part, kind)
            builder.store(given, place, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), code


@intrinsic
@no_type_check
def zeros(_context, lanes, array):
    """A piece of zeros, of an array's dtype."""
    found = VectorType(lanes.piece, array.dtype)

    def code(context, builder, _sig, _args):
        kind = context.get_value_type(found)
        return _join(builder, kind, [_constant(part, 0.0) for part in kind.elements])

    return found(lanes, array), code


@intrinsic
@no_type_check
def wide(_context, vector):
    """The same numbers in float64."""
    found = VectorType(vector.piece, types.float64)

    def code(context, builder, _sig, args):
        # their registers hold half as many numbers: taken one by one, which LLVM turns into conversions of registers
        kind, numbers = context.get_value_type(found), []
        for part in _split(builder, args[0]):
            numbers += [builder.extract_element(part, ir.Constant(INDEX, i)) for i in range(part.type.count)]
        if vector.dtype != types.float64:
            numbers = [builder.fpext(n, ir.DoubleType()) for n in numbers]
        parts, at = [], 0
        for part in kind.elements:
            whole = ir.Constant(part, ir.Undefined)
            for i in range(part.count):
                whole = builder.insert_element(whole, numbers[at + i], ir.Constant(INDEX, i))
            parts.append(whole)
            at += part.count
        return _join(builder, kind, parts)

    return found(vector), code


@intrinsic
@no_type_check
def muladd(_context, added, factor, vector):
    """Return added + factor * vector; factor is a number or a vector."""

    def code(context, builder, _sig, args):
        kind, found = context.get_value_type(vector), []
        factors = _split(builder, args[1]) if isinstance(factor, VectorType) else None
        for i, (a, v) in enumerate(zip(_split(builder, args[0]), _split(builder, args[2]), strict=True)):
            by = factors[i] if factors else _spread(builder, args[1], v.type)
            # where the machine has no such instruction this is a product and a sum; `llvm.fma` would be a slow call
            found.append(_call(builder, "fmuladd", v.type, [by, v, a]))
        return _join(builder, kind, found)

    by = factor if isinstance(factor, VectorType) else vector.dtype
    return vector(vector, by, vector), code


@intrinsic
@no_type_check
def scaled(_context, factor, vector):
    """A number times a vector."""

    def code(context, builder, _sig, args):
        parts = [builder.fmul(_spread(builder, args[0], v.type), v, flags=FUSED) for v in _split(builder, args[1])]
        return _join(builder, context.get_value_type(vector), parts)

    return vector(vector.dtype, vector), code


@intrinsic
@no_type_check
def total(_context, vector):
    """The sum of a piece's numbers, in an order that is always the same."""

    def code(_context, builder, _sig, args):
        found = None
        for part in _split(builder, args[0]):
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
            number = builder.extract_element(own, ir.Constant(INDEX, 0))
            found = number if found is None else builder.fadd(found, number)
        return found

    return vector.dtype(vector), code


# ------------------------------------------------------------------------------------------------- +, -, * and /


def _operator(symbol: Any, instruction: str) -> None:
    """Teach numba an operator of two vectors of a kind."""

    @infer_global(symbol)
    class Template(AbstractTemplate):
        def generic(self, args: Any, _keywords: Any) -> Any:
            alike = len(args) == 2 and isinstance(args[0], VectorType) and args[0] == args[1]
            return signature(args[0], *args) if alike else None

    del Template
    lower_builtin(symbol, VectorType, VectorType)(
        _by_register(lambda builder, a, b: getattr(builder, instruction)(a, b, flags=FUSED))
    )


for _symbol, _instruction in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _operator(_symbol, _instruction)


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


@intrinsic
@no_type_check
def tanh(context, vector):
    """The hyperbolic tangent: in float32 within 3e-7 of it, relative; in float64 the C library's, number by number."""
    own = context.resolve_value_type(math.tanh).get_call_type(context, (types.float64,), {})

    def each(context, builder, sig, args):
        compute, parts = context.get_function(math.tanh, own), []
        for part in _split(builder, args[0]):
            whole = part
            for i in range(part.type.count):
                at = ir.Constant(INDEX, i)
                whole = builder.insert_element(whole, compute(builder, [builder.extract_element(part, at)]), at)
            parts.append(whole)
        return _join(builder, context.get_value_type(sig.return_type), parts)

    return vector(vector), _by_register(_rational_tanh) if vector.dtype == types.float32 else each


# ------------------------------------------------------------------------------------------ counters of several threads


@intrinsic
@no_type_check
def count_up(_context, counters, at):
    """Add 1 to an int64 counter that other threads add to as well; returns what it was."""

    def code(context, builder, _sig, args):
        place = builder.gep(_data(context, builder, counters, args[0]), [args[1]])
        return builder.atomic_rmw("add", place, ir.Constant(INDEX, 1), "seq_cst")

    return types.int64(counters, types.intp), code


@intrinsic
@no_type_check
def current(_context, counters, at):
    """A counter's value now; what its threads wrote before they counted up is seen by who reads after this."""

    def code(context, builder, _sig, args):
        place = builder.gep(_data(context, builder, counters, args[0]), [args[1]])
        return builder.load_atomic(place, "acquire", 8)

    return types.int64(counters, types.intp), code
