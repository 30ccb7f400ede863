"""Controls of a hierarchy: how much of a result is the ontology's, and how much any network's of the same shape.

genes  the genes' labels are exchanged at random: every term has as many genes as before, every edge stands
edges  every term keeps its level, its number of children and of parents at each level; who they are is drawn
dag    a random DAG of the same shape: as many terms a level, edges between each two levels and direct genes a term,
       and each gene in as many terms; all else is drawn

After the controls of arXiv 2505.04300, where networks on shuffled pathways did as well. All are pure functions of the
arrays, the kind and the seed: the builder and the trainer make the same ones. Genes without annotation stay without.
"""

from collections import Counter
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32, Int64, Integer

from gocell_cli.csr import pointers
from gocell_cli.level_directions import ROOT_DOWN

GENES, EDGES, DAG = "genes", "edges", "dag"
CONTROLS = (GENES, EDGES, DAG)
TRADES = 10
"""Of a list on average, twice over: of GO's rows 25 % are as before after 2, 6.8 % after 5, 3.9 % after 10 and 3.7 %
after 20; by chance alone it is 3.7 %."""
MOVES = 20
"""Tried of an edge on average: each end is drawn anew some ten times."""


class Control(NamedTuple):
    """One of CONTROLS, and what it is drawn by."""

    kind: str
    seed: int


class Wiring(NamedTuple):
    """A hierarchy's edges, sorted by (child, parent), and its rows, sorted by (term, gene)."""

    edge_child: Int32[np.ndarray, " edges"]
    edge_parent: Int32[np.ndarray, " edges"]
    row_term: Int32[np.ndarray, " rows"]
    row_gene: Int32[np.ndarray, " rows"]


def control_wiring(wiring: Wiring, level: Int32[np.ndarray, " terms"], direction: str, control: Control) -> Wiring:
    """Return the wiring of one control; `level` holds on every edge before and after.

    Raises ValueError for a kind that is none of CONTROLS.
    """
    rng = np.random.default_rng((CONTROLS.index(control.kind), control.seed))
    if control.kind == GENES:
        return _sorted(wiring._replace(row_gene=_other_labels(wiring.row_gene, rng)))
    if control.kind == EDGES:
        return _sorted(wiring._replace(edge_parent=_other_parents(wiring, level, rng)))
    child, parent = _random_edges(wiring, level, direction, rng)
    # genes trade terms, not terms genes: a root's list of 1,200 would take hundreds of trades with lists of ten
    rows = np.argsort(wiring.row_gene, kind="stable")
    genes = wiring.row_gene[rows]
    return _sorted(Wiring(child, parent, _traded(genes, wiring.row_term[rows], rng), genes))


def _sorted(wiring: Wiring) -> Wiring:
    edges = np.lexsort((wiring.edge_parent, wiring.edge_child))
    rows = np.lexsort((wiring.row_gene, wiring.row_term))
    return Wiring(wiring.edge_child[edges], wiring.edge_parent[edges], wiring.row_term[rows], wiring.row_gene[rows])


def _other_labels(genes: Int32[np.ndarray, " rows"], rng: np.random.Generator) -> Int32[np.ndarray, " rows"]:
    """Exchange the annotated genes among themselves."""
    annotated, place = np.unique(genes, return_inverse=True)
    found: np.ndarray = rng.permutation(annotated)[place]
    return found


def _other_parents(
    wiring: Wiring, level: Int32[np.ndarray, " terms"], rng: np.random.Generator
) -> Int32[np.ndarray, " edges"]:
    """Trade parents between children of one level, those of one level at a time: so no term's level can change."""
    span = int(level.max()) - int(level.min()) + 1 if len(level) else 1
    levels = level[wiring.edge_child].astype(np.int64) * span + level[wiring.edge_parent]
    found = wiring.edge_parent.copy()
    for pair in np.unique(levels).tolist():
        edges = np.flatnonzero(levels == pair)
        found[edges] = _traded(wiring.edge_child[edges], wiring.edge_parent[edges], rng)
    return found


def _traded(
    owner: Integer[np.ndarray, " n"], value: Int32[np.ndarray, " n"], rng: np.random.Generator
) -> Int32[np.ndarray, " n"]:
    """Draw a bipartite graph of the same degrees: `owner`, ascending, has each value once, before and after.

    The curveball algorithm, Strona et al. 2014, doi:10.1038/ncomms5114: two lists put together what only one of them
    has and draw from it as many as each gave; every graph is as likely (Carstens 2015, doi:10.1103/PhysRevE.91.042812).
    """
    ptr = pointers(np.unique(owner, return_counts=True)[1])
    lists = [set(part.tolist()) for part in np.split(value, ptr[1:-1])]
    pairs = rng.integers(len(lists), size=(TRADES * len(lists) if len(lists) > 1 else 0, 2))
    for a, b in pairs.tolist():
        first, second = lists[a] - lists[b], lists[b] - lists[a]
        if first and second:  # else one holds all of the other's: there is nothing to trade
            # sorted: the order of a set is its history's
            pool = rng.permutation(sorted(first | second)).tolist()
            lists[a] = (lists[a] - first) | set(pool[: len(first)])
            lists[b] = (lists[b] - second) | set(pool[len(first) :])
    # owners ascend and lists keep their lengths: each value goes back to its owner's places
    return np.array([v for kept in lists for v in sorted(kept)], dtype=np.int32)


class _Needs:
    """What a term may not lose: its last parent, its last child where it has no gene, what its level stands on."""

    def __init__(self, wiring: Wiring, level: Int32[np.ndarray, " terms"], direction: str) -> None:
        self.level: list[int] = level.tolist()
        self.direct: list[int] = np.bincount(wiring.row_term, minlength=len(level)).tolist()
        self.root_down = direction == ROOT_DOWN
        edges = list(zip(wiring.edge_child.tolist(), wiring.edge_parent.tolist(), strict=True))
        self.parents = Counter(c for c, _ in edges)
        self.children = Counter(p for _, p in edges)
        # over one level exactly: a longest path runs over such an edge, so a level stands on it
        self.close_parents = Counter(c for c, p in edges if self._close(c, p))
        self.close_children = Counter(p for c, p in edges if self._close(c, p))

    def _close(self, child: int, parent: int) -> bool:
        return abs(self.level[child] - self.level[parent]) == 1

    def may_leave(self, child: int, parent: int, *, whole: bool) -> bool:
        """Whether the child may lose the parent (`whole` False), or the parent the child (True)."""
        close = self._close(child, parent)
        if not whole:
            alone = close and self.root_down and self.close_parents[child] == 1
            return self.parents[child] > 1 and not alone
        alone = close and not self.root_down and self.close_children[parent] == 1
        return (self.children[parent] > 1 or self.direct[parent] > 0) and not alone

    def count(self, child: int, parent: int, by: int) -> None:
        """Add an edge (1) or take it away (-1)."""
        self.parents[child] += by
        self.children[parent] += by
        if self._close(child, parent):
            self.close_parents[child] += by
            self.close_children[parent] += by


def _random_edges(
    wiring: Wiring, level: Int32[np.ndarray, " terms"], direction: str, rng: np.random.Generator
) -> tuple[Int32[np.ndarray, " edges"], Int32[np.ndarray, " edges"]]:
    """Move ends of edges to other terms of the same level, one at a time, as long as every term keeps what it needs.

    A step is as likely as its reverse, so that every DAG that can be reached is.
    """
    edges = list(zip(wiring.edge_child.tolist(), wiring.edge_parent.tolist(), strict=True))
    present, needs = set(edges), _Needs(wiring, level, direction)
    peers = {int(at): np.flatnonzero(level == at).tolist() for at in np.unique(level)}
    tries = MOVES * len(edges)
    chosen = rng.integers(max(len(edges), 1), size=tries).tolist()
    ends, places = rng.integers(2, size=tries).tolist(), rng.random(tries).tolist()
    for edge, end, place in zip(chosen, ends, places, strict=True):
        child, parent = edges[edge]
        moved = child if end == 0 else parent
        among = peers[needs.level[moved]]
        other = among[int(place * len(among))]
        new_child, new_parent = (other, parent) if end == 0 else (child, other)
        if (new_child, new_parent) in present or not needs.may_leave(child, parent, whole=end == 1):
            continue
        present.remove((child, parent))
        present.add((new_child, new_parent))
        needs.count(child, parent, -1)
        needs.count(new_child, new_parent, 1)
        edges[edge] = (new_child, new_parent)
    found: Int64[np.ndarray, "edges 2"] = np.array(edges, dtype=np.int64).reshape(-1, 2)
    return found[:, 0].astype(np.int32), found[:, 1].astype(np.int32)
