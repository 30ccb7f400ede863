"""A task measured: its cache built, its series of runs trained or gone on with, and what every predictor reached.

All is done by the command itself, in a folder that keeps it: what was finished is not done again, whatever ended the
benchmark. A folder's name holds what was asked for, so that other settings are other runs.
"""

import hashlib
import json
import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path

from gocell_cli.run_record import BLEND, NETWORK, AddsRecord, RunRecord, SplitRecord, read_record
from gocell_cli.series_record import is_series, read_series
from tests.benchmarks.measure import gocell
from tools.benchmark.tasks import QUICK_BASELINES, QUICK_SAMPLES, RECIPE, TASKS, Data, Task

VOICES = {
    "blend": "blend of all voices",
    "wide": "wide part",
    "neighbours": "neighbours",
    "encoder": "DCell as encoder",
    "without_dcell": "blend without DCell, its encoder too",
    "without_wide": "blend without the wide part",
    "without_neighbours": "blend without the neighbours",
    "without_encoder": "blend without the encoder",
}
"""What a run predicts with beside its network; `predict` gives the first."""
DRAWN = {
    "genes": "genes of other terms",
    "edges": "edges exchanged, levels and degrees kept",
    "dag": "a random DAG of the same shape",
}
CONTROLS = {kind: f"DCell, {drawn}" for kind, drawn in DRAWN.items()}
BLEND_CONTROLS = {kind: f"blend, {drawn}" for kind, drawn in DRAWN.items()}


@dataclass(frozen=True)
class Effort:
    """How much is spent: seeds, and whether the quick form is asked for."""

    seeds: int
    quick: bool
    jobs: int


@dataclass
class Predictor:
    """What a predictor reached in each run, by seed, and the seconds that it took."""

    values: dict[int, float | None] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    reason: str | None = None


@dataclass(frozen=True)
class Measured:
    """A task's results: predictors by name, the runs' splits, and the command that gave them."""

    task: Task
    predictors: dict[str, Predictor]
    splits: list[SplitRecord]
    ceiling: tuple[float | None, str]
    command: str
    epochs: list[int]
    adds: list[AddsRecord | None]


def told(*words: str) -> None:
    """Run a command, which stands on stderr before its progress does."""
    print(f"$ gocell {shlex.join(words)}", file=sys.stderr, flush=True)
    gocell(*words)


def built(data: Data, folder: Path) -> Path | None:
    """Return the task's cache, built where it is not there yet; None where its file is not at hand."""
    words = data.words()
    if words is None:
        return None
    out = folder / "caches" / data.name
    told("build-cache", *words, "--root", str(folder), "--out", str(out))
    return out


def tasks_of(effort: Effort) -> list[Task]:
    """Return the tasks that an effort has where none is named."""
    return [task for task in TASKS if not effort.quick or task.quick]


def training_words(task: Task, effort: Effort) -> tuple[str, ...]:
    """Return what `gocell train` is asked for, beside the cache and where to."""
    epochs = max(task.epochs // 3, 5) if effort.quick else task.epochs
    kinds = task.controls[:1] if effort.quick else task.controls
    words = ("--split", task.split, "--epochs", str(epochs), *RECIPE, "--seeds", str(effort.seeds))
    less = ("--subset", str(QUICK_SAMPLES), "--baselines", QUICK_BASELINES) if effort.quick else ("--baselines", "all")
    # a control of each kind beside every seed's run
    return (*words, *less, "--controls", str(effort.seeds), "--control-kinds", ",".join(kinds))


def measure(task: Task, cache: Path, folder: Path, effort: Effort) -> Measured:
    """Train what is missing of a task's series, and read what there is."""
    words = training_words(task, effort)
    # a cache is named by its content: one that was rebuilt otherwise is another series
    fingerprint = json.loads((cache / "manifest.json").read_text("utf-8"))["fingerprint"]
    digest = hashlib.sha256("\0".join((fingerprint, *words)).encode()).hexdigest()[:8]
    out = folder / "runs" / f"{task.name}-{digest}"
    jobs = ("--jobs", str(effort.jobs))
    if is_series(out):
        told("train", "--resume", "--out", str(out), *jobs)
    else:
        told("train", str(cache), "--out", str(out), *words, *jobs)
    return results(task, out, shlex.join(("gocell", "train", task.data.name, *words)))


def results(task: Task, out: Path, command: str) -> Measured:
    """Read the runs of a series."""
    predictors: dict[str, Predictor] = {}
    splits, epochs, adds = [], [], []
    ceiling: tuple[float | None, str] = (None, "")
    for member in read_series(out).members:
        if member.results is None:
            continue
        test = member.results["test"]
        name = CONTROLS[member.control] if member.control else NETWORK
        _add(predictors, name, member.seed, test.metrics[task.metric], member.seconds or 0.0)
        if member.control:
            blend = (test.voices or {}).get(BLEND)
            if blend is not None:
                _add(predictors, BLEND_CONTROLS[member.control], member.seed, blend[task.metric], 0.0)
            continue
        record = read_record(out / member.run)
        for voice, metrics in (test.voices or {}).items():
            _add(predictors, VOICES[voice], member.seed, metrics[task.metric], _seconds(record, voice))
        adds.append(test.dcell_adds)
        splits.append(record.split)
        epochs.append(record.epochs or 0)
        ceiling = test.ceiling, test.ceiling_method or ""
        for other, fitting in (test.fitting or {}).items():
            value = test.baselines.get(other, {}).get(task.metric)
            _add(predictors, other, member.seed, value, fitting.seconds, fitting.reason)
    return Measured(task, predictors, splits, ceiling, command, epochs, adds)


def _seconds(record: RunRecord, voice: str) -> float:
    """What a voice's fit took; a blend has none of its own."""
    found = (record.voices or {}).get(voice)
    return found.seconds if found is not None else 0.0


def _add(
    found: dict[str, Predictor], name: str, seed: int, value: float | None, seconds: float, reason: str | None = None
) -> None:
    one = found.setdefault(name, Predictor())
    one.values[seed] = value
    one.seconds.append(seconds)
    one.reason = reason or one.reason
