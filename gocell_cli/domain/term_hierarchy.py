"""The filtered hierarchy as index arrays: terms with GO:ROOT, edges, term-gene rows, and all four groupings."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int32

from gocell_cli.dcell_rules import term_width
from gocell_cli.domain.levels import Grouping, generations, goatools_groupings, heights
from gocell_cli.domain.ontology import SUPER_ROOT_ID, SUPER_ROOT_NAME, SUPER_ROOT_NAMESPACE, Edges, Ontology
from gocell_cli.domain.term_filters import FilteredTerms, Removal
from gocell_cli.domain.term_graph import SUPER_ROOT, genes_in

CONTRACTED = "contracted"


@dataclass(frozen=True)
class TermHierarchy:
    """Terms sorted by id (GO:ROOT among them), edges by (child, parent), rows by (term, gene).

    `ontology_index` is each term's index in the ontology, -1 for GO:ROOT; `removed` counts by it, too. GO:ROOT has
    GOATOOLS level and depth -1 (it sits above the namespace roots, which GOATOOLS puts at 0) and stratum 0.
    """

    ids: tuple[str, ...]
    names: tuple[str, ...]
    namespaces: tuple[str, ...]
    ontology_index: Int32[np.ndarray, " terms"]
    edges: Edges
    row_term: Int32[np.ndarray, " rows"]
    row_gene: Int32[np.ndarray, " rows"]
    direct_genes: Int32[np.ndarray, " terms"]
    contained_genes: Int32[np.ndarray, " terms"]
    groupings: Mapping[str, Grouping]
    funnel: Mapping[str, int]
    removed: Mapping[int, Removal]

    def __len__(self) -> int:
        return len(self.ids)

    def neurons(self, width_by: str) -> int:
        """Neurons of DCell in all, n_t a term's `direct` or `contained` genes."""
        return int(term_width(self.direct_genes if width_by == "direct" else self.contained_genes).sum())


def make_term_hierarchy(ontology: Ontology, filtered: FilteredTerms) -> TermHierarchy:
    """Turn the filtered graph into arrays; GOATOOLS' level and depth are those of the whole ontology."""
    graph = filtered.graph
    terms = sorted(graph.parents, key=lambda t: _label(ontology, t)[0])
    position = {t: i for i, t in enumerate(terms)}
    labels = [_label(ontology, t) for t in terms]
    pairs = sorted((position[t], position[p]) for t in terms for p in graph.parents[t])
    rows = [(position[t], g) for t in terms for g in genes_in(graph.direct[t])]
    # the shapes hold without any pair; column 0 is copied out, so that no stride of two is carried along
    edge_array = np.array(pairs, dtype=np.int32).reshape(-1, 2)
    row_array = np.array(rows, dtype=np.int32).reshape(-1, 2)
    edges = Edges(child=edge_array[:, 0].copy(), parent=edge_array[:, 1].copy())
    index = np.array(terms, dtype=np.int32)
    # of the whole ontology, as GOATOOLS tells them: the filters would move terms up
    goatools = {by: _with_super_root(g, index) for by, g in goatools_groupings(ontology).items()}
    return TermHierarchy(
        ids=tuple(label[0] for label in labels),
        names=tuple(label[1] for label in labels),
        namespaces=tuple(label[2] for label in labels),
        ontology_index=index,
        edges=edges,
        row_term=row_array[:, 0].copy(),
        row_gene=row_array[:, 1].copy(),
        direct_genes=np.array([graph.direct[t].bit_count() for t in terms], dtype=np.int32),
        contained_genes=np.array([graph.contained[t].bit_count() for t in terms], dtype=np.int32),
        groupings={
            "stratum": Grouping("stratum", generations(len(terms), edges)[0]),
            **goatools,
            "height": Grouping("height", heights(len(terms), edges)),
        },
        funnel=filtered.funnel,
        removed=filtered.removed,
    )


def _label(ontology: Ontology, term: int) -> tuple[str, str, str]:
    if term == SUPER_ROOT:
        return SUPER_ROOT_ID, SUPER_ROOT_NAME, SUPER_ROOT_NAMESPACE
    return ontology.ids[term], ontology.names[term], ontology.namespaces[term]


def _with_super_root(grouping: Grouping, index: Int32[np.ndarray, " terms"]) -> Grouping:
    # GO:ROOT's index, -1, reads the last term's level here; np.where puts its own, -1, in its place
    level = np.where(index == SUPER_ROOT, -1, grouping.level[index]).astype(np.int32)
    return Grouping(grouping.by, level)


def below_super_root(hierarchy: TermHierarchy) -> tuple[tuple[int, ...], Edges, dict[str, Grouping]]:
    """Return the ontology indices of the terms without GO:ROOT, their edges, and their groupings."""
    kept = hierarchy.ontology_index != SUPER_ROOT
    position = (np.cumsum(kept) - 1).astype(np.int32)
    # edges to GO:ROOT go with it: gocell put them there, GO has none
    inner = kept[hierarchy.edges.child] & kept[hierarchy.edges.parent]
    edges = Edges(position[hierarchy.edges.child[inner]], position[hierarchy.edges.parent[inner]])
    groupings = {by: Grouping(by, g.level[kept]) for by, g in hierarchy.groupings.items()}
    return tuple(hierarchy.ontology_index[kept].tolist()), edges, groupings


def edge_relations(ontology: Ontology, terms: tuple[int, ...], edges: Edges, relations: tuple[str, ...]) -> list[str]:
    """Return each edge's relation in the ontology, `contracted` where a removed term stood between."""
    direct = {
        pair: relation
        # an edge of two relations is told by the first named: of equal keys the last one written stays
        for relation in reversed(relations)
        for pair in zip(ontology.edges[relation].child.tolist(), ontology.edges[relation].parent.tolist(), strict=True)
    }
    pairs = zip(edges.child.tolist(), edges.parent.tolist(), strict=True)
    return [direct.get((terms[child], terms[parent]), CONTRACTED) for child, parent in pairs]
