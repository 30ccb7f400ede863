"""`gocell train`: a separate program in spirit, which needs nothing but a cache."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gocell_cli.commands.model.evaluate import BaselinesOption, opened_cache, show_evaluation
from gocell_cli.commands.model.split import SplitForm, read_split_file, require_split_file, tell_split
from gocell_cli.commands.shell import options as opt
from gocell_cli.commands.shell.command_line import expand
from gocell_cli.commands.shell.places import data_root, find_cache
from gocell_cli.commands.shell.progress import Signals, training_progress
from gocell_cli.commands.shell.terminal import line, note, show, show_result, styled
from gocell_cli.errors import UsageError
from gocell_cli.user_text import slug

if TYPE_CHECKING:
    from gocell_cli.training.runs.config import RunConfig
    from gocell_cli.training.runs.evaluating import Evaluation
    from gocell_cli.training.runs.trainer import Trainer

CacheArgument = Annotated[Path | None, typer.Argument(help="Cache to train on; default: the one ROOT/latest names.")]
RunOut = Annotated[Path | None, typer.Option("--out", help="The run's directory; default: ROOT/runs/CACHE-NUMBER.")]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="TOML file of settings; flags go before it.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="Any other setting, NAME=VALUE in TOML's spelling; repeatable.")
]


@expand
def train(
    context: typer.Context,
    form: SplitForm,
    cache: CacheArgument = None,
    out: RunOut = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the training split; default 20.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=2, help="Samples in a step; default 256.")] = None,
    lr: Annotated[float | None, typer.Option(help="AdamW's learning rate; default 0.003.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of the first weights, the order and the split.")] = None,
    device: Annotated[str | None, typer.Option(help="auto (default), cpu or cuda.")] = None,
    precision: Annotated[
        str | None, typer.Option(help="Of a step's products: 32-true (default), bf16-mixed, or tf32 on a GPU.")
    ] = None,
    baselines: BaselinesOption = None,
    settings: Settings = None,
    config: ConfigFile = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out from its `last`.")] = False,
    root: opt.Root = None,
    json: opt.Json = False,
) -> None:
    """Train DCell on a cache; SIGTERM saves and stops, SIGUSR1 saves and goes on.

    Settings come from flags, then --set, then --config, then defaults; the resolved ones are saved with the run. Where
    they make the loss NaN or infinite, training ends with exit code 2 and keeps the best weights it had.
    """
    flags = {
        "epochs": epochs, "batch_size": batch_size, "lr": lr, "seed": seed, "device": device, "precision": precision,
        "baselines": baselines,
    }  # fmt: skip
    given = {**form.given(), **{name: value for name, value in flags.items() if value is not None}}
    standing = {name for name in given if _is_standing(context, name)}  # of a variable or a settings file
    if resume:
        trainer = _resume(out, bool(given or settings or config is not None))
    else:
        from gocell_cli.training.runs.config import resolve

        chosen = resolve(given, standing, config, settings or [])
        trainer = _begin(cache, out, data_root(root), chosen)
    _train(trainer, json=json)


def _train(trainer: "Trainer", *, json: bool) -> None:
    """Train to the end, measure, and tell."""
    from gocell_cli.training.runs.trackers import wandb_log

    # Wandb is logged to by one of several processes.
    logged = trainer.config if trainer.processes.first else replace(trainer.config, wandb="")
    with wandb_log(logged, trainer.store.directory) as log:
        trainer.on_epoch = log.epoch if log else trainer.on_epoch
        _fit(trainer)
        evaluation = _finish(trainer)
        if log:
            log.results(trainer.store.record().as_json()["results"])
    if not trainer.processes.first:
        return
    summary = {"run": str(trainer.store.directory), **evaluation.as_json(), "record": trainer.store.record().as_json()}
    show_result(summary, lambda: _tell(trainer, evaluation), json=json, essence=summary["run"])


def _tell(trainer: "Trainer", evaluation: "Evaluation") -> None:
    show(line(styled("bold green", "trained"), f" {trainer.store.directory}"))
    show_evaluation(evaluation)


def _is_standing(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    # Typer's name for a default that came from the settings (GOCELL_* variables, files): it yields to --config.
    return source is not None and source.name == "DEFAULT_MAP"


def _begin(cache: Path | None, out: Path | None, root: Path, config: "RunConfig") -> "Trainer":
    """Take the place asked for, or the next of ROOT/runs/CACHE-1, -2, ..., and begin a run there.

    In this order: what cannot be is told before torch is loaded, which takes seconds.
    """
    from gocell_cli.commands.model.refusals import before_training, tell_compiling
    from gocell_cli.training.runs.store import RunStore

    require_split_file(config.split)
    found = find_cache(cache, root)
    before_training(found, out or root / "runs", config, named=out is not None)
    name = slug(found.resolve().name)
    from gocell_cli.storage.reader import Cache
    from gocell_cli.training.runs.samples import RunSamples

    opened = Cache(found)
    samples = RunSamples.of(opened, config, named=read_split_file(opened, config))
    samples.check_differ()
    from gocell_cli.training.runs.run import begin_run

    tell_compiling()

    return begin_run(
        lambda: RunStore.reserve(out) if out is not None else RunStore.reserve_next(root / "runs", name),
        opened,
        config,
        samples,
    )


def _resume(out: Path | None, changed: bool) -> "Trainer":
    if out is None or changed:
        raise UsageError("--resume goes on with the settings a run has", hint="gocell train --resume --out RUN")
    from gocell_cli.commands.model.refusals import before_resuming, tell_compiling

    before_resuming(out)
    opened = opened_cache(out, None)
    from gocell_cli.training.runs.run import resume_run

    tell_compiling()

    return resume_run(out, opened)


def _fit(trainer: "Trainer") -> None:
    from gocell_cli.training.runs.trainer import Stopped

    seen = trainer.processes.first
    if seen:
        tell_split(trainer.store.record().split)
    with Signals().caught() as signals, training_progress(shown=seen) as progress:
        trainer.stop_at, trainer.save_at = signals.stop, signals.save
        try:
            trainer.fit(progress)
        except Stopped:
            if seen:
                note(f"stopped; go on with: gocell train --resume --out {trainer.store.directory}", "train")
            # 128 + number, as a shell reports who died by a signal.
            sys.exit(128 + (signals.stopped_by or 0))


def _finish(trainer: "Trainer") -> "Evaluation":
    from gocell_cli.figures.run_figures import draw_run
    from gocell_cli.training.runs.run import finish_run

    evaluations = finish_run(trainer)
    if trainer.processes.first:
        errors = {part: e.metrics["rmse"] for part, e in evaluations.items() if e.metrics["rmse"] is not None}
        test = evaluations["test"]
        draw_run(trainer.history, errors, test.predicted, test.true, test.metrics["pearson"], trainer.store.figures)
    return evaluations["test"]
