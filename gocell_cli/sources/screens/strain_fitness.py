"""Costanzo et al. 2016 (doi:10.1126/science.aaf1420), the strain table -> Dataset of single deletions.

Single-mutant fitness of every strain and its standard deviation, at 26 and at 30 degrees Celsius.
"""

import math
from collections import Counter
from pathlib import Path

import numpy as np

from gocell_cli.domain.genes import GeneTable
from gocell_cli.domain.genotype import Dataset, Measurements, Phenotype
from gocell_cli.errors import InvalidInput, SourceMissing
from gocell_cli.sources.screens.costanzo import NAME, PUBLISHED
from gocell_cli.sources.screens.strains import strain_gene
from gocell_cli.sources.screens.workbook import Sheet, read_sheet
from gocell_cli.sources.text_file import sha256_of

TABLE = "strain_ids_and_single_mutant_fitness.xlsx"
PHENOTYPE = Phenotype("smf", "sd")
HEADER = (
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
"""Column of the fitness at each temperature; its standard deviation is in the next one."""


def find_strain_table(place: Path) -> Path:
    """Return the strain table in a folder, or the file that `place` is; raises SourceMissing."""
    table = place / TABLE if place.is_dir() else place
    if not table.is_file():
        raise SourceMissing(
            f"{place}: the strain table of {NAME} is not there",
            why=f"looked for {table}",
            hint=f"gocell build-cache --dataset {NAME} --phenotype smf --raw DIR, with DIR the folder of {TABLE}",
        )
    return table


def read_strain_fitness(path: Path, genes: GeneTable, *, temperature: str) -> Dataset:
    """Read the strain table: a row for each strain and each temperature asked for (26, 30 or both).

    Raises InvalidInput with sheet and row, also where a strain is listed twice or no fitness is left.
    """
    sheet = read_sheet(path, HEADER)
    chosen = [column for name, column in FITNESS_COLUMN.items() if temperature in (name, "both")]
    dropped: Counter[str] = Counter()
    kept: list[tuple[int, int, float, float]] = []
    for row in range(2, len(sheet.rows) + 1):
        gene = genes.index.get(_gene(sheet, row))
        for column in chosen:
            value, sd = sheet.number(row, column), sheet.number(row, column + 1)
            if math.isnan(value):
                dropped["no_phenotype"] += 1
            elif gene is None:
                dropped["unknown_gene"] += 1
            else:
                kept.append((row, gene, value, sd))
    strains = _strains(sheet)
    if not kept:
        raise InvalidInput.at(path, None, f"no strain has a fitness: {dict(dropped)}")
    used = sorted({strains[row] for row, *_ in kept})
    position = {strain: i for i, strain in enumerate(used)}
    return Dataset(
        name=NAME,
        phenotype=PHENOTYPE,
        measurements=_measurements(kept, [position[strains[row]] for row, *_ in kept]),
        strains=tuple(used),
        queries=(),
        rows_read=len(chosen) * (len(sheet.rows) - 1),
        dropped=dict(dropped),
        sources={TABLE: sha256_of(path)},
        options={"temperature": temperature},
        published=PUBLISHED,
    )


def _gene(sheet: Sheet, row: int) -> str:
    """Return the systematic name that a strain's id and its gene column agree on."""
    strain, gene = sheet.text(row, STRAIN), sheet.text(row, GENE)
    named = strain_gene(strain)
    if named is None:
        raise sheet.fault(row, f"not a strain id ORF_kindN: {strain[:60]!r}")
    if named != gene:
        raise sheet.fault(row, f"strain {strain} is of {named}, its gene column says {gene[:40]!r}")
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


def _measurements(kept: list[tuple[int, int, float, float]], strains: list[int]) -> Measurements:
    """Rows in the sheet's order. A strain is no cross: it has no array strain and no query group."""
    rows, genes, values, sds = (np.array(column) for column in zip(*kept, strict=True))
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
