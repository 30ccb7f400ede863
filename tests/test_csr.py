"""Pointers and ranges against plain loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gocell_cli.csr import pointers, ranges

spans = st.lists(st.tuples(st.integers(-(2**40), 2**40), st.integers(0, 6)), max_size=8)


@given(spans)
def test_as_loops_find_them(drawn: list[tuple[int, int]]) -> None:
    starts, counts = (np.array([span[i] for span in drawn], dtype=np.int64) for i in (0, 1))
    owner, value = ranges(starts, counts)
    expected = [(i, start + step) for i, (start, count) in enumerate(drawn) for step in range(count)]
    assert list(zip(owner.tolist(), value.tolist(), strict=True)) == expected
    assert pointers(counts).tolist() == [sum(counts[:i].tolist()) for i in range(len(counts) + 1)]


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int32, np.int64])
def test_sums_are_int64_whatever_the_counts(kind: type) -> None:
    found = pointers(np.full(3, 100, dtype=kind))
    assert found.dtype == np.int64
    assert found.tolist() == [0, 100, 200, 300]
    owner, value = ranges(np.zeros(3, dtype=kind), np.full(3, 100, dtype=kind))
    assert owner.dtype == value.dtype == np.int64
    assert len(value) == 300
