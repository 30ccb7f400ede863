"""Builders killed at any moment: the cache is then whole, or says how to resume, and a resume ends the same."""

import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.attacks.conftest import GOCELL, build_command

KILLS = 56
RESUME_EVERY = 8


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([GOCELL, *words], capture_output=True, text=True, check=False)


def _kill_after(command: list[str], seconds: float) -> None:
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        time.sleep(seconds)
        process.kill()


def _state(folder: Path) -> str:
    """What an open of the cache says after a kill: whole, unfinished or nothing."""
    found = _run("inspect", "sample", "0", "--cache", str(folder / "cache"))
    if found.returncode == 0:
        return "whole"
    if found.returncode == 5:
        assert "incomplete" in found.stderr
        assert "resume with: gocell build-cache" in found.stderr
        return "unfinished"
    assert found.returncode == 6, found.stderr
    assert not (folder / "cache.partial" / "plan.json").exists()
    return "nothing"


def test_kill_9_at_random_moments_then_resume(built: Path, tmp_path: Path) -> None:
    rng, expected = random.Random(9), (built / "manifest.json").read_bytes()
    started = time.perf_counter()
    subprocess.run(build_command(tmp_path), check=True, capture_output=True)
    whole_run = time.perf_counter() - started
    shutil.rmtree(tmp_path / "cache")
    seen: dict[str, int] = {}
    for kill in range(1, KILLS + 1):
        words = ("--resume", *(("--workers", "2") if kill % 7 == 0 else ()))
        _kill_after(build_command(tmp_path, *words), rng.uniform(0.3, 1.0) * whole_run)
        state = _state(tmp_path)
        seen[state] = seen.get(state, 0) + 1
        if kill % RESUME_EVERY == 0 or state == "whole":
            subprocess.run(build_command(tmp_path, "--resume"), check=True, capture_output=True)
            assert (tmp_path / "cache" / "manifest.json").read_bytes() == expected
            assert _run("cache", "verify", str(tmp_path / "cache")).returncode == 0
            assert not (tmp_path / "cache.partial").exists()
            shutil.rmtree(tmp_path / "cache")
    assert sum(seen.values()) == KILLS
    assert seen.get("unfinished", 0) >= KILLS // 4, seen


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_leave_a_state_to_resume_from(built: Path, tmp_path: Path, number: signal.Signals) -> None:
    with subprocess.Popen(build_command(tmp_path), stderr=subprocess.PIPE, text=True) as process:
        while not (tmp_path / "cache.partial" / "plan.json").is_file():
            time.sleep(0.002)
        process.send_signal(number)
        _, stderr = process.communicate()
    assert process.returncode == 128 + number
    assert "resume with: gocell build-cache" in stderr
    assert _state(tmp_path) == "unfinished"
    subprocess.run(build_command(tmp_path, "--resume"), check=True, capture_output=True)
    assert (tmp_path / "cache" / "manifest.json").read_bytes() == (built / "manifest.json").read_bytes()


@pytest.fixture
def small_disk(tmp_path: Path) -> Path:
    """A tmpfs of 1.5 MB; unmounted, and so emptied, whatever happens."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", str(disk)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_is_one_clear_error_and_harms_nothing(small_disk: Path) -> None:
    finished = small_disk / "finished"
    assert _run("build-cache", "--root", str(small_disk), "--out", str(finished)).returncode == 0
    failed = subprocess.run(build_command(small_disk), capture_output=True, text=True, check=False)
    assert failed.returncode == 5
    assert "writing failed" in failed.stderr
    assert "--resume" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert _run("cache", "verify", str(finished)).returncode == 0
    assert _state(small_disk) == "unfinished"


def test_a_read_only_folder_is_one_clear_error(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    failed = subprocess.run(build_command(small_disk), capture_output=True, text=True, check=False)
    assert failed.returncode == 2
    assert "cannot be written" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_a_second_build_of_the_same_cache_is_refused(tmp_path: Path) -> None:
    import fcntl

    partial = tmp_path / "cache.partial"
    partial.mkdir()
    lock = os.open(partial / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    failed = subprocess.run(build_command(tmp_path), capture_output=True, text=True, check=False)
    os.close(lock)
    assert failed.returncode == 5
    assert "another process is building this cache" in failed.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["cache.partial"]
