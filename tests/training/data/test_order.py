"""The order of rows and their batches: a permutation, shared among ranks, resumed anywhere, of its arguments alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gocell_cli.errors import UsageError
from gocell_cli.training.data.order import RowBatches, cut, drawn, shuffled

COUNTS = st.integers(0, 300)
SEEDS = st.integers(0, 2**64 - 1)
EPOCHS = st.integers(0, 50)


@given(COUNTS, SEEDS, EPOCHS)
def test_each_epoch_is_a_permutation(count: int, seed: int, epoch: int) -> None:
    order = shuffled(count, seed=seed, epoch=epoch)
    assert order.dtype == np.int64
    assert np.array_equal(np.sort(order), np.arange(count))


@given(st.integers(1, 300), SEEDS, EPOCHS)
def test_order_is_a_function_of_its_arguments(count: int, seed: int, epoch: int) -> None:
    first = shuffled(count, seed=seed, epoch=epoch)
    np.random.default_rng().random(7)
    assert np.array_equal(first, shuffled(count, seed=seed, epoch=epoch))


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


def test_the_last_batch_of_one_joins_the_one_before() -> None:
    assert [len(part) for part in cut(np.arange(9), 4)] == [4, 5]
    assert [len(part) for part in cut(np.arange(10), 4)] == [4, 4, 2]
    assert [len(part) for part in cut(np.arange(10), 4, world=3)] == [4, 6]
    assert [len(part) for part in cut(np.arange(1), 4)] == [1]
    assert cut(np.arange(0), 4) == []


def test_rows_are_drawn_by_the_seed_and_only_where_there_are_more() -> None:
    chosen = drawn(np.arange(100), 10, seed=3)
    assert len(chosen) == len(np.unique(chosen)) == 10
    assert np.array_equal(chosen, drawn(np.arange(100), 10, seed=3))
    assert not np.array_equal(chosen, drawn(np.arange(100), 10, seed=4))
    assert drawn(np.arange(5), 10, seed=3).tolist() == [0, 1, 2, 3, 4]


@given(st.integers(1, 60), st.integers(1, 9), EPOCHS, st.integers(1, 4))
def test_the_ranks_batches_are_one_processs(count: int, size: int, epoch: int, world: int) -> None:
    whole = RowBatches(count, size, seed=5, epoch=epoch, world=world)
    shares = [list(RowBatches(count, size, seed=5, epoch=epoch, rank=r, world=world)) for r in range(world)]
    joined = [np.concatenate(parts) for parts in zip(*shares, strict=True)]
    assert [b.tolist() for b in joined] == [whole.order[part].tolist() for part in whole.parts]
    assert np.concatenate(joined).tolist() == shuffled(count, seed=5, epoch=epoch).tolist()
    assert all(max(map(len, parts)) - min(map(len, parts)) <= 1 for parts in zip(*shares, strict=True))


@given(st.integers(1, 60), st.integers(1, 9), st.data())
def test_resumes_at_any_step_with_the_same_tail(count: int, size: int, data: st.DataObject) -> None:
    whole = [b.tolist() for b in RowBatches(count, size, seed=11, epoch=2)]
    step = data.draw(st.integers(0, len(whole)))
    rest = RowBatches(count, size, seed=11, epoch=2, step=step)
    assert [b.tolist() for b in rest] == whole[step:]
    assert len(rest) == len(whole) - step


def test_rows_of_a_split_shuffled_or_as_they_are() -> None:
    split = np.array([40, 3, 3, 17])
    assert sorted(np.concatenate(list(RowBatches(split, 2, seed=5))).tolist()) == [3, 3, 17, 40]
    assert [b.tolist() for b in RowBatches(split, 2, shuffle=False)] == [[40, 3], [3, 17]]


def test_what_counts_nothing_is_refused() -> None:
    for wrong in ({"rank": 2, "world": 2}, {"size": 0}, {"step": -1}):
        with pytest.raises(UsageError):
            RowBatches(5, **{"size": 2, **wrong})
