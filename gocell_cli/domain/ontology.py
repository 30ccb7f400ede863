"""The Gene Ontology as a frozen DAG: terms as columns, edges as index arrays (parent -> child)."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Int32

from gocell_cli.dcell_rules import longest_paths, shortest_paths
from gocell_cli.errors import CycleError, UsageError

if TYPE_CHECKING:
    import networkx as nx  # half a second to import, and needed only to name a cycle or to hand out a graph

SUPER_ROOT_ID = "GO:ROOT"
SUPER_ROOT_NAME = "GO Super Node"
SUPER_ROOT_NAMESPACE = "super_root"
IS_A = "is_a"
LIVE, MERGED, REPLACED = "live", "merged", "replaced"
LEFT_OUT, OBSOLETE, UNKNOWN = "other_namespace", "obsolete_term", "unknown_term"
"""How an id stands for a live term, and why it stands for none (`Ontology.place`)."""
TermGenes = Mapping[str, Mapping[str, Sequence[Mapping[str, object]]]]
"""By term id and gene: each annotation's evidence code, qualifier and date."""


@dataclass(frozen=True)
class Edges:
    """Edges between terms, by index into `Ontology.ids`; child and parent share one order."""

    child: Int32[np.ndarray, " edges"]
    parent: Int32[np.ndarray, " edges"]

    def __len__(self) -> int:
        return len(self.child)


@dataclass(frozen=True)
class Ontology:
    """Live terms (sorted by id) and their edges by relation; the super root is not among them.

    `level_relation` is the one that GOATOOLS' level and depth follow; `left_out` are the ids of live terms
    of the namespaces that were not chosen. `obsolete` are the ids of obsolete terms, alternative ones among them,
    and `replaced` says of some what terms replace each (`replaced_by`, which may name none that is live). `lost_edges`
    are the (child, parent) ids, by relation, of edges to no live term.
    """

    source: str
    release: str
    ids: tuple[str, ...]
    names: tuple[str, ...]
    namespaces: tuple[str, ...]
    alt_ids: Mapping[str, str]
    edges: Mapping[str, Edges]
    dropped: Mapping[str, int]
    level_relation: str = IS_A
    left_out: frozenset[str] = frozenset()
    obsolete: frozenset[str] = frozenset()
    replaced: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    lost_edges: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def index(self) -> dict[str, int]:
        """Term id -> index, primary ids only."""
        return {term: i for i, term in enumerate(self.ids)}

    def find(self, term: str) -> int | None:
        """Return the index of a primary or alternative id, None where no live term has it."""
        # annotations may still use the id of a term that was merged into another
        return self.index.get(self.alt_ids.get(term, term))

    def place(self, term: str) -> tuple[int | None, str]:
        """Return the index of the live term that an id stands for, and how: LIVE, MERGED or REPLACED.

        Where there is none the index is None, and the word says why: LEFT_OUT, OBSOLETE or UNKNOWN. An obsolete id
        stands for the term that replaces it where that is one live term; of several, a curator has to choose.
        """
        found = self.find(term)
        if found is not None:
            return found, LIVE if term in self.index else MERGED
        replacing = self.replaced.get(term, ())
        heir = self.find(replacing[0]) if len(replacing) == 1 else None
        if heir is not None:
            return heir, REPLACED
        # a merged term's old id belongs to its primary term's namespace, a replaced one's to its heir's
        if any(self.alt_ids.get(t, t) in self.left_out for t in (term, *replacing)):
            return None, LEFT_OUT
        return None, OBSOLETE if term in self.obsolete else UNKNOWN

    def select(self, relations: Sequence[str]) -> Edges:
        """Return the edges of some relations, one after the other.

        Raises UsageError for a relation that the ontology does not have.
        """
        unknown = [r for r in relations if r not in self.edges]
        if unknown or not relations:
            raise UsageError(
                f"unknown relation: {', '.join(unknown) or '(none given)'}",
                why=f"{self.source} has {', '.join(self.edges)}",
                hint=f"--relations {IS_A}",
            )
        # a relation named twice counts once, in the order of its first mention
        chosen = [self.edges[r] for r in dict.fromkeys(relations)]
        return Edges(
            child=np.concatenate([e.child for e in chosen]),
            parent=np.concatenate([e.parent for e in chosen]),
        )

    def within(self, namespaces: Collection[str]) -> "Ontology":
        """Return the terms of some namespaces and the edges among them; of all of them where none is named.

        Raises UsageError for a namespace that no term has.
        """
        unknown = sorted(set(namespaces) - set(self.namespaces))
        if unknown:
            raise UsageError(
                f"no term is in the namespace {', '.join(unknown)}",
                why=f"{self.source} has {', '.join(sorted(set(self.namespaces)))}",
                hint=f"--namespace {min(self.namespaces)}",
            )
        kept = np.array([not namespaces or n in namespaces for n in self.namespaces], dtype=bool)
        if kept.all():
            return self
        # a kept term's new index: how many kept ones stand before it; entries of the others are never read
        position = (np.cumsum(kept) - 1).astype(np.int32)
        chosen = np.flatnonzero(kept).tolist()
        return replace(
            self,
            ids=tuple(self.ids[t] for t in chosen),
            names=tuple(self.names[t] for t in chosen),
            namespaces=tuple(self.namespaces[t] for t in chosen),
            edges={relation: _among(edges, kept, position) for relation, edges in self.edges.items()},
            left_out=frozenset(self.ids[t] for t in np.flatnonzero(~kept).tolist()),
        )

    def relation_of_edge(self, relations: Sequence[str]) -> list[str]:
        """Return the relation of each edge that `select` returns, in its order."""
        return [r for r in dict.fromkeys(relations) for _ in range(len(self.edges[r]))]

    def graph(self, relations: Sequence[str] = (), genes: TermGenes | None = None) -> "nx.DiGraph[str]":
        """Return the DAG over term ids, edges parent -> child, GO:ROOT above every term that has no parent.

        A node has id, name, namespace, level and depth (GOATOOLS', -1 for GO:ROOT), is_obsolete (False: obsolete terms
        are none), alt_ids, gene_set (a frozenset of the genes annotated to it) and genes (what is said of each); an
        edge has its relation, the first named where it has several. `relations` are is_a where none is named; `genes`
        come from `annotations_by_term`. Raises UsageError for an unknown relation, CycleError where is_a has a cycle.
        """
        import networkx as nx

        named = relations or (self.level_relation,)
        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_nodes_from(self._nodes(genes or {}))
        told = [(r, e) for r in named for e in [self.select((r,))]]
        for relation, edges in reversed(told):
            pairs = zip(edges.parent.tolist(), edges.child.tolist(), strict=True)
            graph.add_edges_from(((self.ids[p], self.ids[c]) for p, c in pairs), relation=relation)
        if SUPER_ROOT_ID not in self.index:
            roots = [term for term in self.ids if not graph.in_degree(term)]
            graph.add_edges_from(((SUPER_ROOT_ID, term) for term in roots), relation=SUPER_ROOT_NAMESPACE)
        return graph

    def _nodes(self, genes: TermGenes) -> Iterable[tuple[str, dict[str, object]]]:
        """Yield each term and GO:ROOT with the attributes of its node."""
        is_a = self.select((self.level_relation,))
        depth, stuck = longest_paths(len(self), is_a.child, is_a.parent)
        if stuck.any():
            raise self.cycle_error(is_a, np.flatnonzero(stuck).tolist())
        level = shortest_paths(len(self), is_a.child, is_a.parent).tolist()
        alternatives: dict[str, list[str]] = {}
        for other, term in self.alt_ids.items():
            alternatives.setdefault(term, []).append(other)
        labels = zip(self.ids, self.names, self.namespaces, level, depth.tolist(), strict=True)
        root = (SUPER_ROOT_ID, SUPER_ROOT_NAME, SUPER_ROOT_NAMESPACE, -1, -1)
        for term, name, namespace, term_level, term_depth in (
            *labels,
            *([root] if SUPER_ROOT_ID not in self.index else []),
        ):
            held = genes.get(term, {})
            yield (
                term,
                {
                    "id": term,
                    "name": name,
                    "namespace": namespace,
                    "level": term_level,
                    "depth": term_depth,
                    "is_obsolete": False,
                    "alt_ids": tuple(sorted(alternatives.get(term, ()))),
                    "gene_set": frozenset(held),
                    "genes": {gene: list(told) for gene, told in held.items()},
                },
            )

    def cycle_error(self, edges: Edges, terms: Iterable[int]) -> CycleError:
        """Return the error that names one cycle among `terms`, which must hold one."""
        named = [f"{self.ids[t]} ({self.names[t]})" for t in self.find_cycle(edges, terms)]
        return CycleError(named, source=self.source)

    def find_cycle(self, edges: Edges, terms: Iterable[int]) -> list[int]:
        """Return one cycle among `terms`, which must hold one, parent before child, lowest index first."""
        import networkx as nx

        among = set(terms)
        pairs = zip(edges.parent.tolist(), edges.child.tolist(), strict=True)
        graph = nx.DiGraph((p, c) for p, c in pairs if p in among and c in among)
        # the search may enter the cycle anywhere: turned to its lowest term, it reads the same at every run
        cycle = [parent for parent, _ in nx.find_cycle(graph)]
        start = cycle.index(min(cycle))
        return cycle[start:] + cycle[:start]


def make_ontology(
    *,
    source: str,
    release: str,
    terms: Sequence[tuple[str, str, str]],
    alt_ids: Mapping[str, str],
    edges: Iterable[tuple[str, str, str]],
    dropped: Mapping[str, int],
    obsolete: frozenset[str] = frozenset(),
    replaced: Mapping[str, tuple[str, ...]] | None = None,
) -> Ontology:
    """Build an ontology from (id, name, namespace) and (child, parent, relation) tuples.

    Edges to ids that are no live term are dropped and counted; an alternative id as parent means its
    primary term. Repeated edges count once.
    """
    # by id: an index means the same term whatever order the file has them in
    ordered = sorted(terms)
    index = {term: i for i, (term, _, _) in enumerate(ordered)}
    by_relation: dict[str, dict[tuple[int, int], None]] = {}
    lost: dict[str, list[tuple[str, str]]] = {}
    repeated = 0
    for child, parent, relation in edges:
        c, p = index.get(child), index.get(alt_ids.get(parent, parent))
        if c is None or p is None:
            lost.setdefault(relation, []).append((child, parent))
            continue
        pairs = by_relation.setdefault(relation, {})
        repeated += (c, p) in pairs
        pairs[c, p] = None
    return Ontology(
        source=source,
        release=release,
        ids=tuple(t[0] for t in ordered),
        names=tuple(t[1] for t in ordered),
        namespaces=tuple(t[2] for t in ordered),
        alt_ids=dict(alt_ids),
        edges={r: _edge_arrays(pairs) for r, pairs in _is_a_first(by_relation).items()},
        dropped={**dropped, "edges_to_no_live_term": sum(map(len, lost.values())), "repeated_edges": repeated},
        obsolete=obsolete,
        replaced=dict(replaced or {}),
        lost_edges={relation: tuple(pairs) for relation, pairs in lost.items()},
    )


def _among(edges: Edges, kept: Bool[np.ndarray, " terms"], position: Int32[np.ndarray, " terms"]) -> Edges:
    inner = kept[edges.child] & kept[edges.parent]
    return Edges(child=position[edges.child[inner]], parent=position[edges.parent[inner]])


def _is_a_first(by_relation: dict[str, dict[tuple[int, int], None]]) -> dict[str, dict[tuple[int, int], None]]:
    names = sorted(by_relation, key=lambda r: (r != IS_A, r))
    # is_a is there even where no edge has it: GOATOOLS' level and depth always ask for it
    return {IS_A: {}} | {r: by_relation[r] for r in names}


def _edge_arrays(pairs: Iterable[tuple[int, int]]) -> Edges:
    # the shape holds without any pair; copies, for a column of the pairs would be a view with a stride of two
    array = np.array(sorted(pairs), dtype=np.int32).reshape(-1, 2)
    return Edges(child=array[:, 0].copy(), parent=array[:, 1].copy())
