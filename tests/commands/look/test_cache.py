"""`gocell cache`: verify, info, ls, merge and prune."""

import json
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from gocell_cli.building.build import BuildMode, build
from gocell_cli.building.plan import BuildPlan
from gocell_cli.errors import DamagedCache, SourceMissing
from gocell_cli.storage.manifest import read_manifest, write_manifest
from gocell_cli.storage.records import PART_MANIFEST
from gocell_cli.storage.staging import StagedPlan, Staging
from gocell_cli.storage.verify import verify_cache
from tests.commands.conftest import Built
from tests.commands.runners import document, failure, invoke, run, toy_build


def test_an_undamaged_cache_verifies(essentiality: Built) -> None:
    found = document("cache", "verify", "--root", essentiality.root)
    assert set(found) == {"cache", "ok", "findings", "files", "bytes", "samples", "backends", "seconds"}
    assert (found["ok"], found["findings"], found["samples"]) == (True, [], 5887)
    assert invoke("cache", "verify", essentiality.cache).stdout.startswith("ok  ")


def test_damage_exits_5_with_the_json_intact(toy_cache: Path, tmp_path: Path) -> None:
    data = (toy_cache / "samples/part-00001.lmdb").read_bytes()
    (toy_cache / "samples/part-00001.lmdb").write_bytes(data[:-1])
    process = run("cache", "verify", toy_cache, "--json", cwd=tmp_path)
    found = json.loads(process.stdout)
    assert (process.returncode, found["ok"]) == (5, False)
    assert "part-00001.lmdb" in found["findings"][0]["where"]
    result = invoke("cache", "verify", toy_cache)
    assert result.exit_code == 5
    assert result.stdout.startswith("DAMAGED  ")
    assert "part-00001.lmdb" in result.stdout


def test_no_cache_to_verify(tmp_path: Path) -> None:
    assert isinstance(failure("cache", "verify", "--root", tmp_path), SourceMissing)


def test_info_tells_the_manifest(toy_cache: Path) -> None:
    found = document("cache", "info", toy_cache)
    manifest = json.loads((toy_cache / "manifest.json").read_bytes())
    assert found == {"cache": str(toy_cache), "manifest": manifest}
    assert manifest["fingerprint"] in invoke("cache", "info", toy_cache).stdout


def test_ls_tells_finished_damaged_part_and_unfinished(tmp_path: Path, toy_plan: BuildPlan) -> None:
    caches = tmp_path / "caches"
    build(toy_plan, caches / "a-finished", BuildMode())
    build(toy_plan, caches / "b-damaged", BuildMode())
    (caches / "b-damaged" / "manifest.json").write_text("{}")
    build(toy_plan, caches / "c-part", BuildMode(part=(0, 2)))
    (caches / "d-new.partial").mkdir()
    found = document("cache", "ls", "--root", tmp_path)["caches"]
    assert [(e["name"], e["state"], e["samples"]) for e in found] == [
        ("a-finished", "finished", 2),
        ("b-damaged", "damaged", None),
        ("c-part", "part", 1),
        ("d-new.partial", "unfinished", None),
    ]
    assert "a-finished" in invoke("cache", "ls", "--root", tmp_path).stdout


def test_ls_where_nothing_is(tmp_path: Path) -> None:
    assert document("cache", "ls", "--root", tmp_path / "nothing")["caches"] == []


def test_parts_merge_to_the_cache_of_one_build(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    words = ("build-cache", *toy_build(tmp_path), "--root", tmp_path / "root", "--out")
    document(*words, whole)
    parts = [Path(document(*words, tmp_path / "x", "--part", f"{i}/2")["cache"]) for i in (0, 1)]
    assert [p.name for p in parts] == ["x.part-0-of-2", "x.part-1-of-2"]
    assert (tmp_path / "root" / "latest").read_text().strip() == str(whole)
    merged = document("cache", "merge", *parts, "--out", tmp_path / "merged")
    assert (merged["samples"], merged["parts"], merged["shards"]) == (10, 2, 10)
    assert (tmp_path / "merged" / "manifest.json").read_bytes() == (whole / "manifest.json").read_bytes()
    missing = failure("cache", "merge", parts[0], "--out", tmp_path / "half")
    assert isinstance(missing, DamagedCache)
    assert not (tmp_path / "half").exists()


def test_prune_removes_what_is_unfinished_and_nothing_else(tmp_path: Path, toy_plan: BuildPlan) -> None:
    caches = tmp_path / "caches"
    build(toy_plan, caches / "finished", BuildMode())
    (caches / "left.partial" / "records").mkdir(parents=True)
    with Staging(caches / "held").open(StagedPlan("a", "b"), resume=False):
        result = invoke("cache", "prune", "--root", tmp_path, "--yes", "--json")
    assert "held.partial is being built and was left alone" in result.stderr
    assert json.loads(result.stdout) == {
        "removed": [str(caches / "left.partial")],
        "kept": [str(caches / "held.partial")],
    }
    assert sorted(p.name for p in caches.iterdir()) == ["finished", "held.partial"]


def test_prune_leaves_what_no_build_made(tmp_path: Path) -> None:
    caches = tmp_path / "caches"
    (caches / "left.partial" / "records").mkdir(parents=True)
    (caches / "mine.partial").mkdir()
    (caches / "mine.partial" / "thesis.txt").write_text("years of work")
    result = invoke("cache", "prune", "--root", tmp_path, "--yes", "--json")
    assert "mine.partial is not what a build left" in result.stderr
    assert "it holds thesis.txt" in result.stderr
    assert json.loads(result.stdout) == {
        "removed": [str(caches / "left.partial")],
        "kept": [str(caches / "mine.partial")],
    }
    assert (caches / "mine.partial" / "thesis.txt").read_text() == "years of work"


def test_what_overwrite_replaces_is_told_first(tmp_path: Path) -> None:
    words = ("build-cache", *toy_build(tmp_path), "--root", tmp_path, "--out", tmp_path / "c", "--overwrite")
    assert "to be replaced" not in invoke(*words).stderr
    again = invoke(*words)
    assert "to be replaced: " in again.stderr
    assert "c: a finished cache of table, growth, 10 samples, " in again.stderr


def test_a_cache_that_an_overwrite_left_nameless_is_given_its_place_by_whoever_asks_for_it(tmp_path: Path) -> None:
    """As a kill between two renames leaves it, where the file system knows no exchange."""
    place = tmp_path / "c"
    document("build-cache", *toy_build(tmp_path), "--root", tmp_path, "--out", place)
    before = (place / "manifest.json").read_bytes()
    for words in (("cache", "rebuild", place), ("cache", "info", "--root", tmp_path)):
        (tmp_path / "c.partial").mkdir()
        (tmp_path / "c.partial" / "lock").touch()
        place.rename(tmp_path / "c.partial" / "replaced")
        assert invoke(*words).exit_code == 0
        assert (place / "manifest.json").read_bytes() == before
    (tmp_path / "c.partial").rename(tmp_path / "moved")


@pytest.mark.parametrize("told", [b"", b"\n", b"a\0b\n", b"a\nb\n", b"x" * 6000])
def test_a_latest_that_names_nothing(tmp_path: Path, told: bytes) -> None:
    (tmp_path / "latest").write_bytes(told)
    assert isinstance(failure("cache", "info", "--root", tmp_path), SourceMissing)


def test_prune_asks_first(tmp_path: Path) -> None:
    (tmp_path / "caches" / "left.partial").mkdir(parents=True)
    process = run("cache", "prune", "--root", tmp_path, cwd=tmp_path)
    assert process.returncode != 0
    assert (tmp_path / "caches" / "left.partial").is_dir()


@pytest.mark.parametrize("name", ["[bold]", "a[/b]", "[link=x]"])
def test_a_path_with_brackets_is_shown_as_it_is(toy_cache: Path, tmp_path: Path, name: str) -> None:
    cache = tmp_path / name
    shutil.copytree(toy_cache, cache)
    for words in (("inspect", "sample", 0, "--cache"), ("cache", "verify"), ("cache", "info")):
        result = invoke(*words, cache)
        assert result.exit_code == 0, result.exception
        assert str(cache) in result.stdout.replace("\n", "")


@pytest.fixture
def parted(tmp_path: Path) -> tuple[Path, list[Path]]:
    """A whole cache of the toy's ten samples, and three parts of the same plan, outside their root."""
    words = ("build-cache", *toy_build(tmp_path), "--root", tmp_path / "root", "--out")
    whole = Path(document(*words, tmp_path / "whole")["cache"])
    parts = [Path(document(*words, tmp_path / "x", "--part", f"{i}/3")["cache"]) for i in range(3)]
    return whole, parts


def test_a_merge_leaves_what_a_build_leaves(tmp_path: Path, parted: tuple[Path, list[Path]]) -> None:
    whole, parts = parted
    document("cache", "merge", *parts[::-1], "--out", tmp_path / "merged", "--root", tmp_path / "root")
    assert (tmp_path / "root" / "latest").read_text().strip() == str(tmp_path / "merged")
    names = {p.relative_to(whole): p.read_bytes() for p in whole.rglob("*") if p.is_file()}
    merged = tmp_path / "merged"
    assert {p.relative_to(merged): p.read_bytes() for p in merged.rglob("*") if p.is_file()} == names
    options = [path.read_text().splitlines()[1:] for path in (tmp_path / "merged.toml", tmp_path / "whole.toml")]
    assert options[0] == options[1]
    shutil.rmtree(merged)
    document("cache", "rebuild", "--root", tmp_path / "root", "--config", tmp_path / "merged.toml", whole)


def test_a_merge_says_where_no_part_has_its_options(tmp_path: Path, parted: tuple[Path, list[Path]]) -> None:
    _, parts = parted
    for part in parts:
        part.with_name(f"{part.name}.toml").unlink()
    result = invoke("cache", "merge", *parts, "--out", tmp_path / "merged", "--root", tmp_path / "root")
    assert result.exit_code == 0
    assert "merged.toml is not written" in result.stderr


def test_the_missing_part_is_named_with_the_command_that_builds_it(
    tmp_path: Path, parted: tuple[Path, list[Path]]
) -> None:
    whole, (first, second, third) = parted
    shutil.rmtree(second)
    error = failure("cache", "merge", first, third, "--out", tmp_path / "m", "--root", tmp_path / "root")
    assert isinstance(error, DamagedCache)
    assert error.message == "part 1/3 is missing"
    command, then, _ = error.hint.partition(", then merge")
    assert then
    document(*shlex.split(command)[1:], "--root", tmp_path / "root")
    document("cache", "merge", first, second, third, "--out", tmp_path / "m", "--root", tmp_path / "root")
    assert (tmp_path / "m" / "manifest.json").read_bytes() == (whole / "manifest.json").read_bytes()
    both = failure("cache", "merge", first, "--out", tmp_path / "n", "--root", tmp_path / "root")
    assert both.message == "2 parts are missing: 1/3, 2/3"


def test_whole_caches_are_said_to_be_what_they_are(tmp_path: Path, parted: tuple[Path, list[Path]]) -> None:
    whole, parts = parted
    one = failure("cache", "merge", whole, *parts, "--out", tmp_path / "m")
    assert (one.message, "table, growth, 10 samples" in one.why) == (f"{whole} is a whole cache, no part", True)
    shutil.copytree(whole, tmp_path / "copy")
    two = failure("cache", "merge", whole, tmp_path / "copy", "--out", tmp_path / "m")
    assert two.message == "2 of them are whole caches, no parts"
    assert two.why.endswith("they have one hierarchy")
    assert not (tmp_path / "m").exists()


def test_a_part_is_verified_by_itself(tmp_path: Path, parted: tuple[Path, list[Path]]) -> None:
    _, (first, second, _) = parted
    found = document("cache", "verify", second)
    assert (found["ok"], found["part"], found["samples"]) == (True, "1/3", 3)
    assert "part 0/3, 4 samples" in invoke("cache", "verify", first).stdout
    shard = next((first / "samples").glob("*.parquet"))
    shard.write_bytes(shard.read_bytes()[:-1])
    result = invoke("cache", "verify", first, "--json")
    assert result.exit_code == DamagedCache.exit_code
    assert shard.name in json.loads(result.stdout)["findings"][0]["where"]


def test_a_part_that_lacks_a_shard_is_a_finding(toy_plan: BuildPlan, tmp_path: Path) -> None:
    part = build(toy_plan, tmp_path / "p", BuildMode(part=(0, 1))).directory
    manifest = read_manifest(part, PART_MANIFEST)
    (part / manifest.shards[-1].files["parquet"].path).unlink()
    (part / manifest.shards[-1].files["lmdb"].path).unlink()
    write_manifest(part, replace(manifest, shards=manifest.shards[:-1]), PART_MANIFEST)
    found = verify_cache(part).findings
    assert [(f.where, f.problem) for f in found] == [
        (PART_MANIFEST, "its shards are not those of part 0/1 of 2 samples")
    ]


def test_ls_lists_what_was_built_elsewhere_while_it_stands(tmp_path: Path, parted: tuple[Path, list[Path]]) -> None:
    whole, parts = parted
    entries = document("cache", "ls", "--root", tmp_path / "root")["caches"]
    assert [(e["name"], e["state"]) for e in entries] == [
        (str(whole), "finished"), *((str(part), "part") for part in parts),
    ]  # fmt: skip
    found = document("cache", "info", entries[0]["name"], "--root", tmp_path / "root")
    assert found["cache"] == str(whole)
    shutil.rmtree(whole)
    assert str(whole) not in [e["name"] for e in document("cache", "ls", "--root", tmp_path / "root")["caches"]]
    document("build-cache", *toy_build(tmp_path), "--root", tmp_path / "within")  # one under its root is listed once
    assert len(document("cache", "ls", "--root", tmp_path / "within")["caches"]) == 1
