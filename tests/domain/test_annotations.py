"""Annotations: which rows become (term, gene) pairs, and under which reason the others are counted."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gocell_cli.domain.annotations import AnnotationRows, Annotations, resolve_annotations
from gocell_cli.domain.genes import GeneList
from gocell_cli.domain.ontology import Ontology, make_ontology
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
    assert (found.later_rows, found.newest_date, len(found.direct)) == (1, 20190101, 1)


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
