"""Cache: one set of samples, whatever the backend, the order asked for and the way of asking."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gocell_cli.errors import DamagedCache
from gocell_cli.storage.reader import Cache
from gocell_cli.storage.records import BACKENDS
from gocell_cli.storage.samples import one_sample
from gocell_cli.storage.schema import Sample
from tests.reference import mutant_state as oracle
from tests.storage import hand_made
from tests.storage.strategies import assert_equal

backends = pytest.mark.parametrize("backend", BACKENDS)
# The toy rows: 2 and 3 measure one genotype (mean 0.6, root mean square of the SDs), 4 is trigenic.
ROOT_MEAN_SQUARE = ((0.03**2 + 0.04**2) / 2) ** 0.5


@backends
def test_toy_samples_by_hand(toy_cache: Path, backend: str) -> None:
    cache = Cache(toy_cache, backend)
    strains, groups = cache.provenance.strains, cache.provenance.query_groups
    first, second = (cache.sample(i) for i in range(len(cache)))
    assert (first.genes, second.genes) == ((0, 1), (2, 3, 4))
    assert (first.value, second.value) == (pytest.approx(0.6), 0.25)
    assert (first.statistic, second.statistic) == (pytest.approx(ROOT_MEAN_SQUARE), 0.05)
    assert [row for row, _, _ in first.sources + second.sources] == [2, 3, 4]
    assert [(strains[q][0], strains[a][0]) for _, q, a in first.sources if q is not None and a is not None] == [
        ("YAL001C+YDL227C_tm1", "YAL002W_dma1"),
        ("YDL227C+YAL002W_tm2", "YAL001C_dma2"),
    ]
    assert first.query_group is not None
    assert groups[first.query_group] == "YAL001C;YAL002W"


def test_the_backends_hold_the_same(toy_cache: Path) -> None:
    parquet, lmdb = (Cache(toy_cache, backend) for backend in BACKENDS)
    assert_equal(lmdb.columns(), parquet.columns())
    assert [lmdb.sample(i) for i in range(2)] == [parquet.sample(i) for i in range(2)]
    np.testing.assert_array_equal(lmdb.mutant_state([1, 0, 1]), parquet.mutant_state([1, 0, 1]))


@backends
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.integers(0, 1), max_size=5))
def test_rows_are_the_samples_asked_for_in_that_order(toy_cache: Path, backend: str, rows: list[int]) -> None:
    cache = Cache(toy_cache, backend)
    samples = [cache.sample(i) for i in range(len(cache))]
    found = cache.rows(rows)
    assert [one_sample(found, i) for i in range(len(found))] == [samples[row] for row in rows]


@backends
def test_mutant_state_is_the_loops(toy_cache: Path, backend: str) -> None:
    cache = Cache(toy_cache, backend)
    rows = [1, 0, 0]
    expected = [oracle.mutant_state(cache.hierarchy, list(cache.sample(row).genes)) for row in rows]
    assert cache.mutant_state(rows).tolist() == expected
    assert cache.state(rows).tolist() == [[state for *_, state in table] for table in expected]


@backends
def test_asking_for_nothing_gives_nothing(toy_cache: Path, backend: str) -> None:
    cache = Cache(toy_cache, backend)
    assert len(cache.rows([])) == 0
    assert cache.mutant_state([]).shape == (0, cache.hierarchy.rows, 4)


@backends
@pytest.mark.parametrize("index", [-1, 2, 10**9])
def test_an_index_out_of_range(toy_cache: Path, backend: str, index: int) -> None:
    cache = Cache(toy_cache, backend)
    for ask in (lambda: cache.sample(index), lambda: cache.rows([0, index]), lambda: cache.mutant_state([index])):
        with pytest.raises(IndexError, match=f"sample {index}: the cache holds samples 0 to 1"):
            ask()


@backends
def test_batches_hold_every_sample_once(toy_cache: Path, backend: str) -> None:
    cache = Cache(toy_cache, backend)
    assert [len(batch) for batch in cache.batches(1)] == [1, 1]
    assert [len(batch) for batch in cache.batches(5)] == [2]
    turned = next(cache.batches(2, np.array([1, 0])))
    assert [one_sample(turned, i) for i in (0, 1)] == [cache.sample(1), cache.sample(0)]


@backends
def test_shards_are_one_sample_each(toy_cache: Path, backend: str) -> None:
    assert [len(shard) for shard in Cache(toy_cache, backend).shards()] == [1, 1]


@backends
def test_whole_columns_are_read_once(toy_cache: Path, backend: str) -> None:
    cache = Cache(toy_cache, backend)
    columns = cache.columns()
    for shard in cache.manifest.shards:
        (toy_cache / shard.files[backend].path).unlink()
    assert cache.columns() is columns
    with pytest.raises(DamagedCache, match="missing"):
        Cache(toy_cache, backend).columns()


def test_parquet_is_the_default(toy_cache: Path) -> None:
    assert Cache(toy_cache).backend == "parquet"


@backends
def test_a_pickled_cache_reads_the_same(toy_cache: Path, backend: str) -> None:
    cache = Cache(toy_cache, backend)
    expected: Sample = cache.sample(1)
    again = pickle.loads(pickle.dumps(cache))
    assert (again.backend, again.sample(1)) == (backend, expected)


@pytest.mark.parametrize("backend", ["lmdb", "zarr"])
def test_a_backend_that_is_not_there_is_refused(tmp_path: Path, backend: str) -> None:
    directory = hand_made.write_cache(tmp_path / "parquet-only")
    with pytest.raises(DamagedCache, match=f"holds no {backend} shards") as error:
        Cache(directory, backend)
    assert error.value.why == "it holds parquet"


def test_a_directory_without_a_manifest_is_no_cache(toy_cache: Path) -> None:
    (toy_cache / "manifest.json").unlink()
    with pytest.raises(DamagedCache, match=r"no manifest\.json, so this is no finished cache"):
        Cache(toy_cache)
