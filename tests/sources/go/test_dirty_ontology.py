"""Dirty OBO, GAF and hierarchy files, through the real command line: counted and built, or one error by file and line.

Every case damages one whole file of the toy; `build-cache` then either makes a cache whose manifest counts what
was left out, or leaves with exit code 4 and writes nothing.
"""

import bz2
import codecs
import gzip
import json
import lzma
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gocell_cli.errors import InvalidInput
from tests import toy
from tests.commands.runners import invoke
from tests.packed_files import zip_of
from tests.sources.hierarchies.test_ready import DDOT, TOPOLOGY

Damage = Callable[[str], str | bytes]
OBO, GAF = toy.obo_text(), toy.gaf_text()
WHOLE = {"obo": OBO, "gaf": GAF, "ddot": DDOT, "topology": TOPOLOGY}
ROW = GAF.splitlines()[1]


@dataclass(frozen=True)
class Counted:
    """The cache is built: what its manifest counts as dropped, and how many terms and rows it holds."""

    ontology: dict[str, int]
    annotations: dict[str, int]
    terms: int = 7
    rows: int = 7


@dataclass(frozen=True)
class Refused:
    """The command fails: line of the file (None: the file as a whole), and a part of the message."""

    line: int | None
    reason: str


@dataclass(frozen=True)
class Case:
    name: str
    file: str
    damage: Damage
    outcome: Counted | Refused


def clean(**changes: Any) -> Counted:
    return Counted(**{"ontology": {}, "annotations": {}, **changes})


def append(text: str) -> Damage:
    return lambda whole: whole + text


def swap(old: str, new: str) -> Damage:
    def damage(whole: str) -> str:
        assert old in whole
        return whole.replace(old, new, 1)

    return damage


def constant(data: str | bytes) -> Damage:
    return lambda _: data


def crlf(whole: str) -> str:
    return whole.replace("\n", "\r\n")


def bom(whole: str) -> str:
    return "\ufeff" + whole


def packed(whole: str) -> bytes:
    return gzip.compress(whole.encode())


def in_members(whole: str) -> bytes:
    return gzip.compress(whole[:100].encode()) + gzip.compress(whole[100:].encode())


def bzip2(whole: str) -> bytes:
    return bz2.compress(whole.encode())


def xz(whole: str) -> bytes:
    return lzma.compress(whole.encode())


def zipped(whole: str) -> bytes:
    return zip_of({"only.txt": whole.encode()})


def cr_only(whole: str) -> str:
    return whole.replace("\n", "\r")


def utf16_le(whole: str) -> bytes:
    return codecs.BOM_UTF16_LE + whole.encode("utf-16-le")


def utf16_be_crlf(whole: str) -> bytes:
    return codecs.BOM_UTF16_BE + crlf(whole).encode("utf-16-be")


def cut_gzip(whole: str) -> bytes:
    return packed(whole)[:-20]


def no_last_newline(whole: str) -> str:
    return whole.rstrip("\n")


def cut_last_tag(whole: str) -> str:
    return whole[: whole.rindex("TERMS:")]


def latin1(old: str, new: str) -> Damage:
    return lambda whole: swap(old, new)(whole).encode("latin-1")  # type: ignore[union-attr]


def cells(**changes: str) -> str:
    """The first row of the GAF with some cells changed, by column number `c4`, on a line of its own."""
    fields = ROW.split("\t")
    for column, value in changes.items():
        fields[int(column[1:]) - 1] = value
    return "\t".join(fields) + "\n"


EVERYWHERE = [
    Case(f"{file}-{damage.__name__}", file, damage, clean(terms=7 if file in ("obo", "gaf") else 6))
    for file in WHOLE
    for damage in (
        *(crlf, bom, packed, no_last_newline),
        *(in_members, bzip2, xz, zipped, cr_only, utf16_le, utf16_be_crlf),
    )
]
BROKEN_FILES = [
    Case(f"{file}-{name}", file, damage, Refused(None, reason))
    for file, empty in (
        ("obo", "no [Term] stanza"),
        ("gaf", "no annotation row"),
        ("ddot", "no gene in it"),
        ("topology", "no gene in it"),
    )
    for name, damage, reason in (
        ("truncated-gzip", cut_gzip, "damaged gzip stream"),
        ("empty", constant(b""), "the file is empty"),
        ("blank", constant("\n \n\r\n"), empty),
    )
]
OBO_CASES = [
    Case("header-only", "obo", constant("format-version: 1.2\ndata-version: x\n"), Refused(None, "no [Term] stanza")),
    Case("latin-1", "obo", latin1("name: right", "name: r\u00edght"), Refused(16, "not utf-8 text")),
    Case("joined", "obo", append("\n[Term]\nid: GO:0000002\n"), clean(ontology={"joined_stanzas": 1})),
    Case(
        "other-name", "obo", append("\n[Term]\nid: GO:0000002\nname: x\n"), Refused(37, "with another name, 'x'; first")
    ),
    Case("unknown-tag", "obo", append("isa: GO:0000002\n"), clean(ontology={"unknown_tags": 1})),
    Case("no-id", "obo", append("\n[Term]\nname: nobody\n"), Refused(37, "[Term] without an id")),
    Case("broken-id", "obo", swap("id: GO:0000004", "id: GO 4"), Refused(20, "not a term id")),
    Case("broken-stanza", "obo", swap("[Term]", "[Term"), Refused(5, "broken stanza header")),
    Case("no-tag", "obo", swap("name: deep", "deep"), Refused(27, "not a `tag: value` line")),
    Case("is_a-nobody", "obo", append("is_a: ! nothing\n"), Refused(36, "is_a without a term id")),
    Case("relation-nobody", "obo", append("relationship: part_of\n"), Refused(36, "relationship without")),
    Case("no-data-version", "obo", swap("data-version: toy/2020-01-01\n", ""), clean()),
    Case("no-name", "obo", swap("name: deep\n", ""), clean()),
    Case("missing-parent", "obo", append("is_a: GO:0000099\n"), clean(ontology={"edges_to_no_live_term": 1})),
    Case("edge-twice", "obo", append("is_a: GO:0000004 ! again\n"), clean(ontology={"repeated_edges": 1})),
    Case("two-roots", "obo", append("\n[Term]\nid: GO:0000010\n"), clean(terms=7)),
    Case("unknown-relation", "obo", append("relationship: made_up GO:0000001 {x=y}\n"), clean()),
    Case("typedef", "obo", append("\n[Typedef]\nid: GO:0000002\nname: no term\n"), clean()),
    Case("namespace-root", "obo", append("\n[Term]\nid: GO:ROOT\n"), Refused(None, "a term is called GO:ROOT")),
    Case(
        "obsolete",
        "obo",
        append("is_obsolete: true\nreplaced_by: GO:0000005\n"),
        clean(ontology={"obsolete_terms": 1}, terms=6, rows=6),  # d and e are deep's, which replaces leaf
    ),
]
GAF_CASES = [
    Case("header-only", "gaf", constant("!gaf-version: 2.2\n!\n"), Refused(None, "no annotation row")),
    Case("few-columns", "gaf", append("SGD\tS1\tTFC3\n"), Refused(9, "3 tab-separated columns where GAF 2.x has 17")),
    Case("many-columns", "gaf", append(ROW + "\t\t\n"), Refused(9, "19 tab-separated columns")),
    Case("commas", "gaf", lambda whole: whole.replace("\t", ","), Refused(2, "1 tab-separated columns")),
    Case("latin-1", "gaf", latin1("\tname\t", "\tn\u00e1me\t"), Refused(2, "not utf-8 text")),
    Case("no-date", "gaf", append(cells(c14="")), clean()),
    Case("bad-date", "gaf", append(cells(c14="January")), Refused(9, "column 14 is no date YYYYMMDD: 'January'")),
    Case("thirteenth-month", "gaf", append(cells(c14="20161301")), Refused(9, "column 14 is no date")),
    Case("not", "gaf", append(cells(c4="NOT|involved_in")), clean(annotations={"negated": 1})),
    Case("evidence", "gaf", append(cells(c7="XYZ")), clean(annotations={"unknown_evidence_code": 1})),
    Case("no-evidence", "gaf", append(cells(c7="")), clean(annotations={"unknown_evidence_code": 1})),
    Case("igi", "gaf", append(cells(c7="IGI", c5="GO:0000003")), clean(annotations={"evidence_IGI": 1})),
    Case("unknown-term", "gaf", append(cells(c5="GO:0000077")), clean(annotations={"unknown_term": 1})),
    Case("no-term", "gaf", append(cells(c5="")), clean(annotations={"unknown_term": 1})),
    Case("unknown-gene", "gaf", append(cells(c2="S99", c3="X", c11="X1")), clean(annotations={"unknown_gene": 1})),
    Case("no-gene", "gaf", append(cells(c2="S99", c3="", c11="")), clean(annotations={"unknown_gene": 1})),
    Case("row-twice", "gaf", append(ROW + "\n"), clean()),
    Case("fifteen-columns", "gaf", append(ROW.rsplit("\t", 2)[0] + "\n"), clean()),
    Case(
        "another-organism",
        "gaf",
        append(cells(c2="S99", c3="TP53", c11="P53", c13="taxon:9606")),
        clean(annotations={"unknown_gene": 1}),
    ),
]
SIZE = {"sizes_that_differ": 1}
LAST = len(DDOT.splitlines()) + 1
HIERARCHY_CASES = [
    Case("two-columns", "ddot", append("A\tB\n"), Refused(LAST, "not the three columns")),
    Case("five-columns", "ddot", append("A\tB\tgene\t1\t2\n"), Refused(LAST, "not the three columns")),
    Case("type", "ddot", append("A\tB\tis_a\n"), Refused(LAST, "neither default nor gene: 'is_a'")),
    Case("latin-1", "ddot", latin1("YAL007C", "YAL007\u00e7"), Refused(15, "not utf-8 text")),
    Case("self-edge", "ddot", append("A\tA\tdefault\n"), Refused(LAST, "A is its own parent")),
    Case(
        "cycle",
        "ddot",
        append("GO:0000006\tGO:0000004\tdefault\n"),
        Refused(LAST, "the ontology has a cycle of 3 terms"),
    ),
    Case("gene-is-term", "ddot", append("GO:0000001\tGO:0000002\tgene\n"), Refused(LAST, "stands here as a gene")),
    Case("edge-twice", "ddot", append(DDOT.splitlines()[0]), clean(ontology={"repeated_edges": 1}, terms=6)),
    Case("gene-twice", "ddot", append(DDOT.splitlines()[-1]), clean(annotations={"repeated_gene": 1}, terms=6)),
    Case("unknown-gene", "ddot", append("GO:0000006\tX\tgene"), clean(annotations={"unknown_gene": 1}, terms=6)),
    Case("two-roots", "ddot", append("A\tYAL001C\tgene"), clean(terms=8, rows=8)),
    Case("empty-term", "ddot", append("GO:0000006\tEMPTY\tdefault"), clean(terms=6)),
    Case("no-genes", "ddot", lambda whole: whole.replace("\tgene", "\tdefault"), Refused(None, "no gene in it")),
    Case("neither", "ddot", constant("<html><body>404</body></html>\n"), Refused(1, "not the three columns")),
    Case("unknown-tag", "topology", swap("GENES:", "GENE:"), Refused(2, "not one of ROOT:, GENES:, TERMS:")),
    Case("cut", "topology", cut_last_tag, Refused(16, "GO:0000006 has no TERMS: line")),
    Case("term-twice", "topology", append("ROOT: GO:0000002 1\nGENES:\nTERMS:\n"), Refused(19, "first in line 4")),
    Case("child-missing", "topology", swap("TERMS: ", "TERMS: GO:0000042 "), Refused(3, "no ROOT: line describes")),
    Case(
        "cycle",
        "topology",
        lambda whole: whole[:-1] + " GO:0000004",
        Refused(18, "the ontology has a cycle of 3 terms"),
    ),
    Case("no-number", "topology", swap("GO:0000002 4", "GO:0000002 four"), Refused(4, "ROOT: needs a term")),
    Case("wrong-number", "topology", swap("GO:0000002 4", "GO:0000002 9"), clean(ontology=SIZE, terms=6)),
    Case("latin-1", "topology", latin1("YAL007C", "YAL007\u00e7"), Refused(17, "not utf-8 text")),
    Case(
        "unknown-gene",
        "topology",
        swap("YAL007C", "YAL007C X"),  # the leaf's, so every term holds it
        clean(annotations={"unknown_gene": 1}, ontology={"sizes_that_differ": 6}, terms=6),
    ),
]
CASES = [*EVERYWHERE, *BROKEN_FILES, *OBO_CASES, *GAF_CASES, *HIERARCHY_CASES]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.file}-{case.name}")
def test_damage_is_counted_or_named(tmp_path: Path, case: Case) -> None:
    damaged = case.damage(WHOLE[case.file])
    path = tmp_path / f"damaged.{case.file}"
    path.write_bytes(damaged if isinstance(damaged, bytes) else damaged.encode())
    result = invoke("build-cache", *words(tmp_path, case.file, path), "--root", tmp_path / "root", "--json")
    if isinstance(case.outcome, Counted):
        assert result.exit_code == 0, result.exception
        assert counted(json.loads(result.stdout)) == case.outcome
        return
    assert isinstance(result.exception, InvalidInput), (result.output, result.exception)
    assert (result.stdout, result.exception.exit_code) == ("", 4)
    where = f"{path}:{case.outcome.line}: " if case.outcome.line is not None else f"{path}: "
    assert result.exception.message.startswith(where)
    assert case.outcome.reason in result.exception.message
    assert not (tmp_path / "root").exists()


def words(folder: Path, file: str, path: Path) -> list[object]:
    if file not in ("obo", "gaf"):
        return ["--hierarchy", path]
    files = {"obo": toy.write_obo(folder), "gaf": toy.write_gaf(folder), file: path}
    return ["--obo", files["obo"], "--gaf", files["gaf"], "--min-genes", 1, "--redundant", "keep"]


def counted(summary: dict[str, Any]) -> Counted:
    """What the manifest counts, the usual nothings left out."""
    counts = json.loads((Path(summary["cache"]) / "manifest.json").read_text("utf-8"))["counts"]
    assert counts["annotations"]["rows_read"] >= summary["rows"] + sum(counts["annotations"]["dropped"].values())
    return Counted(
        ontology={reason: n for reason, n in counts["ontology"]["dropped"].items() if n},
        annotations=counts["annotations"]["dropped"],
        terms=summary["terms"],
        rows=summary["rows"],
    )
