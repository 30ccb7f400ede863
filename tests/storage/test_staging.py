"""A cache in the making: whole or absent, replaced as a whole, resumed where it stopped."""

import errno
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from gocell_cli.building.build import BuildMode, build, make_manifest
from gocell_cli.building.plan import BuildPlan
from gocell_cli.errors import DamagedCache, Unfinished, UsageError
from gocell_cli.storage import staging as staging_module
from gocell_cli.storage.own_files import LOCK
from gocell_cli.storage.reader import Cache
from gocell_cli.storage.records import BACKENDS, ShardRecord
from gocell_cli.storage.samples import logical_sha256
from gocell_cli.storage.staging import (
    Leftover,
    StagedPlan,
    Staging,
    refuse_mount,
    remove_partial,
    staged_plan,
    write_shard,
)
from gocell_cli.storage.tables import hierarchy_tables, provenance_tables
from gocell_cli.whole_file import writing

PLAN = StagedPlan("a" * 64, "gocell build-cache --resume")


class Stopped(Exception):
    """What ends a build in its middle."""


@contextmanager
def staged(out: Path, plan: StagedPlan = PLAN, *, resume: bool = False) -> Iterator[Staging]:
    with Staging(out).open(plan, resume=resume) as held:
        yield held


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
    (toy_cache / "samples" / "part-00007.lmdb").write_text("of a cache of before")
    siblings = {p.name for p in tmp_path.iterdir()}
    with staged(toy_cache) as staging:
        (staging.cache / "samples" / "part-00009.lmdb.tmp-1").write_text("left by a killed process")
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
        for broken in ("{}", "[" * 100_000, '"\\ud800"', "\ufeff{}"):
            (staging.records / "part-00000.json").write_text(broken, "utf-8")
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
        assert remove_partial(Staging(out).directory) is Leftover.IN_USE
    assert remove_partial(Staging(out).directory) is Leftover.REMOVED
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


def test_who_gets_the_lock_of_a_directory_that_was_made_anew_does_not_hold_it(tmp_path: Path) -> None:
    """The race of `prune` and a build: opened before its holder removed it, locked after another made it anew."""
    directory = tmp_path / "new.partial"
    directory.mkdir()
    (directory / LOCK).touch()
    opened: list[int] = []
    real = os.open

    def made_anew_meanwhile(path: Path, flags: int) -> int:
        descriptor = real(path, flags)
        if not opened:
            (directory / LOCK).unlink()
            opened.append(real(directory / LOCK, os.O_RDWR | os.O_CREAT))
            fcntl.flock(opened[0], fcntl.LOCK_EX)
        return descriptor

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(staging_module.os, "open", made_anew_meanwhile)
        assert remove_partial(directory) is Leftover.IN_USE
    os.close(opened[0])
    assert remove_partial(directory) is Leftover.REMOVED


def test_a_directory_removed_before_its_lock_is_made_is_made_again(tmp_path: Path) -> None:
    directory, real, removed = tmp_path / "new.partial", os.open, []

    def removed_meanwhile(path: Path, flags: int) -> int:
        if not removed:
            removed.append(directory.rmdir())
        return real(path, flags)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(staging_module.os, "open", removed_meanwhile)
        with staged(tmp_path / "new"):
            patch.undo()
            assert staged_plan(tmp_path / "new") == PLAN


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("/dev/shm is no other file system here")
    folder = Path(tempfile.mkdtemp(dir=memory))
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("standing", [True, False])
def test_a_link_to_another_file_system_is_followed_before_the_work(
    tmp_path: Path, elsewhere: Path, toy_plan: BuildPlan, toy_cache: Path, standing: bool
) -> None:
    link, target = tmp_path / "link", elsewhere / "cache"
    link.symlink_to(target)
    if standing:
        shutil.copytree(toy_cache, target)
        (target / "samples" / "part-00007.lmdb").write_text("of a cache of before")
    assert Staging(link).directory == elsewhere / "cache.partial"
    assert build(toy_plan, link, BuildMode(overwrite=standing)).built
    assert (link.readlink(), contents(target)) == (target, contents(toy_cache))
    assert [p.name for p in elsewhere.iterdir()] == ["cache"]
    assert build(toy_plan, link, BuildMode()).built is False


def test_links_in_a_circle_are_refused(tmp_path: Path, toy_plan: BuildPlan) -> None:
    (tmp_path / "one").symlink_to(tmp_path / "two")
    (tmp_path / "two").symlink_to(tmp_path / "one")
    with pytest.raises(UsageError):
        build(toy_plan, tmp_path / "one", BuildMode())


def test_a_mount_point_is_refused_before_the_work() -> None:
    with pytest.raises(UsageError, match="a file system is mounted here") as error:
        refuse_mount(Path("/proc"))
    assert "--out /proc/cache" in error.value.hint


def test_a_name_too_long_is_refused(tmp_path: Path, toy_plan: BuildPlan) -> None:
    with pytest.raises(UsageError, match="cannot be written") as error:
        build(toy_plan, tmp_path / ("x" * 250), BuildMode())  # with .partial it is too long
    assert error.value.hint == "choose a shorter --out"


@pytest.mark.parametrize(
    ("code", "kind", "hint"),
    [
        (errno.ENOSPC, Unfinished, "free some space"),
        (errno.EDQUOT, Unfinished, "quota"),
        (errno.EIO, Unfinished, "look at the disk"),
        (errno.EMFILE, Unfinished, "ulimit -n"),
        (errno.ECONNRESET, Unfinished, ""),
        (errno.EACCES, UsageError, "another --out"),
        (errno.EROFS, UsageError, "another --out"),
        (errno.EXDEV, UsageError, "on one file system"),
        (errno.EBUSY, UsageError, "mounted"),
        (errno.ENAMETOOLONG, UsageError, "shorter"),
    ],
    ids=lambda value: errno.errorcode.get(value) if isinstance(value, int) else "",
)
def test_the_number_of_an_error_decides_what_is_advised(code: int, kind: type, hint: str, tmp_path: Path) -> None:
    with pytest.raises(kind) as error, Staging(tmp_path / "new").open(PLAN, resume=False), writing(tmp_path):
        raise OSError(code, os.strerror(code))
    assert hint in error.value.hint
    assert os.strerror(code) in error.value.why
    assert ("free some space" in error.value.hint) == (code in (errno.ENOSPC, errno.EDQUOT))
    assert ("resume with: gocell build-cache --resume" in error.value.hint) == (kind is Unfinished)
    assert error.value.exit_code == (5 if kind is Unfinished else 2)
