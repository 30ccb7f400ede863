"""`gocell predict --all-pairs`, `--all-triples`: every combination of a list of genes, or the first of a ranking."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gocell_cli.commands.model.predict_table import By, TableForm, without_lists
from gocell_cli.commands.model.predictors import Opening
from gocell_cli.commands.shell.progress import prediction_progress
from gocell_cli.commands.shell.tables import write_table
from gocell_cli.commands.shell.terminal import make_table, note, show, show_result
from gocell_cli.errors import UsageError

if TYPE_CHECKING:
    from gocell_cli.training.inference.all_combinations import CombinationTask, Forecast

OPTIONS = {2: "--all-pairs", 3: "--all-triples"}
"""By the order of the genotypes."""
TELLING_SECONDS = 1.0
"""After less a rate is that of getting ready, and says nothing of all genotypes: 4 triples gave 128 million minutes."""


@dataclass(frozen=True)
class EveryForm:
    """Which genotypes are made here."""

    all_pairs: Annotated[
        bool, typer.Option("--all-pairs", help="All double deletions: of all annotated genes, or of those in --genes.")
    ] = False
    all_triples: Annotated[
        bool,
        typer.Option("--all-triples", help="All triple deletions: of all annotated genes, or of those in --genes."),
    ] = False
    dry_run: Annotated[
        bool,
        typer.Option(help="--all-pairs, --all-triples: how many, time and bytes, measured on a few; write nothing."),
    ] = False

    @property
    def order(self) -> int:
        """Genes of a genotype; 0 where none are made."""
        return 3 if self.all_triples else 2 if self.all_pairs else 0

    def require(self, form: TableForm, genes: list[str] | None) -> None:
        """Raise UsageError where genotypes are asked for in several ways, or an option is of another way."""
        if self.all_pairs and self.all_triples:
            raise UsageError("--all-pairs and --all-triples are two files", hint="leave one out")
        if form.input is not None and (genes is not None or self.order):
            raise UsageError(
                "--input has the genotypes, and --genes, --all-pairs or --all-triples others", hint="leave one out"
            )
        if self.dry_run and not self.order:
            raise UsageError("--dry-run forecasts --all-pairs and --all-triples alone", hint="leave it out")
        if form.top is None and form.rank_by != By.LOWEST:
            raise UsageError(f"--rank-by {form.rank_by} says which are the first, and not how many", hint="--top 100")
        if form.input is None and (form.gene_column or form.sheet is not None):
            raise UsageError("options of a table of genotypes, and there is none", hint="--input genotypes.csv")
        if form.input is None and not self.order and form != TableForm():
            hint = "--input genotypes.csv; or --all-pairs --out pairs.parquet"
            raise UsageError("options of many genotypes, and there are few", hint=hint)


def predict_every(
    run: Path,
    every: EveryForm,
    form: TableForm,
    genes: list[str] | None,
    out: Path | None,
    model: str | None,
    cache: Path | None,
    phenotype: str | None = None,
    *,
    json: bool,
) -> None:
    """Predict them all into a file, or say what that takes; what is asked for is checked before torch is loaded."""
    from gocell_cli.training.inference.requests import NOUNS

    noun = NOUNS[every.order]
    if out is None and not every.dry_run:
        raise UsageError(f"{OPTIONS[every.order]} writes a file", hint=f"--out {noun}.parquet")
    out = out or Path(f"{noun}.parquet")
    opening = Opening(run, cache, model, phenotype)
    opening.tell()
    task = _task(opening, every.order, form, genes, out)
    if every.dry_run:
        _tell_forecast(task, out, json=json)
    else:
        _predict(task, out, json=json)


def _task(opening: Opening, order: int, form: TableForm, genes: list[str] | None, out: Path) -> "CombinationTask":
    from gocell_cli.commands.model.refusals import require_combined_file
    from gocell_cli.training.inference.requests import NOUNS, require_combined, require_ranking, terms_named

    require_combined_file(out, NOUNS[order], first=form.top is not None)
    named = opening.named(genes or [])
    if genes and named is not None:
        require_combined(len({gene for genotype in named for gene in genotype}), order)
    if opening.hierarchy is not None:
        terms_named(opening.hierarchy.term_ids, form.term_names())
    if form.top is not None:
        require_ranking(form.rank_by.value, opening.records[0].kind, order)
    predictors = opening.open()
    from gocell_cli.training.inference.all_combinations import CombinationTask
    from gocell_cli.training.inference.answers import Answers
    from gocell_cli.training.inference.best_of import Ranking

    ranking = Ranking(form.top, form.rank_by.value, predictors[0].kind) if form.top is not None else None
    return CombinationTask.of(Answers.of(predictors, form.term_names()), genes, order, ranking)


def _predict(task: "CombinationTask", out: Path, *, json: bool) -> None:
    from gocell_cli.training.inference.all_combinations import predict_combinations

    parquet = _whole_of(out)
    with prediction_progress(task.noun) as report:
        done = replace(predict_combinations(task, parquet, report), out=str(out))
    if parquet != out:
        _as_text(parquet, out)
    first = f"the first {done.rows_written:,} of " if task.ranking is not None else ""
    told = [
        f"{first}{done.genotypes:,} {task.noun} of {done.genes:,} genes in {out}, {done.kept:,} of them from before"
    ]
    if done.seconds >= TELLING_SECONDS and done.genome_minutes:
        whole = f"all {done.genome:,} {task.noun} of the hierarchy take {done.genome_minutes:,.0f} minutes"
        told.append(f"{done.per_second:,.0f} {task.noun}/s; {whole}")
    show_result(done.as_json(), lambda: show(*told), json=json, essence=str(out))
    note(f"{done.untrained_genes} of the genes were never deleted in training: column untrained_genes", "predict")


def _whole_of(out: Path) -> Path:
    """The Parquet file of a ranking that is to be text: hidden beside it, and a stopped run goes on from its parts."""
    from gocell_cli.commands.model.refusals import COMBINED_TEXT

    return out.with_name(f".{out.name}.parquet") if out.suffix in COMBINED_TEXT else out


def _as_text(whole: Path, out: Path) -> None:
    """Write a small Parquet file as text, and remove it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(whole)
    for at, column in enumerate(table.schema):  # genes, as numbers of a list of names: text again
        if pa.types.is_dictionary(column.type):
            table = table.set_column(at, column.name, table.column(at).cast(pa.string()))
    write_table(without_lists(table), out)
    whole.unlink()


def _tell_forecast(task: "CombinationTask", out: Path, *, json: bool) -> None:
    from gocell_cli.training.inference.all_combinations import forecast

    found = forecast(task, out)
    if found.needed_bytes > found.free_bytes:
        note(f"the disk has {found.free_bytes:,} bytes free, this would take {found.needed_bytes:,}", "warning")
    document = {"out": str(out), "status": "dry run", **found.as_json()}
    show_result(document, lambda: _print_forecast(found, task.noun, out), json=json, essence=str(out))


def _print_forecast(found: "Forecast", noun: str, out: Path) -> None:
    rows = [
        ["genes", f"{found.genes:,}"],
        [noun, f"{found.genotypes:,}"],
        ["of them from before", f"{found.kept:,}"],
        ["rows", f"{found.rows:,}"],
        ["bytes of the file, forecast", f"{found.bytes:,}"],
        ["bytes of disk, with its parts", f"{found.needed_bytes:,}"],
        ["bytes free", f"{found.free_bytes:,}"],
        ["seconds, forecast", f"{found.seconds:,.1f}"],
    ]
    show(f"would write {out}: {', '.join(found.columns)}", "", make_table("", ["", ""], rows, right=(1,)), "")
    show(f"measured on {found.measured:,} {noun}, just now. Nothing was written.")
