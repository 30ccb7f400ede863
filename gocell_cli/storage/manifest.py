"""manifest.json: canonical JSON, byte for byte, with its sha256 beside it."""

import hashlib
import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

from gocell_cli.errors import DamagedCache
from gocell_cli.storage.schema import (
    FORMAT_VERSION,
    MANIFEST,
    PART_MANIFEST,
    FileRecord,
    Manifest,
    ShardRecord,
)
from gocell_cli.whole_file import write_whole

Record = TypeVar("Record", FileRecord, ShardRecord)
REBUILD_HINT = "build the cache again: gocell build-cache ... --overwrite"


def canonical_json(value: Any) -> bytes:
    """Encode as JSON with sorted keys, no spaces, UTF-8, and a newline at the end; NaN is refused.

    One value, one sequence of bytes: fingerprints are hashes of it, and equal builds give equal manifests.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode() + b"\n"


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the bytes of manifest.json."""
    return canonical_json(asdict(manifest))


def decode_manifest(data: bytes, path: Path) -> Manifest:
    """Read manifest.json's bytes; raises DamagedCache for a wrong version or a missing field."""
    try:
        raw = json.loads(data)
        version = raw["format_version"]  # first: of another version nothing else may be taken for granted
        if version != FORMAT_VERSION:
            raise DamagedCache(
                f"{path}: cache format version {version}, this gocell reads version {FORMAT_VERSION}",
                hint="install the gocell that wrote it, or build the cache again",
            )
        files = tuple(_typed(FileRecord, f) for f in raw.pop("files"))
        shards = tuple(decode_shard(s) for s in raw.pop("shards"))
        raw["datasets"], raw["level_counts"] = tuple(raw["datasets"]), tuple(raw["level_counts"])
        return Manifest(**raw, files=files, shards=shards)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DamagedCache(f"{path}: not a manifest ({error})", hint=REBUILD_HINT) from error


def decode_shard(raw: dict[str, Any]) -> ShardRecord:
    """Return the record of one shard from its JSON."""
    files = {backend: _typed(FileRecord, f) for backend, f in raw.pop("files").items()}
    return _typed(ShardRecord, {**raw, "files": files})


def _typed(kind: type[Record], raw: dict[str, Any]) -> Record:
    """Make a record whose numbers are numbers and whose texts are texts; raises TypeError where they are not."""
    record = kind(**raw)
    for field in fields(kind):
        # not isinstance: true is an int to Python, and JSON's true must not pass for 1
        if field.type in (int, str) and type(getattr(record, field.name)) is not field.type:
            raise TypeError(f"{field.name} is {getattr(record, field.name)!r}")
    return record


def write_manifest(directory: Path, manifest: Manifest, name: str = MANIFEST) -> None:
    """Write the manifest's sha256, then the manifest, each whole or not at all.

    In this order: a cache has its manifest last of all files, so what has one is whole. A kill between the two leaves a
    hash alone, which nothing reads.
    """
    data = encode_manifest(manifest)
    write_whole(_hash_path(directory / name), hashlib.sha256(data).hexdigest().encode() + b"\n")
    write_whole(directory / name, data)


def read_manifest(directory: Path, name: str = MANIFEST) -> Manifest:
    """Read and check a manifest; raises DamagedCache where it is missing, changed or of another version."""
    path = directory / name
    if not path.is_file():
        raise _no_manifest(directory, name)
    data = path.read_bytes()
    hash_path = _hash_path(path)
    expected = hash_path.read_bytes().strip().decode("ascii", "replace") if hash_path.is_file() else "(missing)"
    # of the bytes as they lie there, before any of them is believed
    actual = hashlib.sha256(data).hexdigest()
    if actual != expected:
        raise DamagedCache(
            f"{path}: its sha256 is not the one in {hash_path.name}",
            why=f"found {actual}, expected {expected}",
            hint=REBUILD_HINT,
        )
    return decode_manifest(data, path)


def _hash_path(manifest: Path) -> Path:
    return manifest.with_suffix(".sha256")


def _no_manifest(directory: Path, name: str) -> DamagedCache:
    if name == MANIFEST and (directory / PART_MANIFEST).is_file():
        hint = "gocell cache merge PART... --out DIR"
        return DamagedCache(f"{directory}: one part of a cache, not a cache", hint=hint)
    return DamagedCache(f"{directory}: no {name}, so this is no finished cache", hint=REBUILD_HINT)


def shard_faults(manifest: Manifest) -> list[str]:
    """Return what is wrong with a cache's list of shards: each sample must be in exactly one, in order."""
    faults, position = [], 0
    for expected, shard in enumerate(manifest.shards):
        # a shard begins where the one before ends: readers find a sample by a search in the starts
        if (shard.index, shard.start) != (expected, position):
            faults.append(f"shard {shard.index} starts at {shard.start}, expected {expected} at {position}")
        position = shard.start + shard.rows
    if manifest.counts.get("samples") != position:
        faults.append(f"the shards hold {position} samples, the counts say {manifest.counts.get('samples')}")
    return faults


def record_file(directory: Path, path: Path) -> FileRecord:
    """Size and sha256 of one file of a cache."""
    with path.open("rb") as stream:
        # a piece at a time: a shard may be larger than memory allows
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return FileRecord(path=path.relative_to(directory).as_posix(), bytes=path.stat().st_size, sha256=digest)


def check_file(directory: Path, record: FileRecord) -> Path:
    """Return the path of a recorded file; raises DamagedCache where it is missing or not as recorded.

    A path that leaves the cache's directory is refused before anything is opened.
    """
    path = directory / record.path
    if Path(record.path).is_absolute() or ".." in Path(record.path).parts:
        raise DamagedCache(f"{directory}: the manifest names a file outside the cache: {record.path}")
    if not path.is_file():
        raise DamagedCache(f"{path}: missing", hint=REBUILD_HINT)
    # a name within the cache may still be a link to a file that others can change
    if not path.resolve().is_relative_to(directory.resolve()):
        raise DamagedCache(f"{path}: a link that leads out of the cache", hint=REBUILD_HINT)
    found = record_file(directory, path)
    if found != record:
        raise DamagedCache(
            f"{path}: damaged",
            why=f"{found.bytes} bytes with sha256 {found.sha256}, recorded {record.bytes} with {record.sha256}",
            hint=REBUILD_HINT,
        )
    return path
