"""`gocell cache`: verify, info, ls, merge and prune."""

import json
import shutil
from pathlib import Path

import pytest

from gocell_cli.building.build import BuildMode, build
from gocell_cli.building.plan import BuildPlan
from gocell_cli.errors import DamagedCache, SourceMissing
from gocell_cli.storage.staging import StagedPlan, Staging
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
    assert found == {"cache": str(toy_cache), **manifest}
    assert manifest["fingerprint"] in invoke("cache", "info", toy_cache).stdout


def test_ls_tells_finished_damaged_part_and_unfinished(tmp_path: Path, toy_plan: BuildPlan) -> None:
    caches = tmp_path / "caches"
    build(toy_plan, caches / "a-finished", BuildMode())
    build(toy_plan, caches / "b-damaged", BuildMode())
    (caches / "b-damaged" / "manifest.json").write_text("{}")
    build(toy_plan, caches / "c-part", BuildMode(part=(0, 2)))
    (caches / "d-new.partial").mkdir()
    found = document("cache", "ls", "--root", tmp_path)
    assert [(e["name"], e["state"], e["samples"]) for e in found] == [
        ("a-finished", "finished", 2),
        ("b-damaged", "damaged", None),
        ("c-part", "part", 1),
        ("d-new.partial", "unfinished", None),
    ]
    assert "a-finished" in invoke("cache", "ls", "--root", tmp_path).stdout


def test_ls_where_nothing_is(tmp_path: Path) -> None:
    assert document("cache", "ls", "--root", tmp_path / "nothing") == []


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
