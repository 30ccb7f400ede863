"""Graphs for networkx: levels are GOATOOLS', every edge has its relation, genes have what annotations say of them."""

from pathlib import Path

import networkx as nx
import pytest
from hypothesis import given

from gocell_cli.building.plan import plan_hierarchy
from gocell_cli.domain.gene_annotations import annotations_by_term
from gocell_cli.domain.levels import goatools_groupings
from gocell_cli.domain.ontology import make_ontology
from gocell_cli.sources.go.releases import load_release
from gocell_cli.storage.reader import Cache
from tests import toy
from tests.domain.dags import Pairs, as_ontology, dags


@given(dags())
def test_levels_of_any_dag_are_goatools(dag: tuple[int, Pairs]) -> None:
    ontology = as_ontology(*dag)
    graph, groupings = ontology.graph(), goatools_groupings(ontology)
    for by in ("level", "depth"):
        assert [graph.nodes[t][by] for t in ontology.ids] == groupings[by].level.tolist()
        assert graph.nodes["GO:ROOT"][by] == -1
    assert {(p, c) for p, c, r in graph.edges(data="relation") if r == "is_a"} == {
        (ontology.ids[p], ontology.ids[c]) for c, p in dag[1]
    }
    assert set(graph.successors("GO:ROOT")) == set(ontology.ids) - {ontology.ids[c] for c, _ in dag[1]}
    assert nx.is_directed_acyclic_graph(graph)


def test_the_toy_with_its_annotations(tmp_path: Path) -> None:
    release = load_release(toy.write_obo(tmp_path), toy.write_gaf(tmp_path), gene_id="systematic")
    graph = release.graph()
    assert set(graph) == {*map(toy.term_id, toy.TERMS), "GO:ROOT"}
    for number, name in toy.TERMS.items():
        node = graph.nodes[toy.term_id(number)]
        held = {toy.GENES[g] for g in toy.DIRECT.get(number, ())}
        assert (node["id"], node["name"], node["namespace"]) == (toy.term_id(number), name, "toy")
        assert (node["level"], node["depth"]) == (toy.LEVEL[number], toy.DEPTH[number])
        assert (node["is_obsolete"], node["alt_ids"], node["gene_set"]) == (False, (), held)
        assert node["genes"] == {g: [{"evidence": "IDA", "qualifier": "", "date": 20160101}] for g in held}
    assert graph.nodes["GO:ROOT"]["name"] == "GO Super Node"


def test_a_negated_row_says_the_opposite_and_an_edge_of_two_relations_is_the_first(tmp_path: Path) -> None:
    gaf = tmp_path / "not.gaf"
    gaf.write_text(toy.gaf_text().replace(f"\t\t{toy.term_id(2)}\t", f"\tNOT\t{toy.term_id(2)}\t"), "utf-8")
    release = load_release(toy.write_obo(tmp_path), gaf, gene_id="systematic")
    assert release.graph().nodes[toy.term_id(2)]["gene_set"] == set()
    both = make_ontology(
        source="made",
        release="",
        terms=[("X:1", "", ""), ("X:2", "", "")],
        alt_ids={"X:9": "X:2", "X:8": "X:2"},
        edges=[("X:2", "X:1", "part_of"), ("X:2", "X:1", "is_a")],
        dropped={},
    )
    graph = both.graph(("is_a", "part_of"))
    assert graph.edges["X:1", "X:2"]["relation"] == "is_a"
    assert graph.nodes["X:2"]["alt_ids"] == ("X:8", "X:9")
    assert annotations_by_term(release.annotations, both, release.genes) == {}


@pytest.mark.parametrize("told", [False, True])
def test_a_caches_graph_has_what_the_ontology_knows_besides(toy_cache: Path, tmp_path: Path, told: bool) -> None:
    release = load_release(toy.write_obo(tmp_path), toy.write_gaf(tmp_path), gene_id="systematic")
    graph = Cache(toy_cache).graph(release.graph() if told else None)
    assert set(graph.edges) == {(toy.KEPT[p], toy.KEPT[c]) for c, p in toy.KEPT_EDGES}
    deep = graph.nodes[toy.term_id(5)]
    assert deep["gene_set"] == {toy.GENES[g] for t, g in toy.KEPT_ROWS if toy.KEPT[t] == toy.term_id(5)}
    assert (deep["level"], deep["depth"], deep["stratum"]) == (toy.LEVEL[5], toy.DEPTH[5], toy.KEPT_STRATUM[3])
    says = [{"evidence": "IDA", "qualifier": "", "date": 20160101}] if told else []
    # e moved up from leaf, which is filtered: no annotation of its own stands for it here
    assert deep["genes"] == {toy.GENES[2]: says, toy.GENES[3]: says, toy.GENES[4]: []}
    assert graph.nodes["GO:ROOT"]["level"] == -1


def test_a_root_that_gocell_wrote_is_the_same_root(tmp_path: Path) -> None:
    text = toy.obo_text().replace(
        "[Term]\nid: GO:0000001\nname: root\n", "[Term]\nid: GO:0000001\nname: root\nis_a: GO:ROOT\n"
    )
    own = tmp_path / "own.obo"
    own.write_text(f"{text}\n[Term]\nid: GO:ROOT\nname: GO Super Node\nnamespace: super_root\n", "utf-8")
    release = load_release(own, toy.write_gaf(tmp_path), gene_id="systematic")
    plain = load_release(toy.write_obo(tmp_path), toy.write_gaf(tmp_path), gene_id="systematic")
    assert set(release.graph().edges) == set(plain.graph().edges)
    found, expected = (plan_hierarchy(r.ontology, r.annotations, r.genes, toy.RULES)[0] for r in (release, plain))
    assert (found.ids, found.names, found.namespaces) == (expected.ids, expected.names, expected.namespaces)
    for name in ("row_term", "row_gene", "contained_genes"):
        assert getattr(found, name).tolist() == getattr(expected, name).tolist()
    assert found.edges.child.tolist() == expected.edges.child.tolist()
    assert found.edges.parent.tolist() == expected.edges.parent.tolist()
