"""Fitted models as plain tables and words, and back: a run keeps its voices without pickle, which runs what it reads.

A fit is a frozen dataclass of `training/baselines/` or `training/voices/`; its fields are numbers, words, arrays,
sparse matrices, dictionaries, tuples, or further such fits. Arrays become named tables, each of them once whoever holds
it; everything else becomes JSON, with the class's name beside it.
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

import numpy as np

from gocell_cli.training.baselines.samples import Fitted
from gocell_cli.training.extra import train_extra
from gocell_cli.typed_file import Malformed

with train_extra():
    from scipy.sparse import csr_matrix

ROOMS = ("gocell_cli.training.baselines.", "gocell_cli.training.voices.")
PLAIN = (bool, int, float, str)
FIT, ARRAY, SPARSE, PAIRS, TUPLE = "fit", "array", "sparse", "pairs", "tuple"

Word = dict[str, Any] | bool | int | float | str | None


@dataclass
class Packed:
    """Arrays by name, and which array each name is of: one that two fits share is kept once."""

    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)

    def pack(self, value: Any) -> Word:
        """Return a value as JSON has it, its arrays put among `arrays`; raises TypeError for what no fit holds."""
        if value is None or isinstance(value, PLAIN):
            return value
        if isinstance(value, np.ndarray):
            return {ARRAY: self._name(value)}
        if isinstance(value, csr_matrix):
            return {SPARSE: [self._name(x) for x in (value.data, value.indices, value.indptr)], "shape": value.shape}
        if isinstance(value, tuple):
            return {TUPLE: [self.pack(x) for x in value]}
        if isinstance(value, dict):
            # as pairs: a key may be a tuple, which JSON has not
            return {PAIRS: [[self.pack(key), self.pack(x)] for key, x in value.items()]}
        if is_dataclass(value) and type(value).__module__.startswith(ROOMS):
            kind = f"{type(value).__module__.removeprefix('gocell_cli.training.')}:{type(value).__qualname__}"
            return {FIT: kind, "fields": {f.name: self.pack(getattr(value, f.name)) for f in fields(value)}}
        raise TypeError(f"a fit holds {type(value).__name__}, which nothing here keeps")

    def _name(self, array: np.ndarray) -> str:
        if id(array) not in self.names:
            self.names[id(array)] = f"a{len(self.arrays)}"
            # one number that was broadcast has strides of 0, which NumPy takes for contiguous and PyTorch does not
            plain = array.copy() if 0 in array.strides else np.ascontiguousarray(array)
            self.arrays[self.names[id(array)]] = plain
        return self.names[id(array)]


def packed(fits: Mapping[str, Fitted]) -> tuple[dict[str, np.ndarray], dict[str, Word]]:
    """Return the arrays of fits by a name each, and all else of every fit as JSON has it.

    Raises TypeError for a fit that holds what cannot be kept.
    """
    into = Packed()
    words = {name: into.pack(fit) for name, fit in fits.items()}
    return into.arrays, words


def unpacked(arrays: Mapping[str, np.ndarray], words: Mapping[str, Any]) -> dict[str, Fitted]:
    """Return the fits; raises Malformed where arrays and words are not what `packed` gives."""
    found = {}
    try:
        for name, word in words.items():
            fit = _value(word, arrays)
            if not isinstance(fit, Fitted):
                raise Malformed(f"{name} is no fitted model")
            found[name] = fit
    except (KeyError, TypeError, ValueError, AttributeError, ImportError, RecursionError) as error:
        raise Malformed(f"its fitted models cannot be read: {error}") from error
    return found


def _value(word: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    if not isinstance(word, dict):
        return word
    read: dict[str, Callable[[], Any]] = {
        ARRAY: lambda: arrays[word[ARRAY]],
        SPARSE: lambda: csr_matrix(tuple(arrays[x] for x in word[SPARSE]), shape=tuple(word["shape"])),
        TUPLE: lambda: tuple(_value(x, arrays) for x in word[TUPLE]),
        PAIRS: lambda: {_value(key, arrays): _value(x, arrays) for key, x in word[PAIRS]},
        FIT: lambda: _class(word[FIT])(**{name: _value(x, arrays) for name, x in word["fields"].items()}),
    }
    (kind,) = set(word) & set(read)
    return read[kind]()


def _class(name: str) -> Any:
    """Return one of our classes by its name; raises ValueError for another: a file must not choose what runs."""
    module, _, kind = f"gocell_cli.training.{name}".partition(":")
    found = getattr(importlib.import_module(module), kind) if module.startswith(ROOMS) else None
    if not (isinstance(found, type) and is_dataclass(found) and found.__module__ == module):
        raise ValueError(f"{name!r} is no fitted model of gocell")
    return found
