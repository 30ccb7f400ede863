"""numba's compiler, as the loops of the delta form use it: fused multiply-adds, kept on disk, without Python's lock."""

from collections.abc import Callable
from typing import Any

from gocell_cli.training.extra import train_extra

with train_extra():
    from numba import njit

OPTIONS: dict[str, Any] = {"nogil": True, "fastmath": {"contract"}}
"""nogil: a plan may be made while the network runs. fastmath: a multiply and an add may be one instruction, no more.

Sums must keep their order: variants that are computed alike are then equal to the bit, their difference is 0, and a
run can be repeated. To assume that no number is infinite would break a term whose running variance is (no sample
touched it): 1 / sqrt(inf) is 0."""


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function at its first call."""
    return _compile(function, OPTIONS)


def parallel(function: Callable[..., Any]) -> Any:
    """Compile a function whose `prange` loops run on numba's threads."""
    return _compile(function, {**OPTIONS, "parallel": True})


def reordered(function: Callable[..., Any]) -> Any:
    """Compile a function whose sums may be taken in any order, which lets them run in vectors: a dot product."""
    return _compile(function, {**OPTIONS, "fastmath": {"contract", "reassoc", "nsz"}})


def _compile(function: Callable[..., Any], options: dict[str, Any]) -> Any:
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # no folder can be written to: compiled anew in each process
        return njit(**options)(function)
