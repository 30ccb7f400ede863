"""OBO 1.2/1.4 -> Ontology: a tolerant line scanner for the few tags that matter here.

It reads `id name namespace alt_id is_a relationship is_obsolete` of `[Term]` stanzas and ignores the rest,
so the odd lines of old releases (`xref: EC 2.7.1.190`, which stops fastobo and pronto) do no harm.
Trailing modifiers `{...}` and comments `! ...` are cut off. The release is `data-version`, else `date`.
Obsolete terms are dropped, even where `replaced_by` names another: that is a curator's advice, not an identity.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gocell_cli.domain.ontology import IS_A, Ontology, make_ontology
from gocell_cli.errors import InvalidInput
from gocell_cli.sources.text_file import decode, read_bytes

TERM_ID = re.compile(r"\S+:\S+")


@dataclass(slots=True)
class _Term:
    line: int
    id: str = ""
    name: str = ""
    namespace: str = ""
    alt_ids: list[str] = field(default_factory=list)
    parents: list[tuple[str, str]] = field(default_factory=list)
    obsolete: bool = False


@dataclass
class _Scan:
    path: Path
    header: dict[str, str] = field(default_factory=dict)
    terms: list[_Term] = field(default_factory=list)
    stanzas: int = 0

    def fail(self, line: int, reason: str) -> InvalidInput:
        return InvalidInput.at(self.path, line, reason, hint="download the ontology again, or mend the line")


def read_obo(path: Path) -> Ontology:
    """Read an OBO file, plain or gzipped.

    Raises InvalidInput, with the line, for a broken stanza header, a line that is no tag, a term without
    an id, an id given twice, or an is_a or relationship line without a target.
    """
    scan = _scan(decode(read_bytes(path), path), path)
    _check_ids(scan)
    live = [t for t in scan.terms if not t.obsolete]
    default = scan.header.get("default-namespace", "")
    primary = {t.id for t in live}  # an id that a live term has is nobody else's, whatever alt_id lines claim
    return make_ontology(
        source=str(path),
        release=scan.header.get("data-version") or scan.header.get("date") or "unknown",
        terms=[(t.id, t.name or t.id, t.namespace or default) for t in live],
        # Backwards, so that of two terms that claim an id the first in the file has it.
        alt_ids={a: t.id for t in reversed(live) for a in t.alt_ids if a not in primary},
        edges=((t.id, parent, relation) for t in live for relation, parent in t.parents),
        dropped={"obsolete_terms": len(scan.terms) - len(live)},
    )


def _scan(text: str, path: Path) -> _Scan:
    scan = _Scan(path)
    # None in the header and in [Typedef] and [Instance] stanzas, whose id, name and is_a lines are of no term.
    term: _Term | None = None
    # Not splitlines(), which also splits at form feeds and U+2028 and would miscount the lines of an editor.
    for number, line in enumerate(text.split("\n"), 1):
        tag, colon, value = line.partition(":")
        reader = _TAGS.get(tag)
        if reader is not None:
            fault = reader(term, value) if term is not None else None
            if fault:
                raise scan.fail(number, fault)
        elif tag[:1] == "[":
            term = _open_stanza(scan, number, line.strip())
        elif not colon:
            _check_tagless(scan, number, line)
        # The header ends at the first stanza; of a tag that stands in it twice the first value counts.
        elif scan.stanzas == 0:
            scan.header.setdefault(tag, value.strip())
    if not scan.terms:
        raise InvalidInput.at(path, None, "no [Term] stanza: not an OBO file, or an empty one")
    return scan


def _check_tagless(scan: _Scan, number: int, line: str) -> None:
    if line.strip() and not line.startswith("!"):
        raise scan.fail(number, f"not a `tag: value` line: {line[:60]!r}")


def _open_stanza(scan: _Scan, number: int, line: str) -> _Term | None:
    if not line.endswith("]"):
        raise scan.fail(number, f"broken stanza header: {line[:60]!r}")
    scan.stanzas += 1
    if line != "[Term]":
        return None
    scan.terms.append(_Term(number))
    return scan.terms[-1]


def _bare(value: str) -> str:
    """Cut the comment and the trailing modifiers off a value that holds no text of its own."""
    # In this order, as modifiers may hold ` !` and comments `{`: `GO:1 {source="a ! b"} ! name {x}` is GO:1 either way.
    return value.partition(" !")[0].partition("{")[0].strip()


# Each reader puts one tag's value into the term, and returns what is wrong with it, None where nothing is.


def _read_id(term: _Term, value: str) -> str | None:
    term.id = _bare(value)
    return None if TERM_ID.fullmatch(term.id) else f"not a term id: {value.strip()[:60]!r}"


def _read_name(term: _Term, value: str) -> None:
    # The name is free text, in which `!` and `{` are letters like others: nothing is cut off.
    term.name = value.strip()


def _read_namespace(term: _Term, value: str) -> None:
    term.namespace = _bare(value)


def _read_alt_id(term: _Term, value: str) -> None:
    term.alt_ids.append(_bare(value))


def _read_obsolete(term: _Term, value: str) -> None:
    term.obsolete = _bare(value) == "true"


def _read_is_a(term: _Term, value: str) -> str | None:
    parent = _bare(value)
    term.parents.append((IS_A, parent))
    return None if TERM_ID.fullmatch(parent) else f"is_a without a term id: {value.strip()[:60]!r}"


def _read_relationship(term: _Term, value: str) -> str | None:
    words = _bare(value).split()
    if len(words) != 2 or not TERM_ID.fullmatch(words[1]):
        return f"relationship without a relation and a term id: {value.strip()[:60]!r}"
    term.parents.append((words[0], words[1]))
    return None


_TAGS: Mapping[str, Callable[[_Term, str], str | None]] = {
    "id": _read_id,
    "name": _read_name,
    "namespace": _read_namespace,
    "alt_id": _read_alt_id,
    "is_obsolete": _read_obsolete,
    "is_a": _read_is_a,
    "relationship": _read_relationship,
}


def _check_ids(scan: _Scan) -> None:
    first: dict[str, int] = {}
    for term in scan.terms:
        if not term.id:
            raise scan.fail(term.line, "[Term] without an id")
        if term.id in first:
            raise scan.fail(term.line, f"{term.id} stands here again; first in line {first[term.id]}")
        first[term.id] = term.line
