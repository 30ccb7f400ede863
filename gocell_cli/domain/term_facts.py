"""Everything about one term: where it stands in the ontology, its genes, and what the filters did with it."""

import difflib
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int32

from gocell_cli.domain.annotations import Annotations
from gocell_cli.domain.levels import ontology_groupings
from gocell_cli.domain.ontology import SUPER_ROOT_ID, Ontology
from gocell_cli.domain.term_filters import FilterRules, Removal, whole_graph
from gocell_cli.domain.term_graph import SUPER_ROOT, TermGraph, gene_masks, genes_in
from gocell_cli.domain.term_hierarchy import TermHierarchy
from gocell_cli.errors import UsageError

NAMESPACE_RULE = "namespace chosen"
ABOVE_ROOTS = "super_root"
"""What stands for the relation of a root to GO:ROOT: GO has none."""
ID_DIGITS = 7
NAMED = 3


@dataclass(frozen=True)
class TermFacts:
    """A term of the ontology, or GO:ROOT; parents and children are (term index, relation), genes are gene indices.

    Level, depth, stratum and height are of the whole ontology, over the relations in use (GOATOOLS' level and
    depth over is_a); genes are those that the evidence and date rules leave.
    """

    term: int
    levels: dict[str, int]
    parents: tuple[tuple[int, str], ...]
    children: tuple[tuple[int, str], ...]
    direct: tuple[int, ...]
    contained: tuple[int, ...]


def find_obsolete(ontology: Ontology, text: str) -> str | None:
    """Return the id of the obsolete term that a text names by its id, None where it names none."""
    return next((term for term in _ids_meant(text) if ontology.find(term) is None and term in ontology.obsolete), None)


def _ids_meant(text: str) -> tuple[str, str]:
    wanted = text.strip()
    number = wanted.upper().removeprefix("GO:")
    # 932 and GO:932 mean GO:0000932: GO's numbers have seven digits
    return wanted, f"GO:{number.zfill(ID_DIGITS)}" if number.isdigit() else wanted.upper()


def find_term(ontology: Ontology, text: str) -> int:
    """Return the index of a term by its id, an alternative id, or its name, without regard to case.

    GO:ROOT, which is none of the ontology's, is SUPER_ROOT. Raises UsageError, with what comes near, where no live
    term is called so.
    """
    wanted = text.strip()
    for term_id in _ids_meant(text):
        found = ontology.find(term_id)
        if found is not None:
            return found
    names = {name.lower(): t for t, name in enumerate(ontology.names)}
    if wanted.lower() in names:
        return names[wanted.lower()]
    if wanted.upper() == SUPER_ROOT_ID:
        return SUPER_ROOT
    raise UsageError(f"{ontology.source} has no term {text!r}", hint=_near(ontology, wanted.lower(), names))


def _near(ontology: Ontology, wanted: str, names: dict[str, int]) -> str:
    """Return a hint: names that hold the text, best with a word that begins so, else those nearest to it."""
    holding = sorted((n for n in names if wanted and wanted in n), key=lambda n: (f" {wanted}" not in f" {n}", len(n)))
    near = {
        f"{ontology.ids[names[n]]} ({n})": n for n in holding[:NAMED] or difflib.get_close_matches(wanted, names, NAMED)
    }
    known = "ids look like GO:0000932"
    return f"did you mean {' or '.join(near)}?" if near else known


def describe_term(ontology: Ontology, annotations: Annotations, rules: FilterRules, term: int) -> TermFacts:
    """Return what is known of a term before any filter."""
    levels = ontology_groupings(ontology, rules.relations)
    graph = whole_graph(ontology, rules, gene_masks(annotations.direct))
    if term == SUPER_ROOT or term not in graph.direct:  # gocell's own root, or that of a hierarchy that it wrote
        return _super_root_facts(graph, {by: grouping.level for by, grouping in levels.items()})
    parents: list[tuple[int, str]] = []
    children: list[tuple[int, str]] = []
    for relation, edges in ontology.edges.items():
        parents += [(t, relation) for t in edges.parent[np.flatnonzero(edges.child == term)].tolist()]
        children += [(t, relation) for t in edges.child[np.flatnonzero(edges.parent == term)].tolist()]
    return TermFacts(
        term=term,
        levels={by: int(grouping.level[term]) for by, grouping in levels.items()},
        parents=tuple(parents),
        children=tuple(children),
        direct=tuple(genes_in(graph.direct[term])),
        contained=tuple(genes_in(graph.contained[term])),
    )


def _super_root_facts(graph: TermGraph, levels: dict[str, Int32[np.ndarray, " terms"]]) -> TermFacts:
    """GO:ROOT's, a step above all terms without a parent: stratum 0, GOATOOLS' level and depth -1."""
    return TermFacts(
        term=SUPER_ROOT,
        levels={
            by: int(level.max()) + 1 if by == "height" else 0 if by == "stratum" else -1 for by, level in levels.items()
        },
        parents=(),
        children=tuple((child, ABOVE_ROOTS) for child in sorted(graph.children[SUPER_ROOT])),
        direct=tuple(genes_in(graph.direct[SUPER_ROOT])),
        contained=tuple(genes_in(graph.contained[SUPER_ROOT])),
    )


def removal_of(ontology: Ontology, hierarchy: TermHierarchy, rules: FilterRules, term: int) -> Removal | None:
    """Return what removed a term of the whole ontology from the hierarchy in use; None where it was kept.

    The removal's terms are indices in the whole ontology.
    """
    if term == SUPER_ROOT:
        return None
    # the hierarchy was made of the chosen namespaces alone and counts terms within those: two numberings meet here
    inner = ontology.within(rules.namespaces)
    index = inner.index.get(ontology.ids[term])
    if index is None:
        return Removal(NAMESPACE_RULE, ())
    removal = hierarchy.removed.get(index)
    if removal is None:
        return None
    heirs = (t if t == SUPER_ROOT else ontology.index[inner.ids[t]] for t in removal.into)
    return Removal(removal.step, tuple(heirs))
