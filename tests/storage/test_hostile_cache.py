"""Caches whose hashes are right and whose values are not: refused as they are decoded, by readers and verify alike."""

import hashlib
import inspect
import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gocell_cli.errors import DamagedCache, GocellError, TooLarge
from gocell_cli.storage import lmdb_walk, shards
from gocell_cli.storage.lmdb_walk import is_known, remember, walk
from gocell_cli.storage.manifest import canonical_json
from gocell_cli.storage.reader import Cache
from gocell_cli.storage.records import BACKENDS
from gocell_cli.storage.samples import logical_sha256
from gocell_cli.storage.shards import SCHEMA, SHARD_BACKENDS, ParquetShard
from gocell_cli.storage.verify import verify_cache
from gocell_cli.training.data.batch import CacheRows
from tests.storage import hand_made

MOST = 2**31 - 1


def resign(cache: Path, change: Callable[[dict[str, Any]], object] = lambda _: None) -> None:
    """Change the manifest, and give every file and the manifest the hashes that fit."""
    manifest = json.loads((cache / "manifest.json").read_bytes())
    change(manifest)
    for record in [*manifest["files"], *(f for s in manifest["shards"] for f in s["files"].values())]:
        data = (cache / record["path"]).read_bytes()
        record |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    data = canonical_json(manifest)
    (cache / "manifest.json").write_bytes(data)
    (cache / "manifest.sha256").write_text(hashlib.sha256(data).hexdigest() + "\n")


def problems(cache: Path) -> str:
    return "\n".join(f.problem for f in verify_cache(cache).findings)


def with_lmdb(cache: Path) -> Path:
    """The same samples in LMDB as well, whatever they are."""

    def add(manifest: dict[str, Any]) -> None:
        for shard in manifest["shards"]:
            path = shard["files"]["parquet"]["path"]
            other = path.replace(".parquet", ".lmdb")
            SHARD_BACKENDS["lmdb"].write(str(cache / other), ParquetShard().read(str(cache / path)))
            shard["files"]["lmdb"] = {"path": other, "bytes": 0, "sha256": ""}

    resign(cache, add)
    return cache


LIES = [
    ({"genes": [-1]}, "genes out of range"),
    ({"genes": [2]}, "genes out of range"),
    ({"genes": [6604]}, "genes out of range"),
    ({"genes": [MOST]}, "genes out of range"),
    ({"genes": [0, 0]}, "deleted genes are not ascending and distinct"),
    ({"genes": [1, 0]}, "deleted genes are not ascending and distinct"),
    ({"query_group": 1}, "query_group out of range"),
    ({"query_group": -2}, "query_group out of range"),
    ({"rows": [(2, 1, -1)]}, "query_strain out of range"),
    ({"rows": [(2, 0, -2)]}, "array_strain out of range"),
    ({"rows": [(2, MOST, -1)]}, "query_strain out of range"),
]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("change", "finding"), LIES)
def test_every_reader_refuses_what_verify_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], finding: str, backend: str
) -> None:
    monkeypatch.setitem(hand_made.SAMPLES[0], *next(iter(change.items())))
    cache = with_lmdb(hand_made.write_cache(tmp_path / "lying"))
    assert finding in problems(cache)
    reads: list[Callable[[Cache], object]] = [
        lambda c: c.sample(0),
        lambda c: c.columns(),
        lambda c: c.mutant_state([0]),
        lambda c: c.state([0]),
        lambda c: list(c.batches(2)),
        CacheRows,  # the way of training
    ]
    for read in reads:
        with pytest.raises(DamagedCache, match="shard 0") as error:
            read(Cache(cache, backend))
        assert finding in error.value.message


@pytest.mark.parametrize("name", [field.name for field in SCHEMA if field.name != "statistic"])
@pytest.mark.parametrize("inside", [True, False])
def test_a_null_is_refused(tmp_path: Path, name: str, inside: bool) -> None:
    cache = hand_made.write_cache(tmp_path / "null")
    path = cache / "samples" / "part-00000.parquet"
    table = pq.read_table(path)
    field, is_list = SCHEMA.field(name), pa.types.is_list(SCHEMA.field(name).type)
    values = table.column(name).to_pylist()
    values[0] = [None] if is_list and inside else None
    column = pa.array(values, type=field.type)
    pq.write_table(table.set_column(SCHEMA.get_field_index(name), name, column), path)
    resign(cache)
    assert problems(cache)
    with pytest.raises(DamagedCache):
        Cache(cache).sample(0)


def test_strains_that_are_not_as_many_as_source_rows(tmp_path: Path) -> None:
    cache = hand_made.write_cache(tmp_path / "ragged")
    path = cache / "samples" / "part-00000.parquet"
    table = pq.read_table(path)
    ragged = pa.array([[], [0]], type=pa.list_(pa.int32()))  # as many in all, of other samples
    pq.write_table(table.set_column(6, SCHEMA.field("query_strain"), ragged), path)
    resign(cache)
    assert "not as many strains as source rows" in problems(cache)
    with pytest.raises(DamagedCache, match="not as many strains as source rows"):
        Cache(cache).columns()


HIERARCHY_LIES = [
    ("terms", "level", [1, MOST, 0], "a level is out of range"),
    ("terms", "go_level", [0, -2, -1], "a level is out of range"),
    ("terms", "direct_genes", [0, 1, 0], "direct_genes does not count each term's rows"),
    ("terms", "contained_genes", [2, 2, MOST], "contained_genes is out of range"),
    ("terms", "contained_genes", [2, 1, 2], "contained_genes is out of range"),
    ("terms", "name", ["top", None, "GO:ROOT"], "a null in name"),
    ("genes", "aliases", [["FUN24", None], []], "a null in aliases"),
    ("genes", "row_count", [1, -1], "gene_ptr does not count each gene's rows"),
    ("genes", "systematic", ["YAL001C", None], "a null in systematic"),
    ("edges", "child", [0, 3], "an edge names a term out of range"),
    ("term_genes", "gene", [0, -1], "a row names a term or gene out of range"),
    ("gene_rows", "row", [0, MOST], "a gene names a row out of range"),
    ("gene_rows", "row", [None, 1], "a null in row"),
]


@pytest.mark.parametrize(("table", "column", "values", "finding"), HIERARCHY_LIES)
def test_a_hierarchy_that_lies_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: str, column: str, values: list, finding: str
) -> None:
    columns = hand_made.TABLES[f"hierarchy/{table}"]
    monkeypatch.setitem(hand_made.TABLES, f"hierarchy/{table}", {**columns, column: (columns[column][0], values)})
    cache = hand_made.write_cache(tmp_path / "lying")
    assert finding in problems(cache)
    with pytest.raises(DamagedCache) as error:
        Cache(cache)
    assert finding in f"{error.value.message} {error.value.why}"


def test_readers_count_the_terms_of_each_level_too(tmp_path: Path) -> None:
    cache = hand_made.write_cache(tmp_path / "lying")
    resign(cache, lambda manifest: manifest.update(level_counts=[1, 2]))
    assert "level_counts are not those of the hierarchy" in problems(cache)
    with pytest.raises(DamagedCache, match="level_counts are not those of the hierarchy"):
        Cache(cache)


def test_contained_genes_are_counted_by_verify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terms = {**hand_made.TERMS, "contained_genes": (hand_made.I32, [1, 2, 2])}
    monkeypatch.setitem(hand_made.TABLES, "hierarchy/terms", terms)
    assert "contained_genes does not count" in problems(hand_made.write_cache(tmp_path / "lying"))


def claims(cache: Path, rows: int) -> Path:
    def change(manifest: dict[str, Any]) -> None:
        first, second = manifest["shards"]
        more = rows - first["rows"]
        first["rows"], second["start"] = rows, rows
        manifest["counts"]["samples"] += more
        manifest["counts"]["rows_read"] += more

    resign(cache, change)
    return cache


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("rows", [10**6, 2**40, 2**60])
def test_a_claim_that_its_file_cannot_hold_is_refused_when_opened(tmp_path: Path, backend: str, rows: int) -> None:
    cache = claims(with_lmdb(hand_made.write_cache(tmp_path / "claim")), rows)
    with pytest.raises(DamagedCache, match=f"shard 0 cannot hold the {rows:,} samples recorded"):
        Cache(cache, backend)
    assert not verify_cache(cache).ok


def test_a_claim_that_the_footer_makes_too_is_held_against_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = claims(hand_made.write_cache(tmp_path / "claim"), 2**60)
    monkeypatch.setattr(ParquetShard, "capacity", lambda _self, _path: 2**60)
    with pytest.raises(TooLarge, match=r"would take 71,481,133,285\.6 GB of memory, \d+\.\d GB are free"):
        Cache(cache)


def test_tables_that_no_memory_holds_are_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Cache(hand_made.write_cache(tmp_path / "tables"))
    many = range(2**40)
    monkeypatch.setattr(Cache, "_numbers", lambda _self, rows: rows)  # not made into an array, which would be 8 TB
    with pytest.raises(GocellError, match=r"the tables of 1,099,511,627,776 samples would take 35,184\.4 GB"):
        cache.mutant_state(many)


@pytest.mark.parametrize("backend", BACKENDS)
def test_samples_are_asked_for_by_whole_numbers(toy_cache: Path, backend: str) -> None:
    cache = Cache(toy_cache, backend)
    as_it_is = inspect.unwrap(Cache._numbers)  # past the checks of types that the tests alone have
    for wrong in ([0.9], [True], ["0"], [[0]], 0, [2**70]):
        with pytest.raises(TypeError, match="asked for by a list of whole numbers"):
            as_it_is(cache, np.array(wrong))
    with pytest.raises(IndexError, match="sample 18446744073709551615"):
        as_it_is(cache, np.array([2**64 - 1], dtype=np.uint64))


def without_leaves(path: Path) -> None:
    """The two pages that name the root, and nothing behind them: LMDB maps what is not there."""
    path.write_bytes(path.read_bytes()[:8192])


def test_a_file_that_kills_the_process_that_reads_it_is_damage(toy_cache: Path) -> None:
    path = toy_cache / "samples" / "part-00001.lmdb"
    without_leaves(path)
    resign(toy_cache)
    assert walk([(path, 1)]) == {path: "reading it ends a process (SIGBUS)"}
    assert "not a readable LMDB shard" in problems(toy_cache)
    for read in (lambda c: c.sample(1), lambda c: c.columns()):
        with pytest.raises(DamagedCache, match=r"part-00001\.lmdb: not a readable LMDB shard"):
            read(Cache(toy_cache, "lmdb"))
    assert Cache(toy_cache).sample(1).genes == (2, 3, 4)  # Parquet is read first, and the LMDB file not at all


def test_a_walk_goes_on_after_a_file_that_ended_it(toy_cache: Path) -> None:
    first, second = (toy_cache / "samples" / f"part-0000{i}.lmdb" for i in (0, 1))
    without_leaves(first)
    assert list(walk([(first, 1), (second, 1)])) == [first]
    assert walk([(second, 1)]) == {}
    assert walk([(second, 2)]) == {second: "it holds 1 records, not 2"}


def test_a_file_made_here_is_not_walked_and_another_once(
    toy_cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    walked: list[list[str]] = []
    real = walk

    def counted(files: list[tuple[Path, int]]) -> dict[Path, str]:
        walked.append([path.name for path, _ in files])
        return real(files)

    monkeypatch.setattr("gocell_cli.storage.reader.walk", counted)
    cache = Cache(toy_cache, "lmdb")
    cache.sample(0)
    assert walked == []
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "of another user"))
    for _ in range(2):  # the second time it is known
        other = Cache(toy_cache, "lmdb")
        assert (other.sample(0), other.sample(1)) == (cache.sample(0), cache.sample(1))
        assert logical_sha256(other.columns()) == logical_sha256(cache.columns())
    assert walked == [["part-00000.lmdb", "part-00001.lmdb"]]


def test_what_cannot_be_remembered_is_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    remember("a" * 64)
    assert not is_known("a" * 64)


def test_a_shard_replaced_while_it_is_read_is_not_mixed_in(toy_cache: Path) -> None:
    cache = Cache(toy_cache, "lmdb")
    before = cache.sample(0)
    path = toy_cache / "samples" / "part-00000.lmdb"
    data = bytearray(path.read_bytes())
    at = bytes(data).index(struct.pack("<d", before.value))
    data[at : at + 8] = struct.pack("<d", 9.0)
    path.with_suffix(".new").write_bytes(data)
    os.replace(path.with_suffix(".new"), path)
    with pytest.raises(DamagedCache, match=r"part-00000\.lmdb: damaged"):
        cache.sample(0)


def test_an_lmdb_file_is_opened_only_after_its_hash_agrees(toy_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = toy_cache / "samples" / "part-00000.lmdb"
    path.write_bytes(path.read_bytes() + b"\0" * 4096)
    opened: list[str] = []
    real = lmdb.open
    monkeypatch.setattr(lmdb, "open", lambda name, **options: (opened.append(name), real(name, **options))[1])
    with pytest.raises(DamagedCache, match=r"part-00000\.lmdb: damaged"):
        Cache(toy_cache, "lmdb").sample(0)
    assert "part-00000.lmdb: damaged" in problems(toy_cache)
    assert opened == [str(toy_cache / "samples" / "part-00001.lmdb")]


def test_the_walk_knows_the_records_as_the_reader_does() -> None:
    sizes = (lmdb_walk.KEY.format, lmdb_walk.HEADER, lmdb_walk.GENE, lmdb_walk.SOURCE, lmdb_walk.LABEL)
    genes = shards._record_dtype(1, 0, 0)["genes"].itemsize
    others = (shards.SOURCE.itemsize, shards.LABEL.itemsize)
    assert sizes == (shards.KEY.format, shards.HEADER.itemsize, genes, *others)
    fields = {name: offset for name, (_, offset) in shards.HEADER.fields.items()}
    assert (fields["genes"], fields["sources"], fields["others"]) == (0, 2, 6)  # as COUNTS of the walk unpacks them
