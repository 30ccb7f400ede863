"""`gocell run ls | rm`, names of caches and runs, and a data root that is moved: what lies under it holds together."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from gocell_cli.errors import UsageError
from gocell_cli.training.runs.overview import OWN, require_removable
from tests.commands.runners import document, failure, run

TINY = (
    "--epochs", 2, "--batch-size", 32, "--lr", 0.01, "--baselines", "mean", "--set", "min_width=2",
    "--set", "ratio=0.0", "--set", "population_samples=50", "--set", "fractions=[0.5,0.2,0.3]",
)  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with a cache, a run and a series of two. Do not change what is there."""
    folder = tmp_path_factory.mktemp("rooted")
    words = ("--dataset", "simulated", "--samples", 200, "--panel", 60, "--min-genes", 400)
    for command in (("build-cache", *words), ("train", *TINY), ("train", *TINY, "--seeds", 2)):
        done = run(*command, "--root", "root", "-q", cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder / "root"


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Iterator[Path]:
    """The same root moved elsewhere, the first one out of reach."""
    shutil.copytree(made, tmp_path / "moved")
    aside = made.rename(made.with_name("aside"))
    try:
        yield tmp_path / "moved"
    finally:
        aside.rename(made)


def names(root: Path) -> dict[str, str]:
    return {entry["name"]: entry["state"] for entry in document("run", "ls", "--root", root)["runs"]}


def test_ls(made: Path) -> None:
    found = document("run", "ls", "--root", made)["runs"]
    cache = next(path for path in (made / "caches").iterdir() if path.is_dir())
    assert [(e["kind"], e["state"], e["runs"], e["epochs"]) for e in found] == [
        ("run", "finished", 1, 2),
        ("series", "finished", 2, 4),
    ]
    assert {e["cache"] for e in found} == {str(cache)}
    alone = json.loads((Path(found[0]["path"]) / "run.json").read_text("utf-8"))
    series = json.loads((Path(found[1]["path"]) / "series.json").read_text("utf-8"))
    assert found[0]["test"] == alone["results"]["test"]["metrics"]["pearson"]
    tests = [member["results"]["test"]["metrics"]["pearson"] for member in series["members"]]
    assert found[1]["test"] == pytest.approx(sum(tests) / 2)
    for entry in found:
        assert entry["bytes"] == sum(p.stat().st_size for p in Path(entry["path"]).rglob("*") if p.is_file())
    assert document("run", "ls", "--root", made / "nothing")["runs"] == []


def test_a_moved_root_holds_together(root: Path, tmp_path: Path) -> None:
    """What a root records of its own places is relative: latest, run.json, series.json."""
    assert not (root / "latest").read_text().startswith("/")
    assert document("inspect", "sample", 0, "--root", root)["sample"] == 0
    for entry in document("run", "ls", "--root", root)["runs"]:
        assert Path(entry["cache"]).is_relative_to(root)
        evaluated = run("evaluate", entry["path"], "--json", cwd=tmp_path)
        assert evaluated.returncode == 0, evaluated.stderr


def test_names_stand_for_what_lies_under_the_root(root: Path, tmp_path: Path) -> None:
    [cache] = [entry["name"] for entry in document("cache", "ls", "--root", root)["caches"]]
    assert document("cache", "verify", cache, "--root", root)["ok"]
    assert document("inspect", "cache", "--cache", cache, "--root", root)["samples"] == 200
    alone = next(iter(names(root)))
    here = {"cwd": tmp_path, "GOCELL_ROOT": str(root)}
    for words in (("evaluate", alone, "--cache", cache), ("predict", alone, "--genes", ""), ("compare", alone)):
        done = run(*words, "--json", **here)
        assert done.returncode == 0, done.stderr
    assert document("report", alone, "--root", root, "--out", tmp_path / "r.html")["kind"] == "run"
    # what stands in the working directory goes before a name
    (tmp_path / alone).mkdir()
    assert run("evaluate", alone, **here).returncode == 6


def test_a_report_names_no_folder_of_this_disk(made: Path, tmp_path: Path) -> None:
    for entry in document("run", "ls", "--root", made)["runs"][:1]:
        document("report", entry["path"], "--out", tmp_path / "r.html")
    assert str(made) not in (tmp_path / "r.html").read_text("utf-8")


def test_rm(root: Path, tmp_path: Path) -> None:
    alone, series = names(root)
    held = sum(path.stat().st_size for path in (root / "runs" / alone).rglob("*") if path.is_file())
    asked = run("run", "rm", alone, "--root", root, cwd=tmp_path)
    assert asked.returncode == 2  # stdin is empty: nobody said yes
    assert names(root) == {alone: "finished", series: "finished"}
    assert document("run", "rm", alone, "--root", root, "--yes")["bytes"] == held
    assert names(root) == {series: "finished"}
    document("run", "rm", series, "--root", root, "--yes")
    assert names(root) == {}
    assert document("cache", "verify", "--root", root)["ok"]


def test_what_is_yours_is_not_removed(root: Path) -> None:
    alone, series = names(root)
    for name, file in ((alone, "notes.txt"), (alone, "figures/mine.pdf"), (series, "seed-1/notes.txt")):
        (root / "runs" / name / file).write_text("mine")
        refused = failure("run", "rm", alone, series, "--root", root, "--yes")
        assert isinstance(refused, UsageError)
        assert file in str(refused.why)
        (root / "runs" / name / file).unlink()
    assert len(names(root)) == 2
    (root / "runs" / "own").mkdir()
    assert names(root)["own"] == "no run"
    assert "no run" in failure("run", "rm", "own", "--root", root, "--yes").message


def test_a_run_that_is_trained_is_not_removed(root: Path) -> None:
    alone, series = names(root)
    with FileLock(root / "runs" / series / "seed-1" / ".lock"):
        assert "another process" in failure("run", "rm", alone, series, "--root", root, "--yes").message
    assert len(names(root)) == 2


def test_all_that_training_writes_is_known(made: Path, tmp_path: Path) -> None:
    source = document("run", "ls", "--root", made)["runs"][0]["path"]
    done = run("train", *TINY, "--from", source, "--out", tmp_path / "warm", "--root", made, "-q", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    require_removable(tmp_path / "warm")
    for entry in document("run", "ls", "--root", made)["runs"]:
        folder = Path(entry["path"])
        for path in folder.rglob("*"):
            told = path.relative_to(folder).as_posix().removeprefix("seed-0").removeprefix("seed-1").lstrip("/")
            assert not told or OWN.fullmatch(told), path
