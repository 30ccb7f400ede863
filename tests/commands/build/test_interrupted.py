"""A build that is interrupted, politely or not: no cache, nothing half-written, and --resume finishes it."""

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.commands.runners import GOCELL, environment, failure, run

SHARD_SIZE = 20  # some 300 shards, so that there is a middle
ATTEMPTS, SHARDS_FIRST, PATIENCE = 5, 3, 30.0


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The manifest of the same build, left in peace."""
    folder = tmp_path_factory.mktemp("peace")
    process = run("build-cache", "--shard-size", SHARD_SIZE, "--out", "cache", cwd=folder)
    assert process.returncode == 0, process.stderr
    return (folder / "cache" / "manifest.json").read_bytes()


def interrupt(folder: Path, number: signal.Signals) -> subprocess.CompletedProcess[str]:
    """Start a build, send it the signal once it has written some shards, and wait for its end."""
    words = [GOCELL, "build-cache", "--shard-size", str(SHARD_SIZE), "--root", "root", "--out", "cache", "--json"]
    with subprocess.Popen(
        words, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        records = folder / "cache.partial" / "records"
        give_up = time.monotonic() + PATIENCE
        while process.poll() is None and len(list(records.glob("*.json"))) < SHARDS_FIRST:
            assert time.monotonic() < give_up, "the build wrote no shard"
            time.sleep(0.002)
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE)
    return subprocess.CompletedProcess(words, process.returncode, out, err)


def interrupted(tmp_path: Path, number: signal.Signals) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A folder with an interrupted build; tried again where the build was too fast for the signal."""
    for attempt in range(ATTEMPTS):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        process = interrupt(folder, number)
        if process.returncode != 0:
            return folder, process
    pytest.fail(f"{ATTEMPTS} builds ended before the signal reached them")


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_an_interrupted_build_is_resumed(
    tmp_path: Path, uninterrupted: bytes, number: signal.Signals, code: int
) -> None:
    folder, process = interrupted(tmp_path, number)
    assert (process.returncode, process.stdout) == (code, "")
    assert "Traceback" not in process.stderr
    assert sorted(p.name for p in folder.iterdir()) == ["cache.partial"]

    error = failure("inspect", "sample", 0, "--cache", folder / "cache")
    assert error.exit_code == 5
    assert "incomplete" in error.message
    assert "gocell build-cache --shard-size 20 --root root --out cache --json --resume" in error.hint
    if number != signal.SIGKILL:
        assert process.stderr.splitlines()[0] == "error: interrupted"
        assert error.hint.removeprefix("resume with: ") in process.stderr

    resumed = run(*error.hint.split()[3:], cwd=folder)
    summary = json.loads(resumed.stdout)
    assert (resumed.returncode, summary["status"]) == (0, "built")
    assert summary["shards_reused"] >= SHARDS_FIRST
    assert (folder / "cache" / "manifest.json").read_bytes() == uninterrupted
    assert sorted(p.name for p in folder.iterdir()) == ["cache", "cache.toml", "root"]
