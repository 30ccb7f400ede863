"""The graph whose levels are verified or drawn: the whole ontology, or the hierarchy that a cache would use."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from gocell_cli.domain.levels import Grouping, check_levels, ontology_groupings
from gocell_cli.domain.ontology import Edges, Ontology
from gocell_cli.domain.ontology_check import OntologyFindings, check_ontology, require_whole
from gocell_cli.domain.term_filters import FilterRules
from gocell_cli.domain.term_hierarchy import TermHierarchy, below_super_root, edge_relations


@dataclass(frozen=True)
class LevelGraph:
    """Terms with names, edges with their relations, and the four groupings.

    `hierarchy` is the filtered one, None for the whole ontology; `findings` are those of the ontology as it was read.
    """

    ontology: Ontology
    ids: tuple[str, ...]
    names: tuple[str, ...]
    edges: Edges
    relation: list[str]
    groupings: dict[str, Grouping]
    findings: OntologyFindings
    hierarchy: TermHierarchy | None = None
    width_by: str = "direct"

    @classmethod
    def of_ontology(cls, ontology: Ontology, relations: tuple[str, ...]) -> "LevelGraph":
        """Return the graph of all live terms over some relations; raises InvalidInput as `require_whole` does."""
        return cls(
            findings=require_whole(ontology, relations),
            ontology=ontology,
            ids=ontology.ids,
            names=ontology.names,
            edges=ontology.select(relations),
            relation=ontology.relation_of_edge(relations),
            groupings=ontology_groupings(ontology, relations),
        )

    @classmethod
    def of_hierarchy(cls, ontology: Ontology, hierarchy: TermHierarchy, rules: FilterRules) -> "LevelGraph":
        """Return the graph of a hierarchy that `rules` made of an ontology, without the root put above GO's own."""
        inner = ontology.within(rules.namespaces)
        terms, edges, groupings = below_super_root(hierarchy)
        return cls(
            findings=check_ontology(ontology, rules.relations),
            ontology=inner,
            ids=tuple(inner.ids[t] for t in terms),
            names=tuple(inner.names[t] for t in terms),
            edges=edges,
            relation=edge_relations(inner, terms, edges, rules.relations),
            groupings=groupings,
            hierarchy=hierarchy,
            width_by=rules.width_by,
        )


def level_report(graph: LevelGraph, by: str, most: int | None) -> dict[str, Any]:
    """Return what holds of each grouping, and up to `most` offending edges by one of them (None: all).

    Plain values that JSON can hold.
    """
    reports = {name: check_levels(grouping, graph.edges) for name, grouping in graph.groupings.items()}
    groupings = [
        {"by": r.by, "groups": r.groups, "same_level": r.same_level, "inverted": r.inverted, "ok": r.ok}
        for r in reports.values()
    ]
    findings = [
        {
            "kind": f.kind,
            "child": graph.ids[f.child],
            "parent": graph.ids[f.parent],
            "relation": graph.relation[f.edge],
            "child_level": f.child_level,
            "parent_level": f.parent_level,
        }
        for f in reports[by].findings[:most]
    ]
    return {
        "ontology": {
            "source": graph.ontology.source,
            "release": graph.ontology.release,
            "terms": len(graph.ids),
            "edges": dict(Counter(graph.relation)),
            "dangling_edges": dict(graph.findings.dangling),
            "foreign_edges": dict(graph.findings.foreign),
            "roots": len(graph.findings.roots),
            "unexpected_roots": list(graph.findings.unexpected),
        },
        **({"hierarchy": _counts(graph.hierarchy, graph.width_by)} if graph.hierarchy is not None else {}),
        "by": by,
        "ok": reports[by].ok,
        "groupings": groupings,
        "findings": findings,
    }


def _counts(hierarchy: TermHierarchy, width_by: str) -> dict[str, int]:
    """What a cache of the hierarchy would hold, its root counted; neurons by DCell's rule."""
    return {
        "terms": len(hierarchy),
        "edges": len(hierarchy.edges),
        "rows": len(hierarchy.row_term),
        "genes": len(set(hierarchy.row_gene.tolist())),
        "strata": len(set(hierarchy.groupings["stratum"].level.tolist())),
        "neurons": hierarchy.neurons(width_by),
    }
