"""Which columns of a lab's table hold what: genes by their headers, all else by what the user says."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from gocell_cli.sources.screens.table_file import TableFile

GENES = "genes"
GENE_COLUMN = re.compile(r"gene[ _]?([0-9]{1,9})", re.IGNORECASE)
P_VALUE, SD = "p_value", "sd"
STATISTICS = (P_VALUE, SD)
STATISTIC_NAMES = {
    P_VALUE: re.compile(r"p|p[ _.-]?val(ue)?s?|.*[ _.-]p[ _.-]?val(ue)?s?", re.IGNORECASE),
    SD: re.compile(
        r"sd|std(ev|dev)?|standard[ _.-]?deviation|.*[ _.-](sd|std(ev|dev)?|standard[ _.-]?deviation)", re.IGNORECASE
    ),
}
"""Headers that say what a statistic is; a standard error or a q-value is neither."""


class TableOptions(NamedTuple):
    """Which columns hold what, by their headers in any case, None or empty where none does.

    `alleles` is one column, or one for each of gene_1 .. gene_k; `statistic_kind` one of STATISTICS, by default what
    the header says; `query` holds the gene whose screen a row is of, `group` any text that tells groups of rows.
    """

    phenotype: str | None = None
    kind: str | None = None
    alleles: tuple[str, ...] = ()
    statistic: str | None = None
    statistic_kind: str | None = None
    query: str | None = None
    group: str | None = None
    sheet: str | None = None


@dataclass(frozen=True)
class Columns:
    """The columns of a table that are read, by their own headers."""

    genes: tuple[str, ...]
    phenotype: str
    alleles: tuple[str, ...]
    statistic: str | None
    query: str | None
    group: str | None


def is_gene_column(name: str) -> bool:
    """Return whether a header is that of a column of genes: `genes`, or `gene_1`, `gene_2` .., in any case."""
    return name.casefold() == GENES or GENE_COLUMN.fullmatch(name) is not None


def choose_columns(table: TableFile, options: TableOptions) -> Columns:
    """Return the columns that are read; raises InvalidInput, with those there are, where one is missing or unclear."""
    genes = gene_columns(table)
    alleles = tuple(table.column(name, "allele column") for name in _allele_names(table, options.alleles))
    if len(alleles) not in (0, 1, len(genes)):
        reason = f"{len(alleles)} allele columns for the {len(genes)} gene columns {', '.join(genes)}"
        raise table.fault(None, reason, hint="name one for all genes, or one for each, in the genes' order")
    given = {
        purpose: table.column(name, f"{purpose} column") if name is not None else None
        for purpose, name in (("statistic", options.statistic), ("query", options.query), ("group", options.group))
    }
    taken = {*genes, *alleles, *(name for name in given.values() if name is not None)}
    return Columns(genes, _phenotype_column(table, taken, options.phenotype), alleles, *given.values())


def _allele_names(table: TableFile, given: Sequence[str]) -> list[str]:
    """The columns named, one a word or several with commas between; a column's own name may hold a comma."""
    own = {name.casefold() for name in table.columns}
    return [
        name
        for word in given
        for name in ([word] if word.strip().casefold() in own else word.split(","))
        if name.strip()
    ]


def gene_columns(table: TableFile) -> tuple[str, ...]:
    """Return the columns of the deleted genes; raises InvalidInput where there are none, or they are unclear."""
    one = [name for name in table.columns if name.casefold() == GENES]
    # By number, not by name: gene_10 comes after gene_2.
    numbered = sorted((int(match[1]), name) for name in table.columns if (match := GENE_COLUMN.fullmatch(name)))
    if len(one) > 1:
        raise table.fault(None, f"{' and '.join(one)} may both be the column of the genes")
    if not one and not numbered:
        raise table.fault(
            None,
            f"no column holds the deleted genes; its columns are {table.named}",
            hint=f"name a column {GENES!r} (names separated by spaces or commas), or columns gene_1, gene_2, ...",
        )
    numbers = [number for number, _ in numbered]
    if not one and len(set(numbers)) < len(numbers):
        raise table.fault(None, f"two columns have one number: {', '.join(name for _, name in numbered)}")
    return tuple(one or (name for _, name in numbered))


def _phenotype_column(table: TableFile, taken: set[str], wanted: str | None) -> str:
    others = [name for name in table.columns if name not in taken]
    if wanted is not None:
        found = table.column(wanted, "phenotype column") if others else ""
        if found in others:
            return found
    elif len(others) == 1:
        return others[0]
    wrong = "which column is the phenotype?" if wanted is None else f"{wanted!r} cannot be the phenotype column"
    seen = ", ".join(others) if others else f"none: its columns are {table.named}"
    raise table.fault(None, wrong, hint=f"--phenotype-column {others[0] if others else 'NAME'}, one of {seen}")


def read_statistic(table: TableFile, column: str | None, kind: str | None) -> tuple[str, Float64[np.ndarray, " rows"]]:
    """Return the statistic's kind and values, "" and NaN where there is none.

    Raises InvalidInput where neither header nor option say what it is, and for a value that it cannot have.
    """
    if column is None:
        return "", np.full(len(table), np.nan)
    kind = kind or next((k for k, pattern in STATISTIC_NAMES.items() if pattern.fullmatch(column)), None)
    if kind is None:
        reason = f"is column {column!r} a P-value or a standard deviation?"
        raise table.fault(None, reason, hint=f"--statistic-kind {'|'.join(STATISTICS)}")
    values = table.numbers(column)
    wrong = (values < 0) | ((values > 1) if kind == P_VALUE else False)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        meant = (
            "no P-value, which is from 0 to 1" if kind == P_VALUE else "no standard deviation, which is never negative"
        )
        raise table.fault(row, f"column {column!r}: {values[row]:g} is {meant}")
    return kind, values
