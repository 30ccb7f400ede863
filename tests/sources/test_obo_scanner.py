"""The OBO scanner: obonet is its oracle, and every damage is named with file and line."""

import gzip
from pathlib import Path

import pytest

from gocell_cli.domain.ontology import Ontology
from gocell_cli.errors import InvalidInput, SourceMissing
from gocell_cli.sources.obo import read_obo
from tests import toy

HAND_MADE = """format-version: 1.2
data-version: releases/2020-02-02
default-namespace: here

[Term]
id: X:1
name: one ! not a comment
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


def _write(folder: Path, text: str) -> Path:
    path = folder / "made.obo"
    path.write_bytes(text.encode())
    return path


def _edges(ontology: Ontology) -> set[tuple[str, str, str]]:
    return {
        (ontology.ids[c], ontology.ids[p], relation)
        for relation, edges in ontology.edges.items()
        for c, p in zip(edges.child.tolist(), edges.parent.tolist(), strict=True)
    }


def _agrees_with_obonet(path: Path) -> None:
    import obonet

    graph = obonet.read_obo(path)
    live = {node for node, data in graph.nodes(data=True) if "name" in data}
    ontology = read_obo(path)
    assert set(ontology.ids) == live
    assert _edges(ontology) == {(c, p, r) for c, p, r in graph.edges(keys=True) if {c, p} <= live}
    assert dict(zip(ontology.ids, ontology.names, strict=True)) == {n: graph.nodes[n]["name"] for n in live}


@pytest.mark.parametrize("name", ["go-2016-12-06.obo.gz", "go-basic-2021-12-15.obo.gz"])
def test_real_releases_agree_with_obonet(test_data: Path, name: str) -> None:
    _agrees_with_obonet(test_data / "go" / name)


def test_the_toy_agrees_with_obonet(tmp_path: Path) -> None:
    _agrees_with_obonet(toy.write_obo(tmp_path))


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_modifiers_comments_and_alternative_ids(tmp_path: Path, ending: str) -> None:
    ontology = read_obo(_write(tmp_path, HAND_MADE.replace("\n", ending)))
    assert ontology.release == "releases/2020-02-02"
    assert ontology.ids == ("X:1", "X:2", "X:3")
    assert ontology.names[0] == "one ! not a comment"
    assert ontology.namespaces == ("here", "there", "here")
    assert _edges(ontology) == {("X:2", "X:1", "is_a"), ("X:2", "X:1", "part_of"), ("X:3", "X:1", "is_a")}
    assert ontology.find("X:9") == 0
    assert ontology.dropped == {"obsolete_terms": 1, "edges_to_no_live_term": 1, "repeated_edges": 1}


def test_gzip_is_read_by_content_not_by_name(tmp_path: Path) -> None:
    path = tmp_path / "toy.obo"
    path.write_bytes(gzip.compress(toy.obo_text().encode()))
    assert len(read_obo(path)) == len(toy.TERMS)


@pytest.mark.parametrize(
    ("good", "bad", "line", "reason"),
    [
        ("[Term]\nid: X:2", "[Term\nid: X:2", 12, "broken stanza header"),
        ("xref: EC 2.7.1.190", "xref EC 2.7.1.190", 9, "not a `tag: value` line"),
        ("id: X:2 {", "idd: X:2 {", 12, "[Term] without an id"),
        ('id: X:2 {source="a"}', "id: X:1", 12, "stands here again; first in line 5"),
        ("is_a: X:9 ! by", "is_a: ! by", 23, "is_a without a term id"),
        ("relationship: part_of X:1 ! one", "relationship: part_of ! one", 17, "relationship without"),
        ("id: X:3", "id: three", 21, "not a term id"),
    ],
)
def test_damage_is_named_with_file_and_line(tmp_path: Path, good: str, bad: str, line: int, reason: str) -> None:
    assert good in HAND_MADE
    path = _write(tmp_path, HAND_MADE.replace(good, bad, 1))
    with pytest.raises(InvalidInput) as caught:
        read_obo(path)
    assert f"{path}:{line}:" in caught.value.message
    assert reason in caught.value.message


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no [Term] stanza"),
        (b"some: text\n", "no [Term] stanza"),
        (gzip.compress(toy.obo_text().encode())[:-20], "damaged gzip stream"),
        (b"format-version: 1.2\n\n[Term]\nid: X:1\nname: caf\xe9\n", ":5: not utf-8 text"),
    ],
)
def test_what_is_no_obo_file_is_refused(tmp_path: Path, data: bytes, reason: str) -> None:
    path = tmp_path / "bad.obo"
    path.write_bytes(data)
    with pytest.raises(InvalidInput) as caught:
        read_obo(path)
    assert reason in caught.value.message


def test_a_missing_file_is_a_missing_source(tmp_path: Path) -> None:
    with pytest.raises(SourceMissing, match="no such file"):
        read_obo(tmp_path / "none.obo")
