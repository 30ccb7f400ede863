"""Genotypes (deleted genes), phenotypes, and the merging of rows that measure the same genotype."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int16, Int32, Int64

from gocell_cli.errors import UsageError
from gocell_cli.gene_names import NameCounts

# below every gene, so sorting puts it left; and as an index it means the last entry, where tables keep its answer
NO_GENE = -1
NO_QUERY = -1
INVERSE_VARIANCE = "inverse-variance"
DUPLICATES = ("mean", INVERSE_VARIANCE, "first", "keep")
"""What becomes of several rows of one genotype: their mean, the mean weighted by 1 / SD^2, the first of them, or a
sample each."""
SD_HINT = "--duplicates mean; or a phenotype with standard deviations: --phenotype fitness, --statistic-column NAME"
RELATIVE, DIFFERENCE = "relative to the wild type, which has 1", "difference of fitness, whose wild type has 1"
UNITS = {"fitness": RELATIVE, "smf": RELATIVE, "epsilon": DIFFERENCE, "tau": DIFFERENCE}
BLOCK = 1 << 20
"""Rows handled at once where a whole column of temporaries would show in the peak memory."""


class SourceFile(NamedTuple):
    """One file of several: `first_row` is the row number of its first line, `dataset` indexes `Dataset.members`."""

    name: str
    first_row: int
    rows_read: int
    dataset: int = 0


class RejectedRow(NamedTuple):
    """A row that its reader did not take: its line, why, its cells, and what of them may have been meant."""

    line: int
    reason: str
    cells: tuple[str, ...]
    near: str = ""


class Rejected(NamedTuple):
    """The rows of a lab's table that its reader could not take: the first of them, and how many there are."""

    rows: tuple[RejectedRow, ...] = ()
    number: int = 0


NONE_REJECTED = Rejected()


@dataclass(frozen=True)
class Phenotype:
    """What was measured: kind (tau, epsilon, fitness, viability) and its statistic (p_value, sd or "")."""

    kind: str
    statistic: str = ""

    @property
    def unit(self) -> str:
        """The unit of published phenotypes; "" of any other, which is in its table's own."""
        return UNITS.get(self.kind, "")


class Label(NamedTuple):
    """Values of one phenotype (NaN: none), and their statistics (NaN: none)."""

    value: Float64[np.ndarray, " n"]
    statistic: Float64[np.ndarray, " n"]


class MergeWeights(NamedTuple):
    """By `inverse-variance`: rows that count for nothing beside others of their genotype; genotypes without any SD."""

    rows_without_sd: int
    samples_by_mean: int


@dataclass(frozen=True)
class Measurements:
    """Usable rows of a data set: one genotype and one value each.

    `genes` holds sorted gene indices, padded with NO_GENE on the left; `value` is the phenotype in its own
    unit, `statistic` its P-value or SD (NaN: none); strain columns index `strains` (-1: none); `query`
    indexes `queries`, the query strain's gene set (-1: none); `row` is the source's line, 1-based; in a data
    set of several files the lines of each are counted on from those of the one before. `others` are the labels of
    `Dataset.others`; a row that lacks one of several phenotypes has NaN for its value.
    """

    genes: Int32[np.ndarray, "rows genes_max"]
    value: Float64[np.ndarray, " rows"]
    statistic: Float64[np.ndarray, " rows"]
    row: Int64[np.ndarray, " rows"]
    query_strain: Int32[np.ndarray, " rows"]
    array_strain: Int32[np.ndarray, " rows"]
    query: Int32[np.ndarray, " rows"]
    others: tuple[Label, ...] = ()

    def __len__(self) -> int:
        return len(self.value)

    @classmethod
    def of_columns(cls, columns: Mapping[str, np.ndarray], query: Int32[np.ndarray, " rows"]) -> "Measurements":
        """Return the measurements of a reader's columns: of others `value_1` and `statistic_1`, and so on."""
        own = {name: column for name, column in columns.items() if name in cls.__dataclass_fields__}
        numbers = range(1, 1 + sum(name.startswith("value_") for name in columns))
        others = tuple(Label(columns[f"value_{i}"], columns[f"statistic_{i}"]) for i in numbers)
        return cls(**own, query=query, others=others)

    def all_genes_in(self, chosen: Bool[np.ndarray, " genes_and_none"]) -> Bool[np.ndarray, " rows"]:
        """True for each row whose genes are all chosen; the last entry of `chosen` answers for NO_GENE."""
        found = np.ones(len(self), dtype=bool)
        # by column: a gather of a whole block of rows would be a second table of their width
        for start in range(0, len(self), BLOCK):
            for column in self.genes[start : start + BLOCK].T:
                found[start : start + BLOCK] &= chosen[column]
        return found

    def genes_used(self) -> Int64[np.ndarray, " genes"]:
        """Return the genes that some row has, ascending."""
        # one entry more than genes: NO_GENE, -1, writes into the last, which is cleared below
        used = np.zeros(int(self.genes.max(initial=NO_GENE)) + 2, dtype=bool)
        for start in range(0, len(self), BLOCK):
            used[self.genes[start : start + BLOCK]] = True
        used[NO_GENE] = False
        return np.flatnonzero(used)

    def where(self, kept: Bool[np.ndarray, " rows"]) -> "Measurements":
        """Return the rows that are kept, in their order."""
        own = {f.name: getattr(self, f.name)[kept] for f in fields(self) if f.name != "others"}
        return Measurements(**own, others=tuple(Label(x.value[kept], x.statistic[kept]) for x in self.others))


@dataclass(frozen=True)
class Dataset:
    """A data set as its source gives it: measurements, names they index, and what was dropped and why.

    `shares` is what a simulated data set holds by construction: shares of variance, and the ceiling noise sets.
    `files` tells the files of a data set of several apart by their row numbers; `joined` names the data sets
    that were joined into this one. `names` counts how the rows of each join found their genes. `kinds` are those of the
    strains' alleles, one of `alleles.KINDS` each, where the reader knows them; where it is empty they follow from the
    strains' ids and allele names. `others` are the phenotypes after the first, where there are several. `fitness` holds
    the values that were published of each strain's own fitness, distinct and ascending; () as a whole where the data
    set has none. `rejected` are the rows of a lab's table that could not be taken.
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
    files: tuple[SourceFile, ...] = ()
    joined: tuple[str, ...] = ()
    names: tuple[NameCounts, ...] = ()
    kinds: tuple[str, ...] = ()
    fitness: tuple[tuple[float, ...], ...] = ()
    rejected: Rejected = NONE_REJECTED
    others: tuple[Phenotype, ...] = ()

    @property
    def phenotypes(self) -> tuple[Phenotype, ...]:
        """All phenotypes."""
        return (self.phenotype, *self.others)

    @property
    def members(self) -> tuple[str, ...]:
        """The data sets that a row can be of."""
        return self.joined or (self.name,)

    def member_of(self, row: Int64[np.ndarray, " rows"]) -> Int16[np.ndarray, " rows"]:
        """Return the index in `members` of rows, by their numbers."""
        if not self.joined:
            return np.zeros(len(row), dtype=np.int16)
        first = np.array([file.first_row for file in self.files])
        member = np.array([file.dataset for file in self.files], dtype=np.int16)
        # side=right, less 1: the last file that begins at or before the row
        found: Int16[np.ndarray, " rows"] = member[np.searchsorted(first, row, side="right") - 1]
        return found

    def without(self, gone: Bool[np.ndarray, " rows"], reason: str) -> "Dataset":
        """Return the data set without some rows, which are counted as dropped for a reason."""
        if not gone.any():
            return self
        dropped = {**self.dropped, reason: int(gone.sum())}
        return replace(self, measurements=self.measurements.where(~gone), dropped=dropped)


def keep_significant(dataset: Dataset, max_p: float) -> Dataset:
    """Drop, and count, rows without a P-value and rows whose P-value is above `max_p`.

    Of several phenotypes each is held to its own P-value: a row loses those that are not significant, none that has no
    P-values, and is dropped where it has none left.
    """
    if dataset.others:
        return _keep_significant_of_each(dataset, max_p)
    p = dataset.measurements.statistic
    # first, for NaN compares false with everything and would pass the second rule
    without = dataset.without(np.isnan(p), "no_p_value")
    kept = without.without(without.measurements.statistic > max_p, "p_above_max")
    return replace(kept, options={**dataset.options, "max_p": repr(max_p)})


def labelled_rows(dataset: Dataset) -> dict[str, int]:
    """Return how many rows have each phenotype."""
    rows = dataset.measurements
    values = [rows.value, *(label.value for label in rows.others)]
    return {one.kind: int(np.isfinite(value).sum()) for one, value in zip(dataset.phenotypes, values, strict=True)}


def _keep_significant_of_each(dataset: Dataset, max_p: float) -> Dataset:
    rows = dataset.measurements
    labels = [Label(rows.value, rows.statistic), *rows.others]
    for number, phenotype in enumerate(dataset.phenotypes):
        if phenotype.statistic == "p_value":
            kept = labels[number].statistic <= max_p  # of NaN this is False
            labels[number] = Label(*(np.where(kept, column, np.nan) for column in labels[number]))
    first, *others = labels
    left = replace(rows, value=first.value, statistic=first.statistic, others=tuple(others))
    without = np.all([np.isnan(label.value) for label in labels], axis=0)
    kept_dataset = replace(dataset, measurements=left, options={**dataset.options, "max_p": repr(max_p)})
    return kept_dataset.without(without, "p_above_max")


@dataclass(frozen=True)
class Genotypes:
    """Samples sorted by their genes; `order` lists rows by sample, `start` where each sample begins.

    A sample is a distinct genotype, or, by the rule `keep`, a row; `merged_label` says what its value is.

    `component` is the index in `group_names` of each query (its last entry: of rows without one). What a
    genotype holds is worked out from its rows on demand, so that only a part of them need be in memory twice.
    """

    rows: Measurements
    statistic_kinds: tuple[str, ...]
    rule: str
    order: Int64[np.ndarray, " ordered"]
    start: Int64[np.ndarray, " genotypes"]
    component: Int32[np.ndarray, " queries_and_none"]
    group_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.start)

    def part(self, start: int, stop: int) -> "Genotypes":
        """Return genotypes [start, stop)."""
        # a genotype's rows end where the next one's begin; the last one's with the list
        bounds = np.append(self.start, len(self.order))[[start, stop]] if len(self) else np.zeros(2, dtype=np.int64)
        first, last = bounds.tolist()
        return replace(self, order=self.order[first:last], start=self.start[start:stop] - first)

    @property
    def count(self) -> Int64[np.ndarray, " genotypes"]:
        """Number of rows of each genotype."""
        return np.diff(self.start, append=len(self.order))

    @property
    def genes(self) -> Int32[np.ndarray, "genotypes genes_max"]:
        """Gene indices of each genotype, sorted, padded with NO_GENE on the left."""
        genes: Int32[np.ndarray, "genotypes genes_max"] = self.rows.genes[self.order[self.start]]
        return genes

    @property
    def value(self) -> Float64[np.ndarray, " genotypes"]:
        """Value of each genotype, by the rule."""
        return self._labels[0].value

    @property
    def statistic(self) -> Float64[np.ndarray, " genotypes"]:
        """Statistic of each genotype, by the rule."""
        return self._labels[0].statistic

    @property
    def others(self) -> tuple[Label, ...]:
        """The labels of the phenotypes after the first."""
        return self._labels[1:]

    @cached_property
    def _labels(self) -> tuple[Label, ...]:
        kinds = zip(self._own, self.statistic_kinds, strict=True)
        return tuple(merged_label(own, self.start, self.rule, kind) for own, kind in kinds)

    @property
    def _own(self) -> tuple[Label, ...]:
        """Each phenotype's labels of the rows, in their order here."""
        labels = (Label(self.rows.value, self.rows.statistic), *self.rows.others)
        return tuple(Label(label.value[self.order], label.statistic[self.order]) for label in labels)

    @cached_property
    def measured(self) -> tuple[int, ...]:
        """Of how many genotypes each phenotype was measured."""
        return tuple(int(np.count_nonzero(_counts(~np.isnan(own.value), self.start))) for own in self._own)

    @cached_property
    def weights(self) -> MergeWeights:
        """What of the rows counts by the rule `inverse-variance`, of the phenotypes that have SDs."""
        of_sds = [own for own, kind in zip(self._own, self.statistic_kinds, strict=True) if kind == "sd"]
        found = [merge_weights(own, self.start) for own in of_sds]
        return MergeWeights(*(sum(numbers) for numbers in zip(*found, strict=True)))

    @property
    def query_group(self) -> Int32[np.ndarray, " genotypes"]:
        """Index of each genotype's query group; -1 where no row of it has a query."""
        if not len(self):
            return np.zeros(0, dtype=np.int32)
        # a genotype's queries are of one component by now, so the largest is that one, or -1 where all rows have none
        groups: Int32[np.ndarray, " genotypes"] = np.maximum.reduceat(
            self.component[self.rows.query[self.order]], self.start
        )
        return groups


def merged_label(rows: Label, start: Int64[np.ndarray, " genotypes"], rule: str, statistic_kind: str) -> Label:
    """Return value and statistic of each genotype; its rows lie together, from `start` on.

    `mean`: the mean of the values; the root mean square of their SDs, no statistic where they are P-values.
    `inverse-variance`: x = SUM(x_i / s_i^2) / SUM(1 / s_i^2), with the standard deviation 1 / sqrt(SUM(1 / s_i^2)): the
    unbiased mean of least variance of independent measurements (Cochran 1954, doi:10.2307/3001666). A row without an SD
    above 0 has no weight; where no row of a genotype has any, both are as by `mean`.
    `first`: those of the first row. `keep`: each row is a genotype of its own. A lone row keeps its own, by any rule.

    Only rows that have a value count: a genotype without any has NaN for both.
    """
    has = ~np.isnan(rows.value)
    if not has.all():
        return _of_rows_with_a_value(rows, has, start, rule, statistic_kind)
    first = Label(rows.value[start], rows.statistic[start])
    if rule in ("first", "keep") or not len(start):
        return first
    count = np.diff(start, append=len(rows.value))
    # variances average, SDs do not; a mean of P-values would be no P-value of anything
    of_sds = statistic_kind == "sd"
    found = Label(
        np.add.reduceat(rows.value, start) / count,
        np.sqrt(np.add.reduceat(rows.statistic**2, start) / count) if of_sds else np.full(len(start), np.nan),
    )
    if rule == INVERSE_VARIANCE and of_sds:
        found = _weighted(rows, start, found)
    lone = count == 1
    return Label(np.where(lone, first.value, found.value), np.where(lone, first.statistic, found.statistic))


def _weighted(rows: Label, start: Int64[np.ndarray, " genotypes"], otherwise: Label) -> Label:
    """The inverse-variance means, and `otherwise` of genotypes without any weight."""
    has = rows.statistic > 0  # False of NaN, too
    # in units of the genotype's least SD: 1 / s^2 of an SD below 1e-154 would be no number
    least = np.minimum.reduceat(np.where(has, rows.statistic, np.inf), start)
    count = np.diff(start, append=len(rows.value))
    weight = (
        np.where(has, np.divide(np.repeat(least, count), rows.statistic, where=has, out=np.zeros(len(has))), 0.0) ** 2
    )
    total = np.add.reduceat(weight, start)
    some = total > 0
    safe = np.where(some, total, 1.0)
    value = np.add.reduceat(weight * rows.value, start) / safe
    sd = np.where(some, least, 0.0) / np.sqrt(safe)
    return Label(np.where(some, value, otherwise.value), np.where(some, sd, otherwise.statistic))


def _counts(
    chosen: Bool[np.ndarray, " ordered"], start: Int64[np.ndarray, " genotypes"]
) -> Int64[np.ndarray, " genotypes"]:
    """How many rows of each genotype are chosen."""
    found: Int64[np.ndarray, " genotypes"] = (
        np.add.reduceat(chosen.astype(np.int64), start) if len(start) else np.zeros(0, dtype=np.int64)
    )
    return found


def _of_rows_with_a_value(
    rows: Label,
    has: Bool[np.ndarray, " ordered"],
    start: Int64[np.ndarray, " genotypes"],
    rule: str,
    statistic_kind: str,
) -> Label:
    count = _counts(has, start)
    some = np.flatnonzero(count)
    # the kept rows of a genotype begin where those of all before it end
    kept = Label(rows.value[has], rows.statistic[has])
    found = merged_label(kept, (np.cumsum(count) - count)[some], rule, statistic_kind)
    labels = Label(np.full(len(start), np.nan), np.full(len(start), np.nan))
    labels.value[some], labels.statistic[some] = found
    return labels


def merge_weights(rows: Label, start: Int64[np.ndarray, " genotypes"]) -> MergeWeights:
    """Count what of merged rows has no weight by the rule `inverse-variance`."""
    if not len(start):
        return MergeWeights(0, 0)
    has = ~np.isnan(rows.value)
    count, without = _counts(has, start), _counts(has & ~(rows.statistic > 0), start)
    by_mean = (count > 1) & (without == count)
    left_out = (count > 1) & ~by_mean
    return MergeWeights(int(without[left_out].sum()), int(by_mean.sum()))


def merge_duplicates(dataset: Dataset, rule: str = "mean") -> Genotypes:
    """Merge rows with equal gene sets by one of DUPLICATES, every row kept in `order`.

    Values and statistics of merged rows are those of `merged_label`. A genotype merged from rows of different query
    groups joins those groups into one component. Raises UsageError for `inverse-variance` without
    any standard deviation.
    """
    rows = dataset.measurements
    if rule == INVERSE_VARIANCE:
        _require_sds(dataset)
    order, new = _by_genotype(rows)
    component, names = join_query_groups(rows.query[order], np.cumsum(new, dtype=np.int32), dataset.queries)
    return Genotypes(
        rows=rows,
        statistic_kinds=tuple(phenotype.statistic for phenotype in dataset.phenotypes),
        rule=rule,
        order=order,
        start=np.arange(len(rows)) if rule == "keep" else np.flatnonzero(new).astype(np.int64),
        component=component,
        group_names=names,
    )


def refused_weights(why: str, hint: str) -> UsageError:
    """Return the error of rows that cannot be weighed by their standard deviations."""
    return UsageError(f"--duplicates {INVERSE_VARIANCE} weighs rows by their standard deviations", why=why, hint=hint)


def _require_sds(dataset: Dataset) -> None:
    statistic, kind = dataset.phenotype.statistic, dataset.phenotype.kind
    measured = dataset.measurements
    labels = zip(dataset.phenotypes, (measured.statistic, *(x.statistic for x in measured.others)), strict=True)
    if any(phenotype.statistic == "sd" and (found > 0).any() for phenotype, found in labels):
        return
    has = {"sd": "none of its rows has one above 0", "p_value": "it has P-values"}.get(statistic, "it has none")
    raise refused_weights(f"{dataset.name}, {kind}: {has}", SD_HINT)


def _by_genotype(rows: Measurements) -> tuple[Int64[np.ndarray, " rows"], Bool[np.ndarray, " rows"]]:
    """Rows sorted by genes, then by row number, and where in that order a new genotype begins."""
    new = np.ones(len(rows), dtype=bool)
    bits = len(rows).bit_length()
    # digits 0 (NO_GENE) to the largest gene + 1: a genotype read as one number in this base sorts as its genes do
    base = int(rows.genes.max(initial=NO_GENE)) + 2
    # in Python's integers, which do not overflow
    if base ** rows.genes.shape[1] << bits > np.iinfo(np.int64).max or (np.diff(rows.row) < 0).any():
        order = np.lexsort((rows.row, *rows.genes.T[::-1])).astype(np.int64)
        new[1:] = (rows.genes[order[1:]] != rows.genes[order[:-1]]).any(axis=1)
        return order, new
    # Genes and position in one number: one sort in place, where lexsort takes a column of indices for each key.
    packed = np.zeros(len(rows), dtype=np.int64)
    for column in rows.genes.T:
        packed *= base
        packed += column
        # NO_GENE, -1, becomes the digit 0
        packed += 1
    packed <<= bits
    # the row's place in the low bits: it breaks ties by row number, and comes back as `order`
    packed += np.arange(len(rows))
    packed.sort()
    order = packed & ((1 << bits) - 1)
    packed >>= bits
    new[1:] = packed[1:] != packed[:-1]
    return order, new


def join_query_groups(
    query: Int32[np.ndarray, " rows"], genotype: Int32[np.ndarray, " rows"], queries: Sequence[str]
) -> tuple[Int32[np.ndarray, " queries_and_none"], tuple[str, ...]]:
    """Join the queries that measured the same genotype; rows come sorted by genotype.

    Returns the component of each query (last entry: NO_QUERY, for rows without one) and the components'
    names, in the order of their first queries: `A;B` of queries A and B.
    """
    if (query == NO_QUERY).any():
        query, genotype = query[query != NO_QUERY], genotype[query != NO_QUERY]
    leader = np.arange(len(queries))
    for start in range(0, len(query) - 1, BLOCK):
        # one row more than a block, so that the pair across its end is compared, too
        q, g = query[start : start + BLOCK + 1], genotype[start : start + BLOCK + 1]
        # neighbours are enough: A with B and B with C joins A with C
        joined = np.flatnonzero((g[1:] == g[:-1]) & (q[1:] != q[:-1]))
        leader = _join(leader, q[joined], q[joined + 1])
    heads, component = np.unique(leader, return_inverse=True)
    members: list[list[str]] = [[] for _ in heads]
    for index, name in zip(component.tolist(), queries, strict=True):
        members[index].append(name)
    # the last entry answers for queries of -1
    return np.append(component, NO_QUERY).astype(np.int32), tuple(";".join(sorted(names)) for names in members)


def _join(
    leader: Int64[np.ndarray, " nodes"], a: Int32[np.ndarray, " edges"], b: Int32[np.ndarray, " edges"]
) -> Int64[np.ndarray, " nodes"]:
    """Smallest node of each component once the edges are added: roots hook onto smaller roots until none crosses."""
    # every edge hooks the larger of its two roots onto the smaller, all at once, so no circle arises: a few rounds over
    # whole arrays, where a union-find in Python would go through 20 million rows one by one
    while len(a):
        low, high = np.minimum(leader[a], leader[b]), np.maximum(leader[a], leader[b])
        apart = low != high
        a, b = a[apart], b[apart]
        np.minimum.at(leader, high[apart], low[apart])
        while (leader[leader] != leader).any():
            leader = leader[leader]
    return leader
