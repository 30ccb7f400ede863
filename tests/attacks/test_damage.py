"""Damage of every kind to a finished cache. It may be refused when opened or read, and `verify` must report it;
it may never lead to other values than those written.
"""

import hashlib
import json
import pickle
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gocell_cli.errors import DamagedCache
from gocell_cli.storage.manifest import canonical_json
from gocell_cli.storage.reader import Cache
from gocell_cli.storage.records import BACKENDS
from gocell_cli.storage.samples import logical_sha256
from gocell_cli.storage.verify import verify_cache
from tests.attempts import attempts

FLIPS = attempts(26, 200)


def read_hash(cache: Path, backend: str) -> str | None:
    """Hash of all values as a reader gets them; None where the cache is refused."""
    try:
        opened = Cache(cache, backend)
        fetched = opened.rows(range(len(opened)))  # by key in LMDB
        assert logical_sha256(fetched) == logical_sha256(opened.columns())
        return logical_sha256(fetched)
    except DamagedCache:
        return None


@pytest.fixture(scope="module")
def true_hash(built: Path) -> str:
    found = {read_hash(built, backend) for backend in BACKENDS}
    assert len(found) == 1
    assert None not in found
    return str(found.pop())


def test_single_bit_flips_are_all_noticed(cache: Path, true_hash: str) -> None:
    rng = random.Random(20180420)
    files = sorted(p for p in cache.rglob("*") if p.is_file())
    noticed = silent = 0
    for number in range(FLIPS):
        path = files[number % len(files)]
        good = path.read_bytes()
        at = rng.randrange(len(good))
        path.write_bytes(good[:at] + bytes([good[at] ^ (1 << rng.randrange(8))]) + good[at + 1 :])
        noticed += not verify_cache(cache).ok
        if number % 10 == 0:  # reading everything twice takes longer than verifying
            silent += sum(read_hash(cache, backend) not in (None, true_hash) for backend in BACKENDS)
        path.write_bytes(good)
    assert (noticed, silent) == (FLIPS, 0)
    assert verify_cache(cache).ok


def resign(cache: Path, change: Callable[[dict], None]) -> None:
    """Change the manifest and recompute every hash that covers it, as a careful liar would."""
    manifest = json.loads((cache / "manifest.json").read_bytes())
    change(manifest)
    for record in [*manifest["files"], *(f for s in manifest["shards"] for f in s["files"].values())]:
        path = cache / record["path"]
        if path.is_file():
            record |= {"bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    data = canonical_json(manifest)
    (cache / "manifest.json").write_bytes(data)
    (cache / "manifest.sha256").write_text(hashlib.sha256(data).hexdigest() + "\n")


def _swap_records(manifest: dict) -> None:
    a, b = manifest["shards"][0], manifest["shards"][1]
    a["files"], b["files"] = b["files"], a["files"]


def _swap_shards(manifest: dict) -> None:
    manifest["shards"][0], manifest["shards"][1] = manifest["shards"][1], manifest["shards"][0]


LIES: dict[str, Callable[[dict], object]] = {
    "rows": lambda m: m["shards"][0].update(rows=m["shards"][0]["rows"] - 1),
    "rows as text": lambda m: m["shards"][0].update(rows="120"),
    "format version": lambda m: m.update(format_version=2),
    "level direction": lambda m: m.update(level_direction="leaf_up"),
    "level counts": lambda m: m.update(level_counts=m["level_counts"][::-1]),
    "unknown level": lambda m: m.update(level_by="colour"),
    "sample count": lambda m: m["counts"].update(samples=1),
    "fingerprint": lambda m: m.update(fingerprint="0" * 64),
    "configuration": lambda m: m["config"].update(dataset="another"),
    "logical hash": lambda m: m["shards"][0].update(logical_sha256="0" * 64),
    "a path upwards": lambda m: m["shards"][0]["files"]["parquet"].update(path="../samples.parquet"),
    "an absolute path": lambda m: m["shards"][0]["files"]["parquet"].update(path="/etc/passwd"),
    "swapped records": _swap_records,
    "swapped shards": _swap_shards,
    "a shard twice": lambda m: m["shards"].append(m["shards"][0]),
    "a shard less": lambda m: m["shards"].pop(),
    "a field more": lambda m: m.update(note="trust me"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_manifest_that_lies_is_reported(cache: Path, true_hash: str, lie: str) -> None:
    resign(cache, LIES[lie])  # type: ignore[arg-type]
    assert not verify_cache(cache).ok
    harmless = ("sample count", "fingerprint", "configuration", "level counts", "a field more", "unknown level")
    if lie not in harmless:  # those change no value that is read
        assert all(read_hash(cache, backend) in (None, true_hash) for backend in BACKENDS)


def _first_files(cache: Path) -> list[Path]:
    return [cache / "samples" / "part-00000.parquet", cache / "samples" / "part-00000.lmdb"]


@pytest.mark.parametrize("keep", [0, 0.5, 0.999])
def test_cut_files_are_noticed(cache: Path, true_hash: str, keep: float) -> None:
    for path in [*_first_files(cache), cache / "hierarchy" / "edges.parquet", cache / "manifest.json"]:
        good = path.read_bytes()
        path.write_bytes(good[: int(len(good) * keep)])
        assert not verify_cache(cache).ok
        assert {read_hash(cache, backend) for backend in BACKENDS} <= {None, true_hash}
        path.write_bytes(good)


def test_removed_extra_and_swapped_files_are_noticed(cache: Path) -> None:
    for path, other in zip(_first_files(cache), sorted((cache / "samples").glob("part-00001.*"))[::-1], strict=True):
        assert path.suffix == other.suffix
        good, second = path.read_bytes(), other.read_bytes()
        path.write_bytes(second)
        other.write_bytes(good)
        assert not verify_cache(cache).ok
        path.unlink()
        assert not verify_cache(cache).ok
        path.write_bytes(good)
        other.write_bytes(second)
    (cache / "samples" / "extra.bin").touch()
    assert [f.where for f in verify_cache(cache).findings] == ["samples/extra.bin"]


class _Trap:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple:
        return Path.touch, (self.marker,)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_pickle_is_never_loaded(cache: Path, tmp_path: Path, backend: str) -> None:
    (cache / "samples" / f"part-00000.{backend}").write_bytes(pickle.dumps(_Trap(tmp_path / "ran")))
    resign(cache, lambda _: None)
    assert not verify_cache(cache).ok
    assert read_hash(cache, backend) is None
    assert not (tmp_path / "ran").exists()


def test_an_edge_that_breaks_the_levels_is_refused(cache: Path) -> None:
    path = cache / "hierarchy" / "terms.parquet"
    terms = pq.read_table(path)
    level = terms.column("level").to_numpy().copy()
    level[np.argmax(level)] = 1
    pq.write_table(terms.set_column(terms.schema.get_field_index("level"), "level", pa.array(level)), path)
    resign(cache, lambda m: m.update(level_counts=np.bincount(level).tolist()))
    assert any("edges by stratum" in f.problem for f in verify_cache(cache).findings)
    with pytest.raises(DamagedCache, match="hierarchy breaks its promises"):
        Cache(cache)


def test_another_dtype_is_refused(cache: Path) -> None:
    path = cache / "samples" / "part-00000.parquet"
    table = pq.read_table(path)
    narrow = table.set_column(1, pa.field("value", pa.float32(), nullable=False), table.column("value").cast("float32"))
    pq.write_table(narrow, path)
    resign(cache, lambda _: None)
    assert not verify_cache(cache).ok
    assert read_hash(cache, "parquet") is None


def test_a_link_out_of_the_cache_is_noticed(cache: Path, tmp_path: Path) -> None:
    path = cache / "samples" / "part-00000.parquet"
    shutil.move(path, tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert not verify_cache(cache).ok
