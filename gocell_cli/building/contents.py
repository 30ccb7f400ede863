"""domain -> storage: what a cache will hold, as the format's arrays: hierarchy, samples, provenance."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gocell_cli.building.tasks import InMemory
from gocell_cli.controls import Control
from gocell_cli.csr import pointers
from gocell_cli.domain.alleles import kinds_of
from gocell_cli.domain.genes import GeneList, GeneTable
from gocell_cli.domain.genotype import NO_GENE, Dataset, Genotypes
from gocell_cli.domain.levels import check_levels
from gocell_cli.domain.term_hierarchy import TermHierarchy
from gocell_cli.errors import InvalidInput, LevelsError
from gocell_cli.gene_channels import Inputs
from gocell_cli.storage.schema import Hierarchy, Labels, Provenance, Samples

MAX_NAMED = 5


def make_hierarchy(
    terms: TermHierarchy,
    genes: GeneTable,
    level_by: str,
    control: Control | None = None,
    inputs: Inputs | None = None,
) -> Hierarchy:
    """Return the arrays with `level_by` as the level in use; of a control of the hierarchy, where one is asked for.

    inputs: what the table's genes stand for, where it is one of channels. Raises LevelsError where that grouping does
    not hold on every edge.
    """
    # before anything is made of it: with an edge within a level, a child would be read before it is computed
    require_levels(terms, level_by)
    grouping = terms.groupings[level_by]
    # minlength: genes without annotation have no rows, but an entry
    counts = np.bincount(terms.row_gene, minlength=len(genes))
    hierarchy = Hierarchy(
        term_ids=terms.ids,
        term_names=terms.names,
        term_namespaces=terms.namespaces,
        go_level=terms.groupings["level"].level,
        go_depth=terms.groupings["depth"].level,
        stratum=terms.groupings["stratum"].level,
        height=terms.groupings["height"].level,
        level=grouping.level,
        direct_genes=terms.direct_genes,
        contained_genes=terms.contained_genes,
        gene_names=genes.systematic,
        gene_standard=genes.standard,
        gene_aliases=genes.aliases,
        gene_ids=genes.ids or ((),) * len(genes),
        edge_child=terms.edges.child,
        edge_parent=terms.edges.parent,
        row_term=terms.row_term,
        row_gene=terms.row_gene,
        gene_ptr=pointers(counts),
        # stable, so that a gene's rows ascend: rows are sorted by (term, gene), and CSR promises it
        gene_rows=np.argsort(terms.row_gene, kind="stable").astype(np.int32),
        level_by=level_by,
        level_direction=grouping.direction,
        inputs=inputs,
    )
    return hierarchy if control is None else hierarchy.controlled(control)


def require_levels(terms: TermHierarchy, level_by: str) -> None:
    """Raise LevelsError, with counts and the first edges by name, where the grouping does not hold."""
    report = check_levels(terms.groupings[level_by], terms.edges)
    if report.ok:
        return
    edges = "\n".join(
        f"    {terms.ids[f.child]} (level {f.child_level}) -> {terms.ids[f.parent]} (level {f.parent_level}),"
        f" {f.kind.replace('_', ' ')}"
        for f in report.findings[:MAX_NAMED]
    )
    raise LevelsError(
        f"the hierarchy in use cannot be run level by level with --level-by {level_by}: {report.same_level}"
        f" same-level and {report.inverted} inverted edges, for example (child -> parent)\n{edges}",
        why="a bottom-up network needs every edge to lead to another, shallower level; nothing was written",
        hint="--level-by stratum holds by construction",
    )


class UnannotatedRows(NamedTuple):
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


def keep_listed(dataset: Dataset, genes: tuple[str, ...], only: GeneList | None) -> Dataset:
    """Drop, and count, the rows that delete a gene that is not on the list; `genes` is what each index stands for."""
    if only is None:
        return dataset
    listed = np.append(np.isin(np.array(genes), np.array(only.names)), True)  # the last: padding, -1
    return dataset.without(~dataset.measurements.all_genes_in(listed), "gene_not_listed")


def one_state_each(dataset: Dataset, inputs: Inputs | None) -> Dataset:
    """Drop, and count, the rows that say two states of one gene in one channel."""
    if inputs is None:
        return dataset
    # the last entry answers for the padding, -1, of which there may be any number
    column = np.append(inputs.column, NO_GENE)[dataset.measurements.genes]
    column.sort(axis=1)
    twice = ((column[:, 1:] == column[:, :-1]) & (column[:, 1:] != NO_GENE)).any(axis=1)
    return dataset.without(twice, "two_states_of_a_gene")


@dataclass(frozen=True)
class MergedSamples:
    """The samples of a data set, made a shard at a time: never all of them beside the measurements."""

    dataset: Dataset
    genotypes: Genotypes

    def part(self, start: int, stop: int) -> InMemory:
        """Return samples [start, stop)."""
        return InMemory(make_samples(self.dataset, self.genotypes.part(start, stop)))

    @property
    def row_bytes(self) -> float:
        """Bytes that a row of the measurements takes in memory."""
        rows = self.dataset.measurements
        columns = (rows.genes, rows.value, rows.statistic, rows.row, rows.query_strain, rows.array_strain, rows.query)
        others = (column for label in rows.others for column in label)
        # one value that stands for all rows has no stride
        held = sum(c.itemsize * c.shape[-1] if c.ndim > 1 else abs(c.strides[0]) for c in (*columns, *others))
        return float(held)


def make_samples(dataset: Dataset, genotypes: Genotypes) -> Samples:
    """Return the genotypes as sample columns, in their order; `dataset` is that of a genotype's first row."""
    rows = dataset.measurements
    genes = genotypes.genes
    # padding stands on the left, so dropping it leaves each genotype's genes ascending
    present = genes != NO_GENE
    return Samples(
        gene_ptr=pointers(present.sum(axis=1)),
        genes=genes[present].astype(np.int32),
        value=genotypes.value,
        statistic=genotypes.statistic,
        # row numbers run through all files, so the row tells its data set
        dataset=dataset.member_of(rows.row[genotypes.order[genotypes.start]]),
        query_group=genotypes.query_group,
        source_ptr=pointers(genotypes.count),
        source_row=rows.row[genotypes.order],
        query_strain=rows.query_strain[genotypes.order],
        array_strain=rows.array_strain[genotypes.order],
        others=tuple(Labels(*label) for label in genotypes.others),
    )


def make_provenance(dataset: Dataset, genotypes: Genotypes) -> Provenance:
    """Return the names that the samples' provenance columns index."""
    return Provenance(
        strains=dataset.strains,
        kinds=kinds_of(dataset),
        query_groups=genotypes.group_names,
        fitness=tuple(mean_fitness(values) for values in dataset.fitness),
    )


def mean_fitness(values: tuple[float, ...]) -> float | None:
    """Return the mean of what was published of a strain's fitness, None where nothing was."""
    # fsum: rounded once, so that equal values have themselves as their mean
    return math.fsum(values) / len(values) if values else None
