"""Loops that are compiled at their first call, for the kinds of its arguments, and run without Python's lock.

A function that others call is a part of each of them: it is compiled with them, and for itself only where Python calls
it. LLVM gets one module for each call from Python, once, with all that belongs to it.
"""

import ctypes
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.delta.compiler.cache import machine_code
from gocell_cli.training.network.delta.compiler.emitter import Source, Unit
from gocell_cli.training.network.delta.compiler.kinds import (
    FLOAT64,
    INT,
    RESULT_SLOTS,
    Given,
    Number,
    kind_of,
    locked,
    slots,
)

with train_extra():
    from llvmlite import binding as llvm

PASSES, LEVEL = 1, 2
"""LLVM's -O of its passes, and of its choice of instructions: what is loops of vectors already gains nothing from more,
nor from LLVM's own search for vectors, nor from loops unrolled, and each costs its part of a cold start."""
_compiling = threading.RLock()


class Machine(NamedTuple):
    """A function of an array of slots; the kinds of what it returns, and the slots of the arrays that it writes."""

    run: Callable[[Any], None]
    returned: list[Number]
    written: frozenset[int]


class Compiled:
    """A function in the compiler's language (`emitter.py`): called from Python, or by others of its kind."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.source = Source(function)
        self.__doc__, self.__name__ = function.__doc__, function.__name__
        self.machines: dict[tuple[Given, ...], Machine] = {}

    def __call__(self, *arguments: Any) -> Any:
        """Run it; returns a number, several or None. Raises TypeError for an array that it writes and nobody may."""
        return self.given(*arguments)()

    def given(self, *first: Any) -> Callable[..., Any]:
        """Return the function with its first arguments set: what many calls share is looked at once."""
        kinds, held, kept = self.kinds(*first), slots(first), locked(first)
        machines: dict[tuple[Given, ...], Machine] = {}  # by the last arguments' kinds: to hash all takes 30 us a call

        def call(*last: Any) -> Any:
            # `first` is named: its arrays must live as long as `held` tells where they lie
            own_kinds = self.kinds(*last)
            if own_kinds not in machines:
                machines[own_kinds] = self.machine(kinds + own_kinds)
            run, returned, written = machines[own_kinds]
            if written & (kept | locked(last, len(held))):
                raise TypeError(f"{self.__name__} writes to an array that is read-only")
            own = np.array([*held, *slots(last), *[0] * (RESULT_SLOTS * len(returned))], np.int64)
            run(own.__array_interface__["data"][0])
            found = [_number(own[RESULT_SLOTS * i :], kind) for i, kind in enumerate(returned)]
            return tuple(found) if len(found) > 1 else found[0] if found else None

        call.__wrapped__ = first  # type: ignore[attr-defined]
        return call

    def kinds(self, *arguments: Any) -> tuple[Given, ...]:
        """Return the kinds of arguments; raises TypeError for what no loop can take."""
        return tuple(kind_of(one) for one in arguments)

    def machine(self, kinds: tuple[Given, ...]) -> "Machine":
        """Return the machine's function of an array of slots, compiled or loaded."""
        if kinds not in self.machines:
            with _compiling:
                if kinds not in self.machines:
                    self.machines[kinds] = self._load(kinds)
        return self.machines[kinds]

    def _load(self, kinds: tuple[Given, ...]) -> "Machine":
        name = self.source.name
        text, returned, written = self.text(kinds)
        path = Path(self.source.function.__code__.co_filename)
        code = machine_code(name, "\n".join((*_machine(), f"{PASSES} {LEVEL}", text)), path, lambda: translated(text))
        engine = _engine()
        engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        engine.finalize_object()
        _engines.append(engine)
        run = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(engine.get_function_address(name))
        return Machine(run, returned, written)

    def text(self, kinds: tuple[Given, ...]) -> tuple[str, list[Number], frozenset[int]]:
        """Return LLVM's code as text, the kinds of what is returned, and the slots of the arrays that are written."""
        unit = Unit(self.source.name)
        returned, written = unit.entry(self.source, kinds)
        return str(unit.module), returned, written

    def assembly(self, *arguments: Any) -> str:
        """Return the machine's instructions for a call."""
        target = _target()
        return str(target.emit_assembly(optimised(self.text(self.kinds(*arguments))[0], target)))


def compiled(function: Callable[..., Any]) -> Compiled:
    """Compile a function at its first call, alone or as a part of those that call it."""
    return Compiled(function)


def _number(slot: np.ndarray, kind: Number) -> int | float:
    if kind == INT:
        return int(slot[0])
    return float(slot.view(np.float64 if kind == FLOAT64 else np.float32)[0])


_engines: list[Any] = []
"""Kept: a function's code goes with its engine."""


@cache
def _machine() -> tuple[str, ...]:
    """What machine code depends on but for its text: LLVM's version, the processor and what it can do."""
    version = ".".join(map(str, llvm.llvm_version_info))
    return version, llvm.get_process_triple(), llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()


def _target() -> Any:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    _, triple, processor, features = _machine()
    # on x86 code that is loaded where it stays needs no tables to find itself by
    reloc = "static" if triple.startswith(("x86", "i386", "i686")) else "default"
    return llvm.Target.from_triple(triple).create_target_machine(
        cpu=processor, features=features, opt=LEVEL, reloc=reloc, codemodel="jitdefault", jit=True
    )


def _engine() -> Any:
    return llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target())


def optimised(text: str, target: Any) -> Any:
    """Return LLVM's module of a text, made fast for a machine."""
    module = llvm.parse_assembly(text)
    module.triple, module.data_layout = target.triple, str(target.target_data)
    module.verify()
    tuning = llvm.create_pipeline_tuning_options(speed_level=PASSES)
    tuning.loop_vectorization = tuning.slp_vectorization = tuning.loop_unrolling = False
    builder = llvm.create_pass_builder(target, tuning)
    builder.getModulePassManager().run(module, builder)
    return module


def translated(text: str) -> bytes:
    """Return this machine's code of LLVM's, as an object file."""
    target = _target()
    return bytes(target.emit_object(optimised(text, target)))
