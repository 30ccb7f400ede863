"""Carrying out a plan: the same samples however it is cut, and care for what stands at the cache's place."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gocell_cli.building.build import BuildMode, build
from gocell_cli.building.merge import merge_parts
from gocell_cli.building.plan import BuildPlan, make_fingerprint, shard_bounds
from gocell_cli.building.tasks import ExecutorChoice
from gocell_cli.errors import DamagedCache, UsageError
from gocell_cli.storage.manifest import encode_manifest
from gocell_cli.storage.reader import Cache
from gocell_cli.storage.records import BACKENDS
from gocell_cli.storage.samples import logical_sha256
from gocell_cli.storage.verify import verify_cache
from tests.storage.strategies import assert_equal


def contents(directory: Path) -> dict[str, bytes]:
    return {p.relative_to(directory).as_posix(): p.read_bytes() for p in directory.rglob("*") if p.is_file()}


def recut(plan: BuildPlan, shard_size: int, backends: tuple[str, ...] = BACKENDS) -> BuildPlan:
    config = {**plan.config, "shard_size": shard_size, "backends": list(backends)}
    options = replace(plan.options, shard_size=shard_size, backends=backends)
    bounds = shard_bounds(plan.counts["samples"], shard_size)
    return replace(plan, config=config, fingerprint=make_fingerprint(config), options=options, bounds=bounds)


@pytest.mark.parametrize("backends", [("parquet",), ("lmdb",), BACKENDS], ids="+".join)
@pytest.mark.parametrize("shard_size", [1, 2, 100])
def test_shards_and_backends_do_not_change_the_samples(
    toy_plan: BuildPlan, tmp_path: Path, shard_size: int, backends: tuple[str, ...]
) -> None:
    directory = build(recut(toy_plan, shard_size, backends), tmp_path / "cut", BuildMode()).directory
    expected = toy_plan.source.part(0, 2).samples()
    for backend in backends:
        cache = Cache(directory, backend)
        assert_equal(cache.columns(), expected)
        assert logical_sha256(cache.columns()) == logical_sha256(expected)
    assert len(list((directory / "samples").iterdir())) == len(backends) * (2 if shard_size == 1 else 1)
    assert verify_cache(directory).findings == ()


def test_building_twice_finds_the_first(toy_plan: BuildPlan, tmp_path: Path) -> None:
    first = build(toy_plan, tmp_path / "new", BuildMode())
    before = contents(first.directory)
    second = build(toy_plan, tmp_path / "new", BuildMode())
    assert (first.built, second.built) == (True, False)
    assert encode_manifest(second.manifest) == encode_manifest(first.manifest)
    assert contents(first.directory) == before


def test_the_same_plan_gives_the_same_manifest_anywhere(toy_plan: BuildPlan, tmp_path: Path) -> None:
    first, second = (build(toy_plan, tmp_path / name, BuildMode()).directory for name in ("one", "two"))
    assert (first / "manifest.json").read_bytes() == (second / "manifest.json").read_bytes()


def test_an_empty_directory_is_no_obstacle(toy_plan: BuildPlan, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert build(toy_plan, tmp_path / "empty", BuildMode()).built


def other_files(out: Path, _: BuildPlan) -> str:
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    return "no manifest.json"


def another_cache(out: Path, plan: BuildPlan) -> str:
    other = recut(plan, 2)
    build(other, out, BuildMode())
    return f"built with fingerprint {other.fingerprint[:8]}, this build has {plan.fingerprint[:8]}"


def damaged_cache(out: Path, plan: BuildPlan) -> str:
    build(plan, out, BuildMode())
    (out / "samples/part-00001.lmdb").write_bytes(b"")
    return "part-00001.lmdb: damaged"


def plain_file(out: Path, _: BuildPlan) -> str:
    out.write_text("years of work")
    return "no manifest.json"


@pytest.mark.parametrize("put", [other_files, another_cache, damaged_cache, plain_file])
def test_something_else_at_the_place_is_refused_with_the_reason(
    toy_plan: BuildPlan, tmp_path: Path, put: Callable[[Path, BuildPlan], str]
) -> None:
    out = tmp_path / "taken"
    reason = put(out, toy_plan)
    before = out.read_bytes() if out.is_file() else contents(out)
    with pytest.raises(UsageError, match="holds something else") as error:
        build(toy_plan, out, BuildMode())
    assert reason in error.value.why
    assert (out.read_bytes() if out.is_file() else contents(out)) == before


@pytest.mark.parametrize("put", [another_cache, damaged_cache])
def test_overwrite_replaces_it_as_a_whole(
    toy_plan: BuildPlan, toy_cache: Path, tmp_path: Path, put: Callable[[Path, BuildPlan], str]
) -> None:
    out = tmp_path / "taken"
    put(out, toy_plan)
    assert build(toy_plan, out, BuildMode(overwrite=True)).built
    assert contents(out) == contents(toy_cache)


def test_progress_counts_shards(toy_plan: BuildPlan, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    build(toy_plan, tmp_path / "new", BuildMode(), lambda done, total: calls.append((done, total)))
    assert calls == [(1, 2), (2, 2)]


def test_a_resumed_build_redoes_only_what_is_missing(toy_plan: BuildPlan, toy_cache: Path, tmp_path: Path) -> None:
    def stop(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(toy_plan, tmp_path / "new", BuildMode(), stop)
    assert not (tmp_path / "new").exists()
    resumed = build(toy_plan, tmp_path / "new", BuildMode(resume=True))
    assert (resumed.built, resumed.reused) == (True, 1)
    assert contents(tmp_path / "new") == contents(toy_cache)


def test_worker_processes_give_the_same_cache(toy_plan: BuildPlan, toy_cache: Path, tmp_path: Path) -> None:
    build(toy_plan, tmp_path / "new", BuildMode(executor=ExecutorChoice(workers=2)))
    assert contents(tmp_path / "new") == contents(toy_cache)


def build_parts(plan: BuildPlan, folder: Path, n: int) -> list[Path]:
    return [build(plan, folder / f"part-{i}", BuildMode(part=(i, n))).directory for i in range(n)]


@pytest.mark.parametrize("n", [1, 2, 3])
def test_merged_parts_are_the_cache_of_one_process(
    toy_plan: BuildPlan, toy_cache: Path, tmp_path: Path, n: int
) -> None:
    parts = build_parts(toy_plan, tmp_path, n)
    manifest = merge_parts(parts[::-1], tmp_path / "merged")
    assert contents(tmp_path / "merged") == contents(toy_cache)
    assert manifest == Cache(toy_cache).manifest


def test_a_part_is_no_cache(toy_plan: BuildPlan, tmp_path: Path) -> None:
    (part,) = build_parts(toy_plan, tmp_path, 1)
    with pytest.raises(DamagedCache, match="one part of a cache, not a cache"):
        Cache(part)


def test_parts_that_do_not_belong_together_are_refused(toy_plan: BuildPlan, tmp_path: Path) -> None:
    first, second = build_parts(toy_plan, tmp_path, 2)
    other = build(recut(toy_plan, 2), tmp_path / "other", BuildMode(part=(0, 1))).directory
    for parts, error, message in (
        ([second], DamagedCache, "part 0/2 is missing"),
        ([first], DamagedCache, "part 1/2 is missing"),
        ([first, second, second], UsageError, "shards given twice"),
        ([first, other], UsageError, "not of one plan"),
        ([], UsageError, "not of one plan"),
    ):
        with pytest.raises(error, match=message):
            merge_parts(parts, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()
