"""Genotypes (deleted genes), phenotypes, and the merging of rows that measure the same genotype."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float64, Int32, Int64

NO_GENE = -1


@dataclass(frozen=True)
class Phenotype:
    """What was measured: kind (tau, epsilon, fitness, viability) and its statistic (p_value, sd or "")."""

    kind: str
    statistic: str = ""


@dataclass(frozen=True)
class Measurements:
    """Usable rows of a data set: one genotype and one value each.

    `genes` holds sorted gene indices, padded with NO_GENE on the left; `value` is the phenotype in its own
    unit, `statistic` its P-value or SD (NaN: none); strain columns index `strains` (-1: none); `query`
    indexes `queries`, the query strain's gene set (-1: none); `row` is the source's line, 1-based.
    """

    genes: Int32[np.ndarray, "rows genes_max"]
    value: Float64[np.ndarray, " rows"]
    statistic: Float64[np.ndarray, " rows"]
    row: Int64[np.ndarray, " rows"]
    query_strain: Int32[np.ndarray, " rows"]
    array_strain: Int32[np.ndarray, " rows"]
    query: Int32[np.ndarray, " rows"]

    def __len__(self) -> int:
        return len(self.value)


@dataclass(frozen=True)
class Dataset:
    """A data set as its source gives it: measurements, names they index, and what was dropped and why.

    `shares` is what a simulated data set holds by construction: shares of variance, and the ceiling noise sets.
    """

    name: str
    phenotype: Phenotype
    measurements: Measurements
    strains: tuple[tuple[str, str], ...]
    queries: tuple[str, ...]
    rows_read: int
    dropped: Mapping[str, int]
    sources: Mapping[str, str]
    options: Mapping[str, str]
    published: int | None = None
    shares: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Genotypes:
    """Distinct genotypes sorted by their genes; `order` lists rows by genotype, `start` where each begins.

    `genes`, `value`, `statistic` and `query_group` have one entry a genotype; `query_group` indexes
    `group_names`.
    """

    genes: Int32[np.ndarray, "genotypes genes_max"]
    value: Float64[np.ndarray, " genotypes"]
    statistic: Float64[np.ndarray, " genotypes"]
    query_group: Int32[np.ndarray, " genotypes"]
    group_names: tuple[str, ...]
    order: Int64[np.ndarray, " rows"]
    start: Int64[np.ndarray, " genotypes"]

    def __len__(self) -> int:
        return len(self.value)


def merge_duplicates(dataset: Dataset) -> Genotypes:
    """Merge rows with equal gene sets: mean value, every row kept in `order`.

    The statistic of merged rows is the root mean square for an SD and null (NaN) for a P-value. A genotype
    merged from rows of different query groups joins those groups into one component.
    """
    rows = dataset.measurements
    order = np.lexsort((rows.row, *rows.genes.T[::-1]))
    genes = rows.genes[order]
    new = np.ones(len(genes), dtype=bool)
    new[1:] = (genes[1:] != genes[:-1]).any(axis=1)
    start = np.flatnonzero(new)
    count = np.diff(np.append(start, len(genes)))
    groups, names = _query_components(dataset, order, new)
    return Genotypes(
        genes=genes[start],
        value=_means(rows.value[order], start, count),
        statistic=_merged_statistic(rows.statistic[order], start, count, dataset.phenotype.statistic),
        query_group=groups[rows.query[order][start]],
        group_names=names,
        order=order.astype(np.int64),
        start=start.astype(np.int64),
    )


def _means(
    values: Float64[np.ndarray, " rows"], start: Int64[np.ndarray, " n"], count: Int64[np.ndarray, " n"]
) -> Float64[np.ndarray, " n"]:
    if not len(values):
        return values
    means: Float64[np.ndarray, " n"] = np.add.reduceat(values, start) / count
    return means


def _merged_statistic(
    statistic: Float64[np.ndarray, " rows"],
    start: Int64[np.ndarray, " n"],
    count: Int64[np.ndarray, " n"],
    kind: str,
) -> Float64[np.ndarray, " n"]:
    if kind == "sd":
        root_mean_square = np.sqrt(_means(statistic**2, start, count))
        merged = root_mean_square
    else:
        merged = np.full(len(start), np.nan)
    result: Float64[np.ndarray, " n"] = np.where(count == 1, statistic[start], merged)
    return result


def _query_components(
    dataset: Dataset, order: Int64[np.ndarray, " rows"], new: Bool[np.ndarray, " rows"]
) -> tuple[Int32[np.ndarray, " queries_and_none"], tuple[str, ...]]:
    """Component of each query group (last entry: -1, for rows without one), and the components' names."""
    query = dataset.measurements.query[order]
    leader = list(range(len(dataset.queries)))

    def find(group: int) -> int:
        while leader[group] != group:
            group = leader[group]
        return group

    joins = np.flatnonzero(~new[1:] & (query[1:] != query[:-1]))
    for i in joins.tolist():
        a, b = sorted((find(int(query[i])), find(int(query[i + 1]))))
        leader[b] = a
    found = [find(group) for group in range(len(leader))]
    heads = sorted(set(found))
    members: dict[int, list[str]] = {head: [] for head in heads}
    for group, head in enumerate(found):
        members[head].append(dataset.queries[group])
    position = {head: i for i, head in enumerate(heads)}
    component = np.array([*(position[head] for head in found), -1], dtype=np.int32)
    return component, tuple(";".join(sorted(members[head])) for head in heads)


def genotype_counts(genotypes: Genotypes) -> dict[int, int]:
    """Number of genotypes by number of deleted genes."""
    sizes = (genotypes.genes != NO_GENE).sum(axis=1)
    return dict(sorted(Counter(sizes.tolist()).items()))
