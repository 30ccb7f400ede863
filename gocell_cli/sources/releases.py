"""What a build reads of the world, with the sha256 of each: bundled where no file is named."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gocell_cli.domain.annotations import AnnotationRows
from gocell_cli.domain.genes import GeneTable
from gocell_cli.domain.ontology import Ontology
from gocell_cli.sources import bundle
from gocell_cli.sources.gaf import read_gaf
from gocell_cli.sources.obo import read_obo
from gocell_cli.sources.text_file import sha256_of


@dataclass(frozen=True)
class Release:
    """Ontology, annotations and genes, and `sha256` of what each was read from."""

    ontology: Ontology
    annotations: AnnotationRows
    genes: GeneTable
    sha256: dict[str, str]


def load_ontology(obo: Path | None) -> Ontology:
    """Read an OBO file, or the bundled ontology where none is named."""
    return read_obo(obo) if obo is not None else bundle.load_ontology()


def load_release(obo: Path | None, gaf: Path | None) -> Release:
    """Read ontology and annotations from files or from the bundle; genes always come from the bundle."""
    return Release(
        ontology=load_ontology(obo),
        annotations=read_gaf(gaf) if gaf is not None else bundle.load_annotations(),
        genes=bundle.load_genes(),
        sha256={
            "ontology": _hash(obo, lambda: bundled_hash("terms", "edges")),
            "annotations": _hash(gaf, lambda: bundled_hash("annotations", "objects")),
            "genes": bundled_hash("genes"),
        },
    )


def bundled_hash(*tables: str) -> str:
    """Logical hashes of bundled tables, joined by `+`."""
    record = bundle.bundle_record()["tables"]
    return "+".join(record[t]["logical_sha256"] for t in tables)


def _hash(path: Path | None, bundled: Callable[[], str]) -> str:
    return sha256_of(path) if path is not None else bundled()
