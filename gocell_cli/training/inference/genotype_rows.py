"""Predictions of a table of genotypes, row by row as they came, or the best of them; a few thousand in memory."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
from jaxtyping import Int64

from gocell_cli.errors import UsageError
from gocell_cli.training.inference.answers import Answers, by_order
from gocell_cli.training.inference.best_of import Ranking
from gocell_cli.training.inference.requests import INTERACTIONS

ROWS = 8192
"""Genotypes predicted at once."""
ROW, GENES, REASON = "row", "genes", "reason"
GENOTYPE = "genotype"
"""Beside the columns of rows that are ranked: their genes' indices, by which the terms of the first are asked."""
WILD_TYPE = "WT"
"""What stands for the genes of the wild type: one word, which a table that is read has for it, too."""


@dataclass(frozen=True)
class GenotypeRows:
    """Genotypes as CSR of the hierarchy's genes, ascending; `line` is the number of each one's row in its table.

    reason: why a row is not predicted, "" where it is. One without reason and gene is the wild type.
    """

    answers: Answers
    ptr: Int64[np.ndarray, " rows_plus_1"]
    genes: Int64[np.ndarray, " deletions"]
    line: Int64[np.ndarray, " rows"]
    reason: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.line)

    @property
    def schema(self) -> pa.Schema:
        """The columns: row, genes (systematic names, blanks between), predictions, the reason where there is none."""
        return row_schema(self.answers)

    def tables(self) -> Iterator[pa.Table]:
        """Yield the rows in their order; raises Diverged as `columns` does."""
        for begin in range(0, len(self), ROWS):
            yield self._table(begin, min(begin + ROWS, len(self)))

    def to_rank(self) -> Iterator[pa.Table]:
        """Yield the same, each with its genotype: what `best_of` takes."""
        begin = 0
        for table in self.tables():
            ptr = self.ptr[begin : begin + len(table) + 1]
            of_each = pa.ListArray.from_arrays(
                pa.array(ptr - ptr[0], pa.int32()), pa.array(self.genes[ptr[0] : ptr[-1]])
            )
            yield table.append_column(GENOTYPE, of_each)
            begin += len(table)

    def _table(self, begin: int, end: int) -> pa.Table:
        ptr, genes = self.ptr[begin : end + 1], self.genes
        names = self.answers.first.hierarchy.gene_names
        reason = [why or None for why in self.reason[begin:end]]
        texts = [
            " ".join(names[g] for g in genes[a:b]) or (None if why else WILD_TYPE)
            for (a, b), why in zip(pairwise(ptr.tolist()), reason, strict=True)
        ]
        predicted = np.flatnonzero([why is None for why in reason])
        columns = self._predicted(predicted, begin, end)
        own = {ROW: pa.array(self.line[begin:end]), GENES: pa.array(texts, pa.string())}
        arrays = {**own, **columns, REASON: pa.array(reason, pa.string())}
        return pa.table([arrays[name] for name in self.schema.names], schema=self.schema)

    def _predicted(self, rows: Int64[np.ndarray, " predicted"], begin: int, end: int) -> dict[str, pa.Array]:
        """Return the columns of all rows of a piece, null where one has no such number."""
        lengths = np.diff(self.ptr[begin : end + 1])[rows]
        # rows without a reason have all the genes there are
        genes = self.genes[self.ptr[begin] : self.ptr[end]]
        own = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)])
        pieces: dict[str, list[pa.Array]] = {
            name: [] for name in (f.name for f in self.answers.fields(tuple(INTERACTIONS)))
        }
        places: dict[str, list[np.ndarray]] = {name: [] for name in pieces}
        for at, genotypes in by_order(own, genes):
            for name, column in self.answers.columns(genotypes).items():
                pieces[name].append(column)
                places[name].append(rows[at])
        return {name: self._placed(name, pieces[name], places[name], end - begin) for name in pieces}

    def _placed(self, name: str, pieces: list[pa.Array], places: list[np.ndarray], rows: int) -> pa.Array:
        kind = self.schema.field(name).type
        # nowhere: one past the last, where a null stands
        source = np.full(rows, sum(map(len, pieces)), dtype=np.int64)
        if places:
            at = np.concatenate(places)
            source[at] = np.arange(len(at))
        return pa.concat_arrays([*pieces, pa.nulls(1, kind)]).take(pa.array(source))


def row_schema(answers: Answers) -> pa.Schema:
    """Return the columns of a table of predictions."""
    own = [(ROW, pa.int64()), (GENES, pa.string())]
    return pa.schema([*own, *answers.fields(tuple(INTERACTIONS)), (REASON, pa.string())])


def best_of(tables: Iterable[pa.Table], ranking: Ranking, answers: Answers) -> pa.Table:
    """Return the rows of a ranking, the first of it first, with the terms of `answers`, asked of these rows alone.

    `tables` are of `to_rank`, without terms. Raises UsageError where no row has the ranking's number.
    """
    found: pa.Table | None = None
    for table in tables:
        found = ranking.kept(table if found is None else pa.concat_tables([found, table]))
    if found is None or not len(found):
        raise UsageError(f"no genotype has {ranking.column}", hint="--rank-by lowest or highest")
    columns = dict(zip(found.column_names, found.columns, strict=True)) | _terms_of(found, answers)
    schema = row_schema(answers)
    return pa.table([columns[name] for name in schema.names], schema=schema)


def _terms_of(rows: pa.Table, answers: Answers) -> dict[str, pa.Array]:
    """Return the columns of the terms, of rows that all have a genotype; {} without terms."""
    genotypes = rows.column(GENOTYPE).combine_chunks()
    lengths = np.array([len(genotype) for genotype in genotypes], dtype=np.int64)
    ptr = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)])
    pieces: dict[str, list[pa.Array]] = {}
    places: list[np.ndarray] = []
    for at, genes in by_order(ptr, genotypes.flatten().to_numpy()):
        places.append(at)
        for name, column in answers.of_terms(genes).items():
            pieces.setdefault(name, []).append(column)
    back = pa.array(np.argsort(np.concatenate(places)))
    return {name: pa.concat_arrays(each).take(back) for name, each in pieces.items()}
