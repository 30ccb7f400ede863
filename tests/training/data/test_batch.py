"""CacheRows: batches as tensors, in this process and in real DataLoader workers."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Subset

from gocell_cli.storage.reader import Cache
from gocell_cli.storage.records import BACKENDS
from gocell_cli.training.data.batch import CacheRows, SampleBatch, collate
from gocell_cli.training.data.order import RowBatches
from tests.training.conftest import FORK_OF_THREADS

FIELDS = ("gene_ptr", "genes", "value", "statistic", "dataset", "query_group")


def assert_batch(batch: SampleBatch, cache: Cache, rows: list[int]) -> None:
    expected = cache.rows(rows)
    assert batch.rows.tolist() == rows
    for name in FIELDS:
        found, column = getattr(batch, name), getattr(expected, name)
        assert found.numpy().dtype == column.dtype, name
        np.testing.assert_array_equal(found.numpy(), column, err_msg=name)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_batch_is_the_caches_rows(essentiality_cache: Path, backend: str) -> None:
    cache = Cache(essentiality_cache, backend)
    rows = CacheRows(cache)
    assert len(rows) == len(cache) == 5887
    for wanted in ([5, 2999, 5, 0, 5886], [7]):
        assert_batch(rows.__getitems__(wanted), cache, wanted)
        assert_batch(rows.__getitems__(np.array(wanted)), cache, wanted)
    assert_batch(rows[3], cache, [3])
    with pytest.raises(IndexError, match="sample 5887"):
        rows[5887]


def test_toy_values(toy_cache: Path) -> None:
    """Found by hand: genes a, b with fitness 0.6 of rows 1 and 2; genes c, d, e with 0.25 of row 3."""
    batch = CacheRows(Cache(toy_cache)).__getitems__([1, 0])
    assert batch.genes.tolist() == [2, 3, 4, 0, 1]
    assert batch.gene_ptr.tolist() == [0, 3, 5]
    assert batch.value.tolist() == pytest.approx([0.25, 0.6])


def test_collate_joins_samples_read_one_by_one(toy_cache: Path) -> None:
    cache = Cache(toy_cache)
    rows = CacheRows(cache)
    assert_batch(collate([rows[1], rows[0], rows[1]]), cache, [1, 0, 1])
    whole = rows.__getitems__([1, 0])
    assert collate(whole) is whole


def test_batch_moves_as_one(toy_cache: Path) -> None:
    batch = CacheRows(Cache(toy_cache)).__getitems__([0, 1])
    assert len(batch) == len(batch.to("meta")) == 2
    assert batch.to("meta").genes.device.type == "meta"


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.filterwarnings(FORK_OF_THREADS)
@pytest.mark.parametrize(("start", "workers"), [("fork", 2), ("spawn", 1)])  # a spawned one imports torch anew
def test_workers_read_the_same(essentiality_cache: Path, backend: str, start: str, workers: int) -> None:
    cache = Cache(essentiality_cache, backend)
    order = RowBatches(5887, 1000, seed=3, epoch=2)
    loader = DataLoader(
        CacheRows(cache), batch_sampler=order, collate_fn=collate, num_workers=workers, multiprocessing_context=start
    )
    batches = list(loader)
    assert len(batches) == len(loader) == 6
    for batch, rows in zip(batches, order, strict=True):
        assert_batch(batch, cache, rows.tolist())


def test_torchs_own_samplers_and_subsets_work(toy_cache: Path) -> None:
    cache = Cache(toy_cache)
    loader = DataLoader(CacheRows(cache), batch_size=2, shuffle=False, collate_fn=collate)
    (batch,) = loader
    assert_batch(batch, cache, [0, 1])
    (batch,) = DataLoader(Subset(CacheRows(cache), [1]), batch_size=2, collate_fn=collate)
    assert_batch(batch, cache, [1])


def test_resumed_loader_gives_the_same_tail(essentiality_cache: Path) -> None:
    rows = CacheRows(Cache(essentiality_cache))

    def read(step: int) -> list[torch.Tensor]:
        order = RowBatches(5887, 512, seed=1, step=step)
        return [batch.rows for batch in DataLoader(rows, batch_sampler=order, collate_fn=collate)]

    assert all(torch.equal(a, b) for a, b in zip(read(4), read(0)[4:], strict=True))
