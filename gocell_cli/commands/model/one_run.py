"""One run from its first step to its figures, whoever asked for it: `gocell train`, or a series of runs."""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gocell_cli.commands.model.asked_samples import read_samples
from gocell_cli.commands.shell.progress import Signals
from gocell_cli.commands.shell.terminal import note
from gocell_cli.errors import Diverged
from gocell_cli.run_record import BLEND, NETWORK

if TYPE_CHECKING:
    from gocell_cli.storage.reader import Cache
    from gocell_cli.training.runs.config import RunConfig
    from gocell_cli.training.runs.evaluating import Evaluation
    from gocell_cli.training.runs.trainer import Progress, Trainer

    Shown = AbstractContextManager[Callable[[Progress], None]]


def train_through(trainer: "Trainer", shown: "Shown", *, tell: bool = False) -> "dict[str, Evaluation]":
    """Train to the end, measure every part, draw; raises SystemExit, 128 + its number, for a signal that stops it.

    tell: say on stderr when the network is trained and the other voices' turn has come.
    """
    from gocell_cli.training.runs.trackers import wandb_log

    # Wandb is logged to by one of several processes.
    logged = trainer.config if trainer.processes.first else replace(trainer.config, wandb="")
    with wandb_log(logged, trainer.store.directory) as log:
        trainer.on_epoch = log.epoch if log else trainer.on_epoch
        _fit(trainer, shown)
        if tell:
            _tell_fitting(trainer)
        if trainer.processes.first:
            tell_constant(trainer.constant_root())
        from gocell_cli.training.runs.evaluating import finish_run  # once it is trained: 2 s

        evaluations = finish_run(trainer)
        if log:
            log.results(trainer.store.record().as_json()["results"])
    if trainer.processes.first:
        _draw(trainer, evaluations)
    return evaluations


def tell_constant(parts: "dict[str, float]") -> None:
    """Warn on stderr of a network that predicts next to the same of every sample."""
    for part, ratio in parts.items():
        note(
            f"the root's output is constant on the {part} part: its SD is {ratio:.1g} times the labels'. The network "
            "found nothing to tell samples by, or stopped before it did: see the baselines; try more --epochs, or "
            "another --lr",
            "warning",
        )


def _tell_fitting(trainer: "Trainer") -> None:
    """Of a large screen what comes now takes minutes, without another word."""
    from gocell_cli.training.runs.voices import asked_voices

    also = [*asked_voices(trainer.config), *([] if trainer.config.baselines == "none" else ["baselines"])]
    if also:
        note(f"the network is trained (epochs: {len(trainer.history)}); now fitting: {', '.join(also)}", "train")


def _fit(trainer: "Trainer", shown: "Shown") -> None:
    from gocell_cli.training.runs.trainer import Stopped

    with Signals().caught() as signals, shown as progress:
        trainer.stop_at, trainer.save_at = signals.stop, signals.save
        try:
            trainer.fit(progress)
        except Stopped:
            # 128 + number, as a shell reports who died by a signal.
            sys.exit(128 + (signals.stopped_by or 0))


def _draw(trainer: "Trainer", evaluations: "dict[str, Evaluation]") -> None:
    for number, test in enumerate(evaluations["test"].each):
        own = {part: e.each[number] for part, e in evaluations.items()}
        errors = {part: e.metrics["rmse"] for part, e in own.items() if e.metrics["rmse"] is not None}
        _draw_one(trainer, errors, test, number)


def _draw_one(trainer: "Trainer", errors: "dict[str, float]", test: "Evaluation", number: int) -> None:
    from gocell_cli.figures.run_figures import draw_run

    # The blend is what `predict` gives; the network alone is what was trained.
    predicted = {name: said for name, said in test.said.items() if name == BLEND} | {NETWORK: test.predicted}
    pearson = {name: metrics["pearson"] for name, metrics in ((NETWORK, test.metrics), *test.voices.items())}
    folder = trainer.store.figures
    draw_run(trainer.history, errors, predicted, test.true, pearson, test.phenotype, folder, number)


def train_member(directory: Path, cache: "Cache", config: "RunConfig") -> str | None:
    """Train a member of a series, or go on with it, and say nothing; returns why it diverged, None where it did not."""
    trainer = open_member(directory, cache, config)
    try:
        train_through(trainer, nullcontext(lambda _: None))
    except Diverged as error:
        return error.message
    finally:
        trainer.store.release()
    return None


def open_member(directory: Path, cache: "Cache", config: "RunConfig") -> "Trainer":
    """Begin a run in a folder of its own, or open the one that was begun there."""
    from gocell_cli.training.runs.store import RunStore

    going_on = RunStore(directory).exists()
    return _again(directory, cache) if going_on else _begun(directory, cache, config)


def _begun(directory: Path, cache: "Cache", config: "RunConfig") -> "Trainer":
    from gocell_cli.training.runs.run import begin_run
    from gocell_cli.training.runs.store import RunStore

    samples = read_samples(cache, config)
    return begin_run(lambda: RunStore.reserve(directory), cache, config, samples)


def _again(directory: Path, cache: "Cache") -> "Trainer":
    from gocell_cli.training.runs.run import resume_run

    return resume_run(directory, cache)
