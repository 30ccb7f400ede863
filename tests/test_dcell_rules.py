"""The rules that builder and trainer share, against exact arithmetic and against the words of the rule."""

from fractions import Fraction
from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gocell_cli.dcell_rules import forbidden_edges, term_width
from gocell_cli.level_directions import LEAF_UP, ROOT_DOWN

levels = st.integers(-1, 4)


@given(st.lists(st.tuples(levels, levels), max_size=12))
def test_a_child_must_be_strictly_deeper(edges: list[tuple[int, int]]) -> None:
    child, parent = (np.array([edge[i] for edge in edges], dtype=np.int32) for i in (0, 1))
    for direction, sign in ((ROOT_DOWN, 1), (LEAF_UP, -1)):
        same, inverted = forbidden_edges(child, parent, direction)
        assert same.tolist() == [c == p for c, p in edges]
        assert inverted.tolist() == [sign * (c - p) < 0 for c, p in edges]


def test_a_direction_that_is_neither_is_refused() -> None:
    one = np.zeros(1, dtype=np.int32)
    with pytest.raises(ValueError, match="sideways"):
        forbidden_edges(one, one, "sideways")


@given(st.lists(st.integers(0, 2**31 - 1), max_size=8), st.integers(1, 100), st.integers(0, 5000))
def test_widths_are_exact(genes: list[int], least: int, thousandths: int) -> None:
    found = term_width(np.array(genes, dtype=np.int32), least, thousandths / 1000)
    assert found.tolist() == [max(least, ceil(Fraction(thousandths, 1000) * n)) for n in genes]


def test_widths_by_hand() -> None:
    assert term_width(np.array([0, 66, 67, 70, 71])).tolist() == [20, 20, 21, 21, 22]
    assert term_width(np.array([100]), 1, 0.07).tolist() == [7]  # 0.07 * 100 is above 7 in floating point
