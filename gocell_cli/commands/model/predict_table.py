"""`gocell predict --input FILE`: a table of genotypes in, a table of predictions out."""

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
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
    import numpy as np
    import pyarrow as pa

    from gocell_cli.sources.screens.genotype_table import Genotypes, GenotypeTable
    from gocell_cli.training.inference.answers import Answers
    from gocell_cli.training.inference.predict import Predictor


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
    run: Path,
    form: TableForm,
    out: Path | None,
    model: str | None,
    cache: Path | None,
    phenotype: str | None = None,
    *,
    json: bool,
) -> None:
    """Read, predict, write: a row for each of the table's, or the --top of them; to stdout, as TSV, without --out."""
    from gocell_cli.training.inference.requests import require_ranking, terms_named

    if out is None and json:
        raise UsageError("--json tells what was written to a file", hint="--out predictions.parquet")
    out = out or STDOUT
    opening = Opening(run, cache, model, phenotype)
    opening.tell()
    opening.named([])
    if opening.hierarchy is not None:
        terms_named(opening.hierarchy.term_ids, form.term_names())
    if form.top is not None:
        require_ranking(form.rank_by.value, opening.records[0].kind)
    with _regular(form.input or Path("-")) as path:
        read = None if opening.hierarchy is None else _read(path, form, opening.hierarchy.lookup)
        predictors = opening.open()
        read = read or _read(path, form, predictors[0].hierarchy.lookup)
        told = _predict(read, predictors, form, out)
    if not is_stdout(out):
        said = f"{told['rows_written']:,} of {told['rows']:,} rows in {out}"
        show_result(told, lambda: show(said), json=json, essence=str(out))


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


@dataclass
class Counts:
    """What became of a table's rows, counted while they go by; `first` has the first reason of each kind in full."""

    rows: int = 0
    written: int = 0
    wild_type: int = 0
    untrained: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    first: dict[str, str] = field(default_factory=dict)

    def add(self, piece: "Genotypes", trained: "np.ndarray") -> None:
        """Count a piece of the table."""
        reasons = [why for why in piece.reason if why]
        for why in reasons:
            word = why.partition(": ")[0]
            self.dropped[word] = self.dropped.get(word, 0) + 1
            self.first.setdefault(word, why)
        self.rows += len(piece)
        self.wild_type += int((piece.ptr[1:] == piece.ptr[:-1]).sum()) - len(reasons)
        self.untrained += int((~trained[piece.genes]).sum())

    def tell(self) -> None:
        """Say on stderr what is not predicted, and what is predicted of little."""
        for reason, rows in self.dropped.items():
            advice = "; WT in a cell means the wild type" if reason == "no_gene" else ""
            note(
                f"{rows:,} of {self.rows:,} rows are not predicted: {reason} (the first: {self.first[reason]}){advice}",
                "warning",
            )
        if self.wild_type:
            note(f"{self.wild_type:,} of {self.rows:,} rows are the wild type, which deletes nothing", "predict")
        if self.untrained:
            told = f"{self.untrained:,} deletions are of genes never deleted in training: column untrained_genes"
            note(told, "warning")


def _predict(
    read: "GenotypeTable", predictors: "tuple[Predictor, ...]", form: TableForm, out: Path
) -> dict[str, object]:
    """Write the rows, or the first of the ranking; returns the document that says so."""
    from gocell_cli.training.inference.answers import Answers
    from gocell_cli.training.inference.best_of import Ranking
    from gocell_cli.training.inference.genotype_rows import best_of

    answers, counts = Answers.of(predictors, form.term_names()), Counts()
    ranking = Ranking(form.top, form.rank_by.value, answers.first.kind) if form.top else None

    def counted(tables: "Iterable[pa.Table]") -> "Iterator[pa.Table]":
        for table in tables:
            counts.written += len(table)
            yield table if out.suffix == ".parquet" else without_lists(table)

    with prediction_progress("genotypes") as report:
        # of a ranking terms are asked of its rows alone: they cost a dense pass each
        asked = replace(answers, terms=()) if ranking else answers
        tables = _tables(read, asked, counts, report, ranked=ranking is not None)
        write_tables(counted([best_of(tables, ranking, answers)] if ranking else tables), out)
    counts.tell()
    return {
        "out": str(out), "phenotype": answers.first.kind, "runs": len(predictors), "rows": counts.rows,
        "predicted": counts.rows - sum(counts.dropped.values()), "wild_type": counts.wild_type,
        "not_predicted": counts.dropped, "rows_written": counts.written, "untrained_deletions": counts.untrained,
    }  # fmt: skip


def _tables(
    read: "GenotypeTable", answers: "Answers", counts: Counts, report: Callable[[int, int], None], *, ranked: bool
) -> "Iterator[pa.Table]":
    """Yield the predicted rows, a piece of the table in memory at a time; with genotypes where they are ranked."""
    from gocell_cli.training.inference.genotype_rows import GenotypeRows

    done = 0
    for piece in read.pieces():
        counts.add(piece, answers.trained)
        rows = GenotypeRows(answers, piece.ptr, piece.genes, piece.line, piece.reason)
        for table in rows.to_rank() if ranked else rows.tables():
            yield table
            done += len(table)
            report(done, read.rows)


def without_lists(table: "pa.Table") -> "pa.Table":
    """Return a table whose lists of numbers are JSON's: `[-0.5,1.25]`, which no spreadsheet takes for a formula."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for at, column in enumerate(table.schema):
        if pa.types.is_list(column.type):
            texts = pc.binary_join(pc.cast(table.column(at), pa.list_(pa.string())), ",")
            table = table.set_column(at, column.name, pc.binary_join_element_wise("[", texts, "]", ""))
    return table
