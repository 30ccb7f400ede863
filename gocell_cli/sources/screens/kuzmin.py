"""Kuzmin et al. 2018 (doi:10.1126/science.aao1729, Data S1) and 2020 (doi:10.1126/science.aaz5667, Tables S1 and S3).

Data S1 is tab-separated text. Tables S1 and S3 are Excel workbooks with a caption in the first row and the same columns
in the second, the last two renamed; Table S5, the fitness of the query strains, repeats what their digenic rows say,
and is not read.

A query strain (`ORF1+ORF2_tm123`) is crossed with an array strain (`ORF_dma123`). Digenic rows are control crosses:
every one carries the neutral deletion ho (YDL227C), on either side of the +, and it is left out of the genotype.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int32, Shaped

from gocell_cli.domain.genes import GeneTable
from gocell_cli.domain.genotype import NO_GENE, Dataset, Measurements, Phenotype
from gocell_cli.domain.joined_datasets import join_datasets
from gocell_cli.errors import InvalidInput, UsageError
from gocell_cli.gene_names import HO, few_found
from gocell_cli.sources.download.catalog import KUZMIN2018, KUZMIN2020, RemoteSource
from gocell_cli.sources.download.find import Found
from gocell_cli.sources.download.find import find as find_files
from gocell_cli.sources.download.transfer import Watcher
from gocell_cli.sources.screens.sga import (
    KeptRows,
    LineBlocks,
    RowBlock,
    Wanted,
    block_of_texts,
    header_differs,
    stream_table,
)
from gocell_cli.sources.screens.strains import AMBIGUOUS, UNKNOWN, Side, StrainCodes
from gocell_cli.sources.screens.workbook import read_sheet
from gocell_cli.sources.text_file import sha256_of

MUTANT_TYPE = "Combined mutant type"
SCORE, P_VALUE = "Adjusted genetic interaction score (epsilon or tau)", "P-value"
QUERY_FITNESS, ARRAY_FITNESS = "Query single/double mutant fitness", "Array single mutant fitness"
FITNESS, FITNESS_SD = "Combined mutant fitness", "Combined mutant fitness standard deviation"
QUERY = Side("Query strain ID", "Query allele name", 2, "not a query strain id ORF1+ORF2_tmN")
ARRAY = Side("Array strain ID", "Array allele name", 1, "not an array strain id ORF_dmaN")
TEXTS = (QUERY.ids, QUERY.alleles, ARRAY.ids, ARRAY.alleles, MUTANT_TYPE)
COLUMNS = (
    *TEXTS,
    "Raw genetic interaction score (epsilon)",
    SCORE,
    P_VALUE,
    QUERY_FITNESS,
    ARRAY_FITNESS,
    FITNESS,
    FITNESS_SD,
)
WORKBOOK_HEADER = (*COLUMNS[:-2], "Double/triple mutant fitness", "Double/triple mutant fitness standard deviation")
WORKBOOK_HEADER_ROW = 2
RAW_EPSILON = (
    "the raw epsilon of a trigenic row crosses its query, a double mutant, with the array gene: it still holds the"
    " digenic interactions of the pairs, which tau has taken off"
)
"""Why trigenic rows have no epsilon here, though a column is called so."""
DELETED = {"digenic": 2, "trigenic": 3}
"""Genes that a combined mutant of each type lacks, ho not counted."""
ORDERS = ("all", *DELETED)
SMF = "smf"
# Kind, column of the value, column of its statistic, mutant types whose rows hold it.
PHENOTYPES = {
    # The adjusted score is tau in trigenic rows, epsilon in digenic ones: one column, two phenotypes.
    "tau": (Phenotype("tau", "p_value"), SCORE, P_VALUE, ("trigenic",)),
    "epsilon": (Phenotype("epsilon", "p_value"), SCORE, P_VALUE, ("digenic",)),
    "fitness": (Phenotype("fitness", "sd"), FITNESS, FITNESS_SD, ("digenic", "trigenic")),
    # Of smf both columns are values, of the row's two sides; every row has them, whatever its mutant type.
    SMF: (Phenotype(SMF, "sd"), QUERY_FITNESS, ARRAY_FITNESS, ()),
}


class Study(NamedTuple):
    """One of the two papers: its files, and the day it was published, YYYYMMDD."""

    source: RemoteSource
    # The day is compared with the annotations' dates: what is newer may have been annotated because of the study.
    published: int
    tables: tuple[str, ...]

    @property
    def name(self) -> str:
        """The data set's name."""
        return self.source.name


STUDIES = {
    study.name: study
    for study in (
        Study(KUZMIN2018, 20180420, ("aao1729_data_s1.tsv",)),
        Study(KUZMIN2020, 20200626, ("Table-S1.xlsx", "Table-S3.xlsx")),
    )
}


def find(
    study: Study, root: Path, *, own: Path | None = None, offline: bool = False, watcher: Watcher | None = None
) -> Found:
    """Return the tables that are read; raises as `download.find` does."""
    return find_files(study.source, root, study.tables, own=own, offline=offline, watcher=watcher)


def choose_several(name: str, phenotypes: Sequence[str], order: str) -> None:
    """Raise UsageError as `choose_rows` does for each of some phenotypes, and where one cannot stand beside others."""
    for phenotype in phenotypes:
        choose_rows(name, phenotype, order)
    if SMF in phenotypes and len(phenotypes) > 1:
        why = "it is of the two strains that a row crosses, not of the mutant that the row is"
        raise UsageError(f"{name}: {SMF} is no phenotype beside others", why=why, hint=f"a cache of --phenotype {SMF}")


def choose_rows(name: str, phenotype: str, order: str) -> tuple[str, ...]:
    """Return the mutant types that a phenotype and an order select; raises UsageError where none are."""
    if phenotype not in PHENOTYPES or order not in ORDERS:
        raise UsageError(
            f"{name} has no phenotype {phenotype!r} of order {order!r}",
            hint=f"--phenotype {'|'.join(PHENOTYPES)} --order {'|'.join(ORDERS)}",
        )
    if phenotype == SMF:
        if order != "all":
            raise UsageError(f"{SMF} is of single mutants, not of {order} ones", hint="leave out --order")
        return ()
    kinds = tuple(k for k in PHENOTYPES[phenotype][3] if order in ("all", k))
    if not kinds:
        raise UsageError(
            f"{phenotype} is measured in {PHENOTYPES[phenotype][3][0]} mutants only, not in {order} ones",
            why=RAW_EPSILON if phenotype == "epsilon" else "",
            hint=f"leave out --order, or use --phenotype fitness --order {order}",
        )
    return kinds


def read(
    study: Study, paths: Sequence[Path], genes: GeneTable, *, phenotype: str, order: str, others: Sequence[str] = ()
) -> Dataset:
    """Read the tables of a study, each text or workbook, as one data set.

    `others` are phenotypes beside the first: a row stays that holds any of them, of the mutant types of that one.
    Raises InvalidInput with file and line (of a workbook: row), also where no row of them holds the phenotype.
    """
    chosen = (phenotype, *others)
    choose_several(study.name, chosen, order)
    parts = [_read_table(study, path, genes, chosen, order) for path in paths]
    dataset = join_datasets(parts, chosen)  # checked as a whole: one of the tables may hold other rows only
    if len(dataset.measurements):
        return dataset
    for counts in dataset.names:  # first: no other phenotype helps where the genes are not those of the study
        few_found(counts, len(genes), " and ".join(map(str, paths)))
    found = ", ".join(f"{n} {reason}" for reason, n in dataset.dropped.items())
    raise InvalidInput(
        f"{' and '.join(map(str, paths))}: none of its {dataset.rows_read} rows holds a {' or '.join(chosen)}",
        why=f"rows dropped: {found}",
        hint="choose a phenotype that the table holds, for example --phenotype fitness",
    )


def _read_table(study: Study, path: Path, genes: GeneTable, chosen: Sequence[str], order: str) -> Dataset:
    phenotype, *others = chosen
    strains = StrainCodes(genes, neutral=HO)
    lines = LineBlocks(path) if path.suffix.lower() != ".xlsx" else None
    labels = [column for name in chosen for column in PHENOTYPES[name][1:3]]
    wanted = Wanted(COLUMNS, TEXTS, tuple(dict.fromkeys((*labels, QUERY_FITNESS, ARRAY_FITNESS))))
    blocks = stream_table(lines, wanted, _header_fault) if lines is not None else _workbook(path, wanted)
    if phenotype == SMF:
        measurements, rows_read, dropped = _single_mutants(blocks, strains)
        queries: tuple[str, ...] = ()
    else:
        kept = _combined_mutants(blocks, strains, {name: choose_rows(study.name, name, order) for name in chosen})
        rows_read, dropped = kept.rows_read, kept.dropped
        columns = kept.finish()
        query, queries = strains.queries(columns["query_strain"])
        measurements = Measurements.of_columns(columns, query)
    # -1, the array strain of every smf measurement, would index the last strain as if it were used.
    used = [measurements.query_strain, *([measurements.array_strain] if phenotype != SMF else [])]
    named = strains.sort(*used)
    return Dataset(
        name=study.name,
        phenotype=PHENOTYPES[phenotype][0],
        others=tuple(PHENOTYPES[name][0] for name in others),
        measurements=measurements,
        strains=named,
        queries=queries,
        rows_read=rows_read,
        dropped=dropped,
        sources={_file_name(study, path): lines.sha256 if lines is not None else sha256_of(path)},
        options={} if phenotype == SMF else {"order": order},
        published=study.published,
        names=(strains.name_counts(study.name),),
        fitness=strains.fitness(named),
    )


def _file_name(study: Study, path: Path) -> str:
    """The name of a table in a cache: `raw` for the only one, else the publisher's without the article's number."""
    return "raw" if len(study.tables) == 1 else path.name.removeprefix("aaz5667-")


def _header_fault(cells: list[str]) -> str | None:
    return header_differs(cells, COLUMNS)


def _workbook(path: Path, wanted: Wanted) -> Iterator[RowBlock]:
    """The rows of a workbook's first sheet as one block: calamine reads it whole, whatever its size."""
    rows = read_sheet(path, WORKBOOK_HEADER, header_row=WORKBOOK_HEADER_ROW).rows[WORKBOOK_HEADER_ROW:]
    columns = {}
    for name in (*wanted.texts, *wanted.numbers):
        # By COLUMNS, though the sheet's header is WORKBOOK_HEADER: same order, and only the last two names differ.
        cells = (row[COLUMNS.index(name)] for row in rows)
        # Numbers as Python writes them back in full: text, so that one parser decides what a number is.
        columns[name] = [cell if isinstance(cell, str) else repr(cell) for cell in cells]
    yield block_of_texts(path, WORKBOOK_HEADER_ROW + 1, columns, wanted)


def _combined_mutants(
    blocks: Iterator[RowBlock], strains: StrainCodes, chosen: Mapping[str, tuple[str, ...]]
) -> KeptRows:
    """The rows that hold a phenotype, tau, epsilon or fitness, and are of the mutant types that it is measured in."""
    kinds = set().union(*chosen.values())
    kept = KeptRows()
    for block in blocks:
        codes, types = _mutant_types(block)
        query, array = strains.encode(block, QUERY), strains.encode(block, ARRAY)
        served = strains.serve(query, array)
        genotype = _genotypes(strains.genes(), query, array)
        strains.note_fitness(query, block.numbers[QUERY_FITNESS])
        strains.note_fitness(array, block.numbers[ARRAY_FITNESS])
        # `types` holds each distinct text once; `codes` spreads what is known of it over the rows.
        deleted = np.array([DELETED[t] for t in types])[codes]
        labels = _labels(block, chosen, np.array(types)[codes])
        kept.add(
            {
                "other_order": ~np.array([t in kinds for t in types])[codes],
                "no_phenotype": np.all([np.isnan(v) for name, v in labels.items() if name.startswith("value")], axis=0),
                "unknown_gene": served == UNKNOWN,
                "ambiguous_gene": served == AMBIGUOUS,
                # A gene crossed with itself, or ho where it is no control: not the mutant that the row says it is.
                "genes_not_distinct": (genotype != NO_GENE).sum(axis=1) != deleted,
            },
            genes=genotype,
            **labels,
            row=block.line,
            query_strain=query,
            array_strain=array,
        )
    return kept


def _labels(
    block: RowBlock, chosen: Mapping[str, tuple[str, ...]], types: Shaped[np.ndarray, " rows"]
) -> dict[str, Float64[np.ndarray, " rows"]]:
    """`value` and `statistic` of the first phenotype, `value_1` .. of others; NaN where a row's type has it not."""
    found = {}
    for number, (name, kinds) in enumerate(chosen.items()):
        of_it, end = np.isin(types, kinds), f"_{number}" if number else ""
        for part, column in zip(("value", "statistic"), PHENOTYPES[name][1:3], strict=True):
            found[part + end] = np.where(of_it, block.numbers[column], np.nan)
    return found


def _mutant_types(block: RowBlock) -> tuple[Int32[np.ndarray, " rows"], list[str]]:
    return block.parse(MUTANT_TYPE, lambda t: t if t in DELETED else None, "not digenic or trigenic")


def _genotypes(
    gene: Int32[np.ndarray, "strains 2"], query: Int32[np.ndarray, " rows"], array: Int32[np.ndarray, " rows"]
) -> Int32[np.ndarray, "rows 3"]:
    """Sorted gene indices of each row, each gene once, padded with NO_GENE on the left."""
    # An array strain has one gene. NO_GENE is -1: sorting puts it on the left. Equal neighbours are one gene twice.
    genotype = np.sort(np.column_stack([gene[query], gene[array, 0]]), axis=1)
    repeated = genotype[:, 1:] == genotype[:, :-1]
    genotype[:, 1:][repeated] = NO_GENE
    # Again: a repeat that became NO_GENE may stand right of a gene.
    return np.sort(genotype, axis=1)


def _single_mutants(blocks: Iterator[RowBlock], strains: StrainCodes) -> tuple[Measurements, int, dict[str, int]]:
    """Fitness of the array strains, and of the query strains of one gene and ho; readings, and those dropped.

    The table repeats a strain's fitness in every row that crosses it. A reading is one side of a row, so there are two
    a row; a strain's readings of the same value are one measurement, that of the first row.
    """
    kept = KeptRows()
    for block in blocks:
        codes, types = _mutant_types(block)
        query, array = strains.encode(block, QUERY), strains.encode(block, ARRAY)
        # Only now: encoding a block adds the strains that are new in it.
        pair = strains.genes()
        # ho may be on either side of the +: the strain's one gene is whichever of the two is not ho.
        only = np.where(pair[:, 0] != NO_GENE, pair[:, 0], pair[:, 1])
        # A trigenic row's query lacks two genes, so that its fitness is not a single mutant's; its array strain's is.
        double = np.array([t == "trigenic" for t in types])[codes]
        # All query readings of the block, then all array readings; `row` below is laid out alike.
        strain = np.concatenate([query, array])
        served = strains.serve(strain)
        value = np.concatenate([block.numbers[QUERY_FITNESS], block.numbers[ARRAY_FITNESS]])
        kept.add(
            {
                "double_mutant": np.concatenate([double, np.zeros(len(block), dtype=bool)]),
                "no_phenotype": np.isnan(value),
                "unknown_gene": served == UNKNOWN,
                "ambiguous_gene": served == AMBIGUOUS,
                "neutral_gene": only[strain] == NO_GENE,
            },
            gene=only[strain],
            value=value,
            row=np.tile(block.line, 2),
            strain=strain,
        )
    columns, dropped = kept.finish(), kept.dropped
    # By row, the query before the array: within a block the queries came first, and the sort is stable.
    order = np.argsort(columns["row"], kind="stable")
    first = _first_of_each(strains.ids()[columns["strain"][order]], columns["value"][order])
    repeated = len(first) - int(first.sum())
    columns = {name: column[order[first]] for name, column in columns.items()}
    none = np.full(len(columns["row"]), -1, dtype=np.int32)
    measurements = Measurements(
        genes=columns["gene"][:, None],
        value=columns["value"],
        statistic=np.full(len(none), np.nan),
        row=columns["row"],
        query_strain=columns["strain"],
        array_strain=none,
        query=none,
    )
    return measurements, kept.rows_read, dropped | ({"reading_repeated": repeated} if repeated else {})


def _first_of_each(strain: Int32[np.ndarray, " readings"], value: np.ndarray) -> Bool[np.ndarray, " readings"]:
    """True at the first reading of each strain and value."""
    # lexsort's last key counts first: by strain, then by value, so that equal readings become neighbours.
    order = np.lexsort((value, strain))  # stable: equal readings stay in the order of their rows
    new = np.ones(len(order), dtype=bool)
    new[1:] = (strain[order[1:]] != strain[order[:-1]]) | (value[order[1:]] != value[order[:-1]])
    first = np.zeros(len(order), dtype=bool)
    first[order[new]] = True
    return first
