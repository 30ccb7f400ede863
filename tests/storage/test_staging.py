"""A cache in the making: whole or absent, replaced as a whole, resumed where it stopped."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from gocell_cli.building.build import BuildMode, build, make_manifest
from gocell_cli.building.plan import BuildPlan
from gocell_cli.errors import DamagedCache, UsageError
from gocell_cli.storage.codec import logical_sha256
from gocell_cli.storage.reader import Cache
from gocell_cli.storage.schema import BACKENDS, ShardRecord
from gocell_cli.storage.staging import StagedPlan, Staging, remove_partial, staged_plan, write_shard
from gocell_cli.storage.tables import hierarchy_tables, provenance_tables

PLAN = StagedPlan("a" * 64, "gocell build-cache --resume")


class Stopped(Exception):
    """What ends a build in its middle."""


@contextmanager
def staged(out: Path, plan: StagedPlan = PLAN, *, resume: bool = False) -> Iterator[Staging]:
    with Staging(out).open(plan, resume=resume) as staging:
        yield staging


def write(plan: BuildPlan, staging: Staging, index: int) -> ShardRecord:
    start, stop = plan.bounds[index]
    return write_shard(staging.cache, BACKENDS, index, start, plan.source.part(start, stop).samples())


def contents(directory: Path) -> dict[str, bytes]:
    return {p.relative_to(directory).as_posix(): p.read_bytes() for p in directory.rglob("*") if p.is_file()}


def finish(plan: BuildPlan, staging: Staging) -> None:
    files = staging.write_tables({**hierarchy_tables(plan.hierarchy), **provenance_tables(plan.provenance)})
    shards = tuple(write(plan, staging, i) for i in range(len(plan.bounds)))
    staging.finish(make_manifest(plan, files, shards), name="manifest.json")


def stop_in_the_middle(out: Path, plan: BuildPlan) -> None:
    with suppress(Stopped), staged(out) as staging:
        write(plan, staging, 0)
        raise Stopped


def test_a_failure_leaves_no_cache(tmp_path: Path, toy_plan: BuildPlan) -> None:
    out = tmp_path / "new"
    stop_in_the_middle(out, toy_plan)
    assert not out.exists()
    assert staged_plan(out) == PLAN


def test_a_failure_leaves_the_standing_cache_as_it_was(toy_cache: Path, toy_plan: BuildPlan) -> None:
    before = contents(toy_cache)
    stop_in_the_middle(toy_cache, toy_plan)
    assert contents(toy_cache) == before


def test_finishing_replaces_what_stood_there_as_a_whole(toy_cache: Path, toy_plan: BuildPlan, tmp_path: Path) -> None:
    expected = contents(toy_cache)
    (toy_cache / "alien").write_text("x")
    siblings = {p.name for p in tmp_path.iterdir()}
    with staged(toy_cache) as staging:
        (staging.cache / "stray.tmp-1").write_text("left by a killed process")
        finish(toy_plan, staging)
    assert contents(toy_cache) == expected
    assert {p.name for p in tmp_path.iterdir()} == siblings


def test_writing_a_shard_again_changes_nothing(tmp_path: Path, toy_plan: BuildPlan) -> None:
    with staged(tmp_path / "new") as staging:
        first = write(toy_plan, staging, 1)
        before = contents(staging.directory)
        assert write(toy_plan, staging, 1) == first
        assert contents(staging.directory) == before
        assert staging.done(1, BACKENDS) == first
        assert (first.index, first.start, first.rows) == (1, 1, 1)
        assert first.logical_sha256 == logical_sha256(toy_plan.source.part(1, 2).samples())


def test_a_shard_is_done_only_with_its_record_and_whole_files(tmp_path: Path, toy_plan: BuildPlan) -> None:
    with staged(tmp_path / "new") as staging:
        assert staging.done(0, BACKENDS) is None
        record = write(toy_plan, staging, 0)
        assert staging.done(0, ("parquet",)) is None
        for file in record.files.values():
            path, data = staging.cache / file.path, (staging.cache / file.path).read_bytes()
            path.write_bytes(data[:-1])
            assert staging.done(0, BACKENDS) is None
            path.write_bytes(data)
        assert staging.done(0, BACKENDS) == record
        (staging.records / "part-00000.json").write_text("{}")
        assert staging.done(0, BACKENDS) is None


@pytest.mark.parametrize(
    ("plan", "resume", "kept"),
    [(PLAN, True, True), (PLAN, False, False), (StagedPlan("b" * 64, "another"), True, False)],
    ids=["resumed", "not resumed", "another plan"],
)
def test_what_an_unfinished_build_left(
    tmp_path: Path, toy_plan: BuildPlan, plan: StagedPlan, resume: bool, kept: bool
) -> None:
    stop_in_the_middle(tmp_path / "new", toy_plan)
    with staged(tmp_path / "new", plan, resume=resume) as staging:
        assert (staging.done(0, BACKENDS) is not None) == kept
        assert staged_plan(tmp_path / "new") == plan


def test_two_cannot_build_the_same_cache_at_once(tmp_path: Path) -> None:
    out = tmp_path / "new"
    with staged(out):
        with pytest.raises(DamagedCache, match="another process is building this cache"), staged(out):
            pass
        assert not remove_partial(Staging(out).directory)
    assert remove_partial(Staging(out).directory)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_place_that_cannot_be_written(tmp_path: Path, place: str, toy_plan: BuildPlan) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "file.partial").write_text("x")
    with pytest.raises(UsageError):
        build(toy_plan, tmp_path / place, BuildMode())
    assert (tmp_path / "file").read_text() == "x"


def test_a_finished_cache_says_what_was_planned(toy_cache: Path, toy_plan: BuildPlan) -> None:
    manifest = Cache(toy_cache).manifest
    assert (manifest.fingerprint, manifest.config) == (toy_plan.fingerprint, json.loads(json.dumps(toy_plan.config)))
    assert [(s.index, s.start, s.rows) for s in manifest.shards] == [(0, 0, 1), (1, 1, 1)]
    assert manifest.level_counts == (1, 1, 2, 1)
