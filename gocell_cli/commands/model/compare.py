"""`gocell compare`: runs, or a run and its baselines, with intervals of what differs."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gocell_cli.commands.shell import options as opt
from gocell_cli.commands.shell.completion import complete_run
from gocell_cli.commands.shell.places import Force, require_place, runs_named
from gocell_cli.commands.shell.tables import KINDS, is_stdout, require_table, write_table
from gocell_cli.commands.shell.terminal import make_table, note, show, show_result
from gocell_cli.errors import SourceMissing, UsageError

if TYPE_CHECKING:
    from gocell_cli.run_record import RunRecord
    from gocell_cli.training.runs.comparing import Comparison, Contender, Member

Runs = Annotated[
    list[Path],
    typer.Argument(
        help="Runs, or folders of runs (a series); one alone: against baselines.",
        autocompletion=complete_run,
        callback=runs_named,
    ),
]
Against = Annotated[
    str | None,
    typer.Option("--against", help="Which of them the others are compared with; default: the first, or the network."),
]
MetricOption = Annotated[
    str, typer.Option("--metric", help="Shown: auto (AUROC of classes, else pearson), pearson, spearman, auroc, rmse.")
]
FigureFile = Annotated[Path | None, typer.Option("--figure", help="Draw the differences: .svg, .png or .pdf.")]
TableOut = Annotated[Path | None, typer.Option("--out", "-o", help=f"A row a comparison and metric: {KINDS}.")]
AUTO = "auto"
METRICS = ("pearson", "spearman", "auroc", "rmse")
LEAST_RESAMPLES = 100


def compare(
    runs: Runs,
    against: Against = None,
    metric: MetricOption = AUTO,
    resamples: Annotated[int, typer.Option(min=LEAST_RESAMPLES, help="Of the bootstrap.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Of the resamples.")] = 0,
    figure: FigureFile = None,
    out: TableOut = None,
    phenotype: opt.OfSeveral = None,
    overwrite: Force = False,
    json: opt.Json = False,
) -> None:
    """Say which run predicts its test part better, by how much, and how sure that is.

    One run: its network against each of its baselines, and in a series on each control. More: each against the first.
    Runs are compared on the samples that both have in their test part, joined by genotype and value; runs of a series
    are paired by split and seed.
    Intervals are of a paired bootstrap, over samples and over whole query groups.
    """
    if metric not in (AUTO, *METRICS):
        raise UsageError(f"--metric {metric[:80]}: no such metric", hint=f"one of {', '.join((AUTO, *METRICS))}")
    if figure is not None:
        require_place(figure, (".svg", ".png", ".pdf"), overwrite=overwrite, option="--figure")
    require_table(out, overwrite=overwrite, json=json)
    folders = [_Folder.of(run, phenotype or "") for run in runs]
    contenders = _contenders(folders, against)
    from gocell_cli.training.runs.comparing import compare as compared

    reference, *others = contenders
    found = [compared(reference, other, seed, resamples) for other in others]
    shown = metric if metric != AUTO else ("auroc" if "auroc" in found[0].metrics else "pearson")
    if shown not in found[0].metrics:
        raise UsageError(f"--metric {shown}: the values are no classes", hint="--metric pearson, spearman or rmse")
    if figure is not None:
        _draw(found, shown, figure)
    if out is not None:
        _write(found, out)
    if is_stdout(out):
        return
    document = {
        "metric": shown, "against": reference.name, "resamples": resamples, "seed": seed,
        "comparisons": [_as_json(comparison, shown) for comparison in found],
    }  # fmt: skip
    show_result(document, lambda: _tell(found, shown), json=json, essence="\n".join(c.says(shown) for c in found))


@dataclass(frozen=True)
class _Folder:
    """A run, or the finished runs of a series, as they were named."""

    name: str
    runs: tuple[tuple[Path, "RunRecord"], ...]

    @classmethod
    def of(cls, path: Path, phenotype: str = "") -> "_Folder":
        """Look what a folder holds; raises SourceMissing where that is no finished run.

        phenotype: of runs of several; "": the first.
        """
        from gocell_cli.training.extra import require_extra
        from gocell_cli.training.runs.store import RunStore

        require_extra()
        runs = _runs_in(path)
        if not runs:
            raise SourceMissing(f"{path}: no run is here", hint="runs lie under ROOT/runs: gocell train --out DIR")
        records = [(run, RunStore(run).record().of_phenotype(phenotype)) for run in runs]
        _require_tests(records)
        finished = tuple((run, record) for run, record in records if record.results is not None)
        if not finished:
            first = records[0][0]
            raise SourceMissing(f"{first}: not trained to its end", hint=f"gocell train --resume --out {first}")
        if len(finished) < len(records):
            note(f"{path}: {len(records) - len(finished)} of {len(records)} runs are not finished, and left out")
        return cls(path.name or str(path.resolve()), finished)

    def members(self) -> tuple["Member", ...]:
        """Read what the runs predict."""
        from gocell_cli.training.runs.comparing import Member
        from gocell_cli.training.runs.predictions import recorded_predictions

        found = []
        for run, record in self.runs:
            predictions = recorded_predictions(run, record)
            if predictions is None:
                predictions = _anew(run)
            found.append(Member.of(run, record, predictions))
        return tuple(found)


def _runs_in(path: Path) -> list[Path]:
    """A run itself, the runs of a series that have begun, or those of any other folder; none where there is none."""
    from gocell_cli.run_record import RECORD
    from gocell_cli.series_record import is_series, read_series

    if (path / RECORD).is_file():
        return [path]
    if is_series(path):
        return [path / m.run for m in read_series(path).members if (path / m.run / RECORD).is_file()]
    return sorted(found.parent for found in path.glob(f"*/{RECORD}")) if path.is_dir() else []


def _anew(run: Path) -> Any:
    """Evaluate a run of before runs kept their predictions."""
    from gocell_cli.commands.model.evaluate import opened_cache
    from gocell_cli.commands.model.refusals import before_opening, tell_compiling
    from gocell_cli.training.runs.predictions import Predictions
    from gocell_cli.training.runs.store import RunStore

    note(f"{run}: it keeps no predictions of its test part, and is evaluated anew")
    before_opening(run, None, samples=True)
    opened = opened_cache(run, None)
    from gocell_cli.training.runs.evaluating import evaluate_run, sample_table
    from gocell_cli.training.runs.run import load_best, reopen

    tell_compiling()
    trainer = reopen(RunStore(run), opened)
    load_best(trainer)
    return Predictions.of(sample_table(trainer, evaluate_run(trainer, "test")))


def _contenders(folders: Sequence[_Folder], against: str | None) -> list["Contender"]:
    """Return what is compared, the one that the others are compared with first."""
    from gocell_cli.training.runs.comparing import contenders_of

    if len(folders) == 1:
        found = contenders_of(folders[0].name, folders[0].members())
    else:
        names = [folder.name for folder in folders]
        if len(set(names)) < len(names):
            names = [str(path.parent if len(f.runs) > 1 else path) for f in folders for path in [f.runs[0][0]]]
        found = [contenders_of(name, folder.members())[0] for name, folder in zip(names, folders, strict=True)]
    if len(found) < 2:
        raise UsageError(
            f"{folders[0].name}: it has no baselines to be compared with",
            hint="train with --baselines default, or name a second run",
        )
    chosen = [c for c in found if against in (None, c.name, c.column if len(folders) == 1 else None)]
    if not chosen:
        raise UsageError(f"--against {against}: it is none of them", hint=f"one of {', '.join(c.name for c in found)}")
    return [chosen[0], *(c for c in found if c is not chosen[0])]


def _as_json(comparison: "Comparison", shown: str) -> dict[str, Any]:
    found = asdict(comparison)
    for name, measured in comparison.metrics.items():
        found["metrics"][name]["sd"] = measured.sd
    return {**found, "says": comparison.says(shown)}


def _tell(found: Sequence["Comparison"], metric: str) -> None:
    repeated = any(len(c.pairs) > 1 for c in found)
    heading = ["", metric, "difference", "95 % over samples", "95 % over query groups", "samples"]
    heading += ["pairs of runs", "sd of them"] if repeated else []
    first = found[0].metrics[metric]
    rows = [[found[0].first, _number(first.first), *[""] * (len(heading) - 2)]]
    for comparison in found:
        own = comparison.metrics[metric]
        row = [
            comparison.second,
            _number(own.second),
            _number(own.difference, "+"),
            _ends(own.samples),
            _ends(own.groups),
        ]
        row.append(f"{comparison.shared:,}")
        rows.append(row + ([str(len(comparison.pairs)), _number(own.sd)] if repeated else []))
    show(make_table(f"test, against {found[0].first}", heading, rows, right=tuple(range(1, len(heading)))))
    for comparison in found:
        show(comparison.says(metric))
        for text in _left_out(comparison):
            note(f"{comparison.second}: {text}")


def _left_out(comparison: "Comparison") -> list[str]:
    found = []
    if comparison.only_first or comparison.only_second:
        only = f"{comparison.only_first:,} of {comparison.first} and {comparison.only_second:,} of {comparison.second}"
        found.append(f"{comparison.shared:,} samples are in the test part of both; left out are {only}")
    if comparison.unpaired:
        found.append(f"{comparison.unpaired} runs have no partner of the same split")
    return found


def _number(x: float | None, sign: str = "") -> str:
    return "-" if x is None else f"{x:{sign}.4f}"


def _ends(ends: tuple[float, float] | None) -> str:
    return "-" if ends is None else f"{ends[0]:+.4f} to {ends[1]:+.4f}"


def _draw(found: Sequence["Comparison"], metric: str, figure: Path) -> None:
    from gocell_cli.figures.canvas import save
    from gocell_cli.figures.comparison_figure import Bar, comparison_figure

    bars = []
    for comparison in found:
        own = comparison.metrics[metric]
        if own.difference is not None:
            each = [x for x in own.each if x is not None]
            bars.append(Bar(comparison.second, own.difference, own.samples, own.groups, each))
    save(comparison_figure(bars, metric, found[0].first), figure)


def _write(found: Sequence["Comparison"], out: Path) -> None:
    import pyarrow as pa

    rows = [
        {
            "contender": c.second, "against": c.first, "metric": name, "pairs": len(c.pairs), "samples": c.shared,
            "contender_value": own.second, "against_value": own.first, "difference": own.difference,
            **dict(zip(("samples_low", "samples_high"), own.samples or (None, None), strict=True)),
            **dict(zip(("groups_low", "groups_high"), own.groups or (None, None), strict=True)),
            "sd": own.sd,
        }
        for c in found
        for name, own in c.metrics.items()
    ]  # fmt: skip
    write_table(pa.Table.from_pylist(rows), out)


def _require_tests(records: "Sequence[tuple[Path, RunRecord]]") -> None:
    """Raise UsageError for a run that is judged on what it trains on."""
    for run, record in records:
        if record.overfit:
            raise UsageError(f"{run}: overfitted on purpose: it has no test part", hint="a run without --overfit")
