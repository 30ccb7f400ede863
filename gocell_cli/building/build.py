"""Carry out a plan: encode its shards wherever they are to run, write the tables, finish with the manifest."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

from gocell_cli.building.plan import BuildPlan, level_counts
from gocell_cli.building.tasks import ExecutorChoice, ShardTask, run_tasks
from gocell_cli.errors import DamagedCache, UsageError
from gocell_cli.file_record import FileRecord
from gocell_cli.storage.manifest import check_file, read_manifest
from gocell_cli.storage.own_files import require_cache
from gocell_cli.storage.records import MANIFEST, PART_MANIFEST, Manifest, ShardRecord
from gocell_cli.storage.staging import StagedPlan, Staging, is_taken, place_of, recover, remove_leftover
from gocell_cli.storage.tables import hierarchy_tables, provenance_tables

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class BuildMode:
    """How a plan is carried out; none of it changes what the cache holds.

    `part` is (i, n): only the shards whose index leaves remainder i when divided by n. `command` resumes this build:
    it is told to whoever finds it unfinished.
    """

    overwrite: bool = False
    resume: bool = False
    part: tuple[int, int] | None = None
    executor: ExecutorChoice = field(default_factory=ExecutorChoice)
    command: str = ""

    @property
    def manifest_name(self) -> str:
        """`manifest.json`, or `part.json` for a part."""
        return MANIFEST if self.part is None else PART_MANIFEST


@dataclass(frozen=True)
class BuildResult:
    """The finished cache; `built` is False where it was already there, `reused` counts resumed shards."""

    directory: Path
    manifest: Manifest
    built: bool
    reused: int = 0


def build(plan: BuildPlan, out: Path, mode: BuildMode, progress: Progress | None = None) -> BuildResult:
    """Write the planned cache (or a part of it) to `out`, or find it there.

    `progress` is called with (shards done, shards in all). Raises UsageError where `out` holds anything
    else and `overwrite` is not set; DamagedCache where writing fails (what is finished stays for --resume).
    """
    recover(out)
    # after a build that was cut off was put right, or its only cache would not be seen here
    there = standing(plan, out, mode)
    if there is not None:
        remove_leftover(out)
        return BuildResult(out, there, built=False)
    staging = Staging(out)
    with staging.open(StagedPlan(plan.fingerprint, mode.command), resume=mode.resume):
        # again: until the lock was held, another process may have finished this very cache
        there = standing(plan, out, mode)
        if there is not None:
            staging.discard()
            return BuildResult(out, there, built=False)
        return _fill(plan, staging, mode, progress)


def _fill(plan: BuildPlan, staging: Staging, mode: BuildMode, progress: Progress | None) -> BuildResult:
    files = staging.write_tables({**hierarchy_tables(plan.hierarchy), **provenance_tables(plan.provenance)})
    wanted = _wanted(plan, mode)
    found = {i: staging.done(i, plan.options.backends) for i in wanted} if mode.resume else {}
    records = {i: record for i, record in found.items() if record is not None}  # their files hashed anew
    reused = len(records)
    for record in run_tasks(_tasks(plan, staging, [i for i in wanted if i not in records]), mode.executor):
        records[record.index] = record
        if progress is not None:
            progress(len(records), len(wanted))
    # shards finish in any order, and the manifest lists them by index
    manifest = make_manifest(plan, files, tuple(records[i] for i in wanted))
    if mode.part is not None:
        part = {"index": mode.part[0], "of": mode.part[1]}
        manifest = replace(manifest, counts={**manifest.counts, "part": part})
    written = staging.finish(manifest, name=mode.manifest_name)
    return BuildResult(staging.out, written, built=True, reused=reused)


def _wanted(plan: BuildPlan, mode: BuildMode) -> list[int]:
    i, n = mode.part or (0, 1)
    # every n-th shard: parts need not know of each other to cover all shards once
    return [index for index in range(len(plan.bounds)) if index % n == i]


def _tasks(plan: BuildPlan, staging: Staging, indices: list[int]) -> Iterator[ShardTask]:
    for index in indices:
        start, stop = plan.bounds[index]
        # made as it is asked for: a list of all tasks would hold all samples beside the measurements
        yield ShardTask(staging.cache, plan.options.backends, index, start, plan.source.part(start, stop))


def standing(plan: BuildPlan, out: Path, mode: BuildMode) -> Manifest | None:
    """Return the manifest of the same, undamaged cache at `out`; None where it is to be built.

    Raises UsageError where anything else stands there and the mode does not overwrite it. Overwriting builds even the
    same cache again, but for a resume: then it is the one that was finished before the interruption.
    """
    if not is_taken(out):
        return None
    if mode.overwrite and not mode.resume:
        require_cache(place_of(out))
        return None
    try:
        manifest = read_manifest(out, mode.manifest_name)
        for record in manifest.all_files:
            check_file(out, record)
        other = manifest.fingerprint != plan.fingerprint
        why = f"it was built with fingerprint {manifest.fingerprint[:8]}, this build has {plan.fingerprint[:8]}"
    except DamagedCache as error:
        other, why = True, error.message
    if other and mode.overwrite:
        require_cache(place_of(out))
        return None
    if other:
        mend = "choose another --out, or pass --overwrite" if (out / MANIFEST).is_file() else "choose another --out"
        raise UsageError(f"{out} holds something else", why=why, hint=mend)
    return manifest


def make_manifest(plan: BuildPlan, files: tuple[FileRecord, ...], shards: tuple[ShardRecord, ...]) -> Manifest:
    """Return the manifest of a plan whose files are written."""
    return Manifest(
        format_version=plan.config["format_version"],
        package_version=version("gocell"),
        fingerprint=plan.fingerprint,
        config=plan.config,
        datasets=plan.datasets,
        phenotype={"kind": plan.phenotype.kind, "statistic": plan.phenotype.statistic},
        counts=plan.counts,
        level_by=plan.hierarchy.level_by,
        level_direction=plan.hierarchy.level_direction,
        level_counts=level_counts(plan.hierarchy),
        width_by=plan.options.rules.width_by,
        files=files,
        shards=shards,
    )
