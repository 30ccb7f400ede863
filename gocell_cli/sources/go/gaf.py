"""GAF 2.x (gene annotation file) of any organism -> AnnotationRows.

17 tab-separated columns, of which the first 15 are needed: 2 DB object id, 3 symbol, 4 qualifier, 5 GO id,
7 evidence code, 11 synonyms separated by `|`, 13 taxon (after a `|`, of the organism it interacts with),
14 date. Rows whose evidence code is none of GO's are dropped and counted: nobody can tell whether they leak.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gocell_cli.domain.annotations import EVIDENCE_CODES, AnnotationRows
from gocell_cli.errors import InvalidInput
from gocell_cli.sources.text_file import decode, read_bytes

# 16 and 17 (annotation extension, gene product form) came with GAF 2.0; some files leave them out.
COLUMNS = (15, 17)
UNKNOWN_EVIDENCE = "unknown_evidence_code"


@dataclass(frozen=True)
class DbObject:
    """What a GAF annotates: a gene or its product, as its database calls it."""

    id: str
    symbol: str
    synonyms: tuple[str, ...]
    taxon: str


@dataclass(frozen=True)
class Gaf:
    """The rows of a GAF; `objects[rows.object_of_row[i]]` is what row i annotates. `taxa` counts their rows."""

    rows: AnnotationRows
    objects: tuple[DbObject, ...]
    taxa: Mapping[str, int]


def read_gaf(path: Path) -> AnnotationRows:
    """Read a GAF as `read_gaf_objects` does; each row's gene may be meant by the symbol or by any synonym."""
    return read_gaf_objects(path).rows


def read_gaf_objects(path: Path) -> Gaf:
    """Read a GAF, plain or gzipped.

    Raises InvalidInput with the line of a row with too few or too many columns, or with a date that is none.
    """
    objects: dict[tuple[str, ...], int] = {}
    columns: list[tuple[int, str, str, str, int]] = []
    dates = {"": 0}  # a file holds few distinct dates, and each is checked once; an empty one is none
    dropped: Counter[str] = Counter()
    for number, fields in _rows(path):
        # Column N of the format is fields[N - 1].
        if fields[6] not in _CODES:
            dropped[UNKNOWN_EVIDENCE] += 1
            continue
        # All that is read of a DB object: one whose columns differ between rows is several here, joined by their names.
        key = (fields[1], fields[2], fields[10], fields[12])
        date = dates.get(fields[13])
        if date is None:
            date = dates[fields[13]] = _date(fields[13], path, number)
        columns.append((objects.setdefault(key, len(objects)), fields[4], fields[3], fields[6], date))
    if not columns:
        why = f"all {sum(dropped.values())} rows have an unknown evidence code" if dropped else ""
        raise InvalidInput.at(path, None, f"no annotation row: {why or 'not a GAF, or an empty one'}")
    object_of_row, term, qualifier, evidence, date_of_row = zip(*columns, strict=True)
    found = tuple(_db_object(key) for key in objects)
    # Names in the order symbol, synonyms, each once: dict keys keep it.
    rows = AnnotationRows(
        source=str(path),
        names=tuple(tuple(dict.fromkeys((o.symbol, *o.synonyms))) for o in found),
        object_of_row=np.array(object_of_row, dtype=np.int32),
        term=term,
        qualifier=qualifier,
        evidence=evidence,
        date=np.array(date_of_row, dtype=np.int32),
        dropped=dict(dropped),
    )
    return Gaf(rows, found, _taxa(found, object_of_row))


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


def _db_object(key: tuple[str, ...]) -> DbObject:
    # Of `taxon:A|taxon:B` the first is the gene's own, the second that of the organism it interacts with.
    identifier, symbol, synonyms, taxa = key
    return DbObject(identifier, symbol, tuple(synonyms.split("|")), taxa.partition("|")[0].removeprefix("taxon:"))


def _taxa(objects: tuple[DbObject, ...], object_of_row: tuple[int, ...]) -> dict[str, int]:
    rows = np.bincount(object_of_row, minlength=len(objects)).tolist()
    counts: Counter[str] = Counter()
    for found, count in zip(objects, rows, strict=True):
        counts[found.taxon] += count
    # The most frequent taxon first: `name_genes` takes the first where none is chosen.
    return dict(counts.most_common())


def _date(text: str, path: Path, number: int) -> int:
    # isascii beside isdigit, which takes digits of other scripts too.
    if len(text) == 8 and text.isascii() and text.isdigit() and 1 <= int(text[4:6]) <= 12 and 1 <= int(text[6:]) <= 31:
        return int(text)
    raise InvalidInput.at(path, number, f"column 14 is no date YYYYMMDD: {text[:20]!r}")
