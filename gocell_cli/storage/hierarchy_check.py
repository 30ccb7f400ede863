"""Checks of a hierarchy's arrays: indices in range, orders as promised, and levels that hold on every edge.

The graph was checked when the cache was built; this check needs nothing but the arrays, and runs whenever
a cache is opened.
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from jaxtyping import Int32

from gocell_cli.dcell_rules import forbidden_edges
from gocell_cli.level_directions import DIRECTIONS
from gocell_cli.storage.schema import Hierarchy

MAX_NAMED = 3


def check_hierarchy(hierarchy: Hierarchy) -> list[str]:
    """Return what is wrong with a hierarchy, one sentence a finding; empty where all holds."""
    structure = _structure(hierarchy)  # first: with an index out of range the rest would read past an array's end
    inputs = hierarchy.inputs.faults() if hierarchy.inputs is not None else []
    return structure or [*_csr(hierarchy), *_numbers(hierarchy), *check_levels(hierarchy), *inputs]


def level_counts(hierarchy: Hierarchy) -> tuple[int, ...]:
    """Return the terms at each level, from the lowest level on, for a hierarchy whose levels are in range."""
    # counted from the lowest, for GOATOOLS' levels begin at -1
    return tuple(np.bincount(hierarchy.level - hierarchy.level.min()).tolist()) if len(hierarchy.level) else ()


def check_levels(hierarchy: Hierarchy) -> list[str]:
    """Return a finding for same-level edges and one for inverted edges, with the first few by name."""
    child = hierarchy.level[hierarchy.edge_child]
    parent = hierarchy.level[hierarchy.edge_parent]
    if hierarchy.level_direction not in DIRECTIONS:
        return [f"unknown level_direction {hierarchy.level_direction!r}"]
    same, inverted = forbidden_edges(child, parent, hierarchy.level_direction)
    faults = (("same-level", same), ("inverted", inverted))
    return [_name_edges(hierarchy, kind, np.flatnonzero(mask).tolist()) for kind, mask in faults if mask.any()]


def _name_edges(hierarchy: Hierarchy, kind: str, edges: list[int]) -> str:
    names = [
        f"{hierarchy.term_ids[hierarchy.edge_child[e]]} -> {hierarchy.term_ids[hierarchy.edge_parent[e]]}"
        for e in edges[:MAX_NAMED]
    ]
    return f"{len(edges)} {kind} edges by {hierarchy.level_by} (child -> parent): {', '.join(names)}"


def _structure(h: Hierarchy) -> list[str]:
    if not _lengths(h):
        return ["columns of one table differ in length"]
    terms, genes, rows = len(h.term_ids), len(h.gene_names), h.rows
    # functions, for they are written down as one table and run only once lengths are known to agree
    checks: list[tuple[str, Callable[[], bool]]] = [
        ("an edge names a term out of range", lambda: _within(h.edge_child, terms) and _within(h.edge_parent, terms)),
        ("a row names a term or gene out of range", lambda: _within(h.row_term, terms) and _within(h.row_gene, genes)),
        ("a gene names a row out of range", lambda: _within(h.gene_rows, rows)),
        ("term ids are not sorted and distinct", lambda: _ascending(h.term_ids)),
        ("gene names are not sorted and distinct", lambda: _ascending(h.gene_names)),
        ("rows are not sorted by (term, gene)", lambda: _pairs_ascend(h.row_term, h.row_gene)),
        ("edges are not sorted by (child, parent)", lambda: _pairs_ascend(h.edge_child, h.edge_parent)),
    ]
    return [finding for finding, holds in checks if not holds()]


def _csr(h: Hierarchy) -> list[str]:
    counts = np.bincount(h.row_gene, minlength=len(h.gene_names))
    # stable: rows of one gene keep their order, ascending, which is what the builder wrote
    order = np.argsort(h.row_gene, kind="stable")
    if h.gene_ptr[0] != 0 or not np.array_equal(np.diff(h.gene_ptr), counts):
        return ["gene_ptr does not count each gene's rows"]
    return [] if np.array_equal(h.gene_rows, order) else ["gene_rows does not list each gene's rows"]


def _numbers(h: Hierarchy) -> list[str]:
    """What of the terms' numbers cannot be: a trainer takes memory by them."""
    terms, genes = len(h.term_ids), len(h.gene_names)
    faults = []
    # no path is longer than there are terms; GOATOOLS' levels begin at -1
    if not all(_within(column + 1, terms + 2) for column in (h.go_level, h.go_depth, h.stratum, h.height, h.level)):
        faults.append("a level is out of range")
    if not np.array_equal(np.bincount(h.row_term, minlength=terms), h.direct_genes):
        faults.append("direct_genes does not count each term's rows")
    if not ((h.contained_genes >= h.direct_genes).all() and (h.contained_genes <= genes).all()):
        faults.append("contained_genes is out of range")
    return faults


def _lengths(h: Hierarchy) -> bool:
    terms = (h.term_names, h.term_namespaces, h.go_level, h.go_depth, h.stratum, h.height, h.level)
    return (
        {len(c) for c in (*terms, h.direct_genes, h.contained_genes)} == {len(h.term_ids)}
        and len(h.gene_ptr) == len(h.gene_names) + 1
        and len(h.gene_rows) == len(h.row_gene) == len(h.row_term)
        and len(h.edge_child) == len(h.edge_parent)
        and (h.inputs is None or {len(c) for c in vars(h.inputs).values()} == {len(h.gene_names)})
    )


def _within(values: Int32[np.ndarray, " n"], size: int) -> bool:
    return not len(values) or bool(values.min() >= 0 and values.max() < size)


def _ascending(names: tuple[str, ...]) -> bool:
    return all(a < b for a, b in pairwise(names))


# Sorted, distinct pairs make every table's bytes a function of what it holds, and let a reader search instead of index.
def _pairs_ascend(first: Int32[np.ndarray, " n"], second: Int32[np.ndarray, " n"]) -> bool:
    key = first.astype(np.int64) * (2**31) + second  # indices are int32 and not negative, so no two pairs share a key
    return bool((np.diff(key) > 0).all())
