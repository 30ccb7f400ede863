"""GAF 1.0 to 2.2 (gene annotation file) of any organism -> AnnotationRows.

15 or 17 tab-separated columns, of which the first 15 are needed: 1 DB, 2 DB object id, 3 symbol, 4 qualifier,
5 GO id, 7 evidence code, 11 synonyms separated by `|`, 13 taxon (after a `|`, of the organism it interacts with),
14 date (geneontology.org/docs/go-annotation-file-gaf-format-2.2). Rows whose evidence code is none of GO's are
dropped and counted: nobody can tell whether they leak.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int32

from gocell_cli.domain.annotations import EVIDENCE_CODES, AnnotationRows
from gocell_cli.errors import InvalidInput
from gocell_cli.sources.go.tab_columns import Column, TabFile, codes_of, read_columns
from gocell_cli.sources.text_file import read_bytes

# 16 and 17 (annotation extension, gene product form) came with GAF 2.0; some files leave them out.
COLUMNS = (15, 17)
DB, ID, SYMBOL, QUALIFIER, TERM, EVIDENCE, SYNONYMS, TAXON, DATE = 1, 2, 3, 4, 5, 7, 11, 13, 14
UNKNOWN_EVIDENCE = "unknown_evidence_code"
# GPAD 2.0 writes a date as ISO 8601 does, with or without a time.
DATES = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})(?:T[\d:.]+Z?)?", re.ASCII)


@dataclass(frozen=True)
class DbObject:
    """What a GAF annotates: a gene or its product, told from others by `db` and `id` alone.

    Rows may call one object differently: `symbol` and `taxon` are its first row's, and whatever else its rows
    call it is among the synonyms.
    """

    db: str
    id: str
    symbol: str
    synonyms: tuple[str, ...]
    taxon: str

    @property
    def names(self) -> tuple[str, ...]:
        """Symbol and synonyms, each once; the id where there are none."""
        return tuple(dict.fromkeys(name for name in (self.symbol, *self.synonyms) if name)) or (self.id,)


@dataclass(frozen=True)
class Gaf:
    """The rows of a GAF; `objects[rows.object_of_row[i]]` is what row i annotates.

    `taxa` counts the rows of each taxon, the most frequent first; `taxon_of_row[i]` is row i's place among them.
    """

    rows: AnnotationRows
    objects: tuple[DbObject, ...]
    taxa: Mapping[str, int]
    taxon_of_row: Int32[np.ndarray, " rows"]


def read_gaf(path: Path) -> AnnotationRows:
    """Read a GAF as `read_gaf_objects` does; each row's gene may be meant by the symbol or by any synonym."""
    return read_gaf_objects(path).rows


def read_gaf_objects(path: Path) -> Gaf:
    """Read a GAF, of any packing and encoding that `read_bytes` knows.

    Raises InvalidInput with the line of a row with too few or too many columns, or with a date that is none.
    """
    return parse_gaf(read_bytes(path), path)


def parse_gaf(data: bytes, path: Path) -> Gaf:
    """Parse what `read_bytes` returned; raises InvalidInput as `read_gaf_objects` does."""
    wanted = (DB, ID, SYMBOL, QUALIFIER, TERM, EVIDENCE, SYNONYMS, TAXON, DATE)
    table = read_columns(data, path, wanted, COLUMNS, f"GAF 2.x has {COLUMNS[1]}")
    evidence, known = known_evidence(table.columns[EVIDENCE])
    refuse_no_rows(table, known, "GAF")
    kept = {n: Column(column.codes[known], column.texts) for n, column in table.columns.items()}
    objects, object_of_row = _objects(kept)
    taxa, taxon_of_row = _taxa(kept[TAXON])
    rows = AnnotationRows(
        source=str(path),
        names=tuple(o.names for o in objects),
        object_of_row=object_of_row,
        term=kept[TERM].strings(),
        qualifier=kept[QUALIFIER].strings(),
        evidence=Column(evidence.codes[known], evidence.texts).strings(),
        date=dates(kept[DATE], table, known, DATE),
        dropped=dropped_evidence(known),
    )
    return Gaf(rows, objects, taxa, taxon_of_row)


def known_evidence(column: Column) -> tuple[Column, Bool[np.ndarray, " rows"]]:
    """Return a column of evidence codes in capitals, and which rows have one of GO's."""
    upper = Column(column.codes, [text.upper() for text in column.texts])
    known = np.array([text in _CODES for text in upper.texts], dtype=bool)
    return upper, known[column.codes]


_CODES = frozenset(EVIDENCE_CODES)


def dropped_evidence(known: Bool[np.ndarray, " rows"]) -> dict[str, int]:
    """Count the rows without one of GO's evidence codes, where there are any."""
    unknown = len(known) - int(known.sum())
    return {UNKNOWN_EVIDENCE: unknown} if unknown else {}


def refuse_no_rows(table: TabFile, known: Bool[np.ndarray, " rows"], kind: str) -> None:
    """Raise InvalidInput where no row is left."""
    if not known.any():
        why = f"all {len(table)} rows have an unknown evidence code" if len(table) else ""
        raise InvalidInput.at(table.path, None, f"no annotation row: {why or f'not a {kind}, or an empty one'}")


def dates(column: Column, table: TabFile, kept: Bool[np.ndarray, " read"], number: int) -> Int32[np.ndarray, " rows"]:
    """Return the dates of the kept rows as YYYYMMDD, 0 for none; raises InvalidInput with the first wrong line."""
    # A file holds few distinct dates, and each is checked once.
    found = [_date(text) for text in column.texts]
    values: Int32[np.ndarray, " rows"]
    values = np.array([-1 if date is None else date for date in found], dtype=np.int32)[column.codes]
    wrong = np.flatnonzero(values < 0)
    if len(wrong):
        line = int(table.line[np.flatnonzero(kept)[wrong[0]]])
        text = column.texts[column.codes[wrong[0]]]
        raise InvalidInput.at(table.path, line, f"column {number} is no date YYYYMMDD: {text[:20]!r}")
    return values


def _date(text: str) -> int | None:
    if not text:
        return 0
    found = DATES.fullmatch(text)
    if found is None or not (1 <= int(found[2]) <= 12 and 1 <= int(found[3]) <= 31):
        return None
    return int(found[1] + found[2] + found[3])


def _objects(columns: Mapping[int, Column]) -> tuple[tuple[DbObject, ...], Int32[np.ndarray, " rows"]]:
    """Return the distinct objects in the order of their first rows, and each row's."""
    db, identifier, symbol, synonyms, taxon = (columns[n] for n in (DB, ID, SYMBOL, SYNONYMS, TAXON))
    # Objects without an id, which the format does not allow, are told apart by their symbols: not all one.
    nameless = np.array([not text for text in identifier.texts], dtype=bool)[identifier.codes]
    object_of_row = codes_of(db.codes, identifier.codes, np.where(nameless, symbol.codes, -1).astype(np.int32) + 1)
    # One row of each way in which an object is called: far fewer than there are rows.
    called = codes_of(object_of_row, symbol.codes, synonyms.codes, taxon.codes)
    _, first = np.unique(called, return_index=True)
    ways: dict[int, list[tuple[str, str, str]]] = {}
    keys: dict[int, tuple[str, str]] = {}
    for row, found in zip(first.tolist(), object_of_row[first].tolist(), strict=True):
        keys.setdefault(found, (db.texts[db.codes[row]], identifier.texts[identifier.codes[row]]))
        way = (symbol.texts[symbol.codes[row]], synonyms.texts[synonyms.codes[row]], taxon.texts[taxon.codes[row]])
        ways.setdefault(found, []).append(way)
    return tuple(_db_object(*keys[found], ways[found]) for found in keys), object_of_row


def _db_object(db: str, identifier: str, called: list[tuple[str, str, str]]) -> DbObject:
    """One object of the (symbol, synonyms, taxon) that its rows have, in their order."""
    symbol, _, taxon = called[0]
    synonyms = dict.fromkeys(s for _, cell, _ in called for s in split_names(cell))
    synonyms |= dict.fromkeys(other for other, _, _ in called[1:] if other and other != symbol)
    return DbObject(db, identifier, symbol, tuple(synonyms), own_taxon(taxon))


def split_names(cell: str) -> list[str]:
    """Return the names of a cell that joins them by `|`."""
    return [name for part in cell.split("|") if (name := part.strip())]


@cache  # a file has few taxa, and thousands of objects of each
def own_taxon(cell: str) -> str:
    """Return the taxon of a cell without prefix: of `taxon:A|taxon:B` the first is the gene's own."""
    # The second is that of the organism it interacts with.
    prefix, colon, number = cell.partition("|")[0].strip().rpartition(":")
    return number.strip() if colon and prefix.lower() in ("taxon", "ncbitaxon") else cell.partition("|")[0].strip()


def _taxa(column: Column) -> tuple[dict[str, int], Int32[np.ndarray, " rows"]]:
    own = [own_taxon(cell) for cell in column.texts]
    counts: Counter[str] = Counter()
    for taxon, rows in zip(own, np.bincount(column.codes, minlength=len(own)).tolist(), strict=True):
        counts[taxon] += rows
    return taxa_of_rows(counts, own, column.codes)


def taxa_of_rows(
    counts: Counter[str], own: Sequence[str], codes: Int32[np.ndarray, " rows"]
) -> tuple[dict[str, int], Int32[np.ndarray, " rows"]]:
    """Return the taxa that have rows, the most frequent first, and the place of `own[codes[i]]` among them."""
    # `name_genes` takes the first where none is chosen.
    taxa = {taxon: rows for taxon, rows in counts.most_common() if rows}
    place = {taxon: i for i, taxon in enumerate(taxa)}
    return taxa, np.array([place.get(taxon, -1) for taxon in own], dtype=np.int32)[codes]
