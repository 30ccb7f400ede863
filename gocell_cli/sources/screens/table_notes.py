"""What a lab's table was taken for, in words: what its reader found out by itself, each with the option that overrides.

And the rows that it did not take: line, reason, what stood there, names that come near.
"""

import difflib
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Int8, Int32

from gocell_cli.domain.alleles import without_marks
from gocell_cli.domain.genotype import Rejected, RejectedRow
from gocell_cli.gene_names import AMBIGUOUS, UNKNOWN, GeneNames, LookUp
from gocell_cli.sources.screens.code_pages import NAMES
from gocell_cli.sources.screens.lab_names import NO_NAME, LabNames, made_a_date
from gocell_cli.sources.screens.table_columns import REJECT, Columns, TableOptions
from gocell_cli.sources.screens.table_file import COMMA, TableFile

SHOWN = 3
"""Names, words or lines that a note gives as examples."""
MOST_NEAR, ALIKE = 20, 3
MOST_REJECTED = 100_000
"""Rows whose reasons are kept: a file of more is no reading for anybody."""
MOST_COMPARED = 2_000
"""Distinct names for which those that come near are looked for."""


def table_notes(
    table: TableFile,
    columns: Columns,
    options: TableOptions,
    decimal: str,
    lab: LabNames,
    words: Mapping[str, int],
    blank: Bool[np.ndarray, " rows"],
) -> tuple[str, ...]:
    """Return what is told of a table: what it was taken for, of names and numbers, and of rows with an empty gene."""
    notes = (
        _guessed(table, columns, options, decimal, lab),
        *_others(lab, words, columns.phenotype),
        _blank_note(table, columns, blank, rejected=options.blank_gene == REJECT),
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


def _blank_note(table: TableFile, columns: Columns, blank: Bool[np.ndarray, " rows"], *, rejected: bool) -> str:
    """Return what is told of rows with an empty cell among several gene columns, "" where there are none."""
    if not blank.any():
        return ""
    lines = _lines(table.line[blank][:SHOWN].tolist(), int(blank.sum()))
    taken = (
        "left out" if rejected else "taken for strains of the other genes alone; --blank-gene reject leaves them out"
    )
    return f"no gene in one of {_and(columns.genes)} in {int(blank.sum()):,} of {len(table):,} rows ({lines}): {taken}"


def rejected_rows(
    table: TableFile,
    columns: Columns,
    reason: Int8[np.ndarray, " rows"],
    reasons: Sequence[str],
    names: Int32[np.ndarray, "rows names_max"],
    found: LookUp,
    lookup: GeneNames,
) -> Rejected:
    """Return the first rows that were not taken; `reason` indexes `reasons`, -1 for those that were."""
    rows = np.flatnonzero(reason >= 0)[:MOST_REJECTED]
    near = _Near(lookup)
    cells = [table.texts(name) for name in (*columns.genes, columns.phenotype)]
    rejected = []
    for row in rows.tolist():
        held = tuple(coded.texts[coded.codes[row]] for coded in cells)
        strange = [int(i) for i in names[row] if i != NO_NAME and found.gene[i] in (UNKNOWN, AMBIGUOUS)]
        why = "; ".join(dict.fromkeys(near.told(found.names[i], found) for i in strange))
        rejected.append(RejectedRow(int(table.line[row]), reasons[reason[row]], held, why))
    return Rejected(tuple(rejected), int((reason >= 0).sum()))


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
