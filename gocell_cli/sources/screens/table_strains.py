"""Strains and query groups of a lab's table: what its allele columns, its query column and its groups say of a row."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int32, Int64

from gocell_cli.domain.alleles import KINDS, allele_kind, of_several
from gocell_cli.domain.alleles import UNKNOWN as UNKNOWN_KIND
from gocell_cli.domain.genes import GeneTable
from gocell_cli.domain.genotype import NO_GENE, NO_QUERY
from gocell_cli.gene_names import GeneNames
from gocell_cli.sources.screens.table_columns import Columns
from gocell_cli.sources.screens.table_file import TableFile


class TableStrains(NamedTuple):
    """Strains of a table, sorted, the kind of each, and each row's: -1 where it has none.

    fitness: the distinct values that rows say of each strain's own, ascending; () as a whole where none does.
    """

    strains: tuple[tuple[str, str], ...]
    kinds: tuple[str, ...]
    query: Int32[np.ndarray, " rows"]
    array: Int32[np.ndarray, " rows"]
    fitness: tuple[tuple[float, ...], ...] = ()


def table_strains(
    table: TableFile,
    columns: Columns,
    gene: Int32[np.ndarray, "rows names_max"],
    rows: Int64[np.ndarray, " kept"],
    genes: GeneTable,
    decimal: str | None = None,
) -> TableStrains:
    """Return each row's strains: one is called by its genes, its allele by what the allele columns say of them.

    A row with an allele for each of its genes is a cross of two strains: of the last gene's, and of the others'. The
    query column, where it is one of the two genes, says which of them is the query. So is a row with the fitness of two
    strains, which are called by their genes alone where nothing names an allele. Raises InvalidInput for a fitness
    below 0.
    """
    none = np.broadcast_to(np.int32(-1), (len(rows),))
    if not columns.alleles and not columns.fitness:
        return TableStrains((), (), none, none)
    alleles = [table.texts(name) for name in columns.alleles]
    codes = [coded.codes[rows] for coded in alleles]
    width = gene.shape[1]
    told = [_fitness(table, name, decimal)[rows] for name in columns.fitness]
    if len(alleles) == 1:
        sides = [(list(range(width)), [0])]
    else:
        sides = [(list(range(width - 1)),) * 2, ([width - 1],) * 2]
        if width == 2 and columns.query == columns.genes[1]:
            sides.reverse()
            told.reverse()
    # (gene columns, allele columns) of each side -> its strains, and each row's
    of_sides = [(g, c if alleles else []) for g, c in sides]
    made = [_side(gene[:, g], [codes[a] for a in c], [alleles[a].texts for a in c], genes) for g, c in of_sides]
    found: dict[tuple[str, str], str] = {}
    for strains, kinds, _ in made:
        for strain, kind in zip(strains, kinds, strict=True):
            if strain[0]:  # a row without a gene on this side has no strain there
                found[strain] = max(kind, found.get(strain, kind), key=KINDS.index)
    names = tuple(sorted(found))
    place = {strain: i for i, strain in enumerate(names)}
    columns_of_rows = [
        np.array([*(place.get(s, -1) for s in strains), -1], dtype=np.int32)[row] for strains, _, row in made
    ]
    query, array = [*columns_of_rows, none][:2]
    fitness = _fitness_of(len(names), list(zip((query, array), told, strict=True))) if told else ()
    return TableStrains(names, tuple(found[s] for s in names), query, array, fitness)


def _fitness(table: TableFile, column: str, decimal: str | None) -> Float64[np.ndarray, " rows"]:
    values = table.measured(column, decimal).values
    if (values < 0).any():
        row = int(np.flatnonzero(values < 0)[0])
        raise table.fault(row, f"column {column!r}: {values[row]:g} is no fitness, which is never negative")
    return values


def _fitness_of(
    strains: int, told: Sequence[tuple[Int32[np.ndarray, " rows"], Float64[np.ndarray, " rows"]]]
) -> tuple[tuple[float, ...], ...]:
    """The distinct values of each strain, of each side's rows: (strain, fitness)."""
    strain, fitness = (np.concatenate(one) for one in zip(*told, strict=True))
    known = (strain >= 0) & np.isfinite(fitness)
    pairs = np.unique(np.stack([strain[known].astype(np.float64), fitness[known]]), axis=1)
    owner = pairs[0].astype(np.int64)
    ends = np.searchsorted(owner, np.arange(strains + 1))
    found = tuple(tuple(pairs[1, a:b].tolist()) for a, b in itertools.pairwise(ends.tolist()))
    return found if any(found) else ()


def _side(
    gene: Int32[np.ndarray, "rows genes"],
    codes: Sequence[Int32[np.ndarray, " rows"]],
    texts: Sequence[Sequence[str]],
    genes: GeneTable,
) -> tuple[list[tuple[str, str]], list[str], Int32[np.ndarray, " rows"]]:
    """Strains of some genes with their alleles, one for all, one for each or none, the kind of each, each row's."""
    first, number = _distinct([*gene.T, *codes])
    strains: list[tuple[str, str]] = []
    kinds: list[str] = []
    for row in first.tolist():
        present = [i for i, g in enumerate(gene[row].tolist()) if g != NO_GENE]
        named = [int(gene[row, i]) for i in present]
        if not codes:
            alleles, own = [""], [named]
        elif len(codes) == 1:
            alleles, own = [texts[0][codes[0][row]]], [named]
        else:
            alleles, own = [texts[i][codes[i][row]] for i in present], [[g] for g in named]
        strains.append(("+".join(genes.systematic[g] for g in named), "+".join(alleles)))
        kinds.append(
            of_several([_kind(a, o, genes.lookup) for a, o in zip(alleles, own, strict=True)] or [UNKNOWN_KIND])
        )
    # a row without any of these genes has no strain on this side
    row_strain = np.where((gene != NO_GENE).any(axis=1), number, -1).astype(np.int32)
    return strains, kinds, row_strain


def _kind(allele: str, own: Sequence[int], lookup: GeneNames) -> str:
    return allele_kind(allele, lambda name: not set(lookup.find(name).genes).isdisjoint(own))


def _distinct(
    columns: Sequence[Int32[np.ndarray, " rows"]],
) -> tuple[Int64[np.ndarray, " distinct"], Int64[np.ndarray, " rows"]]:
    """First row of each distinct combination, and the number of each row's."""
    number = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        # numbered anew after each column: the product of all would not fit int64
        number = number * (int(column.max(initial=0)) + 2) + column + 1
        number = np.unique(number, return_inverse=True)[1]
    _, first, number = np.unique(number, return_index=True, return_inverse=True)
    return first, number


def join_strains(parts: Sequence[TableStrains]) -> TableStrains:
    """Return the strains of a table's pieces as those of one; of several kinds of one the last of KINDS."""
    if len(parts) == 1:
        return parts[0]
    kinds: dict[tuple[str, str], str] = {}
    fitness: dict[tuple[str, str], set[float]] = {}
    for part in parts:
        for strain, kind in zip(part.strains, part.kinds, strict=True):
            kinds[strain] = max(kind, kinds.get(strain, kind), key=KINDS.index)
        for strain, values in zip(part.strains, part.fitness or ((),) * len(part.strains), strict=True):
            fitness.setdefault(strain, set()).update(values)
    names = tuple(sorted(kinds))
    if not names:  # one number stands for all rows: a column would be 4 bytes of each
        none = np.broadcast_to(np.int32(-1), (sum(len(part.query) for part in parts),))
        return TableStrains((), (), none, none)
    moved = [_moved(part.strains, names) for part in parts]
    query = np.concatenate([to[part.query] for to, part in zip(moved, parts, strict=True)])
    array = np.concatenate([to[part.array] for to, part in zip(moved, parts, strict=True)])
    told = tuple(tuple(sorted(fitness[strain])) for strain in names)
    return TableStrains(names, tuple(kinds[n] for n in names), query, array, told if any(told) else ())


def join_queries(
    parts: Sequence[tuple[Int32[np.ndarray, " _"], tuple[str, ...]]],
) -> tuple[Int32[np.ndarray, " rows"], tuple[str, ...]]:
    """Return the groups of the rows of a table's pieces, and the groups' names, as of one table."""
    if len(parts) == 1:
        return parts[0]
    names = tuple(sorted({name for _, own in parts for name in own}))
    if not names:
        return np.broadcast_to(np.int32(NO_QUERY), (sum(len(rows) for rows, _ in parts),)), ()
    return np.concatenate([_moved(own, names)[rows] for rows, own in parts]), names


def _moved(own: Sequence[object], names: Sequence[object]) -> Int32[np.ndarray, " own_and_none"]:
    """The place of each own name among all names; the last entry answers for none, -1."""
    place = {name: i for i, name in enumerate(names)}
    return np.array([*(place[name] for name in own), -1], dtype=np.int32)


def table_queries(
    table: TableFile, columns: Columns, rows: Int64[np.ndarray, " kept"], lookup: GeneNames
) -> tuple[Int32[np.ndarray, " kept"], tuple[str, ...]]:
    """Return each row's group, and the groups' names, sorted: of queries their genes, as in other screens."""
    column = columns.group or columns.query
    if column is None:
        return np.broadcast_to(np.int32(NO_QUERY), (len(rows),)), ()
    coded = table.texts(column)
    labels = coded.texts if columns.group else [_query_label(text, lookup) for text in coded.texts]
    codes = coded.codes[rows]
    names = tuple(sorted({labels[code] for code in np.unique(codes).tolist()} - {""}))
    place = {name: i for i, name in enumerate(names)}
    return np.array([place.get(label, NO_QUERY) for label in labels], dtype=np.int32)[codes], names


def _query_label(text: str, lookup: GeneNames) -> str:
    """`A+B` of the systematic names of a cell's genes; the text as it is where it names another thing."""
    found = [lookup.find(name).genes for name in lookup.names_in(text)] if text else []
    if not found or any(len(genes) != 1 for genes in found):
        return text
    return "+".join(sorted({lookup.systematic[genes[0]] for genes in found}))
