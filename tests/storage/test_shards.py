"""One conformance suite for every shard backend: same samples, same order, same logical hash."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gocell_cli.errors import DamagedCache
from gocell_cli.storage.records import BACKENDS
from gocell_cli.storage.samples import logical_sha256, one_sample
from gocell_cli.storage.schema import Sample, Samples
from gocell_cli.storage.shards import COMMIT_EVERY, ROW_GROUP, SHARD_BACKENDS
from tests.attempts import attempts
from tests.storage.strategies import Drawn, as_columns, as_samples, assert_equal, sample_lists

backends = pytest.mark.parametrize("backend", SHARD_BACKENDS)


def write(backend: str, folder: str | Path, samples: Samples) -> str:
    shard = SHARD_BACKENDS[backend]
    path = str(Path(folder) / f"shard{shard.suffix}")
    shard.write(path, samples)
    return path


def test_the_backends_are_those_of_the_format() -> None:
    assert tuple(SHARD_BACKENDS) == BACKENDS


@backends
@given(drawn=sample_lists)
def test_what_is_written_is_read(backend: str, drawn: Drawn) -> None:
    samples = as_columns(as_samples(drawn))
    with TemporaryDirectory() as folder:
        assert_equal(SHARD_BACKENDS[backend].read(write(backend, folder, samples)), samples)


@backends
@given(drawn=sample_lists.filter(bool), data=st.data())
def test_rows_come_in_the_order_asked_for(backend: str, drawn: Drawn, data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.integers(0, len(drawn) - 1), min_size=1, max_size=6))
    with TemporaryDirectory() as folder:
        path = write(backend, folder, as_columns(as_samples(drawn)))
        found = SHARD_BACKENDS[backend].read_rows(path, np.array(rows, dtype=np.int64))
    assert [one_sample(found, i) for i in range(len(found))] == as_samples([drawn[row] for row in rows])


@given(drawn=sample_lists)
def test_logical_hashes_are_equal_between_backends(drawn: Drawn) -> None:
    samples = as_columns(as_samples(drawn))
    with TemporaryDirectory() as folder:
        found = {logical_sha256(SHARD_BACKENDS[b].read(write(b, folder, samples))) for b in SHARD_BACKENDS}
    assert found == {logical_sha256(samples)}


@backends
def test_an_empty_shard(backend: str, tmp_path: Path) -> None:
    empty = as_columns([])
    path = write(backend, tmp_path, empty)
    assert_equal(SHARD_BACKENDS[backend].read(path), empty)


@backends
def test_one_shard_is_one_file(backend: str, tmp_path: Path) -> None:
    write(backend, tmp_path, as_columns([Sample((1, 2), 0.5, None, 0, None, ((1, None, None),))]))
    assert [p.name for p in tmp_path.iterdir()] == [f"shard{SHARD_BACKENDS[backend].suffix}"]


def many_samples(count: int) -> Samples:
    none = np.full(count, -1, dtype=np.int32)
    return Samples(
        gene_ptr=np.arange(count + 1),
        genes=(np.arange(count) % 7).astype(np.int32),
        value=np.arange(count) / 2,
        statistic=np.full(count, np.nan),
        dataset=np.zeros(count, dtype=np.int16),
        query_group=none,
        source_ptr=np.arange(count + 1),
        source_row=np.arange(count),
        query_strain=none,
        array_strain=none,
    )


@pytest.mark.parametrize(
    ("backend", "count"), [("parquet", ROW_GROUP + 1), ("lmdb", attempts(2 * COMMIT_EVERY, ROW_GROUP) + 1)]
)
def test_more_samples_than_a_row_group_or_a_commit_holds(backend: str, count: int, tmp_path: Path) -> None:
    samples = many_samples(count)
    path = write(backend, tmp_path, samples)
    assert_equal(SHARD_BACKENDS[backend].read(path), samples)
    last = SHARD_BACKENDS[backend].read_rows(path, np.array([len(samples) - 1, 0]))
    assert last.value.tolist() == [(len(samples) - 1) / 2, 0.0]


@backends
@pytest.mark.parametrize("content", [b"", b"not a shard" * 1000])
def test_a_file_of_another_kind_is_damage(backend: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "shard"
    path.write_bytes(content)
    with pytest.raises(DamagedCache, match="not a readable"):
        SHARD_BACKENDS[backend].read(str(path))


@backends
def test_a_missing_file_is_damage(backend: str, tmp_path: Path) -> None:
    with pytest.raises(DamagedCache, match="not a readable"):
        SHARD_BACKENDS[backend].read(str(tmp_path / "nothing"))
