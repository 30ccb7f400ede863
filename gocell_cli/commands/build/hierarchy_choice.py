"""The hierarchy that `--obo`, `--gaf`, `--hierarchy` and the filter options choose, checked before anything is read."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from gocell_cli.commands.shell import options as opt
from gocell_cli.commands.shell.options import GeneId, LevelBy, Preset, comma_list
from gocell_cli.commands.shell.places import data_root
from gocell_cli.commands.shell.progress import download_progress
from gocell_cli.commands.shell.terminal import note, unknown_names
from gocell_cli.errors import UsageError

if TYPE_CHECKING:
    from gocell_cli.domain.annotations import Annotations, GeneNaming
    from gocell_cli.domain.genes import GeneList, GeneTable
    from gocell_cli.domain.level_graph import LevelGraph
    from gocell_cli.domain.ontology import Ontology
    from gocell_cli.domain.ontology_check import OntologyFindings
    from gocell_cli.domain.term_filters import FilterRules
    from gocell_cli.domain.term_hierarchy import TermHierarchy
    from gocell_cli.sources.go.releases import Release
    from gocell_cli.storage.schema import Hierarchy

MAX_NAMED = 5
# Evidence inferred from genetic interactions, low and high throughput: it repeats the label of such data sets.
LEAKING = ("IGI", "HGI")


@dataclass(frozen=True)
class HierarchyChoice:
    """What was chosen, as the options have it; `load` reads it, `rules` are how it is filtered."""

    READY_OPTION: ClassVar[str] = "--hierarchy"
    """What names a ready hierarchy."""

    obo: opt.Obo = None
    gaf: opt.Gaf = None
    release: opt.Release = None
    gene_id: opt.GeneIdOption = GeneId.AUTO
    taxon: opt.Taxon = None
    gene_table: opt.GeneTableFile = None
    hierarchy: opt.HierarchyFile = None
    preset: opt.PresetOption = Preset.TRUE_PATH
    relations: opt.Relations = None
    namespace: opt.Namespace = None
    exclude_evidence: opt.ExcludeEvidence = None
    include_evidence: opt.IncludeEvidence = None
    until: opt.Until = None
    genes: opt.Genes = None
    min_genes: opt.MinGenes = None
    more_than_child: opt.MoreThanChild = None
    redundant: opt.RedundantOption = None
    width_by: opt.Width = None

    def given(self) -> list[str]:
        """Return the options that filter or name what --obo and --gaf hold, of those that were given."""
        default = HierarchyChoice()
        naming = ("gaf", "gene_id", "taxon")
        rules = ("preset", "namespace", "exclude_evidence", "include_evidence", "until", "min_genes", "redundant")
        names = (*naming, *rules, "more_than_child")
        return [f"--{n.replace('_', '-')}" for n in names if getattr(self, n) != getattr(default, n)]

    def check(self) -> None:
        """Raise UsageError for options that exclude each other, and for unknown evidence codes."""
        if self.hierarchy is not None:
            other = [n for n in ("obo", "release", "relations") if getattr(self, n) is not None]
            refused = [*(f"--{n}" for n in other), *self.given()]
            if refused:
                raise UsageError(
                    f"{', '.join(refused)} cannot go with {self.READY_OPTION}",
                    why="a ready hierarchy is used as it is, without any filter",
                    hint="leave them out; --genes, --width-by and --level-by do go with it",
                )
        if self.gaf is None and self.release is None and (self.gene_id is not GeneId.AUTO or self.taxon is not None):
            raise UsageError("--gene-id and --taxon are about a GAF", hint="--gaf FILE")
        if self.gene_table is not None and (self.gaf, self.release, self.hierarchy) == (None, None, None):
            hint = f"--gaf FILE, or {self.READY_OPTION} FILE"
            raise UsageError("--gene-table is about a GAF or a hierarchy", hint=hint)
        if self.exclude_evidence is not None and self.include_evidence is not None:
            raise UsageError("--exclude-evidence and --include-evidence exclude each other", hint="choose one")
        self._check_codes()

    def _check_codes(self) -> None:
        from gocell_cli.domain.annotations import EVIDENCE_CODES

        included = comma_list(self.include_evidence)
        unknown = [
            c for c in (*(comma_list(self.exclude_evidence) or ()), *(included or ())) if c not in EVIDENCE_CODES
        ]
        if unknown:
            why = f"GO's codes are {', '.join(EVIDENCE_CODES)}"
            raise UsageError(f"no evidence code: {', '.join(unknown)}", why=why, hint="--exclude-evidence IGI,HGI,ND")
        if included == ():
            raise UsageError("--include-evidence names no code", hint="--include-evidence EXP,IDA,IPI,IMP,IEP")

    def fetched(self, root: Path | None, *, offline: bool, annotations: bool = True) -> "HierarchyChoice":
        """Return the choice with the files of --release, fetched where they are missing, as --obo and --gaf."""
        obo, gaf = _go_files(self.obo, self.gaf, self.release, root, offline=offline, annotations=annotations)
        return replace(self, obo=obo, gaf=gaf)

    def read(self) -> "Release":
        """Read what was chosen."""
        from gocell_cli.sources.go.releases import load_hierarchy, load_release

        if self.hierarchy is not None:
            return load_hierarchy(self.hierarchy, self.gene_table)
        gene_id, table = self.gene_id.value, self.gene_table
        return load_release(self.obo, self.gaf, gene_id=gene_id, taxon=self.taxon, gene_table=table)

    def load(self) -> "Release":
        """Read what was chosen, and say on stderr how the genes of a file are named."""
        release = self.read()
        if self.hierarchy is not None:
            roots = f"{release.roots} root" + ("s, joined under GO:ROOT" if release.roots > 1 else "")
            note(f"{self.hierarchy}: {release.ready}, {len(release.ontology):,} terms, {roots}")
        naming, found = release.annotations.naming, release.annotations.found
        if naming is not None:
            _tell_naming(release.annotations.source, naming)
        if self.hierarchy is not None and found is not None and found.unknown:
            told = f"{found.rows_unknown:,} of its rows name no gene and are left out"
            note(f"{self.hierarchy}: {told}{unknown_names(found.unknown)}", "warning")
        return self._with_listed(release)

    def _with_listed(self, release: "Release") -> "Release":
        """Add the genes that --genes names and the annotations do not, where no table says which genes there are."""
        from gocell_cli.sources.go.releases import with_listed

        if self.genes is None or release.all_genes:
            return release
        listed = with_listed(release, self.genes)
        added = len(listed.genes) - len(release.genes)
        if added:
            note(f"{self.genes}: {added:,} genes without annotation; they are genes because the list names them")
        return listed

    def rules(self, genes: "GeneTable") -> "FilterRules":
        """Return the rules in use; says on stderr which names of --genes are unknown, and what leaks."""
        from gocell_cli.domain.term_filters import PRESETS, READY

        rules = (READY if self.hierarchy is not None else PRESETS[self.preset.value]).changed(
            relations=comma_list(self.relations),
            min_genes=self.min_genes,
            more_than_child=self.more_than_child,
            width_by=self.width_by.value if self.width_by is not None else None,
            exclude_evidence=_sorted(() if self.include_evidence is not None else comma_list(self.exclude_evidence)),
            include_evidence=_sorted(comma_list(self.include_evidence)),
            namespaces=_sorted(comma_list(self.namespace)),
            redundant=self.redundant.value if self.redundant is not None else None,
            genes=self._gene_list(genes),
        )
        if self.exclude_evidence is not None or self.include_evidence is not None:
            _warn_of_leaks(rules)
        return rules

    def _gene_list(self, genes: "GeneTable") -> "GeneList | None":
        from gocell_cli.sources.go.releases import load_gene_list

        if self.genes is None:
            return None
        found = load_gene_list(self.genes, genes)
        note(f"{self.genes}: {len(found.names):,} genes used{unknown_names(found.unknown)}")
        return found

    def whole_graph(self) -> "LevelGraph":
        """Read the whole ontology; says on stderr which options have no effect on it."""
        from gocell_cli.domain.level_graph import LevelGraph
        from gocell_cli.sources.go.releases import load_ontology

        unused = [*self.given(), *(["--genes"] if self.genes is not None else [])]
        if unused:
            note(f"{', '.join(unused)}: no effect without --scope hierarchy")
        relations = comma_list(self.relations)
        graph = LevelGraph.of_ontology(load_ontology(self.obo), ("is_a",) if relations is None else relations)
        _tell_ontology(graph.ontology, graph.findings)
        return graph

    def filtered_graph(self) -> "LevelGraph":
        """Read and filter what was chosen."""
        from gocell_cli.domain.level_graph import LevelGraph

        release, rules, hierarchy, annotations = self._filtered()
        graph = LevelGraph.of_hierarchy(release.ontology, hierarchy, rules)
        self._warn(release, annotations, rules)
        return graph

    def arrays(self) -> "Hierarchy":
        """Read and filter what was chosen, and return it as a cache of it would hold it, by stratum."""
        from gocell_cli.building.contents import make_hierarchy

        release, rules, hierarchy, annotations = self._filtered()
        self._warn(release, annotations, rules)
        return make_hierarchy(hierarchy, release.genes, LevelBy.STRATUM.value)

    def _filtered(self) -> "tuple[Release, FilterRules, TermHierarchy, Annotations]":
        from gocell_cli.building.plan import plan_hierarchy
        from gocell_cli.domain.annotation_check import annotation_notes

        release = self.load()
        rules = self.rules(release.genes)
        hierarchy, annotations = plan_hierarchy(
            release.ontology, release.annotations, release.genes, rules, until=self.until
        )
        for text in annotation_notes(annotations):
            note(text)
        return release, rules, hierarchy, annotations

    def _warn(self, release: "Release", annotations: "Annotations", rules: "FilterRules") -> None:
        from gocell_cli.building.plan import hierarchy_warnings

        if self.hierarchy is None:  # the roots of a ready one were told as it was read
            for text in hierarchy_warnings(release.ontology, release.annotations, annotations, rules):
                note(text, "warning")


def _tell_ontology(ontology: "Ontology", found: "OntologyFindings") -> None:
    from gocell_cli.domain.ontology_check import ontology_warnings

    for text in ontology_warnings(ontology, found):
        note(text, "warning")


def _go_files(
    obo: Path | None,
    gaf: Path | None,
    release: str | None,
    root: Path | None,
    *,
    offline: bool,
    annotations: bool = True,
) -> tuple[Path | None, Path | None]:
    """Return the OBO and GAF files to read, None for the bundled ones; a release is fetched where it is missing.

    Raises UsageError where a release and a file are named, SourceMissing where the release is not to be had.
    """
    if release is None:
        return obo, gaf
    if obo is not None or gaf is not None:
        raise UsageError("--release stands for --obo and --gaf", hint="leave out --release, or --obo and --gaf")
    from gocell_cli.sources.download.catalog import ANNOTATIONS, GO, of_release
    from gocell_cli.sources.download.find import find

    chosen = (GO, ANNOTATIONS) if annotations else (GO,)
    found: list[Path | None] = []
    for source in chosen:
        with download_progress() as watcher:
            files = find(of_release(source, release), data_root(root), offline=offline, watcher=watcher)
            found += files.paths
    return found[0], found[1] if annotations else None


def _sorted(words: tuple[str, ...] | None) -> tuple[str, ...] | None:
    return None if words is None else tuple(sorted(set(words)))


def _warn_of_leaks(rules: "FilterRules") -> None:
    leaking = [
        code
        for code in LEAKING
        if code not in rules.exclude_evidence and (not rules.include_evidence or code in rules.include_evidence)
    ]
    if leaking:
        note(f"annotations by {' and '.join(leaking)} come from genetic interactions and leak such labels", "warning")


def _tell_naming(source: str, naming: "GeneNaming") -> None:
    taxa = list(naming.taxa.items())
    if len(taxa) > 1:
        used = f"taxon {naming.taxon}" if naming.taxon else "all"
        counts = ", ".join(f"{taxon} {rows:,} rows" for taxon, rows in taxa[:MAX_NAMED])
        note(f"{source}: {len(taxa)} taxa ({counts}); {used} used, --taxon chooses one")
    what = {
        "systematic": f"the gene table of {naming.table}",
        "file": "the file's own names",
        "id": "DB object id",
        "symbol": "DB object symbol",
        "synonym": "first synonym",
    }[naming.gene_id]
    known = f"; {naming.systematic:,} are genes of {naming.table or 'SGD'}" if naming.gene_id != "systematic" else ""
    without = f", {naming.unannotated:,} of the table without annotation" if naming.unannotated else ""
    counted = f"{naming.named:,} of {naming.objects:,} genes named by {what}, {naming.genes:,} distinct"
    note(f"{source}: {counted}{known}{without}")
    if naming.shared_names:
        shared = f"{naming.called_by_id:,} genes share {naming.shared_names:,} names"
        note(f"{source}: {shared}; they are kept apart and called by their ids", "warning")
