"""What a build reads of the world, with the sha256 of each: bundled where no file is named."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gocell_cli.domain.annotations import AnnotationRows
from gocell_cli.domain.gene_annotations import annotations_by_term
from gocell_cli.domain.genes import Gene, GeneList, GeneTable, KnownGenes, make_gene_list, make_gene_table
from gocell_cli.domain.ontology import Ontology
from gocell_cli.errors import InvalidInput
from gocell_cli.gene_names import FEW, few_found
from gocell_cli.sources.go import bundle
from gocell_cli.sources.go.annotation_files import read_annotations
from gocell_cli.sources.go.gene_naming import AUTO, name_genes
from gocell_cli.sources.go.gene_table import read_gene_table
from gocell_cli.sources.go.obo import read_obo
from gocell_cli.sources.hierarchies import cx2, dcell_topology, ddot
from gocell_cli.sources.hierarchies.ready import ReadyHierarchy, make_ready, told_lines
from gocell_cli.sources.text_file import decode, lines_of, read_bytes, sha256_of

if TYPE_CHECKING:
    import networkx as nx


@dataclass(frozen=True)
class Release:
    """Ontology, annotations and genes, and `sha256` of what each was read from.

    `ready` is "" where the ontology is to be filtered, and the format of a hierarchy that is used as it is;
    `roots` are that hierarchy's.
    """

    ontology: Ontology
    annotations: AnnotationRows
    genes: GeneTable
    sha256: dict[str, str]
    ready: str = ""
    roots: int = 0

    @property
    def all_genes(self) -> bool:
        """True where the gene table holds all genes there are, False where it is made of the annotated ones."""
        return self.annotations.naming is None or bool(self.annotations.naming.table)

    def graph(self, relations: Sequence[str] = ()) -> "nx.DiGraph[str]":
        """Return the ontology's graph (`Ontology.graph`) with the genes of each term, and what is said of each."""
        return self.ontology.graph(relations, annotations_by_term(self.annotations, self.ontology, self.genes))


def known_genes(gene_table: Path | None) -> tuple[KnownGenes, str]:
    """Return the user's gene table, or SGD's where none is named; and its sha256."""
    if gene_table is None:
        return KnownGenes(bundle.load_genes()), bundled_hash("genes")
    return KnownGenes(read_gene_table(gene_table), str(gene_table), given=True), sha256_of(gene_table)


def load_ontology(obo: Path | None) -> Ontology:
    """Read an OBO file, or the bundled ontology where none is named."""
    return read_obo(obo) if obo is not None else bundle.load_ontology()


def load_release(
    obo: Path | None,
    gaf: Path | None,
    *,
    gene_id: str = AUTO,
    taxon: str | None = None,
    gene_table: Path | None = None,
) -> Release:
    """Read ontology and annotations from files or from the bundle.

    The genes are those of `gene_table`, or the bundled ORFs, or those of a GAF that does not speak of them
    (`name_genes`). `gene_id`, `taxon` and `gene_table` are not for the bundled annotations, which are of yeast alone.
    """
    known, genes_hash = known_genes(gene_table)
    genes = known.genes
    if gaf is None:
        annotations = bundle.load_annotations()
    else:
        annotations, genes = name_genes(read_annotations(gaf), known, gene_id, taxon)
        # The GAF names genes of the known table too, and its own where it speaks of none: their hash is its own then.
        if annotations.naming is not None and not annotations.naming.table:
            genes_hash = sha256_of(gaf)
    return Release(
        ontology=load_ontology(obo),
        annotations=annotations,
        genes=genes,
        sha256={
            "ontology": _hash(obo, lambda: bundled_hash("terms", "edges", "obsolete")),
            "annotations": _hash(gaf, lambda: bundled_hash("annotations", "objects")),
            "genes": genes_hash,
        },
    )


def read_hierarchy(path: Path, known: KnownGenes) -> ReadyHierarchy:
    """Read a hierarchy file of any format, told apart by how it begins: names of files promise nothing.

    Raises InvalidInput, with the line, for what is none, and as `make_ready` does.
    """
    text = decode(read_bytes(path), path)
    if cx2.is_cx2(text):
        return make_ready(cx2.parse_cx2(path, text), known)
    lines = told_lines(text)
    topology = bool(lines) and lines[0][1].startswith(dcell_topology.ROOT)
    return make_ready((dcell_topology.parse_topology if topology else ddot.parse_ddot)(path, lines), known)


def load_hierarchy(path: Path, gene_table: Path | None = None) -> Release:
    """Read a ready hierarchy; its genes are those of `gene_table`, or the bundled ORFs if it is of them, or its own."""
    known, genes_hash = known_genes(gene_table)
    ready = read_hierarchy(path, known)
    sha256 = sha256_of(path)
    return Release(
        ontology=ready.ontology,
        annotations=ready.rows,
        genes=ready.genes,
        # `is`: make_ready gives back the table it was handed where the file speaks of its genes.
        sha256={"hierarchy": sha256, "genes": genes_hash if ready.genes is known.genes else sha256},
        ready=ready.format,
        roots=ready.roots,
    )


def load_gene_list(path: Path, genes: GeneTable) -> GeneList:
    """Read the genes of a file, by any of their names.

    Raises InvalidInput with the line of a name that several genes share, and where the table has none of the names, or
    so few that they cannot be of the same genes.
    """
    lines = _listed_names(path, genes)
    found = make_gene_list(lines, genes)
    for name, candidates in found.counts.ambiguous:
        several = f"{name} is a name of {len(candidates)} genes: {', '.join(candidates)}"
        raise InvalidInput.at(path, lines[name], several, hint="use the systematic name")
    if not found.names:
        raise InvalidInput(
            f"{path}: none of its {len(lines)} names is a gene's",
            why=f"genes are called {', '.join(genes.systematic[:3])} here",
            hint="one gene a line: systematic name, standard name, database id or alias",
        )
    few_found(found.counts, len(genes), str(path))
    return found


def _listed_names(path: Path, genes: GeneTable) -> dict[str, int]:
    """Return the distinct names in a file, each with the line in which it stands first."""
    names: dict[str, int] = {}
    for number, line in lines_of(decode(read_bytes(path), path)):
        if line.strip() and not line.lstrip().startswith("#"):
            for name in genes.lookup.names_in(line):
                names.setdefault(name, number)
    return names


def with_listed(release: Release, path: Path) -> Release:
    """Return the release with the genes of a list that its annotations do not name: they exist, without annotation.

    Raises InvalidInput as `load_gene_list` does.
    """
    added = load_gene_list(path, release.genes).unknown
    genes = make_gene_table([*release.genes.genes(), *map(Gene, added)])
    naming = release.annotations.naming
    if naming is not None:
        naming = replace(naming, unannotated=naming.unannotated + len(added))
    return replace(release, genes=genes, annotations=replace(release.annotations, naming=naming))


def require_orfs(release: Release, dataset: str) -> None:
    """Raise InvalidInput where the genes of a release are not those of a yeast data set."""
    orfs, genes = bundle.load_genes(), release.genes.systematic
    # By systematic names and ids in the table, before anything large is read: symbols are alike in all organisms.
    found = release.genes.lookup.look_up(orfs.systematic)
    common = len(set(found.gene[found.gene >= 0].tolist()))
    if common >= FEW * min(len(genes), len(orfs)):
        return
    few = f"only {common:,}" if common else "none"
    raise InvalidInput(
        f"{release.annotations.source}: {few} of its {len(genes):,} genes is a gene of {dataset}",
        # [-1], for the first names of the table are mitochondrial ones (Q0010), which few would know.
        why=f"{dataset} is of yeast ORFs like {orfs.systematic[-1]}; the genes here are called {', '.join(genes[:3])}",
        hint="annotations of yeast; or --dataset simulated, which takes any genes",
    )


def bundled_hash(*tables: str) -> str:
    """Logical hashes of bundled tables, joined by `+`."""
    record = bundle.bundle_record()["tables"]
    return "+".join(record[t]["logical_sha256"] for t in tables)


def _hash(path: Path | None, bundled: Callable[[], str]) -> str:
    return sha256_of(path) if path is not None else bundled()
