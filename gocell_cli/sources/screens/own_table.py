"""A lab's own table -> Dataset: a genes column, or gene_1 .. gene_k, a phenotype, and what else its columns say.

table_file.read_table         columns of text, whatever the file's format
-> table_columns            which of them hold genes, phenotype, alleles ...
-> look_up_genes            each distinct name once; each row's names as indices
-> table_strains            strains and query groups, where their columns are named
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Float64, Int8, Int32

from gocell_cli.domain.genes import GeneTable
from gocell_cli.domain.genotype import NO_GENE, Dataset, Label, Measurements, Phenotype
from gocell_cli.errors import InvalidInput
from gocell_cli.gene_names import AMBIGUOUS, UNKNOWN, GeneNames, LookUp, NameCounts
from gocell_cli.sources.screens.lab_names import NO_NAME, LabNames, in_lab_notation, made_a_date
from gocell_cli.sources.screens.table_columns import (
    EXACT,
    LAB,
    REJECT,
    Columns,
    TableOptions,
    choose_columns,
    holds_one_gene,
    is_gene_column,
    kind_of,
    read_statistic,
)
from gocell_cli.sources.screens.table_file import TableFile, read_table
from gocell_cli.sources.screens.table_notes import rejected_rows, table_notes
from gocell_cli.sources.screens.table_strains import table_queries, table_strains
from gocell_cli.sources.text_file import sha256_of
from gocell_cli.user_text import from_cell

NAME = "table"
REASONS = (
    "no_gene", "blank_gene", "date_for_gene", "unknown_gene", "ambiguous_gene", "genes_not_distinct", "no_phenotype",
)  # fmt: skip
"""Why rows are dropped, in the order in which a row counts to which several apply."""
SEPARATORS = r"[\s\x0b\x1c-\x1f,;|+/]+"
"""What RE2 splits cells of ASCII at, as gene_names.PART does."""


def read(path: Path, genes: GeneTable, options: TableOptions) -> tuple[Dataset, tuple[str, ...]]:
    """Read a table; also returns what is to be told of how it was read.

    Raises SourceMissing where there is no such file, InvalidInput with the line where it is damaged, lacks a column
    or holds no usable row. Rows without a gene, with an unknown, an ambiguous or a repeated one, or without a phenotype
    are dropped and counted: which of several genes a lab meant is not for us to guess.
    """
    table = read_table(path, is_key=is_gene_column, sheet=options.sheet, form=options.form)
    columns = choose_columns(table, options)
    value, decimal, words = table.measured(columns.phenotype, options.decimal)
    statistic_kind, statistic = read_statistic(table, columns.statistic, options.statistic_kind, options.decimal)
    others, labels = _other_phenotypes(table, columns, options)
    names, found, lab = look_up_genes(table, columns.genes, genes.lookup, notation=options.notation)
    gene = genes_of_names(found, names)
    genotype = sorted_genes(np.maximum(gene, NO_GENE))
    blank = _blank(names, columns)
    some, refused = _some_value((value, *(x.value for x in labels))), blank if options.blank_gene == REJECT else None
    reason, dropped = unusable(names, gene, genotype, some, found, refused)
    told = genes.lookup.counts(NAME, found, names)
    if not len(rows := np.flatnonzero(reason < 0)):
        raise _nothing_left(table, columns, told, dropped)
    strains = table_strains(table, _named_alleles(columns, lab), gene[rows], rows, genes, options.decimal)
    query, queries = table_queries(table, columns, rows, genes.lookup)
    measured = Measurements(
        genes=_trimmed(genotype[rows]),
        value=value[rows],
        statistic=statistic[rows],
        row=table.line[rows],
        query_strain=strains.query,
        array_strain=strains.array,
        query=query,
        others=tuple(Label(x.value[rows], x.statistic[rows]) for x in labels),
    )
    dataset = Dataset(
        name=NAME,
        phenotype=Phenotype(_kinds(columns, options)[0], statistic_kind),
        others=others,
        measurements=measured,
        strains=strains.strains,
        queries=queries,
        rows_read=len(value),
        dropped=dropped,
        sources={"raw": sha256_of(path)},
        options=_chosen(columns, statistic_kind, options),
        names=(told,),
        kinds=strains.kinds,
        fitness=strains.fitness,
        rejected=rejected_rows(table, columns, reason, REASONS, names, found, genes.lookup),
    )
    return dataset, (*table.notes, *table_notes(table, columns, options, decimal, lab, words, blank))


def _named_alleles(columns: Columns, lab: LabNames) -> Columns:
    """The columns with those of the alleles: what a gene's cell says of it as a laboratory writes it is its allele."""
    return columns if columns.alleles or not lab.genes else replace(columns, alleles=columns.genes)


def _kinds(columns: Columns, options: TableOptions) -> tuple[str, ...]:
    """What the phenotypes are called."""
    return options.kinds or tuple(map(kind_of, (columns.phenotype, *(name for name, _ in columns.others))))


def _other_phenotypes(
    table: TableFile, columns: Columns, options: TableOptions
) -> tuple[tuple[Phenotype, ...], tuple[Label, ...]]:
    """The phenotypes after the first, and their labels in all rows of the table."""
    phenotypes, labels = [], []
    for kind, (column, statistic_column) in zip(_kinds(columns, options)[1:], columns.others, strict=True):
        value = table.measured(column, options.decimal).values
        statistic_kind, statistic = read_statistic(table, statistic_column, options.statistic_kind, options.decimal)
        phenotypes.append(Phenotype(kind, statistic_kind))
        labels.append(Label(value, statistic))
    return tuple(phenotypes), tuple(labels)


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
    found: LookUp,
    blank: Bool[np.ndarray, " rows"] | None,
) -> tuple[Int8[np.ndarray, " rows"], dict[str, int]]:
    """Return the index in REASONS by which each row is dropped, -1 for those kept, and how many are by each.

    A row counts under the first reason that applies to it.
    """
    dates = np.array([g == UNKNOWN and made_a_date(t) != () for t, g in zip(found.names, found.gene, strict=True)])
    applies = (
        (names == NO_NAME).all(axis=1),
        np.zeros(len(names), dtype=bool) if blank is None else blank,
        # the last entry answers for NO_NAME
        np.append(dates, False)[names].any(axis=1),
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


def _nothing_left(table: TableFile, columns: Columns, told: NameCounts, dropped: dict[str, int]) -> InvalidInput:
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
        f"{table.path}: none of its {len(table)} rows can be used",
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


def names_of(
    table: TableFile, columns: tuple[str, ...], lookup: GeneNames, index: dict[str, int]
) -> Int32[np.ndarray, "rows names_max"]:
    """Return each row's names by their numbers in `index`, which gets those that it has not (NO_NAME: none)."""
    # names lie by columns in memory: all that follows goes through a few columns of many rows
    if len(columns) == 1 and not holds_one_gene(columns[0]):
        coded = table.texts(columns[0])
        cells = np.ascontiguousarray(_names_of_cells(coded.texts, lookup, index).T)
        one: Int32[np.ndarray, "rows names_max"] = np.take(cells, coded.codes, axis=1).T
        return one
    # a column of one gene: its cells are names as they are, whatever signs they hold
    coded_columns = [table.texts(name) for name in columns]
    found: Int32[np.ndarray, "rows names_max"] = np.array(
        [_numbered([*map(from_cell, c.texts)], index)[c.codes] for c in coded_columns]
    ).T
    return found


def _numbered(texts: Sequence[str], index: dict[str, int]) -> Int32[np.ndarray, " texts"]:
    """The number of each text, which is given one where it is new; NO_NAME for an empty one."""
    return np.array([index.setdefault(t, len(index)) if t else NO_NAME for t in texts], dtype=np.int32)


def _names_of_cells(cells: list[str], lookup: GeneNames, index: dict[str, int]) -> Int32[np.ndarray, "cells names_max"]:
    """The names of each distinct cell, which may hold several.

    Cells are split at once, in Arrow, where splitting is all there is to it: where no part is the first of a name of
    several parts. The others, and those that are no ASCII, are looked at one by one.
    """
    array = pa.array(cells, pa.string())
    if pc.any(pc.starts_with(array, "'")).as_py():  # few cells do, and of all there may be millions
        cells = [*map(from_cell, cells)]
        array = pa.array(cells, pa.string())
    parts = pc.split_pattern_regex(array, SEPARATORS)
    flat = parts.flatten().dictionary_encode()
    texts = flat.dictionary.to_pylist()
    # an empty part stands before a separator that a cell begins with, or after one that it ends with
    special = np.array([text.upper() in lookup.openings for text in texts], dtype=bool)
    offsets = parts.offsets.to_numpy()
    codes = flat.indices.to_numpy()
    counted = np.add.reduceat(np.append(special[codes], False), offsets[:-1]) > 0
    one_by_one = counted | ~pc.string_is_ascii(array).to_numpy(zero_copy_only=False)
    named = {int(i): _numbered(lookup.names_in(cells[i]), index) for i in np.flatnonzero(one_by_one)}
    # parts of the cells that are looked at one by one are no names of their own
    wanted = np.repeat(~one_by_one, np.diff(offsets))
    number = np.full(len(texts), NO_NAME, dtype=np.int32)
    used = np.unique(codes[wanted])
    number[used] = _numbered([texts[i] for i in used.tolist()], index)
    filled = wanted & (number[codes] != NO_NAME)
    cell = np.repeat(np.arange(len(cells)), np.diff(offsets))[filled]
    count = np.bincount(cell, minlength=len(cells))
    width = max(int(count.max(initial=1)), max((len(n) for n in named.values()), default=1), 1)
    names = np.full((len(cells), width), NO_NAME, dtype=np.int32)
    place = np.arange(len(cell)) - np.repeat(np.cumsum(count) - count, count)
    names[cell, place] = number[codes[filled]]
    for i, found in named.items():
        names[i, : len(found)] = found
    return names


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
