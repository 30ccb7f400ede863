"""Annotations: which rows become (term, gene) pairs, and under which reason the others are counted."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gocell_cli.domain.annotation_check import annotation_notes, date_warnings, require_joined, term_warnings
from gocell_cli.domain.annotations import AnnotationRows, Annotations, LateRows, resolve_annotations
from gocell_cli.domain.genes import GeneList
from gocell_cli.domain.ontology import Ontology, make_ontology
from gocell_cli.errors import InvalidInput
from tests import toy

Row = tuple[tuple[str, ...], str, str, str, int]


@pytest.fixture
def ontology() -> Ontology:
    return make_ontology(
        source="two terms",
        release="none",
        terms=[("GO:0000001", "one", "n"), ("GO:0000002", "two", "n")],
        alt_ids={"GO:0000009": "GO:0000002"},
        edges=[],
        dropped={},
    )


def _resolve(ontology: Ontology, rows: list[Row], **options: object) -> Annotations:
    names = tuple(dict.fromkeys(row[0] for row in rows))
    table = AnnotationRows(
        source="rows",
        names=names,
        object_of_row=np.array([names.index(row[0]) for row in rows], dtype=np.int32),
        term=tuple(row[1] for row in rows),
        qualifier=tuple(row[2] for row in rows),
        evidence=tuple(row[3] for row in rows),
        date=np.array([row[4] for row in rows], dtype=np.int32),
    )
    options.setdefault("exclude_evidence", ("IGI", "HGI"))
    return resolve_annotations(table, ontology, toy.gene_table(), **options)  # type: ignore[arg-type]


GENE = ("TFC3", "YAL001C")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ((GENE, "GO:0000001", "NOT", "IDA", 20160101), "negated"),
        ((GENE, "GO:0000001", "NOT|contributes_to", "IDA", 20160101), "negated"),
        ((("TY1", "TY1B"), "GO:0000001", "", "IDA", 20160101), "unknown_gene"),
        ((GENE, "GO:0000007", "", "IDA", 20160101), "unknown_term"),
        ((GENE, "GO:0000001", "", "IGI", 20160101), "evidence_IGI"),
        ((GENE, "GO:0000001", "", "HGI", 20160101), "evidence_HGI"),
        ((GENE, "GO:0000001", "", "IDA", 20170102), "newer_than_20170101"),
    ],
)
def test_every_dropped_row_is_counted_under_its_reason(ontology: Ontology, row: Row, reason: str) -> None:
    found = _resolve(ontology, [row], until=20170101)
    assert found.direct == frozenset()
    assert found.dropped_rows == {reason: 1}


def test_a_pair_is_dropped_only_if_all_its_rows_are(ontology: Ontology) -> None:
    igi, ida = (GENE, "GO:0000001", "", "IGI", 0), (GENE, "GO:0000001", "", "IDA", 0)
    assert _resolve(ontology, [igi, ida]).direct == {(0, 0)}
    only = _resolve(ontology, [igi, igi])
    assert (only.direct, only.asserted) == (frozenset(), {(0, 0)})


def test_alternative_ids_mean_their_primary_term(ontology: Ontology) -> None:
    assert _resolve(ontology, [(GENE, "GO:0000009", "", "IDA", 0)]).direct == {(1, 0)}


def test_a_slash_stands_for_several_genes(ontology: Ontology) -> None:
    row = (("X", "YAL001C/YAL003W"), "GO:0000001", "", "IDA", 0)
    assert _resolve(ontology, [row]).direct == {(0, 0), (0, 2)}


def test_rows_newer_than_the_data_set_are_counted_and_kept(ontology: Ontology) -> None:
    rows = [(GENE, "GO:0000001", "", "IDA", date) for date in (20160101, 20190101)]
    found = _resolve(ontology, rows, published=20180420)
    assert (found.late.learned, found.newest_date, len(found.direct)) == ({"IDA": 1}, 20190101, 1)
    cut = _resolve(ontology, rows, published=20180420, until=20180420)
    assert (cut.late.learned, cut.dropped_rows) == ({}, {"newer_than_20180420": 1})  # its own advice was followed
    assert _resolve(ontology, rows, published=20180420, exclude_evidence=("IDA",)).late.learned == {}


def test_dates_of_an_export_are_told_from_dates_of_learning(ontology: Ontology) -> None:
    electronic = [(GENE, "GO:0000001", "", "IEA", 20190101)] * 150 + [(GENE, "GO:0000001", "", "IEA", 20150101)] * 50
    curated = [(GENE, "GO:0000001", "", "IMP", 20190101)] * 40 + [(GENE, "GO:0000001", "", "IDA", 20180601)] * 200
    found = _resolve(ontology, [*electronic, *curated], published=20180420)
    # the IDA rows are many and of one day as well, but of no day of the export
    assert found.late == LateRows({"IDA": 200, "IMP": 40}, {("IEA", 20190101): 150})
    assert annotation_notes(found)[0].startswith(
        "150 IEA rows of 20190101 are newer than the data by the date of their"
    )
    (told,) = date_warnings(found, "a screen", 20180420)
    assert "240 of 440 annotation rows (IDA 200, IMP 40; newest 20190101) are newer than a screen (20180420)" in told
    assert "--until 20180420 leaves them out, and with them 150 IEA rows of 20190101" in told
    only = _resolve(ontology, electronic, published=20180420)
    assert date_warnings(only, "a screen", 20180420) == ()
    assert len(annotation_notes(only)) == 1


def renamed() -> Ontology:
    terms = [("GO:0000001", "one", "n"), ("GO:0000002", "two", "n")]
    replaced = {
        "GO:0000003": ("GO:0000001",),
        "GO:0000004": ("GO:0000001", "GO:0000002"),
        "GO:0000005": ("GO:0000099",),
    }
    return make_ontology(
        source="made",
        release="",
        terms=terms,
        alt_ids={"GO:0000009": "GO:0000002"},
        edges=[],
        dropped={},
        obsolete=frozenset({*replaced, "GO:0000006", "GO:0000007"}),
        replaced={**replaced, "GO:0000007": ("GO:0000009",)},
    )


def test_each_way_to_lose_or_find_a_term_is_counted() -> None:
    numbers = (1, 9, 3, 7, 4, 5, 6, 8, 8)
    found = _resolve(renamed(), [(GENE, f"GO:{i:07d}", "", "IDA", 0) for i in numbers])
    assert found.direct == {(0, 0), (1, 0)}
    assert found.renamed == {"merged": 1, "replaced": 2}  # 3 by 1; 7 by 9, which is 2's
    assert found.dropped_rows == {
        "obsolete_term": 3,
        "unknown_term": 2,
    }  # 4 has two heirs, 5 one that is none, 6 no one
    assert found.lost_terms == (
        ("GO:0000008", "unknown_term", 2),
        ("GO:0000004", "obsolete_term", 1),
        ("GO:0000005", "obsolete_term", 1),
        ("GO:0000006", "obsolete_term", 1),
    )
    (told,) = term_warnings(renamed(), found, "rows")
    assert "rows: 5 of 9 rows are of no live term of made: 3 of 3 obsolete terms, 2 of 1 absent terms" in told
    assert "GO:0000008 (2, absent)" in told
    assert "1 rows of merged terms and 2 of replaced ones were found" in told


@given(st.lists(st.integers(1, 9), min_size=1, max_size=40))
def test_every_row_is_used_or_has_a_reason(numbers: list[int]) -> None:
    found = _resolve(renamed(), [(GENE, f"GO:{i:07d}", "", "IDA", 0) for i in numbers])
    live = sum(i in (1, 2) for i in numbers)
    assert live + sum(found.renamed.values()) == found.rows_with_term
    assert found.rows_with_term + sum(found.dropped_rows.values()) == found.rows_read == len(numbers)
    assert sum(n for _, _, n in found.lost_terms) == sum(found.dropped_rows.values())


def test_annotations_to_another_ontology_are_an_error() -> None:
    rows = [(GENE, "GO:0000001", "", "IDA", 0), *((GENE, f"HP:{i}", "", "IDA", 0) for i in range(30))]
    found = _resolve(renamed(), rows)
    with pytest.raises(InvalidInput, match="rows: 30 of 31 rows are of no live term of made: 30 of 30 absent terms"):
        require_joined(renamed(), found, "rows")
    require_joined(renamed(), _resolve(renamed(), rows[:15]), "rows")  # a slim may leave so much out


def test_kept_and_dropped_rows_add_up_on_the_toy(tmp_path: Path) -> None:
    found = resolve_annotations(
        toy.annotations(tmp_path), toy.ontology(tmp_path), toy.gene_table(), exclude_evidence=()
    )
    assert found.rows_read == len(found.direct) == sum(len(genes) for genes in toy.DIRECT.values())


def test_only_included_evidence_is_used(ontology: Ontology) -> None:
    rows = [(GENE, "GO:0000001", "", code, 0) for code in ("IDA", "IEA", "IGI")]
    rows += [(GENE, "GO:0000002", "", "IEA", 0)]
    found = _resolve(ontology, rows, exclude_evidence=(), include_evidence=("IDA", "IGI"))
    assert found.direct == {(0, 0)}
    assert found.asserted == {(0, 0), (1, 0)}
    assert found.dropped_rows == {"evidence_IEA": 2}
    both = _resolve(ontology, rows, exclude_evidence=("IDA",), include_evidence=("IDA", "IGI"))
    assert (both.direct, both.dropped_rows) == ({(0, 0)}, {"evidence_IDA": 1, "evidence_IEA": 2})


def test_only_listed_genes_are_used(ontology: Ontology) -> None:
    rows = [(("X", "YAL001C/YAL003W"), "GO:0000001", "", "IDA", 0), (("YAL002W",), "GO:0000002", "", "IDA", 0)]
    found = _resolve(ontology, [*rows, (("nobody",), "GO:0000001", "", "IDA", 0)], only=GeneList(("YAL003W",), ()))
    assert (found.direct, found.asserted) == ({(0, 2)}, {(0, 2)})
    assert found.dropped_rows == {"gene_not_listed": 1, "unknown_gene": 1}


def test_terms_of_other_namespaces_have_a_reason_of_their_own() -> None:
    whole = make_ontology(
        source="two",
        release="none",
        terms=[("GO:0000001", "one", "a"), ("GO:0000002", "two", "b")],
        alt_ids={"GO:0000009": "GO:0000002"},
        edges=[],
        dropped={},
    )
    terms = ("GO:0000001", "GO:0000002", "GO:0000009", "GO:0000007")
    found = _resolve(whole.within(("a",)), [(GENE, term, "", "IDA", 0) for term in terms])
    assert (found.direct, found.dropped_rows) == ({(0, 0)}, {"other_namespace": 2, "unknown_term": 1})


def test_rows_that_a_file_dropped_are_counted_with_the_others(tmp_path: Path) -> None:
    rows = replace(toy.annotations(tmp_path), dropped={"other_taxon": 3})
    found = resolve_annotations(rows, toy.ontology(tmp_path), toy.gene_table(), exclude_evidence=())
    assert (found.rows_read, found.dropped_rows) == (len(rows) + 3, {"other_taxon": 3})


def test_no_data_is_no_annotation_and_its_genes_are_counted(ontology: Ontology) -> None:
    other = ("SSA1", "YAL005C")
    rows = [
        (GENE, "GO:0000001", "", "ND", 0),
        (GENE, "GO:0000002", "", "IDA", 0),  # it has something else
        (other, "GO:0000001", "", "ND", 0),
        (other, "GO:0000002", "", "ND", 0),
        (other, "GO:0000002", "", "IGI", 0),  # left out as well
        (("VPS8", "YAL002W"), "GO:0000001", "NOT", "ND", 0),
    ]
    found = _resolve(ontology, rows, exclude_evidence=("IGI", "ND"))
    assert (found.direct, found.nd_only_genes) == ({(1, 0)}, 1)
    assert found.dropped_rows == {"evidence_IGI": 1, "evidence_ND": 3, "negated": 1}
    kept = _resolve(ontology, rows)
    assert kept.direct == {(0, 0), (1, 0), (0, 3), (1, 3)}
    assert (kept.nd_only_genes, kept.dropped_rows) == (0, {"evidence_IGI": 1, "negated": 1})
