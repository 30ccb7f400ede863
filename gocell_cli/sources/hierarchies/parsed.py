"""What a hierarchy file says, line by line: terms, edges and genes, each with the line it first stands in."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from gocell_cli.errors import InvalidInput


@dataclass
class ParsedHierarchy:
    """Distinct edges (child, parent) and genes (term, gene) of one file; what stands there again is counted."""

    path: Path
    format: str
    terms: dict[str, int] = field(default_factory=dict)
    edges: dict[tuple[str, str], int] = field(default_factory=dict)
    genes: dict[tuple[str, str], int] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def add_edge(self, child: str, parent: str, line: int) -> None:
        """Add an edge and its terms; raises InvalidInput for a term that is its own parent."""
        if child == parent:
            raise InvalidInput.at(self.path, line, f"{child} is its own parent, a cycle of one term")
        for term in (parent, child):
            self.terms.setdefault(term, line)
        self.counts["repeated_edges"] += (child, parent) in self.edges
        self.edges.setdefault((child, parent), line)

    def add_gene(self, term: str, gene: str, line: int) -> None:
        """Add a gene annotated to a term, and that term."""
        self.terms.setdefault(term, line)
        self.counts["repeated_genes"] += (term, gene) in self.genes
        self.genes.setdefault((term, gene), line)
