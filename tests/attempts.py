"""How many times a test tries: a seeded few in `make test`, all of them in `make attacks` (GOCELL_TEST_ATTACKS=1)."""

import os
from collections.abc import Sequence
from typing import TypeVar

import pytest

T = TypeVar("T")

ATTACKS = os.environ.get("GOCELL_TEST_ATTACKS") == "1"
SECONDS = float(os.environ.get("ATTACK_SECONDS", "600"))
"""What the hunts that could go on for ever (mutations, injected faults) take in all, in the long form."""
ALL = 300.0
"""With so many seconds, or more, what is not bounded by time tries all it has; with fewer, its share."""
WHOLE_HUNT = 3600
"""From so many seconds on, every point of injection is tried, however long that takes."""
whole_only = pytest.mark.skipif(not ATTACKS, reason="takes long; runs in `make attacks`")
"""Marks a test of which no smaller size would show anything. Something quicker must hold the same behaviour."""


def attempts(few: int, many: int) -> int:
    """The number of attempts: `few` in the suite, `many`, or ATTACK_SECONDS' share of them, in the long hunt."""
    return max(few, round(many * min(SECONDS / ALL, 1.0))) if ATTACKS else few


def some(few: int, everything: Sequence[T]) -> list[T]:
    """Everything, or its share, in the long hunt; in the suite `few`; evenly spread, first and last among them."""
    few = attempts(few, len(everything))
    if few >= len(everything):
        return list(everything)
    step = (len(everything) - 1) / max(few - 1, 1)
    return [everything[round(i * step)] for i in range(few)]
