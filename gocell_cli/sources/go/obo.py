r"""OBO 1.2/1.4 -> Ontology: a tolerant line scanner for the few tags that matter here.

It reads `id name namespace alt_id is_a relationship is_obsolete replaced_by` of `[Term]` stanzas and ignores the rest,
so the odd lines of old releases (`xref: EC 2.7.1.190`, which stops fastobo and pronto) do no harm. Values are read as
OBO 1.4 says (owlcollab.github.io/oboformat/doc/obo-syntax.html, 2.2 to 2.4): a trailing `{modifier="..."}` and what
follows an unescaped `!` are no part of them, `\!` is `!`, and a backslash at the end of a line joins it with the next.
Two `[Term]` stanzas of one id are one term, with the clauses of both; a name or a namespace may not differ then.
The release is `data-version`, else `date`. Obsolete terms are no terms; what replaces each is kept beside them.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gocell_cli.domain.ontology import IS_A, Ontology, make_ontology
from gocell_cli.errors import InvalidInput
from gocell_cli.sources.hierarchies.by_name import WORD, ByName, require_names
from gocell_cli.sources.text_file import decode, lines_of, read_bytes

TERM_ID = re.compile(r"\S+:\S+")
# One word: a line that begins with a list of references, `[GOC:x, PMID:1]`, opens nothing.
STANZA = re.compile(r"\[\s*([\w-]+)\s*\]")
STANZAS = ("term", "typedef", "instance", "annotation")
# Up to the first `!` or `{` that no backslash escapes.
UNESCAPED = re.compile(r"(?:[^\\!{]|\\.)*")
# A text may hold braces: only what looks like modifiers, at its end, is none of it.
TEXT = re.compile(r"((?:[^\\!]|\\.)*?)\s*(?:\{\s*[\w:-]+\s*=[^{}]*\}\s*)?(?:!.*)?$")
ESCAPE = re.compile(r"\\(.)")
BLANKS = {"n": " ", "t": " ", "W": " "}
"""Escapes of blanks: a name is one line here, so that its line end is a blank as well."""
CONTINUED = re.compile(r"\\\r?\n")
# An odd number of backslashes: of two, the second is the letter that the first escapes.
CONTINUES = re.compile(r"(?<!\\)(?:\\\\)*\\$")


@dataclass(slots=True)
class _Term:
    line: int
    id: str = ""
    name: str = ""
    namespace: str = ""
    alt_ids: list[str] = field(default_factory=list)
    parents: list[tuple[str, str]] = field(default_factory=list)
    obsolete: bool = False
    replaced_by: list[str] = field(default_factory=list)


@dataclass
class _Scan:
    path: Path
    header: dict[str, str] = field(default_factory=dict)
    terms: list[_Term] = field(default_factory=list)
    # None in the header and in [Typedef] and [Instance] stanzas, whose id, name and is_a lines are of no term.
    term: _Term | None = None
    # The id of such a stanza.
    other_id: str = ""
    stanzas: int = 0
    # What a reader of the counts should know of: stanzas joined or of no known name, tags that are none.
    odd: Counter[str] = field(default_factory=Counter)

    def fail(self, line: int, reason: str) -> InvalidInput:
        return InvalidInput.at(self.path, line, reason, hint="download the ontology again, or mend the line")


def read_obo(path: Path) -> Ontology:
    """Read an OBO file, of any packing and encoding that `read_bytes` knows.

    Raises InvalidInput, with the line, for a broken stanza header, a line that is no tag, a term without an id, an id
    outside any stanza or a second one in it (a stanza header is lost),
    two terms of one id whose names differ, an is_a or relationship line without a target, and a file that ends
    within a line.
    """
    text = decode(read_bytes(path), path)
    _refuse_other_formats(text, path)
    scan = _scan(text, path)
    terms = _joined(scan)
    live = [t for t in terms if not t.obsolete]
    default = scan.header.get("default-namespace", "")
    primary = {t.id for t in live}  # an id that a live term has is nobody else's, whatever alt_id lines claim
    # Backwards, so that of two terms that claim an id the first in the file has it.
    alt_ids = {a: t.id for t in reversed(live) for a in t.alt_ids if a not in primary}
    replaced = _replaced(terms, primary | alt_ids.keys())
    return make_ontology(
        source=str(path),
        release=scan.header.get("data-version") or scan.header.get("date") or "unknown",
        terms=[(t.id, t.name or t.id, t.namespace or default) for t in live],
        alt_ids=alt_ids,
        edges=((t.id, parent, relation) for t in live for relation, parent in t.parents),
        dropped={"obsolete_terms": len(terms) - len(live), **scan.odd},
        obsolete=frozenset(replaced),
        replaced={old: new for old, new in replaced.items() if new},
    )


def _replaced(terms: list[_Term], live: set[str]) -> dict[str, tuple[str, ...]]:
    """What replaces each obsolete term, by its id and by its alternative ids; nothing of an id that is live."""
    return {
        old: tuple(dict.fromkeys(term.replaced_by))
        for term in terms
        if term.obsolete
        for old in (term.id, *term.alt_ids)
        if old not in live
    }


def _refuse_other_formats(text: str, path: Path) -> None:
    head = text[:200].lstrip().lower()
    if not head.startswith(("<", "{")):
        return
    kind = "JSON" if head.startswith("{") else "a web page" if "<html" in head or "<!doctype html" in head else "XML"
    raise InvalidInput.at(path, 1, f"{kind}, not an OBO file", hint="download the .obo file of this ontology")


def _scan(text: str, path: Path) -> _Scan:
    scan = _Scan(path)
    for number, line in _lines(text, scan):
        tag, colon, value = line.partition(":")
        reader = _TAGS.get(tag)
        if reader is None:
            if tag in _UNREAD:
                continue
            reader = _odd_line(scan, number, line, colon)
        if reader is None:
            continue
        fault = reader(scan.term, value) if scan.term is not None else _elsewhere(scan, reader, value)
        if fault:
            raise scan.fail(number, fault)
    if not scan.terms:
        raise InvalidInput.at(path, None, "no [Term] stanza: not an OBO file, or an empty one")
    return scan


def _elsewhere(scan: _Scan, reader: "_Reader", value: str) -> str | None:
    """Say what is wrong with a term's tag that stands in no [Term]: an id where none belongs is a term that is lost."""
    if reader is not _read_id:
        return None
    found, first = _bare(value), scan.other_id
    scan.other_id = first or found
    if scan.stanzas == 0:
        return f"an id before the first stanza: {value.strip()[:60]!r}; is its [Term] line lost?"
    return f"a second id in one stanza: {value.strip()[:60]!r} after {first}" if first and first != found else None


def _odd_line(scan: _Scan, number: int, line: str, colon: str) -> "_Reader | None":
    """Take a line that begins with no tag as it is usually spelled; return the reader of its tag, if it has one."""
    bare = line.strip()
    if not bare or bare.startswith("!"):
        return None
    if bare.startswith("["):
        _open_stanza(scan, number, bare)
        return None
    if not colon:
        raise scan.fail(number, f"not a `tag: value` line: {line[:60]!r}")
    tag, _, value = bare.partition(":")
    tag = tag.strip().lower()
    # The header ends at the first stanza; of a tag that stands in it twice the first value counts.
    if scan.stanzas == 0:
        scan.header.setdefault(tag, value.strip())
    elif scan.term is not None and tag not in _TAGS and tag not in _UNREAD:
        scan.odd["unknown_tags"] += 1
    return _TAGS.get(tag)


def _open_stanza(scan: _Scan, number: int, line: str) -> None:
    header = STANZA.fullmatch(_bare(line))
    if header is None:
        raise scan.fail(number, f"broken stanza header: {line[:60]!r}")
    scan.stanzas += 1
    scan.term, scan.other_id = None, ""
    name = header[1].lower()
    if name == "term":
        scan.term = _Term(number)
        scan.terms.append(scan.term)
    elif name not in STANZAS:
        scan.odd["unknown_stanzas"] += 1


def _lines(text: str, scan: _Scan) -> Iterator[tuple[int, str]]:
    """Yield the lines with their numbers, those that a backslash joins as one."""
    lines = lines_of(text)
    _refuse_cut_line(text, scan)
    return _continued(lines, scan) if CONTINUED.search(text) else lines


def _continued(lines: Iterator[tuple[int, str]], scan: _Scan) -> Iterator[tuple[int, str]]:
    for number, line in lines:
        whole, end = line, line.rstrip("\r")
        # Not in a comment, where the format has no escapes.
        while CONTINUES.search(end) and not (whole.startswith("!") or _in_comment(whole)):
            at, more = next(lines, (number, ""))
            if not more.strip() or more.lstrip().startswith("[") or more.partition(":")[0].strip() in _TAGS:
                # Joined, this line would be lost: that is a stray backslash far more often than a text that goes on.
                raise scan.fail(
                    at, f"the backslash that ends the line before would take this one in: {more.strip()[:40]!r}"
                )
            whole, end = end[:-1] + more, more.rstrip("\r")
        yield number, whole


def _in_comment(line: str) -> bool:
    """Whether a line holds a `!` outside quotes, which begins a comment up to its end."""
    # Quotes may go on in the next line.
    return "!" in re.sub(r'"(?:[^"\\]|\\.)*"?|\\.', "", line)


def _refuse_cut_line(text: str, scan: _Scan) -> None:
    """Raise InvalidInput where the last line, without a line end, shows that the file was cut within it."""
    last = text[text.rfind("\n") + 1 :]
    tag, _, value = last.partition(":")
    quotes = len(re.findall(r'(?<!\\)"', last))
    opened = tag in ("def", "synonym") and quotes % 2 == 1
    known = re.search(r"^id: *(\S+)", text, re.MULTILINE)
    # An id that is shorter than the others of its prefix: `GO:00081` where they are like `GO:0008150`.
    words = _bare(value).split() if tag in ("id", "is_a", "relationship", "alt_id") else []
    short = bool(
        known
        and words
        and words[-1].partition(":")[0] == known[1].partition(":")[0]
        and len(words[-1]) < len(known[1])
        and re.fullmatch(r"\w+:0\d*", known[1])
    )
    if opened or short:
        line = text.count("\n") + 1
        raise scan.fail(line, f"the file ends within this line, so it is a part of an ontology: {last[-60:]!r}")


def _bare(value: str) -> str:
    """Cut the comment and the trailing modifiers off a value that holds no text of its own."""
    if "\\" in value:
        return _unescaped(UNESCAPED.match(value)[0]).strip()  # type: ignore[index]  # it matches even nothing
    # In this order, as modifiers may hold `!` and comments `{`: `GO:1 {source="a ! b"} ! name {x}` is GO:1 either way.
    return value.partition("!")[0].partition("{")[0].strip()


def _text(value: str) -> str:
    """Cut the comment and the trailing modifiers off a text, in which braces may stand, and take its escapes away."""
    if "\\" not in value and "!" not in value and "{" not in value:
        return value.strip()
    found = TEXT.match(value.strip())
    return _unescaped(found[1] if found else value).strip()


def _unescaped(value: str) -> str:
    return ESCAPE.sub(lambda found: BLANKS.get(found[1], found[1]), value)


# Each reader puts one tag's value into the term, and returns what is wrong with it, None where nothing is.
_Reader = Callable[[_Term, str], str | None]


def _read_id(term: _Term, value: str) -> str | None:
    found = _bare(value)
    if term.id and term.id != found:
        return f"a second id in one [Term]: {value.strip()[:60]!r} after {term.id}"
    term.id = found
    return None if TERM_ID.fullmatch(found) else f"not a term id: {value.strip()[:60]!r}"


def _read_name(term: _Term, value: str) -> str | None:
    found, first = _text(value), term.name
    term.name = first or found
    return f"a second name in one [Term]: {found[:60]!r} after {first[:60]!r}" if first and first != found else None


def _read_namespace(term: _Term, value: str) -> str | None:
    found, first = _bare(value), term.namespace
    term.namespace = first or found
    return f"a second namespace in one [Term]: {found[:60]!r} after {first!r}" if first and first != found else None


def _read_alt_id(term: _Term, value: str) -> None:
    term.alt_ids.append(_bare(value))


def _read_replaced_by(term: _Term, value: str) -> None:
    # A curator's advice, read for whoever follows it: what is no id is nothing to follow.
    if TERM_ID.fullmatch(found := _bare(value)):
        term.replaced_by.append(found)


def _read_obsolete(term: _Term, value: str) -> str | None:
    said = _bare(value).lower()
    term.obsolete = said == "true"
    return None if said in ("true", "false") else f"is_obsolete is neither true nor false: {value.strip()[:60]!r}"


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


_TAGS: Mapping[str, _Reader] = {
    "id": _read_id,
    "name": _read_name,
    "namespace": _read_namespace,
    "alt_id": _read_alt_id,
    "is_obsolete": _read_obsolete,
    "replaced_by": _read_replaced_by,
    "is_a": _read_is_a,
    "relationship": _read_relationship,
}
_UNREAD = frozenset(
    (
        *("def", "comment", "subset", "synonym", "xref", "property_value", "created_by", "creation_date"),
        *("intersection_of", "union_of", "disjoint_from", "equivalent_to", "consider", "builtin", "is_anonymous"),
        # Of OBO 1.0 and 1.2.
        *("exact_synonym", "broad_synonym", "narrow_synonym", "related_synonym", "xref_analog", "xref_unk", "use_term"),
    )
)
"""Tags of a term that are known and not read. Another is counted: it may be one of those read, misspelled."""


def _joined(scan: _Scan) -> list[_Term]:
    """Return the terms, one an id; raises InvalidInput for a stanza without an id or with another name."""
    terms: dict[str, _Term] = {}
    for term in scan.terms:
        if not term.id:
            raise scan.fail(term.line, "[Term] without an id")
        first = terms.setdefault(term.id, term)
        if first is not term:
            scan.odd["joined_stanzas"] += 1
            _join(first, term, scan)
    return list(terms.values())


def _join(first: _Term, other: _Term, scan: _Scan) -> None:
    for what in ("name", "namespace"):
        ours, theirs = getattr(first, what), getattr(other, what)
        if ours and theirs and ours != theirs:
            reason = f"{first.id} stands here again with another {what}, {theirs[:40]!r}; first in line {first.line}"
            raise scan.fail(other.line, reason)
        setattr(first, what, ours or theirs)
    first.alt_ids += other.alt_ids
    first.parents += other.parents
    first.replaced_by += other.replaced_by
    first.obsolete |= other.obsolete


def obo_lines(named: ByName) -> Iterator[str]:
    """Yield an OBO 1.2 document of a hierarchy: its terms, and is_a for each of its edges, whatever relation made it.

    OBO has no genes: `association_lines` tells them. Raises InvalidInput for a term whose id has a blank in it.
    """
    hint = "choose --hierarchy cx2"
    require_names(named.ids, WORD, "the term", "OBO", hint)
    hierarchy = named.hierarchy
    name_of = dict(zip(named.ids, hierarchy.term_names, strict=True))
    yield "format-version: 1.2"
    yield "ontology: gocell"
    yield "remark: a hierarchy written by gocell; is_a stands for every edge, contracted ones too"
    for term, namespace, parents in zip(named.ids, hierarchy.term_namespaces, named.parents, strict=True):
        yield "\n[Term]"
        yield f"id: {_escaped(term)}"
        yield f"name: {_escaped(name_of[term] or term)}"
        if namespace:
            yield f"namespace: {_escaped(namespace)}"
        yield from (f"is_a: {_escaped(parent)} ! {_escaped(name_of[parent] or parent)}" for parent in parents)


def _escaped(text: str) -> str:
    r"""Text as OBO 1.4 holds it (2.4): what would begin a comment, a modifier or a new line, escaped."""
    return re.sub(r"[\\!{}]", lambda found: "\\" + found[0], text).replace("\n", "\\n").replace("\r", "\\n")


def association_lines(named: ByName) -> Iterator[str]:
    """Yield the lines of GOATOOLS' associations (id2gos): a gene, a tab, its terms joined by `;`.

    Raises InvalidInput for a gene with a blank, or a term with a `;` in it.
    """
    hint = "choose another --gene-id, or --hierarchy cx2"
    require_names(named.used, WORD, "the gene", "GOATOOLS association", hint)
    require_names(named.ids, re.compile(r"[^\s;]+"), "the term", "GOATOOLS association", hint)
    terms_of: dict[str, list[str]] = {}
    for term, genes in zip(named.ids, named.direct, strict=True):
        for gene in genes:
            terms_of.setdefault(gene, []).append(term)
    yield from (f"{gene}\t{';'.join(terms)}" for gene, terms in sorted(terms_of.items()))
