"""A hierarchy's arrays as the names that files hold: what the writers of all formats have in common."""

import re
from collections.abc import Iterable
from functools import cached_property
from itertools import chain

import numpy as np

from gocell_cli.errors import InvalidInput
from gocell_cli.storage.schema import Hierarchy

WORD = re.compile(r"\S+")
"""A name that formats of columns separated by blanks can hold."""


class ByName:
    """Edges, genes and contained genes of each term, by name; terms in the order of their ids."""

    def __init__(self, hierarchy: Hierarchy) -> None:
        self.hierarchy = hierarchy
        self.ids, self.genes = hierarchy.term_ids, hierarchy.gene_names

    @cached_property
    def edges(self) -> list[tuple[str, str]]:
        """(parent, child) of each edge, in the cache's order: by child, then by parent."""
        pairs = zip(self.hierarchy.edge_parent.tolist(), self.hierarchy.edge_child.tolist(), strict=True)
        return [(self.ids[parent], self.ids[child]) for parent, child in pairs]

    @cached_property
    def direct(self) -> list[list[str]]:
        """The genes annotated to each term itself."""
        found: list[list[str]] = [[] for _ in self.ids]
        for term, gene in zip(self.hierarchy.row_term.tolist(), self.hierarchy.row_gene.tolist(), strict=True):
            found[term].append(self.genes[gene])
        return found

    @cached_property
    def contained(self) -> list[list[str]]:
        """The genes of each term and of its descendants (the true-path rule)."""
        found: list[list[str]] = [[] for _ in self.ids]
        closure = self.hierarchy.closure
        owner = np.repeat(np.arange(len(self.genes)), np.diff(closure.ptr))
        for gene, term in zip(owner.tolist(), closure.term.tolist(), strict=True):
            found[term].append(self.genes[gene])
        return found

    @cached_property
    def children(self) -> list[list[str]]:
        """The children of each term."""
        found: list[list[str]] = [[] for _ in self.ids]
        pairs = zip(self.hierarchy.edge_parent.tolist(), self.hierarchy.edge_child.tolist(), strict=True)
        for parent, child in pairs:
            found[parent].append(self.ids[child])
        return found

    @cached_property
    def parents(self) -> list[list[str]]:
        """The parents of each term."""
        found: list[list[str]] = [[] for _ in self.ids]
        pairs = zip(self.hierarchy.edge_parent.tolist(), self.hierarchy.edge_child.tolist(), strict=True)
        for parent, child in pairs:
            found[child].append(self.ids[parent])
        return found

    @property
    def used(self) -> set[str]:
        """The genes that any term holds."""
        return set(chain.from_iterable(self.direct))


def require_names(names: Iterable[str], allowed: re.Pattern[str], what: str, form: str, hint: str) -> None:
    """Raise InvalidInput for the first name that a format cannot hold: it would be read as another, or as several."""
    for name in names:
        if not allowed.fullmatch(name):
            raise InvalidInput(f"{what} {name[:60]!r} cannot stand in a {form} file", hint=hint)


def require_no_gene_called_as_a_term(named: ByName, form: str) -> None:
    """Raise InvalidInput where one name is a term's and a gene's: a format that tells them apart by name cannot."""
    both = sorted(named.used.intersection(named.ids))
    if both:
        raise InvalidInput(
            f"{both[0]!r} is a term and a gene, which a {form} file cannot tell apart",
            hint="choose another --gene-id, or --hierarchy cx2",
        )
