"""numba's compiler, as the loops of the delta form use it: fused multiply-adds, kept on disk, without Python's lock."""

from collections.abc import Callable
from functools import partial
from typing import Any

from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.delta.compile_cache import kept

with train_extra():
    from numba import njit

OPTIONS: dict[str, Any] = {"nogil": True, "fastmath": {"contract"}, "error_model": "numpy"}
"""nogil: a plan may be made while the network runs. fastmath: a multiply and an add may be one instruction, no more.

Sums must keep their order: variants that are computed alike are then equal to the bit, their difference is 0, and a
run can be repeated. To assume that no number is infinite would break a term whose running variance is (no sample
touched it): 1 / sqrt(inf) is 0. error_model: a division by 0 is inf or NaN, not an exception that every division
must be able to raise."""


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function at its first call."""
    return kept(partial(njit, **OPTIONS), function)


def part(function: Callable[..., Any]) -> Any:
    """Compile a function as a part of those that call it, which alone are kept on disk."""
    return njit(**OPTIONS)(function)
