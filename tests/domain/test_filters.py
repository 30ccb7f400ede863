"""Filters: the toy by hand, a slow oracle on random DAGs, and the promises of the true-path rule."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gocell_cli.domain.annotations import resolve_annotations
from gocell_cli.domain.ontology import make_ontology
from gocell_cli.domain.term_filters import PRESETS, READY, FilterRules, filter_terms
from gocell_cli.domain.term_graph import SUPER_ROOT, gene_masks, genes_in
from gocell_cli.domain.term_hierarchy import make_term_hierarchy
from gocell_cli.errors import InvalidInput, UsageError
from gocell_cli.sources.go.releases import Release, load_release
from tests import toy
from tests.domain.dags import GENES, Pairs, annotated_dags, as_annotations, as_ontology
from tests.reference import filters as slow


def _rules(min_genes: int) -> FilterRules:
    return PRESETS["true-path"].changed(min_genes=min_genes)


def test_the_toy_filters_to_what_was_found_by_hand(tmp_path: Path) -> None:
    ontology = toy.ontology(tmp_path)
    annotations = resolve_annotations(toy.annotations(tmp_path), ontology, toy.gene_table(), exclude_evidence=("IGI",))
    hierarchy = make_term_hierarchy(ontology, filter_terms(ontology, annotations, toy.RULES))
    assert hierarchy.ids == toy.KEPT
    assert tuple(zip(hierarchy.edges.child.tolist(), hierarchy.edges.parent.tolist(), strict=True)) == toy.KEPT_EDGES
    assert tuple(zip(hierarchy.row_term.tolist(), hierarchy.row_gene.tolist(), strict=True)) == toy.KEPT_ROWS
    assert tuple(hierarchy.groupings["stratum"].level.tolist()) == toy.KEPT_STRATUM
    assert tuple(hierarchy.groupings["height"].level.tolist()) == toy.KEPT_HEIGHT
    assert hierarchy.contained_genes.tolist() == [5, 4, 4, 3, 5]
    assert dict(hierarchy.funnel) == {"ontology": 7, "at least 3 contained genes": 6, "not redundant": 5}
    removed = {ontology.ids[t]: (r.step, [ontology.ids[i] for i in r.into]) for t, r in hierarchy.removed.items()}
    assert removed == toy.REMOVED


@given(annotated_dags(), st.integers(1, 4))
def test_true_path_agrees_with_the_slow_oracle(dag: tuple[int, Pairs, dict[int, set[int]]], min_genes: int) -> None:
    terms, edges, direct = dag
    parents: dict[int, set[int]] = {t: {p for c, p in edges if c == t} or {SUPER_ROOT} for t in range(terms)}
    parents[SUPER_ROOT] = set()
    expected = slow.true_path(parents, {**direct, SUPER_ROOT: set()}, SUPER_ROOT, min_genes)
    if not any(genes for term, genes in expected[1].items() if term != SUPER_ROOT):
        with pytest.raises(InvalidInput, match="no annotated term"):
            filter_terms(as_ontology(terms, edges), as_annotations(direct), _rules(min_genes))
        return
    graph = filter_terms(as_ontology(terms, edges), as_annotations(direct), _rules(min_genes)).graph
    assert {t: set(p) for t, p in graph.parents.items()} == expected[0]
    assert {t: set(genes_in(mask)) for t, mask in graph.direct.items()} == expected[1]


@given(annotated_dags(), st.integers(1, 4))
def test_true_path_keeps_every_gene_and_every_contained_set(
    dag: tuple[int, Pairs, dict[int, set[int]]], min_genes: int
) -> None:
    terms, edges, direct = dag
    below: dict[int, set[int]] = {t: {p for c, p in edges if c == t} for t in range(terms)}
    assume(any(len(slow.contained(below, direct, t)) >= min_genes for t in range(terms)))
    graph = filter_terms(as_ontology(terms, edges), as_annotations(direct), _rules(min_genes)).graph
    whole = filter_terms(as_ontology(terms, edges), as_annotations(direct), _rules(1)).graph
    assert genes_in(graph.contained[SUPER_ROOT]) == sorted(set().union(*direct.values()))
    for term in set(graph.parents) & set(whole.parents):
        assert graph.contained[term] == whole.contained[term]
    for term in set(graph.parents) - {SUPER_ROOT}:
        assert graph.contained[term].bit_count() >= min_genes
        assert all(graph.contained[child] != graph.contained[term] for child in graph.children[term])


@given(annotated_dags(), st.integers(1, 2), st.integers(1, 4))
def test_terms_apart_from_their_children_agree_with_the_slow_oracle(
    dag: tuple[int, Pairs, dict[int, set[int]]], min_genes: int, more: int
) -> None:
    terms, edges, direct = dag
    parents: dict[int, set[int]] = {t: {p for c, p in edges if c == t} or {SUPER_ROOT} for t in range(terms)}
    parents[SUPER_ROOT] = set()
    kept, genes = slow.true_path(parents, {**direct, SUPER_ROOT: set()}, SUPER_ROOT, min_genes)
    expected = slow.apart(kept, genes, SUPER_ROOT, more)
    assume(any(held for term, held in expected[1].items() if term != SUPER_ROOT))
    rules = replace(_rules(min_genes), more_than_child=more)
    filtered = filter_terms(as_ontology(terms, edges), as_annotations(direct), rules)
    assert {t: set(p) for t, p in filtered.graph.parents.items()} == expected[0]
    assert {t: set(genes_in(mask)) for t, mask in filtered.graph.direct.items()} == expected[1]
    assert genes_in(filtered.graph.contained[SUPER_ROOT]) == sorted(set().union(*direct.values()))
    assert filtered.funnel[f"{more} contained genes more than a child"] == len(filtered.graph)


@given(st.sets(st.integers(0, 200)))
def test_gene_masks_are_sets(genes: set[int]) -> None:
    mask = gene_masks((0, g) for g in genes).get(0, 0)
    assert genes_in(mask) == sorted(genes)
    assert mask.bit_count() == len(genes)


def test_torchcell_drops_unannotated_terms_without_reconnecting() -> None:
    ontology = as_ontology(4, [(1, 0), (2, 1), (3, 2)])
    direct = {0: set(), 1: {0, 1, 2, 3}, 2: set(), 3: {0, 1, 4, 5}}
    graph = filter_terms(ontology, as_annotations(direct), PRESETS["torchcell"]).graph
    assert graph.parents[3] == frozenset({0})  # hangs under its namespace root, not under 1
    assert len(set().union(*direct.values())) == GENES


@pytest.fixture(scope="module")
def release() -> Release:
    return load_release(None, None)


@pytest.mark.parametrize(
    ("preset", "terms", "edges", "rows", "strata"),
    [
        ("true-path", 3_793, 7_064, 45_212, 16),
        ("ma2018", 3_202, 6_628, 53_600, 17),
        ("torchcell", 2_613, 3_015, 43_540, 10),
    ],
)
def test_the_bundled_release_gives_the_check_numbers(
    release: Release, preset: str, terms: int, edges: int, rows: int, strata: int
) -> None:
    rules = PRESETS[preset]
    annotations = resolve_annotations(
        release.annotations, release.ontology, release.genes, exclude_evidence=rules.exclude_evidence
    )
    hierarchy = make_term_hierarchy(release.ontology, filter_terms(release.ontology, annotations, rules))
    found = (len(hierarchy), len(hierarchy.edges), len(hierarchy.row_term))
    assert found == (terms, edges, rows)
    assert len(np.unique(hierarchy.groupings["stratum"].level)) == strata


@given(annotated_dags(), st.integers(1, 4))
def test_keeping_redundant_terms_keeps_all_that_are_big_enough(
    dag: tuple[int, Pairs, dict[int, set[int]]], min_genes: int
) -> None:
    terms, edges, direct = dag
    below: dict[int, set[int]] = {t: {p for c, p in edges if c == t} for t in range(terms)}
    big = {t for t in range(terms) if len(slow.contained(below, direct, t)) >= min_genes}
    assume(big)
    rules = _rules(min_genes).changed(redundant="keep")
    graph = filter_terms(as_ontology(terms, edges), as_annotations(direct), rules).graph
    assert set(graph.parents) == big | {SUPER_ROOT}


@given(annotated_dags(), st.integers(1, 4))
def test_redundant_by_direct_genes_removes_the_equals_of_a_child(
    dag: tuple[int, Pairs, dict[int, set[int]]], min_genes: int
) -> None:
    terms, edges, direct = dag
    below: dict[int, set[int]] = {t: {p for c, p in edges if c == t} for t in range(terms)}
    assume(any(len(slow.contained(below, direct, t)) >= min_genes for t in range(terms)))
    ontology, annotations = as_ontology(terms, edges), as_annotations(direct)
    kept = filter_terms(ontology, annotations, _rules(min_genes).changed(redundant="keep")).graph
    graph = filter_terms(ontology, annotations, _rules(min_genes).changed(redundant="direct")).graph
    equal = {t for t in kept.parents if kept.direct[t] and kept.direct[t] in [kept.direct[c] for c in kept.children[t]]}
    assert set(kept.parents) - set(graph.parents) == equal - {SUPER_ROOT}
    for term in graph.parents:
        assert graph.contained[term] == kept.contained[term]


@given(annotated_dags())
def test_a_ready_hierarchy_loses_only_terms_without_genes(dag: tuple[int, Pairs, dict[int, set[int]]]) -> None:
    terms, edges, direct = dag
    assume(any(direct.values()))
    ontology = replace(as_ontology(terms, edges, "default"), level_relation="default")
    ontology = replace(ontology, edges={"default": ontology.edges.get("default", ontology.edges["is_a"])})
    graph = filter_terms(ontology, as_annotations(direct), READY).graph
    below: dict[int, set[int]] = {t: {p for c, p in edges if c == t} for t in range(terms)}
    kept = {t for t in range(terms) if slow.contained(below, direct, t)}
    roots = {t for t in range(terms) if not below[t]}
    assert set(graph.parents) - {SUPER_ROOT} == kept
    assert (SUPER_ROOT in graph.parents) == (len(roots) > 1)
    for term in kept:
        assert set(graph.parents[term]) == (below[term] or ({SUPER_ROOT} if len(roots) > 1 else set()))
        assert set(genes_in(graph.direct[term])) == direct[term]


def test_namespaces_choose_terms_and_the_edges_among_them() -> None:
    whole = make_ontology(
        source="made",
        release="none",
        terms=[("M:1", "one", "a"), ("M:2", "two", "b"), ("M:3", "three", "a"), ("M:4", "four", "c")],
        alt_ids={"M:9": "M:2", "M:8": "M:3"},
        edges=[("M:2", "M:1", "is_a"), ("M:3", "M:1", "is_a"), ("M:3", "M:2", "part_of"), ("M:4", "M:3", "part_of")],
        dropped={},
    )
    some = whole.within(("a", "c"))
    assert (some.ids, some.names, some.namespaces) == (("M:1", "M:3", "M:4"), ("one", "three", "four"), ("a", "a", "c"))
    assert {r: list(zip(e.child, e.parent, strict=True)) for r, e in some.edges.items()} == {
        "is_a": [(1, 0)],
        "part_of": [(2, 1)],
    }
    assert (some.find("M:2"), some.find("M:9"), some.find("M:8")) == (None, None, 1)
    assert some.left_out == {"M:2"}
    assert some.within(("a", "c")) is some
    assert whole.within(()) is whole
    with pytest.raises(UsageError, match="no term is in the namespace biological_process") as caught:
        whole.within(("a", "biological_process"))
    assert caught.value.why == "made has a, b, c"


def test_an_id_taken_by_the_super_root_is_refused() -> None:
    terms = [("GO:ROOT", "", ""), ("GO:1", "", "")]  # alone it would be that root, as `export` writes it
    ontology = make_ontology(source="made", release="", terms=terms, alt_ids={}, edges=[], dropped={})
    with pytest.raises(InvalidInput, match="a term is called GO:ROOT"):
        filter_terms(ontology, as_annotations({0: {0, 1, 2, 3}}), _rules(1))
