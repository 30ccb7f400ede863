"""`gocell train --from RUN` as it is typed: what it says, and what a run keeps of it."""

import json
from pathlib import Path

from tests.commands.runners import run

SMALL = ("--set", "min_width=2", "--set", "ratio=0.0", "--batch-size", "32", "--epochs", 1, "--baselines", "none")


def test_it_says_what_it_copies_and_which_test_samples_are_no_test(small_cache: Path, tmp_path: Path) -> None:
    words = (*SMALL, "--set", "wide=none", "--set", "neighbours=none")
    assert run("train", small_cache, "--out", "RUN", *words, cwd=tmp_path).returncode == 0
    fair = run("train", small_cache, "--from", "RUN", "--split", "RUN", *words, "--out", "fair", "--json", cwd=tmp_path)
    assert fair.returncode == 0, fair.stderr
    assert f"weights: of {tmp_path / 'RUN'}: 5 of 5 terms (0 are not there, 0 have another width there)" in fair.stderr
    assert "are no test" not in fair.stderr
    found = json.loads(fair.stdout)["record"]["warm_start"]
    assert found["numbers_copied"] == found["numbers"]
    other = run("train", small_cache, "--from", "RUN", "--seed", 3, *words, "--out", "other", cwd=tmp_path)
    assert other.returncode == 0, other.stderr
    assert "their figures are no test" in other.stderr
    again = run("train", small_cache, "--from", "RUN", "--seed", 3, *words, "--out", "other", "--resume", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert f'warm_start = "{tmp_path / "RUN"}"' in (tmp_path / "other" / "config.toml").read_text("utf-8")
