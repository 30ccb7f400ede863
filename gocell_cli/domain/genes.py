"""The gene table of a genome: systematic names, sorted, with standard names, aliases and database ids."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from gocell_cli.gene_names import UNKNOWN, GeneNames, NameCounts

GENE_LIST = "gene list"


class Gene(NamedTuple):
    """One gene: `ids` are those of its database, with and without their prefix (`P12345`, `UniProtKB:P12345`)."""

    systematic: str
    standard: str = ""
    aliases: tuple[str, ...] = ()
    qualifier: str = ""
    ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class GeneTable:
    """Genes sorted by systematic name; `standard` is "" and `aliases` and `ids` empty where there are none.

    `ids` may be () as a whole, for a table without any.
    """

    systematic: tuple[str, ...]
    standard: tuple[str, ...]
    aliases: tuple[tuple[str, ...], ...]
    qualifier: tuple[str, ...]
    ids: tuple[tuple[str, ...], ...] = ()

    def __len__(self) -> int:
        return len(self.systematic)

    @cached_property
    def index(self) -> dict[str, int]:
        """Systematic name -> index."""
        return {name: i for i, name in enumerate(self.systematic)}

    @cached_property
    def lookup(self) -> GeneNames:
        """Finds genes by any of their names."""
        return GeneNames(self.systematic, self.standard, self.aliases, self.ids)

    def genes(self) -> list[Gene]:
        """Return the genes one by one, in their order."""
        ids = self.ids or ((),) * len(self)
        return list(map(Gene, self.systematic, self.standard, self.aliases, self.qualifier, ids))


@dataclass(frozen=True)
class KnownGenes:
    """A table of all genes that there are, whether annotated or not; `given` where the user named its file."""

    genes: GeneTable
    source: str = "SGD"
    given: bool = False


@dataclass(frozen=True)
class GeneList:
    """The genes that are used: systematic names, sorted; and the names that stand for no gene, or for several.

    `counts` says how each name was found.
    """

    names: tuple[str, ...]
    unknown: tuple[str, ...]
    counts: NameCounts = field(default_factory=lambda: NameCounts(GENE_LIST), compare=False)


def make_gene_list(names: Iterable[str], genes: GeneTable) -> GeneList:
    """Look up names of any kind in a gene table; a name given twice counts once."""
    found = genes.lookup.look_up(tuple(dict.fromkeys(names)))
    one = found.gene > UNKNOWN
    known = {genes.systematic[i] for i in found.gene[one].tolist()}
    unknown = tuple(name for name, is_one in zip(found.names, one.tolist(), strict=True) if not is_one)
    counts = genes.lookup.counts(GENE_LIST, found, np.arange(len(found.names), dtype=np.int32)[:, None])
    return GeneList(tuple(sorted(known)), unknown, counts)


def make_gene_table(genes: Iterable[Sequence[str | tuple[str, ...]]]) -> GeneTable:
    """Build the table from genes (or tuples of a Gene's fields, the last ones left out), in any order."""
    # a gene's index is its place here: sorted, it does not depend on the order of the file
    ordered = sorted(Gene(*gene) for gene in genes)  # type: ignore[arg-type]
    return GeneTable(
        systematic=tuple(g.systematic for g in ordered),
        standard=tuple(g.standard for g in ordered),
        aliases=tuple(g.aliases for g in ordered),
        qualifier=tuple(g.qualifier for g in ordered),
        ids=tuple(g.ids for g in ordered),
    )
