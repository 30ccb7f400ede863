"""`gocell evaluate`: a run's predictions beside those of its baselines."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gocell_cli.commands.model.series import evaluate_series
from gocell_cli.commands.shell import options as opt
from gocell_cli.commands.shell.completion import complete_run
from gocell_cli.commands.shell.places import Force, runs_named
from gocell_cli.commands.shell.tables import KINDS, is_stdout, require_table, write_table
from gocell_cli.commands.shell.terminal import make_table, note, show, show_json
from gocell_cli.errors import UsageError
from gocell_cli.run_record import SLICES, RunRecord, side_by_side, words_beside_singles
from gocell_cli.series_record import is_series, require_one_run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from gocell_cli.storage.reader import Cache
    from gocell_cli.training.runs.evaluating import Evaluation

RunDir = Annotated[
    Path,
    typer.Argument(
        help="A run's directory, or its name in `run ls`.", autocompletion=complete_run, callback=runs_named
    ),
]
BaselinesOption = Annotated[
    str | None,
    typer.Option(
        "--baselines",
        help="Baselines beside the network: default (those that cost less than training), all, none, or NAME,NAME.",
    ),
]
PartOption = Annotated[str, typer.Option("--part", help="Part of the split to evaluate: train, validation or test.")]
OldPart = Annotated[str | None, typer.Option("--split", hidden=True, help="What --part was called.")]
TableOut = Annotated[
    Path | None, typer.Option("--out", "-o", help=f"A row a sample: value and every prediction; {KINDS}.")
]
SHOWN = (
    "pearson", "spearman", "r2", "rmse", "auroc", "average_precision",
    "negative_precision_at_100", "negative_average_precision",
    "positive_precision_at_100", "positive_average_precision",
    *(f"{name}_pearson" for name in SLICES),
)  # fmt: skip
SHORT = {"average_precision": "AP", "precision_at_100": "P@100", "pearson": "r", "negative": "neg", "positive": "pos"}
"""Words of a heading, shortened where it has several."""


def evaluate(
    run: RunDir,
    part: PartOption = "test",
    split: OldPart = None,
    phenotype: opt.OfSeveral = None,
    baselines: BaselinesOption = None,
    out: TableOut = None,
    overwrite: Force = False,
    cache: opt.CacheDir = None,
    json: opt.Json = False,
) -> None:
    """Predict a part of a run's split with its best weights, beside baselines fitted on the same split.

    Baselines are those of the run's settings, unless --baselines names others. Of a network of several phenotypes all
    are shown, one after the other, unless --phenotype names one. --out writes a row a sample: its genes,
    part, query group and value, what the network and what each baseline predicts. Of a series the table of its runs.
    """
    from gocell_cli.commands.model.refusals import before_opening, tell_compiling
    from gocell_cli.training.baselines.names import chosen_names
    from gocell_cli.training.data.splits.kinds import require_part
    from gocell_cli.training.runs.store import RunStore

    require_part(split or part)
    if is_series(run):
        if out is not None or baselines is not None or cache is not None:
            require_one_run(run)
        evaluate_series(run, split or part, phenotype, json=json)
        return
    require_table(out, overwrite=overwrite, json=json)
    if baselines is not None:
        chosen_names(baselines)
    record = before_opening(run, cache, samples=True)
    chosen = _chosen(record, phenotype or "", table=out is not None)
    opened = opened_cache(run, cache)
    from gocell_cli.training.runs.evaluating import evaluate_run, sample_table
    from gocell_cli.training.runs.run import load_best, reopen

    tell_compiling()
    trainer = reopen(RunStore(run), opened)
    load_best(trainer)
    evaluation = evaluate_run(trainer, split or part, baselines, chosen)
    if out is not None:
        _write(sample_table(trainer.of_phenotype(chosen), evaluation), out)
    if is_stdout(out):
        return
    if json:
        overfit = {"overfit": trainer.config.overfit} if trainer.config.overfit else {}
        show_json({**evaluation.as_json(), **overfit})
    else:
        show_evaluation(evaluation, record.of_phenotype(chosen).heard)


def _write(table: "pa.Table", out: Path) -> None:
    write_table(table, out)
    if not is_stdout(out):
        note(f"{out}: {table.num_rows:,} samples", "written")


def _chosen(record: RunRecord, phenotype: str, *, table: bool) -> str:
    """Return the phenotype that is evaluated, "" for all of several; raises UsageError for one that is none."""
    chosen = record.of_phenotype(phenotype).kind if phenotype or not record.others else ""
    if table and not chosen:
        why = f"it predicts {', '.join(record.kinds)}"
        raise UsageError("--out has a row a sample of one phenotype", why=why, hint=f"--phenotype {record.kind}")
    return chosen


def opened_cache(run: Path, cache: Path | None) -> "Cache":
    """Open the cache that a run was trained on, all samples read and checked: before torch is loaded."""
    from gocell_cli.training.runs.kept import open_cache
    from gocell_cli.training.runs.store import RunStore

    opened = open_cache(RunStore(run), cache)
    opened.columns()
    return opened


def show_evaluation(evaluation: "Evaluation", heard: "Sequence[str]" = ()) -> None:
    """A row a predictor: the run's voices, each baseline with its cost, then those that there are not, and why.

    `heard` are the voices that the run has beside its network. Of several phenotypes one after the other.
    """
    for one in evaluation.each:
        _show_one(one, heard, one.phenotype if evaluation.further else "")


def _show_one(evaluation: "Evaluation", heard: "Sequence[str]", phenotype: str) -> None:
    keys = [k for k in SHOWN if k in evaluation.metrics]
    costs = {name: f"{fitting.seconds:.1f}" for name, fitting in evaluation.fitting.items()}
    found = side_by_side(evaluation.voices, evaluation.metrics, evaluation.baselines)
    rows = [
        [name, *("-" if values[k] is None else f"{values[k]:.4f}" for k in keys), costs.get(name, "")]
        for name, values in found.items()
    ]
    labelled, without = evaluation.metrics["n"], evaluation.metrics["nan_labels"]
    having = f" with {phenotype}" if phenotype else ""
    title = f"{evaluation.split}: {labelled:,} samples{having}"
    title += f", {without:,} more without the phenotype" if without else ""
    headings = [_heading(key, evaluation.metrics) for key in keys]
    show(make_table(title, ["", *headings, "s to fit"], rows, right=tuple(range(1, len(keys) + 2)), whole=(0,)))
    for name, fitting in evaluation.fitting.items():
        if fitting.reason is not None:
            show(f"{name}: {fitting.reason}")
    if heard and not evaluation.voices:
        show(f"{', '.join(heard)} and their blend were fitted to these samples: of the test part there are figures")
    if evaluation.split == "test":
        show(*words_beside_singles(evaluation.metrics, evaluation.voices, evaluation.baselines, labelled))
    if evaluation.dcell_adds is not None:
        show(evaluation.dcell_adds.says())
    noise = evaluation.ceiling
    best, metrics = ("blend", evaluation.voices["blend"]) if evaluation.voices else ("DCell", evaluation.metrics)
    share = noise.share_of(metrics["pearson"])
    reached = "" if share is None else f", of which {best} reaches {share:.0%}"
    show(
        f"noise ceiling: {noise.method}"
        if noise.r is None
        else f"noise ceiling: r {noise.r:.4f}{reached} ({noise.method})"
    )


def _heading(key: str, metrics: "Mapping[str, Any]") -> str:
    if key in ("pearson", "average_precision"):
        return key
    count = metrics.get(f"{key.removesuffix('_pearson')}_n")
    for long, short in SHORT.items():
        key = key.replace(long, short)
    return key.replace("_", " ") + (f" (n {count:,})" if count is not None else "")
