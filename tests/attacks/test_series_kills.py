"""A series killed at any step by which it changes its folder goes on to the same runs and the same table."""

import json
import re
from pathlib import Path
from typing import Any

from gocell_cli.training.runs.store import RunStore
from tests.attacks.test_kills import TINY, _done, _killed, _of_each_kind
from tests.attempts import ATTACKS

NAMED = (r"os.rename .*seed-1/\.last\.tmp", r"os.rename .*seed-0-genes-0/\.run\.tmp")
"""Where a kill is tried in the suite: in the middle of a member, and as another one has ended."""


def words(cache: Path, out: Path) -> list[str]:
    settings = [word for setting in TINY for word in ("--set", setting)]
    asked = ["--seeds", "2", "--controls", "1", "--control-kinds", "genes", "--baselines", "none"]
    size = ["--epochs", "1", "--batch-size", "48", "--device", "cpu"]
    return ["train", str(cache), "--out", str(out), *asked, *size, *settings]


def state(series: Path) -> list[Any]:
    """series.json but for its seconds, and every member's weights."""
    record = json.loads((series / "series.json").read_text("utf-8"))
    for member in record["members"]:
        del member["seconds"]
    best = {
        path.parent.name: {
            name: tensor.numpy().tobytes() for name, tensor in RunStore(path.parent).load("best")[0].items()
        }
        for path in series.glob("*/best.safetensors")
    }
    return [record, best]


def test_a_series_killed_at_any_step_goes_on_to_the_same_runs(small_cache: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    _killed(0, whole, words(small_cache, whole / "series"))
    found = list(enumerate((whole / "steps.txt").read_text("utf-8").splitlines(), start=1))
    matching = [[step for step in found if re.search(name, step[1])] for name in NAMED]
    assert all(matching), found
    steps = _of_each_kind(found) if ATTACKS else [steps[len(steps) // 2] for steps in matching]
    for number, step in steps:
        folder = tmp_path / str(number)
        folder.mkdir()
        series = folder / "series"
        _killed(number, folder, words(small_cache, series))
        if (series / "series.json").exists():
            _done("train", "--resume", "--out", series)
        else:  # killed before it had begun: the same command begins it
            _done(*words(small_cache, series))
        assert state(series) == state(whole / "series"), step
