"""The four meanings of "level" on a DAG, and the check that a model may batch by one of them.

| name    | definition                                                             | counts from |
|---------|------------------------------------------------------------------------|-------------|
| level   | shortest is_a path from a root (GOATOOLS `GOTerm.level`)               | root down   |
| depth   | longest is_a path from a root (GOATOOLS `GOTerm.depth`)                | root down   |
| stratum | longest path from GO:ROOT over the edges in use                        | root down   |
| height  | longest path down to a leaf over the same edges (DrugCell's order)     | leaf up     |

GOATOOLS: Klopfenstein et al. 2018, doi:10.1038/s41598-018-28948-z. Strata are the topological
generations of the graph (networkx `topological_generations`); height is the same on reversed edges.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int32

from gocell_cli.dcell_rules import forbidden_edges, longest_paths, shortest_paths
from gocell_cli.domain.ontology import Edges, Ontology
from gocell_cli.level_directions import LEAF_UP, ROOT_DOWN

SAME_LEVEL, INVERTED = "same_level", "inverted"


@dataclass(frozen=True)
class Grouping:
    """One assignment of levels to terms; level holds an int32 for each term."""

    by: str
    level: Int32[np.ndarray, " terms"]

    @property
    def direction(self) -> str:
        """`leaf_up` for height, else `root_down`."""
        return LEAF_UP if self.by == "height" else ROOT_DOWN


@dataclass(frozen=True)
class LevelFinding:
    """An edge that a level-by-level model may not have; child and parent are term indices."""

    kind: str
    edge: int
    child: int
    parent: int
    child_level: int
    parent_level: int


@dataclass(frozen=True)
class LevelReport:
    """What the check of one grouping found."""

    by: str
    groups: int
    same_level: int
    inverted: int
    findings: tuple[LevelFinding, ...]

    @property
    def ok(self) -> bool:
        """True where every edge goes from a strictly deeper group to a strictly shallower one."""
        return self.same_level == 0 and self.inverted == 0


def generations(terms: int, edges: Edges) -> tuple[Int32[np.ndarray, " terms"], Bool[np.ndarray, " terms"]]:
    """Longest path from any root to each term, and which terms a cycle keeps from having one."""
    return longest_paths(terms, edges.child, edges.parent)


def ontology_groupings(ontology: Ontology, relations: Sequence[str]) -> dict[str, Grouping]:
    """Return all four groupings of a whole ontology; namespace roots have stratum 1, level and depth 0.

    Stratum and height are longest paths over the edges in use: every edge adds a step to any path that ends in it, so
    they hold on each by construction. Level is a shortest path, and a second parent may lie as deep as the child or
    deeper; depth is a longest one, but over is_a alone, so that a part_of edge may lie within it or against it.

    Raises CycleError, which names the cycle, where the edges in use (or is_a) are not acyclic.
    """
    used = ontology.select(relations)
    return {
        # GO:ROOT, at 0, is not among the ontology's own terms: theirs begin at 1, as they will below it
        "stratum": Grouping("stratum", _acyclic(ontology, used) + np.int32(1)),
        **goatools_groupings(ontology),
        "height": Grouping("height", heights(len(ontology), used)),
    }


def require_acyclic(ontology: Ontology, relations: Sequence[str]) -> None:
    """Raise CycleError, which names the cycle, where the edges of some relations are not acyclic."""
    _acyclic(ontology, ontology.select(relations))


def goatools_groupings(ontology: Ontology) -> dict[str, Grouping]:
    """Return GOATOOLS' level and depth: over is_a only, whatever other relations are in use."""
    # GOATOOLS' GOTerm.level and depth follow is_a alone, and these are to be its numbers
    is_a = ontology.select([ontology.level_relation])
    depth = _acyclic(ontology, is_a)
    return {
        "level": Grouping("level", shortest_paths(len(ontology), is_a.child, is_a.parent)),
        "depth": Grouping("depth", depth),
    }


def heights(terms: int, edges: Edges) -> Int32[np.ndarray, " terms"]:
    """Longest path from each term of an acyclic graph down to a leaf."""
    # with every edge turned round, the longest path from a root is the longest path to a leaf
    return generations(terms, Edges(child=edges.parent, parent=edges.child))[0]


def _acyclic(ontology: Ontology, edges: Edges) -> Int32[np.ndarray, " terms"]:
    generation, stuck = generations(len(ontology), edges)
    if stuck.any():
        raise ontology.cycle_error(edges, np.flatnonzero(stuck).tolist())
    return generation


def check_levels(grouping: Grouping, edges: Edges) -> LevelReport:
    """Check every edge of a graph against one grouping.

    Root-down levels need level(child) > level(parent), leaf-up ones level(child) < level(parent).
    Findings alternate between the two kinds, so that the first few show both.
    """
    child_level, parent_level = grouping.level[edges.child], grouping.level[edges.parent]
    same, inverted = forbidden_edges(child_level, parent_level, grouping.direction)
    # the first of each kind, then the second of each: sorting by rank alternates them
    ranked = [
        (rank, kind, int(edge))
        for kind, mask in ((INVERTED, inverted), (SAME_LEVEL, same))
        for rank, edge in enumerate(np.flatnonzero(mask))
    ]
    findings = tuple(
        LevelFinding(
            kind=kind,
            edge=e,
            child=int(edges.child[e]),
            parent=int(edges.parent[e]),
            child_level=int(child_level[e]),
            parent_level=int(parent_level[e]),
        )
        for _, kind, e in sorted(ranked)
    )
    return LevelReport(
        by=grouping.by,
        groups=len(np.unique(grouping.level)),
        same_level=int(same.sum()),
        inverted=int(inverted.sum()),
        findings=findings,
    )
