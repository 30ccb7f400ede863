"""One toy ontology, six terms and five genes, every number found by hand.

    GO:0000001 root            genes -        edges (child -> parent, all is_a):
    GO:0000002 left            gene a         2 -> 1   3 -> 1   4 -> 2   4 -> 3
    GO:0000003 right           gene b         5 -> 4   5 -> 1   6 -> 5   6 -> 4
    GO:0000004 middle          gene c
    GO:0000005 deep            genes c, d     The edge 5 -> 1 is what spoils the shortest path:
    GO:0000006 leaf            genes d, e     level(5) = 1 < level(4) = 2, and level(6) = level(4) = 2.

With at least 3 contained genes, leaf (2 genes) goes and its genes d, e move up to deep and middle; middle
then contains c, d, e, as deep does, and goes as redundant. Left are GO:ROOT, root, left, right, deep.
"""

from pathlib import Path

import numpy as np

from gocell_cli.domain.annotations import AnnotationRows
from gocell_cli.domain.genes import GeneTable, make_gene_table
from gocell_cli.domain.ontology import Ontology
from gocell_cli.domain.term_filters import FilterRules
from gocell_cli.sources.go.gaf import read_gaf
from gocell_cli.sources.go.obo import read_obo

TERMS = {1: "root", 2: "left", 3: "right", 4: "middle", 5: "deep", 6: "leaf"}
EDGES = ((2, 1), (3, 1), (4, 2), (4, 3), (5, 1), (5, 4), (6, 4), (6, 5))
LEVEL = {1: 0, 2: 1, 3: 1, 4: 2, 5: 1, 6: 2}
DEPTH = {1: 0, 2: 1, 3: 1, 4: 2, 5: 3, 6: 4}
STRATUM = {1: 1, 2: 2, 3: 2, 4: 3, 5: 4, 6: 5}
HEIGHT = {1: 4, 2: 3, 3: 3, 4: 2, 5: 1, 6: 0}
SAME_LEVEL = ((6, 4),)
INVERTED = ((5, 4),)

GENES = ("YAL001C", "YAL002W", "YAL003W", "YAL005C", "YAL007C")
STANDARD = ("TFC3", "VPS8", "EFB1", "SSA1", "ERP2")
DIRECT = {2: (0,), 3: (1,), 4: (2,), 5: (2, 3), 6: (3, 4)}
CONTAINED = {1: (0, 1, 2, 3, 4), 2: (0, 2, 3, 4), 3: (1, 2, 3, 4), 4: (2, 3, 4), 5: (2, 3, 4), 6: (3, 4)}

RULES = FilterRules("true-path", ("is_a",), 3, "direct", ("IGI", "HGI"))
KEPT = ("GO:0000001", "GO:0000002", "GO:0000003", "GO:0000005", "GO:ROOT")
KEPT_EDGES = ((0, 4), (1, 0), (2, 0), (3, 0), (3, 1), (3, 2))
KEPT_ROWS = ((1, 0), (2, 1), (3, 2), (3, 3), (3, 4))
REMOVED = {
    "GO:0000006": ("at least 3 contained genes", ["GO:0000005"]),  # middle, its other parent, goes into deep itself
    "GO:0000004": ("not redundant", ["GO:0000005"]),
}
KEPT_STRATUM = (1, 2, 2, 3, 0)
KEPT_HEIGHT = (2, 1, 1, 0, 3)


def term_id(number: int) -> str:
    """The id of toy term `number`."""
    return f"GO:{number:07d}"


def obo_text() -> str:
    """The toy ontology as an OBO file."""
    stanzas = ["format-version: 1.2\ndata-version: toy/2020-01-01\ndefault-namespace: toy\n"]
    for number, name in TERMS.items():
        parents = [f"is_a: {term_id(p)} ! {TERMS[p]}" for c, p in EDGES if c == number]
        stanzas.append("\n".join(["[Term]", f"id: {term_id(number)}", f"name: {name}", *parents, ""]))
    return "\n".join(stanzas)


def gaf_text(evidence: str = "IDA") -> str:
    """The toy annotations as a GAF 2.1 file."""
    rows = ["!gaf-version: 2.1"]
    for number, genes in DIRECT.items():
        for g in genes:
            synonyms = f"{STANDARD[g]}|{GENES[g]}"
            rows.append(
                f"SGD\tS{g}\t{STANDARD[g]}\t\t{term_id(number)}\tPMID:1\t{evidence}\t\tP\tname\t{synonyms}"
                "\tgene\ttaxon:559292\t20160101\tSGD\t\t"
            )
    return "\n".join(rows) + "\n"


def gene_table() -> GeneTable:
    """The toy genes."""
    return make_gene_table([(g, s, (), "Verified") for g, s in zip(GENES, STANDARD, strict=True)])


def write_obo(folder: Path) -> Path:
    """Write the toy ontology into a folder; return its path."""
    path = folder / "toy.obo"
    path.write_text(obo_text(), "utf-8")
    return path


def write_gaf(folder: Path, evidence: str = "IDA") -> Path:
    """Write the toy annotations into a folder; return their path."""
    path = folder / "toy.gaf"
    path.write_text(gaf_text(evidence), "utf-8")
    return path


def ontology(folder: Path) -> Ontology:
    """The toy ontology, read from an OBO file."""
    return read_obo(write_obo(folder))


def annotations(folder: Path) -> AnnotationRows:
    """The toy annotations, read from a GAF."""
    return read_gaf(write_gaf(folder))


def by_term(values: dict[int, int]) -> np.ndarray:
    """Values by term number as an array in the order of the term ids."""
    return np.array([values[n] for n in sorted(values)], dtype=np.int32)
