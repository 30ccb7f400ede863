"""verify_cache finds what does not hold, also where hashes were made to fit the lie."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from gocell_cli.storage.manifest import canonical_json
from gocell_cli.storage.verify import verify_cache
from tests.storage import hand_made


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return hand_made.write_cache(tmp_path / "by-hand")


def lie(cache: Path, *keys: Any, value: Any) -> None:
    """Change one entry of the manifest, and give it the sha256 that fits."""
    manifest = json.loads((cache / "manifest.json").read_bytes())
    entry = manifest
    for key in keys[:-1]:
        entry = entry[key]
    entry[keys[-1]] = value
    data = canonical_json(manifest)
    (cache / "manifest.json").write_bytes(data)
    (cache / "manifest.sha256").write_text(hashlib.sha256(data).hexdigest(), "ascii")


def problems(cache: Path) -> list[str]:
    return [f"{f.where}: {f.problem}" for f in verify_cache(cache).findings]


def test_a_cache_made_by_hand_holds(cache: Path) -> None:
    result = verify_cache(cache)
    assert result.findings == ()
    assert (result.ok, result.samples, result.files, result.shards) == (True, 3, 9, ("parquet",))
    assert result.bytes == sum(p.stat().st_size for p in cache.rglob("*.parquet"))


def test_the_toy_cache_holds_in_both_backends(toy_cache: Path) -> None:
    result = verify_cache(toy_cache)
    assert (result.findings, result.shards) == ((), ("lmdb", "parquet"))


def test_every_flipped_byte_is_found(toy_cache: Path) -> None:
    for path in sorted(p for p in toy_cache.rglob("*") if p.is_file()):
        data = path.read_bytes()
        path.write_bytes(data[:10] + bytes([data[10] ^ 1]) + data[11:])
        assert problems(toy_cache), path
        path.write_bytes(data)
    assert problems(toy_cache) == []


@pytest.mark.parametrize("name", ["extra", "samples/part-00009.parquet", "hierarchy/.hidden"])
def test_an_unlisted_file_is_reported(cache: Path, name: str) -> None:
    (cache / name).write_bytes(b"")
    assert problems(cache) == [f"{name}: not listed in the manifest"]


@pytest.mark.parametrize(
    ("keys", "value", "finding"),
    [
        (("counts", "rows_read"), 5, "do not add up"),
        (("counts", "dropped", "duplicate_merged"), 2, "do not add up"),
        (("counts", "samples"), 4, "do not add up"),
        (("level_counts",), [1, 2], "level_counts are not those"),
        (("config", "seed"), 1, "fingerprint is not that of the configuration"),
        (("shards", 1, "start"), 1, "shard 1 starts at 1, expected 1 at 2"),
        (("shards", 1, "index"), 2, "shard 2 starts at 2, expected 1 at 2"),
        (("shards", 0, "logical_sha256"), "0" * 64, "recorded logical hash"),
        (("level_direction",), "leaf_up", "inverted edges"),
        (("datasets",), [], "datasets"),
        (("width_by",), "other", "width_by"),
        (("counts",), {}, "counts.rows_read: Field required"),
        (("counts", "dropped"), {"other": "many"}, "counts.dropped.other: Input should be a valid integer"),
        (("files",), [], "not listed in the manifest"),
        (("shards", 0, "rows"), 3, "shard 1 starts at 2, expected 1 at 3"),
    ],
)
def test_a_manifest_that_lies_is_found(cache: Path, keys: tuple[Any, ...], value: Any, finding: str) -> None:
    lie(cache, *keys, value=value)
    assert finding in "\n".join(problems(cache))


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ({"genes": [2]}, "genes out of range"),
        ({"genes": [1, 0]}, "deleted genes are not ascending and distinct"),
        ({"genes": [1, 1]}, "deleted genes are not ascending and distinct"),
        ({"query_group": 1}, "query_group out of range"),
        ({"rows": [(2, 1, -1)]}, "query_strain out of range"),
        ({"rows": [(2, 0, -2)]}, "array_strain out of range"),
    ],
)
def test_a_sample_out_of_range_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], finding: str
) -> None:
    monkeypatch.setitem(hand_made.SAMPLES[0], next(iter(change)), next(iter(change.values())))
    found = problems(hand_made.write_cache(tmp_path / "lying"))
    assert found == [f"shard 0 (samples/part-00000.parquet): {finding}"]


def test_levels_that_do_not_hold_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flat = {**hand_made.TERMS, "level": (hand_made.I32, [1, 1, 0])}
    monkeypatch.setitem(hand_made.TABLES, "hierarchy/terms", flat)
    assert any("same-level edges" in p for p in problems(hand_made.write_cache(tmp_path / "flat")))


def test_a_directory_without_a_manifest(tmp_path: Path) -> None:
    assert len(problems(tmp_path)) == 1
