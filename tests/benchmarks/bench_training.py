"""A training run as a user makes it, on 100,000 simulated triple deletions: what takes the time?

Half of the signal is epistatic, a tenth of the variance noise. What networks are worth beside other predictors, on this
and on real screens, is `make benchmark`'s question.
"""

import json
import tempfile
from pathlib import Path

import numpy as np

from tests.benchmarks.measure import Row, gocell, report

NAMES = ("teacher_r", "teacher_epoch")
TEACHER = ("--epochs", "10", "--lr", "0.01", "--set", "min_width=6")


def epoch_seconds(out: Path) -> dict[str, float]:
    """Median seconds of an epoch by kind of work."""
    lines = [json.loads(line)["seconds"] for line in (out / "metrics.jsonl").read_text("utf-8").splitlines()]
    return {kind: float(np.median([line[kind] for line in lines])) for kind in lines[0]}


def teacher(root: Path) -> tuple[list[Row], list[str]]:
    """Train on simulated triples; epochs' seconds by kind of work."""
    cache = gocell("build-cache", "--dataset", "simulated", "--root", root)["cache"]
    found = gocell("train", cache, "--out", root / "teacher", *TEACHER)
    pearson, ridge = found["metrics"]["pearson"], found["baselines"]["additive"]["pearson"]
    seconds = epoch_seconds(root / "teacher")
    total = sum(seconds.values())
    shares = ", ".join(f"{kind} {value / total:.1%}" for kind, value in seconds.items())
    rows = [
        Row("teacher_r", pearson, "r", "the noise ceiling", pearson / found["ceiling"]),
        Row("teacher_epoch", total, "s", "an epoch's model alone", total / seconds["model"]),
    ]
    note = f"teacher: ceiling {found['ceiling']:.3f}, ridge {ridge:.3f}; {total:.1f} s an epoch of 80,000 ({shares})"
    return rows, [note]


def run() -> None:
    """Train, and report."""
    with tempfile.TemporaryDirectory() as folder:
        rows, notes = teacher(Path(folder))
    report("A training run", rows, notes)
