"""The tables of Kuzmin et al. 2018 and 2020 (doi:10.1126/science.aao1729, 10.1126/science.aaz5667) -> Dataset.

Digenic rows are control crosses: every one carries the neutral deletion ho (YDL227C), which is removed
from the genotype. Systematic names come from the strain ids `ORF1+ORF2_tm123` and `ORF_dma123`.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Int32

from gocell_cli.domain.genes import GeneTable
from gocell_cli.domain.genotype import NO_GENE, Dataset, Measurements, Phenotype
from gocell_cli.errors import InvalidInput, UsageError
from gocell_cli.sources.screens.sga_table import TextTable, drop_rows

HO = "YDL227C"
QUERY_ID, QUERY_ALLELE = "Query strain ID", "Query allele name"
ARRAY_ID, ARRAY_ALLELE = "Array strain ID", "Array allele name"
MUTANT_TYPE = "Combined mutant type"
SCORE, P_VALUE = "Adjusted genetic interaction score (epsilon or tau)", "P-value"
QUERY_FITNESS, ARRAY_FITNESS = "Query single/double mutant fitness", "Array single mutant fitness"
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
    QUERY_FITNESS,
    ARRAY_FITNESS,
    FITNESS,
    FITNESS_SD,
)
DELETED = {"digenic": 2, "trigenic": 3}
ORDERS = ("all", *DELETED)
SMF = "smf"
PHENOTYPES = {
    "tau": (Phenotype("tau", "p_value"), SCORE, P_VALUE, ("trigenic",)),
    "epsilon": (Phenotype("epsilon", "p_value"), SCORE, P_VALUE, ("digenic",)),
    "fitness": (Phenotype("fitness", "sd"), FITNESS, FITNESS_SD, ("digenic", "trigenic")),
    SMF: (Phenotype(SMF, "sd"), QUERY_FITNESS, ARRAY_FITNESS, ()),
}
QUERY_PATTERN = re.compile(r"([^+_\s]+)(?:\+([^+_\s]+))?_\S+")
ARRAY_PATTERN = re.compile(r"([^+_\s]+)_\S+")


class Source(NamedTuple):
    """What a table is: data set, day of publication YYYYMMDD, and the sha256 of its file by the file's name."""

    name: str
    published: int
    sha256: Mapping[str, str]


def choose_rows(name: str, phenotype: str, order: str) -> tuple[str, ...]:
    """Return the mutant types that a phenotype and an order select; raises UsageError where none are."""
    if phenotype not in PHENOTYPES or order not in ORDERS:
        raise UsageError(
            f"{name} has no phenotype {phenotype!r} of order {order!r}",
            hint=f"--phenotype {'|'.join(PHENOTYPES)} --order {'|'.join(ORDERS)}",
        )
    if phenotype == SMF:
        if order != "all":
            raise UsageError(f"{SMF} is of single mutants, not of {order} ones", hint="leave out --order")
        return ()
    kinds = tuple(k for k in PHENOTYPES[phenotype][3] if order in ("all", k))
    if not kinds:
        raise UsageError(
            f"{phenotype} is measured in {PHENOTYPES[phenotype][3][0]} mutants only, not in {order} ones",
            hint=f"leave out --order, or use --phenotype fitness --order {order}",
        )
    return kinds


def wanted_columns(phenotype: str) -> tuple[str, ...]:
    """Return the columns that a phenotype needs."""
    return (QUERY_ID, QUERY_ALLELE, ARRAY_ID, ARRAY_ALLELE, MUTANT_TYPE, *PHENOTYPES[phenotype][1:3])


def combined_mutants(table: TextTable, source: Source, genes: GeneTable, *, phenotype: str, order: str) -> Dataset:
    """Return the rows that hold tau, epsilon or fitness, if any; raises InvalidInput with the line of damage."""
    kinds = choose_rows(source.name, phenotype, order)
    kind, value_column, statistic_column, _ = PHENOTYPES[phenotype]
    mutant_type, types = mutant_types(table)
    query_codes, queries = query_genes(table)
    array_codes, arrays = array_genes(table)
    value = table.numbers(value_column)
    genotype = _genotypes(genes, query_codes, queries, array_codes, arrays)
    expected = np.array([DELETED[t] for t in types], dtype=np.int64)[mutant_type]
    reasons = {
        "other_order": ~np.isin(mutant_type, [i for i, t in enumerate(types) if t in kinds]),
        "no_phenotype": np.isnan(value),
        "unknown_gene": (genotype == len(genes)).any(axis=1),
        "genes_not_distinct": (genotype != NO_GENE).sum(axis=1) != expected,
    }
    kept, dropped = drop_rows(reasons)
    query_strain, array_strain, strains = _strains(table, kept)
    group, names = _query_groups(query_codes[kept], queries)
    return Dataset(
        name=source.name,
        phenotype=kind,
        measurements=Measurements(
            genes=genotype[kept],
            value=value[kept],
            statistic=table.numbers(statistic_column)[kept],
            row=np.flatnonzero(kept) + table.first_line,
            query_strain=query_strain,
            array_strain=array_strain,
            query=group,
        ),
        strains=strains,
        queries=names,
        rows_read=len(value),
        dropped=dropped,
        sources=source.sha256,
        options={"order": order},
        published=source.published,
    )


def mutant_types(table: TextTable) -> tuple[Int32[np.ndarray, " rows"], list[str]]:
    """Return each row's code of its mutant type, and the types; raises InvalidInput for any other."""
    return table.codes(MUTANT_TYPE, lambda t: t if t in DELETED else None, "digenic or trigenic")


def query_genes(table: TextTable) -> tuple[Int32[np.ndarray, " rows"], list[tuple[str, ...]]]:
    """Return each row's code of its query strain, and the genes of each; raises InvalidInput for no strain id."""
    return table.codes(QUERY_ID, _query_genes, "a query strain id ORF1+ORF2_tmN")


def array_genes(table: TextTable) -> tuple[Int32[np.ndarray, " rows"], list[tuple[str, ...]]]:
    """Return each row's code of its array strain, and the gene of each; raises InvalidInput for no strain id."""
    return table.codes(ARRAY_ID, _array_genes, "an array strain id ORF_dmaN")


def require_rows(dataset: Dataset, place: object) -> Dataset:
    """Return the data set; raises InvalidInput where no row is left."""
    if len(dataset.measurements):
        return dataset
    found = ", ".join(f"{n} {reason}" for reason, n in dataset.dropped.items())
    raise InvalidInput(
        f"{place}: none of its {dataset.rows_read} rows holds a {dataset.phenotype.kind}",
        why=f"rows dropped: {found}",
        hint="choose a phenotype that the table holds, for example --phenotype fitness",
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


def _strains(
    text: TextTable, kept: Bool[np.ndarray, " rows"]
) -> tuple[Int32[np.ndarray, " kept"], Int32[np.ndarray, " kept"], tuple[tuple[str, str], ...]]:
    """Index of each kept row's query and array strain in one sorted list of (strain id, allele name)."""
    mask, table = pa.array(kept), text.columns
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
