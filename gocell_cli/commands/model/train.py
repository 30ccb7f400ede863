"""`gocell train`: a separate program in spirit, which needs nothing but a cache."""

import os
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gocell_cli.commands.model.asked_samples import read_samples, require_files
from gocell_cli.commands.model.dry_run import forecast_training
from gocell_cli.commands.model.evaluate import BaselinesOption, opened_cache, show_evaluation
from gocell_cli.commands.model.known import (
    GeneVectorFiles,
    tell_known,
    tell_warm_start,
    whole_paths,
)
from gocell_cli.commands.model.one_run import train_through
from gocell_cli.commands.model.series import SeriesForm, begin_series, conduct, resume_series
from gocell_cli.commands.model.split import SplitForm, tell_split
from gocell_cli.commands.shell import options as opt
from gocell_cli.commands.shell.command_line import expand
from gocell_cli.commands.shell.places import data_root, find_cache
from gocell_cli.commands.shell.progress import training_progress
from gocell_cli.commands.shell.terminal import line, make_table, note, show, show_result, styled
from gocell_cli.errors import SourceMissing, UsageError
from gocell_cli.run_record import RECORD
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
    list[str] | None,
    typer.Option("--set", help="Any other setting (--settings lists them), NAME=VALUE in TOML's spelling; repeatable."),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Tell the split, the network's size and its memory; train and write nothing.")
]
ListSettings = Annotated[
    bool, typer.Option("--settings", help="List every setting: what it does, takes, and is by default. Train nothing.")
]


@dataclass(frozen=True)
class Flags:
    """The settings of a run that have options of their own."""

    recipe: Annotated[
        str | None, typer.Option(help="Settings by name, under all others: default, ma2018 or torchcell.")
    ] = None
    epochs: Annotated[int | None, typer.Option(min=1, help="Most passes over the training split; default 100.")] = None
    batch_size: Annotated[int | None, typer.Option(min=2, help="Samples in a step; default 800.")] = None
    lr: Annotated[float | None, typer.Option(help="AdamW's learning rate; default 0.003.")] = None
    seed: Annotated[int | None, typer.Option(min=0, help="Of the first weights, the order and the split.")] = None
    device: Annotated[str | None, typer.Option(help="auto (default), cpu or cuda.")] = None
    precision: Annotated[
        str | None, typer.Option(help="Of a step's products: 32-true (default), bf16-mixed, or tf32 on a GPU.")
    ] = None
    phenotype: Annotated[
        str | None,
        typer.Option(help="Which of a cache's phenotypes to train on; A,B: one network of both. Default: its first."),
    ] = None
    gene_vectors: GeneVectorFiles = None
    warm_start: Annotated[
        Path | None, typer.Option("--from", help="A run whose weights to begin with, term by term, of any cache.")
    ] = None
    overfit: Annotated[
        int | None, typer.Option(min=2, help="Train and judge on the same N samples: a check, and no test.")
    ] = None
    baselines: BaselinesOption = None

    def given(self) -> dict[str, Any]:
        """Return those that are given, by the names of RunConfig; paths whole."""
        found = {name: value for name, value in vars(self).items() if value is not None}
        whole = {"gene_vectors": whole_paths(self.gene_vectors)} if self.gene_vectors else {}
        begun = {"warm_start": os.path.abspath(self.warm_start)} if self.warm_start is not None else {}  # noqa: PTH100
        return {**found, **whole, **begun}


@expand
def train(
    context: typer.Context,
    form: SplitForm,
    series: SeriesForm,
    flags: Flags,
    cache: CacheArgument = None,
    out: RunOut = None,
    settings: Settings = None,
    config: ConfigFile = None,
    list_settings: ListSettings = False,
    dry_run: DryRun = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with what is in --out, to more --epochs if asked; else begin it.")
    ] = False,
    root: opt.Root = None,
    json: opt.Json = False,
) -> None:
    """Train DCell on a cache; SIGTERM saves and stops, SIGUSR1 saves and goes on.

    Settings come from flags, then --set, then --config, then defaults; the resolved ones are saved with the run. Where
    they make the loss NaN or infinite, training ends with exit code 2 and keeps the best weights it had. --seeds,
    --controls, and --folds without --fold train a series: a run each, in folders of --out, and one table of all.
    CACHE --resume --out RUN begins a run or goes on with it: one command for a job that is started again.
    """
    if list_settings:
        _list_settings(json=json)
        return
    given = {**form.given(), **flags.given()}
    standing = {name for name in given if is_standing(context, name)}  # of a variable or a settings file
    if dry_run and resume:
        raise UsageError("--dry-run forecasts a new run, and --resume goes on with one", hint="leave one out")
    if resume and _is_there(cache, out):
        cache = find_cache(cache, data_root(root)) if cache is not None else None
        typed = {name: value for name, value in given.items() if name not in standing}
        file = None if is_standing(context, "config") else config
        words = [] if is_standing(context, "settings") else settings or []
        _go_on(out or Path(), cache, _typed_series(context, series), Asked(typed, file, words), json=json)
        return
    asked = Asked(given, config, settings or [])
    _begin_asked(cache, out, data_root(root), series, asked, standing, dry_run=dry_run, json=json)


def _list_settings(*, json: bool) -> None:
    """Print the reference of settings, which docs/_generated/settings.md is made of as well."""
    from gocell_cli.training.runs.settings import settings_reference, shown

    found = settings_reference()
    rows = [[one.name, shown(one.default), one.allowed, one.about] for one in found]
    table = make_table("Settings of a run: --set NAME=VALUE", ["name", "default", "takes", ""], rows)
    show_result({"settings": [asdict(one) for one in found]}, lambda: show(table), json=json)


@dataclass(frozen=True)
class Asked:
    """What a command line says of settings: flags that were typed, a file of settings, NAME=VALUE."""

    flags: dict[str, Any]
    file: Path | None
    settings: list[str]

    def over(self, config: "RunConfig") -> "RunConfig":
        """Return the settings of a run or a series with all of it put over them."""
        from gocell_cli.training.runs.config import resolve_again

        return resolve_again(config, self.flags, self.file, self.settings)


def _begin_asked(
    cache: Path | None,
    out: Path | None,
    root: Path,
    series: SeriesForm,
    asked: Asked,
    standing: set[str],
    *,
    dry_run: bool,
    json: bool,
) -> None:
    """Begin a run or a series with the settings that are asked for, and train it; `standing` as in `resolve`."""
    from gocell_cli.training.runs.config import named_settings, resolve

    chosen = resolve(asked.flags, standing, asked.file, asked.settings)
    every_fold = chosen.folds > 0 and "fold" not in {*asked.flags, *named_settings(asked.file, asked.settings)}
    choice = series.choice(folds=every_fold)
    if dry_run:
        forecast_training(cache, out, root, chosen, choice, series.jobs or 1, json=json)
    elif choice is not None:
        conduct(begin_series(cache, out, root, chosen, choice, series.jobs or 1), series.jobs or 1, json=json)
    else:
        _train(_begin(cache, out, root, chosen), json=json)


def _is_there(cache: Path | None, out: Path | None) -> bool:
    """Whether --resume finds a run or a series; where it does not, a cache that is named is enough to begin with."""
    if out is None:
        raise UsageError("--resume needs the run's directory", hint="gocell train --resume --out RUN")
    if (out / RECORD).is_file() or is_series(out):
        return True
    if cache is None:
        raise SourceMissing(f"{out}: no run is here", hint=f"with its cache it begins: gocell train CACHE --out {out}")
    join_step(os.environ)
    if os.environ.get("RANK", "0") == "0":
        note(f"{out}: no run is here yet, and one begins", "train")
    return False


def _go_on(out: Path, cache: Path | None, series: SeriesForm, asked: Asked, *, json: bool) -> None:
    """Go on with a run or a series; raises UsageError where it is asked to be another one."""
    if is_series(out):
        conduct(resume_series(out, cache, series, asked.over), series.jobs or 1, json=json)
        return
    if series.given():
        raise UsageError(
            f"{out}: one run, and a series is asked for",
            why="--resume goes on with what is there",
            hint="leave out --seeds and --controls; or another --out",
        )
    _train(_resume(out, cache, asked), json=json)


def _train(trainer: "Trainer", *, json: bool) -> None:
    """Train to the end, measure, and tell."""
    seen = trainer.processes.first
    if seen:
        tell_split(trainer.store.record().split)
        tell_known(trainer)
        tell_warm_start(trainer.store.record())
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
    epochs = "epoch" if config.epochs == 1 else "epochs"
    ends = f", {config.patience} without a better one end it" if config.patience else ""
    return f"{network}; batches of {config.batch_size:,}, {rate}, up to {config.epochs:,} {epochs}{ends}"


def _tell(trainer: "Trainer", evaluation: "Evaluation") -> None:
    show(line(styled("bold green", "trained"), f" {trainer.store.directory}"))
    note(f"curves: tensorboard --logdir {quote(str(trainer.store.directory / 'tensorboard'))}", "train")
    show_evaluation(evaluation)


def is_standing(context: typer.Context, name: str) -> bool:
    """Whether an option's value is of a variable or a settings file, and was not typed."""
    source = context.get_parameter_source(name)
    # Typer's name for a default that came from the settings (GOCELL_* variables, files): it yields to --config.
    return source is not None and source.name == "DEFAULT_MAP"


def _typed_series(context: typer.Context, series: SeriesForm) -> SeriesForm:
    """A series as the command line has it: what stands in a variable or a settings file is of new ones alone."""
    standing = [f.name for f in fields(series) if f.name != "jobs" and is_standing(context, f.name)]
    return replace(series, **dict.fromkeys(standing))


def _begin(cache: Path | None, out: Path | None, root: Path, config: "RunConfig") -> "Trainer":
    """Take the place asked for, or the next of ROOT/runs/CACHE-1, -2, ..., and begin a run there.

    In this order: what cannot be is told before torch is loaded, which takes seconds.
    """
    from gocell_cli.commands.model.refusals import before_training, tell_compiling
    from gocell_cli.training.runs.store import RunStore

    join_step(os.environ)
    require_files(config)
    found = find_cache(cache, root)
    before_training(found, out or root / "runs", config, named=out is not None)
    name = slug(found.resolve().name)
    from gocell_cli.storage.reader import Cache
    from gocell_cli.training.runs.samples import as_asked

    opened = as_asked(Cache(found), config)
    samples = read_samples(opened, config)
    samples.check_differ()
    from gocell_cli.training.runs.memory import require_memory_of_run

    require_memory_of_run(opened, config, samples)
    from gocell_cli.training.runs.run import begin_run

    tell_compiling()

    return begin_run(
        lambda: RunStore.reserve(out) if out is not None else RunStore.reserve_next(root / "runs", name),
        opened,
        config,
        samples,
    )


def _resume(out: Path, cache: Path | None, asked: Asked) -> "Trainer":
    from gocell_cli.commands.model.refusals import before_resuming, tell_compiling
    from gocell_cli.training.runs.config import run_config

    join_step(os.environ)
    wanted = asked.over(run_config(out))
    before_resuming(out, cache, wanted)
    opened = opened_cache(out, cache)
    from gocell_cli.training.runs.run import resume_run

    tell_compiling()

    trainer = resume_run(out, opened, wanted)
    if trainer.processes.first:
        told = trainer.store.record().extensions or ()
        for one in told:
            if one.differs:
                note(f"not the run that {one.epochs} epochs give from the start: {one.differs}", "warning")
    return trainer
