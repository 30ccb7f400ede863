"""A lab's own table -> Dataset: a genes column, or gene_1 .. gene_k, a phenotype, and what else its columns say.

table_pieces                columns of text, whatever the file's format, a few hundred thousand rows at once
-> table_columns            which of them hold genes, phenotype, alleles ...
-> kept_pieces              each row's names as numbers, its values
-> _Reading                 each distinct name of the table looked up once; each row's genes
-> table_strains            strains and query groups, where their columns are named
"""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int8, Int32, Int64

from gocell_cli.domain.genes import GeneTable
from gocell_cli.domain.genotype import NO_GENE, Dataset, Label, Measurements, Phenotype
from gocell_cli.errors import InvalidInput
from gocell_cli.free_memory import require_memory
from gocell_cli.gene_names import AMBIGUOUS, UNKNOWN, GeneNames, LookUp, NameCounts, RowCounts, row_counts
from gocell_cli.sources.screens.cell_names import names_of, numbered
from gocell_cli.sources.screens.kept_pieces import INLINE, ReadAhead, keep, kept_pieces
from gocell_cli.sources.screens.kept_table import KeptPiece
from gocell_cli.sources.screens.lab_names import NO_NAME, LabNames, in_lab_notation, made_a_date
from gocell_cli.sources.screens.table_columns import (
    EXACT,
    LAB,
    REJECT,
    Columns,
    TableOptions,
    choose_columns,
    is_gene_column,
    kind_of,
    read_statistic,
)
from gocell_cli.sources.screens.table_file import Measured, TableFile, read_table
from gocell_cli.sources.screens.table_notes import SHOWN, BlankGenes, Rejecting, table_notes
from gocell_cli.sources.screens.table_strains import (
    TableStrains,
    join_queries,
    join_strains,
    table_queries,
    table_strains,
)
from gocell_cli.sources.text_file import require_file, sha256_of

NAME = "table"
ROW_BYTES = 48
"""What a row of two genes takes at least until rows of one genotype are merged: its columns, twice."""
REASONS = (
    "no_gene", "blank_gene", "date_for_gene", "unknown_gene", "ambiguous_gene", "genes_not_distinct", "no_phenotype",
)  # fmt: skip
"""Why rows are dropped, in the order in which a row counts to which several apply."""


class _Rows(NamedTuple):
    """The usable rows of a piece, and what was counted of all of them. `tables` are its strains and its queries."""

    genotype: Int32[np.ndarray, "rows names_max"]
    labels: tuple[Label, ...]
    line: Int64[np.ndarray, " rows"]
    strains: TableStrains
    query: Int32[np.ndarray, " rows"]
    queries: tuple[str, ...]
    dropped: dict[str, int]
    counts: RowCounts
    blank: list[int]
    blanks: int


class _Reading:
    """A table whose pieces are read: what all its names stand for, and with that each piece's rows."""

    def __init__(self, pieces: list[KeptPiece], genes: GeneTable, options: TableOptions) -> None:
        self.columns, self.genes, self.options = pieces[0].columns, genes, options
        index: dict[str, int] = {}
        # each piece's own numbers of names -> the table's; the last entry answers for NO_NAME
        numbers = [numbered(piece.table.own_names, index) for piece in pieces]
        every = np.arange(len(index), dtype=np.int32)[:, None]
        found = genes.lookup.look_up(tuple(index))
        self.found, self.lab, of_name = found, LabNames({}), every
        if options.notation == LAB:
            of_name, self.found, self.lab = in_lab_notation(every, found, genes.lookup)
        place = np.append(of_name[:, 0], np.int32(NO_NAME)).astype(np.int32)
        self._number = [np.append(place[number], np.int32(NO_NAME)) for number in numbers]
        self._dates = dates_among(self.found)
        self.rejecting = Rejecting(genes.lookup, self.columns, REASONS)
        self.statistics = [kind for kind, _ in self._statistics(pieces[0].opened())]

    def rows(self, at: int, piece: KeptPiece) -> _Rows:
        """Return the usable rows of a piece."""
        table, columns = piece.opened(), self.columns
        names = self._number[at][table.names] if table.names is not None else np.zeros((0, 1), dtype=np.int32)
        gene = genes_of_names(self.found, names)
        genotype = sorted_genes(np.maximum(gene, NO_GENE))
        blank = _blank(names, columns)
        values = [table.measured(name).values for name in (columns.phenotype, *(name for name, _ in columns.others))]
        refused = blank if self.options.blank_gene == REJECT else None
        reason, dropped = unusable(names, gene, genotype, _some_value(values), self._dates, refused)
        self.rejecting.add(table, reason, names, self.found)
        kept = reason < 0
        rows = np.flatnonzero(kept)
        # a slice where all are: nothing is copied
        some: slice | Int64[np.ndarray, " rows"] = slice(None) if len(rows) == len(kept) else rows
        named = _named_alleles(columns, self.lab)
        query, queries = table_queries(table, columns, rows, self.genes.lookup)
        statistics = [found for _, found in self._statistics(table)]
        return _Rows(
            genotype=_trimmed(genotype[some]),
            labels=tuple(Label(v[some], s[some]) for v, s in zip(values, statistics, strict=True)),
            line=table.line[some],
            strains=table_strains(table, named, gene[some], rows, self.genes, self.options.decimal),
            query=query,
            queries=queries,
            dropped=dropped,
            counts=row_counts(self.found, names),
            blank=table.line[blank][:SHOWN].tolist(),
            blanks=int(blank.sum()),
        )

    def _statistics(self, table: TableFile) -> list[tuple[str, Float64[np.ndarray, " rows"]]]:
        """Kind and values of each phenotype's statistic."""
        named = (self.columns.statistic, *(name for _, name in self.columns.others))
        return [read_statistic(table, name, self.options.statistic_kind, self.options.decimal) for name in named]


def read(
    path: Path, genes: GeneTable, options: TableOptions, ahead: ReadAhead = INLINE
) -> tuple[Dataset, tuple[str, ...]]:
    """Read a table; also returns what is to be told of how it was read.

    A long one is read in pieces, by several processes where `ahead` says so, with the same result.

    Raises SourceMissing where there is no such file, InvalidInput with the line where it is damaged, lacks a column
    or holds no usable row. Rows without a gene, with an unknown, an ambiguous or a repeated one, or without a phenotype
    are dropped and counted: which of several genes a lab meant is not for us to guess.
    """
    require_file(path)
    sha256 = sha256_of(path)
    begun = time.perf_counter()
    pieces = kept_pieces(path, options, genes.lookup, ahead, sha256)
    if not pieces:
        table = read_table(path, is_key=is_gene_column, sheet=options.sheet, form=options.form)
        pieces = [keep(table, choose_columns(table, options), options, genes.lookup)]
    found = _dataset(pieces, genes, options, sha256)
    if ahead.sampled is not None:
        ahead.sampled.seconds = time.perf_counter() - begun
    return found


def _dataset(
    pieces: list[KeptPiece], genes: GeneTable, options: TableOptions, sha256: str
) -> tuple[Dataset, tuple[str, ...]]:
    """The data set of a table's pieces, which are taken out of their list one by one; and what is told of them."""
    head, columns, total = pieces[0].table, pieces[0].columns, sum(piece.rows for piece in pieces)
    decimal, words = _marks_and_words([piece.table.numbers[columns.phenotype] for piece in pieces])
    require_memory(total * ROW_BYTES, f"{head.path}: its {total:,} rows")
    reading = _Reading(pieces, genes, options)
    # each leaves the list as it is read: its text is gone then
    parts = [reading.rows(at, pieces.pop(0)) for at in range(len(pieces))]
    dropped = {name: n for name in REASONS if (n := sum(part.dropped.get(name, 0) for part in parts))}
    told = genes.lookup.counts_of(NAME, reading.found, [part.counts for part in parts])
    if not sum(len(part.line) for part in parts):
        raise _nothing_left(head, total, columns, told, dropped)
    blank = BlankGenes([line for part in parts for line in part.blank][:SHOWN], sum(part.blanks for part in parts))
    strains = join_strains([part.strains for part in parts])
    query, queries = join_queries([(part.query, part.queries) for part in parts])
    kinds = _kinds(columns, options)
    statistics = reading.statistics
    dataset = Dataset(
        name=NAME,
        phenotype=Phenotype(kinds[0], statistics[0]),
        others=tuple(map(Phenotype, kinds[1:], statistics[1:])),
        measurements=_measurements(parts, columns, strains, query),
        strains=strains.strains,
        queries=queries,
        rows_read=total,
        dropped=dropped,
        sources={"raw": sha256},
        options=_chosen(columns, statistics[0], options),
        names=(told,),
        kinds=strains.kinds,
        fitness=strains.fitness,
        rejected=reading.rejecting.rejected,
    )
    return dataset, (*head.notes, *table_notes(head, columns, options, decimal, reading.lab, words, blank, total))


def _marks_and_words(found: Sequence[Measured]) -> tuple[str, dict[str, int]]:
    """The decimal mark of a column whose pieces agree, and its words for missing numbers, the most frequent first."""
    words: Counter[str] = Counter()
    for measured in found:
        words.update(measured.words)
    # stable: of equally frequent ones the first to be met comes first
    return max(measured.decimal for measured in found), dict(sorted(words.items(), key=lambda one: -one[1]))


def _measurements(
    parts: list[_Rows], columns: Columns, strains: TableStrains, query: Int32[np.ndarray, " rows"]
) -> Measurements:
    """The rows of all parts, column by column."""
    labels = []
    for i, statistic in enumerate((columns.statistic, *(name for _, name in columns.others))):
        value = _joined([part.labels[i].value for part in parts])
        # where there is none, one NaN stands for all: a column of them would be 8 bytes a row
        none = np.broadcast_to(np.float64(np.nan), value.shape)
        found = [part.labels[i].statistic for part in parts] if statistic is not None else [none]
        labels.append(Label(value, _joined(found)))
    return Measurements(
        genes=_stacked([part.genotype for part in parts]),
        value=labels[0].value,
        statistic=labels[0].statistic,
        row=_joined([part.line for part in parts]),
        query_strain=strains.query,
        array_strain=strains.array,
        query=query,
        others=tuple(labels[1:]),
    )


def _joined(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Columns one after another; a single one as it is."""
    return columns[0] if len(columns) == 1 else np.concatenate(columns)


def _stacked(parts: Sequence[Int32[np.ndarray, "_ _"]]) -> Int32[np.ndarray, "rows genes_max"]:
    """Genotypes of several widths, padded on the left, where NO_GENE stands."""
    width = max(part.shape[1] for part in parts)
    stacked = np.full((sum(map(len, parts)), width), NO_GENE, dtype=np.int32)
    at = 0
    for part in parts:
        stacked[at : at + len(part), width - part.shape[1] :] = part
        at += len(part)
    return stacked


def _named_alleles(columns: Columns, lab: LabNames) -> Columns:
    """The columns with those of the alleles: what a gene's cell says of it as a laboratory writes it is its allele."""
    return columns if columns.alleles or not lab.genes else replace(columns, alleles=columns.genes)


def _kinds(columns: Columns, options: TableOptions) -> tuple[str, ...]:
    """What the phenotypes are called."""
    return options.kinds or tuple(map(kind_of, (columns.phenotype, *(name for name, _ in columns.others))))


def _some_value(values: Sequence[Float64[np.ndarray, " rows"]]) -> Float64[np.ndarray, " rows"]:
    """The first value of each row that is one; NaN where a row has none."""
    found = values[0].copy()
    for more in values[1:]:
        np.copyto(found, more, where=np.isnan(found))
    return found


def _blank(names: Int32[np.ndarray, "rows names_max"], columns: Columns) -> Bool[np.ndarray, " rows"]:
    """Rows with an empty cell among several gene columns, and a gene in another."""
    if len(columns.genes) == 1:
        return np.zeros(len(names), dtype=bool)
    found: Bool[np.ndarray, " rows"] = (names == NO_NAME).any(axis=1) & (names != NO_NAME).any(axis=1)
    return found


def unusable(
    names: Int32[np.ndarray, "rows names_max"],
    gene: Int32[np.ndarray, "rows names_max"],
    genotype: Int32[np.ndarray, "rows names_max"],
    value: Float64[np.ndarray, " rows"],
    dates: Bool[np.ndarray, " names_plus_1"],
    blank: Bool[np.ndarray, " rows"] | None,
) -> tuple[Int8[np.ndarray, " rows"], dict[str, int]]:
    """Return the index in REASONS by which each row is dropped, -1 for those kept, and how many are by each.

    dates: of the names that `names` index, and of none at the end, `dates_among`. A row counts under the first reason
    that applies to it.
    """
    applies = (
        (names == NO_NAME).all(axis=1),
        np.zeros(len(names), dtype=bool) if blank is None else blank,
        dates[names].any(axis=1),
        ((gene == UNKNOWN) & (names != NO_NAME)).any(axis=1),
        (gene == AMBIGUOUS).any(axis=1),
        ((genotype[:, 1:] == genotype[:, :-1]) & (genotype[:, 1:] != NO_GENE)).any(axis=1),
        np.isnan(value),
    )
    reason = np.full(len(names), -1, dtype=np.int8)
    for number in reversed(range(len(applies))):
        reason[applies[number]] = number
    counts = np.bincount(reason[reason >= 0], minlength=len(REASONS)).tolist()
    return reason, {name: n for name, n in zip(REASONS, counts, strict=True) if n}


def dates_among(found: LookUp) -> Bool[np.ndarray, " names_plus_1"]:
    """Which names that no gene has are dates, as spreadsheets make them; the last entry answers for NO_NAME."""
    dates = [g == UNKNOWN and made_a_date(t) != () for t, g in zip(found.names, found.gene.tolist(), strict=True)]
    return np.array([*dates, False], dtype=bool)


def _chosen(columns: Columns, statistic_kind: str, options: TableOptions) -> dict[str, str]:
    """What a cache's configuration says of the columns; only those that were named, as caches had it before."""
    several = {
        "phenotype_columns": ",".join(name for name, _ in columns.others),
        "statistic_columns": ",".join(name or "" for _, name in columns.others),
    }
    others = {
        **(several if columns.others else {}),
        "allele_columns": ",".join(columns.alleles),
        "fitness_columns": ",".join(columns.fitness),
        "statistic_column": columns.statistic,
        "statistic_kind": statistic_kind,
        "query_column": columns.query,
        "group_column": columns.group,
        "gene_column": ",".join(columns.genes) if options.genes else "",
        "decimal": options.decimal,
        "notation": options.notation if options.notation == EXACT else "",
        "blank_gene": options.blank_gene if options.blank_gene == REJECT else "",
    }
    return {"phenotype_column": columns.phenotype, **{name: text for name, text in others.items() if text}}


def _nothing_left(
    table: TableFile, rows: int, columns: Columns, told: NameCounts, dropped: dict[str, int]
) -> InvalidInput:
    unknown = f"; unknown: {', '.join(told.unknown[:3])}" if told.unknown else ""
    shared = f"; of several genes: {', '.join(name for name, _ in told.ambiguous[:3])}" if told.ambiguous else ""
    reason = max(dropped, key=lambda reason: dropped[reason])
    hint = {
        "no_gene": f"is {columns.genes[0]!r} the column of the deleted genes? The columns are {table.named}",
        "no_phenotype": f"choose another of the columns {table.named} with --phenotype-column",
        "date_for_gene": "format the gene column as text in the spreadsheet, and type the names again",
        "genes_not_distinct": "each row deletes a gene once; leave out what is no gene of the row's",
    }
    return InvalidInput(
        f"{table.path}: none of its {rows} rows can be used",
        why=f"dropped: {dropped}{unknown}{shared}",
        hint=hint.get(reason, "choose annotations of the same organism and gene names (--gaf, --gene-id, --taxon)"),
    )


def look_up_genes(
    table: TableFile, columns: tuple[str, ...], lookup: GeneNames, *, notation: str = LAB, blanks: bool = True
) -> tuple[Int32[np.ndarray, "rows names_max"], LookUp, LabNames]:
    """Return each row's names, as indices of the distinct ones (NO_NAME: none), and what these stand for.

    The third are the names that are an allele's of a gene, where `notation` allows them. `columns` are gene_1,
    gene_2 .. of one gene each, or one of another name, whose cells may hold several. blanks: whether a word such as
    `none` or `WT` stands for no gene.
    """
    index: dict[str, int] = {}
    names = names_of(table, columns, lookup, index)
    found = lookup.look_up(tuple(index))
    return in_lab_notation(names, found, lookup, blanks=blanks) if notation == LAB else (names, found, LabNames({}))


def genes_of_names(found: LookUp, names: Int32[np.ndarray, "rows names_max"]) -> Int32[np.ndarray, "rows names_max"]:
    """Return the gene of each name; NO_GENE where there is no name, UNKNOWN or AMBIGUOUS where it is not one gene's."""
    # the last entry answers for NO_NAME
    genes: Int32[np.ndarray, "rows names_max"] = np.append(found.gene, np.int32(NO_GENE))[names]
    return genes


def sorted_genes(gene: Int32[np.ndarray, "rows genes"]) -> Int32[np.ndarray, "rows genes"]:
    """Return each row's genes, ascending."""
    if gene.shape[1] != 2:
        return np.sort(gene, axis=1)
    # the usual width, at a tenth of the time
    return np.array([gene.min(axis=1), gene.max(axis=1)]).T


def _trimmed(genotype: Int32[np.ndarray, "rows wide"]) -> Int32[np.ndarray, "rows genes_max"]:
    """NO_GENE stands on the left, so columns without any gene are the first ones."""
    empty = int((genotype == NO_GENE).all(axis=0).sum())
    return np.ascontiguousarray(genotype[:, empty:])
