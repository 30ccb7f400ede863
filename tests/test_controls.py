"""Controls: what each keeps and what it draws, against slow and obvious counts, on random hierarchies and GO."""

import json
from collections import Counter
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gocell_cli.controls import CONTROLS, DAG, EDGES, GENES, Control, Wiring, control_wiring
from gocell_cli.dcell_rules import forbidden_edges, longest_paths
from gocell_cli.level_directions import LEAF_UP, ROOT_DOWN
from gocell_cli.storage.reader import Cache
from gocell_cli.storage.verify import verify_cache
from tests.commands.runners import document, document_apart, failure, toy_build
from tests.domain.dags import Pairs, annotated_dags

SEEDS = st.integers(0, 2**32)
Drawn = tuple[int, Pairs, dict[int, set[int]]]


def wiring_of(terms: int, edges: Pairs, direct: dict[int, set[int]]) -> Wiring:
    """A DAG's edges and rows with a root above all, term number `terms`."""
    tops = set(range(terms)) - {c for c, _ in edges}
    pairs = np.array(sorted([*edges, *((t, terms) for t in tops)]), dtype=np.int32).reshape(-1, 2)
    rows = np.array(sorted((t, g) for t, genes in direct.items() for g in genes), dtype=np.int32).reshape(-1, 2)
    return Wiring(pairs[:, 0], pairs[:, 1], rows[:, 0], rows[:, 1])


def levels_of(terms: int, wiring: Wiring, direction: str) -> np.ndarray:
    """Strata, or heights."""
    child, parent = wiring.edge_child, wiring.edge_parent
    return longest_paths(terms, *((child, parent) if direction == ROOT_DOWN else (parent, child)))[0]


def pairs(first: np.ndarray, second: np.ndarray) -> list[tuple[int, int]]:
    return list(zip(first.tolist(), second.tolist(), strict=True))


def degrees(wiring: Wiring, level: np.ndarray) -> tuple[Counter, Counter]:
    """How many parents of each level every term has, and how many children."""
    edges = pairs(wiring.edge_child, wiring.edge_parent)
    return Counter((c, level[p]) for c, p in edges), Counter((p, level[c]) for c, p in edges)


@given(annotated_dags(), st.sampled_from(CONTROLS), st.sampled_from((ROOT_DOWN, LEAF_UP)), SEEDS)
def test_every_control_is_a_hierarchy_of_the_same_levels(drawn: Drawn, kind: str, direction: str, seed: int) -> None:
    terms, wiring = drawn[0] + 1, wiring_of(*drawn)
    level = levels_of(terms, wiring, direction)
    found = control_wiring(wiring, level, direction, Control(kind, seed))
    edges, rows = pairs(found.edge_child, found.edge_parent), pairs(found.row_term, found.row_gene)
    assert edges == sorted(set(edges))
    assert rows == sorted(set(rows))
    assert not any(map(np.any, forbidden_edges(level[found.edge_child], level[found.edge_parent], direction)))
    assert levels_of(terms, found, direction).tolist() == level.tolist()
    # one root, above all
    assert set(range(terms)) - {c for c, _ in edges} == {terms - 1}
    assert Counter(found.row_term.tolist()) == Counter(wiring.row_term.tolist())
    assert set(found.row_gene.tolist()) == set(wiring.row_gene.tolist())


@given(annotated_dags(), st.sampled_from((ROOT_DOWN, LEAF_UP)), SEEDS)
def test_what_each_control_keeps(drawn: Drawn, direction: str, seed: int) -> None:
    terms, wiring = drawn[0] + 1, wiring_of(*drawn)
    level = levels_of(terms, wiring, direction)
    genes, edges, dag = (control_wiring(wiring, level, direction, Control(k, seed)) for k in (GENES, EDGES, DAG))
    assert pairs(genes.edge_child, genes.edge_parent) == pairs(wiring.edge_child, wiring.edge_parent)
    # one exchange for all terms: genes that were in the same terms still are
    together = {frozenset(wiring.row_term[wiring.row_gene == g].tolist()) for g in wiring.row_gene}
    assert {frozenset(genes.row_term[genes.row_gene == g].tolist()) for g in genes.row_gene} == together
    assert degrees(edges, level) == degrees(wiring, level)
    assert pairs(edges.row_term, edges.row_gene) == pairs(wiring.row_term, wiring.row_gene)
    between = Counter(pairs(level[wiring.edge_child], level[wiring.edge_parent]))
    assert Counter(pairs(level[dag.edge_child], level[dag.edge_parent])) == between
    assert Counter(dag.row_gene.tolist()) == Counter(wiring.row_gene.tolist())
    fed = set(wiring.edge_parent.tolist()) | set(wiring.row_term.tolist())
    assert fed <= set(dag.edge_parent.tolist()) | set(dag.row_term.tolist())


def test_every_assignment_of_genes_is_as_likely() -> None:
    """Two terms of two genes each: six ways to divide four genes, each a sixth of 1,200 draws (within 4 sd, 13)."""
    wiring = wiring_of(2, [], {0: {0, 1}, 1: {2, 3}})
    level = levels_of(3, wiring, ROOT_DOWN)
    drawn = (control_wiring(wiring, level, ROOT_DOWN, Control(DAG, seed)) for seed in range(1200))
    counts = Counter(tuple(found.row_gene.tolist()) for found in drawn)
    assert len(counts) == 6
    assert max(abs(n - 200) for n in counts.values()) < 52


def test_every_dag_of_the_shape_is_as_likely() -> None:
    """Three leaves with genes under two inner terms without: six ways that leave neither without a child."""
    wiring = wiring_of(5, [(0, 3), (1, 3), (2, 4)], {0: {0}, 1: {1}, 2: {2}})
    level = levels_of(6, wiring, ROOT_DOWN)
    drawn = (control_wiring(wiring, level, ROOT_DOWN, Control(DAG, seed)) for seed in range(1200))
    counts = Counter(tuple(found.edge_parent[:3].tolist()) for found in drawn)
    assert set(counts) == {(3, 3, 4), (3, 4, 3), (4, 3, 3), (4, 4, 3), (4, 3, 4), (3, 4, 4)}
    assert max(abs(n - 200) for n in counts.values()) < 52


def test_no_such_control() -> None:
    wiring = wiring_of(1, [], {0: {0}})
    with pytest.raises(ValueError, match="tuple"):
        control_wiring(wiring, np.zeros(2, dtype=np.int32), ROOT_DOWN, Control("terms", 0))


@pytest.fixture(scope="module")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    root = tmp_path_factory.mktemp("bundled")
    return Cache(Path(document_apart("build-cache", "--dataset", "essentiality", "--root", root)["cache"]))


@pytest.mark.parametrize("kind", CONTROLS)
def test_a_control_of_go_shares_little_with_it(bundled: Cache, kind: str) -> None:
    """Its contained genes and levels are those that networkx finds on the new arrays; what is drawn differs."""
    hierarchy = bundled.hierarchy
    wiring = Wiring(*(getattr(hierarchy, name) for name in Wiring._fields))
    drawn = control_wiring(wiring, hierarchy.level, hierarchy.level_direction, Control(kind, 1))
    found = hierarchy.wired(drawn)
    graph = nx.DiGraph(pairs(found.edge_child, found.edge_parent))
    contained: dict[int, set[int]] = {t: set() for t in range(len(hierarchy.term_ids))}
    for term, gene in pairs(found.row_term, found.row_gene):
        contained[term].add(gene)
    for term in nx.topological_sort(graph):
        for parent in graph.successors(term):
            contained[parent] |= contained[term]
    assert found.contained_genes.tolist() == [len(genes) for genes in contained.values()]
    for number, generation in enumerate(nx.topological_generations(graph)):
        assert set(found.height[list(generation)].tolist()) == {number}
    assert found.stratum.tolist() == hierarchy.stratum.tolist()
    edges = set(pairs(wiring.edge_child, wiring.edge_parent)) & set(pairs(drawn.edge_child, drawn.edge_parent))
    rows = set(pairs(wiring.row_term, wiring.row_gene)) & set(pairs(drawn.row_term, drawn.row_gene))
    # level 1 is GO's three roots, level 2 their 36 children: what is drawn shares little more than chance
    assert (len(edges) / len(wiring.edge_child) < 0.1) == (kind != GENES)
    assert (len(rows) / len(wiring.row_term) < 0.1) == (kind != EDGES)


def test_a_cache_of_a_control_says_so(tmp_path: Path) -> None:
    words = ["build-cache", *toy_build(tmp_path), "--root", tmp_path / "root"]
    real = document(*words)
    first = document(*words, "--control", "genes")
    again = document(*words, "--control", "genes", "--control-seed", 0)
    other = document(*words, "--control", "genes", "--control-seed", 1)
    assert (again["status"], again["cache"]) == ("up to date", first["cache"])
    assert len({real["fingerprint"], first["fingerprint"], other["fingerprint"]}) == 3
    assert "-control-genes-1-" in Path(other["cache"]).name
    manifest = json.loads((Path(other["cache"]) / "manifest.json").read_text("utf-8"))
    assert manifest["config"]["control"] == {"kind": "genes", "seed": 1}
    assert "control" not in document("cache", "info", real["cache"])["manifest"]["config"]
    assert verify_cache(Path(other["cache"])).findings == ()
    # the same strains and phenotypes on all
    samples = [Cache(Path(found["cache"])).columns() for found in (real, other)]
    assert samples[0].genes.tolist() == samples[1].genes.tolist()
    assert samples[0].value.tolist() == samples[1].value.tolist()
    assert document("cache", "rebuild", other["cache"])["fingerprint"] == other["fingerprint"]


def test_a_seed_without_a_control_is_refused(tmp_path: Path) -> None:
    error = failure("build-cache", *toy_build(tmp_path), "--root", tmp_path, "--control-seed", 3)
    assert "--control-seed needs --control" in str(error)
