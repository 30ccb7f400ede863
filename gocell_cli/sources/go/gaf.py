"""GAF 2.x (gene annotation file) of any organism -> AnnotationRows.

17 tab-separated columns, of which the first 15 are needed: 1 DB, 2 DB object id, 3 symbol, 4 qualifier, 5 GO id,
7 evidence code, 11 synonyms separated by `|`, 13 taxon (after a `|`, of the organism it interacts with),
14 date. Rows whose evidence code is none of GO's are dropped and counted: nobody can tell whether they leak.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int32

from gocell_cli.domain.annotations import EVIDENCE_CODES, AnnotationRows
from gocell_cli.errors import InvalidInput
from gocell_cli.sources.text_file import decode, read_bytes

# 16 and 17 (annotation extension, gene product form) came with GAF 2.0; some files leave them out.
COLUMNS = (15, 17)
UNKNOWN_EVIDENCE = "unknown_evidence_code"


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
    """Read a GAF, plain or gzipped.

    Raises InvalidInput with the line of a row with too few or too many columns, or with a date that is none.
    """
    objects: dict[tuple[str, ...], int] = {}
    called: list[dict[tuple[str, str, str], None]] = []
    columns: list[tuple[int, str, str, str, int, str]] = []
    dates = {"": 0}  # a file holds few distinct dates, and each is checked once; an empty one is none
    dropped: Counter[str] = Counter()
    for number, fields in _rows(path):
        # Column N of the format is fields[N - 1].
        if fields[6] not in _CODES:
            dropped[UNKNOWN_EVIDENCE] += 1
            continue
        date = dates.get(fields[13])
        if date is None:
            date = dates[fields[13]] = _date(fields[13], path, number)
        # Objects without an id, which the format does not allow, are told apart by their symbols: not all one.
        key = (fields[0], fields[1]) if fields[1] else (fields[0], "", fields[2])
        found = objects.setdefault(key, len(objects))
        if found == len(called):
            called.append({})
        called[found][fields[2], fields[10], fields[12]] = None
        columns.append((found, fields[4], fields[3], fields[6], date, fields[12]))
    if not columns:
        why = f"all {sum(dropped.values())} rows have an unknown evidence code" if dropped else ""
        raise InvalidInput.at(path, None, f"no annotation row: {why or 'not a GAF, or an empty one'}")
    object_of_row, term, qualifier, evidence, date_of_row, taxon = zip(*columns, strict=True)
    read = tuple(_db_object(key[0], key[1], list(names)) for key, names in zip(objects, called, strict=True))
    # Names in the order symbol, synonyms, each once: dict keys keep it.
    rows = AnnotationRows(
        source=str(path),
        names=tuple(tuple(dict.fromkeys((o.symbol, *o.synonyms))) for o in read),
        object_of_row=np.array(object_of_row, dtype=np.int32),
        term=term,
        qualifier=qualifier,
        evidence=evidence,
        date=np.array(date_of_row, dtype=np.int32),
        dropped=dict(dropped),
    )
    return Gaf(rows, read, *_taxa(taxon))


_CODES = frozenset(EVIDENCE_CODES)


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line number and fields of each row that is neither empty nor a comment."""
    # Not splitlines(), which also splits at form feeds and U+2028 and would miscount the lines of an editor.
    for number, line in enumerate(decode(read_bytes(path), path).split("\n"), 1):
        if line.startswith("!") or not line.strip():
            continue
        fields = line.rstrip("\r").split("\t")
        if not COLUMNS[0] <= len(fields) <= COLUMNS[1]:
            raise InvalidInput.at(path, number, f"{len(fields)} tab-separated columns where GAF 2.x has {COLUMNS[1]}")
        yield number, fields


def _db_object(db: str, identifier: str, called: list[tuple[str, str, str]]) -> DbObject:
    """One object of the (symbol, synonyms, taxon) that its rows have, in their order."""
    symbol, _, taxon = called[0]
    synonyms = dict.fromkeys(s for _, cell, _ in called for s in cell.split("|") if s)
    synonyms |= dict.fromkeys(other for other, _, _ in called[1:] if other != symbol)
    return DbObject(db, identifier, symbol, tuple(synonyms), own_taxon(taxon))


def own_taxon(cell: str) -> str:
    """Return the taxon of a cell without prefix: of `taxon:A|taxon:B` the first is the gene's own."""
    # The second is that of the organism it interacts with.
    return cell.partition("|")[0].strip().removeprefix("taxon:").removeprefix("NCBITaxon:")


def _taxa(cells: Sequence[str]) -> tuple[dict[str, int], Int32[np.ndarray, " rows"]]:
    own = {cell: own_taxon(cell) for cell in set(cells)}
    counts: Counter[str] = Counter()
    for cell, rows in Counter(cells).items():
        counts[own[cell]] += rows
    # The most frequent taxon first: `name_genes` takes the first where none is chosen.
    taxa = dict(counts.most_common())
    place = {taxon: i for i, taxon in enumerate(taxa)}
    code = {cell: place[taxon] for cell, taxon in own.items()}
    return taxa, np.array([code[cell] for cell in cells], dtype=np.int32)


def _date(text: str, path: Path, number: int) -> int:
    # isascii beside isdigit, which takes digits of other scripts too.
    if len(text) == 8 and text.isascii() and text.isdigit() and 1 <= int(text[4:6]) <= 12 and 1 <= int(text[6:]) <= 31:
        return int(text)
    raise InvalidInput.at(path, number, f"column 14 is no date YYYYMMDD: {text[:20]!r}")
