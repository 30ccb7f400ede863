"""Levels: the toy's numbers, brute force on random DAGs, and the check's two kinds of fault."""

from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from hypothesis import given

from gocell_cli.dcell_rules import shortest_paths
from gocell_cli.domain.levels import Grouping, check_levels, generations, heights, ontology_groupings
from gocell_cli.domain.ontology import Edges
from gocell_cli.errors import CycleError, UsageError
from tests import toy
from tests.domain.dags import Pairs, as_ontology, dags
from tests.reference.levels import faults, paths_down


@pytest.mark.parametrize(
    ("by", "values"),
    [("level", toy.LEVEL), ("depth", toy.DEPTH), ("stratum", toy.STRATUM), ("height", toy.HEIGHT)],
)
def test_toy_levels_are_those_found_by_hand(tmp_path: Path, by: str, values: dict[int, int]) -> None:
    grouping = ontology_groupings(toy.ontology(tmp_path), ("is_a",))[by]
    assert grouping.level.tolist() == [values[n] for n in sorted(values)]


def test_the_toy_shows_both_faults_of_the_shortest_path(tmp_path: Path) -> None:
    ontology = toy.ontology(tmp_path)
    report = check_levels(ontology_groupings(ontology, ("is_a",))["level"], ontology.select(("is_a",)))
    named = {(f.kind, f.child + 1, f.parent + 1) for f in report.findings}
    assert named == {("same_level", *toy.SAME_LEVEL[0]), ("inverted", *toy.INVERTED[0])}
    assert not report.ok
    assert (report.groups, report.same_level, report.inverted) == (3, 1, 1)


def _edges(pairs: Pairs) -> Edges:
    array = np.array(pairs, dtype=np.int32).reshape(-1, 2)
    return Edges(array[:, 0].copy(), array[:, 1].copy())


@given(dags())
def test_levels_agree_with_every_path_spelled_out(dag: tuple[int, Pairs]) -> None:
    terms, pairs = dag
    lengths = paths_down(terms, pairs)
    generation, stuck = generations(terms, _edges(pairs))
    assert not stuck.any()
    assert generation.tolist() == [max(lengths[t]) for t in range(terms)]
    edges = _edges(pairs)
    assert shortest_paths(terms, edges.child, edges.parent).tolist() == [min(lengths[t]) for t in range(terms)]
    upside_down = paths_down(terms, [(p, c) for c, p in pairs])
    assert heights(terms, _edges(pairs)).tolist() == [max(upside_down[t]) for t in range(terms)]


@given(dags())
def test_strata_are_networkx_topological_generations(dag: tuple[int, Pairs]) -> None:
    terms, pairs = dag
    ontology = as_ontology(terms, pairs)
    stratum = ontology_groupings(ontology, ("is_a",))["stratum"].level
    root, *generations = nx.topological_generations(ontology.graph(("is_a",)))
    assert root == ["GO:ROOT"]
    for number, generation in enumerate(generations):
        assert {int(stratum[ontology.index[t]]) for t in generation} == {number + 1}


@given(dags())
def test_the_check_finds_exactly_the_faults(dag: tuple[int, Pairs]) -> None:
    terms, pairs = dag
    groupings = ontology_groupings(as_ontology(terms, pairs), ("is_a",))
    edges = as_ontology(terms, pairs).select(("is_a",))
    for by in ("stratum", "depth", "height"):
        assert check_levels(groupings[by], edges).ok
    report = check_levels(groupings["level"], edges)
    same, inverted = faults(groupings["level"].level.tolist(), pairs)
    assert sorted(f.edge for f in report.findings if f.kind == "same_level") == same
    assert sorted(f.edge for f in report.findings if f.kind == "inverted") == inverted


def test_findings_alternate_so_that_the_first_two_show_both_kinds() -> None:
    edges = _edges([(0, 1), (2, 3), (4, 5), (6, 7)])
    level = np.array([1, 1, 1, 1, 0, 1, 0, 1], dtype=np.int32)
    kinds = [f.kind for f in check_levels(Grouping("level", level), edges).findings]
    assert kinds == ["inverted", "same_level", "inverted", "same_level"]


def test_height_is_checked_from_the_leaves_up() -> None:
    level = np.array([0, 1], dtype=np.int32)
    assert check_levels(Grouping("height", level), _edges([(0, 1)])).ok
    assert check_levels(Grouping("height", level), _edges([(1, 0)])).inverted == 1
    assert check_levels(Grouping("level", level), _edges([(0, 1)])).inverted == 1


@given(dags(max_terms=6))
def test_a_cycle_is_named_term_by_term(dag: tuple[int, Pairs]) -> None:
    terms, pairs = dag
    ring = [(terms + (i + 1) % 3, terms + i) for i in range(3)]
    below = [(0, terms)]
    ontology = as_ontology(terms + 3, sorted([*pairs, *ring, *below]))
    with pytest.raises(CycleError) as caught:
        ontology_groupings(ontology, ("is_a",))
    ids = [name.split(" ")[0] for name in caught.value.cycle]
    edges = {(ontology.ids[p], ontology.ids[c]) for c, p in (*pairs, *ring, *below)}
    assert len(ids) == 3
    assert set(zip(ids, [*ids[1:], ids[0]], strict=True)) <= edges
    with pytest.raises(CycleError):
        ontology.graph(("is_a",))
    assert all(name in caught.value.message for name in ids)


def test_level_and_depth_are_over_is_a_whatever_the_relations() -> None:
    both = as_ontology(3, [(1, 0), (2, 0)])
    part_of = as_ontology(3, [(2, 1)], "part_of")
    mixed = as_ontology(3, [(1, 0), (2, 0)]).__class__(
        **{**vars(both), "edges": {**both.edges, "part_of": part_of.edges["part_of"]}}
    )
    groupings = ontology_groupings(mixed, ("is_a", "part_of"))
    assert groupings["depth"].level.tolist() == [0, 1, 1]
    assert groupings["stratum"].level.tolist() == [1, 2, 3]
    assert check_levels(groupings["depth"], mixed.select(("is_a", "part_of"))).same_level == 1


def test_an_unknown_relation_is_refused_with_those_there_are() -> None:
    with pytest.raises(UsageError, match="has_part") as caught:
        as_ontology(2, [(1, 0)]).select(("has_part",))
    assert "is_a" in caught.value.why
