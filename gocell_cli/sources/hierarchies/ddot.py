"""DDOT's and DrugCell's three columns: parent, child, and `default` (a term) or `gene`.

As DrugCell ships it (`data/drugcell_ont.txt`), as CLIXO writes it (`#` comments, a fourth column with a
weight), and as DDOT's `Ontology.to_table` does (a header, `Child-Parent` and `Gene-Term`).
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from gocell_cli.errors import InvalidInput
from gocell_cli.sources.hierarchies.by_name import WORD, ByName, require_names, require_no_gene_called_as_a_term
from gocell_cli.sources.hierarchies.ready import ParsedHierarchy

FORMAT = "DDOT/DrugCell table"
TERM, GENE = "default", "gene"
EDGE_TYPES = {TERM: TERM, GENE: GENE, "Child-Parent": TERM, "Gene-Term": GENE}
HEADER = ("parent", "child")
COLUMNS = (3, 4)
CELL = re.compile(r"(?!\s)[^\t\r\n]+(?<!\s)")
"""A name that a column of DDOT's can hold: it ends at a tab, and blanks around it are none of it."""
NO_COMMENT = re.compile(r"[^#].*", re.DOTALL)
HINT = "choose another --gene-id, or --hierarchy cx2"


def parse_ddot(path: Path, lines: Iterable[tuple[int, str]]) -> ParsedHierarchy:
    """Parse the lines that are neither empty nor comments, each with its number.

    Columns are separated by tabs, or by blanks in a line without tabs, as DrugCell's own reader allows.
    Raises InvalidInput with the line for a wrong number of columns, an unknown type, or a name that is both
    a term and a gene.
    """
    parsed = ParsedHierarchy(path, FORMAT)
    for number, line in lines:
        # Blanks separate only where there is no tab: names of CLIXO's terms and genes may hold them.
        fields = [f.strip() for f in (line.split("\t") if "\t" in line else line.split())]
        # A header can only be the first line told: a term may be called "parent" further down.
        if not parsed.terms and tuple(f.lower() for f in fields[:2]) == HEADER:
            continue
        if not COLUMNS[0] <= len(fields) <= COLUMNS[1] or not all(fields[:3]):
            reason = f"not the three columns parent, child, {TERM}|{GENE}: {line[:60]!r}"
            raise InvalidInput.at(path, number, reason, hint=f"tab-separated lines such as: ROOT, A, {TERM}")
        # The file has the parent first; edges here go from child to parent. A gene row's parent is its term.
        parent, child, kind = fields[:3]
        if kind not in EDGE_TYPES:
            raise InvalidInput.at(path, number, f"the third column is neither {TERM} nor {GENE}: {kind[:40]!r}")
        if EDGE_TYPES[kind] == TERM:
            parsed.add_edge(child, parent, number)
        else:
            parsed.add_gene(parent, child, number)
    _refuse_terms_as_genes(parsed)
    return parsed


def _refuse_terms_as_genes(parsed: ParsedHierarchy) -> None:
    for (_, gene), line in parsed.genes.items():
        if gene in parsed.terms:
            reason = f"{gene} stands here as a gene, and in line {parsed.terms[gene]} as a term"
            raise InvalidInput.at(parsed.path, line, reason)


def drugcell_lines(named: ByName) -> Iterator[str]:
    """Yield the lines of DrugCell's own file (`drugcell_ont.txt`): edges first, no header.

    Raises InvalidInput for names with blanks in them, at which its reader splits (`load_ontology` of its util).
    """
    require_names((*named.ids, *named.used), WORD, "the name", "DrugCell", HINT)
    yield from _lines(named, TERM, GENE, "DrugCell")


def ddot_lines(named: ByName) -> Iterator[str]:
    """Yield the lines of DDOT's table (`Ontology.to_table`): header, edges, genes.

    Raises InvalidInput for names with tabs or line breaks in them, or that begin as a comment does.
    """
    require_names((*named.ids, *named.used), CELL, "the name", "DDOT", HINT)
    yield "Parent\tChild\tEdgeType"
    yield from _lines(named, "Child-Parent", "Gene-Term", "DDOT")


def _lines(named: ByName, term: str, gene: str, form: str) -> Iterator[str]:
    require_no_gene_called_as_a_term(named, form)
    require_names(named.ids, NO_COMMENT, "the term", form, HINT)
    yield from (f"{parent}\t{child}\t{term}" for parent, child in named.edges)
    for parent, genes in zip(named.ids, named.direct, strict=True):
        yield from (f"{parent}\t{name}\t{gene}" for name in genes)
