"""GPI 1.x and 2.0 (gene product information) -> the objects of a database, annotated or not.

Tab-separated; which of the layouts a file has, its header and the column of the taxon say
(github.com/geneontology/go-annotation, specs/gpad-gpi-1_2.md and gpad-gpi-2-0.md):

    1.0, 1.1   id, symbol, name, synonyms, type, taxon, parent ...       the database in a `!namespace:` line
    1.2        DB, id, symbol, name, synonyms, type, taxon, parent ...
    2.0        DB:id, symbol, name, synonyms, type, taxon, encoded by, parent protein ...

A row that names another row as its parent is a form of it (an isoform, a chain of a protein), and no object of its
own: its id is a synonym of the parent's.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from gocell_cli.errors import InvalidInput
from gocell_cli.sources.go.gaf import DbObject, own_taxon, split_names
from gocell_cli.sources.go.tab_columns import header_of, read_columns
from gocell_cli.sources.text_file import read_bytes

COLUMNS = (6, 12)
VERSION = re.compile(r"!\s*gpi-version", re.IGNORECASE)
NAMESPACE = re.compile(r"!\s*namespace:\s*(\S+)", re.IGNORECASE)
TAXON = re.compile(r"(?:taxon|NCBITaxon):\s*\d+", re.IGNORECASE)


class _Layout(NamedTuple):
    """Columns of a GPI; 0 where there is none. `parents` are all that may name a row's parent."""

    db: int
    id: int
    symbol: int
    synonyms: int
    taxon: int
    parents: tuple[int, ...]


LAYOUTS = {
    "1.1": _Layout(0, 1, 2, 4, 6, (7,)),
    "1.2": _Layout(1, 2, 3, 5, 7, (8,)),
    "2.0": _Layout(0, 1, 2, 4, 6, (7, 8)),
}


def is_gpi(comments: list[str]) -> bool:
    """Return whether a file whose comments begin so is a GPI."""
    return any(VERSION.match(comment) for comment in comments)


def read_gpi(path: Path) -> tuple[DbObject, ...]:
    """Read a GPI, of any packing and encoding that `read_bytes` knows: its objects, each once, in their order.

    Raises InvalidInput where no column holds taxa, with the line of a row with too few or too many columns and of
    one without an id, and where it has no rows.
    """
    data = read_bytes(path)
    comments, first = header_of(data)
    if not first:
        raise InvalidInput.at(path, None, "no row: not a GPI, or an empty one")
    namespace = next((found[1] for c in comments if (found := NAMESPACE.match(c))), "")
    layout = _layout(path, first, namespace)
    return _without_forms(list(_rows(data, path, layout, namespace)))


def _layout(path: Path, first: list[str], namespace: str) -> _Layout:
    taxa = [n for n, cell in enumerate(first, 1) if TAXON.match(cell.strip())]
    if 7 in taxa:
        return LAYOUTS["1.2"]
    if 6 in taxa:
        return LAYOUTS["1.1" if namespace and not first[0].startswith(f"{namespace}:") else "2.0"]
    raise InvalidInput.at(
        path,
        None,
        f"not a GPI: no taxon in column 6 or 7 of its first row, {' | '.join(first[:7])[:80]!r}",
        hint="a GPI 1.x or 2.0, as geneontology.org/docs/gene-product-information-gpi-format-2.0 describes it",
    )


def _rows(data: bytes, path: Path, layout: _Layout, namespace: str) -> Iterator[tuple[DbObject, tuple[str, ...]]]:
    """Yield each row as an object, and its parents as `DB:id`."""
    named = (layout.db, layout.id, layout.symbol, layout.synonyms, layout.taxon, *layout.parents)
    wanted = sorted(set(named) - {0})
    table = read_columns(data, path, wanted, COLUMNS, f"GPI has up to {COLUMNS[1]}")
    cells = {n: column.strings() for n, column in table.columns.items()}
    for row in range(len(table)):
        db = cells[layout.db][row] if layout.db else namespace
        identifier = cells[layout.id][row]
        if layout is LAYOUTS["2.0"]:
            db, _, identifier = identifier.partition(":")
        if not identifier:
            raise InvalidInput.at(path, int(table.line[row]), f"no database id in column {layout.id}")
        synonyms = tuple(dict.fromkeys(split_names(cells[layout.synonyms][row])))
        taxon = own_taxon(cells[layout.taxon][row])
        parents = tuple(p for n in layout.parents for p in split_names(cells[n][row]))
        yield DbObject(db, identifier, cells[layout.symbol][row], synonyms, taxon), parents


def _without_forms(rows: list[tuple[DbObject, tuple[str, ...]]]) -> tuple[DbObject, ...]:
    objects: dict[str, DbObject] = {}
    parents: dict[str, str] = {}
    for found, named in rows:
        key = f"{found.db}:{found.id}"
        objects.setdefault(key, found)
        # Of several parents (a complex, a fusion) it is no form of one.
        if len(named) == 1 and named[0] != key:
            parents[key] = named[0]
    forms = {key: top for key in parents if (top := _top(key, parents)) in objects and top != key}
    for key, top in forms.items():
        objects[top] = replace(objects[top], synonyms=(*objects[top].synonyms, objects[key].id))
    return tuple(found for key, found in objects.items() if key not in forms)


def _top(key: str, parents: dict[str, str]) -> str:
    """Return the last of a row's parents, itself where they go round in a circle."""
    seen = {key}
    top = key
    while top in parents:
        top = parents[top]
        if top in seen:
            return key
        seen.add(top)
    return top
