"""Kuzmin et al. 2018 (doi:10.1126/science.aao1729), Data S1 -> Dataset."""

from pathlib import Path

from gocell_cli.domain.genes import GeneTable
from gocell_cli.domain.genotype import Dataset
from gocell_cli.sources.screens.kuzmin import (
    COLUMNS,
    SMF,
    Source,
    choose_rows,
    combined_mutants,
    require_rows,
    wanted_columns,
)
from gocell_cli.sources.screens.kuzmin_singles import single_mutants
from gocell_cli.sources.screens.sga_table import TextTable, read_table
from gocell_cli.sources.text_file import sha256_of

NAME = "kuzmin2018"
PUBLISHED = 20180420


def read_kuzmin2018(path: Path, genes: GeneTable, *, phenotype: str, order: str) -> Dataset:
    """Read Data S1; raises InvalidInput with the line, also where no row holds the phenotype."""
    choose_rows(NAME, phenotype, order)
    table = TextTable(read_table(path, COLUMNS, wanted_columns(phenotype)), path)
    source = Source(NAME, PUBLISHED, {"raw": sha256_of(path)})
    if phenotype == SMF:
        return require_rows(single_mutants(table, source, genes), path)
    return require_rows(combined_mutants(table, source, genes, phenotype=phenotype, order=order), path)
