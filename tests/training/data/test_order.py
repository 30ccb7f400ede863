"""The order of rows: a permutation, shared among ranks, and nothing but its arguments in it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gocell_cli.training.data.order import row_order, share, shuffled

COUNTS = st.integers(0, 300)
WORLDS = st.integers(1, 9)
SEEDS = st.integers(0, 2**64 - 1)
EPOCHS = st.integers(0, 50)


@given(COUNTS, SEEDS, EPOCHS)
def test_each_epoch_is_a_permutation(count: int, seed: int, epoch: int) -> None:
    order = row_order(count, seed=seed, epoch=epoch)
    assert order.dtype == np.int64
    assert np.array_equal(np.sort(order), np.arange(count))


@given(COUNTS, SEEDS, EPOCHS, WORLDS, st.booleans())
def test_ranks_share_the_epoch(count: int, seed: int, epoch: int, world: int, shuffle: bool) -> None:
    """Padded, the ranks read every row, and wrap to the order's first rows for what is missing to a whole."""
    whole = row_order(count, seed=seed, epoch=epoch, shuffle=shuffle)
    parts = [row_order(count, seed=seed, epoch=epoch, rank=r, world=world, shuffle=shuffle) for r in range(world)]
    assert {len(p) for p in parts} == {share(count, world=world, drop_last=False)}
    read = np.stack(parts, axis=1).ravel()
    assert np.array_equal(read[:count], whole)
    assert np.array_equal(read[count:], np.resize(whole, len(read))[count:])


@given(COUNTS, SEEDS, EPOCHS, WORLDS)
def test_ranks_with_drop_last_partition_what_they_read(count: int, seed: int, epoch: int, world: int) -> None:
    parts = [row_order(count, seed=seed, epoch=epoch, rank=r, world=world, drop_last=True) for r in range(world)]
    read = np.concatenate(parts)
    assert {len(p) for p in parts} == {count // world}
    assert len(np.unique(read)) == len(read) == count // world * world


@given(st.integers(1, 300), SEEDS, EPOCHS)
def test_order_is_a_function_of_its_arguments(count: int, seed: int, epoch: int) -> None:
    first = row_order(count, seed=seed, epoch=epoch)
    np.random.default_rng().random(7)
    assert np.array_equal(first, row_order(count, seed=seed, epoch=epoch))


def test_epochs_and_seeds_differ() -> None:
    orders = [shuffled(100, seed=s, epoch=e).tolist() for s in range(4) for e in range(4)]
    assert len({tuple(o) for o in orders}) == 16


def test_order_is_the_same_on_every_machine() -> None:
    """Philox's raw numbers are part of NumPy's promises; should they change, old runs cannot be repeated."""
    assert shuffled(12, seed=7, epoch=3).tolist() == [2, 5, 9, 7, 3, 0, 6, 8, 4, 1, 11, 10]


def test_equal_keys_are_put_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    class Tied:
        def __init__(self, key: np.ndarray) -> None:
            self.key = key

        def random_raw(self, count: int) -> np.ndarray:
            return (np.arange(count) % 2).astype(np.uint64)

    monkeypatch.setattr(np.random, "Philox", Tied)
    assert shuffled(40, seed=0, epoch=0).tolist() == [*range(0, 40, 2), *range(1, 40, 2)]


def test_rows_in_order_without_shuffling() -> None:
    assert row_order(5, seed=0, epoch=9, rank=1, world=2, shuffle=False).tolist() == [1, 3, 0]
    assert row_order(5, seed=0, epoch=9, rank=1, world=2, shuffle=False, drop_last=True).tolist() == [1, 3]


def test_fewer_rows_than_ranks() -> None:
    assert [row_order(2, seed=0, epoch=0, rank=r, world=5, shuffle=False).tolist() for r in range(5)] == [
        [0], [1], [0], [1], [0],
    ]  # fmt: skip
