"""Gene names as people write them: systematic, standard, or an alias that is one gene's only."""

from collections.abc import Iterable

from gocell_cli.errors import UsageError, did_you_mean
from gocell_cli.storage.schema import Hierarchy


class GeneLookup:
    """Resolves names without regard to case; a systematic name wins over a standard one, that over an alias."""

    def __init__(self, hierarchy: Hierarchy) -> None:
        self._names = hierarchy.gene_names
        self._genes: dict[str, tuple[int, ...]] = {}
        for index, aliases in enumerate(hierarchy.gene_aliases):
            for alias in aliases:
                self._genes[alias.upper()] = (*self._genes.get(alias.upper(), ()), index)
        for index, standard in enumerate(hierarchy.gene_standard):
            if standard:
                self._genes[standard.upper()] = (index,)
        self._genes.update({name.upper(): (index,) for index, name in enumerate(hierarchy.gene_names)})

    def gene(self, name: str) -> int:
        """Return the index of one gene; raises UsageError where there is none, or more than one."""
        found = self._genes.get(name.strip().upper(), ())
        if len(found) == 1:
            return found[0]
        if found:
            several = ", ".join(self._names[i] for i in found)
            raise UsageError(f"{name} is an alias of {several}", hint="use the systematic name")
        hint = did_you_mean(name.strip().upper(), self._genes, otherwise="systematic names look like YKL191W")
        raise UsageError(f"no gene {name!r} in this cache's hierarchy", hint=hint)

    def genotype(self, names: Iterable[str]) -> tuple[int, ...]:
        """Return the deleted genes, ascending, each once."""
        return tuple(sorted({self.gene(name) for name in names if name.strip()}))
