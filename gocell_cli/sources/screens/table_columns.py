"""Which columns of a lab's table hold what: genes by their headers, all else by what the user says."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow.compute as pc
from jaxtyping import Float64

from gocell_cli.sources.screens.table_file import TableFile, TextForm

GENES = "genes"
LAB, EXACT = "lab", "exact"
NOTATIONS = (LAB, EXACT)
"""Whether a gene's name may stand in an allele's (`smi1Δ`), or cells hold names of genes and nothing else."""
FEWER, REJECT = "fewer", "reject"
BLANK_GENES = (FEWER, REJECT)
"""What an empty cell among several gene columns is: a strain of fewer deletions, or a row that is left out."""
GENE_COLUMN = re.compile(r"gene[ _]?([0-9]{1,9})", re.IGNORECASE)
LAB_GENE_COLUMN = re.compile(
    r"(?:gene|orf|mutant|mutation|deletion|allele)[ _.-]?(?:name )?([0-9]|(?<=[ _.-])[a-f])"
    r"|(query|array)[ _.-]?(?:gene|orf|mutant|allele)(?:[ _.-]?name)?",
    re.IGNORECASE,
)
"""As laboratories head the columns of a cross: `Gene A`, `ORF 1`, `Query gene`; where none is called GENE_COLUMN."""
CROSS_COLUMN = re.compile(r"(query|array)", re.IGNORECASE)
"""Either word alone, where both are there; one alone says which screen a row is of, and not what it deletes."""
ONE_GENE = (GENE_COLUMN, LAB_GENE_COLUMN, CROSS_COLUMN)
LAB_GENES = (
    "gene", "orf", "orfs", "gene name", "gene names", "gene symbol", "systematic name", "deleted gene", "deleted genes",
    "deletion", "deletions", "mutant", "knockout", "ko", "strain",
)  # fmt: skip
"""And a single one, the first of these that is there."""
PHENOTYPES = re.compile(
    r"(?:(?:relative|mean|average|normali[sz]ed|log2?|median)[ _.-])*(?:fitness|growth(?:[ _.-]rate)?|phenotype"
    r"|colony[ _.-]size|(?:s[ _.-]?|interaction[ _.-]|genetic[ _.-]interaction[ _.-])?score|epsilon|tau|viability"
    r"|doubling[ _.-]time|od(?:600)?|auc|value)",
    re.IGNORECASE,
)
"""Headers of a phenotype, any unit in brackets taken off."""
UNIT = re.compile(r"\s*[(\[].*[)\]]\s*$")
FITNESS = "fitness"
NUMBER = r"^\s*[-+]?[0-9.,]*[0-9]([eE][-+]?\d+)?\s*$"
MOSTLY = 0.5
"""Share of a column's filled cells that are numbers where it may be a phenotype that nothing names."""
P_VALUE, SD = "p_value", "sd"
STATISTICS = (P_VALUE, SD)
STRAINS = 2
"""Of a cross."""
STATISTIC_NAMES = {
    P_VALUE: re.compile(r"p|p[ _.-]?val(ue)?s?|.*[ _.-]p[ _.-]?val(ue)?s?", re.IGNORECASE),
    SD: re.compile(
        r"sd|std(ev|dev)?|standard[ _.-]?deviation|.*[ _.-](sd|std(ev|dev)?|standard[ _.-]?deviation)", re.IGNORECASE
    ),
}
"""Headers that say what a statistic is; a standard error or a q-value is neither."""


class TableOptions(NamedTuple):
    """Which columns hold what, by their headers in any case, None or empty where none does.

    `phenotype` and `statistic` are a column each, or as many, separated by commas, as there are phenotypes (of
    `statistic` a word may be empty); `kinds` what the phenotypes are called, by default as their columns are.
    `alleles` is one column, or one for each of gene_1 .. gene_k; `statistic_kind` one of STATISTICS, by default what
    the header says; `query` holds the gene whose screen a row is of, `group` any text that tells groups of rows.
    `genes` are the gene columns, one a gene, or one that holds all; `decimal` is one of table_file.DECIMALS, `notation`
    one of NOTATIONS, `blank_gene` one of BLANK_GENES. `fitness` are two columns, of the fitness of the strains that
    were crossed: that of the last gene column's gene, and before it that of the others'.
    """

    phenotype: str | None = None
    kinds: tuple[str, ...] = ()
    alleles: tuple[str, ...] = ()
    statistic: str | None = None
    statistic_kind: str | None = None
    query: str | None = None
    group: str | None = None
    sheet: str | None = None
    genes: tuple[str, ...] = ()
    decimal: str | None = None
    notation: str = LAB
    blank_gene: str = FEWER
    fitness: tuple[str, ...] = ()
    form: TextForm = TextForm()


@dataclass(frozen=True)
class Columns:
    """The columns of a table that are read, by their own headers."""

    genes: tuple[str, ...]
    phenotype: str
    alleles: tuple[str, ...]
    fitness: tuple[str, ...]
    statistic: str | None
    query: str | None
    group: str | None
    others: tuple[tuple[str, str | None], ...] = ()
    """Phenotypes after the first, each with its statistic."""

    @property
    def read(self) -> tuple[str, ...]:
        """The names of all of them, each once."""
        others = (name for pair in self.others for name in pair)
        named = (*self.genes, self.phenotype, *self.alleles, *self.fitness, self.statistic, self.query, self.group)
        return tuple(dict.fromkeys(name for name in (*named, *others) if name is not None))


def is_gene_column(name: str) -> bool:
    """Return whether a header is that of a column of genes: `genes`, `gene_1`, or as laboratories call it."""
    return name.casefold() == GENES or holds_one_gene(name) or _is_lab(name)


def _is_lab(name: str) -> bool:
    return _plain(name) in LAB_GENES


def holds_one_gene(name: str) -> bool:
    """Return whether the cells of a column are of one gene each, by its header: `gene_1`, `Gene A`, `Query gene`."""
    return any(pattern.fullmatch(name) for pattern in ONE_GENE)


def choose_columns(table: TableFile, options: TableOptions) -> Columns:
    """Return the columns that are read; raises InvalidInput, with those there are, where one is missing or unclear."""
    genes = genes_columns(table, options.genes)
    alleles = tuple(table.column(name, "allele column") for name in _names(table, options.alleles))
    if len(alleles) not in (0, 1, len(genes)):
        reason = f"{len(alleles)} allele columns for the {len(genes)} gene columns {', '.join(genes)}"
        raise table.fault(None, reason, hint="name one for all genes, or one for each, in the genes' order")
    given = {
        purpose: table.column(name, f"{purpose} column") if name is not None else None
        for purpose, name in (("query", options.query), ("group", options.group))
    }
    statistics = _statistic_columns(table, options.statistic)
    fitness = _fitness_columns(table, options.fitness, genes, alleles)
    taken = {*genes, *alleles, *fitness, *(name for name in (*statistics, *given.values()) if name is not None)}
    first, *others = _phenotype_columns(table, taken, options)
    if len(statistics) not in (0, len(others) + 1):
        reason = f"{len(statistics)} statistic columns for {len(others) + 1} phenotypes"
        raise table.fault(None, reason, hint="name one for each, in the phenotypes' order: --statistic-column SD,,P")
    statistic, *more = statistics or [None] * (len(others) + 1)
    paired = tuple(zip(others, more, strict=True))
    return Columns(genes, first, alleles, fitness, statistic, given["query"], given["group"], paired)


def _statistic_columns(table: TableFile, given: str | None) -> list[str | None]:
    """The statistic's column of each phenotype; None for an empty word."""
    if given is None:
        return []
    words = [given] if _is_column(table, given) else given.split(",")
    return [table.column(word, "statistic column") if word.strip() else None for word in words]


def _phenotype_columns(table: TableFile, taken: set[str], options: TableOptions) -> list[str]:
    """The columns of the phenotypes; raises InvalidInput where one is named twice, or there are more names for them."""
    words = _phenotype_words(table, options)
    found = [_phenotype_column(table, taken, word) for word in words]
    if len(set(found)) < len(found):
        each = ",".join(dict.fromkeys(found))
        reason = f"a phenotype column is named twice: {', '.join(found)}"
        raise table.fault(None, reason, hint=f"name each once: --phenotype-column {each}")
    kinds = [*(options.kinds or map(kind_of, found))]
    if len(kinds) != len(found) or len(set(kinds)) < len(kinds):
        columns = "the phenotype column" if len(found) == 1 else f"the {len(found)} phenotype columns"
        reason = f"{columns} {', '.join(found)} cannot be called {', '.join(kinds)}"
        raise table.fault(None, reason, hint="a name for each, no two the same: --phenotype-column A,B --phenotype a,b")
    return found


def _phenotype_words(table: TableFile, options: TableOptions) -> list[str | None]:
    """The phenotype columns as they are named; where none is, several phenotypes that are all called as columns are."""
    given, kinds = options.phenotype, options.kinds
    if given is None:
        return [*kinds] if len(kinds) > 1 and all(_is_column(table, kind) for kind in kinds) else [None]
    return [given] if _is_column(table, given) else [*given.split(",")]


def _is_column(table: TableFile, name: str) -> bool:
    """Whether a text as a whole is a column's name, which may hold commas."""
    return name.strip().casefold() in {own.casefold() for own in table.columns}


def _fitness_columns(
    table: TableFile, given: Sequence[str], genes: tuple[str, ...], alleles: tuple[str, ...]
) -> tuple[str, ...]:
    """The two columns of strains' fitness; raises InvalidInput where a row says of no two strains."""
    found = tuple(table.column(name, "fitness column") for name in _names(table, given))
    if not found:
        return ()
    if len(found) != STRAINS or len(set(found)) < STRAINS or set(found) & {*genes, *alleles}:
        reason = f"{len(set(found))} fitness columns, and not the two of a cross's strains"
        raise table.fault(None, reason, hint="--fitness-column QUERY_FITNESS,ARRAY_FITNESS, as the gene columns go")
    if len(genes) < STRAINS or len(alleles) == 1:
        what = "gene" if len(genes) < STRAINS else "allele"
        reason = f"one {what} column, and the fitness of two strains"
        raise table.fault(None, reason, hint=f"--{what}-column NAME,NAME: a column for each gene")
    return found


def genes_columns(table: TableFile, given: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the columns of the deleted genes: those named, or `gene_columns`; raises InvalidInput as that does."""
    return _named_genes(table, given) or gene_columns(table)


def _named_genes(table: TableFile, given: Sequence[str]) -> tuple[str, ...]:
    genes = tuple(table.column(name, "gene column") for name in _names(table, given))
    if len(set(genes)) < len(genes):
        each = ",".join(dict.fromkeys(genes))
        reason = f"a gene column is named twice: {', '.join(genes)}"
        raise table.fault(None, reason, hint=f"name each once: --gene-column {each}")
    return genes


def _names(table: TableFile, given: Sequence[str]) -> list[str]:
    """The columns named, one a word or several with commas between; a column's own name may hold a comma."""
    own = {name.casefold() for name in table.columns}
    return [
        name
        for word in given
        for name in ([word] if word.strip().casefold() in own else word.split(","))
        if name.strip()
    ]


def holds_genes(table: TableFile) -> bool:
    """Return whether some column is that of deleted genes, which `gene_columns` returns; `Query` alone is none."""
    return any(is_gene_column(n) and not CROSS_COLUMN.fullmatch(n) for n in table.columns) or bool(_cross(table))


def gene_columns(table: TableFile) -> tuple[str, ...]:
    """Return the columns of the deleted genes; raises InvalidInput where there are none, or they are unclear."""
    one = [name for name in table.columns if name.casefold() == GENES]
    if len(one) > 1:
        raise table.fault(None, f"{' and '.join(one)} may both be the column of the genes")
    found = one or _numbered(table, GENE_COLUMN) or _numbered(table, LAB_GENE_COLUMN) or _cross(table)
    found = found or sorted(filter(_is_lab, table.columns), key=lambda n: LAB_GENES.index(_plain(n)))[:1]
    if not found:
        raise table.fault(
            None,
            f"no column holds the deleted genes; its columns are {table.named}",
            hint=f"--gene-column NAME, or NAME,NAME of one gene each; a column {GENES!r}, or gene_1, gene_2, ..",
        )
    return tuple(found)


def _numbered(table: TableFile, pattern: re.Pattern[str]) -> list[str]:
    """The columns that a pattern numbers, in that order: gene_10 comes after gene_2, B after A, array after query."""
    numbered = sorted((_number(match), name) for name in table.columns if (match := pattern.fullmatch(name)))
    numbers = [number for number, _ in numbered]
    if len(set(numbers)) < len(numbers):
        reason = f"two columns have one number: {', '.join(name for _, name in numbered)}"
        raise table.fault(None, reason, hint="--gene-column NAME,NAME")
    return [name for _, name in numbered]


def _cross(table: TableFile) -> list[str]:
    found = _numbered(table, CROSS_COLUMN)
    return found if len(found) > 1 else []


def _number(match: re.Match[str]) -> int:
    word = next(text for text in match.groups() if text).casefold()
    return int(word) if word.isdecimal() else {"query": 1, "array": 2}.get(word, ord(word[0]) - ord("a") + 1)


def _plain(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").split())


def kind_of(column: str) -> str:
    """Return what a phenotype is called by its column: `Fitness` is fitness, from which interactions follow."""
    return FITNESS if column.casefold() == FITNESS else column


def _phenotype_column(table: TableFile, taken: set[str], wanted: str | None) -> str:
    others = [name for name in table.columns if name not in taken]
    if wanted is not None:
        found = table.column(wanted, "phenotype column") if others else ""
        if found in others:
            return found
    elif len(others) == 1:
        return others[0]
    else:
        likely = [name for name in others if PHENOTYPES.fullmatch(UNIT.sub("", name).strip())]
        likely = likely or [name for name in others if _share_of_numbers(table, name) > MOSTLY]
        if len(likely) == 1:
            return likely[0]
    wrong = "which column is the phenotype?" if wanted is None else f"{wanted!r} cannot be the phenotype column"
    seen = ", ".join(others) if others else f"none: its columns are {table.named}"
    raise table.fault(None, wrong, hint=f"--phenotype-column {others[0] if others else 'NAME'}, one of {seen}")


def _share_of_numbers(table: TableFile, name: str) -> float:
    """Share of a column's filled cells that begin as numbers do."""
    filled = pc.filter(table.columns[name], pc.match_substring_regex(table.columns[name], r"\S")).drop_null()
    numbers = pc.sum(pc.match_substring_regex(filled, NUMBER)).as_py() or 0
    return numbers / max(len(filled), 1)


def read_statistic(
    table: TableFile, column: str | None, kind: str | None, decimal: str | None = None
) -> tuple[str, Float64[np.ndarray, " rows"]]:
    """Return the statistic's kind and values, "" and NaN where there is none.

    Raises InvalidInput where neither header nor option say what it is, and for a value that it cannot have.
    """
    if column is None:
        return "", np.broadcast_to(np.float64(np.nan), (len(table),))
    kind = kind or next((k for k, pattern in STATISTIC_NAMES.items() if pattern.fullmatch(column)), None)
    if kind is None:
        reason = f"is column {column!r} a P-value or a standard deviation?"
        raise table.fault(None, reason, hint=f"--statistic-kind {'|'.join(STATISTICS)}")
    values = table.measured(column, decimal).values
    wrong = (values < 0) | ((values > 1) if kind == P_VALUE else False)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        meant = (
            "no P-value, which is from 0 to 1" if kind == P_VALUE else "no standard deviation, which is never negative"
        )
        raise table.fault(row, f"column {column!r}: {values[row]:g} is {meant}")
    return kind, values
