"""`gocell train`: a separate program in spirit, which needs nothing but a cache."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gocell_cli.commands.model.evaluate import BaselinesOption, opened_cache, show_evaluation
from gocell_cli.commands.model.known import (
    GeneVectorFiles,
    read_vector_files,
    require_vector_files,
    tell_known,
    whole_paths,
)
from gocell_cli.commands.model.one_run import train_through
from gocell_cli.commands.model.series import SeriesForm, begin_series, conduct, resume_series
from gocell_cli.commands.model.split import SplitForm, read_split_file, require_split_file, tell_split
from gocell_cli.commands.shell import options as opt
from gocell_cli.commands.shell.command_line import expand
from gocell_cli.commands.shell.places import data_root, find_cache
from gocell_cli.commands.shell.progress import training_progress
from gocell_cli.commands.shell.terminal import line, note, show, show_result, styled
from gocell_cli.errors import UsageError
from gocell_cli.series_record import is_series
from gocell_cli.training.runs.slurm import join_step
from gocell_cli.user_text import slug

if TYPE_CHECKING:
    from gocell_cli.training.runs.config import RunConfig
    from gocell_cli.training.runs.evaluating import Evaluation
    from gocell_cli.training.runs.trainer import Trainer

CacheArgument = Annotated[Path | None, typer.Argument(help="Cache to train on; default: the one ROOT/latest names.")]
RunOut = Annotated[
    Path | None, typer.Option("--out", "-o", help="The run's or series' directory; default: ROOT/runs/CACHE-NUMBER.")
]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="TOML file of settings; flags go before it.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="Any other setting, NAME=VALUE in TOML's spelling; repeatable.")
]


@expand
def train(
    context: typer.Context,
    form: SplitForm,
    series: SeriesForm,
    cache: CacheArgument = None,
    out: RunOut = None,
    recipe: Annotated[
        str | None, typer.Option(help="Settings by name, under all others: default, ma2018 or torchcell.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Most passes over the training split; default 100.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=2, help="Samples in a step; default 800.")] = None,
    lr: Annotated[float | None, typer.Option(help="AdamW's learning rate; default 0.003.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of the first weights, the order and the split.")] = None,
    device: Annotated[str | None, typer.Option(help="auto (default), cpu or cuda.")] = None,
    precision: Annotated[
        str | None, typer.Option(help="Of a step's products: 32-true (default), bf16-mixed, or tf32 on a GPU.")
    ] = None,
    gene_vectors: GeneVectorFiles = None,
    baselines: BaselinesOption = None,
    settings: Settings = None,
    config: ConfigFile = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run or series in --out.")] = False,
    root: opt.Root = None,
    json: opt.Json = False,
) -> None:
    """Train DCell on a cache; SIGTERM saves and stops, SIGUSR1 saves and goes on.

    Settings come from flags, then --set, then --config, then defaults; the resolved ones are saved with the run. Where
    they make the loss NaN or infinite, training ends with exit code 2 and keeps the best weights it had. --seeds,
    --controls, and --folds without --fold train a series: a run each, in folders of --out, and one table of all.
    """
    flags = {
        "epochs": epochs, "batch_size": batch_size, "lr": lr, "seed": seed, "device": device, "precision": precision,
        "baselines": baselines, "gene_vectors": whole_paths(gene_vectors), "recipe": recipe,
    }  # fmt: skip
    given = {**form.given(), **{name: value for name, value in flags.items() if value is not None}}
    standing = {name for name in given if _is_standing(context, name)}  # of a variable or a settings file
    if resume:
        said = {*given, *series.given(), *(["settings"] if settings else []), *(["config"] if config else [])}
        _go_on(out, series.jobs or 1, changed=not all(_is_standing(context, name) for name in said), json=json)
        return
    from gocell_cli.training.runs.config import named_settings, resolve

    chosen = resolve(given, standing, config, settings or [])
    every_fold = chosen.folds > 0 and "fold" not in {*given, *named_settings(config, settings or [])}
    choice = series.choice(folds=every_fold)
    if choice is not None:
        conduct(begin_series(cache, out, data_root(root), chosen, choice), series.jobs or 1, json=json)
    else:
        _train(_begin(cache, out, data_root(root), chosen), json=json)


def _go_on(out: Path | None, jobs: int, *, changed: bool, json: bool) -> None:
    """Go on with a run or a series, whose settings are its own."""
    if out is None or changed:
        raise UsageError("--resume goes on with the settings a run has", hint="gocell train --resume --out RUN")
    if is_series(out):
        conduct(resume_series(out), jobs, json=json)
    else:
        _train(_resume(out), json=json)


def _train(trainer: "Trainer", *, json: bool) -> None:
    """Train to the end, measure, and tell."""
    seen = trainer.processes.first
    if seen:
        tell_split(trainer.store.record().split)
        tell_known(trainer)
        note(_settings_line(trainer.config), "train")
    try:
        evaluation = train_through(trainer, training_progress(shown=seen), tell=seen)["test"]
    except SystemExit:
        if seen:
            note(f"stopped; go on with: gocell train --resume --out {trainer.store.directory}", "train")
        raise
    if not seen:
        return
    summary = {"run": str(trainer.store.directory), **evaluation.as_json(), "record": trainer.store.record().as_json()}
    show_result(summary, lambda: _tell(trainer, evaluation), json=json, essence=summary["run"])


def _settings_line(config: "RunConfig") -> str:
    """What the network is and how it is trained, in one line; all of it is in the run's config.toml."""
    rate = f"rate {config.lr:g} ({config.scheduler})"
    network = f"{config.norm_order}, gene_weights {config.gene_weights}, {config.min_width} neurons a term or more"
    ends = f", {config.patience} without a better one end it" if config.patience else ""
    return f"{network}; batches of {config.batch_size:,}, {rate}, up to {config.epochs:,} epochs{ends}"


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

    join_step(os.environ)
    require_split_file(config.split)
    require_vector_files(config)
    found = find_cache(cache, root)
    before_training(found, out or root / "runs", config, named=out is not None)
    name = slug(found.resolve().name)
    from gocell_cli.storage.reader import Cache
    from gocell_cli.training.runs.samples import RunSamples

    opened = Cache(found)
    samples = RunSamples.of(opened, config, named=read_split_file(opened, config), vectors=read_vector_files(config))
    samples.check_differ()
    from gocell_cli.training.runs.run import begin_run

    tell_compiling()

    return begin_run(
        lambda: RunStore.reserve(out) if out is not None else RunStore.reserve_next(root / "runs", name),
        opened,
        config,
        samples,
    )


def _resume(out: Path) -> "Trainer":
    from gocell_cli.commands.model.refusals import before_resuming, tell_compiling

    join_step(os.environ)
    before_resuming(out)
    opened = opened_cache(out, None)
    from gocell_cli.training.runs.run import resume_run

    tell_compiling()

    return resume_run(out, opened)
