"""The scripts that benchmarks and their docstrings name, and that no benchmark group starts, run as they say."""

import json
import subprocess
import sys


def printed(*words: str) -> str:
    """What a script of this folder prints; it runs in a process of its own, as it sets threads and replaces methods."""
    command = [sys.executable, "-m", f"tests.benchmarks.{words[0]}", *words[1:]]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_parts_of_a_step_are_measured_on_one_thread_and_on_two() -> None:
    found = printed("step_parts", "32", "random", "3", "1")
    for part in ("plan and targets", "set-up", "up: loops", "down: and through BatchNorm", "AdamW", "down: level 0"):
        (line,) = (one for one in found.splitlines() if one.strip().startswith(f"{part} "))
        assert line.count(" x") == 2, line


def test_a_process_tells_the_seconds_of_each_step() -> None:
    found = json.loads(printed("process_step", "1", "256", "random"))
    assert len(found["seconds"]) == 30
    assert sum(found["parts"].values()) > 0
