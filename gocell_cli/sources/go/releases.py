"""What a build reads of the world, with the sha256 of each: bundled where no file is named."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gocell_cli.domain.annotations import AnnotationRows
from gocell_cli.domain.genes import GeneList, GeneTable, make_gene_list
from gocell_cli.domain.ontology import Ontology
from gocell_cli.errors import InvalidInput
from gocell_cli.sources.go import bundle
from gocell_cli.sources.go.annotation_files import read_annotations
from gocell_cli.sources.go.gene_naming import AUTO, SYSTEMATIC, name_genes
from gocell_cli.sources.go.obo import read_obo
from gocell_cli.sources.hierarchies import dcell_topology, ddot
from gocell_cli.sources.hierarchies.ready import ReadyHierarchy, make_ready, told_lines
from gocell_cli.sources.text_file import decode, read_bytes, sha256_of


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


def load_ontology(obo: Path | None) -> Ontology:
    """Read an OBO file, or the bundled ontology where none is named."""
    return read_obo(obo) if obo is not None else bundle.load_ontology()


def load_release(obo: Path | None, gaf: Path | None, *, gene_id: str = AUTO, taxon: str | None = None) -> Release:
    """Read ontology and annotations from files or from the bundle.

    The genes are the bundled ORFs, or those of a GAF that does not speak of them (`name_genes`). `gene_id`
    and `taxon` are not for the bundled annotations, which are of yeast alone.
    """
    genes, genes_hash = bundle.load_genes(), bundled_hash("genes")
    if gaf is None:
        annotations = bundle.load_annotations()
    else:
        annotations, genes = name_genes(read_annotations(gaf), genes, gene_id, taxon)
        # Genes named otherwise than by SGD come from the GAF, so that their hash is the GAF's.
        if annotations.naming is not None and annotations.naming.gene_id != SYSTEMATIC:
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


def read_hierarchy(path: Path, table: GeneTable) -> ReadyHierarchy:
    """Read a hierarchy file of either format, told apart by its first line: names of files promise nothing.

    Raises InvalidInput, with the line, for what is neither, and as `make_ready` does.
    """
    lines = told_lines(path)
    topology = bool(lines) and lines[0][1].startswith(dcell_topology.ROOT)
    return make_ready((dcell_topology.parse_topology if topology else ddot.parse_ddot)(path, lines), table)


def load_hierarchy(path: Path) -> Release:
    """Read a ready hierarchy; its genes are the bundled ORFs where it speaks of them, else its own."""
    orfs = bundle.load_genes()
    ready = read_hierarchy(path, orfs)
    sha256 = sha256_of(path)
    return Release(
        ontology=ready.ontology,
        annotations=ready.rows,
        genes=ready.genes,
        # `is`: make_ready gives back the table it was handed where the file speaks of SGD's genes.
        sha256={"hierarchy": sha256, "genes": bundled_hash("genes") if ready.genes is orfs else sha256},
        ready=ready.format,
        roots=ready.roots,
    )


def load_gene_list(path: Path, genes: GeneTable) -> GeneList:
    """Read one gene a line, by any of its names; raises InvalidInput where the table has none of them."""
    lines = [line.strip() for line in decode(read_bytes(path), path).splitlines()]
    names = [line for line in lines if line and not line.startswith("#")]
    found = make_gene_list(names, genes)
    if not found.names:
        raise InvalidInput(
            f"{path}: none of its {len(names)} lines names a gene",
            why=f"genes are called {', '.join(genes.systematic[:3])} here",
            hint="one gene a line: systematic name, standard name or alias",
        )
    return found


def require_orfs(release: Release, dataset: str) -> None:
    """Raise InvalidInput where the genes of a release are not those of a yeast data set."""
    # One common gene is enough: rows with others are dropped and counted by the data set's reader.
    if release.genes.index.keys() & bundle.load_genes().index.keys():
        return
    raise InvalidInput(
        f"{release.annotations.source}: none of its {len(release.genes)} genes is a gene of {dataset}",
        # [-1], for the first names of the table are mitochondrial ones (Q0010), which few would know.
        why=f"{dataset} is of yeast ORFs like {bundle.load_genes().systematic[-1]};"
        f" the genes here are called {', '.join(release.genes.systematic[:3])}",
        hint="annotations of yeast; or --dataset simulated, which takes any genes",
    )


def bundled_hash(*tables: str) -> str:
    """Logical hashes of bundled tables, joined by `+`."""
    record = bundle.bundle_record()["tables"]
    return "+".join(record[t]["logical_sha256"] for t in tables)


def _hash(path: Path | None, bundled: Callable[[], str]) -> str:
    return sha256_of(path) if path is not None else bundled()
