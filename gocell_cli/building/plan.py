"""The plan of a build: a pure function of what was read and what was asked for.

Nothing is written here, so every error that the inputs can cause is raised before a file exists.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import numpy as np

from gocell_cli.building.contents import (
    MergedSamples,
    UnannotatedRows,
    apply_unannotated_rule,
    keep_listed,
    make_hierarchy,
    make_provenance,
    one_state_each,
    require_annotated,
)
from gocell_cli.building.tasks import SampleSource
from gocell_cli.controls import Control
from gocell_cli.domain.alleles import MergedAlleles, merged_alleles
from gocell_cli.domain.annotation_check import annotation_notes, date_warnings, require_joined, term_warnings
from gocell_cli.domain.annotations import AnnotationRows, Annotations, resolve_annotations
from gocell_cli.domain.genes import GeneTable
from gocell_cli.domain.genotype import (
    INVERSE_VARIANCE,
    NONE_REJECTED,
    Dataset,
    Genotypes,
    Phenotype,
    Rejected,
    merge_duplicates,
)
from gocell_cli.domain.input_genes import input_genes
from gocell_cli.domain.levels import require_acyclic
from gocell_cli.domain.ontology import Ontology
from gocell_cli.domain.ontology_check import check_ontology, ontology_warnings, require_whole
from gocell_cli.domain.simulation import Simulation
from gocell_cli.domain.term_filters import PRESETS, READY, FilterRules, filter_terms
from gocell_cli.domain.term_hierarchy import TermHierarchy, make_term_hierarchy
from gocell_cli.errors import InvalidInput
from gocell_cli.free_memory import free_memory, require_memory
from gocell_cli.gene_channels import Channel
from gocell_cli.gene_names import NameCounts, few_found
from gocell_cli.storage.manifest import canonical_json
from gocell_cli.storage.records import version_of
from gocell_cli.storage.schema import Hierarchy, Provenance

SIMULATED_BYTES = 1800
"""A simulated sample while its teacher runs, measured on 200,000 of three deletions."""
LATER_RULES = ("include_evidence", "namespaces", "redundant", "genes", "as_is", "more_than_child")
"""Rules that came after the first caches."""


@dataclass(frozen=True)
class BuildOptions:
    """What the user asked for, beyond the sources."""

    rules: FilterRules
    level_by: str = "stratum"
    backends: tuple[str, ...] = ("parquet",)
    shard_size: int = 100_000
    keep_unannotated: bool = True
    duplicates: str = "mean"
    control: Control | None = None
    until: int | None = None
    channels: tuple[Channel, ...] = ()


@dataclass(frozen=True)
class BuildPlan:
    """Everything the cache will hold, how it is cut into shards, and what of a lab's table it will not hold."""

    config: Mapping[str, Any]
    fingerprint: str
    hierarchy: Hierarchy
    source: SampleSource
    provenance: Provenance
    counts: Mapping[str, Any]
    dataset: str
    datasets: tuple[str, ...]
    phenotypes: tuple[Phenotype, ...]
    options: BuildOptions
    bounds: tuple[tuple[int, int], ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    rejected: Rejected = NONE_REJECTED

    @property
    def phenotype(self) -> Phenotype:
        """The first phenotype."""
        return self.phenotypes[0]


def plan_hierarchy(
    ontology: Ontology,
    rows: AnnotationRows,
    genes: GeneTable,
    rules: FilterRules,
    *,
    until: int | None = None,
    published: int | None = None,
) -> tuple[TermHierarchy, Annotations]:
    """Resolve the annotations, filter the terms, and return the hierarchy in use with what was dropped.

    The terms' `ontology_index` counts within `ontology.within(rules.namespaces)`. Raises CycleError where the
    relations in use are not acyclic, InvalidInput where the ontology is a part of one (`require_whole`).
    """
    if not rules.as_is:
        require_whole(ontology, rules.relations)
    # first, so that a term of another namespace counts as left out and no edge leads to it
    ontology = ontology.within(rules.namespaces)
    # before any filter: they go by children first, an order in which the terms of a cycle have no place
    require_acyclic(ontology, rules.relations)
    annotations = resolve_annotations(
        rows,
        ontology,
        genes,
        exclude_evidence=rules.exclude_evidence,
        include_evidence=rules.include_evidence,
        only=rules.genes,
        until=until,
        published=published,
    )
    require_joined(ontology, annotations, rows.source)
    return make_term_hierarchy(ontology, filter_terms(ontology, annotations, rules)), annotations


def plan_build(
    ontology: Ontology,
    rows: AnnotationRows,
    genes: GeneTable,
    dataset: Dataset | Simulation,
    options: BuildOptions,
    sha256: Mapping[str, str],
) -> BuildPlan:
    """Plan a cache; raises LevelsError, InvalidInput (`few_found`, too), of a simulation UsageError and TooLarge."""
    published = None if isinstance(dataset, Simulation) else dataset.published
    terms, annotations = plan_hierarchy(ontology, rows, genes, options.rules, until=options.until, published=published)
    hierarchy = _hierarchy(terms, genes, options)
    if isinstance(dataset, Simulation):
        dataset = _drawn(dataset, terms)
    names = _joins(rows, dataset, options.rules)
    warnings = (*_few(names, genes), *_warnings(ontology, rows, annotations, dataset, options.rules))
    dataset, rows_unannotated = _usable(dataset, hierarchy, options)
    genotypes = merge_duplicates(dataset, options.duplicates)
    mixed = merged_alleles(dataset, genotypes)
    config = make_config(
        dataset.name,
        dataset.phenotypes,
        options,
        go_release=ontology.release,
        sources={**sha256, **dataset.sources},
        dataset_options=dataset.options,
        annotation_options=rows.naming.options if rows.naming is not None else {},
        strain_fitness=bool(dataset.fitness),
    )
    return BuildPlan(
        config=config,
        fingerprint=make_fingerprint(config),
        hierarchy=hierarchy,
        source=MergedSamples(dataset, genotypes),
        provenance=make_provenance(dataset, genotypes),
        counts={
            **_counts(ontology, annotations, terms, dataset, len(genotypes), rows_unannotated),
            **_gene_counts(rows, options.rules, names),
            **_merge_counts(dataset, genotypes, mixed),
        },
        dataset=dataset.name,
        datasets=dataset.members,
        phenotypes=dataset.phenotypes,
        options=options,
        bounds=shard_bounds(len(genotypes), options.shard_size),
        notes=(*annotation_notes(annotations), *_fitness_notes(dataset), *_weight_notes(genotypes)),
        warnings=(*warnings, *_allele_warnings(dataset, mixed)),
        rejected=dataset.rejected,
    )


def _drawn(simulation: Simulation, terms: TermHierarchy) -> Dataset:
    """Draw simulated samples; raises TooLarge where memory has no room for them."""
    # a term's neurons are scaled by their variance over all samples, so that all are held at once
    fewer = f"--samples {(free_memory() or 0) // SIMULATED_BYTES}"
    require_memory(simulation.samples * SIMULATED_BYTES, f"drawing {simulation.samples:,} samples", hint=fewer)
    # the teacher is wired as GO is, never as a control: so a simulation can be drawn only now, and of the terms
    return simulation.draw(terms)


def _hierarchy(terms: TermHierarchy, genes: GeneTable, options: BuildOptions) -> Hierarchy:
    """The arrays of a hierarchy, of genes or, with channels, of their inputs."""
    if not options.channels:
        return make_hierarchy(terms, genes, options.level_by, options.control)
    changed = input_genes(genes, options.channels)
    return make_hierarchy(changed.terms(terms), changed.table, options.level_by, options.control, changed.inputs)


def _joins(rows: AnnotationRows, dataset: Dataset, rules: FilterRules) -> tuple[NameCounts, ...]:
    """How the names of everything that was joined to the gene table were found."""
    listed = (rules.genes.counts,) if rules.genes is not None else ()
    return (*((rows.found,) if rows.found is not None else ()), *listed, *dataset.names)


def _few(names: Sequence[NameCounts], genes: GeneTable) -> list[str]:
    return [warning for found in names if (warning := few_found(found, len(genes)))]


def _usable(dataset: Dataset, hierarchy: Hierarchy, options: BuildOptions) -> UnannotatedRows:
    """Apply the rules on listed and on unannotated genes; raises InvalidInput where no row is left."""
    # listed genes first: whether what is left has annotations is asked of the rows that will be used
    names = hierarchy.gene_names if hierarchy.inputs is None else hierarchy.inputs.gene
    listed = keep_listed(one_state_each(dataset, hierarchy.inputs), names, options.rules.genes)
    require_annotated(listed, hierarchy)
    usable = apply_unannotated_rule(listed, hierarchy, keep=options.keep_unannotated)
    if not len(usable.dataset.measurements):
        raise InvalidInput(f"{dataset.name}: no sample is left", why=f"rows dropped: {dict(usable.dataset.dropped)}")
    return usable


def _counts(
    ontology: Ontology,
    annotations: Annotations,
    terms: TermHierarchy,
    dataset: Dataset,
    samples: int,
    unannotated: int,
) -> dict[str, Any]:
    """Return what was kept and what was dropped, with the reason: rows_read == samples + all that is dropped."""
    # a merged row is not lost, yet no sample of its own: without it the rows would not add up
    merged = len(dataset.measurements) - samples
    return {
        "rows_read": dataset.rows_read,
        "samples": samples,
        "dropped": {**dataset.dropped, **({"duplicate_merged": merged} if merged else {})},
        "rows_with_unannotated_gene": unannotated,
        "annotations": {
            "rows_read": annotations.rows_read,
            "dropped": dict(annotations.dropped_rows),
            "pairs_asserted": len(annotations.asserted),
            "pairs_used": len(annotations.direct),
            "nd_only_genes": annotations.nd_only_genes,
            **{f"rows_of_{how}_terms": n for how, n in annotations.renamed.items()},
        },
        "ontology": {"terms": len(ontology), "dropped": dict(ontology.dropped)},
        "terms_after": dict(terms.funnel),
        **({"simulated": dict(dataset.shares)} if dataset.shares else {}),
        **({"files": [file._asdict() for file in dataset.files]} if dataset.files else {}),
        **({"strain_fitness": _fitness_counts(dataset)} if dataset.fitness else {}),
    }


def _fitness_counts(dataset: Dataset) -> dict[str, int]:
    """Return of how many strains fitness was published, and of how many several values, whose mean is taken."""
    values = [len(found) for found in dataset.fitness]
    return {"strains": sum(n > 0 for n in values), "of": len(values), "several_values": sum(n > 1 for n in values)}


def _fitness_notes(dataset: Dataset) -> tuple[str, ...]:
    if not dataset.fitness:
        return ()
    found = _fitness_counts(dataset)
    several = f"; of {found['several_values']:,} it has several values, whose mean is kept"
    return (
        f"{dataset.name} publishes the fitness of {found['strains']:,} of its {found['of']:,} strains"
        f"{several if found['several_values'] else ''}",
    )


def _merge_counts(dataset: Dataset, genotypes: Genotypes, mixed: MergedAlleles) -> dict[str, Any]:
    """Return what became of rows of one genotype, and of how many samples each of several phenotypes was measured.

    Rows of several alleles that were merged, and what of merged rows had no weight.
    """
    weights = genotypes.weights._asdict() if genotypes.rule == INVERSE_VARIANCE else {}
    kinds = [phenotype.kind for phenotype in dataset.phenotypes]
    measured = dict(zip(kinds, genotypes.measured, strict=True)) if dataset.others else {}
    found = {"merged_alleles": mixed._asdict() if mixed.rows else {}, "weights": weights, "phenotypes": measured}
    return {name: counts for name, counts in found.items() if counts}


def _weight_notes(genotypes: Genotypes) -> tuple[str, ...]:
    if genotypes.rule != INVERSE_VARIANCE or not any(genotypes.weights):
        return ()
    found = genotypes.weights
    return (
        f"by {INVERSE_VARIANCE} {found.rows_without_sd:,} rows without a standard deviation count for nothing beside"
        f" others of their genotype; {found.samples_by_mean:,} samples of rows that all have none are the plain mean",
    )


def _gene_counts(rows: AnnotationRows, rules: FilterRules, names: Sequence[NameCounts]) -> dict[str, Any]:
    """Return how names were found in each join; and how genes were named and chosen, where there was a choice."""
    naming: dict[str, Any] = {"names": [found.as_json() for found in names]}
    if rows.naming is not None:
        naming["gene_naming"] = asdict(rows.naming)
    if rules.genes is None:
        return naming
    return {**naming, "gene_list": {"listed": len(rules.genes.names), "unknown": len(rules.genes.unknown)}}


def make_fingerprint(config: Mapping[str, Any]) -> str:
    """Return the sha256 of a configuration's canonical JSON."""
    return hashlib.sha256(canonical_json(config)).hexdigest()


def make_config(
    dataset: str,
    phenotypes: Sequence[Phenotype],
    options: BuildOptions,
    *,
    go_release: str,
    sources: Mapping[str, str],
    dataset_options: Mapping[str, str],
    annotation_options: Mapping[str, str],
    strain_fitness: bool = False,
) -> dict[str, Any]:
    """Return the canonical configuration: what decides the cache's content, and no path of this machine."""
    several = [{"kind": p.kind, "statistic": p.statistic, "unit": p.unit} for p in phenotypes]
    # told where there are any: caches of before they were kept have none, and must not pass for ones that have
    later = {
        **({"phenotypes": several} if len(several) > 1 else {}),
        **({"channels": [channel.text for channel in options.channels]} if options.channels else {}),
    }
    return {
        "format_version": version_of(later),
        # another release may build otherwise: its cache must not pass for this one
        "package_version": version("gocell"),
        "dataset": dataset,
        "phenotype": phenotypes[0].kind,
        **later,
        "dataset_options": dict(dataset_options),
        # hashes of the files, by name: the same files elsewhere give the same fingerprint
        "sources": dict(sources),
        "go_release": go_release,
        "filters": {**filter_config(options.rules), "until": options.until},
        **({"annotation_options": dict(annotation_options)} if annotation_options else {}),
        # told where there is any: caches of before it was kept have none, and must not pass for one that has
        **({"strain_fitness": "mean"} if strain_fitness else {}),
        "keep_unannotated": options.keep_unannotated,
        "duplicates": options.duplicates,
        "level_by": options.level_by,
        **({"control": options.control._asdict()} if options.control is not None else {}),
        "backends": list(options.backends),
        # shards of another size are other files, and parts are merged by fingerprint
        "shard_size": options.shard_size,
        "seed": int(dataset_options["seed"]) if "seed" in dataset_options else None,
    }


def filter_config(rules: FilterRules) -> dict[str, Any]:
    """Return the rules as they stand in a configuration.

    LATER_RULES are told only where they differ from the preset's, so that a fingerprint stays what it was.
    """
    # a ready hierarchy's rules are no preset that a user can name
    preset = PRESETS.get(rules.preset, READY)
    config = asdict(rules)
    for name in LATER_RULES:
        if config[name] == asdict(preset)[name]:
            del config[name]
    if rules.genes is not None:
        # thousands of names would swell every manifest; their hash tells two lists apart as well
        digest = hashlib.sha256("\n".join(rules.genes.names).encode()).hexdigest()
        config["genes"] = {"count": len(rules.genes.names), "sha256": digest}
    return config


def shard_bounds(samples: int, shard_size: int) -> tuple[tuple[int, int], ...]:
    """Return [start, stop) of each shard."""
    starts: Sequence[int] = range(0, samples, shard_size)
    return tuple((start, min(start + shard_size, samples)) for start in starts)


def _warnings(
    ontology: Ontology, rows: AnnotationRows, annotations: Annotations, dataset: Dataset, rules: FilterRules
) -> tuple[str, ...]:
    dates = date_warnings(annotations, dataset.name, dataset.published)
    if rules.as_is:  # a ready hierarchy may have any roots, and they are told as it is read
        return dates
    return (*hierarchy_warnings(ontology, rows, annotations, rules), *dates)


def hierarchy_warnings(
    ontology: Ontology, rows: AnnotationRows, annotations: Annotations, rules: FilterRules
) -> tuple[str, ...]:
    """Return what stands out in the ontology itself and in how the annotations joined it."""
    found = check_ontology(ontology, rules.relations)
    return (*ontology_warnings(ontology, found), *term_warnings(ontology, annotations, rows.source))


def _allele_warnings(dataset: Dataset, mixed: MergedAlleles) -> tuple[str, ...]:
    if not mixed.rows:
        return ()
    return (
        f"{mixed.rows:,} rows of {dataset.name} are of different alleles of the same genes and are merged into"
        f" {mixed.genotypes:,} samples, as a genotype is its genes; --alleles deletion-only takes one kind,"
        " --duplicates keep makes a sample of each",
    )


def level_counts(hierarchy: Hierarchy) -> tuple[int, ...]:
    """Terms at each level, lowest level first; every level between lowest and highest has an entry."""
    # bincount takes no negative numbers, and GOATOOLS' levels begin at -1, GO:ROOT's
    return tuple(np.bincount(hierarchy.level - hierarchy.level.min()).tolist())
