"""Samplers: what they yield, and that a saved position gives the same tail."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import BatchSampler

from gocell_cli.errors import UsageError
from gocell_cli.training.data.order import row_order
from gocell_cli.training.data.sampler import CacheSampler, RowBatches


def sampler(count: int = 50, **options: int | bool) -> CacheSampler:
    return CacheSampler(count, seed=11, **options)  # type: ignore[arg-type]


def test_yields_the_order_of_its_epoch() -> None:
    rows = sampler(rank=1, world=3)
    for epoch in (0, 4):
        rows.set_epoch(epoch)
        expected = row_order(50, seed=11, epoch=epoch, rank=1, world=3)
        assert list(rows) == expected.tolist()
        assert len(rows) == len(expected) == rows.done


def test_rows_of_a_split() -> None:
    split = np.array([40, 3, 3, 17])
    assert sorted(CacheSampler(split, seed=5)) == [3, 3, 17, 40]
    assert list(CacheSampler(split, shuffle=False)) == [40, 3, 3, 17]


@given(st.integers(1, 60), st.integers(1, 4), st.integers(0, 3), st.data())
def test_resumes_at_any_point_with_the_same_tail(count: int, world: int, epoch: int, data: st.DataObject) -> None:
    rank = data.draw(st.integers(0, world - 1))
    first, second = (sampler(count, rank=rank, world=world) for _ in range(2))
    first.set_epoch(epoch)
    stop = data.draw(st.integers(0, len(first)))
    reading = iter(first)
    head = [next(reading) for _ in range(stop)]
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    whole = first.order().tolist()
    assert [head, list(second)] == [whole[:stop], whole[stop:]]
    assert list(second) == whole  # and the iteration after that begins an epoch
    assert second.epoch == epoch


@given(st.integers(1, 60), st.integers(1, 9), st.booleans(), st.data())
def test_batches_resume_as_well(count: int, size: int, drop_last: bool, data: st.DataObject) -> None:
    first, second = sampler(count), sampler(count)
    batches = [b.tolist() for b in RowBatches(first, size, drop_last=drop_last)]
    assert batches == list(BatchSampler(sampler(count), size, drop_last))
    assert len(batches) == len(RowBatches(first, size, drop_last=drop_last))
    stop = data.draw(st.integers(0, len(batches)))
    done = sum(map(len, batches[:stop]))
    second.load_state_dict(first.state_dict(done=done))
    assert [b.tolist() for b in RowBatches(second, size, drop_last=drop_last)] == batches[stop:]


def test_position_counts_what_was_handed_out() -> None:
    rows = sampler()
    batches = iter(RowBatches(rows, 8))
    next(batches)
    next(batches)
    assert rows.state_dict()["done"] == 16
    assert rows.state_dict(done=8)["done"] == 8
    rows.set_epoch(1)
    assert rows.state_dict()["done"] == 0


def test_peeking_does_not_lose_rows() -> None:
    rows = sampler()
    next(iter(rows))
    assert list(rows) == rows.order().tolist()


def test_any_rank_serves_all_ranks() -> None:
    first, other = sampler(rank=0, world=2), sampler(rank=1, world=2)
    reading = iter(first)
    next(reading)
    other.load_state_dict(first.state_dict())
    assert list(other) == other.order()[1:].tolist()


@pytest.mark.parametrize(
    "other",
    [sampler(51), sampler(world=2), sampler(shuffle=False), CacheSampler(50, seed=12), CacheSampler(np.arange(1, 51))],
)
def test_refuses_the_position_of_another_order(other: CacheSampler) -> None:
    with pytest.raises(UsageError, match="another order"):
        sampler().load_state_dict(other.state_dict())


def test_refuses_a_position_outside_and_a_rank_outside() -> None:
    with pytest.raises(UsageError, match="not one of 50"):
        sampler().load_state_dict(sampler().state_dict(done=51))
    with pytest.raises(UsageError, match="rank 2 of 2"):
        sampler(rank=2, world=2)
