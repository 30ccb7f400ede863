"""`gocell train --seeds | --folds | --controls`: several runs, one table; and `gocell evaluate` of such a series."""

import gc
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gocell_cli.commands.model.asked_samples import read_samples, require_files
from gocell_cli.commands.model.known import tell_vectors
from gocell_cli.commands.model.split import tell_split
from gocell_cli.commands.shell.places import find_cache
from gocell_cli.commands.shell.terminal import line, make_table, note, show, show_json, show_result, styled
from gocell_cli.errors import Diverged, UsageError
from gocell_cli.series_record import MemberRecord, SeriesRecord, of_phenotype, read_series
from gocell_cli.training.data.splits.kinds import names_a_file, split_path
from gocell_cli.training.runs.slurm import join_step
from gocell_cli.user_text import slug

if TYPE_CHECKING:
    from gocell_cli.storage.reader import Cache
    from gocell_cli.training.runs.config import RunConfig
    from gocell_cli.training.runs.series.plan import SeriesChoice
    from gocell_cli.training.runs.series.state import Series

Seeds = Annotated[int | None, typer.Option(min=1, help="A series: so many seeds from --seed on, a run each.")]
Controls = Annotated[
    int | None,
    typer.Option(min=1, help="Beside a series' first runs so many controls of each kind: the same, on no GO."),
]
Kinds = Annotated[str | None, typer.Option(help="Which --controls: some of genes,edges,dag; default: all three.")]
Jobs = Annotated[
    int | None, typer.Option(min=1, help="Runs of a series at a time, in processes that share the cores; default 1.")
]
LETTERS = {"pearson": "r", "auroc": "AUROC"}


@dataclass(frozen=True)
class SeriesForm:
    """What makes of a run a series of runs."""

    seeds: Seeds = None
    controls: Controls = None
    control_kinds: Kinds = None
    jobs: Jobs = None

    def given(self) -> set[str]:
        """Return which of them are given but for --jobs, which is no setting."""
        return {f.name for f in fields(self) if f.name != "jobs" and getattr(self, f.name) is not None}

    def choice(self, *, folds: bool) -> "SeriesChoice | None":
        """Return the series that is asked for, `folds` for all of them; None where one run is."""
        from gocell_cli.training.runs.series.plan import KINDS, SeriesChoice

        if self.control_kinds is not None and self.controls is None:
            raise UsageError("--control-kinds needs --controls", hint="--controls 1 --control-kinds genes")
        if self.seeds is None and self.controls is None and not folds:
            return None
        kinds = tuple(self.control_kinds.split(",")) if self.control_kinds is not None else KINDS
        return SeriesChoice(self.seeds or 1, folds, self.controls or 0, kinds)


def begin_series(
    cache: Path | None, out: Path | None, root: Path, config: "RunConfig", choice: "SeriesChoice", jobs: int = 1
) -> "Series":
    """Take the place asked for, or the next of ROOT/runs/CACHE-series-1, -2, ..., and begin a series there.

    As for one run, what cannot be is told before torch is loaded: what the samples say, of the first run.
    """
    from gocell_cli.commands.model.refusals import before_training
    from gocell_cli.training.runs.series.plan import member_config, plan

    require_one_process()
    members = plan(config, choice)
    require_files(config)
    found = find_cache(cache, root)
    before_training(found, out or root / "runs", config, named=out is not None)
    from gocell_cli.storage.reader import Cache
    from gocell_cli.training.runs.kept import split_record
    from gocell_cli.training.runs.samples import as_asked

    opened = as_asked(Cache(found), config)
    first = member_config(config, members[0])
    samples = read_samples(opened, first)
    samples.check_differ()
    from gocell_cli.training.runs.memory import require_memory_of_run

    require_memory_of_run(opened, first, samples, min(jobs, len(members)))
    tell_split(split_record(opened, samples.split))
    tell_vectors(samples.vectors)
    return _made(out, root / "runs", f"{slug(found.resolve().name)}-series", opened, config, members)


def _made(
    out: Path | None,
    folder: Path,
    name: str,
    opened: "Cache",
    config: "RunConfig",
    members: tuple[MemberRecord, ...],
) -> "Series":
    from gocell_cli.training.runs.series.state import Series, new_record
    from gocell_cli.training.runs.store import RunStore

    manifest = opened.manifest
    record = new_record(opened.directory, manifest.fingerprint, opened.phenotype["kind"], config, members)
    record = replace(record, split_sha256=split_sha256(config))
    store = RunStore.reserve(out) if out is not None else RunStore.reserve_next(folder, name)
    return Series.begin(store, record)


def resume_series(
    directory: Path, cache: Path | None, form: SeriesForm, over: "Callable[[RunConfig], RunConfig]"
) -> "Series":
    """Open a series to go on with it; what cannot be is told before torch is loaded.

    `over` puts what is asked for over its settings: raises UsageError where that, or the form, is of another series.
    """
    from gocell_cli.commands.model.refusals import before_going_on
    from gocell_cli.training.runs.going_on import require_same_settings
    from gocell_cli.training.runs.series.state import Series, series_settings

    require_one_process()
    record = read_series(directory)
    config = series_settings(directory, record)
    require_same_settings(directory, config, over(config), ends=())
    _require_same_runs(directory, record, config, form)
    before_going_on(directory, cache)
    series = Series.reopen(directory)
    require_files(series.config)
    series.require_split(split_sha256(series.config))
    return series


def _require_same_runs(directory: Path, record: SeriesRecord, config: "RunConfig", form: SeriesForm) -> None:
    from gocell_cli.training.runs.series.plan import plan

    if not form.given():
        return
    folds = any(member.fold is not None for member in record.members)
    choice = form.choice(folds=folds)
    wanted = [member.run for member in plan(config, choice)] if choice is not None else []
    found = [member.run for member in record.members]
    if wanted != found:
        raise UsageError(
            f"{directory}: a series of {len(found)} runs, and one of {len(wanted)} is asked for",
            why="--resume goes on with what is there",
            hint="leave out --seeds and --controls; or another --out",
        )


def require_one_process() -> None:
    """Raise UsageError under torchrun or srun, all of whose processes train one run."""
    join_step(os.environ)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError(
            "torchrun's processes train one run together, and this is a series of runs",
            hint="--jobs J without torchrun, in one task of srun; or one run: --fold I, no --seeds, no --controls",
        )


def split_sha256(config: "RunConfig") -> str | None:
    """The sha256 of the file that gives the split, None where none does."""
    if not names_a_file(config.split):
        return None
    from gocell_cli.sources.text_file import sha256_of

    return sha256_of(split_path(config.split))


def conduct(series: "Series", jobs: int, *, json: bool) -> None:
    """Train what is left of a series, then print its table; leaves with exit code 2 where a run diverged."""
    try:
        if jobs == 1 or len(series.left()) < 2:
            _one_by_one(series)
        else:
            from gocell_cli.commands.model.at_once import train_at_once

            train_at_once(series, Path(series.record.cache), jobs, lambda member: _tell(series, member))
    except SystemExit:
        note(f"stopped; go on with: gocell train --resume --out {series.directory}", "train")
        raise
    _show(series.directory, series.record, "test", json=json, made=True)
    if any(member.diverged is not None for member in series.record.members):
        sys.exit(Diverged.exit_code)


def _one_by_one(series: "Series") -> None:
    from gocell_cli.commands.model.one_run import train_member
    from gocell_cli.commands.model.refusals import tell_compiling
    from gocell_cli.storage.reader import Cache
    from gocell_cli.training.runs.samples import as_asked

    left = series.left()
    if not left:
        return
    opened = as_asked(Cache(Path(series.record.cache)), series.settings_of(left[0]))
    opened.columns()  # checked before torch is loaded, and read once for all runs
    tell_compiling()
    for member in left:
        gc.collect()  # the run before, which is a circle of objects: the app lets Python look for those very seldom
        _tell(
            series,
            series.settle(member, train_member(series.directory / member.run, opened, series.settings_of(member))),
        )


def _tell(series: "Series", member: MemberRecord) -> None:
    """One line on stderr for each run that ended."""
    members = series.record.members
    ended = f"({sum(one.ended for one in members)} of {len(members)})"
    if member.results is None:
        note(f"{member.run}: {member.diverged} {ended}", "train")
        return
    metrics = member.results["test"].metrics
    metric = "auroc" if "auroc" in metrics else "pearson"
    note(f"{member.run}: {LETTERS[metric]} {_number(metrics[metric])}, {member.seconds:,.1f} s {ended}", "train")


def evaluate_series(directory: Path, part: str, phenotype: str | None = None, *, json: bool) -> None:
    """Print the table of a series as far as it has come."""
    _show(directory, read_series(directory), part, phenotype, json=json, made=False)


def _show(
    directory: Path, record: SeriesRecord, part: str, phenotype: str | None = None, *, json: bool, made: bool
) -> None:
    from gocell_cli.training.runs.series.summary import summary
    from gocell_cli.training.runs.series.together import mean_of_runs

    record, kinds = of_phenotype(directory, record, phenotype or "")
    if len(kinds) > 1:
        others = ", ".join(f"gocell evaluate {directory} --phenotype {kind}" for kind in kinds[1:])
        note(f"figures are those of {kinds[0]}; of others: {others}", "phenotype")
    found = summary(record, part)
    kind = kinds[0] if kinds else ""
    together = (
        mean_of_runs(directory, record, found["metric"], kind) if part == "test" else "asked of the test part alone"
    )
    document = {"series": str(directory), **found, "mean_of_runs": together, "record": record.as_json()}

    def tell() -> None:
        if made:
            show(line(styled("bold green", "trained"), f" {directory}"))
        _show_summary(found)
        _tell_together(together, LETTERS[found["metric"]])

    if made:
        show_result(document, tell, json=json, essence=str(directory))
    elif json:
        show_json(document)
    else:
        tell()
    if found["missing"]:
        note(f"{len(found['missing'])} runs are not finished: gocell train --resume --out {directory}", "series")
    for run, why in found["diverged"].items():
        note(f"{run}: {why}", "diverged")


def _show_summary(found: Mapping[str, Any]) -> None:
    """A row a predictor: mean and standard deviation over the runs, and each; then how much is the ontology's."""
    metric, controls = found["metric"], _controls(found)
    letter = LETTERS[metric]
    rows = [
        [
            controls.get(name, name),
            *(_number(spreads[metric][key]) for key in ("mean", "sd")),
            " ".join(map(_number, spreads[metric]["values"].values())),
        ]
        for name, spreads in found["rows"].items()
    ]
    runs = list(found["rows"]["DCell"][metric]["values"])
    show(make_table(f"{found['part']}: {letter} of {len(runs)} runs", ["", "mean", "sd", "each"], rows, right=(1, 2)))
    show(f"runs: {', '.join(runs) or 'none yet'}; sd with n - 1")
    for what, key in (("DCell", "ontology"), ("blend", "ontology_blend")):
        told = [_own(kind, spread) for kind, spread in found[key].items() if spread["mean"] is not None]
        if told:
            show(f"the ontology's own share of {letter}, {what} less that of the control of the same seed and split:")
            show(f"  {'; '.join(told)}")
    if found["diverged"]:
        show(f"diverged: {', '.join(found['diverged'])}")


def _controls(found: Mapping[str, Any]) -> dict[str, str]:
    """How the rows of controls are called: their blend's, where they have one, beside their network's."""
    blends = found["ontology_blend"]
    networks = {kind: f"control {kind}: DCell" if kind in blends else f"control: {kind}" for kind in found["ontology"]}
    return networks | {f"{kind}_blend": f"control {kind}: blend" for kind in blends}


def _tell_together(together: dict[str, float] | str, letter: str) -> None:
    if isinstance(together, str):
        show(f"mean of all runs, as `predict` gives it: {together}")
    elif together:
        told = ", ".join(f"{name} {value:.4f}" for name, value in together.items())
        show(f"mean of all runs, as `predict` gives it, {letter}: {told}")


def _own(kind: str, spread: Mapping[str, Any]) -> str:
    sd = "" if spread["sd"] is None else f" ± {spread['sd']:.4f}"
    pairs = f"{spread['n']} pair{'s' if spread['n'] > 1 else ''}"
    return f"{kind} {spread['mean']:+.4f}{sd} ({pairs})"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
