"""`gocell predict --input FILE`: a table of genotypes in, a table of predictions out."""

import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gocell_cli.commands.model.predictors import Opening
from gocell_cli.commands.shell.progress import prediction_progress
from gocell_cli.commands.shell.tables import STDOUT, is_stdout, write_tables
from gocell_cli.commands.shell.terminal import note, show, show_result
from gocell_cli.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

    from gocell_cli.sources.screens.genotype_table import GenotypeTable
    from gocell_cli.training.inference.genotype_rows import GenotypeRows


class By(StrEnum):
    """What --top ranks by; training/inference/best_of.py has the same words."""

    LOWEST = "lowest"
    HIGHEST = "highest"
    EPSILON = "epsilon"
    TAU = "tau"


@dataclass(frozen=True)
class TableForm:
    """Options of many genotypes at once."""

    input: Annotated[
        Path | None,
        typer.Option(
            "--input", help="Table of genotypes (CSV, TSV, Parquet, .xlsx, packed; - is stdin), read as a data set's."
        ),
    ] = None
    gene_column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="--input: the column of the genes, or one for each gene; default: by header."
        ),
    ] = None
    sheet: Annotated[str | None, typer.Option(help="--input: the sheet of a workbook; default: its first.")] = None
    terms: Annotated[
        list[str] | None,
        typer.Option(help="Terms (GO:..,..) whose head, and of one run whose neurons, are columns too."),
    ] = None
    top: Annotated[int | None, typer.Option(min=1, help="Only this many genotypes: the first by --rank-by.")] = None
    rank_by: Annotated[
        By, typer.Option(help="--top: the lowest or highest predictions, or the largest |epsilon| or |tau|.")
    ] = By.LOWEST

    def term_names(self) -> list[str]:
        """Return the terms, one by one."""
        return [name.strip() for entry in self.terms or [] for name in entry.split(",") if name.strip()]


def predict_table(
    run: Path, form: TableForm, out: Path | None, model: str | None, cache: Path | None, *, json: bool
) -> None:
    """Read, predict, write: a row for each of the table's, or the --top of them; to stdout, as TSV, without --out."""
    from gocell_cli.training.inference.requests import require_ranking, terms_named

    if out is None and json:
        raise UsageError("--json tells what was written to a file", hint="--out predictions.parquet")
    out = out or STDOUT
    opening = Opening(run, cache, model)
    opening.named([])
    if opening.hierarchy is not None:
        terms_named(opening.hierarchy.term_ids, form.term_names())
    if form.top is not None:
        require_ranking(form.rank_by.value, opening.records[0].kind)
    with _regular(form.input or Path("-")) as path:
        read = None if opening.hierarchy is None else _read(path, form, opening.hierarchy.lookup)
        predictors = opening.open()
        read = read or _read(path, form, predictors[0].hierarchy.lookup)
    from gocell_cli.training.inference.answers import Answers
    from gocell_cli.training.inference.genotype_rows import GenotypeRows

    answers = Answers.of(predictors, form.term_names())
    rows = GenotypeRows(answers, read.ptr, read.genes, read.line, read.reason)
    written = _write(rows, form, out)
    _tell_dropped(read)
    untrained = int((~answers.trained[read.genes]).sum())
    if untrained:
        note(f"{untrained:,} deletions are of genes never deleted in training: column untrained_genes", "warning")
    document = {
        "out": str(out), "phenotype": answers.first.kind, "runs": len(predictors), "rows": len(rows),
        "predicted": len(rows) - sum(read.dropped.values()), "not_predicted": read.dropped, "rows_written": written,
        "untrained_deletions": untrained,
    }  # fmt: skip
    if not is_stdout(out):
        show_result(document, lambda: show(f"{written:,} of {len(rows):,} rows in {out}"), json=json, essence=str(out))


def _read(path: Path, form: TableForm, lookup: Any) -> "GenotypeTable":
    from gocell_cli.sources.screens.genotype_table import read_genotypes

    read = read_genotypes(path, lookup, form.gene_column or (), form.sheet)
    for told in read.notes:
        note(told, "predict")
    return read


@contextmanager
def _regular(path: Path) -> Iterator[Path]:
    """Yield a file that can be read twice, as telling a table's format needs: of stdin a copy."""
    if str(path) != "-":
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "stdin"
        with copy.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        yield copy


def _write(rows: "GenotypeRows", form: TableForm, out: Path) -> int:
    """Write the rows, or the first of the ranking; returns how many."""
    from gocell_cli.training.inference.best_of import Ranking

    ranking = Ranking(form.top, form.rank_by.value, rows.answers.first.kind) if form.top else None
    written = 0

    def counted(tables: "Iterable[pa.Table]") -> "Iterator[pa.Table]":
        nonlocal written
        for table in tables:
            written += len(table)
            yield table if out.suffix == ".parquet" else _without_lists(table)

    with prediction_progress("genotypes") as report:
        write_tables(counted([rows.best(ranking, report)] if ranking else rows.tables(report)), out)
    return written


def _without_lists(table: "pa.Table") -> "pa.Table":
    """Return a table whose lists are their numbers with blanks between: what a cell of text can hold."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for at, field in enumerate(table.schema):
        if pa.types.is_list(field.type):
            texts = pc.binary_join(pc.cast(table.column(at), pa.list_(pa.string())), " ")
            table = table.set_column(at, field.name, texts)
    return table


def _tell_dropped(read: "GenotypeTable") -> None:
    for reason, rows in read.dropped.items():
        first = next(why for why in read.reason if why.startswith(reason))
        note(f"{rows:,} of {len(read.line):,} rows are not predicted: {reason} (the first: {first})", "warning")
