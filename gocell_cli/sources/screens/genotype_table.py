"""A table of genotypes that nobody measured: its gene columns alone, read as a lab's own table's are (own_table.py)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int8, Int32, Int64

from gocell_cli.csr import pointers
from gocell_cli.domain.genotype import NO_GENE
from gocell_cli.errors import InvalidInput
from gocell_cli.gene_names import AMBIGUOUS, UNKNOWN, GeneNames, LookUp
from gocell_cli.sources.screens.lab_names import NO_NAME
from gocell_cli.sources.screens.own_table import REASONS, genes_of_names, look_up_genes, sorted_genes, unusable
from gocell_cli.sources.screens.table_columns import genes_columns, is_gene_column
from gocell_cli.sources.screens.table_file import read_table

NAMED = 5
"""Names without a gene that an error names."""


@dataclass(frozen=True)
class GenotypeTable:
    """Every row of a table: row i stands in line `line[i]` and deletes genes[ptr[i]:ptr[i + 1]], ascending.

    reason: why a row can't be predicted, with the name that is at fault; "" for the others. A row with a reason has no
    gene. dropped: how many rows have each of own_table's reasons. notes: what is to be told of how it was read.
    """

    ptr: Int64[np.ndarray, " rows_plus_1"]
    genes: Int64[np.ndarray, " deletions"]
    line: Int64[np.ndarray, " rows"]
    reason: tuple[str, ...]
    dropped: dict[str, int]
    notes: tuple[str, ...]


def read_genotypes(
    path: Path, lookup: GeneNames, columns: Sequence[str] = (), sheet: str | None = None
) -> GenotypeTable:
    """Read the genotypes of a table, in `columns` or in those that are headed as gene columns are.

    An empty cell among several gene columns is one deletion less; a row without any gene has a reason, as it has for a
    data set, for who meant the wild type says so elsewhere. Raises SourceMissing where there is no such file,
    InvalidInput with the line where it is damaged, lacks the column, or no row of it can be predicted.
    """
    table = read_table(path, is_key=is_gene_column, sheet=sheet)
    names, found, lab = look_up_genes(table, genes_columns(table, columns), lookup)
    gene = genes_of_names(found, names)
    genotype = sorted_genes(np.maximum(gene, NO_GENE))
    code, dropped = unusable(names, gene, genotype, np.zeros(len(names)), found, None)
    faulty = {row: _fault(found, names[row]) for row in np.flatnonzero(code >= 0).tolist()}
    if len(faulty) == len(table):
        shown = ", ".join(list(dict.fromkeys(filter(None, faulty.values())))[:NAMED])
        raise InvalidInput(
            f"{path}: none of its {len(table)} genotypes can be predicted",
            why=f"{dropped}" + (f"; not one gene's: {shown}" if shown else ""),
            hint="names are those of the run's own genes; --gene-column names the column of the deleted genes",
        )
    genotype[code >= 0] = NO_GENE
    there = genotype != NO_GENE
    notes = [f"{len(lab.genes):,} names are read as a laboratory's spelling of a gene's"] if lab.genes else []
    return GenotypeTable(
        pointers(there.sum(axis=1)),
        genotype[there].astype(np.int64),
        table.line,
        _reasons(code, faulty),
        dropped,
        (*table.notes, *notes),
    )


def _fault(found: LookUp, names: Int32[np.ndarray, " names_max"]) -> str:
    """Return the first of a row's names that is not one gene's, "" where each is."""
    return next((found.names[n] for n in names.tolist() if n != NO_NAME and found.gene[n] in (UNKNOWN, AMBIGUOUS)), "")


def _reasons(code: Int8[np.ndarray, " rows"], faulty: dict[int, str]) -> tuple[str, ...]:
    found = [""] * len(code)
    for row, name in faulty.items():
        word = REASONS[int(code[row])]
        found[row] = f"{word}: {name}" if name else word
    return tuple(found)
