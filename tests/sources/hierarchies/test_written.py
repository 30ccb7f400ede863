"""Every format there and back: the same terms, edges and genes, of random hierarchies and of the real ones."""

import gzip
import io
import os
import re
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import obonet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gocell_cli.building.contents import make_hierarchy
from gocell_cli.building.plan import plan_hierarchy
from gocell_cli.domain.genes import KnownGenes, make_gene_table
from gocell_cli.domain.term_filters import PRESETS, READY
from gocell_cli.errors import CycleError, InvalidInput
from gocell_cli.sources.go.hierarchy_files import FORMATS, hierarchy_texts
from gocell_cli.sources.go.obo import read_obo
from gocell_cli.sources.go.releases import load_hierarchy, load_release, read_hierarchy
from gocell_cli.sources.hierarchies.cx2 import parse_cx2
from gocell_cli.sources.hierarchies.dcell_topology import parse_topology
from gocell_cli.sources.hierarchies.ddot import parse_ddot
from gocell_cli.sources.hierarchies.ready import ParsedHierarchy, told_lines
from gocell_cli.storage.schema import Hierarchy
from tests.attempts import attempts
from tests.hierarchies import make_network

NEST = Path(os.environ.get("GOCELL_TEST_DATA", "../shared/data")) / "nest_vnn"
needs_nest = pytest.mark.skipif(not NEST.is_dir(), reason=f"{NEST}: no NeST-VNN sample")
Pairs = set[tuple[str, str]]
READ_AGAIN = ("ddot", "drugcell", "dcell", "cx2")
"""Formats that `--hierarchy` of build-cache reads."""


def edges(h: Hierarchy) -> Pairs:
    return {(h.term_ids[c], h.term_ids[p]) for c, p in zip(h.edge_child.tolist(), h.edge_parent.tolist(), strict=True)}


def genes(h: Hierarchy) -> Pairs:
    return {(h.term_ids[t], h.gene_names[g]) for t, g in zip(h.row_term.tolist(), h.row_gene.tolist(), strict=True)}


def parsed(form: str, text: str) -> ParsedHierarchy:
    path = Path("made")
    if form == "cx2":
        return parse_cx2(path, text)
    return (parse_topology if form == "dcell" else parse_ddot)(path, told_lines(text))


@st.composite
def wirings(draw: st.DrawFn) -> tuple[list[tuple[int, int]], list[tuple[int, int]], int, int]:
    """What `make_network` takes, with any edges and genes; no strategy may call it, for type checks use `random`."""
    terms, count = draw(st.integers(1, 7)), draw(st.integers(1, 5))
    above = {t: draw(st.sets(st.integers(0, t - 1), min_size=1, max_size=3)) for t in range(1, terms)}
    held = st.tuples(st.integers(0, terms - 1), st.integers(0, count - 1))
    rows = sorted({(0, 0), *draw(st.lists(held, max_size=12))})
    return [(t, p) for t, parents in above.items() for p in parents], rows, terms, count


@settings(max_examples=attempts(60, 2000), deadline=None)
@given(wirings())
def test_any_hierarchy_there_and_back(wiring: tuple) -> None:
    hierarchy = make_network(*wiring)
    for form in FORMATS:
        text = hierarchy_texts(hierarchy, form)[""]
        if form in READ_AGAIN:
            found = parsed(form, text)
            assert set(found.edges) == edges(hierarchy)
            assert set(found.genes) == genes(hierarchy)
            assert set(found.terms) == set(hierarchy.term_ids)
            assert not +found.counts
        else:
            check_foreign(hierarchy, form)


def check_foreign(hierarchy: Hierarchy, form: str) -> None:
    """As networkx and obonet read it."""
    texts = hierarchy_texts(hierarchy, form)
    if form == "graphml":
        graph: Any = nx.parse_graphml(texts[""])
        assert {(c, p) for p, c in graph.edges} == edges(hierarchy)
        assert {(t, g) for t, held in graph.nodes("gene_set") if held for g in held.split("|")} == genes(hierarchy)
        assert dict(graph.nodes("stratum")) == dict(zip(hierarchy.term_ids, hierarchy.stratum.tolist(), strict=True))
        return
    graph = obonet.read_obo(io.StringIO(texts[""]))
    assert set(graph.edges()) == edges(hierarchy)
    assert set(graph) == set(hierarchy.term_ids)
    told = [line.split("\t") for line in texts["associations"].splitlines()]
    assert {(t, gene) for gene, terms in told for t in terms.split(";")} == genes(hierarchy)


@pytest.fixture(scope="module")
def bundled() -> Hierarchy:
    release = load_release(None, None)
    terms, _ = plan_hierarchy(release.ontology, release.annotations, release.genes, PRESETS["ma2018"])
    return make_hierarchy(terms, release.genes, "stratum")


@pytest.mark.parametrize("form", READ_AGAIN)
def test_the_bundled_hierarchy_there_and_back(bundled: Hierarchy, tmp_path: Path, form: str) -> None:
    path = tmp_path / "made"
    path.write_text(hierarchy_texts(bundled, form)[""], "utf-8")
    ready = load_hierarchy(path)
    assert (ready.roots, ready.ontology.dropped, ready.annotations.dropped) == (1, {}, {})
    terms, _ = plan_hierarchy(ready.ontology, ready.annotations, ready.genes, READY)
    again = make_hierarchy(terms, ready.genes, "stratum")
    assert (again.term_ids, again.gene_names) == (bundled.term_ids, bundled.gene_names)
    for name in ("edge_child", "edge_parent", "row_term", "row_gene", "stratum", "height", "contained_genes"):
        np.testing.assert_array_equal(getattr(again, name), getattr(bundled, name), err_msg=name)
    if form == "cx2":  # the one that holds them
        assert (again.term_names, again.term_namespaces) == (bundled.term_names, bundled.term_namespaces)


@pytest.mark.parametrize("form", ["graphml", "obo"])
def test_the_bundled_hierarchy_as_others_read_it(bundled: Hierarchy, tmp_path: Path, form: str) -> None:
    check_foreign(bundled, form)
    if form == "obo":
        (tmp_path / "made.obo").write_text(hierarchy_texts(bundled, form)[""], "utf-8")
        ontology = read_obo(tmp_path / "made.obo")
        found = ontology.edges["is_a"]
        pairs = zip(found.child.tolist(), found.parent.tolist(), strict=True)
        assert {(ontology.ids[c], ontology.ids[p]) for c, p in pairs} == edges(bundled)
        assert (ontology.ids, ontology.names) == (bundled.term_ids, bundled.term_names)
        assert ontology.namespaces == bundled.term_namespaces


def test_files_look_as_those_of_their_authors() -> None:
    """Held against the files of DCell's and DrugCell's repositories, and DDOT's tutorial."""
    made = make_network([(1, 0), (2, 0)], [(0, 0), (1, 0), (1, 1), (2, 2)], 3, 3)
    root, one, two = made.term_ids
    assert hierarchy_texts(made, "drugcell")[""].splitlines() == [
        f"{root}\t{one}\tdefault",
        f"{root}\t{two}\tdefault",
        f"{root}\tY000\tgene",
        f"{one}\tY000\tgene",
        f"{one}\tY001\tgene",
        f"{two}\tY002\tgene",
    ]
    assert hierarchy_texts(made, "ddot")[""].splitlines()[:2] == [
        "Parent\tChild\tEdgeType",
        f"{root}\t{one}\tChild-Parent",
    ]
    assert hierarchy_texts(made, "dcell")[""].splitlines()[:6] == [
        *(f"ROOT: {root} 3", "GENES: Y000 ", f"TERMS: {one} {two} "),
        *(f"ROOT: {one} 2", "GENES: Y000 Y001 ", "TERMS: "),
    ]
    assert hierarchy_texts(made, "obo")["associations"].splitlines()[0] == f"Y000\t{root};{one}"


@needs_nest
def test_nests_cx2_is_its_ontology_table() -> None:
    """cellmaps publishes one hierarchy as both: 131 terms, 150 edges; the CX2 lists the genes that terms contain."""
    with gzip.open(NEST / "hierarchy.cx2.gz", "rt", encoding="utf-8") as file:
        network = parse_cx2(NEST, file.read())
    table = parse_ddot(NEST, told_lines((NEST / "ontology.txt").read_text("utf-8")))
    assert (len(network.terms), len(network.edges), len(table.genes)) == (131, 150, 1366)
    assert set(network.edges) == set(table.edges)
    assert network.names["NEST:93"] == "tRNA transport"
    known = KnownGenes(make_gene_table([(name,) for name in sorted({gene for _, gene in table.genes})]))
    of_network = load_and_make(NEST / "hierarchy.cx2.gz", known)
    of_table = load_and_make(NEST / "ontology.txt", known)
    np.testing.assert_array_equal(of_network.closure.term, of_table.closure.term)
    np.testing.assert_array_equal(of_network.contained_genes, of_table.contained_genes)
    for form in READ_AGAIN:
        again = parsed(form, hierarchy_texts(of_table, form)[""])
        assert (set(again.edges), set(again.genes)) == (set(table.edges), set(table.genes))


def load_and_make(path: Path, known: KnownGenes) -> Hierarchy:
    ready = read_hierarchy(path, known)
    terms, _ = plan_hierarchy(ready.ontology, ready.rows, ready.genes, READY)
    return make_hierarchy(terms, ready.genes, "stratum")


NODES = '{"id": 1, "v": {"n": "A", "CD_MemberList": "x,y z"}}, {"id": 2, "v": {"n": "B", "CD_MemberList": "x"}}'
DECLARED = '{"attributeDeclarations": [{"nodes": {"name": {"a": "n"}, "CD_MemberList": {"d": "string"}}}]}'
CX2 = f'[{{"CXVersion": "2.0"}}, {DECLARED}, {{"nodes": [{NODES}]}}, {{"edges": [{{"id": 0, "s": 1, "t": 2}}]}}]'


def test_genes_are_split_as_cellmaps_splits_them() -> None:
    found = parse_cx2(Path("made"), CX2)
    assert set(found.edges) == {("B", "A")}
    assert set(found.genes) == {("A", "y z"), ("B", "x")}


def test_names_that_two_nodes_share_are_no_ids() -> None:
    found = parse_cx2(Path("made"), CX2.replace('"B"', '"A"'))
    assert (set(found.terms), set(found.edges)) == ({"1", "2"}, {("2", "1")})
    assert found.names == {"1": "A", "2": "A"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("2.0", "1.0"), "CXVersion is 1.0, and 2.0 is what is read"),
        (('"t": 2', '"t": 3'), "leads from 1 to 3, of which one is no node"),
        (('"t": 2', '"t": "2"'), "t is no whole number"),
        (('"t": 2', '"t": 1'), "A is its own parent"),
        (("CD_MemberList", "Genes"), "no list of genes is declared for its nodes"),
        (('"id": 2, "v"', '"id": 1, "v"'), "two nodes have one id"),
        (('"x"}', "[1]}"), "CD_MemberList is neither text nor a list of texts"),
        (("]}]", ""), "not a JSON document"),
        (('"n": "B"', '"n": "B", "HCX::isRoot": true'), "is a root (HCX::isRoot), yet an edge leads to it"),
        (('{"nodes": [', '{"other": ['), "a network without nodes"),
    ],
)
def test_a_network_that_is_no_hierarchy_is_one_error(change: tuple[str, str], reason: str) -> None:
    assert change[0] in CX2
    with pytest.raises(InvalidInput, match=re.escape(reason)):
        parse_cx2(Path("made"), CX2.replace(*change))


def test_a_cycle_of_a_network_names_no_line(tmp_path: Path) -> None:
    path = tmp_path / "made.cx2"
    path.write_text(CX2.replace('"t": 2}', '"t": 2}, {"id": 1, "s": 2, "t": 1}'), "utf-8")
    with pytest.raises(CycleError) as caught:
        load_hierarchy(path)
    assert f"{path}: the ontology has a cycle of 2 terms" in caught.value.message


@pytest.mark.parametrize(
    ("name", "forms"),
    [
        ("A B", {"drugcell", "dcell", "cx2", "obo"}),
        ("A\tB", {"ddot", "drugcell", "dcell", "cx2", "obo"}),
        ("A,B", {"cx2"}),
        ("A|B", {"graphml"}),
        ("GO:0000000", {"ddot", "drugcell"}),
    ],
)
def test_a_gene_that_a_format_cannot_hold_is_refused(name: str, forms: set[str]) -> None:
    made = make_network([], [(0, 0)], 1, 1)
    named = Hierarchy(**{**vars(made), "gene_names": (name,)})
    refused = set()
    for form in FORMATS:
        try:
            hierarchy_texts(named, form)
        except InvalidInput as error:
            assert repr(name) in error.message  # noqa: PT017
            assert error.hint  # noqa: PT017
            refused.add(form)
    assert refused == forms
