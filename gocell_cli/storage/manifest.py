"""manifest.json: canonical JSON, byte for byte, with its sha256 beside it."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from gocell_cli.errors import DamagedCache, SourceMissing
from gocell_cli.file_record import FileRecord, record_file
from gocell_cli.level_directions import DIRECTIONS
from gocell_cli.storage.records import (
    BACKENDS,
    DESCRIPTIONS,
    FORMAT_VERSION,
    FORMAT_VERSIONS,
    LEVEL_KINDS,
    MANIFEST,
    PART_MANIFEST,
    STATISTICS,
    WIDTH_KINDS,
    Config,
    Counts,
    Manifest,
    version_of,
)
from gocell_cli.typed_file import Malformed, json_text, parse_json, read_small, typed
from gocell_cli.whole_file import write_whole

MOST_MANIFEST = 64_000_000
"""Bytes of a manifest: a shard takes some 600, so this is for 100,000 of them."""
MOST_HASH = 1000
MOST_SHOWN = 80
FILE_PATH = re.compile(
    rf"(hierarchy|provenance|samples)/[a-z0-9_-]+\.(parquet|lmdb)|{'|'.join(map(re.escape, DESCRIPTIONS))}"
)
SHA256 = re.compile(r"[0-9a-f]{64}")
REBUILD_HINT = "build the cache again: gocell build-cache ... --overwrite"


def canonical_json(value: Any) -> bytes:
    """Encode as JSON with sorted keys, no spaces, UTF-8, and a newline at the end; NaN is refused.

    One value, one sequence of bytes: fingerprints are hashes of it, and equal builds give equal manifests.
    """
    return json_text(value, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the bytes of manifest.json."""
    return canonical_json(asdict(manifest))


def decode_manifest(data: bytes, path: Path) -> Manifest:
    """Read manifest.json's bytes; raises DamagedCache for another version, or for what is no manifest of it.

    Held to its type, to its own sums and to its canonical form: readers take what `verify` finds nothing in, no more.
    """
    try:
        version = _version(data)  # first: of another version nothing else may be taken for granted
        if version not in FORMAT_VERSIONS:
            readable = " and ".join(map(str, FORMAT_VERSIONS))
            raise DamagedCache(
                f"{path}: cache format version {version}, this gocell reads versions {readable}",
                hint="install the gocell that wrote it, or build the cache again",
            )
        return parse_json(data, Manifest)
    except Malformed as error:
        raise DamagedCache(f"{path}: not a manifest ({error})", hint=REBUILD_HINT) from error


def _version(data: bytes) -> object:
    try:
        return json.loads(data.decode())["format_version"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return FORMAT_VERSION  # no manifest of any version: the whole of it is told by its type


def manifest_faults(manifest: Manifest, data: bytes) -> list[str]:
    """Return what is wrong with a manifest in itself, one sentence a fault; `data` is its bytes.

    All that is read of `counts` and `config` is held to its type; what other gocells write beside it is not read.
    """
    told = _kinds("config", manifest.config, Config)
    faults = [*_words(manifest), *_records(manifest), *(told or _phenotypes(manifest))]
    filters = manifest.config.get("filters")
    if isinstance(filters, dict) and any(type(filters.get(name, "")) is not str for name in ("preset", "width_by")):
        faults.append("config.filters.preset and width_by are not text")
    faults += _kinds("counts", manifest.counts, Counts)
    # equal builds must give equal bytes: a manifest in other spacing holds the same, but compares as different
    if data != encode_manifest(manifest):
        faults.append("not canonical JSON")
    if hashlib.sha256(canonical_json(manifest.config)).hexdigest() != manifest.fingerprint:
        faults.append("the fingerprint is not that of the configuration")
    return faults or _sums(manifest.counts)


def _words(m: Manifest) -> list[str]:
    known = (
        ("level_by", m.level_by, LEVEL_KINDS),
        ("level_direction", m.level_direction, DIRECTIONS),
        ("width_by", m.width_by, WIDTH_KINDS),
        ("phenotype.statistic", m.phenotype.get("statistic"), STATISTICS),
    )
    faults = [
        f"{name} is {found!r}, none of {', '.join(map(repr, words))}"
        for name, found, words in known
        if found not in words
    ]
    if m.phenotype.keys() != {"kind", "statistic"}:
        faults.append("phenotype has not kind and statistic")
    return faults if m.datasets else [*faults, "datasets is empty"]


def _phenotypes(m: Manifest) -> list[str]:
    """What is wrong with the version, and with the phenotypes of a cache of several; their types are known."""
    faults = []
    if {m.format_version, m.config.get("format_version")} != {version_of(m.config)}:
        faults.append(f"format_version is {m.format_version}, of such a cache it is {version_of(m.config)}")
    if "phenotypes" not in m.config:
        return faults
    found = m.phenotypes
    if len(found) < 2 or len({p["kind"] for p in found}) < len(found):
        faults.append("config.phenotypes are not several different ones")
    if any(p["statistic"] not in STATISTICS for p in found):
        faults.append("a statistic of config.phenotypes is none")
    if {name: found[0][name] for name in ("kind", "statistic")} != m.phenotype:
        faults.append("phenotype is not the first of config.phenotypes")
    return faults


def _records(m: Manifest) -> list[str]:
    """What is wrong with the records of files and shards: paths, hashes, backends, numbers."""
    faults = [
        f"the file {file.path[:MOST_SHOWN]!r} is not one of a cache's, or has no sha256"
        for file in m.all_files
        if not (FILE_PATH.fullmatch(file.path) and SHA256.fullmatch(file.sha256))
    ]
    paths = [file.path for file in m.all_files]
    if len(set(paths)) < len(paths):
        faults.append("a file is listed twice")
    if any(not s.files or s.files.keys() - set(BACKENDS) or not SHA256.fullmatch(s.logical_sha256) for s in m.shards):
        faults.append("a shard has no files, files of an unknown backend, or no hash")
    if not _natural([m.level_counts, [(s.index, s.start, s.rows) for s in m.shards], [f.bytes for f in m.all_files]]):
        faults.append("a number is below 0, or has more than 63 bits")
    return faults


def _kinds(name: str, found: Mapping[str, Any], kind: Any) -> list[str]:
    """What is wrong with the entries of a mapping that are fields of `kind`."""
    try:
        typed({field.name: found[field.name] for field in fields(kind) if field.name in found}, kind)
    except Malformed as error:
        return [f"{name}.{error}"]
    return []


def _sums(counts: Mapping[str, Any]) -> list[str]:
    """What of the counts is below 0 or does not add up; their types are known."""
    if not _natural([counts[field.name] for field in fields(Counts) if field.name in counts]):
        return ["counts: a number is below 0, or has more than 63 bits"]
    if counts["rows_read"] != counts["samples"] + sum(counts["dropped"].values()):
        return ["rows read, samples and dropped rows do not add up"]
    return []


def _natural(value: Any) -> bool:
    """Whether all whole numbers in a document are from 0 to 2**63 - 1, which an int64 holds."""
    if isinstance(value, Mapping):
        return all(map(_natural, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_natural, value))
    return not isinstance(value, int) or 0 <= value < 2**63


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
    try:
        data = read_small(path, MOST_MANIFEST)
    except (FileNotFoundError, NotADirectoryError):
        raise _no_manifest(directory, name) from None
    except PermissionError as error:  # another build would not mend it
        raise SourceMissing.of(path, error) from error
    except (OSError, Malformed) as error:
        raise DamagedCache(f"{path}: cannot be read ({error})", hint=REBUILD_HINT) from error
    hash_path = _hash_path(path)
    expected = _told_hash(hash_path)
    # of the bytes as they lie there, before any of them is believed
    actual = hashlib.sha256(data).hexdigest()
    if actual != expected:
        raise DamagedCache(
            f"{path}: its sha256 is not the one in {hash_path.name}",
            why=f"found {actual}, expected {expected}",
            hint=REBUILD_HINT,
        )
    manifest = decode_manifest(data, path)
    faults = manifest_faults(manifest, data)
    if faults:
        raise DamagedCache(f"{path}: {'; '.join(faults)}", hint=REBUILD_HINT)
    return manifest


def _told_hash(path: Path) -> str:
    try:
        return read_small(path, MOST_HASH).strip().decode("ascii", "replace")
    except FileNotFoundError:
        return "(missing)"
    except (OSError, Malformed) as error:
        return f"({error})"


def _hash_path(manifest: Path) -> Path:
    return manifest.with_suffix(".sha256")


def _no_manifest(directory: Path, name: str) -> DamagedCache:
    if name == MANIFEST and (directory / PART_MANIFEST).is_file():
        hint = "gocell cache merge PART... --out DIR"
        return DamagedCache(f"{directory}: one part of a cache, not a cache", hint=hint)
    hint = f"gocell cache ls lists those there are; {REBUILD_HINT}"
    return DamagedCache(f"{directory}: no {name}, so this is no finished cache", hint=hint)


def shard_faults(manifest: Manifest) -> list[str]:
    """Return what is wrong with a cache's list of shards: each sample must be in exactly one, in order."""
    faults, position = [], 0
    for expected, shard in enumerate(manifest.shards):
        # a shard begins where the one before ends: readers find a sample by a search in the starts
        if (shard.index, shard.start) != (expected, position):
            faults.append(f"shard {shard.index} starts at {shard.start}, expected {expected} at {position}")
        position = shard.start + shard.rows
    if manifest.counts["samples"] != position:
        faults.append(f"the shards hold {position} samples, the counts say {manifest.counts['samples']}")
    return faults


def part_faults(manifest: Manifest) -> list[str]:
    """Return what is wrong with a part's list of shards: every n-th of the plan's, each where the plan has it."""
    size, total = manifest.config.get("shard_size", 0), manifest.counts["samples"]
    if manifest.part is None or manifest.part[1] < 1 or size < 1:
        return ["it does not say which part of a cache it is"]
    i, n = manifest.part
    # as building.build cuts them: the index of a shard, divided by n, leaves i
    expected = [(k, k * size, min(size, total - k * size)) for k in range(i, -(-total // size), n)]
    found = [(shard.index, shard.start, shard.rows) for shard in manifest.shards]
    return [] if found == expected else [f"its shards are not those of part {i}/{n} of {total} samples"]


def is_part(directory: Path) -> bool:
    """Whether a folder is one part of a cache, no whole one."""
    return (directory / PART_MANIFEST).is_file() and not (directory / MANIFEST).is_file()


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
