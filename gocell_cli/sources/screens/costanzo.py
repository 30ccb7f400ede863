"""Costanzo et al. 2016 (doi:10.1126/science.aaf1420), pair-wise interaction tables -> Dataset.

Four tables of some 20.7 million rows in all, streamed. Every row crosses a query strain with an array strain
at 26 or 30 degrees Celsius, named at the end of `Arraytype/Temp` (DMA30, TSA26).
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int32

from gocell_cli.domain.genes import GeneTable
from gocell_cli.domain.genotype import Dataset, Measurements, Phenotype, SourceFile
from gocell_cli.errors import InvalidInput, SourceMissing
from gocell_cli.sources.screens.growing_column import GrowingColumn
from gocell_cli.sources.screens.line_blocks import LineBlocks
from gocell_cli.sources.screens.sga import RowBlock, Wanted, stream_table
from gocell_cli.sources.screens.sga_table import drop_rows
from gocell_cli.sources.screens.strains import NotAStrainError, StrainCodes, reindex

NAME = "costanzo2016"
PUBLISHED = 20160923
TABLES = ("SGA_NxN.txt", "SGA_ExN_NxE.txt", "SGA_ExE.txt", "SGA_DAmP.txt")
TEMPERATURES = ("26", "30", "both")
QUERY_ID, QUERY_ALLELE = "Query Strain ID", "Query allele name"
ARRAY_ID, ARRAY_ALLELE = "Array Strain ID", "Array allele name"
ARRAY_TYPE = "Arraytype/Temp"
SCORE, P_VALUE = "Genetic interaction score (ε)", "P-value"
FITNESS, FITNESS_SD = "Double mutant fitness", "Double mutant fitness standard deviation"
SPELLINGS = {
    QUERY_ID: ("querystrainid",),
    QUERY_ALLELE: ("queryallelename",),
    ARRAY_ID: ("arraystrainid",),
    ARRAY_ALLELE: ("arrayallelename",),
    ARRAY_TYPE: ("arraytypetemp", "arraytypetemperature"),
    SCORE: ("geneticinteractionscore", "geneticinteractionscoreepsilon"),
    P_VALUE: ("pvalue",),
    "Query single mutant fitness (SMF)": ("querysinglemutantfitnesssmf", "querysinglemutantfitness", "querysmf"),
    "Array SMF": ("arraysmf", "arraysinglemutantfitness", "arraysinglemutantfitnesssmf"),
    FITNESS: ("doublemutantfitness", "doublemutantfitnessdmf", "dmf"),
    FITNESS_SD: (
        "doublemutantfitnessstandarddeviation",
        "doublemutantfitnessdmfstandarddeviation",
        "dmfstandarddeviation",
        "doublemutantfitnesssd",
    ),
}
"""The published columns in their order, with the spellings that stand for them once simplified."""
PHENOTYPES = {
    "epsilon": (Phenotype("epsilon", "p_value"), SCORE, P_VALUE),
    "fitness": (Phenotype("fitness", "sd"), FITNESS, FITNESS_SD),
}
ARRAY_TYPE_PATTERN = re.compile(r"[A-Za-z]+(26|30)")


@dataclass(frozen=True)
class InteractionTables:
    """The tables that are there, in the order of the paper, and the names of those that are not."""

    paths: tuple[Path, ...]
    missing: tuple[str, ...]


def find_interaction_tables(place: Path) -> InteractionTables:
    """Return the tables, plain or .gz, in a folder, or the one table that `place` is.

    Raises SourceMissing where there is none.
    """
    if place.is_file():
        return InteractionTables((place,), ())
    found = {name: [p for p in (place / name, place / f"{name}.gz") if p.is_file()] for name in TABLES}
    paths = tuple(paths[0] for paths in found.values() if paths)
    if not paths:
        raise SourceMissing(
            f"{place}: none of the tables of {NAME} is there",
            why=f"looked for {', '.join(TABLES)}",
            hint=f"gocell build-cache --dataset {NAME} --raw DIR, with DIR the folder that holds them",
        )
    return InteractionTables(paths, tuple(name for name, paths in found.items() if not paths))


def read_costanzo2016(paths: Sequence[Path], genes: GeneTable, *, phenotype: str, temperature: str) -> Dataset:
    """Read the tables; raises InvalidInput with file and line, also where no row holds the phenotype.

    `temperature` is one of TEMPERATURES; rows at the other one are dropped and counted, as are rows without
    the phenotype, with a gene that is not in `genes`, or that cross a gene with itself.
    """
    reading = _Reading(genes, phenotype, temperature)
    for path in paths:
        reading.read(path)
    return reading.dataset()


class _Reading:
    """What has been read so far: the kept rows, column by column in blocks, and counts of the others."""

    def __init__(self, genes: GeneTable, phenotype: str, temperature: str) -> None:
        self.genes = genes
        self.phenotype, self.value, self.statistic = PHENOTYPES[phenotype]
        self.temperature = temperature
        self.strains = StrainCodes(genes)
        self.columns = {name: GrowingColumn() for name in Measurements.__dataclass_fields__}
        self.dropped: Counter[str] = Counter()
        self.files: list[SourceFile] = []
        self.sources: dict[str, str] = {}
        self.first_row = 1

    def read(self, path: Path) -> None:
        """Add one table."""
        blocks = LineBlocks(path)
        texts = (QUERY_ID, QUERY_ALLELE, ARRAY_ID, ARRAY_ALLELE, ARRAY_TYPE)
        wanted = Wanted(tuple(SPELLINGS), texts, (self.value, self.statistic))
        rows = 0
        for block in stream_table(blocks, wanted, _header_fault):
            self._add(block, path)
            rows += len(block)
        name = path.name.removesuffix(".gz")
        name = name if name in TABLES else "raw"
        self.files.append(SourceFile(name, self.first_row, rows))
        self.sources[name] = blocks.sha256
        self.first_row += 1 + rows

    def _add(self, block: RowBlock, path: Path) -> None:
        query, array = (
            self._strains(block, path, *side) for side in ((QUERY_ID, QUERY_ALLELE), (ARRAY_ID, ARRAY_ALLELE))
        )
        gene = self.strains.genes()
        query_gene, array_gene = gene[query], gene[array]
        kept, dropped = drop_rows(
            {
                "other_temperature": self._elsewhere(block, path),
                "no_phenotype": np.isnan(block.numbers[self.value]),
                "unknown_gene": np.maximum(query_gene, array_gene) == len(self.genes),
                "same_gene": query_gene == array_gene,
            }
        )
        self.dropped.update(dropped)
        line = np.arange(block.first_line, block.first_line + len(block), dtype=np.int64)
        new = {
            "genes": np.sort(np.column_stack([query_gene, array_gene])[kept], axis=1),
            "value": block.numbers[self.value][kept],
            "statistic": block.numbers[self.statistic][kept],
            "row": (line + (self.first_row - 1))[kept],
            "query_strain": query[kept],
            "array_strain": array[kept],
            "query": query_gene[kept],
        }
        for name, column in new.items():
            self.columns[name].append(column)

    def _strains(self, block: RowBlock, path: Path, ids: str, alleles: str) -> Int32[np.ndarray, " rows"]:
        try:
            return self.strains.encode(block.texts[ids], block.texts[alleles])
        except NotAStrainError as error:
            raise InvalidInput.at(path, block.line(ids, error.code), f"column {ids!r}: {error}") from error

    def _elsewhere(self, block: RowBlock, path: Path) -> Bool[np.ndarray, " rows"]:
        """True for the rows at a temperature that is not asked for."""
        column = block.texts[ARRAY_TYPE]
        other = []
        for code, text in enumerate(column.texts):
            match = ARRAY_TYPE_PATTERN.fullmatch(text.strip())
            if match is None:
                reason = f"column {ARRAY_TYPE!r} names no temperature, 26 or 30: {text[:40]!r}"
                raise InvalidInput.at(path, block.line(ARRAY_TYPE, code), reason)
            other.append(self.temperature not in (match[1], "both"))
        elsewhere: Bool[np.ndarray, " rows"] = np.array(other, dtype=bool)[column.codes]
        return elsewhere

    def dataset(self) -> Dataset:
        """Return what was read, and give it up."""
        rows = sum(file.rows_read for file in self.files)
        if not len(self.columns["value"]):
            raise self._nothing_left(rows)
        measurements = Measurements(**{name: column.finish() for name, column in self.columns.items()})
        strains = self.strains.sort(measurements.query_strain, measurements.array_strain)
        return Dataset(
            name=NAME,
            phenotype=self.phenotype,
            measurements=measurements,
            strains=strains,
            queries=self._name_queries(measurements.query),
            rows_read=rows,
            dropped=dict(self.dropped),
            sources=self.sources,
            options={"temperature": self.temperature},
            published=PUBLISHED,
            files=tuple(self.files),
        )

    def _name_queries(self, query: Int32[np.ndarray, " rows"]) -> tuple[str, ...]:
        """Make a column of gene indices index the sorted names of its genes, which are returned."""
        used = np.zeros(len(self.genes), dtype=bool)
        used[query] = True
        reindex(query, (np.cumsum(used) - 1).astype(np.int32))
        return tuple(self.genes.systematic[gene] for gene in np.flatnonzero(used).tolist())

    def _nothing_left(self, rows: int) -> InvalidInput:
        found = ", ".join(f"{n} {reason}" for reason, n in self.dropped.items())
        names = ", ".join(file.name for file in self.files)
        return InvalidInput(
            f"{NAME}: none of the {rows} rows of {names} holds {self.phenotype.kind}",
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
