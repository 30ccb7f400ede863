"""GPAD 1.x and 2.0 (gene product association data) -> the rows and objects that a GAF would have.

10 to 12 tab-separated columns. 1.x (github.com/geneontology/go-annotation, specs/gpad-gpi-1_2.md): 1 DB, 2 DB object
id, 3 relations, with NOT among them. 2.0 (specs/gpad-gpi-2-0.md): 1 `DB:id`, 2 NOT, 3 a relation. Both: 4 GO id,
6 an ECO id, 9 date, 12 properties, of which `go_evidence` is GO's code. An ECO id becomes the code that the Evidence
and Conclusion Ontology gives it (`data/eco_evidence_codes.tsv`); rows with another are dropped and counted. A GPAD
has neither symbols, synonyms nor the gene's taxon: a GPI has them (`gpi.py`).
"""

import re
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from gocell_cli.domain.annotations import EVIDENCE_CODES, AnnotationRows
from gocell_cli.domain.qualifiers import is_negated
from gocell_cli.sources.go.gaf import DbObject, Gaf, dates, dropped_evidence, refuse_no_rows
from gocell_cli.sources.go.tab_columns import Column, TabFile, codes_of, read_columns

COLUMNS = (10, 12)
FIRST, SECOND, RELATION, TERM, ECO, DATE, PROPERTIES = 1, 2, 3, 4, 6, 9, 12
GO_EVIDENCE = re.compile(r"(?:^|\|)\s*go_evidence\s*=\s*([A-Za-z]+)")
VERSION = re.compile(r"!\s*gpad?-version", re.IGNORECASE)
ECO_ID = re.compile(r"ECO:\d+")


def is_gpad(comments: list[str], first: list[str]) -> bool:
    """Return whether a file that begins so is a GPAD: by its header, else by the evidence in its first row."""
    told = any(VERSION.match(comment) for comment in comments)
    return told or (COLUMNS[0] <= len(first) <= COLUMNS[1] and ECO_ID.fullmatch(first[ECO - 1].strip()) is not None)


def parse_gpad(data: bytes, path: Path) -> Gaf:
    """Parse what `read_bytes` returned; its objects have ids alone.

    Raises InvalidInput with the line of a row with too few or too many columns, or with a date that is none.
    """
    wanted = (FIRST, SECOND, RELATION, TERM, ECO, DATE, PROPERTIES)
    table = read_columns(data, path, wanted, COLUMNS, f"GPAD has {COLUMNS[1]}")
    evidence = _evidence(table)
    known = evidence.codes > 0
    refuse_no_rows(table, known, "GPAD")
    objects, object_of_row = _objects(table, known)
    rows = AnnotationRows(
        source=str(path),
        names=tuple(o.names for o in objects),
        object_of_row=object_of_row,
        term=_kept(table, TERM, known).strings(),
        qualifier=_qualifier(table, known),
        evidence=Column(evidence.codes[known], evidence.texts).strings(),
        date=dates(_kept(table, DATE, known), table, known, DATE),
        dropped=dropped_evidence(known),
    )
    return Gaf(rows, objects, {"": len(rows)}, np.zeros(len(rows), dtype=np.int32))


@cache
def eco_codes() -> dict[str, str]:
    """Return GO's evidence code of each ECO id."""
    text = files("gocell_cli.data").joinpath("eco_evidence_codes.tsv").read_text("utf-8")
    return dict(line.split("\t") for line in text.splitlines()[1:])


def _kept(table: TabFile, number: int, known: Bool[np.ndarray, " read"]) -> Column:
    return Column(table.columns[number].codes[known], table.columns[number].texts)


def _of_version_2(table: TabFile) -> bool:
    # In 1.x the first column is a database's name, in which no colon may stand.
    return ":" in table.columns[FIRST].texts[0]


def _evidence(table: TabFile) -> Column:
    """Return GO's code of each row; the code 0 is of none."""
    codes = ("", *EVIDENCE_CODES)
    place = {code: i for i, code in enumerate(codes)}
    properties = [GO_EVIDENCE.search(text) for text in table.columns[PROPERTIES].texts]
    told = np.array([place.get(found[1].upper(), 0) if found else 0 for found in properties], dtype=np.int32)
    # Some write GO's own code into the column of ECO's.
    eco = np.array([place.get(eco_codes().get(t, t.upper()), 0) for t in table.columns[ECO].texts], dtype=np.int32)
    of_properties, of_eco = told[table.columns[PROPERTIES].codes], eco[table.columns[ECO].codes]
    return Column(np.where(of_properties > 0, of_properties, of_eco).astype(np.int32), list(codes))


def _qualifier(table: TabFile, known: Bool[np.ndarray, " read"]) -> tuple[str, ...]:
    relation = _kept(table, RELATION, known).strings()
    if not _of_version_2(table):
        return relation
    negation = _kept(table, SECOND, known)
    negated = [is_negated(text) for text in negation.texts]
    return tuple(f"NOT|{r}" if negated[n] else r for r, n in zip(relation, negation.codes.tolist(), strict=True))


def _objects(table: TabFile, known: Bool[np.ndarray, " read"]) -> tuple[tuple[DbObject, ...], np.ndarray]:
    first, second = _kept(table, FIRST, known), _kept(table, SECOND, known)
    if _of_version_2(table):
        object_of_row = codes_of(first.codes)
        pairs = [text.partition(":")[::2] for text in first.texts]
        keys = [pairs[code] for code in dict.fromkeys(first.codes.tolist())]
    else:
        object_of_row = codes_of(first.codes, second.codes)
        seen = dict.fromkeys(zip(first.codes.tolist(), second.codes.tolist(), strict=True))
        keys = [(first.texts[db], second.texts[identifier]) for db, identifier in seen]
    return tuple(DbObject(db, identifier, "", (), "") for db, identifier in keys), object_of_row
