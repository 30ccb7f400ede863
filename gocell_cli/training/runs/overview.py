"""What runs and series lie in a folder, and how one is removed. No torch, no cache: what they say of themselves.

A run or a series is removed only where nothing lies in it but what training writes: whoever puts a file of their own
into such a folder keeps it.
"""

import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from gocell_cli.errors import GocellError, UsageError
from gocell_cli.run_record import CONFIG, METRICS, RECORD, RunRecord, read_metrics, read_record
from gocell_cli.series_record import SERIES, finished_member, is_series, read_series
from gocell_cli.training.data.gene_vectors import KEPT as GENE_VECTORS
from gocell_cli.training.data.splits.kinds import KEPT as SPLIT
from gocell_cli.training.runs.predictions import PREDICTIONS
from gocell_cli.training.runs.source_run import TABLE as WARM_START
from gocell_cli.training.runs.store import LOCK, RunStore
from gocell_cli.user_text import holds
from gocell_cli.whole_file import TEMPORARY, writing

FILES = (CONFIG, RECORD, METRICS, SERIES, LOCK, SPLIT, PREDICTIONS, GENE_VECTORS, WARM_START)
_NAMES = "|".join(
    rf"{re.escape(name)}|\.?{re.escape(Path(name).stem)}{TEMPORARY}{re.escape(Path(name).suffix)}" for name in FILES
)
_DRAWN = "loss|learning_rate|predicted_against_true|distributions|error_per_split|terms|effect"
"""What is drawn as SVG and PDF beside the PNG: figures/run_figures.py, commands/model/explain.py."""
OWN = re.compile(
    rf"({_NAMES}|\.?\w+({TEMPORARY})?\.safetensors|hierarchy(/\w+\.parquet)?|tensorboard(/events\.out\.tfevents\..+)?"
    rf"|figures(/\.?(\w+({TEMPORARY})?\.png|({_DRAWN})(_\d+)?({TEMPORARY})?\.(svg|pdf)))?|wandb(/.*)?"
    rf"|\.?test_\d+({TEMPORARY})?\.parquet)"  # of phenotypes after the first
)
"""All that training writes into a run's or a series' own folder."""


def runs_in(folder: Path) -> list[dict[str, Any]]:
    """Describe every directory of a folder: a run, a series or neither; as `run ls` prints it.

    state: finished, unfinished, training (another process holds it now), diverged or damaged. test: r of the network
    on the test part, AUROC where it predicts classes; of a series the mean over its finished runs that are no controls.
    """
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return [describe_run(path) for path in paths if path.is_dir()]


def describe_run(path: Path) -> dict[str, Any]:
    """Describe one directory, as `runs_in` does."""
    entry: dict[str, Any] = {"name": path.name, "path": str(path), "kind": None, "state": "no run"}
    nothing = dict.fromkeys(("cache", "dataset", "phenotype", "runs", "epochs", "metric", "test"))
    try:
        if is_series(path):
            return {**entry, **nothing, "kind": "series", **_of_series(path)}
        if (path / RECORD).is_file():
            return {**entry, **nothing, "kind": "run", **_of_run(path)}
    except GocellError:
        return {**entry, **nothing, "state": "damaged"}
    return {**entry, **nothing}


def _of_run(path: Path) -> dict[str, Any]:
    record = read_record(path)
    state = "finished" if record.results is not None else "training" if _is_trained(path) else "unfinished"
    metric, value = _test(record)
    return {
        "state": state,
        "cache": record.cache,
        "dataset": ", ".join(record.datasets),
        "phenotype": record.kind,
        "runs": 1,
        "epochs": record.epochs if record.epochs is not None else len(read_metrics(path)),
        "metric": metric,
        "test": value,
    }


def _of_series(path: Path) -> dict[str, Any]:
    record = read_series(path)
    members = [finished_member(path, member) for member in record.members]
    done = [read_record(path / m.run) for m in members if m.results is not None and m.control is None]
    tests = [_test(one) for one in done]
    known = [value for _, value in tests if value is not None]
    left = sum(not member.ended for member in members)
    diverged = sum(member.diverged is not None for member in members)
    state = "training" if _is_trained(path) else "unfinished" if left else "diverged" if diverged else "finished"
    return {
        "state": state,
        "cache": record.cache,
        "dataset": ", ".join(done[0].datasets) if done else None,
        "phenotype": record.phenotype,
        "runs": len(members),
        "epochs": sum(one.epochs or 0 for one in done),
        "metric": tests[0][0] if tests else None,
        "test": sum(known) / len(known) if known else None,
    }


def _test(record: RunRecord) -> tuple[str | None, float | None]:
    """The name and value of the first figure of the test part."""
    if record.results is None:
        return None, None
    metrics = record.results["test"].metrics
    name = "auroc" if metrics.get("auroc") is not None else "pearson"
    return name, metrics.get(name)


def _is_trained(path: Path) -> bool:
    """Whether another process holds the folder's lock."""
    try:
        RunStore(path).require_idle()
    except UsageError:
        return True
    return False


def require_removable(directory: Path) -> None:
    """Raise UsageError unless a folder is a run or a series, nobody trains there, and all in it is of training."""
    if directory.is_symlink() or not ((directory / RECORD).is_file() or is_series(directory)):
        raise UsageError(f"{directory}: no run, so it is not removed", hint="gocell run ls")
    strange = sorted(
        path.relative_to(directory).as_posix() for run in _folders(directory) for path in _strange(run, directory)
    )
    if strange:
        told = f"{directory} holds what no training writes, so it is not removed"
        raise UsageError(told, why=holds(strange), hint="move it elsewhere")
    for run in _folders(directory):
        RunStore(run).require_idle()


def remove_run(directory: Path) -> None:
    """Remove a run or a series; raises UsageError as `require_removable` does, CannotWrite where it may not be.

    Its own record goes last but for the lock: what a kill leaves is still a run, and can be removed again.
    """
    require_removable(directory)
    with ExitStack() as held, writing(directory):
        for run in _folders(directory):
            store = RunStore(run)
            store.lock()
            held.callback(store.release)
        for run in reversed(_folders(directory)):  # members first: the series is what says that they are its
            for path in sorted(run.iterdir()):
                if path.name not in (RECORD, SERIES, LOCK):
                    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
            for name in (RECORD, SERIES, LOCK):
                (run / name).unlink(missing_ok=True)
            run.rmdir()


def _folders(directory: Path) -> list[Path]:
    """A run's folder alone, or a series' and then its members' that are there."""
    members = [directory / member.run for member in read_series(directory).members] if is_series(directory) else []
    return [directory, *(path for path in members if path.is_dir() and not path.is_symlink())]


def _strange(run: Path, directory: Path) -> Iterator[Path]:
    """What lies in one folder that training did not write there; members of a series are looked at by themselves."""
    members = {path for path in _folders(directory) if path != directory} if run == directory else set()
    for path in run.rglob("*"):
        if members.isdisjoint({path, *path.parents}) and (
            path.is_symlink() or not OWN.fullmatch(path.relative_to(run).as_posix())
        ):
            yield path
