"""What a compiled loop may be given, and how it comes: by 64-bit slots.

A number is one slot; an array two, its address and its length; a named tuple those of its fields, one after another.
A Lanes has none: it is its own kind, so a loop is compiled for each.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

import numpy as np

from gocell_cli.training.extra import train_extra

with train_extra():
    from llvmlite import binding as llvm
    from llvmlite import ir

BITS = ir.IntType(64)
POINTER = ir.PointerType()
ELEMENTS: dict[str, Any] = {
    "int32": ir.IntType(32),
    "int64": ir.IntType(64),
    "float32": ir.FloatType(),
    "float64": ir.DoubleType(),
    "bool": ir.IntType(1),
}
STORED = {**ELEMENTS, "bool": ir.IntType(8)}
"""In an array, where a bool takes a byte."""
REGISTER, WIDE_REGISTER = 32, 64
"""Bytes of a register, AVX2's, of which LLVM makes two where a machine's are half as wide; and AVX-512's."""

RESULT_SLOTS = WIDE_REGISTER // 8
"""From one number or register that a function leaves to the next."""


@cache
def register_bytes() -> int:
    """Return the bytes of the widest register that loops use on this machine.

    AVX-512 where the processor has its half-precision numbers too, as Intel's have since Sapphire Rapids: each of these
    multiplies and adds two such registers a cycle. Older and smaller processors do one, and slow down for it, or make
    two of it; there 20 numbers in 16 and 4 would take longer than in 8, 8 and 4.
    """
    return WIDE_REGISTER if llvm.get_host_cpu_features().get("avx512fp16") else REGISTER


@dataclass(frozen=True)
class Lanes:
    """Numbers of a vector: the network's `piece`."""

    piece: int


@dataclass(frozen=True)
class Number:
    """`int64`, `float32`, `float64` or `bool`; an int32 is one in an array alone."""

    name: str


INT, FLOAT32, FLOAT64, BOOL = (Number(name) for name in ("int64", "float32", "float64", "bool"))


@dataclass(frozen=True)
class Array:
    """Numbers side by side, `element` the name of their dtype."""

    element: str

    @property
    def number(self) -> Number:
        """The kind of one that is taken out: integers of either size are reckoned with in 64 bits."""
        return INT if self.element.startswith("int") else Number(self.element)


ARRAYS = {np.dtype(name): Array(name) for name in ELEMENTS}


@dataclass(frozen=True)
class Vector:
    """`piece` floating-point numbers, in registers."""

    piece: int
    element: str

    @property
    def registers(self) -> list[Any]:
        """LLVM's types of them."""
        counts = registers(self.piece, 4 if self.element == "float32" else 8)
        return [ir.VectorType(ELEMENTS[self.element], count) for count in counts]


@dataclass(frozen=True)
class Record:
    """A named tuple's fields, in order."""

    fields: tuple[tuple[str, "Given"], ...]

    def field(self, name: str) -> tuple["Given", int]:
        """Return a field's kind, and its first slot."""
        at = 0
        for own, kind in self.fields:
            if own == name:
                return kind, at
            at += slots_of(kind)
        raise TypeError(f"no field {name} in {[own for own, _ in self.fields]}")


Given: TypeAlias = Number | Array | Record | Lanes
"""What Python may give."""


def registers(piece: int, bytes_each: int) -> list[int]:
    """Cut a piece into registers: powers of two, the widest first."""
    found, left, width = [], piece, register_bytes() // bytes_each
    while left:
        while width > left:
            width //= 2
        found.append(width)
        left -= width
    return found


@cache
def slots_of(kind: Given) -> int:
    """How many slots a value takes."""
    if isinstance(kind, Record):
        return sum(slots_of(own) for _, own in kind.fields)
    return {Number: 1, Array: 2, Lanes: 0}[type(kind)]


def kind_of(value: Any) -> Given:
    """Return an argument's kind; raises TypeError for what loops cannot take."""
    if isinstance(value, np.ndarray):
        # looked up by the dtype itself: NumPy makes a dtype's name anew whenever it is asked for, 5 us each time
        kind, flags = ARRAYS.get(value.dtype), value.flags
        if kind is None or value.ndim != 1 or not (flags.c_contiguous and flags.aligned):
            raise TypeError(f"no table of numbers side by side: {value.dtype} {value.shape}")
        return kind
    if isinstance(value, Lanes):
        return value
    if isinstance(value, tuple):
        names: tuple[str, ...] = type(value)._fields  # type: ignore[attr-defined]
        return Record(tuple((name, kind_of(own)) for name, own in zip(names, value, strict=True)))
    if isinstance(value, bool | np.bool_):
        return BOOL
    if isinstance(value, int | np.integer):
        return INT
    if not isinstance(value, float | np.floating):
        raise TypeError(f"neither a number nor a table of them: {value!r}")
    return FLOAT64


def locked(values: Sequence[Any], first: int = 0) -> set[int]:
    """Return the slots, counted from `first`, of the arrays that NumPy lets nobody write."""
    found, at = set[int](), first
    for value in _flat(values):
        if isinstance(value, np.ndarray) and not value.flags.writeable:
            found.add(at)
        at += 2 if isinstance(value, np.ndarray) else 1
    return found


def slots(values: Sequence[Any]) -> list[int]:
    """Return the slots of some arguments; what they name must live as long as they are used."""
    found: list[int] = []
    for value in _flat(values):
        if isinstance(value, np.ndarray):
            found += value.__array_interface__["data"][0], len(value)
        elif isinstance(value, float | np.floating):
            found += struct.unpack("q", struct.pack("d", value))
        else:
            found.append(int(value))
    return found


def _flat(values: Sequence[Any]) -> Iterator[Any]:
    """The numbers and arrays of some arguments, those of named tuples field by field; a Lanes has no slot."""
    for value in values:
        if isinstance(value, tuple):
            yield from _flat(value)
        elif not isinstance(value, Lanes):
            yield value
