"""Several data sets as one: rows one after another, in one numbering, with the names they share told once."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Int32

from gocell_cli.domain.alleles import KINDS, kinds_of
from gocell_cli.domain.genotype import NO_GENE, Dataset, Label, Measurements, Phenotype, Rejected, SourceFile
from gocell_cli.errors import UsageError
from gocell_cli.gene_names import NameCounts


def join_datasets(datasets: Sequence[Dataset], kinds: Sequence[str] = ()) -> Dataset:
    """Join data sets of one phenotype, in order: the first one's rows come first.

    `kinds`, where there are several, are the phenotypes of all of them: of a data set that lacks one its rows lack it.

    Query groups of the same genes are one group, and strains of the same id and allele one strain. Row numbers are
    counted on; what was dropped, sources and options are named `data set: what`. Data sets of one name are the files
    of one data set: they keep it, and its reasons and options are added up.

    Raises UsageError where the statistic of one is a P-value, of another a standard deviation.
    """
    if len(datasets) == 1:
        return datasets[0]
    if len(kinds) > 1:
        datasets = [_with_phenotypes(dataset, kinds) for dataset in datasets]
    # distinct, in the order given: a set would shuffle them, and `dataset` indexes them
    names = tuple(dict.fromkeys(d.name for d in datasets))
    strains, queries = (
        tuple(sorted(set().union(*found))) for found in ([d.strains for d in datasets], [d.queries for d in datasets])
    )
    measurements, files, first = [], [], 1
    for dataset in datasets:
        measurements.append(_renumbered(dataset, strains, queries, first))
        files += _files(dataset, names.index(dataset.name), first)
        first += _lines(dataset)
    whole = len(names) == 1
    phenotypes = _phenotypes(names, datasets)
    published = [d.published for d in datasets if d.published is not None]
    return replace(
        datasets[0],
        name="+".join(names),
        phenotype=phenotypes[0],
        others=phenotypes[1:],
        measurements=_stacked(measurements),
        strains=strains,
        queries=queries,
        rows_read=sum(d.rows_read for d in datasets),
        dropped=_dropped(datasets, whole=whole),
        sources={_named(d, k, whole=whole): v for d in datasets for k, v in d.sources.items()},
        options={_named(d, k, whole=whole): v for d in datasets for k, v in d.options.items()},
        # the earliest: an annotation newer than any of them may have learned from that one
        published=min(published, default=None),
        files=tuple(files),
        joined=() if whole else names,
        names=_names(datasets),
        kinds=_kinds(datasets, strains),
        fitness=_fitness(datasets, strains),
        rejected=_rejected(datasets),
    )


def _rejected(datasets: Sequence[Dataset]) -> Rejected:
    """The rows of all data sets that were not taken."""
    rows = tuple(row for dataset in datasets for row in dataset.rejected.rows)
    return Rejected(rows, sum(dataset.rejected.number for dataset in datasets))


def _phenotypes(names: Sequence[str], datasets: Sequence[Dataset]) -> tuple[Phenotype, ...]:
    each = zip(*(dataset.phenotypes for dataset in datasets), strict=True)
    return tuple(_joined_phenotype(names, found) for found in each)


def _joined_phenotype(names: Sequence[str], found: Sequence[Phenotype]) -> Phenotype:
    """One phenotype of all data sets; raises UsageError where their statistics are not the same."""
    statistics = sorted({phenotype.statistic for phenotype in found} - {""})
    if len(statistics) > 1:
        raise UsageError(f"{' and '.join(names)} cannot be joined: their statistics are {' and '.join(statistics)}")
    return Phenotype(found[0].kind, "".join(statistics))


def _with_phenotypes(dataset: Dataset, kinds: Sequence[str]) -> Dataset:
    """Return the data set with these phenotypes, in their order; NaN in all rows where it has one not."""
    rows = dataset.measurements
    labels = (Label(rows.value, rows.statistic), *rows.others)
    held = {phenotype.kind: (phenotype, own) for phenotype, own in zip(dataset.phenotypes, labels, strict=True)}
    none = Label(np.full(len(rows), np.nan), np.full(len(rows), np.nan))
    (phenotype, first), *others = [held.get(kind, (Phenotype(kind), none)) for kind in kinds]
    measurements = replace(rows, value=first.value, statistic=first.statistic, others=tuple(own for _, own in others))
    return replace(dataset, phenotype=phenotype, others=tuple(p for p, _ in others), measurements=measurements)


def _kinds(datasets: Sequence[Dataset], strains: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """The kind of each strain; where two data sets see one strain differently, the one that is no plain deletion."""
    found: dict[tuple[str, str], str] = {}
    for dataset in datasets:
        for strain, kind in zip(dataset.strains, kinds_of(dataset), strict=True):
            found[strain] = max(kind, found.get(strain, kind), key=KINDS.index)
    return tuple(found[strain] for strain in strains)


def _fitness(datasets: Sequence[Dataset], strains: Sequence[tuple[str, str]]) -> tuple[tuple[float, ...], ...]:
    """What any of the data sets says of each strain's fitness."""
    found: dict[tuple[str, str], set[float]] = {strain: set() for strain in strains}
    for dataset in datasets:
        for strain, values in zip(dataset.strains, dataset.fitness or ((),) * len(dataset.strains), strict=True):
            found[strain].update(values)
    return tuple(tuple(sorted(found[s])) for s in strains) if any(found.values()) else ()


def _lines(dataset: Dataset) -> int:
    """Lines that the row numbers of a data set may name."""
    # rows_read leaves out the header, which is a line as well
    return max(dataset.rows_read + 1, int(dataset.measurements.row.max(initial=0)))


def _files(dataset: Dataset, member: int, first: int) -> list[SourceFile]:
    own = dataset.files or (SourceFile(next(iter(dataset.sources), dataset.name), 1, dataset.rows_read),)
    return [file._replace(first_row=file.first_row + first - 1, dataset=member) for file in own]


def _renumbered(
    dataset: Dataset, strains: Sequence[tuple[str, str]], queries: Sequence[str], first: int
) -> Measurements:
    rows = dataset.measurements
    strain, query = _positions(dataset.strains, strains), _positions(dataset.queries, queries)
    return replace(
        rows,
        row=rows.row + (first - 1),
        query_strain=strain[rows.query_strain],
        array_strain=strain[rows.array_strain],
        query=query[rows.query],
    )


def _positions(names: Sequence[object], among: Sequence[object]) -> Int32[np.ndarray, " names_and_none"]:
    """Index of each name among others; the last entry answers for none, -1."""
    place = {name: i for i, name in enumerate(among)}
    return np.array([*(place[name] for name in names), -1], dtype=np.int32)


def _stacked(parts: Sequence[Measurements]) -> Measurements:
    width = max(part.genes.shape[1] for part in parts)
    # padded on the left, where Measurements keeps NO_GENE
    padded = [np.pad(part.genes, ((0, 0), (width - part.genes.shape[1], 0)), constant_values=NO_GENE) for part in parts]
    single = [name for name in Measurements.__dataclass_fields__ if name not in ("genes", "others")]
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in single}
    labels = zip(*(part.others for part in parts), strict=True)
    others = tuple(Label(*(np.concatenate(column) for column in zip(*found, strict=True))) for found in labels)
    return Measurements(genes=np.concatenate(padded), **columns, others=others)


def _named(dataset: Dataset, what: str, *, whole: bool) -> str:
    return what if whole else f"{dataset.name}: {what}"


def _names(datasets: Sequence[Dataset]) -> tuple[NameCounts, ...]:
    """The counts of each join, those of the same name (files of one data set) added up."""
    joins: dict[str, NameCounts] = {}
    for counts in (counts for dataset in datasets for counts in dataset.names):
        joins[counts.join] = joins[counts.join] + counts if counts.join in joins else counts
    return tuple(joins.values())


def _dropped(datasets: Sequence[Dataset], *, whole: bool) -> Mapping[str, int]:
    total: Counter[str] = Counter()
    for dataset in datasets:
        total.update({_named(dataset, reason, whole=whole): count for reason, count in dataset.dropped.items()})
    return dict(total)
