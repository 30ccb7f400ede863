"""`gocell sweep`: tries settings of `gocell train` on validation parts, and says whether that was worth it."""

import shlex
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gocell_cli.commands.model.asked_samples import read_samples, require_files
from gocell_cli.commands.model.series import require_one_process, split_sha256
from gocell_cli.commands.model.split import SplitForm, require_split_file, tell_split
from gocell_cli.commands.model.train import CacheArgument, ConfigFile, Flags, Settings, is_standing
from gocell_cli.commands.shell import options as opt
from gocell_cli.commands.shell.command_line import expand
from gocell_cli.commands.shell.places import data_root, find_cache
from gocell_cli.commands.shell.terminal import note, show_json
from gocell_cli.errors import InvalidInput, UsageError
from gocell_cli.user_text import slug

if TYPE_CHECKING:
    from gocell_cli.storage.reader import Cache
    from gocell_cli.training.runs.config import RunConfig
    from gocell_cli.training.runs.sweep.record import SweepRecord

SweepOut = Annotated[
    Path | None, typer.Option("--out", "-o", help="The sweep's directory; default: ROOT/sweeps/CACHE-NUMBER.")
]
TRIALS, SEEDS = 20, 3
PATIENCE_SECONDS = 5.0


@dataclass(frozen=True)
class SweepForm:
    """What makes of a run's settings a sweep over them."""

    search: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUES",
            help="A setting to search: NAME=LOW..HIGH, NAME=log:LOW..HIGH or NAME=A,B,C; repeatable; default: rate, "
            "batch, decays, alpha, width.",
        ),
    ] = None
    trials: Annotated[int | None, typer.Option(min=1, help=f"Trials in all; default {TRIALS}.")] = None
    seeds: Annotated[
        int | None,
        typer.Option(min=1, help=f"Runs of a trial, each with a validation part of its own; default {SEEDS}."),
    ] = None
    prune: Annotated[
        bool, typer.Option("--prune", help="Give up a trial whose first seeds are worse than the median.")
    ] = False


@expand
def sweep(
    context: typer.Context,
    form: SweepForm,
    split: SplitForm,
    flags: Flags,
    cache: CacheArgument = None,
    out: SweepOut = None,
    settings: Settings = None,
    config: ConfigFile = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with, or join, the sweep that is in --out; else begin it.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be trained, and train nothing.")] = False,
    root: opt.Root = None,
    json: opt.Json = False,
) -> None:
    """Search settings of `gocell train` by optuna, on validation parts alone; no trial sees the test part.

    A trial is a run for each of --seeds, all with one test part and each with a validation part of its own; what counts
    is the mean validation loss by which a training chooses its epoch. The settings as they are (flags, --set, --config)
    are measured first, with baselines beside them. OUT/best.toml is for `gocell train --config`, which tests it. CACHE
    --resume --out OUT goes on with a sweep that was stopped, and several such commands share the work.
    """
    from gocell_cli.training.runs.config import resolve

    require_one_process()
    given = {**split.given(), **flags.given()}
    standing = {name for name in given if is_standing(context, name)}
    base = resolve(given, standing, config, settings or [])
    asked = bool(given.keys() - standing or config or settings)
    most = form.trials or TRIALS
    if out is not None and _is_there(out):
        if not resume:
            raise UsageError(f"{out}: a sweep is here already", hint="--resume goes on with it; or another --out")
        record = _again(out, cache, base, form, root, asked=asked)
    else:
        record = _new(find_cache(cache, data_root(root)), base, form)
    if dry_run:
        _show_plan(record, most, json=json)
        return
    try:
        place = _place(out, record, data_root(root))
    except UsageError:
        if out is None or not (resume and _appears(out)):
            raise
        # several commands with --resume began at the same time, and another one was first
        place, record = out, _again(out, cache, base, form, root, asked=asked)
    _train(record, place, most, json=json)


def _is_there(out: Path) -> bool:
    from gocell_cli.training.runs.sweep.record import is_sweep

    return is_sweep(out)


def _appears(out: Path) -> bool:
    """Whether another process makes a sweep here, which takes it a moment."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end and not _is_there(out):
        time.sleep(0.1)
    return _is_there(out)


def _new(cache: Path, base: "RunConfig", form: SweepForm) -> "SweepRecord":
    """Return the record of a sweep that begins; raises UsageError for settings that no sweep can have."""
    from gocell_cli.storage.manifest import read_manifest
    from gocell_cli.training.runs.sweep.record import SweepRecord
    from gocell_cli.training.runs.sweep.space import search_space

    for name, why in {"overfit": "its validation part is what trains", "wandb": "its runs are not kept"}.items():
        if getattr(base, name):
            raise UsageError(f"a sweep takes no {name}", why=why, hint=f"leave {name} out")
    manifest = read_manifest(cache)
    kinds = base.phenotypes([phenotype["kind"] for phenotype in manifest.phenotypes])
    if len(kinds) > 1:
        why = "baselines and figures of a trial are of one"
        raise UsageError("a sweep is of one phenotype at a time", why=why, hint=f"--phenotype {kinds[0]}")
    base.changed({"seed": base.seed + (form.seeds or SEEDS) - 1})
    space = search_space(form.search or [], base)
    require_files(base)
    sha256 = split_sha256(base)
    return SweepRecord(
        str(cache.absolute()), manifest.fingerprint, asdict(base), tuple(one.text for one in space),
        form.seeds or SEEDS, form.prune, sha256,
    )  # fmt: skip


def _again(
    out: Path, cache: Path | None, base: "RunConfig", form: SweepForm, root: Path | None, *, asked: bool
) -> "SweepRecord":
    """Return the record of a sweep that is gone on with; raises UsageError where what is asked for is another one."""
    from gocell_cli.storage.manifest import read_manifest
    from gocell_cli.training.runs.going_on import require_same_settings
    from gocell_cli.training.runs.sweep.record import read_sweep

    record = read_sweep(out)
    if asked:
        require_same_settings(out, record.config(), base, ends=())
    search = tuple(form.search or record.search)
    wanted = (search, form.seeds or record.seeds, form.prune or record.prune)
    if wanted != (record.search, record.seeds, record.prune):
        raise UsageError(
            f"{out}: a sweep of {record.seeds} seeds over {' '.join(record.search)}, and another one is asked for",
            why="--resume goes on with what is there; --trials alone may differ",
            hint="leave out --search, --seeds and --prune; or another --out",
        )
    found = find_cache(cache, data_root(root)) if cache is not None else Path(record.cache)
    if read_manifest(found).fingerprint != record.fingerprint:
        raise UsageError(
            f"{found}: not the cache of this sweep", hint=f"gocell sweep {record.cache} --resume --out {out}"
        )
    require_split_file(record.config().split)
    if split_sha256(record.config()) != record.split_sha256:
        raise InvalidInput(f"{record.config().split}: not the split that this sweep began with", hint="put it back")
    return record


def _show_plan(record: "SweepRecord", most: int, *, json: bool) -> None:
    """Say what would be trained."""
    from gocell_cli.commands.model.sweep_table import show_plan
    from gocell_cli.training.runs.config import DEFAULTS

    config = record.config()
    changed = {name: value for name, value in asdict(config).items() if value != DEFAULTS[name]}
    runs = (most + 1) * record.seeds
    plan = {
        "cache": record.cache, "search": list(record.search), "trials": most, "seeds": record.seeds,
        "prune": record.prune, "runs": runs, "fixed": changed,
    }  # fmt: skip
    if json:
        show_json(plan)
    else:
        show_plan(plan)


def _place(out: Path | None, record: "SweepRecord", root: Path) -> Path:
    """Return the sweep's directory, with its record in it; what cannot be is told before torch is loaded."""
    from gocell_cli.commands.model.refusals import before_training
    from gocell_cli.training.runs.store import RunStore
    from gocell_cli.training.runs.sweep.record import SWEEP, is_sweep, sweep_text
    from gocell_cli.training.runs.sweep.study import require_optuna

    require_optuna()
    cache, config = Path(record.cache), record.config()
    begun = out is not None and is_sweep(out)
    before_training(
        cache, root / "sweeps" if out is None or begun else out, config, named=out is not None and not begun
    )
    if out is not None and begun:
        return out
    _require_labels(cache, config)
    store = RunStore.reserve(out) if out is not None else RunStore.reserve_next(root / "sweeps", slug(cache.name))
    try:
        store.write_text(SWEEP, sweep_text(record, store.directory))
    finally:
        store.abandon() if not is_sweep(store.directory) else store.release()
    return store.directory


def _opened(cache: Path, config: "RunConfig") -> "Cache":
    from gocell_cli.storage.reader import Cache

    return Cache(cache).of_phenotype(config.phenotype)


def _require_labels(cache: Path, config: "RunConfig") -> None:
    """Say how samples are divided in the first run; raises UsageError where no validation sample has a label."""
    import numpy as np

    from gocell_cli.training.runs.kept import split_record
    from gocell_cli.training.runs.sweep.plan import member_config

    opened, first = _opened(cache, config), member_config(config, {}, 0)
    samples = read_samples(opened, first)
    samples.check_differ()
    if not np.isfinite(samples.values[samples.split.validation]).any():
        raise UsageError("no validation sample has a label, and settings are chosen by them", hint="another --split")
    tell_split(split_record(opened, samples.split))
    match = samples.split.match
    if match is not None and not match.validation_drawn:
        note("the split's file names the validation part: every seed has the same one", "sweep")


def _train(record: "SweepRecord", out: Path, most: int, *, json: bool) -> None:
    from gocell_cli.commands.model.refusals import tell_compiling
    from gocell_cli.commands.model.sweep_table import Telling
    from gocell_cli.commands.model.sweep_trials import Conduct
    from gocell_cli.training.runs.sweep.space import search_space
    from gocell_cli.training.runs.sweep.study import Trials

    config = record.config()
    space = search_space(record.search, config)
    opened = _opened(Path(record.cache), config)
    classes = config.loss == "bce" or (config.loss == "auto" and opened.phenotype["kind"] == "viability")
    trials = Trials(out, space, seed=config.seed, prune=record.prune)
    telling = Telling(record, trials, most, "auroc" if classes else "pearson")
    opened.columns()  # checked before torch is loaded, and read once for all runs
    tell_compiling()
    try:
        Conduct(trials, opened, config, record.seeds, telling.metric, config.baselines, telling.ended).until(most)
    except SystemExit:
        words = ["gocell", "sweep", "--resume", "--out", str(out), "--trials", str(most)]
        note(f"stopped; go on with: {shlex.join(words)}", "sweep")
        raise
    telling.result(json=json)
