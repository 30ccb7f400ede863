"""A function of plain loops, from Python's syntax tree to LLVM's code: no types are written, they follow from the call.

The language is Python's, less most of it, and means what Python does with NumPy's scalars but for what is said here:

values       int64, float64, float32, bool; vectors (`cpu/vectors.py`); arrays of one dimension (of these and int32)
             and named tuples of all these, which may be read and have one name; numbers of the module are
             constants
statements   =, also to several targets or of several values; += and the like; for over a range (a constant step above
             0) or an array; while, if, break, continue, pass, return of numbers and vectors
expressions  + - * / and, of integers, & | << (by a constant below 64); one comparison; and, or, not of bools; x if y
             else z; array[i], tuple.field, calls by position of compiled functions, of intrinsics and of BUILTINS

A variable keeps the kind that it was first given, and must be set on every way to where it is read. Integers have 64
bits, those out of an int32 array too, and wrap; what is set in an int32 array loses its upper bits, in a float32 array
is rounded. Of two kinds the result is what holds both: float64 for float32 beside anything else, a constant too. A
division by 0 is inf or NaN. A product and a sum may be rounded once (FUSED). No index is checked, nor counted from the
end. An array that NumPy says is read-only may not be given where a loop writes: a TypeError, before it runs.
All else is refused while compiling: NotUnderstood names the file, the line and the statement.

numba compiles far more of the language, and took 22 to 40 s for the loops of the delta form where this takes one or
two: it optimises every function by itself and in each of its callers again, hands an array on as seven values, and
infers types that a first assignment tells.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any

import numpy as np

from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.delta.compiler.kinds import (
    BITS,
    BOOL,
    ELEMENTS,
    FLOAT32,
    FLOAT64,
    INT,
    POINTER,
    RESULT_SLOTS,
    STORED,
    Array,
    Given,
    Lanes,
    Number,
    Record,
    Vector,
    slots_of,
)

with train_extra():
    from llvmlite import ir

FUSED = ("contract",)
"""A multiply and an add may become one instruction, and no more than that.

Sums must keep their order: variants that are computed alike are then equal to the bit, their difference is 0, and a
run can be repeated. To assume that no number is infinite would break a term whose running variance is (no sample
touched it): 1 / sqrt(inf) is 0."""
ARITHMETIC = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div"}
BITWISE = {ast.BitAnd: "and_", ast.BitOr: "or_", ast.LShift: "shl"}
COMPARED = {ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}


@dataclass(frozen=True, eq=False)
class Value:
    """A value in the code: LLVM's of a number, those of a vector's registers, or where the slots of others begin."""

    kind: Given | Vector
    parts: tuple[Any, ...]

    @property
    def number(self) -> Any:
        """LLVM's value of a number."""
        (found,) = self.parts
        return found


@dataclass(frozen=True, eq=False)
class Intrinsic:
    """An operation that writes LLVM's code itself, given the emitter and its arguments."""

    write: Callable[..., Value | None]


class NotUnderstood(TypeError):
    """A statement that is none of the language's, or is given what it cannot take."""


class Source:
    """A function's syntax tree, and the names that it can see."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.name = function, function.__name__
        self.globals: dict[str, Any] = function.__globals__

    @cached_property
    def tree(self) -> ast.FunctionDef:
        """The definition, lines counted as in its file."""
        lines, first = inspect.getsourcelines(self.function)
        found = ast.parse(textwrap.dedent("".join(lines))).body[0]
        if not isinstance(found, ast.FunctionDef):
            raise NotUnderstood(f"{self.name} is no function that was defined by its name")
        return ast.increment_lineno(found, first - 1)

    def where(self, node: ast.stmt) -> str:
        """File and line, for errors."""
        return f"{self.function.__code__.co_filename}:{node.lineno}"


class Unit:
    """One module of LLVM's code: a function that is called from outside, and all that it calls."""

    def __init__(self, name: str) -> None:
        self.module = ir.Module(name)
        self._emitted: dict[tuple[Source, tuple[Given | Vector, ...]], Emitter] = {}
        self._open: list[Source] = []

    def emit(self, source: Source, kinds: tuple[Given | Vector, ...]) -> "Emitter":
        """Emit a function for arguments of these kinds, or return what was."""
        if (source, kinds) not in self._emitted:
            if source in self._open:
                raise TypeError("it calls itself")
            self._open.append(source)
            made = Emitter(self, source, kinds, f"{source.name}.{len(self._emitted)}")
            made.emit()
            self._emitted[self._open.pop(), kinds] = made
        return self._emitted[source, kinds]

    def entry(self, source: Source, kinds: tuple[Given, ...]) -> tuple[list[Number], frozenset[int]]:
        """Emit the function that Python calls with an array of slots; what it returns lies in the first of these.

        Returns the kinds of what it returns, and the slots of the arrays that it writes.
        """
        inner = self.emit(source, kinds)
        function = ir.Function(self.module, ir.FunctionType(ir.VoidType(), [POINTER]), source.name)
        builder, at = ir.IRBuilder(function.append_basic_block()), 0
        arguments: list[Any] = [function.args[0]]
        for kind in kinds:
            place = builder.gep(function.args[0], [ir.Constant(BITS, at)], source_etype=BITS)
            arguments += _arguments(builder, kind, place)
            at += slots_of(kind)
        builder.call(inner.function, arguments)
        builder.ret_void()
        if not all(isinstance(kind, Number) for kind in inner.returned):
            raise NotUnderstood(f"{source.where(source.tree)}: it returns what is no number")
        starts = [0, *accumulate(slots_of(kind) for kind in kinds)]
        written = frozenset(starts[argument] + slot for argument, slot in inner.written)
        return [kind for kind in inner.returned if isinstance(kind, Number)], written


def _arguments(builder: Any, kind: Given, place: Any) -> list[Any]:
    if isinstance(kind, Number):
        return [_from_slot(builder, kind, place)]
    return [] if isinstance(kind, Lanes) else [place]


def _from_slot(builder: Any, kind: Number, place: Any) -> Any:
    if kind == BOOL:
        return builder.icmp_signed("!=", builder.load(place, typ=BITS), ir.Constant(BITS, 0))
    return builder.load(place, typ=ELEMENTS[kind.name])


def declared(module: Any, name: str, kind: Any, arguments: int) -> Any:
    """A function of LLVM's, or the C library's, from some values of a type to one."""
    return module.globals.get(name) or ir.Function(module, ir.FunctionType(kind, [kind] * arguments), name)


def types_of(kind: Given | Vector) -> list[Any]:
    """LLVM's types of a value's parts."""
    if isinstance(kind, Vector):
        return kind.registers
    if isinstance(kind, Number):
        return [ELEMENTS[kind.name]]
    return [] if isinstance(kind, Lanes) else [POINTER]


class Emitter:
    """One function for arguments of some kinds, written statement by statement.

    It returns nothing to LLVM: its first argument is where it leaves its results, RESULT_SLOTS for each number
    or register.
    """

    def __init__(self, unit: Unit, source: Source, kinds: tuple[Given | Vector, ...], name: str) -> None:
        self.unit, self.source = unit, source
        types = [POINTER, *(own for kind in kinds for own in types_of(kind))]
        self.function = ir.Function(unit.module, ir.FunctionType(ir.VoidType(), types), name)
        self.function.linkage = "internal"
        self.function.attributes.add("nounwind")
        self.returned: tuple[Given | Vector, ...] = ()
        self._ends = False
        self._eithers = 0
        self.names: dict[str, Value] = {}
        self.variables: dict[str, Value] = {}
        self.known: set[str] = set()
        """Names that are set wherever the code is now."""
        self.loops: list[tuple[Any, Any]] = []
        self._fields: dict[tuple[Any, int, Given], Value] = {}
        self._origins: dict[Any, tuple[int, int]] = {}
        """Of each pointer to slots: the argument, and how many slots behind its first."""
        self.written: set[tuple[int, int]] = set()
        """The origins of the arrays that are written, here or in functions called."""
        given = source.tree.args
        if given.posonlyargs or given.kwonlyargs or given.vararg or given.kwarg or given.defaults:
            raise NotUnderstood(f"{source.where(source.tree)}: arguments are given by position, all of them")
        at = 1
        for number, (argument, kind) in enumerate(zip(given.args, kinds, strict=True)):
            count = len(types_of(kind))
            self.names[argument.arg] = value = Value(kind, tuple(self.function.args[at : at + count]))
            if isinstance(kind, Array | Record):
                self._origins[value.parts[0]] = number, 0
            at += count
        # what is made once a call, variables' places and fields of named tuples, goes to the first block
        self.first = self.function.append_basic_block("first")
        self.builder = ir.IRBuilder(self.function.append_basic_block("body"))

    def emit(self) -> None:
        """Write the whole function."""
        body = self.builder.block
        given, self.names = self.names, {}
        for argument, value in given.items():
            self._set(argument, value)
        self._suite(self.source.tree.body)
        if not self.builder.block.is_terminated:
            if self.returned:
                raise NotUnderstood(f"{self.source.where(self.source.tree)}: one way through returns nothing")
            self.builder.ret_void()
        with self.builder.goto_block(self.first):
            self.builder.branch(body)

    # ------------------------------------------------------------------------------------------------- statements

    def _suite(self, statements: Sequence[ast.stmt]) -> None:
        for statement in statements:
            if self.builder.block.is_terminated:
                return
            try:
                getattr(self, f"_{type(statement).__name__}")(statement)
            except NotUnderstood:
                raise
            except (AttributeError, TypeError, ValueError, KeyError, IndexError) as error:
                first = ast.unparse(statement).splitlines()[0]
                raise NotUnderstood(f"{self.source.where(statement)}: {first}: {error}") from error

    def _Pass(self, _: ast.Pass) -> None:  # noqa: N802
        pass

    def _Expr(self, node: ast.Expr) -> None:  # noqa: N802
        if isinstance(node.value, ast.Call):
            self._called(node.value)
        elif not (isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)):  # a docstring
            raise TypeError("it does nothing")

    def _Assign(self, node: ast.Assign) -> None:  # noqa: N802
        if isinstance(node.value, ast.Tuple):
            values = [self.value(own) for own in node.value.elts]
        elif isinstance(node.targets[0], ast.Tuple):
            values = self._called(node.value)
        else:
            values = [self.value(node.value)]
        for target in node.targets:
            targets = target.elts if isinstance(target, ast.Tuple) else [target]
            for own, value in zip(targets, values, strict=True):
                self._assign(own, value)

    def _AugAssign(self, node: ast.AugAssign) -> None:  # noqa: N802
        if isinstance(node.target, ast.Name):
            self._set(node.target.id, self.operation(node.op, self.named(node.target.id), self.value(node.value)))
        elif isinstance(node.target, ast.Subscript):
            array, at = self.value(node.target.value), self.value(node.target.slice)
            before = self.element(array, at)
            self.set_element(array, at, self.operation(node.op, before, self.value(node.value)))
        else:
            raise TypeError("neither a variable nor an array's number")

    def _assign(self, target: ast.expr, value: Value) -> None:
        if isinstance(target, ast.Name):
            self._set(target.id, value)
        elif isinstance(target, ast.Subscript):
            self.set_element(self.value(target.value), self.value(target.slice), value)
        else:
            raise TypeError("neither a variable nor an array's number")

    def _set(self, name: str, value: Value) -> None:
        self.known.add(name)
        if not isinstance(value.kind, Number | Vector):
            if name in self.variables or self.names.setdefault(name, value).parts != value.parts:
                raise TypeError(f"{name} is something else already")
            return
        if name in self.names:
            raise TypeError(f"{name} is something else already")
        if name not in self.variables:
            with self.builder.goto_block(self.first):
                places = [self.builder.alloca(part.type, name=name) for part in value.parts]
            self.variables[name] = Value(value.kind, tuple(places))
        held = self.variables[name]
        for part, place in zip(self.to(held.kind, value).parts, held.parts, strict=True):
            self.builder.store(part, place)

    def _If(self, node: ast.If) -> None:  # noqa: N802
        then, other, after = self._blocks("then", "else", "after")
        self.builder.cbranch(self.truth(node.test), then, other)
        before, found = self.known, list[set[str]]()
        for block, suite in ((then, node.body), (other, node.orelse)):
            self.builder.position_at_end(block)
            self.known = set(before)
            self._suite(suite)
            if not self.builder.block.is_terminated:
                found.append(self.known)
            self._go(after)
        self.builder.position_at_end(after)
        self.known = set.intersection(*found) if found else before
        if not found:
            self.builder.unreachable()

    def _While(self, node: ast.While) -> None:  # noqa: N802
        test, body, after = self._blocks("test", "body", "after")
        self._go(test)
        self.builder.position_at_end(test)
        self.builder.cbranch(self.truth(node.test), body, after)
        self._loop(body, node, test, after)
        endless = isinstance(node.test, ast.Constant) and node.test.value is True
        if endless and not any(isinstance(own, ast.Break) for own in ast.walk(node)):
            self.builder.unreachable()

    def _For(self, node: ast.For) -> None:  # noqa: N802
        """A counter of its own: the loop's variable may be set within."""
        array, start, stop, step = self._walked(node.iter)
        counter = f"{ast.unparse(node.target)} of line {node.lineno}, {node.col_offset}"
        self._set(counter, start)
        test, body, again, after = self._blocks("test", "body", "again", "after")
        self._go(test)
        self.builder.position_at_end(test)
        at = self._variable(counter)
        self.builder.cbranch(self.builder.icmp_signed("<", at.number, stop.number), body, after)
        before = set(self.known)
        self.builder.position_at_end(body)
        self._assign(node.target, at if array is None else self.element(array, at))
        self._loop(body, node, again, after)
        self.known = before
        self.builder.position_at_end(again)
        self._set(counter, self.operation(ast.Add(), at, step))
        self._go(test)
        self.builder.position_at_end(after)

    def _walked(self, over: ast.expr) -> tuple[Value | None, Value, Value, Value]:
        """What a loop goes over: an array or none, where it begins, where it ends, and its step."""
        if not (isinstance(over, ast.Call) and isinstance(over.func, ast.Name) and over.func.id == "range"):
            array = self.value(over)
            return array, self.integer(0), self.length(array), self.integer(1)
        given = [self.to(INT, self.value(own)) for own in over.args]
        if len(given) == 1:
            given.insert(0, self.integer(0))
        start, stop, step = given if len(given) > 2 else (*given, self.integer(1))
        if _constant(step) < 1:
            raise TypeError("a step that is not above 0")
        return None, start, stop, step

    def _loop(self, body: Any, node: ast.For | ast.While, again: Any, after: Any) -> None:
        if node.orelse:
            raise TypeError("else of a loop")
        before = set(self.known)
        self.builder.position_at_end(body)
        self.loops.append((again, after))
        self._suite(node.body)
        self.loops.pop()
        self.known = before  # a loop may have no turn
        self._go(again)
        self.builder.position_at_end(after)

    def _Break(self, _: ast.Break) -> None:  # noqa: N802
        self._go(self.loops[-1][1])

    def _Continue(self, _: ast.Continue) -> None:  # noqa: N802
        self._go(self.loops[-1][0])

    def _Return(self, node: ast.Return) -> None:  # noqa: N802
        given = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value] if node.value else []
        values = [self.value(own) for own in given]
        kinds = tuple(value.kind for value in values)
        if self._ends and kinds != self.returned:
            raise TypeError(f"another return gives {self.returned}")
        self._ends, self.returned = True, kinds
        for i, part in enumerate(part for value in values for part in value.parts):
            self.builder.store(part, self._result(self.function.args[0], i), align=8)
        self.builder.ret_void()

    def _result(self, results: Any, number: int) -> Any:
        return self.builder.gep(results, [ir.Constant(BITS, RESULT_SLOTS * number)], source_etype=BITS)

    def _go(self, block: Any) -> None:
        if not self.builder.block.is_terminated:
            self.builder.branch(block)

    def _blocks(self, *names: str) -> list[Any]:
        return [self.function.append_basic_block(name) for name in names]

    # ------------------------------------------------------------------------------------------------ expressions

    def value(self, node: ast.expr) -> Value:
        """Write an expression's code."""
        found: Value = getattr(self, f"_{type(node).__name__}")(node)
        return found

    def _Constant(self, node: ast.Constant) -> Value:  # noqa: N802
        return self.constant(node.value)

    def _Name(self, node: ast.Name) -> Value:  # noqa: N802
        return self.named(node.id)

    def named(self, name: str) -> Value:
        """What a name stands for."""
        if name not in self.source.function.__code__.co_varnames:
            return self.constant(self.source.globals[name])
        if name not in self.known:
            raise TypeError(f"{name} may not be set here")
        return self.names[name] if name in self.names else self._variable(name)

    def _variable(self, name: str) -> Value:
        held = self.variables[name]
        types = types_of(held.kind)
        return Value(held.kind, tuple(self.builder.load(p, typ=t) for p, t in zip(held.parts, types, strict=True)))

    def _Attribute(self, node: ast.Attribute) -> Value:  # noqa: N802
        return self.field(self.value(node.value), node.attr)

    def _Subscript(self, node: ast.Subscript) -> Value:  # noqa: N802
        return self.element(self.value(node.value), self.value(node.slice))

    def _BinOp(self, node: ast.BinOp) -> Value:  # noqa: N802
        return self.operation(node.op, self.value(node.left), self.value(node.right))

    def _UnaryOp(self, node: ast.UnaryOp) -> Value:  # noqa: N802
        if isinstance(node.op, ast.Not):
            return Value(BOOL, (self.builder.not_(self.truth(node.operand)),))
        if isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
            return self.constant(-node.operand.value)  # type: ignore[operator]
        raise TypeError("an operator that is not known")

    def _BoolOp(self, node: ast.BoolOp) -> Value:  # noqa: N802
        """As `b if a else False`: what stands behind is not asked where the first one tells."""
        first, *more = node.values
        rest = ast.BoolOp(node.op, more) if len(more) > 1 else more[0]
        both = isinstance(node.op, ast.And)
        held = self.to(BOOL, self.value(first)).number
        return self._either(held, rest if both else None, None if both else rest)

    def _IfExp(self, node: ast.IfExp) -> Value:  # noqa: N802
        return self._either(self.truth(node.test), node.body, node.orelse)

    def _either(self, held: Any, then: ast.expr | None, other: ast.expr | None) -> Value:
        """One of two values; a bool where one is None, for what `held` is."""
        self._eithers += 1
        blocks, name = self._blocks("then", "else", "after"), f"either {self._eithers}"
        self.builder.cbranch(held, *blocks[:2])
        for block, node, told in zip(blocks, (then, other), (True, False), strict=False):
            self.builder.position_at_end(block)
            value = self.constant(told) if node is None else self.value(node)
            self._set(name, self.to(BOOL, value) if then is None or other is None else value)
            self._go(blocks[2])
        self.builder.position_at_end(blocks[2])
        return self._variable(name)

    def _Compare(self, node: ast.Compare) -> Value:  # noqa: N802
        (right,), (op,) = node.comparators, node.ops
        return self.compared(COMPARED[type(op)], *self.alike(self.value(node.left), self.value(right)))

    def _Call(self, node: ast.Call) -> Value:  # noqa: N802
        (found,) = self._called(node)
        return found

    def _called(self, node: ast.expr) -> list[Value]:
        """What a call returns: nothing, a value or several."""
        if not isinstance(node, ast.Call) or node.keywords:
            raise TypeError("no call by position")
        first, _, rest = ast.unparse(node.func).partition(".")  # a name, or np.sqrt
        if first in self.source.function.__code__.co_varnames:
            raise TypeError(f"{first} is no function")
        called = self.source.globals.get(first, first)
        called = getattr(called, rest) if rest else called
        arguments = [self.value(own) for own in node.args]
        called = BUILTINS.get(called, called)
        if isinstance(called, Intrinsic):
            found = called.write(self, *arguments)
            return [] if found is None else [found]
        return self._function(called.source, arguments)

    def _function(self, source: Source, arguments: list[Value]) -> list[Value]:
        callee = self.unit.emit(source, tuple(value.kind for value in arguments))
        for number, slot in callee.written:
            argument, first = self._origins[arguments[number].parts[0]]
            self.written.add((argument, first + slot))
        count = sum(len(types_of(kind)) for kind in callee.returned)
        with self.builder.goto_block(self.first):
            results = self.builder.alloca(ir.ArrayType(BITS, RESULT_SLOTS * count))
        self.builder.call(callee.function, [results, *(part for value in arguments for part in value.parts)])
        found, at = [], 0
        for kind in callee.returned:
            types = types_of(kind)
            places = [self._result(results, at + i) for i in range(len(types))]
            parts = tuple(self.builder.load(p, typ=t, align=8) for p, t in zip(places, types, strict=True))
            found.append(Value(kind, parts))
            at += len(types)
        return found

    # ------------------------------------------------------------------------------------------- values and kinds

    def constant(self, value: Any) -> Value:
        """A number that is known while compiling."""
        kind = {bool: BOOL, int: INT, float: FLOAT64}.get(type(value))
        if kind is None or (kind == INT and not -(2**63) <= value < 2**63):
            raise TypeError(f"no number of 64 bits: {value}")
        return Value(kind, (ir.Constant(ELEMENTS[kind.name], value),))

    def integer(self, value: int) -> Value:
        """An integer that is known while compiling."""
        return self.constant(value)

    def truth(self, node: ast.expr) -> Any:
        """LLVM's bit of a condition."""
        value = self.value(node)
        if value.kind == INT:
            return self.builder.icmp_signed("!=", value.number, ir.Constant(BITS, 0))
        return self.to(BOOL, value).number

    def to(self, kind: Given | Vector, value: Value) -> Value:
        """The same value as another kind that can hold it; raises TypeError where it can't."""
        if kind == value.kind:
            return value
        builder, number = self.builder, value.parts[0] if value.parts else None
        match value.kind, kind:
            case Number("bool"), Number("int64"):
                return Value(kind, (builder.zext(number, BITS),))
            case Number("int64" | "bool"), Number("float64"):
                return Value(kind, (builder.sitofp(self.to(INT, value).number, ELEMENTS["float64"]),))
            case Number("float32"), Number("float64"):
                return Value(kind, (builder.fpext(number, ELEMENTS["float64"]),))
        raise TypeError(f"{value.kind} is no {kind}")

    def narrow(self, value: Value) -> Value:
        """A number in float32."""
        if value.kind == Number("float32"):
            return value
        wide = self.to(FLOAT64, value).number
        return Value(Number("float32"), (self.builder.fptrunc(wide, ELEMENTS["float32"]),))

    def alike(self, *values: Value) -> list[Value]:
        """Two numbers as the kind that holds both: an integer beside a float32 makes a float64 of it, as in NumPy."""
        kinds = {value.kind for value in values}
        if len(kinds) == 1:
            return list(values)
        kind = INT if kinds <= {INT, BOOL} else FLOAT64
        return [self.to(kind, value) for value in values]

    def operation(self, operator: ast.operator, left: Value, right: Value) -> Value:
        """The four operations of numbers or vectors, and those of bits."""
        if isinstance(left.kind, Vector):
            if left.kind != right.kind:
                raise TypeError(f"{left.kind} and {right.kind}")
            write = getattr(self.builder, f"f{ARITHMETIC[type(operator)]}")
            pairs = zip(left.parts, right.parts, strict=True)
            return Value(left.kind, tuple(write(a, b, flags=FUSED) for a, b in pairs))
        if type(operator) in BITWISE:
            a, b = (self.to(INT, value).number for value in (left, right))
            if isinstance(operator, ast.LShift) and not 0 <= _constant(right) < 64:
                raise TypeError("by no constant below 64")
            return Value(INT, (getattr(self.builder, BITWISE[type(operator)])(a, b),))
        a, b = self.alike(left, right)
        if a.kind == BOOL or (a.kind == INT and isinstance(operator, ast.Div)):
            kind = INT if a.kind == BOOL else FLOAT64
            a, b = self.to(kind, a), self.to(kind, b)
        if type(operator) not in ARITHMETIC or not isinstance(a.kind, Number):
            raise TypeError(f"{type(operator).__name__} of {a.kind}")
        name = ARITHMETIC[type(operator)]
        if a.kind == INT:
            return Value(INT, (getattr(self.builder, name)(a.number, b.number),))
        return Value(a.kind, (getattr(self.builder, f"f{name}")(a.number, b.number, flags=FUSED),))

    def compared(self, sign: str, left: Value, right: Value) -> Value:
        """Whether one is less than the other, say; no comparison with NaN holds but `!=`."""
        builder = self.builder
        if left.kind in (INT, BOOL):
            return Value(BOOL, (builder.icmp_signed(sign, left.number, right.number),))
        compare = builder.fcmp_unordered if sign == "!=" else builder.fcmp_ordered
        return Value(BOOL, (compare(sign, left.number, right.number),))

    # --------------------------------------------------------------------------------- arrays and named tuples

    def field(self, record: Value, name: str) -> Value:
        """A field of a named tuple."""
        if not isinstance(record.kind, Record):
            raise TypeError(f"no named tuple: {record.kind}")
        kind, at = record.kind.field(name)
        return self._once(record.parts[0], at, kind)

    def _once(self, slots: Any, at: int, kind: Given) -> Value:
        """What lies in a slot: read once, in the first block: LLVM fears that stores to tables change it."""
        if (slots, at, kind) not in self._fields:
            with self.builder.goto_block(self.first):
                place = self.builder.gep(slots, [ir.Constant(BITS, at)], source_etype=BITS)
                found = Value(kind, tuple(_arguments(self.builder, kind, place)))
            self._fields[slots, at, kind] = found
            if isinstance(kind, Array | Record):
                argument, first = self._origins[slots]
                self._origins[found.parts[0]] = argument, first + at
        return self._fields[slots, at, kind]

    def data(self, array: Value) -> Any:
        """LLVM's pointer to an array's first number."""
        key = (array.parts[0], 0, _array(array))
        if key not in self._fields:
            with self.builder.goto_block(self.first):
                self._fields[key] = Value(array.kind, (self.builder.load(array.parts[0], typ=POINTER),))
        return self._fields[key].parts[0]

    def writes(self, array: Value) -> None:
        """Note that an array is written: one that may not be is refused when it is given."""
        _array(array)
        self.written.add(self._origins[array.parts[0]])

    def length(self, array: Value) -> Value:
        """An array's length."""
        _array(array)
        return self._once(array.parts[0], 1, INT)

    def place(self, array: Value, at: Value) -> Any:
        """LLVM's pointer to one of an array's numbers."""
        data = self.data(array)
        return self.builder.gep(data, [self.to(INT, at).number], source_etype=STORED[_array(array).element])

    def element(self, array: Value, at: Value) -> Value:
        """One of an array's numbers."""
        place = self.place(array, at)
        element = _array(array).element
        found = self.builder.load(place, typ=STORED[element])
        if element == "int32":
            found = self.builder.sext(found, BITS)
        elif element == "bool":
            found = self.builder.icmp_signed("!=", found, ir.Constant(STORED["bool"], 0))
        return Value(_array(array).number, (found,))

    def set_element(self, array: Value, at: Value, value: Value) -> None:
        """Set one; int64 and float64 are narrowed to what the array holds."""
        self.writes(array)
        place = self.place(array, at)
        element = _array(array).element
        if element == "float32":
            value = self.narrow(value)
        given, stored = self.to(_array(array).number, value).number, STORED[element]
        if element == "int32":
            given = self.builder.trunc(given, stored)
        elif element == "bool":
            given = self.builder.zext(given, stored)
        self.builder.store(given, place)


def _array(value: Value) -> Array:
    """An array's kind; raises TypeError of what is none."""
    if not isinstance(value.kind, Array):
        raise TypeError(f"no array: {value.kind}")
    return value.kind


def _constant(value: Value) -> int:
    """A value that is known while compiling; raises TypeError where it is not."""
    if value.kind != INT or not isinstance(value.number, ir.Constant):
        raise TypeError("no constant")
    return int(value.number.constant)


def _extreme(sign: str) -> Intrinsic:
    """Python's min or max of two: the first, unless the second one is less or more, so NaN if it comes first."""

    def write(code: Emitter, left: Value, right: Value) -> Value:
        left, right = code.alike(left, right)
        held = code.compared(sign, right, left).number
        return Value(left.kind, (code.builder.select(held, right.number, left.number),))

    return Intrinsic(write)


def _root(code: Emitter, value: Value) -> Value:
    kind = FLOAT32 if value.kind == FLOAT32 else FLOAT64
    function = declared(code.unit.module, f"llvm.sqrt.f{kind.name[-2:]}", ELEMENTS[kind.name], 1)
    return Value(kind, (code.builder.call(function, [code.to(kind, value).number]),))


BUILTINS: dict[Any, Intrinsic] = {
    "len": Intrinsic(lambda code, array: code.length(array)),
    "min": _extreme("<"),
    "max": _extreme(">"),
    np.float64: Intrinsic(lambda code, value: code.to(FLOAT64, value)),
    np.sqrt: Intrinsic(_root),
}
