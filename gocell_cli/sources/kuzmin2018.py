"""Kuzmin et al. 2018 (doi:10.1126/science.aao1729), Data S1 -> Dataset.

Digenic rows are control crosses: every one carries the neutral deletion ho (YDL227C), which is removed
from the genotype. Systematic names come from the strain ids `ORF1+ORF2_tm123` and `ORF_dma123`.
"""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Int32

from gocell_cli.domain.genes import GeneTable
from gocell_cli.domain.genotype import NO_GENE, Dataset, Measurements, Phenotype
from gocell_cli.errors import InvalidInput, UsageError
from gocell_cli.sources.sga_table import FIRST_LINE, drop_rows, parse_codes, parse_numbers, read_table
from gocell_cli.sources.text_file import sha256_of

HO = "YDL227C"
PUBLISHED = 20180420
QUERY_ID, QUERY_ALLELE = "Query strain ID", "Query allele name"
ARRAY_ID, ARRAY_ALLELE = "Array strain ID", "Array allele name"
MUTANT_TYPE = "Combined mutant type"
SCORE, P_VALUE = "Adjusted genetic interaction score (epsilon or tau)", "P-value"
FITNESS, FITNESS_SD = "Combined mutant fitness", "Combined mutant fitness standard deviation"
COLUMNS = (
    QUERY_ID,
    QUERY_ALLELE,
    ARRAY_ID,
    ARRAY_ALLELE,
    MUTANT_TYPE,
    "Raw genetic interaction score (epsilon)",
    SCORE,
    P_VALUE,
    "Query single/double mutant fitness",
    "Array single mutant fitness",
    FITNESS,
    FITNESS_SD,
)
DELETED = {"digenic": 2, "trigenic": 3}
ORDERS = ("all", *DELETED)
PHENOTYPES = {
    "tau": (Phenotype("tau", "p_value"), SCORE, P_VALUE, ("trigenic",)),
    "epsilon": (Phenotype("epsilon", "p_value"), SCORE, P_VALUE, ("digenic",)),
    "fitness": (Phenotype("fitness", "sd"), FITNESS, FITNESS_SD, ("digenic", "trigenic")),
}
QUERY_PATTERN = re.compile(r"([^+_\s]+)(?:\+([^+_\s]+))?_\S+")
ARRAY_PATTERN = re.compile(r"([^+_\s]+)_\S+")


def choose_rows(phenotype: str, order: str) -> tuple[str, ...]:
    """Return the mutant types that a phenotype and an order select; raises UsageError where none are."""
    if phenotype not in PHENOTYPES or order not in ORDERS:
        raise UsageError(
            f"kuzmin2018 has no phenotype {phenotype!r} of order {order!r}",
            hint=f"--phenotype {'|'.join(PHENOTYPES)} --order {'|'.join(ORDERS)}",
        )
    kinds = tuple(k for k in PHENOTYPES[phenotype][3] if order in ("all", k))
    if not kinds:
        raise UsageError(
            f"{phenotype} is measured in {PHENOTYPES[phenotype][3][0]} mutants only, not in {order} ones",
            hint=f"leave out --order, or use --phenotype fitness --order {order}",
        )
    return kinds


def read_kuzmin2018(path: Path, genes: GeneTable, *, phenotype: str, order: str) -> Dataset:
    """Read Data S1; raises InvalidInput with the line, also where no row holds the phenotype."""
    kinds = choose_rows(phenotype, order)
    kind, value_column, statistic_column, _ = PHENOTYPES[phenotype]
    wanted = (QUERY_ID, QUERY_ALLELE, ARRAY_ID, ARRAY_ALLELE, MUTANT_TYPE, value_column, statistic_column)
    table = read_table(path, COLUMNS, wanted)
    mutant_type, types = parse_codes(
        table.column(MUTANT_TYPE), path, lambda t: t if t in DELETED else None, "digenic or trigenic"
    )
    query_codes, queries = parse_codes(table.column(QUERY_ID), path, _query_genes, "a query strain id ORF1+ORF2_tmN")
    array_codes, arrays = parse_codes(table.column(ARRAY_ID), path, _array_genes, "an array strain id ORF_dmaN")
    value = parse_numbers(table.column(value_column), path, value_column)
    genotype = _genotypes(genes, query_codes, queries, array_codes, arrays)
    expected = np.array([DELETED[t] for t in types], dtype=np.int64)[mutant_type]
    reasons = {
        "other_order": ~np.isin(mutant_type, [i for i, t in enumerate(types) if t in kinds]),
        "no_phenotype": np.isnan(value),
        "unknown_gene": (genotype == len(genes)).any(axis=1),
        "genes_not_distinct": (genotype != NO_GENE).sum(axis=1) != expected,
    }
    kept, dropped = drop_rows(reasons)
    if not kept.any():
        raise _nothing_left(path, phenotype, len(value), dropped)
    query_strain, array_strain, strains = _strains(table, kept)
    group, names = _query_groups(query_codes[kept], queries)
    return Dataset(
        name="kuzmin2018",
        phenotype=kind,
        measurements=Measurements(
            genes=genotype[kept],
            value=value[kept],
            statistic=parse_numbers(table.column(statistic_column), path, statistic_column)[kept],
            row=np.flatnonzero(kept) + FIRST_LINE,
            query_strain=query_strain,
            array_strain=array_strain,
            query=group,
        ),
        strains=strains,
        queries=names,
        rows_read=len(value),
        dropped=dropped,
        sources={"raw": sha256_of(path)},
        options={"order": order},
        published=PUBLISHED,
    )


def _query_genes(strain: str) -> tuple[str, ...] | None:
    match = QUERY_PATTERN.fullmatch(strain)
    return tuple(g for g in match.groups() if g) if match else None


def _array_genes(strain: str) -> tuple[str, ...] | None:
    match = ARRAY_PATTERN.fullmatch(strain)
    return match.groups() if match else None


def _genotypes(
    genes: GeneTable,
    query_codes: Int32[np.ndarray, " rows"],
    queries: list[tuple[str, ...]],
    array_codes: Int32[np.ndarray, " rows"],
    arrays: list[tuple[str, ...]],
) -> Int32[np.ndarray, "rows 3"]:
    """Sorted gene indices of each row without ho; NO_GENE pads, `len(genes)` stands for an unknown gene."""

    def indices(names: tuple[str, ...]) -> list[int]:
        found = [NO_GENE if n == HO else genes.index.get(n, len(genes)) for n in names]
        return found + [NO_GENE] * (2 - len(found))

    query = np.array([indices(q) for q in queries], dtype=np.int32)[query_codes]
    array = np.array([indices(a)[0] for a in arrays], dtype=np.int32)[array_codes]
    genotype = np.sort(np.column_stack([query, array]), axis=1)
    repeated = genotype[:, 1:] == genotype[:, :-1]
    genotype[:, 1:][repeated] = NO_GENE
    return np.sort(genotype, axis=1)


def _nothing_left(path: Path, phenotype: str, rows: int, dropped: dict[str, int]) -> InvalidInput:
    found = ", ".join(f"{n} {reason}" for reason, n in dropped.items())
    return InvalidInput(
        f"{path}: none of its {rows} rows holds a {phenotype}",
        why=f"rows dropped: {found}",
        hint="choose a phenotype that the table holds, for example --phenotype fitness",
    )


def _strains(
    table: pa.Table, kept: Bool[np.ndarray, " rows"]
) -> tuple[Int32[np.ndarray, " kept"], Int32[np.ndarray, " kept"], tuple[tuple[str, str], ...]]:
    """Index of each kept row's query and array strain in one sorted list of (strain id, allele name)."""
    mask = pa.array(kept)
    sides = []
    for id_column, allele_column in ((QUERY_ID, QUERY_ALLELE), (ARRAY_ID, ARRAY_ALLELE)):
        ids, alleles = (table.column(c).filter(mask).combine_chunks() for c in (id_column, allele_column))
        sides.append((_dictionary(ids), _dictionary(alleles)))
    pairs: set[tuple[str, str]] = set()
    distinct = []
    for (ids, id_names), (alleles, allele_names) in sides:
        key = ids.astype(np.int64) * len(allele_names) + alleles
        keys, inverse = np.unique(key, return_inverse=True)
        named = [(id_names[k // len(allele_names)], allele_names[k % len(allele_names)]) for k in keys.tolist()]
        pairs.update(named)
        distinct.append((named, inverse))
    strains = tuple(sorted(pairs))
    position = {pair: i for i, pair in enumerate(strains)}
    query, array = (
        np.array([position[p] for p in named], dtype=np.int32)[inverse.ravel()] for named, inverse in distinct
    )
    return query, array, strains


def _dictionary(column: pa.Array) -> tuple[Int32[np.ndarray, " rows"], list[str]]:
    encoded = column.dictionary_encode()
    return encoded.indices.to_numpy(), encoded.dictionary.to_pylist()


def _query_groups(
    codes: Int32[np.ndarray, " rows"], queries: list[tuple[str, ...]]
) -> tuple[Int32[np.ndarray, " rows"], tuple[str, ...]]:
    """Query group of each row: the query strain's gene set without ho, named `A+B`."""
    label = ["+".join(sorted({g for g in genes if g != HO})) for genes in queries]
    names = tuple(sorted({label[c] for c in np.unique(codes).tolist()}))
    position = {name: i for i, name in enumerate(names)}
    return np.array([position.get(name, -1) for name in label], dtype=np.int32)[codes], names
