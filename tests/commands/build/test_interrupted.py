"""A build interrupted at a named step, politely or not: nothing half-written, and the printed command ends it."""

import json
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands.runners import document, environment, failure, run, toy_build

STEP = """
import os, sys
from gocell_cli.building import build
from gocell_cli.commands.app import main

number, shards, real = int(sys.argv.pop(1)), int(sys.argv.pop(1)), build.run_tasks

def run_tasks(*given):
    for i, record in enumerate(real(*given)):
        if i == shards:
            os.kill(os.getpid(), number)
        yield record

build.run_tasks = run_tasks
main()
"""
"""gocell, which gets a signal once some shards are recorded."""
SHARDS_FIRST = 3


def interrupt(number: signal.Signals, *given: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command that gets the signal after its first shards."""
    command = [sys.executable, "-c", STEP, str(int(number)), str(SHARDS_FIRST), *map(str, given)]
    found = subprocess.run(
        command, cwd=cwd, env=environment(), capture_output=True, text=True, timeout=120, check=False
    )
    assert found.returncode != 0
    assert (found.stdout, "Traceback" in found.stderr) == ("", False), found.stderr
    return found


def told(stderr: str) -> list[str]:
    """The words of the command that an interrupted one printed, without `gocell`."""
    (line,) = [line for line in stderr.splitlines() if line.startswith("resume with: ")]
    return shlex.split(line.removeprefix("resume with: "))[1:]


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_an_interrupted_build_is_resumed(tmp_path: Path, number: signal.Signals, code: int) -> None:
    folder = tmp_path / "a folder"  # a blank, which the printed command has to quote
    folder.mkdir()
    given = toy_build(folder)
    document("build-cache", *given, "--root", tmp_path / "root", "--out", tmp_path / "peace")
    found = interrupt(number, "build-cache", *given, "--root", "root", "--out", "cache", "--json", cwd=folder)
    assert found.returncode == code
    assert {p.name for p in folder.iterdir()} == {"cache.partial", "mine.csv", "toy.gaf", "toy.obo"}

    error = failure("inspect", "sample", 0, "--cache", folder / "cache")
    assert error.exit_code == 5
    assert "incomplete" in error.message
    kept = shlex.split(error.hint.removeprefix("resume with: "))[1:]
    if number != signal.SIGKILL:
        assert "error: interrupted" in found.stderr.splitlines()
        assert told(found.stderr) == kept

    resumed = run(*kept, cwd=folder)
    assert resumed.returncode == 0, resumed.stderr
    summary = json.loads(resumed.stdout)
    assert (summary["status"], summary["shards_reused"]) == ("built", SHARDS_FIRST + 1)
    manifest = (folder / "cache" / "manifest.json").read_bytes()
    assert manifest == (tmp_path / "peace" / "manifest.json").read_bytes()
    assert {p.name for p in folder.iterdir()} >= {"cache", "cache.toml", "root"}
    assert not (folder / "cache.partial").exists()


@pytest.mark.parametrize("where", [(), ("--out", "copy")])
def test_an_interrupted_rebuild_is_resumed_by_the_command_it_prints(tmp_path: Path, where: tuple[str, ...]) -> None:
    document("build-cache", *toy_build(tmp_path), "--root", tmp_path / "root", "--out", tmp_path / "cache")
    manifest = (tmp_path / "cache" / "manifest.json").read_bytes()
    (tmp_path / "cache" / "samples" / "part-00000.parquet").write_bytes(b"damaged")  # a whole one would be up to date
    found = interrupt(signal.SIGTERM, "cache", "rebuild", "--root", "root", *where, "--json", cwd=tmp_path)
    assert found.returncode == 143
    assert (tmp_path / "cache" / "manifest.json").read_bytes() == manifest
    resumed = run(*told(found.stderr), cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert json.loads(resumed.stdout)["shards_reused"] == SHARDS_FIRST + 1
    assert (tmp_path / (where[-1] if where else "cache") / "manifest.json").read_bytes() == manifest
    assert not list(tmp_path.glob("*.partial"))
