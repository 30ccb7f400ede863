"""Single-mutant fitness in the tables of Kuzmin et al.: of array strains, and of query strains of one gene and ho.

The tables repeat a strain's fitness in every row that crosses it; a reading is one side of a row, and a strain's
readings of the same value are one measurement.
"""

import numpy as np
from jaxtyping import Float64, Int32, Int64

from gocell_cli.domain.genes import GeneTable
from gocell_cli.domain.genotype import NO_GENE, Dataset, Measurements
from gocell_cli.sources.screens.kuzmin import (
    ARRAY_ALLELE,
    ARRAY_FITNESS,
    ARRAY_ID,
    HO,
    PHENOTYPES,
    QUERY_ALLELE,
    QUERY_FITNESS,
    QUERY_ID,
    SMF,
    Source,
    array_genes,
    mutant_types,
    query_genes,
)
from gocell_cli.sources.screens.sga_table import TextTable, drop_rows


def single_mutants(table: TextTable, source: Source, genes: GeneTable) -> Dataset:
    """Return one measurement for each strain and value, if any; raises InvalidInput with the line of damage.

    `rows_read` counts readings: two a row.
    """
    strain, gene, value = _readings(table, genes)
    mutant_type, types = mutant_types(table)
    double = np.isin(mutant_type, [i for i, t in enumerate(types) if t == "trigenic"])
    reasons = {
        "double_mutant": np.concatenate([double, np.zeros(len(table), dtype=bool)]),
        "no_phenotype": np.isnan(value),
        "unknown_gene": gene == len(genes),
        "neutral_gene": gene == NO_GENE,
    }
    kept, _ = drop_rows(reasons)
    reasons["reading_repeated"] = ~_first_of_each(strain, value, np.flatnonzero(kept))
    kept, dropped = drop_rows(reasons)
    chosen = np.flatnonzero(kept)
    chosen = chosen[np.argsort(chosen % len(table), kind="stable")]  # by row, the query before the array
    index, strains = _strains(table, chosen)
    none = np.full(len(chosen), -1, dtype=np.int32)
    return Dataset(
        name=source.name,
        phenotype=PHENOTYPES[SMF][0],
        measurements=Measurements(
            genes=gene[chosen][:, None],
            value=value[chosen],
            statistic=np.full(len(chosen), np.nan),
            row=chosen % len(table) + table.first_line,
            query_strain=index,
            array_strain=none,
            query=none,
        ),
        strains=strains,
        queries=(),
        rows_read=2 * len(table),
        dropped=dropped,
        sources=source.sha256,
        options={},
        published=source.published,
    )


def _readings(
    table: TextTable, genes: GeneTable
) -> tuple[Int64[np.ndarray, " readings"], Int32[np.ndarray, " readings"], Float64[np.ndarray, " readings"]]:
    """Strain code, gene index and fitness of every row's query, then of every row's array.

    The gene is NO_GENE where the strain lacks ho only, `len(genes)` where its gene is unknown.
    """
    query_codes, queries = query_genes(table)
    array_codes, arrays = array_genes(table)

    def only(names: tuple[str, ...]) -> int:
        return next((genes.index.get(n, len(genes)) for n in names if n != HO), NO_GENE)

    query, array = (np.array([only(n) for n in side], dtype=np.int32) for side in (queries, arrays))
    strain = np.concatenate([query_codes.astype(np.int64), array_codes + np.int64(len(queries))])
    gene = np.concatenate([query[query_codes], array[array_codes]])
    return strain, gene, np.concatenate([table.numbers(QUERY_FITNESS), table.numbers(ARRAY_FITNESS)])


def _first_of_each(
    strain: Int64[np.ndarray, " readings"],
    value: Float64[np.ndarray, " readings"],
    usable: Int64[np.ndarray, " usable"],
) -> np.ndarray:
    """True [readings] at the first usable reading of each strain and value."""
    first = np.zeros(len(strain), dtype=bool)
    order = usable[np.lexsort((usable, value[usable], strain[usable]))]
    new = np.ones(len(order), dtype=bool)
    new[1:] = (strain[order[1:]] != strain[order[:-1]]) | (value[order[1:]] != value[order[:-1]])
    first[order[new]] = True
    return first


def _strains(
    table: TextTable, chosen: Int64[np.ndarray, " chosen"]
) -> tuple[Int32[np.ndarray, " chosen"], tuple[tuple[str, str], ...]]:
    """Index of each chosen reading's strain in a sorted list of (strain id, allele name)."""
    rows, of_array = chosen % len(table), chosen >= len(table)
    sides = [
        list(zip(*(table.columns.column(c).take(rows).to_pylist() for c in columns), strict=True))
        for columns in ((QUERY_ID, QUERY_ALLELE), (ARRAY_ID, ARRAY_ALLELE))
    ]
    pairs = [array if is_array else query for query, array, is_array in zip(*sides, of_array.tolist(), strict=True)]
    strains = tuple(sorted(set(pairs)))
    position = {pair: i for i, pair in enumerate(strains)}
    return np.array([position[pair] for pair in pairs], dtype=np.int32), strains
