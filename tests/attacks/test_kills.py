"""Killed at every step by which they change a folder, builds, runs and tables of pairs are whole, or go on to the same.

No kill is timed: `killed_at` dies just before the N-th rename, removal or file opened to be written.
"""

import fcntl
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gocell_cli.errors import DamagedCache, GocellError
from gocell_cli.storage.reader import Cache
from gocell_cli.training.runs.store import RunStore
from tests import toy
from tests.attacks.conftest import build_command
from tests.attempts import ATTACKS, whole_only
from tests.commands.fork_server import completed, environment
from tests.commands.runners import document, failure, invoke

SECONDS = 600
"""A process that takes longer hangs; a machine under load is slow."""
NAMED = (
    r"os.rename .*plan\.tmp", r"os.rename .*hierarchy/term_genes", r"os.rename .*part-00001\.parquet",
    r"os.rename .*part-00001\.lmdb", r"open .*records/.*part-00001", r"os.rename .*records/.*part-00001",
    r"os.rename .*manifest\.tmp.*json", r"os.rename [^ ]*partial/cache$", r"shutil.rmtree [^ ]*partial$",
    r"os.rename .*latest", r"os.rename .*last\.tmp", r"os.rename .*best\.tmp", r"os.rename .*00000\.tmp.*parquet",
    r"os.rename .*pairs\.tmp.*parquet",
)  # fmt: skip
"""Where a kill is tried in the suite; `make attacks` tries every kind of step, the first and the last of it."""


def _run(*words: object) -> subprocess.CompletedProcess[str]:
    return completed(["gocell", *words], Path.cwd(), environment(), timeout=SECONDS)


def _done(*words: object) -> str:
    """What `gocell` prints in a process of its own, where no call is checked by beartype."""
    done = _run(*words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _killed(number: int, folder: Path, words: list[str], sent: signal.Signals = signal.SIGKILL) -> str:
    """Run `gocell` in this folder until its step `number`, 0: to its end; returns its stderr."""
    argv = ["killed_at", number, int(sent), folder, *words]
    done = completed(argv, Path.cwd(), environment(), "tests.attacks.killed_at:main", SECONDS)
    left = -sent if sent == signal.SIGKILL else 128 + sent
    assert done.returncode == (left if number else 0), done.stderr
    return done.stderr


def _steps(folder: Path, words: list[str], after: str = "") -> list[tuple[int, str]]:
    """The steps worth a kill, and their numbers, of a command that is run once to its end: those from `after` on."""
    _killed(0, folder, words)
    found = list(enumerate((folder / "steps.txt").read_text("utf-8").splitlines(), start=1))
    first = next(number for number, step in found if re.search(after, step))
    assert len(found) - first > 3
    if ATTACKS or after:
        return _of_each_kind(found[first - 1 :])
    matching = [[x for x in found if re.match(name, x[1])] for name in NAMED]
    return [steps[len(steps) // 2] for steps in matching if steps]


def _of_each_kind(steps: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """The first and the last of the steps that differ in nothing but a number (of a shard, of a process).

    A training repeats its few kinds of step each epoch: a process of its own for every one of them would take an hour.
    """
    kinds: dict[str, list[tuple[int, str]]] = {}
    for step in steps:
        kinds.setdefault(re.sub(r"\d+", "N", step[1]), []).append(step)
    chosen = {same[i] for same in kinds.values() for i in (0, -1)}
    return sorted(chosen)


def _toy_words(folder: Path, value: str = "0.5") -> list[str]:
    """The build under attack: the toy ontology, five genotypes in three shards, both backends."""
    inputs = folder.parent / "inputs"
    inputs.mkdir(exist_ok=True)
    table = inputs / f"{value}.tsv"
    table.write_text("genes\tgrowth\n" + "".join(f"{gene}\t{value}\n" for gene in toy.GENES), "utf-8")
    ontology = ["--obo", str(toy.write_obo(inputs)), "--gaf", str(toy.write_gaf(inputs)), "--min-genes", "3"]
    dataset = ["--dataset", "table", "--raw", str(table), "--phenotype", "growth", "--backend", "both"]
    place = ["--shard-size", "2", "--root", str(folder), "--out", str(folder / "cache")]
    return ["build-cache", *ontology, *dataset, *place]


def _state(folder: Path) -> str:
    """What an open of the cache says after a kill: whole, unfinished or nothing."""
    error = invoke("inspect", "sample", 0, "--cache", folder / "cache").exception
    if error is None:
        return "whole"
    assert isinstance(error, GocellError)
    if error.exit_code == 5:
        assert "incomplete" in str(error)
        assert "resume with: gocell build-cache" in str(error.hint)
        return "unfinished"
    assert error.exit_code == 6
    assert not (folder / "cache.partial" / "plan.json").exists()
    return "nothing"


def _files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_build_killed_at_any_step_resumes_to_the_same_cache(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    steps = _steps(whole, _toy_words(whole))
    expected, states = _files(whole / "cache"), set()
    for number, step in steps:
        folder = tmp_path / str(number)
        folder.mkdir()
        _killed(number, folder, _toy_words(folder))
        states.add(_state(folder))
        document(*_toy_words(folder), "--resume")
        assert _files(folder / "cache") == expected, step
        assert not (folder / "cache.partial").exists(), step
    assert states >= {"whole", "unfinished"}


def test_a_build_that_replaces_another_never_loses_both(tmp_path: Path) -> None:
    old, folder = tmp_path / "old", tmp_path / "again"
    for place in (old, folder):
        place.mkdir()
        document(*_toy_words(place))
    before = _files(old / "cache")
    new = [*_toy_words(folder, "0.25"), "--overwrite"]
    steps = _steps(folder, new, after=r"manifest\.tmp.*json")
    after = _files(folder / "cache")
    assert before != after
    for number, step in steps:
        shutil.rmtree(folder)
        shutil.copytree(old, folder)
        _killed(number, folder, new)
        document("cache", "prune", "--yes", "--root", folder)
        assert _files(folder / "cache") in (before, after), step
        document(*new, "--resume")
        assert _files(folder / "cache") == after, step


TINY = ["min_width=2", "ratio=0.0", "gene_weights=shared", "population_samples=200"]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of 120 samples on 130 terms: a network that trains in a blink."""
    root = tmp_path_factory.mktemp("small")
    words = ["--dataset", "simulated", "--samples", "120", "--panel", "30", "--min-genes", "400"]
    return Path(_done("build-cache", *words, "--root", root, "--quiet").strip())


def _train_words(cache: Path, out: Path) -> list[str]:
    settings = [word for setting in TINY for word in ("--set", setting)]
    return ["train", str(cache), "--out", str(out), "--epochs", "2", "--batch-size", "48", "--device", "cpu", *settings]


def _checkpoints(run: Path) -> list[Any]:
    """Weights, optimiser and state of both checkpoints, but for the seconds that an epoch took."""
    found = []
    for name in ("best", "last"):
        tensors, state = RunStore(run).load(name)
        for line in state.get("history", ()):
            del line["seconds"]
        found.append(({key: tensor.numpy().tobytes() for key, tensor in tensors.items()}, state))
    return found


def test_a_run_killed_at_any_step_goes_on_to_the_same_weights(small: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    steps = _steps(whole, _train_words(small, whole / "run"))
    expected = _checkpoints(whole / "run")
    for number, step in steps:
        folder = tmp_path / str(number)
        folder.mkdir()
        _killed(number, folder, _train_words(small, folder / "run"))
        run = folder / "run"
        if (run / "last.safetensors").exists():
            _done("train", "--resume", "--out", run)
        else:  # killed before its first checkpoint: there is nothing to go on from
            shutil.rmtree(run, ignore_errors=True)
            _done(*_train_words(small, run))
        assert _checkpoints(run) == expected, step


@whole_only
@pytest.mark.parametrize(("what", "genes"), [("pairs", 200), ("triples", 30)])
def test_combinations_killed_at_any_step_go_on_to_the_same_table(
    small: Path, tmp_path: Path, what: str, genes: int
) -> None:
    run, whole = tmp_path / "run", tmp_path / "whole"
    whole.mkdir()
    _done(*_train_words(small, run))
    names = Cache(small).hierarchy.gene_names[:genes]  # more than one tile
    words = ["predict", str(run), f"--all-{what}", "--genes", ",".join(names), "--out"]
    steps = _steps(whole, [*words, str(whole / f"{what}.parquet")])
    expected = (whole / f"{what}.parquet").read_bytes()
    for number, step in steps:
        folder = tmp_path / str(number)
        folder.mkdir()
        _killed(number, folder, [*words, str(folder / f"{what}.parquet")])
        if not (folder / f"{what}.parquet").exists():
            document(*words, folder / f"{what}.parquet")
            left = [path for path in folder.iterdir() if ".tmp-" not in path.name]  # what was being written stays
            assert [path.name for path in left] == [f"{what}.parquet"], step
        assert (folder / f"{what}.parquet").read_bytes() == expected, step


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_signals_leave_a_state_to_resume_from(tmp_path: Path, sent: signal.Signals) -> None:
    whole, folder = tmp_path / "whole", tmp_path / "stopped"
    whole.mkdir()
    folder.mkdir()
    number = next(n for n, step in _steps(whole, _toy_words(whole)) if "records/.part-00001" in step)
    assert "resume with: gocell build-cache" in _killed(number, folder, _toy_words(folder), sent)
    assert _state(folder) == "unfinished"
    document(*_toy_words(folder), "--resume")
    assert _files(folder / "cache") == _files(whole / "cache")


@whole_only
def test_a_build_by_two_workers_killed_at_any_step_resumes(tmp_path: Path) -> None:
    """Its own steps are the plan, the tables and the end; workers write shards as `test_a_build...` does."""
    whole = tmp_path / "whole"
    whole.mkdir()
    steps = _steps(whole, [*_toy_words(whole), "--workers", "2"])
    for number, step in steps:
        folder = tmp_path / str(number)
        folder.mkdir()
        _killed(number, folder, [*_toy_words(folder), "--workers", "2"])
        document(*_toy_words(folder), "--resume")
        assert _files(folder / "cache") == _files(whole / "cache"), step


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of 1.5 MB; unmounted, and so emptied, whatever happens."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", str(disk)],
        capture_output=True, text=True, check=False, timeout=SECONDS,
    )  # fmt: skip
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True, timeout=SECONDS)


def test_a_full_disk_is_one_clear_error_and_harms_nothing(small_disk: Path) -> None:
    finished = small_disk / "finished"
    assert _run("build-cache", "--root", small_disk, "--out", finished).returncode == 0
    failed = _run(*build_command(small_disk)[1:])
    assert failed.returncode == 5
    assert "writing failed" in failed.stderr
    assert "--resume" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert _run("cache", "verify", finished).returncode == 0
    assert _state(small_disk) == "unfinished"


def test_a_read_only_folder_is_one_clear_error(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True, timeout=SECONDS)
    failed = _run(*build_command(small_disk)[1:])
    assert failed.returncode == 2
    assert "cannot be written" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_a_second_build_of_the_same_cache_is_refused(tmp_path: Path) -> None:
    partial = tmp_path / "root" / "cache.partial"
    partial.mkdir(parents=True)
    lock = os.open(partial / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    error = failure(*_toy_words(partial.parent))
    os.close(lock)
    assert isinstance(error, DamagedCache)
    assert "another process is building this cache" in error.message
    assert [p.name for p in partial.parent.iterdir()] == ["cache.partial"]
