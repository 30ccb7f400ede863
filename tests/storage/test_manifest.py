"""manifest.json: canonical bytes, its sha256 beside it, and the files it records."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from gocell_cli.errors import DamagedCache
from gocell_cli.file_record import FileRecord, record_file
from gocell_cli.storage.manifest import canonical_json, check_file, decode_manifest, encode_manifest, read_manifest
from gocell_cli.storage.reader import Cache
from gocell_cli.storage.records import FORMAT_VERSION


def rewrite(cache: Path, manifest: Any) -> None:
    """Put another manifest there, with the sha256 that belongs to it."""
    data = json.dumps(manifest).encode()
    (cache / "manifest.json").write_bytes(data)
    (cache / "manifest.sha256").write_text(hashlib.sha256(data).hexdigest(), "ascii")


def raw(cache: Path) -> dict[str, Any]:
    return json.loads((cache / "manifest.json").read_bytes())


def test_canonical_json_byte_for_byte() -> None:
    assert canonical_json({"b": [1, None, 0.5], "a": {"ü": "x y"}}) == '{"a":{"ü":"x y"},"b":[1,null,0.5]}\n'.encode()


def test_canonical_json_knows_no_nan() -> None:
    with pytest.raises(ValueError, match="the number is nan"):
        canonical_json(float("nan"))


def test_decode_then_encode_gives_the_same_bytes(toy_cache: Path) -> None:
    data = (toy_cache / "manifest.json").read_bytes()
    assert encode_manifest(decode_manifest(data, toy_cache)) == data
    assert canonical_json(json.loads(data)) == data


def test_manifest_sha256_holds_the_hash_of_the_manifest(toy_cache: Path) -> None:
    digest = hashlib.sha256((toy_cache / "manifest.json").read_bytes()).hexdigest()
    assert (toy_cache / "manifest.sha256").read_text("ascii") == f"{digest}\n"


def test_every_other_file_is_recorded_with_its_hash(toy_cache: Path) -> None:
    manifest = read_manifest(toy_cache)
    records = {r.path: r for r in (*manifest.files, *(f for s in manifest.shards for f in s.files.values()))}
    files = {p.relative_to(toy_cache).as_posix(): p for p in toy_cache.rglob("*") if p.is_file()}
    assert set(files) - {"manifest.json", "manifest.sha256"} == set(records)
    for path, record in records.items():
        data = files[path].read_bytes()
        assert record == FileRecord(path, len(data), hashlib.sha256(data).hexdigest())


def test_a_manifest_with_a_wrong_sha256_shows_both(toy_cache: Path) -> None:
    (toy_cache / "manifest.sha256").write_text("0" * 64, "ascii")
    actual = hashlib.sha256((toy_cache / "manifest.json").read_bytes()).hexdigest()
    with pytest.raises(DamagedCache) as error:
        read_manifest(toy_cache)
    assert error.value.why == f"found {actual}, expected {'0' * 64}"


def test_a_missing_sha256_is_damage(toy_cache: Path) -> None:
    (toy_cache / "manifest.sha256").unlink()
    with pytest.raises(DamagedCache) as error:
        read_manifest(toy_cache)
    assert "(missing)" in error.value.why


def test_another_version_is_refused_with_both_numbers(toy_cache: Path) -> None:
    rewrite(toy_cache, raw(toy_cache) | {"format_version": 99})
    with pytest.raises(DamagedCache, match="version 99, this gocell reads versions 1 and 2"):
        Cache(toy_cache)


@pytest.mark.parametrize("document", [[], "text", 1, None, {}, {"format_version": FORMAT_VERSION}], ids=repr)
def test_json_that_is_no_manifest_is_damage(toy_cache: Path, document: Any) -> None:
    rewrite(toy_cache, document)
    with pytest.raises(DamagedCache, match="not a manifest"):
        read_manifest(toy_cache)


@pytest.mark.parametrize("field", ["files", "shards", "datasets", "level_by", "counts"])
def test_a_missing_or_unknown_field_is_damage(toy_cache: Path, field: str) -> None:
    whole = raw(toy_cache)
    for broken in ({k: v for k, v in whole.items() if k != field}, whole | {f"{field}_": 1}):
        rewrite(toy_cache, broken)
        with pytest.raises(DamagedCache, match="not a manifest"):
            read_manifest(toy_cache)


@pytest.mark.parametrize("path", ["../outside", "samples/../../outside", "/etc/hostname"])
def test_a_path_that_leaves_the_cache_is_refused(toy_cache: Path, path: str) -> None:
    outside = toy_cache.parent / "outside"
    outside.write_bytes(b"x")
    record = FileRecord(path, 1, hashlib.sha256(b"x").hexdigest())
    with pytest.raises(DamagedCache, match="names a file outside the cache"):
        check_file(toy_cache, record)


def test_a_manifest_that_names_a_file_outside_is_refused(toy_cache: Path) -> None:
    manifest = raw(toy_cache)
    manifest["files"][0]["path"] = "../outside"
    rewrite(toy_cache, manifest)
    with pytest.raises(DamagedCache, match=r"the file '\.\./outside' is not one of a cache's"):
        Cache(toy_cache)


@pytest.mark.parametrize("change", [b"longer", b"abd", b""])
def test_a_file_that_is_not_as_recorded_is_damage(tmp_path: Path, change: bytes) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"abc")
    record = record_file(tmp_path, file)
    assert check_file(tmp_path, record) == file
    file.write_bytes(change)
    with pytest.raises(DamagedCache, match="damaged"):
        check_file(tmp_path, record)
