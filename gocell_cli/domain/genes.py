"""The gene table of a genome: systematic names, sorted, with standard names and aliases."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property


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


def make_gene_table(genes: Sequence[tuple[str, str, tuple[str, ...], str]]) -> GeneTable:
    """Build the table from (systematic, standard, aliases, qualifier) tuples, in any order."""
    ordered = sorted(genes)
    return GeneTable(
        systematic=tuple(g[0] for g in ordered),
        standard=tuple(g[1] for g in ordered),
        aliases=tuple(g[2] for g in ordered),
        qualifier=tuple(g[3] for g in ordered),
    )
