"""What a lab's table was taken for, in words: what its reader found out by itself, each with the option that overrides.

And the rows that it did not take: line, reason, what stood there, names that come near.
"""

import difflib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Int8, Int32, Int64

from gocell_cli.domain.alleles import without_marks
from gocell_cli.domain.genotype import Rejected, RejectedRow
from gocell_cli.gene_names import AMBIGUOUS, UNKNOWN, GeneNames, LookUp
from gocell_cli.sources.screens.code_pages import NAMES
from gocell_cli.sources.screens.lab_names import NO_NAME, LabNames, made_a_date
from gocell_cli.sources.screens.table_columns import REJECT, Columns, TableOptions
from gocell_cli.sources.screens.table_file import COMMA, TableFile

SHOWN = 3
"""Names, words or lines that a note gives as examples."""
MOST_UNREAD = 8
"""Columns that a note names."""
MOST_NEAR, ALIKE = 20, 3
MOST_REJECTED = 100_000
"""Rows whose reasons are kept: a file of more is no reading for anybody."""
MOST_COMPARED = 2_000
"""Distinct names for which those that come near are looked for."""


class BlankGenes(NamedTuple):
    """The rows with an empty cell among several gene columns: the lines of the first SHOWN, and how many there are."""

    lines: Sequence[int]
    rows: int


def table_notes(
    table: TableFile,
    columns: Columns,
    options: TableOptions,
    decimal: str,
    lab: LabNames,
    words: Mapping[str, int],
    blank: BlankGenes,
    rows: int,
) -> tuple[str, ...]:
    """Return what is told of a table of so many rows: what it was taken for, of names and numbers, of empty genes."""
    notes = (
        _guessed(table, columns, options, decimal, lab),
        *_others(lab, words, columns.phenotype),
        _blank_note(columns, blank, rows, rejected=options.blank_gene == REJECT),
    )
    return tuple(filter(None, notes))


def _guessed(table: TableFile, columns: Columns, options: TableOptions, decimal: str, lab: LabNames) -> str:
    """Return in one line what was found out of a table, with the options that say it instead."""
    parts = []
    if table.delimiter and not options.form.delimiter:
        parts.append(f"cells between {table.delimiter}s (--delimiter)")
    if table.encoding and options.form.encoding is None:
        parts.append(f"letters in {NAMES.get(table.encoding, table.encoding)} (--encoding)")
    # cells of a workbook are numbers already, unless somebody typed a comma
    if decimal and (table.delimiter or decimal == COMMA) and options.decimal is None:
        parts.append(f"decimal {decimal}s (--decimal)")
    if not options.genes:
        parts.append(f"genes in {_and(columns.genes)} (--gene-column)")
    if options.phenotype is None:
        parts.append(f"phenotype {columns.phenotype!r} (--phenotype-column)")
    if lab.genes:
        text, gene = next(iter(lab.genes.items()))
        parts.append(f"{len(lab.genes):,} names as laboratories write them, {text} is {gene} (--notation exact)")
    return f"read as: {'; '.join(parts)}" if parts else ""


def unread(names: Sequence[str], columns: Columns) -> tuple[str, ...]:
    """Return what is told of the columns, among those of these names, that nothing is read from."""
    read = set(columns.read)
    left = [repr(name) for name in names if name not in read]
    if not left:
        return ()
    shown = ", ".join(left[:MOST_UNREAD]) + (f" and {len(left) - MOST_UNREAD:,} more" if left[MOST_UNREAD:] else "")
    return (f"not read: {shown} (--statistic-column, --allele-column, --query-column or --group-column takes one)",)


def _others(lab: LabNames, words: Mapping[str, int], phenotype: str) -> tuple[str, ...]:
    """Return what else is told of names and numbers: alleles that delete nothing, words for missing numbers."""
    notes = []
    if lab.no_deletions:
        which = _examples(lab.no_deletions)
        notes.append(f"no deletions, or not known to be: {which}; --alleles deletion-only leaves their rows out")
    if words:
        counted = ", ".join(f"{word!r} {n:,}" for word, n in [*words.items()][:SHOWN])
        more = f" and {len(words) - SHOWN} other words" if len(words) > SHOWN else ""
        notes.append(f"no number in {sum(words.values()):,} cells of {phenotype!r}: {counted}{more}")
    return tuple(notes)


def _blank_note(columns: Columns, blank: BlankGenes, rows: int, *, rejected: bool) -> str:
    """Return what is told of rows with an empty cell among several gene columns, "" where there are none."""
    if not blank.rows:
        return ""
    lines = _lines(blank.lines, blank.rows)
    taken = (
        "left out" if rejected else "taken for strains of the other genes alone; --blank-gene reject leaves them out"
    )
    return f"no gene in one of {_and(columns.genes)} in {blank.rows:,} of {rows:,} rows ({lines}): {taken}"


class Rejecting:
    """Collects the first rows of a table that were not taken; reasons are told by their number in `reasons`."""

    def __init__(self, lookup: GeneNames, columns: Columns, reasons: Sequence[str]) -> None:
        self._columns, self._reasons = (*columns.genes, columns.phenotype), reasons
        self._near = _Near(lookup)
        self._rows: list[RejectedRow] = []
        self._number = 0

    def add(
        self,
        table: TableFile,
        reason: Int8[np.ndarray, " rows"],
        names: Int32[np.ndarray, "rows names_max"],
        found: LookUp,
    ) -> None:
        """Take those of a piece of it; `reason` is -1 for rows that were taken."""
        self._number += int((reason >= 0).sum())
        rows = np.flatnonzero(reason >= 0)[: MOST_REJECTED - len(self._rows)]
        cells = [_texts_at(table, name, rows) for name in self._columns] if len(rows) else []
        for at, row in enumerate(rows.tolist()):
            held = tuple(texts[at] for texts in cells)
            strange = [int(i) for i in names[row] if i != NO_NAME and found.gene[i] in (UNKNOWN, AMBIGUOUS)]
            why = "; ".join(dict.fromkeys(self._near.told(found.names[i], found) for i in strange))
            self._rows.append(RejectedRow(int(table.line[row]), self._reasons[reason[row]], held, why))

    @property
    def rejected(self) -> Rejected:
        """The first of them, and how many there are."""
        return Rejected(tuple(self._rows), self._number)


def _texts_at(table: TableFile, name: str, rows: Int64[np.ndarray, " some"]) -> list[str]:
    """The stripped texts of a column in some rows, "" where a cell of Parquet is empty."""
    return [(text or "").strip() for text in table.columns[name].take(pa.array(rows)).to_pylist()]


class _Near:
    """Finds names of genes that come near a text, each text once."""

    def __init__(self, lookup: GeneNames) -> None:
        self._lookup = lookup
        self._told: dict[str, str] = {}
        # by first letter: to compare with all names takes 20 ms, and few slips of a pen are in the first
        self._names: dict[str, list[str]] = defaultdict(list)
        for name in {n.upper() for n in (*lookup.systematic, *lookup.standard) if n}:
            self._names[name[0]].append(name)

    def told(self, text: str, found: LookUp) -> str:
        """Return what may be meant by a name that is not one gene's."""
        if text not in self._told:
            self._told[text] = self._tell(text, found) if len(self._told) < MOST_COMPARED else text
        return self._told[text]

    def _tell(self, text: str, found: LookUp) -> str:
        if text in found.candidates:
            return f"{text}: a name of {', '.join(map(self._lookup.label, found.candidates[text]))}"
        if days := made_a_date(text):
            known = [name for name in days if self._lookup.find(name).genes]
            meant = " or ".join(known or days)
            return f"{text}: a date, which a spreadsheet made of {meant}; format the column as text, type it again"
        bare = without_marks(text).upper()
        near = difflib.get_close_matches(bare, sorted(self._names.get(bare[:1], [])), n=MOST_NEAR)
        # of equally near ones those first that begin alike: slips are oftener in a number than before it
        near = sorted(near, key=lambda name: name[:ALIKE] != bare[:ALIKE])[:SHOWN]
        return f"{text}: near {', '.join(near)}" if near else f"{text}: no name comes near"


def _and(names: Sequence[str]) -> str:
    return " and ".join(map(repr, names))


def _examples(texts: Sequence[str]) -> str:
    return ", ".join(texts[:SHOWN]) + (f" and {len(texts) - SHOWN:,} more" if len(texts) > SHOWN else "")


def _lines(lines: Sequence[int], count: int) -> str:
    word = "line" if count == 1 else "lines"
    return f"{word} {', '.join(map(str, lines))}{', ...' if count > len(lines) else ''}"
