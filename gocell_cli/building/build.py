"""Carry out a plan: encode its shards, write the tables, finish with the manifest."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from gocell_cli.building.plan import BuildPlan, level_counts
from gocell_cli.errors import DamagedCache, UsageError
from gocell_cli.storage.codec import slice_samples
from gocell_cli.storage.manifest import check_file, read_manifest
from gocell_cli.storage.schema import FORMAT_VERSION, FileRecord, Manifest, ShardRecord
from gocell_cli.storage.tables import hierarchy_tables, provenance_tables
from gocell_cli.storage.writer import CacheWriter


@dataclass(frozen=True)
class BuildResult:
    """The finished cache; `built` is False where it was already there."""

    directory: Path
    manifest: Manifest
    built: bool


def build(
    plan: BuildPlan, out: Path, *, overwrite: bool, progress: Callable[[int, int], None] | None = None
) -> BuildResult:
    """Write the planned cache to `out`, or find it there.

    `progress` is called with (shards done, shards in all). Raises UsageError where `out` holds anything
    else and `overwrite` is not set.
    """
    standing = _standing(plan, out, overwrite=overwrite)
    if standing is not None:
        return BuildResult(out, standing, built=False)
    with CacheWriter(out, plan.options.backends) as writer:
        files = writer.write_tables({**hierarchy_tables(plan.hierarchy), **provenance_tables(plan.provenance)})
        shards = []
        for index, (start, stop) in enumerate(plan.bounds):
            shards.append(writer.write_shard(index, start, slice_samples(plan.samples, start, stop)))
            if progress is not None:
                progress(index + 1, len(plan.bounds))
        manifest = make_manifest(plan, files, tuple(shards))
        writer.finish(manifest)
    return BuildResult(out, manifest, built=True)


def _standing(plan: BuildPlan, out: Path, *, overwrite: bool) -> Manifest | None:
    """Return the manifest of the same, undamaged cache at `out`; None where it is to be built."""
    if overwrite or not out.exists():
        return None
    if out.is_dir() and not any(out.iterdir()):
        return None
    try:
        manifest = read_manifest(out)
        for record in (*manifest.files, *(f for s in manifest.shards for f in s.files.values())):
            check_file(out, record)
        other = manifest.fingerprint != plan.fingerprint
        why = f"it was built with fingerprint {manifest.fingerprint[:8]}, this build has {plan.fingerprint[:8]}"
    except DamagedCache as error:
        other, why = True, error.message
    if other:
        raise UsageError(f"{out} holds something else", why=why, hint="choose another --out, or pass --overwrite")
    return manifest


def make_manifest(plan: BuildPlan, files: tuple[FileRecord, ...], shards: tuple[ShardRecord, ...]) -> Manifest:
    """Return the manifest of a plan whose files are written."""
    return Manifest(
        format_version=FORMAT_VERSION,
        package_version=version("gocell"),
        fingerprint=plan.fingerprint,
        config=plan.config,
        datasets=(plan.dataset.name,),
        phenotype={"kind": plan.dataset.phenotype.kind, "statistic": plan.dataset.phenotype.statistic},
        counts=plan.counts,
        level_by=plan.hierarchy.level_by,
        level_direction=plan.hierarchy.level_direction,
        level_counts=level_counts(plan.hierarchy),
        width_by=plan.options.rules.width_by,
        files=files,
        shards=shards,
    )
