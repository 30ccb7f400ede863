"""GAF 2.x (gene annotation file) -> AnnotationRows.

17 tab-separated columns, of which the first 15 are needed: 3 symbol, 4 qualifier, 5 GO id, 7 evidence
code, 11 synonyms separated by `|`, 14 date. A yeast gene's systematic name is the symbol or a synonym.
"""

from pathlib import Path

import numpy as np

from gocell_cli.domain.annotations import AnnotationRows
from gocell_cli.errors import InvalidInput
from gocell_cli.sources.text_file import decode, read_bytes

COLUMNS = 15


def read_gaf(path: Path) -> AnnotationRows:
    """Read a GAF, plain or gzipped; raises InvalidInput with the line where it has too few columns."""
    text = decode(read_bytes(path), path)
    objects: dict[tuple[str, ...], int] = {}
    columns: list[tuple[int, str, str, str, int]] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.startswith("!"):
            continue
        fields = line.rstrip("\r").split("\t")
        if len(fields) < COLUMNS:
            raise InvalidInput.at(path, number, f"{len(fields)} tab-separated columns where GAF 2.x has 17")
        names = tuple(dict.fromkeys((fields[2], *fields[10].split("|"))))
        object_ = objects.setdefault(names, len(objects))
        columns.append((object_, fields[4], fields[3], fields[6], _date(fields[13], path, number)))
    if not columns:
        raise InvalidInput.at(path, None, "no annotation row: not a GAF, or an empty one")
    object_of_row, term, qualifier, evidence, date = zip(*columns, strict=True)
    return AnnotationRows(
        source=str(path),
        names=tuple(objects),
        object_of_row=np.array(object_of_row, dtype=np.int32),
        term=term,
        qualifier=qualifier,
        evidence=evidence,
        date=np.array(date, dtype=np.int32),
    )


def _date(text: str, path: Path, number: int) -> int:
    if len(text) == 8 and text.isascii() and text.isdigit():
        return int(text)
    if not text:
        return 0
    raise InvalidInput.at(path, number, f"column 14 is no date YYYYMMDD: {text[:20]!r}")
