"""Check every promise of a cache, and return what does not hold as values.

Hashes of files first, then the values they hold: logical hashes in every backend, row counts, indices in
range, the levels of every edge, and the manifest's own sums. Nothing is repaired.
"""

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gocell_cli.errors import DamagedCache, GocellError
from gocell_cli.file_record import FileRecord
from gocell_cli.storage.hierarchy_check import check_hierarchy, level_counts
from gocell_cli.storage.json_schemas import schema_faults
from gocell_cli.storage.lmdb_walk import walk
from gocell_cli.storage.manifest import (
    check_file,
    encode_manifest,
    is_part,
    part_faults,
    read_manifest,
    shard_faults,
)
from gocell_cli.storage.records import MANIFEST, PART_MANIFEST, Manifest, ShardRecord
from gocell_cli.storage.sample_check import Limits, sample_faults
from gocell_cli.storage.samples import logical_sha256
from gocell_cli.storage.schema import Hierarchy
from gocell_cli.storage.shards import SHARD_BACKENDS
from gocell_cli.storage.tables import read_hierarchy, read_provenance


@dataclass(frozen=True)
class Finding:
    """Something a cache promises and does not hold; `where` is a file, a shard or a part of the manifest."""

    where: str
    problem: str


@dataclass(frozen=True)
class Verification:
    """What was looked at, and what was found."""

    findings: tuple[Finding, ...]
    samples: int = 0
    files: int = 0
    bytes: int = 0
    shards: tuple[str, ...] = field(default_factory=tuple)
    part: tuple[int, int] | None = None

    @property
    def ok(self) -> bool:
        """True where nothing was found."""
        return not self.findings


def verify_cache(directory: Path, threads: int | None = None) -> Verification:
    """Verify a whole cache, or one part of it; shards are read by `threads` threads (default: one a processor)."""
    name = PART_MANIFEST if is_part(directory) else MANIFEST
    try:
        manifest = read_manifest(directory, name)
    except DamagedCache as error:
        return Verification((Finding(name, _text(error)),))
    # of the very bytes that were read: what is read is canonical
    faults = schema_faults("manifest", json.loads(encode_manifest(manifest)))
    if faults:  # nothing that it says can be relied on
        return Verification(tuple(Finding(name, fault) for fault in faults))
    in_order = shard_faults(manifest) if name == MANIFEST else part_faults(manifest)
    findings = [
        *(Finding(name, fault) for fault in in_order),
        *_unlisted(directory, manifest, name),
        *_file_findings(directory, manifest.files),
    ]
    # values of files that are not as recorded would only repeat the finding, or fail to decode
    if not findings:
        # the processors that this process may use, where a container has fewer than the machine
        findings += _content_findings(directory, manifest, threads or len(os.sched_getaffinity(0)))
    files = manifest.all_files
    return Verification(
        tuple(findings),
        samples=manifest.samples,
        files=len(files),
        bytes=sum(f.bytes for f in files),
        shards=tuple(sorted({b for s in manifest.shards for b in s.files})),
        part=manifest.part,
    )


def _unlisted(directory: Path, manifest: Manifest, name: str) -> Iterator[Finding]:
    listed = {f.path for f in manifest.all_files} | {name, Path(name).with_suffix(".sha256").name}
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if not path.is_dir() and name not in listed:
            yield Finding(name, "not listed in the manifest")


def _file_findings(directory: Path, files: tuple[FileRecord, ...]) -> Iterator[Finding]:
    for record in files:
        try:
            check_file(directory, record)
        except DamagedCache as error:
            yield Finding(record.path, _text(error))


def _content_findings(directory: Path, manifest: Manifest, threads: int) -> list[Finding]:
    try:
        hierarchy = read_hierarchy(directory, manifest.level_by, manifest.level_direction)
        provenance = read_provenance(directory)
    except GocellError as error:
        return [Finding("hierarchy", _text(error))]
    findings = _hierarchy_findings(hierarchy, manifest)
    limits = Limits(
        len(hierarchy.gene_names),
        len(manifest.datasets),
        len(provenance.query_groups),
        len(provenance.strains),
        len(manifest.phenotypes),
    )
    findings += (ended := _lmdb_findings(directory, manifest))
    unread = {finding.where for finding in ended}
    tasks = [(s, b) for s in manifest.shards for b in s.files if _finding(s, b, "").where not in unread]
    # threads, not processes: reading, decoding and hashing let go of Python's lock, and nothing need be sent
    with ThreadPoolExecutor(threads) as pool:
        checked = pool.map(lambda task: _shard_findings(directory, limits, *task), tasks)
        return findings + [finding for found in checked for finding in found]


def _hierarchy_findings(hierarchy: Hierarchy, manifest: Manifest) -> list[Finding]:
    faults = check_hierarchy(hierarchy)
    if faults:  # nothing can be computed from it
        return [Finding("hierarchy", fault) for fault in faults]
    findings = []
    if level_counts(hierarchy) != manifest.level_counts:
        findings.append(Finding(MANIFEST, "level_counts are not those of the hierarchy"))
    contained = np.bincount(hierarchy.closure.term, minlength=len(hierarchy.term_ids))
    if not np.array_equal(contained, hierarchy.contained_genes):
        findings.append(Finding("hierarchy", "contained_genes does not count each term's genes and its descendants'"))
    return findings


def _lmdb_findings(directory: Path, manifest: Manifest) -> list[Finding]:
    """Walk the LMDB shards whose hashes agree: a file that ends the process that reads it ends another one."""
    findings, shards = [], {}
    for shard in manifest.shards:
        if "lmdb" in shard.files:
            try:
                shards[check_file(directory, shard.files["lmdb"])] = shard
            except DamagedCache as error:
                findings.append(_finding(shard, "lmdb", _text(error)))
    faults = walk([(path, shard.rows) for path, shard in shards.items()])
    told = [_finding(shards[path], "lmdb", f"not a readable LMDB shard ({fault})") for path, fault in faults.items()]
    return findings + told


def _shard_findings(directory: Path, limits: Limits, shard: ShardRecord, backend: str) -> list[Finding]:
    try:
        record = shard.files[backend]
        # an LMDB file was hashed before it was walked
        path = directory / record.path if backend == "lmdb" else check_file(directory, record)
        samples = SHARD_BACKENDS[backend].read(str(path))
    except GocellError as error:
        return [_finding(shard, backend, _text(error))]
    problems = []
    if len(samples) != shard.rows:
        problems.append(f"holds {len(samples)} samples, recorded {shard.rows}")
    # one hash for all backends: so each is known to hold the samples that the others hold
    if logical_sha256(samples) != shard.logical_sha256:
        problems.append("its values are not those of the recorded logical hash")
    problems += sample_faults(samples, limits)
    return [_finding(shard, backend, problem) for problem in problems]


def _finding(shard: ShardRecord, backend: str, problem: str) -> Finding:
    return Finding(f"shard {shard.index} ({shard.files[backend].path})", problem)


def _text(error: GocellError) -> str:
    return f"{error.message}: {error.why}" if error.why else error.message
