"""Names of genes as people write them. The one look-up: data sets, gene lists, commands and the trainer use it."""

from collections.abc import Iterable, Sequence
from functools import cached_property

from gocell_cli.errors import UsageError, did_you_mean

NAMED = 8
"""Candidates that an error names."""


class GeneNames:
    """Finds genes by systematic name, standard name or alias; a name that several genes share is none of them.

    The order, kept here and nowhere else: a systematic name as it is spelt; then, without regard to case, a
    systematic name, a standard name, an alias. The first of these that any gene answers to decides: 98 standard
    names of SGD are another gene's alias too, and who writes one means the gene that is called so today.
    """

    def __init__(self, systematic: Sequence[str], standard: Sequence[str], aliases: Sequence[Sequence[str]]) -> None:
        self.systematic, self.standard, self.aliases = systematic, standard, aliases

    @cached_property
    def _exact(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.systematic)}

    @cached_property
    def _folded(self) -> dict[str, tuple[int, ...]]:
        """Each name in capitals -> the genes that have it in the first of the three columns where it stands."""
        found: dict[str, tuple[int, ...]] = {}
        for column in (self.aliases, [(n,) for n in self.standard], [(n,) for n in self.systematic]):
            here: dict[str, dict[int, None]] = {}
            for gene, names in enumerate(column):
                for name in names:
                    here.setdefault(_fold(name), {})[gene] = None
            found.update((name, tuple(genes)) for name, genes in here.items())  # what comes later wins
        found.pop("", None)  # "" stands where a gene has no such name
        return found

    def find(self, name: str) -> tuple[int, ...]:
        """Return the genes called so: none, one, or, where the name is ambiguous, all that share it, ascending."""
        exact = self._exact.get(name)
        return (exact,) if exact is not None else self._folded.get(_fold(name), ())

    def gene(self, name: str, *, where: str = "in this cache's hierarchy") -> int:
        """Return the index of the one gene called so.

        Raises UsageError where there is none, with names that come near, or more than one, with those.
        """
        found = self.find(name)
        if len(found) == 1:
            return found[0]
        if found:
            several = ", ".join(self.label(gene) for gene in found[:NAMED])
            raise UsageError(
                f"{name.strip()} is a name of {len(found)} genes: {several}{', ...' if len(found) > NAMED else ''}",
                hint=f"use the systematic name, for example {self.systematic[found[0]]}",
            )
        example = self.systematic[-1] if len(self.systematic) else "YKL191W"
        hint = did_you_mean(_fold(name), self._folded, otherwise=f"systematic names look like {example}")
        raise UsageError(f"no gene {name!r} {where}", hint=hint)

    def genotype(self, names: Iterable[str]) -> tuple[int, ...]:
        """Return the genes of some names, ascending, each once; blank names stand for nothing."""
        return tuple(sorted({self.gene(name) for name in names if name.strip()}))

    def label(self, gene: int) -> str:
        """Return a gene's systematic name, and its standard name where it has another: `YAL001C (TFC3)`."""
        systematic, standard = self.systematic[gene], self.standard[gene]
        return f"{systematic} ({standard})" if standard not in ("", systematic) else systematic


def _fold(name: str) -> str:
    return name.strip().upper()
