"""Every finding of the hierarchy's check, provoked by changing one array of the toy hierarchy."""

from copy import copy

import numpy as np
import pytest

from gocell_cli.building.plan import BuildPlan
from gocell_cli.level_directions import LEAF_UP
from gocell_cli.storage.hierarchy_check import check_hierarchy
from gocell_cli.storage.schema import Hierarchy
from gocell_cli.storage.tables import TERM_ARRAYS
from tests import toy

TERM_COLUMNS = ("term_names", "term_namespaces", *TERM_ARRAYS)


@pytest.fixture
def hierarchy(toy_plan: BuildPlan) -> Hierarchy:
    return toy_plan.hierarchy


def changed(hierarchy: Hierarchy, **arrays: object) -> Hierarchy:
    """As dataclasses.replace, but past the type checks that pytest turns on: a file on disk passes none."""
    other = copy(hierarchy)
    for name, value in arrays.items():
        object.__setattr__(other, name, value)
    return other


def with_value(array: np.ndarray, index: int, value: int) -> np.ndarray:
    other = array.copy()
    other[index] = value
    return other


def test_the_toy_hierarchy_is_the_one_found_by_hand(hierarchy: Hierarchy) -> None:
    assert hierarchy.term_ids == toy.KEPT
    assert tuple(zip(hierarchy.edge_child.tolist(), hierarchy.edge_parent.tolist(), strict=True)) == toy.KEPT_EDGES
    assert tuple(zip(hierarchy.row_term.tolist(), hierarchy.row_gene.tolist(), strict=True)) == toy.KEPT_ROWS
    assert tuple(hierarchy.level.tolist()) == toy.KEPT_STRATUM
    assert check_hierarchy(hierarchy) == []


@pytest.mark.parametrize("value", [-1, 99])
@pytest.mark.parametrize(
    ("name", "finding"),
    [
        ("edge_child", "an edge names a term out of range"),
        ("edge_parent", "an edge names a term out of range"),
        ("row_term", "a row names a term or gene out of range"),
        ("row_gene", "a row names a term or gene out of range"),
        ("gene_rows", "a gene names a row out of range"),
    ],
)
def test_an_index_out_of_range(hierarchy: Hierarchy, name: str, finding: str, value: int) -> None:
    assert finding in check_hierarchy(changed(hierarchy, **{name: with_value(getattr(hierarchy, name), -1, value)}))


@pytest.mark.parametrize(
    "name",
    [*TERM_COLUMNS, "gene_names", "gene_ptr", "gene_rows"],
)
def test_a_column_that_is_too_short(hierarchy: Hierarchy, name: str) -> None:
    short = changed(hierarchy, **{name: getattr(hierarchy, name)[:-1]})
    assert "columns of one table differ in length" in check_hierarchy(short)


@pytest.mark.parametrize(
    ("names", "finding"),
    [
        (("term_ids",), "term ids are not sorted and distinct"),
        (("gene_names",), "gene names are not sorted and distinct"),
        (("row_term", "row_gene"), "rows are not sorted by (term, gene)"),
        (("edge_child", "edge_parent"), "edges are not sorted by (child, parent)"),
    ],
)
@pytest.mark.parametrize("order", [[1, 0], [0, 0]], ids=["swapped", "repeated"])
def test_an_order_that_does_not_hold(
    hierarchy: Hierarchy, names: tuple[str, ...], finding: str, order: list[int]
) -> None:
    arrays = {name: getattr(hierarchy, name) for name in names}
    other = {
        name: tuple(a[i] for i in order) + a[2:] if isinstance(a, tuple) else np.concatenate([a[order], a[2:]])
        for name, a in arrays.items()
    }
    assert check_hierarchy(changed(hierarchy, **other)) == [finding]


@pytest.mark.parametrize("ptr", [[0, 2, 2, 3, 4, 5], [1, 2, 3, 4, 5, 6], [0, 1, 2, 3, 4, 4]])
def test_gene_ptr_that_does_not_count_rows(hierarchy: Hierarchy, ptr: list[int]) -> None:
    assert hierarchy.gene_ptr.tolist() == [0, 1, 2, 3, 4, 5]
    wrong = changed(hierarchy, gene_ptr=np.array(ptr))
    assert check_hierarchy(wrong) == ["gene_ptr does not count each gene's rows"]


def test_gene_rows_that_lists_other_rows(hierarchy: Hierarchy) -> None:
    wrong = changed(hierarchy, gene_rows=hierarchy.gene_rows[[1, 0, 2, 3, 4]])
    assert check_hierarchy(wrong) == ["gene_rows does not list each gene's rows"]


def test_a_same_level_edge_is_named(hierarchy: Hierarchy) -> None:
    left, deep = toy.KEPT.index("GO:0000002"), toy.KEPT.index("GO:0000005")
    wrong = changed(hierarchy, level=with_value(hierarchy.level, left, int(hierarchy.level[deep])))
    assert check_hierarchy(wrong) == [
        "1 same-level edges by stratum (child -> parent): GO:0000005 -> GO:0000002",
    ]


def test_inverted_edges_are_counted_and_the_first_three_named(hierarchy: Hierarchy) -> None:
    deep = toy.KEPT.index("GO:0000005")
    wrong = changed(hierarchy, level=with_value(hierarchy.level, deep, -1))
    assert check_hierarchy(wrong) == [
        "3 inverted edges by stratum (child -> parent): GO:0000005 -> GO:0000001,"
        " GO:0000005 -> GO:0000002, GO:0000005 -> GO:0000003",
    ]


def test_leaf_up_levels_rise_towards_the_root(hierarchy: Hierarchy) -> None:
    by_height = changed(hierarchy, level=hierarchy.height, level_by="height", level_direction=LEAF_UP)
    assert check_hierarchy(by_height) == []
    turned = changed(hierarchy, level_direction=LEAF_UP)
    assert check_hierarchy(turned)[0].startswith("6 inverted edges by stratum")


def test_an_unknown_direction(hierarchy: Hierarchy) -> None:
    assert check_hierarchy(changed(hierarchy, level_direction="up")) == ["unknown level_direction 'up'"]


def test_by_level_the_toy_does_not_hold(hierarchy: Hierarchy) -> None:
    by_level = changed(hierarchy, level=hierarchy.go_level, level_by="level")
    assert check_hierarchy(by_level) == [
        "2 same-level edges by level (child -> parent): GO:0000005 -> GO:0000002, GO:0000005 -> GO:0000003"
    ]
