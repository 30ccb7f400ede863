"""Merge the parts of one plan into the cache that a single process would have made."""

import os
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from gocell_cli.errors import DamagedCache, UsageError
from gocell_cli.storage.descriptions import undescribed
from gocell_cli.storage.manifest import check_file, is_part, read_manifest
from gocell_cli.storage.own_files import require_cache
from gocell_cli.storage.records import MANIFEST, PART_MANIFEST, Manifest, ShardRecord
from gocell_cli.storage.staging import StagedPlan, Staging, is_taken, place_of, recover, remove_leftover
from gocell_cli.whole_file import sync, writing

BUILD = "gocell build-cache ..."
MOST_NAMED = 10


def merge_parts(parts: Sequence[Path], out: Path, *, overwrite: bool = False, again: str = BUILD) -> Manifest:
    """Merge part directories; files are linked where the file system allows it, else copied.

    `again` is the command that builds a part, for the hint where one is missing. Raises UsageError where the parts are
    not of one plan, are whole caches, or `out` is taken; DamagedCache where a part is damaged or shards are missing or
    given twice.
    """
    recover(out)
    _refuse_parts(parts, out)
    _refuse_whole(parts)
    manifests = [read_manifest(part, PART_MANIFEST) for part in parts]
    if not manifests or len({m.fingerprint for m in manifests}) != 1:
        found = "; ".join(f"{part} is of {m.fingerprint[:8]}" for part, m in zip(parts, manifests, strict=True))
        raise UsageError("the parts are not of one plan", why=found or "no part is named", hint="build all parts alike")
    # parts of one plan differ in their shards and numbers only: tables and counts may be those of any part
    shards = _all_shards(parts, manifests, again)
    counts = {name: count for name, count in manifests[0].counts.items() if name != "part"}
    merged = replace(manifests[0], counts=counts, shards=tuple(shard for _, shard in shards))
    there = _standing(merged, out, overwrite=overwrite)
    if there is not None:
        remove_leftover(out)
        return there
    staging = Staging(out)
    # resume=False: files are linked, not encoded, so to begin anew costs little
    with staging.open(StagedPlan(merged.fingerprint, _command(parts, out, overwrite=overwrite)), resume=False):
        # again: until the lock was held, another process may have finished this very cache
        there = _standing(merged, out, overwrite=overwrite)
        if there is not None:
            staging.discard()
            return there
        for record in merged.files:
            _bring(check_file(parts[0], record), staging.cache / record.path)
        for part, shard in shards:
            for file in shard.files.values():
                # hashed before it is linked: a damaged part must not become a whole cache
                _bring(check_file(part, file), staging.cache / file.path)
        return staging.finish(merged, name=MANIFEST)


def _standing(merged: Manifest, out: Path, *, overwrite: bool) -> Manifest | None:
    """Return the manifest of the merged cache where it stands at its place, None where nothing does, or it may go.

    Raises UsageError where anything does that may not be replaced.
    """
    if not is_taken(out):
        return None
    if overwrite:
        require_cache(place_of(out))
        return None
    try:
        found = read_manifest(out)
    except DamagedCache:
        found = None
    # else a merge that was killed after the last rename; one by an older gocell has no descriptions
    if found is None or undescribed(found) != undescribed(merged):
        raise UsageError(f"{out} is there already", hint="choose another --out, or pass --overwrite")
    return found


def _refuse_parts(parts: Sequence[Path], out: Path) -> None:
    """Raise UsageError where the cache would replace one of its parts: the same command could not run again."""
    place = place_of(out)
    for part in parts:
        if place_of(part) == place:
            raise UsageError(f"{out} is one of the parts", hint="choose another --out")


def _refuse_whole(parts: Sequence[Path]) -> None:
    """Raise UsageError where whole caches are among the parts, with what they are."""
    whole = [part for part in parts if (part / MANIFEST).is_file() and not is_part(part)]
    if not whole:
        return
    manifests = [read_manifest(part) for part in whole]
    told = "; ".join(f"{part}: {_described(m)}" for part, m in zip(whole, manifests, strict=True))
    if len(whole) < 2:
        raise UsageError(f"{whole[0]} is a whole cache, no part", why=told, hint="name the folders that --part made")
    # the records of their tables hold hashes: equal hierarchies are equal files
    tables = {tuple((f.path, f.sha256) for f in m.files if f.path.startswith("hierarchy/")) for m in manifests}
    same = "they have one hierarchy" if len(tables) == 1 else "their hierarchies differ"
    # rows of one genotype, one in each, would be two samples: only their sources say how they are merged
    hint = "build their data sets into one cache: gocell build-cache --dataset A --dataset B"
    raise UsageError(f"{len(whole)} of them are whole caches, no parts", why=f"{told}; {same}", hint=hint)


def _described(manifest: Manifest) -> str:
    kinds = ", ".join(phenotype["kind"] for phenotype in manifest.phenotypes)
    return f"{', '.join(manifest.datasets)}, {kinds}, {manifest.samples:,} samples, of {manifest.fingerprint[:8]}"


def _command(parts: Sequence[Path], out: Path, *, overwrite: bool) -> str:
    """The command that merges again after an interruption; files are linked, so it begins anew."""
    words = ["gocell", "cache", "merge", *map(str, parts), "--out", str(out), *(["--overwrite"] if overwrite else [])]
    return shlex.join(words)


def _all_shards(parts: Sequence[Path], manifests: Sequence[Manifest], again: str) -> list[tuple[Path, ShardRecord]]:
    """Every shard once, in order; the shards must cover all samples of the plan."""
    held = [(part, shard) for part, m in zip(parts, manifests, strict=True) for shard in m.shards]
    held.sort(key=lambda item: item[1].index)
    indices = [shard.index for _, shard in held]
    repeated = sorted({i for i in indices if indices.count(i) > 1})
    if repeated:
        raise UsageError(f"shards given twice: {repeated[:10]}", hint="name each part once")
    # shards lie end to end: a gap, or a last shard that is missing, leaves the position short of the plan's total
    position = 0
    for _, shard in held:
        if shard.start != position:
            break
        position += shard.rows
    total = manifests[0].counts["samples"]
    if position != total:
        _refuse_gap(manifests, f"the parts hold samples 0 to {position - 1} without a gap, the plan has {total}", again)
    return held


def _refuse_gap(manifests: Sequence[Manifest], why: str, again: str) -> None:
    """Raise DamagedCache with the parts that are missing, where all parts are cut alike and say so."""
    told = [m.part for m in manifests if m.part is not None]
    cuts = {n for _, n in told}
    if len(told) < len(manifests) or len(cuts) != 1:
        hint = "build the missing parts with --part i/n, the same n for all, then merge all of them"
        raise DamagedCache("shards are missing", why=why, hint=hint)
    (n,) = cuts
    missing = [f"{i}/{n}" for i in sorted({*range(n)} - {i for i, _ in told})]
    named = ", ".join(missing[:MOST_NAMED]) + (f" and {len(missing) - MOST_NAMED} more" * (len(missing) > MOST_NAMED))
    what = f"part {named} is missing" if len(missing) == 1 else f"{len(missing)} parts are missing: {named}"
    raise DamagedCache(what, why=why, hint=f"{again} --part {missing[0]}, then merge all of them" if missing else "")


def _bring(source: Path, target: Path) -> None:
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            # the same bytes under a second name: nothing is copied, and a part's files are on the disk already
            os.link(source, target)
        except OSError:
            shutil.copyfile(source, target)
            # a copy is not, until it is synced; links fail across file systems, and on some altogether
            sync(target)
