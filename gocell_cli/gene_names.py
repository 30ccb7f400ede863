"""Names of genes as people write them. The one look-up: data sets, gene lists, commands and the trainer use it.

A gene has a systematic name (what it is called in a cache), a standard name, ids of its database and aliases. A name
is looked up in WAYS, one after another; the first in which any gene answers decides, and a name that several genes
answer to there is none of them. A table in capitals or in lower case says nothing of case: see `GeneNames.look_up`.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int8, Int32, Int64

from gocell_cli.errors import InvalidInput, UsageError, did_you_mean

WAYS = ("systematic", "standard", "id", "other_case", "alias", "alias_other_case")
"""The ways in which a name is a gene's, in the order they are tried. Official names (the first three) come before
aliases, whatever their case: 98 standard names of SGD are another gene's alias too, and 95 symbols of fly, written in
capitals, another gene's; who writes one means the gene that is called so today."""
OFFICIAL = WAYS[:4]
OTHER_CASE = ("other_case", "alias_other_case")
ALIAS_WAYS = ("alias", "alias_other_case")
PART = re.compile(r"[^\s,;|+/]+")
"""What a cell of several genes is split into; at no hyphen, which is part of names like YAL044W-A."""
DELETED = re.compile(r"\s*-?(Δ|∆|delta)$", re.IGNORECASE)
"""What laboratories write behind a gene that is deleted: `smi1Δ`, with U+0394 or U+2206, `dcp1-delta`."""
HO = "YDL227C"
"""HO cuts DNA to switch the mating type; laboratory strains lack it anyway, so that its deletion is a mere marker."""
UNKNOWN, AMBIGUOUS = -1, -2
NO_WAY = -1
FEW, MANY = 0.2, 0.5
"""Shares of a join's names, or of the genes where those are fewer, below which it is refused, and warned of. Symbols of
seven other organisms are names of SGD's genes in at most 6 %; what is of the same genes is found by more than 90 %."""
NAMED = 8
"""Candidates, or names without a gene, that an error or a manifest names."""

Index = Mapping[str, tuple[int, ...]]


class Found(NamedTuple):
    """The genes that answer to a name, ascending, and the one of WAYS in which they do; "" where none does."""

    genes: tuple[int, ...] = ()
    way: str = ""


class LookUp(NamedTuple):
    """What a column's distinct names stand for: `gene` is UNKNOWN or AMBIGUOUS where it is not one gene.

    `way` is an index in WAYS, NO_WAY where there is not one gene; `candidates` are the genes of each ambiguous name.
    """

    names: tuple[str, ...]
    gene: Int32[np.ndarray, " names"]
    way: Int8[np.ndarray, " names"]
    candidates: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class NameCounts:
    """How the rows of one join found their genes: `join` says what was joined ("table", "gene list", "kuzmin2018").

    `rows` counts the rows by the way that served them, a row of several names by the last of their ways;
    `rows_unknown` those with a name of no gene, `rows_ambiguous` the other rows with a name of several. `unknown` are
    the distinct names of no gene, `ambiguous` those of several with the labels of the candidates; `names` counts all.
    """

    join: str
    rows: Mapping[str, int] = field(default_factory=dict)
    rows_unknown: int = 0
    rows_ambiguous: int = 0
    unknown: tuple[str, ...] = ()
    ambiguous: tuple[tuple[str, tuple[str, ...]], ...] = ()
    names: int = 0

    @property
    def names_found(self) -> int:
        """Distinct names that are one gene's."""
        return self.names - len(self.unknown) - len(self.ambiguous)

    @property
    def rows_found(self) -> int:
        """Rows whose every name is one gene's."""
        return sum(self.rows.values())

    @property
    def rows_all(self) -> int:
        """All rows that were joined."""
        return self.rows_found + self.rows_unknown + self.rows_ambiguous

    def __add__(self, other: "NameCounts") -> "NameCounts":
        """Return the counts of both as those of one join, the first one's."""
        rows = {way: self.rows.get(way, 0) + other.rows.get(way, 0) for way in WAYS}
        return NameCounts(
            self.join,
            {way: n for way, n in rows.items() if n},
            self.rows_unknown + other.rows_unknown,
            self.rows_ambiguous + other.rows_ambiguous,
            tuple(dict.fromkeys((*self.unknown, *other.unknown))),
            tuple(dict((*self.ambiguous, *other.ambiguous)).items()),
            # a name of both is counted twice where it is one gene's: what those are called is not kept
            self.names + other.names,
        )

    def as_json(self) -> dict[str, Any]:
        """What a manifest says of the join: all counts, and the first names that are not one gene's."""
        return {
            "join": self.join,
            "rows": {way: self.rows[way] for way in WAYS if self.rows.get(way)},
            "rows_unknown": self.rows_unknown,
            "rows_ambiguous": self.rows_ambiguous,
            "names": self.names,
            "names_unknown": len(self.unknown),
            "names_ambiguous": len(self.ambiguous),
            "unknown": list(self.unknown[:NAMED]),
            "ambiguous": {name: list(candidates[:NAMED]) for name, candidates in self.ambiguous[:NAMED]},
        }


_AMBIGUOUS_ROW, _UNKNOWN_ROW = len(WAYS), len(WAYS) + 1
"""Above every way; a row with a name of no gene counts as that, whatever else is in it."""


class RowCounts(NamedTuple):
    """How many rows each of WAYS served, and how many have a name of no gene, or, of the others, one of several."""

    ways: Int64[np.ndarray, " ways"]
    unknown: int
    ambiguous: int


def row_counts(found: "LookUp", name_of_row: Int32[np.ndarray, "rows names_max"]) -> RowCounts:
    """Count rows by what their names, indices in `found.names`, stand for; -1 is no name.

    Rows without any name are counted under no way.
    """
    # one byte a name: its way, or a mark above all ways, so that the largest of a row says what the row is
    code = np.append(found.way, np.int8(NO_WAY)).astype(np.int8)  # the last answers for -1: no name
    code[:-1][found.gene == AMBIGUOUS] = _AMBIGUOUS_ROW
    code[:-1][found.gene == UNKNOWN] = _UNKNOWN_ROW
    found_rows = code[name_of_row].max(axis=1, initial=NO_WAY)
    counts = np.bincount(found_rows[found_rows >= 0], minlength=_UNKNOWN_ROW + 1).astype(np.int64)
    return RowCounts(counts[: len(WAYS)], int(counts[_UNKNOWN_ROW]), int(counts[_AMBIGUOUS_ROW]))


def few_found(counts: NameCounts, genes: int, where: str = "") -> str:
    """Return a warning of a join to a table of so many genes that found few of its names; "" where all is well.

    `where` is the file that the names are from, if they are from one.

    Raises InvalidInput where it found so few that the names cannot be of the same genes.
    """
    if not counts.names:
        return ""
    found, share = counts.names_found, counts.names_found / max(min(counts.names, genes), 1)
    message = f"{where or counts.join}: {found:,} of {counts.names:,} names are among the {genes:,} genes here"
    examples = ", ".join((*counts.unknown[:3], *(name for name, _ in counts.ambiguous[:3]))[:3])
    if share < FEW:
        raise InvalidInput(
            message,
            why=f"{counts.rows_found:,} of {counts.rows_all:,} rows have a gene; not found: {examples}",
            hint="use names of these genes, or the gene table of the organism: --gene-table FILE",
        )
    if found >= MANY * counts.names and counts.rows_found >= MANY * counts.rows_all:
        return ""
    return f"{message}, and {counts.rows_found:,} of {counts.rows_all:,} rows; not found: {examples}"


class GeneNames:
    """Finds genes by any of their names; `ids` may be left out, and "" stands where a gene has no such name."""

    def __init__(
        self,
        systematic: Sequence[str],
        standard: Sequence[str],
        aliases: Sequence[Sequence[str]],
        ids: Sequence[Sequence[str]] = (),
    ) -> None:
        self.systematic, self.standard, self.aliases, self.ids = systematic, standard, aliases, ids

    @cached_property
    def _official(self) -> tuple[Iterable[Sequence[str]], ...]:
        return [(n,) for n in self.systematic], [(n,) for n in self.standard], self.ids

    @cached_property
    def _stages(self) -> tuple[tuple[str, Index, Callable[[str], str]], ...]:
        """Each way with its index, and what is done to a name before it is looked up there."""
        systematic, standard, ids = (_index([column], str) for column in self._official)
        return (
            ("systematic", systematic, str),
            ("standard", standard, str),
            ("id", ids, str),
            ("other_case", _index(self._official, str.upper), str.upper),
            ("alias", _index([self.aliases], str), str),
            ("alias_other_case", _index([self.aliases], str.upper), str.upper),
        )

    def find(self, name: str, ways: Collection[str] = WAYS) -> Found:
        """Return the genes called so: none, one, or, where the name is ambiguous, all that share it.

        Only the ways named are tried, in the order of WAYS.
        """
        name = name.strip()
        for way, index, spelt in self._stages:
            if way in ways and (genes := index.get(spelt(name))):
                return Found(genes, way)
        return Found()

    def look_up(self, names: Sequence[str]) -> LookUp:
        """Look up a column's distinct names.

        Where all that name a gene are in one case and some of them are so in another case only, the column carries no
        case: then every name is looked up without it, so that fly's `H` in a table in capitals is not Hairless where
        hairy (`h`) may be meant, but ambiguous.
        """
        found = [self.find(name) for name in names]
        genes = [name for name, one in zip(names, found, strict=True) if one.genes]
        one_case = all(map(_is_upper, genes)) or all(map(_is_lower, genes))
        if one_case and any(one.way in OTHER_CASE for one in found):
            found = [self._without_case(name, one) for name, one in zip(names, found, strict=True)]
        one_gene = [len(one.genes) == 1 for one in found]
        gene = [
            one.genes[0] if single else (AMBIGUOUS if one.genes else UNKNOWN)
            for one, single in zip(found, one_gene, strict=True)
        ]
        way = [WAYS.index(one.way) if single else NO_WAY for one, single in zip(found, one_gene, strict=True)]
        return LookUp(
            tuple(names),
            np.array(gene, dtype=np.int32),
            np.array(way, dtype=np.int8),
            {name: one.genes for name, one in zip(names, found, strict=True) if len(one.genes) > 1},
        )

    def _without_case(self, name: str, exact: Found) -> Found:
        """Find a name without regard to case; told as found the exact way where that is the same gene."""
        found = self.find(name, OTHER_CASE)
        return exact if exact.genes == found.genes else found

    def names_in(self, cell: str) -> tuple[str, ...]:
        """Return the names in a cell that may hold several, split at white space and any of `,;|+/`.

        A name may hold such a sign itself: the whole cell is tried first, then, from the left, the longest run of
        parts that is a name (`ADE5,7,CDC28` holds `ADE5,7` and `CDC28`). Not for a column of one gene.
        """
        cell = cell.strip()
        parts = [match.span() for match in PART.finditer(cell)]
        if parts == [(0, len(cell))] or self.find(cell).genes:
            return (cell,)
        names: list[str] = []
        while parts:
            runs = range(min(len(parts), self._most_parts), 1, -1)
            ends = (n for n in runs if self.find(cell[parts[0][0] : parts[n - 1][1]]).genes)
            taken = next(ends, 1)
            names.append(cell[parts[0][0] : parts[taken - 1][1]])
            parts = parts[taken:]
        return tuple(names)

    @cached_property
    def openings(self) -> frozenset[str]:
        """First parts, in capitals, of the names that are more than one part: what holds none of them only splits."""
        names = (name for _, index, _ in self._stages for name in index)
        found = ((name, PART.search(name)) for name in names)
        return frozenset(
            "" if part is None else part[0].upper() for name, part in found if part is None or part[0] != name
        )

    @cached_property
    def _most_parts(self) -> int:
        """Parts of the name that has most of them: no longer run can be a name."""
        names = (name for _, index, _ in self._stages for name in index)
        return max((len(PART.findall(name)) for name in names), default=1)

    def gene(self, name: str, *, where: str = "in this cache's hierarchy") -> int:
        """Return the index of the one gene called so; `smi1Δ` is SMI1, deleted as all genes are that are named here.

        Raises UsageError where there is none, with names that come near, or more than one, with those.
        """
        found = self.find(name).genes or self.find(DELETED.sub("", name.strip())).genes
        if len(found) == 1:
            return found[0]
        if found:
            several = ", ".join(self.label(gene) for gene in found[:NAMED])
            raise UsageError(
                f"{name.strip()} is a name of {len(found)} genes: {several}{', ...' if len(found) > NAMED else ''}",
                hint=f"use the systematic name, for example {self.systematic[found[0]]}",
            )
        example = self.systematic[-1] if len(self.systematic) else "YKL191W"
        known = {**self._stages[-1][1], **self._stages[3][1]}
        hint = did_you_mean(name.strip().upper(), known, otherwise=f"systematic names look like {example}")
        raise UsageError(f"no gene {name!r} {where}", hint=hint)

    def genotype(self, names: Iterable[str]) -> tuple[int, ...]:
        """Return the genes of some names, ascending, each once; blank names stand for nothing.

        Raises UsageError as `gene` does.
        """
        return tuple(sorted({self.gene(name) for name in names if name.strip()}))

    def label(self, gene: int) -> str:
        """Return a gene's systematic name, and its standard name where it has another: `YAL001C (TFC3)`."""
        systematic, standard = self.systematic[gene], self.standard[gene]
        return f"{systematic} ({standard})" if standard not in ("", systematic) else systematic

    def counts(self, join: str, found: LookUp, name_of_row: Int32[np.ndarray, "rows names_max"]) -> NameCounts:
        """Count the rows of a join by what their names, indices in `found.names`, stand for; -1 is no name."""
        return self.counts_of(join, found, [row_counts(found, name_of_row)])

    def counts_of(self, join: str, found: LookUp, parts: Sequence[RowCounts]) -> NameCounts:
        """Return the counts of a join whose rows were counted part by part."""
        rows = sum((part.ways for part in parts), np.zeros(len(WAYS), dtype=np.int64)).tolist()
        return NameCounts(
            join=join,
            rows={way: n for way, n in zip(WAYS, rows, strict=True) if n},
            rows_unknown=sum(part.unknown for part in parts),
            rows_ambiguous=sum(part.ambiguous for part in parts),
            unknown=tuple(n for n, g in zip(found.names, found.gene.tolist(), strict=True) if g == UNKNOWN),
            ambiguous=tuple((name, tuple(map(self.label, genes))) for name, genes in found.candidates.items()),
            names=len(found.names),
        )


def _index(columns: Iterable[Iterable[Sequence[str]]], spelt: Callable[[str], str]) -> Index:
    """Each name in some columns -> the genes that have it there, ascending."""
    found: dict[str, dict[int, None]] = {}
    for column in columns:
        for gene, names in enumerate(column):
            for name in names:
                found.setdefault(spelt(name.strip()), {})[gene] = None
    found.pop("", None)  # "" stands where a gene has no such name
    return {name: tuple(sorted(genes)) for name, genes in found.items()}


def _is_upper(name: str) -> bool:
    return name == name.upper()


def _is_lower(name: str) -> bool:
    return name == name.lower()
