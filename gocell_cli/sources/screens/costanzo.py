"""Costanzo et al. 2016 (doi:10.1126/science.aaf1420): interactions of strain pairs, and the fitness of single strains.

Data File S1, pair-wise interaction format: four tables of some 20.7 million rows in all, streamed. Every row crosses a
query strain with an array strain at 26 or 30 degrees Celsius, named at the end of `Arraytype/Temp` (DMA30, TSA26).
Beside them, `strain_ids_and_single_mutant_fitness.xlsx`: single-mutant fitness of every strain and its standard
deviation, at both temperatures.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from gocell_cli.domain.genes import GeneTable
from gocell_cli.domain.genotype import Dataset, Measurements, Phenotype, SourceFile
from gocell_cli.errors import InvalidInput
from gocell_cli.gene_names import UNKNOWN as NO_GENE_HAS_IT
from gocell_cli.gene_names import few_found
from gocell_cli.sources.download.catalog import COSTANZO2016
from gocell_cli.sources.download.find import Found
from gocell_cli.sources.download.find import find as find_files
from gocell_cli.sources.download.transfer import Watcher
from gocell_cli.sources.screens.sga import KeptRows, LineBlocks, RowBlock, Wanted, stream_table
from gocell_cli.sources.screens.strains import AMBIGUOUS, UNKNOWN, Side, StrainCodes, strain_genes
from gocell_cli.sources.screens.workbook import Sheet, read_sheet
from gocell_cli.sources.text_file import sha256_of

NAME = COSTANZO2016.name
PUBLISHED = 20160923
TABLES = ("SGA_NxN.txt", "SGA_ExN_NxE.txt", "SGA_ExE.txt", "SGA_DAmP.txt")
STRAIN_TABLE = "strain_ids_and_single_mutant_fitness.xlsx"
TEMPERATURES = ("26", "30", "both")
ARRAY_TYPE = "Arraytype/Temp"
QUERY_FITNESS, ARRAY_FITNESS = "Query single mutant fitness (SMF)", "Array SMF"
SCORE, P_VALUE = "Genetic interaction score (ε)", "P-value"
FITNESS, FITNESS_SD = "Double mutant fitness", "Double mutant fitness standard deviation"
QUERY = Side("Query Strain ID", "Query allele name", 1, "column 'Query Strain ID': not a strain id ORF_kindN")
ARRAY = Side("Array Strain ID", "Array allele name", 1, "column 'Array Strain ID': not a strain id ORF_kindN")
TEXTS = (QUERY.ids, QUERY.alleles, ARRAY.ids, ARRAY.alleles, ARRAY_TYPE)
SPELLINGS = {
    QUERY.ids: ("querystrainid",),
    QUERY.alleles: ("queryallelename",),
    ARRAY.ids: ("arraystrainid",),
    ARRAY.alleles: ("arrayallelename",),
    ARRAY_TYPE: ("arraytypetemp", "arraytypetemperature"),
    SCORE: ("geneticinteractionscore", "geneticinteractionscoreepsilon"),
    P_VALUE: ("pvalue",),
    QUERY_FITNESS: ("querysinglemutantfitnesssmf", "querysinglemutantfitness", "querysmf"),
    ARRAY_FITNESS: ("arraysmf", "arraysinglemutantfitness", "arraysinglemutantfitnesssmf"),
    FITNESS: ("doublemutantfitness", "doublemutantfitnessdmf", "dmf"),
    FITNESS_SD: (
        "doublemutantfitnessstandarddeviation",
        "doublemutantfitnessdmfstandarddeviation",
        "dmfstandarddeviation",
        "doublemutantfitnesssd",
    ),
}
"""The published columns in their order, with the spellings that stand for them once simplified."""
SMF = "smf"
PHENOTYPES = {
    "epsilon": (Phenotype("epsilon", "p_value"), SCORE, P_VALUE),
    "fitness": (Phenotype("fitness", "sd"), FITNESS, FITNESS_SD),
}
STRAIN_FITNESS = Phenotype(SMF, "sd")
ARRAY_TYPE_PATTERN = re.compile(r"[A-Za-z]+(26|30)")
STRAIN_HEADER = (
    "Strain ID",
    "Systematic gene name",
    "Allele/Gene name",
    "Single mutant fitness (26°)",
    "Single mutant fitness (26°) stddev",
    "Single mutant fitness (30°)",
    "Single mutant fitness (30°) stddev",
)
STRAIN, GENE, ALLELE = 0, 1, 2
FITNESS_COLUMN = {"26": 3, "30": 5}
"""Column of the fitness at each temperature in the strain table; its standard deviation is in the next one."""


def find(
    phenotype: str,
    root: Path,
    *,
    own: Path | None = None,
    offline: bool = False,
    watcher: Watcher | None = None,
) -> Found:
    """Return the files that a phenotype is read from; raises as `download.find` does.

    Of the interaction tables, a folder of the user's may hold some only.
    """
    names = (STRAIN_TABLE,) if phenotype == SMF else TABLES
    return find_files(COSTANZO2016, root, names, own=own, some=True, offline=offline, watcher=watcher)


def read(
    paths: Sequence[Path], genes: GeneTable, *, phenotype: str, temperature: str, others: Sequence[str] = ()
) -> Dataset:
    """Read the interaction tables, or for `smf` the strain table; `temperature` is one of TEMPERATURES.

    `others` are phenotypes beside the first, of the same rows: a row that holds any of them stays.
    Raises InvalidInput with file and line, also where no row holds the phenotype. Rows at another temperature, without
    the phenotype, with a gene that is not in `genes`, or that cross a gene with itself are dropped and counted.
    """
    if phenotype == SMF:
        return _read_strain_table(paths[0], genes, temperature)
    return _read_interactions(paths, genes, (phenotype, *others), temperature)


def _read_interactions(paths: Sequence[Path], genes: GeneTable, chosen: Sequence[str], temperature: str) -> Dataset:
    kinds = [PHENOTYPES[name][0] for name in chosen]
    labels = [PHENOTYPES[name][1:] for name in chosen]
    strains, kept = StrainCodes(genes), KeptRows()
    files: list[SourceFile] = []
    sources: dict[str, str] = {}
    wanted = Wanted(tuple(SPELLINGS), TEXTS, (*(c for label in labels for c in label), QUERY_FITNESS, ARRAY_FITNESS))
    first_row = 1  # row numbers run on from table to table, header lines counted, so that each names one line
    for path in paths:
        lines, before = LineBlocks(path), kept.rows_read
        for block in stream_table(lines, wanted, _header_fault):
            _keep(block, kept, strains, labels, temperature, first_row)
        name = path.name.removesuffix(".gz")
        # A user's own table may have any name; a cache knows it as `raw`.
        name = name if name in TABLES else "raw"
        files.append(SourceFile(name, first_row, kept.rows_read - before))
        sources[name] = lines.sha256
        # 1 for the table's header line.
        first_row += 1 + files[-1].rows_read
    columns = kept.finish()
    names = strains.name_counts(NAME)
    if not len(columns["value"]):
        few_found(names, len(genes), NAME)  # first: no other phenotype helps where the genes are not those of the study
        raise _nothing_left(" or ".join(chosen), files, kept)
    # First, as `sort` overwrites the strain codes that this reads.
    query, queries = strains.queries(columns["query_strain"])
    measurements = Measurements.of_columns(columns, query)
    named = strains.sort(measurements.query_strain, measurements.array_strain)
    return Dataset(
        name=NAME,
        phenotype=kinds[0],
        others=tuple(kinds[1:]),
        measurements=measurements,
        strains=named,
        queries=queries,
        rows_read=kept.rows_read,
        dropped=kept.dropped,
        sources=sources,
        options={"temperature": temperature},
        published=PUBLISHED,
        files=tuple(files),
        names=(names,),
        fitness=strains.fitness(named),
    )


def _keep(
    block: RowBlock,
    kept: KeptRows,
    strains: StrainCodes,
    labels: Sequence[tuple[str, str]],
    temperature: str,
    first_row: int,
) -> None:
    """Add a block's rows; `labels` are the columns of value and statistic of each phenotype."""
    query, array = strains.encode(block, QUERY), strains.encode(block, ARRAY)
    served = strains.serve(query, array)
    gene = strains.genes()[:, 0]
    # Rows that cross two alleles of one gene are dropped below: they delete one gene, not two.
    pair = np.column_stack([gene[query], gene[array]])
    values = [block.numbers[value] for value, _ in labels]
    fitness = block.numbers[QUERY_FITNESS], block.numbers[ARRAY_FITNESS]
    elsewhere = _elsewhere(block, temperature)
    for strain, published in zip((query, array), fitness, strict=True):
        # a strain's fitness is of the row's temperature: of another one it is not that of the rows that are kept
        strains.note_fitness(strain[~elsewhere], published[~elsewhere])
    kept.add(
        {
            # Order matters: a row to which several reasons apply counts under the first, so that the counts add up.
            "other_temperature": elsewhere,
            "no_phenotype": np.all([np.isnan(value) for value in values], axis=0),
            "unknown_gene": served == UNKNOWN,
            "ambiguous_gene": served == AMBIGUOUS,
            "same_gene": pair[:, 0] == pair[:, 1],
        },
        genes=np.sort(pair, axis=1),
        value=values[0],
        statistic=block.numbers[labels[0][1]],
        **{f"value_{i}": value for i, value in enumerate(values[1:], start=1)},
        **{f"statistic_{i}": block.numbers[name] for i, (_, name) in enumerate(labels[1:], start=1)},
        row=block.line + (first_row - 1),
        query_strain=query,
        array_strain=array,
    )


def _elsewhere(block: RowBlock, temperature: str) -> Bool[np.ndarray, " rows"]:
    """True for the rows at a temperature that is not asked for."""
    codes, found = block.parse(
        ARRAY_TYPE,
        lambda text: ARRAY_TYPE_PATTERN.fullmatch(text.strip()),
        f"column {ARRAY_TYPE!r} names no temperature, 26 or 30",
    )
    other = np.array([temperature not in (match[1], "both") for match in found], dtype=bool)
    elsewhere: Bool[np.ndarray, " rows"] = other[codes]
    return elsewhere


def _nothing_left(phenotype: str, files: list[SourceFile], kept: KeptRows) -> InvalidInput:
    found = ", ".join(f"{n} {reason}" for reason, n in kept.dropped.items())
    names = ", ".join(file.name for file in files)
    return InvalidInput(
        f"{NAME}: none of the {kept.rows_read} rows of {names} holds {phenotype}",
        why=f"rows dropped: {found}",
        hint="choose a phenotype and a temperature that the tables hold, for example --temperature both",
    )


def _header_fault(cells: list[str]) -> str | None:
    """Say why these are not the published columns, whatever their case, spaces and brackets."""
    found = [_simplified(cell) for cell in cells]
    missing = [name for name, spellings in SPELLINGS.items() if not set(spellings) & set(found)]
    if missing:
        return f"the header lacks {', '.join(map(repr, missing[:3]))}"
    in_order = len(found) == len(SPELLINGS) and all(
        cell in spellings for cell, spellings in zip(found, SPELLINGS.values(), strict=True)
    )
    return (
        None if in_order else f"the header's {len(found)} columns are not the {len(SPELLINGS)} expected, in their order"
    )


def _simplified(cell: str) -> str:
    """Letters and digits only, in lower case; the Greek letter is left out, for some copies have lost it."""
    return re.sub(r"[^a-z0-9]", "", cell.lower())


def _read_strain_table(path: Path, genes: GeneTable, temperature: str) -> Dataset:
    """A measurement for each strain and each temperature asked for.

    Raises InvalidInput with sheet and row, also where a strain is listed twice or no fitness is left.
    """
    sheet = read_sheet(path, STRAIN_HEADER)
    chosen = [column for name, column in FITNESS_COLUMN.items() if temperature in (name, "both")]
    dropped: Counter[str] = Counter()
    kept: list[tuple[int, int, float, float]] = []
    # From 2: row 1 is the header, and a sheet counts its rows from 1.
    rows = range(2, len(sheet.rows) + 1)
    named = [_gene(sheet, row) for row in rows]
    names = {name: i for i, name in enumerate(dict.fromkeys(named))}
    found = genes.lookup.look_up(tuple(names))
    for row, gene in zip(rows, (int(found.gene[names[name]]) for name in named), strict=True):
        for column in chosen:
            value, sd = sheet.number(row, column), sheet.number(row, column + 1)
            if math.isnan(value):
                dropped["no_phenotype"] += 1
            elif gene < 0:
                dropped["unknown_gene" if gene == NO_GENE_HAS_IT else "ambiguous_gene"] += 1
            else:
                kept.append((row, gene, value, sd))
    # A reading for each temperature, as in rows_read below.
    readings = np.array([names[name] for name in named for _ in chosen], dtype=np.int32)[:, None]
    counts = genes.lookup.counts(NAME, found, readings)
    strains = _strains(sheet)
    if not kept:
        few_found(counts, len(genes), str(path))
        raise InvalidInput.at(path, None, f"no strain has a fitness: {dict(dropped)}")
    used = sorted({strains[row] for row, *_ in kept})
    position = {strain: i for i, strain in enumerate(used)}
    return Dataset(
        name=NAME,
        phenotype=STRAIN_FITNESS,
        measurements=_single_measurements(kept, [position[strains[row]] for row, *_ in kept]),
        strains=tuple(used),
        queries=(),
        # A row gives a reading for each temperature, so that rows read are the samples and the dropped together.
        rows_read=len(chosen) * (len(sheet.rows) - 1),
        dropped=dict(dropped),
        sources={STRAIN_TABLE: sha256_of(path)},
        options={"temperature": temperature},
        published=PUBLISHED,
        names=(counts,),
    )


def _gene(sheet: Sheet, row: int) -> str:
    """Return the systematic name that a strain's id and its gene column agree on."""
    strain, gene = sheet.text(row, STRAIN), sheet.text(row, GENE)
    named = strain_genes(strain)
    if named is None or len(named) > 1:
        raise sheet.fault(row, f"not a strain id ORF_kindN: {strain[:60]!r}")
    if named != (gene,):
        raise sheet.fault(row, f"strain {strain} is of {named[0]}, its gene column says {gene[:40]!r}")
    return gene


def _strains(sheet: Sheet) -> dict[int, tuple[str, str]]:
    """(strain id, allele name) by row; raises InvalidInput where a strain stands in two rows."""
    first: dict[str, int] = {}
    strains = {}
    for row in range(2, len(sheet.rows) + 1):
        strain = sheet.text(row, STRAIN)
        if first.setdefault(strain, row) != row:
            raise sheet.fault(row, f"strain {strain} stands in row {first[strain]} too")
        strains[row] = (strain, sheet.text(row, ALLELE))
    return strains


def _single_measurements(kept: list[tuple[int, int, float, float]], strains: list[int]) -> Measurements:
    """Rows in the sheet's order. A strain is no cross: it has no array strain and no query group."""
    rows, genes, values, sds = (np.array(column) for column in zip(*kept, strict=True))
    # -1: no array strain, no query.
    none = np.full(len(kept), -1, dtype=np.int32)
    return Measurements(
        genes=genes.astype(np.int32)[:, None],
        value=values.astype(np.float64),
        statistic=sds.astype(np.float64),
        row=rows.astype(np.int64),
        query_strain=np.array(strains, dtype=np.int32),
        array_strain=none,
        query=none,
    )
