"""domain -> storage: merged genotypes as the cache's sample columns."""

from dataclasses import dataclass

import numpy as np

from gocell_cli.building.shard_task import InMemory
from gocell_cli.csr import pointers
from gocell_cli.domain.alleles import strain_kind
from gocell_cli.domain.genes import GeneList, GeneTable
from gocell_cli.domain.genotype import NO_GENE, Dataset, Genotypes
from gocell_cli.errors import InvalidInput
from gocell_cli.storage.schema import Hierarchy, Provenance, Samples


@dataclass(frozen=True)
class UnannotatedRows:
    """How many measured rows delete a gene that no term of the hierarchy holds."""

    dataset: Dataset
    rows: int


def apply_unannotated_rule(dataset: Dataset, hierarchy: Hierarchy, *, keep: bool) -> UnannotatedRows:
    """Count the rows with a gene without annotation, and drop them (counted) unless they are to be kept."""
    annotated = np.append(np.diff(hierarchy.gene_ptr) > 0, True)  # the last entry serves the padding, -1
    affected = ~dataset.measurements.all_genes_in(annotated)
    count = int(affected.sum())
    if keep or not count:
        return UnannotatedRows(dataset, count)
    return UnannotatedRows(dataset.without(affected, "gene_without_annotation"), count)


def require_annotated(dataset: Dataset, hierarchy: Hierarchy) -> None:
    """Raise InvalidInput where no measured gene is annotated to any term: the names cannot be the same."""
    deleted = dataset.measurements.genes_used()
    if not len(deleted) or (np.diff(hierarchy.gene_ptr)[deleted] > 0).any():
        return
    raise InvalidInput(
        f"none of the {len(deleted)} genes of {dataset.name} is annotated to a term of the hierarchy",
        why=f"{dataset.name} deletes {', '.join(hierarchy.gene_names[g] for g in deleted[:3])}",
        hint="choose annotations of the same organism and gene names (--gaf, --gene-id, --taxon)",
    )


def keep_listed(dataset: Dataset, genes: GeneTable, only: GeneList | None) -> Dataset:
    """Drop, and count, the rows that delete a gene that is not on the list."""
    if only is None:
        return dataset
    listed = np.append(np.isin(np.array(genes.systematic), np.array(only.names)), True)  # the last: padding, -1
    return dataset.without(~dataset.measurements.all_genes_in(listed), "gene_not_listed")


@dataclass(frozen=True)
class MergedSamples:
    """The samples of a data set, made a shard at a time: never all of them beside the measurements."""

    dataset: Dataset
    genotypes: Genotypes

    def part(self, start: int, stop: int) -> InMemory:
        """Return samples [start, stop)."""
        return InMemory(make_samples(self.dataset, self.genotypes.part(start, stop)))


def make_samples(dataset: Dataset, genotypes: Genotypes) -> Samples:
    """Return the genotypes as sample columns, in their order; `dataset` is that of a genotype's first row."""
    rows = dataset.measurements
    genes = genotypes.genes
    present = genes != NO_GENE
    return Samples(
        gene_ptr=pointers(present.sum(axis=1)),
        genes=genes[present].astype(np.int32),
        value=genotypes.value,
        statistic=genotypes.statistic,
        dataset=dataset.member_of(rows.row[genotypes.order[genotypes.start]]),
        query_group=genotypes.query_group,
        source_ptr=pointers(genotypes.count),
        source_row=rows.row[genotypes.order],
        query_strain=rows.query_strain[genotypes.order],
        array_strain=rows.array_strain[genotypes.order],
    )


def make_provenance(dataset: Dataset, genotypes: Genotypes) -> Provenance:
    """Return the names that the samples' provenance columns index."""
    return Provenance(
        strains=dataset.strains,
        kinds=tuple(strain_kind(*strain) for strain in dataset.strains),
        query_groups=genotypes.group_names,
    )
