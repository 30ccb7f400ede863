"""Ready hierarchies: what a file of any format says, line by line, and the ontology and annotations made of it.

A format's module fills a ParsedHierarchy; what is the same for all of them stands here. A hierarchy is used as it is,
without evidence codes, dates or namespaces, so those columns of its annotations are empty.
"""

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from gocell_cli.domain.annotations import AnnotationRows, GeneNaming
from gocell_cli.domain.genes import Gene, GeneTable, KnownGenes, make_gene_table
from gocell_cli.domain.levels import generations
from gocell_cli.domain.ontology import IS_A, Ontology, make_ontology
from gocell_cli.domain.term_filters import READY_RELATION
from gocell_cli.errors import CycleError, InvalidInput
from gocell_cli.gene_names import MANY, few_found
from gocell_cli.sources.text_file import lines_of

COMMENT = "#"
HIERARCHY = "hierarchy"
PARTS = re.compile(r"[^\w.()-]+")
"""What stands in no systematic name of SGD's."""


@dataclass
class ParsedHierarchy:
    """Distinct terms, edges (child, parent) and genes (term, gene) of one file, each with the line it first stands in.

    The line is 0 where a format has none. What stands there again is counted (`repeated_edges`, `repeated_genes`).
    `names` and `namespaces` are those of the terms that the file tells any of.
    """

    path: Path
    format: str
    terms: dict[str, int] = field(default_factory=dict)
    edges: dict[tuple[str, str], int] = field(default_factory=dict)
    genes: dict[tuple[str, str], int] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    names: dict[str, str] = field(default_factory=dict)
    namespaces: dict[str, str] = field(default_factory=dict)

    def add_edge(self, child: str, parent: str, line: int) -> None:
        """Add an edge and its terms; raises InvalidInput for a term that is its own parent."""
        if child == parent:
            raise InvalidInput.at(self.path, line or None, f"{child} is its own parent, a cycle of one term")
        # setdefault throughout: of what stands there twice, the first line is the one to name.
        for term in (parent, child):
            self.terms.setdefault(term, line)
        self.counts["repeated_edges"] += (child, parent) in self.edges
        self.edges.setdefault((child, parent), line)

    def add_gene(self, term: str, gene: str, line: int) -> None:
        """Add a gene annotated to a term, and that term."""
        self.terms.setdefault(term, line)
        self.counts["repeated_genes"] += (term, gene) in self.genes
        self.genes.setdefault((term, gene), line)


@dataclass(frozen=True)
class ReadyHierarchy:
    """A hierarchy that is used as it is: terms and edges, genes of each term, and what may be said of the file."""

    format: str
    ontology: Ontology
    rows: AnnotationRows
    genes: GeneTable
    roots: int


def told_lines(text: str) -> list[tuple[int, str]]:
    """Return the lines of a text that are neither empty nor comments, with their numbers."""
    lines = lines_of(text)
    return [(n, line.rstrip("\r")) for n, line in lines if line.strip() and not line.startswith(COMMENT)]


def make_ready(parsed: ParsedHierarchy, known: KnownGenes) -> ReadyHierarchy:
    """Make a hierarchy of what a file says.

    Its genes are those of `known` where the user gave that table or at least MANY of them are in it, by any name;
    the others are then counted as unknown. Elsewhere the gene table is made of the file's own genes. Raises
    InvalidInput, with the line, for a cycle, and for a file without genes, or with too few of a given table.
    """
    if not parsed.genes:
        raise InvalidInput.at(parsed.path, None, "no gene in it: not a hierarchy file, or an empty one")
    ontology = _ontology(parsed)
    _refuse_cycle(parsed, ontology)
    rows = _rows(parsed)
    # Roots are terms that are nobody's child.
    roots = len(ontology) - len(set(ontology.edges[READY_RELATION].child.tolist()))
    rows, genes = _named(rows, known)
    if genes is known.genes:
        _refuse_damaged_names(parsed, known)
    return ReadyHierarchy(parsed.format, ontology, rows, genes, roots)


def _refuse_damaged_names(parsed: ParsedHierarchy, known: KnownGenes) -> None:
    """Raise InvalidInput, with the line, for a name that is no gene's and has a gene's in it: `|YAL003W`, `YAL003W;`.

    Other unknown names are counted, and left out: of genes that the table does not have there may be many.
    """
    for (_, name), line in parsed.genes.items():
        parts = PARTS.split(name)
        if len(parts) > 1 and not known.genes.lookup.find(name).genes:
            gene = next((part for part in parts if part in known.genes.index), None)
            if gene is not None:
                reason = f"{name[:60]!r} is no gene, though {gene} stands in it"
                raise InvalidInput.at(parsed.path, line or None, reason)


def _named(rows: AnnotationRows, known: KnownGenes) -> tuple[AnnotationRows, GeneTable]:
    """Return the rows with their genes as the gene table names them, and that table: the known one, or the file's."""
    names = tuple(name for (name,) in rows.names)
    lookup = known.genes.lookup
    found = lookup.look_up(names)
    counts = lookup.counts(HIERARCHY, found, rows.object_of_row[:, None])
    if known.given:
        few_found(counts, len(known.genes), rows.source)
    linked = counts.names_found
    genes = known.genes
    if not known.given and linked < MANY * len(names):
        # The file's names stand in for systematic ones; it gives no standard names, aliases or qualifiers.
        genes = make_gene_table([Gene(name) for name in names])
        naming = GeneNaming("file", "", {}, len(names), len(names), linked, len(names))
        own = genes.lookup.look_up(names)
        return replace(
            rows, naming=naming, found=genes.lookup.counts(HIERARCHY, own, rows.object_of_row[:, None])
        ), genes
    called = tuple((genes.systematic[gene],) if gene >= 0 else () for gene in found.gene.tolist())
    distinct = len(set(called) - {()})
    naming = GeneNaming(
        "systematic",
        "",
        {},
        len(names),
        linked,
        linked,
        distinct,
        table=known.source,
        unannotated=len(genes) - distinct,
    )
    return replace(rows, names=called, naming=naming, found=counts), genes


def _ontology(parsed: ParsedHierarchy) -> Ontology:
    ontology = make_ontology(
        source=str(parsed.path),
        release=parsed.format,
        terms=[(term, parsed.names.get(term, ""), parsed.namespaces.get(term, "")) for term in parsed.terms],
        alt_ids={},
        edges=[(child, parent, READY_RELATION) for child, parent in parsed.edges],
        dropped={},
    )
    # A file without edges (one term) has no relation of its own: is_a is always there, and empty then.
    edges = {READY_RELATION: ontology.edges.get(READY_RELATION, ontology.edges[IS_A])}
    # Repeated genes are told among the annotations' dropped rows (`_rows`), not twice.
    counts = {reason: n for reason, n in parsed.counts.items() if n and reason != "repeated_genes"}
    return replace(ontology, edges=edges, dropped=counts, level_relation=READY_RELATION)


def _refuse_cycle(parsed: ParsedHierarchy, ontology: Ontology) -> None:
    edges = ontology.edges[READY_RELATION]
    _, stuck = generations(len(ontology), edges)
    if not stuck.any():
        return
    cycle = [ontology.ids[t] for t in ontology.find_cycle(edges, np.flatnonzero(stuck).tolist())]
    pairs = zip(cycle, [*cycle[1:], cycle[0]], strict=True)
    # The last of its edges in the file: up to that line there was no such cycle.
    line = max(parsed.edges[child, parent] for parent, child in pairs)
    place = f"{parsed.path}:{line}" if line else str(parsed.path)
    raise CycleError(cycle, source=place, hint="take out one of these edges")


def _rows(parsed: ParsedHierarchy) -> AnnotationRows:
    names = {gene: i for i, gene in enumerate(dict.fromkeys(gene for _, gene in parsed.genes))}
    count = len(parsed.genes)
    repeated = parsed.counts["repeated_genes"]
    return AnnotationRows(
        source=str(parsed.path),
        names=tuple((gene,) for gene in names),
        object_of_row=np.array([names[gene] for _, gene in parsed.genes], dtype=np.int32),
        term=tuple(term for term, _ in parsed.genes),
        qualifier=("",) * count,
        evidence=("",) * count,
        # 0: no date, so that no rule on dates applies.
        date=np.zeros(count, dtype=np.int32),
        dropped={"repeated_gene": repeated} if repeated else {},
    )
