"""The gene table of a genome: systematic names, sorted, with standard names and aliases."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from gocell_cli.gene_names import GeneNames


@dataclass(frozen=True)
class GeneTable:
    """Genes sorted by systematic name; `standard` is "" and `aliases` empty where there are none."""

    systematic: tuple[str, ...]
    standard: tuple[str, ...]
    aliases: tuple[tuple[str, ...], ...]
    qualifier: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.systematic)

    @cached_property
    def index(self) -> dict[str, int]:
        """Systematic name -> index."""
        return {name: i for i, name in enumerate(self.systematic)}

    @cached_property
    def lookup(self) -> GeneNames:
        """Finds genes by any of their names."""
        return GeneNames(self.systematic, self.standard, self.aliases)

    def find(self, name: str) -> int | None:
        """Return the index of a systematic name, standard name or alias; None where none or several genes have it."""
        found = self.lookup.find(name)
        # an alias of two genes names neither: a guess would delete the wrong gene
        return found[0] if len(found) == 1 else None


@dataclass(frozen=True)
class GeneList:
    """The genes that are used: systematic names, sorted; and the names that stand for no gene, or for several."""

    names: tuple[str, ...]
    unknown: tuple[str, ...]


def make_gene_list(names: Iterable[str], genes: GeneTable) -> GeneList:
    """Look up names of any kind in a gene table; a name given twice counts once."""
    found = {name: genes.find(name) for name in names}
    known = {genes.systematic[i] for i in found.values() if i is not None}
    return GeneList(tuple(sorted(known)), tuple(name for name, i in found.items() if i is None))


def make_gene_table(genes: Sequence[tuple[str, str, tuple[str, ...], str]]) -> GeneTable:
    """Build the table from (systematic, standard, aliases, qualifier) tuples, in any order."""
    # a gene's index is its place here: sorted, it does not depend on the order of the file
    ordered = sorted(genes)
    return GeneTable(
        systematic=tuple(g[0] for g in ordered),
        standard=tuple(g[1] for g in ordered),
        aliases=tuple(g[2] for g in ordered),
        qualifier=tuple(g[3] for g in ordered),
    )
