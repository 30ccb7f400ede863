"""Filters that turn the whole ontology into the hierarchy a model uses, and their presets.

`true-path` and `ma2018` (Ma et al. 2018, doi:10.1038/nmeth.4627): terms with fewer than N contained genes
go, then redundant ones (contained gene set equal to a child's). A removed term's children attach to its
nearest kept ancestors; a small term's direct genes move up to them, a redundant term's already belong to
the child that makes it redundant. Redundancy does not depend on the order of removal: equality is
transitive, so a chain of equal terms always collapses to its lowest.

`torchcell` follows torchcell's own order and rules (`torchcell/graph/graph.py`), for comparison with its
published runs: terms without direct genes are dropped WITHOUT reconnecting their children (a term that
loses its path hangs under its namespace root); terms emptied by the evidence rule are dropped WITH
reconnection; redundant means DIRECT gene set equal to a child's; no gene moves up.

DrugCell (Kuenzi et al. 2020, doi:10.1016/j.ccell.2020.09.014) chose terms of GO's biological processes with at least
10 genes, and 30 more than any child of theirs: `more_than_child` is that 30, asked from the leaves up of what is left
below each term, so that it holds of the hierarchy in use. A removed term's direct genes move up as a small term's do.

A ready hierarchy (DDOT's and DCell's files) is used as it is: only terms without any gene, which no network
can feed, are left out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from gocell_cli.domain.annotations import NO_DATA, Annotations
from gocell_cli.domain.genes import GeneList
from gocell_cli.domain.ontology import IS_A, LEFT_OUT, OBSOLETE, SUPER_ROOT_ID, UNKNOWN, Ontology
from gocell_cli.domain.term_graph import SUPER_ROOT, TermGraph, gene_masks
from gocell_cli.errors import InvalidInput


@dataclass(frozen=True)
class FilterRules:
    """How a hierarchy is made; `torchcell_order` switches to torchcell's rules, `as_is` to none at all.

    `include_evidence` and `namespaces` are the only ones used, all where empty. A term is `redundant` where
    its contained or its direct genes are those of a child; with `keep`, never. `genes`: the only ones used. A term
    has at least `more_than_child` contained genes more than any child of it.
    """

    preset: str
    relations: tuple[str, ...]
    min_genes: int
    width_by: str
    exclude_evidence: tuple[str, ...]
    torchcell_order: bool = False
    include_evidence: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    redundant: str = "contained"
    genes: GeneList | None = None
    as_is: bool = False
    more_than_child: int = 0

    def changed(self, **changes: object) -> "FilterRules":
        """Return the rules with those changes that are not None."""
        return replace(self, **{k: v for k, v in changes.items() if v is not None})  # type: ignore[arg-type]


PRESETS: Mapping[str, FilterRules] = {
    rules.preset: rules
    for rules in (
        # HGI is IGI from a high-throughput screen: both tell a term from the very interactions to be predicted.
        # ND is no knowledge: on yeast of 2016 its rows alone make GO's three roots 777, 539 and 386 neurons wide
        FilterRules("true-path", (IS_A,), 4, "direct", ("HGI", "IGI", NO_DATA)),
        # torchcell leaves out IGI alone: HGI stays for comparison's sake
        FilterRules("torchcell", (IS_A,), 4, "direct", ("IGI",), torchcell_order=True, redundant="direct"),
        # DCell as published: terms of 6 genes or more, part_of as good as is_a, neurons by contained genes, ND as it is
        FilterRules("ma2018", (IS_A, "part_of"), 6, "contained", ("HGI", "IGI")),
    )
}
REDUNDANT = ("contained", "direct", "keep")
NOT_REDUNDANT = "not redundant"
READY_RELATION = "default"
READY = FilterRules("ready", (READY_RELATION,), 1, "contained", (), redundant="keep", as_is=True)
"""Rules of a ready hierarchy; the relation is called what its files call it."""


@dataclass(frozen=True)
class Removal:
    """The step that removed a term, named as in the funnel, and the kept terms that hold its genes now.

    `into` is empty where its genes, if it had any, went with it.
    """

    step: str
    into: tuple[int, ...]


@dataclass(frozen=True)
class FilteredTerms:
    """The graph in use, how many terms each step left (raw ontology first), and what became of the others."""

    graph: TermGraph
    funnel: Mapping[str, int] = field(default_factory=dict)
    removed: Mapping[int, Removal] = field(default_factory=dict)


class FilterSteps:
    """Takes the graph after each step and remembers what the step removed."""

    def __init__(self, name: str, graph: TermGraph) -> None:
        self.graph = graph
        self._funnel = {name: len(graph)}
        self._gone: dict[int, tuple[str, tuple[int, ...]]] = {}

    def take(self, step: str, graph: TermGraph, heirs: Mapping[int, Iterable[int]] | None = None) -> None:
        """Go on with the graph that a step left; `heirs` are the terms to which a removed one's genes belong."""
        for term in self.graph.parents.keys() - graph.parents.keys():
            self._gone[term] = (step, tuple((heirs or {}).get(term, ())))
        self.graph = graph
        self._funnel[step] = len(graph)

    def done(self) -> FilteredTerms:
        """Return the last graph; heirs that went themselves are replaced by their own."""
        removed = {term: Removal(step, tuple(sorted(self._kept(heirs)))) for term, (step, heirs) in self._gone.items()}
        return FilteredTerms(self.graph, self._funnel, removed)

    def _kept(self, terms: Iterable[int]) -> set[int]:
        # several ways may lead to one heir: each is followed once
        found, waiting, seen = set(), list(terms), set(terms)
        while waiting:
            term = waiting.pop()
            if term not in self._gone:
                found.add(term)
                continue
            heirs = set(self._gone[term][1]) - seen
            seen |= heirs
            waiting += heirs
        return found


def filter_terms(ontology: Ontology, annotations: Annotations, rules: FilterRules) -> FilteredTerms:
    """Apply the rules; raises InvalidInput where no annotated term is left below GO:ROOT."""
    _refuse_own_super_root(ontology, rules)
    steps = _as_is if rules.as_is else _torchcell if rules.torchcell_order else _true_path
    filtered = steps(ontology, annotations, rules)
    if not any(mask for term, mask in filtered.graph.direct.items() if term != SUPER_ROOT):
        raise InvalidInput(
            f"no annotated term with {rules.min_genes} genes or more is left of {ontology.source}",
            why=f"of {annotations.rows_read} annotation rows {len(annotations.direct)} (term, gene) pairs were usable;"
            f" rows dropped: {dict(annotations.dropped_rows)}",
            hint=_what_to_change(annotations),
        )
    return filtered


def _what_to_change(annotations: Annotations) -> str:
    """Return the hint for annotations of which nothing is left: about the rule that took most of their rows."""
    dropped = annotations.dropped_rows
    worst = max(dropped, key=lambda reason: dropped[reason], default="")
    if not dropped or len(annotations.direct) > dropped[worst]:
        return "lower --min-genes"
    hints = {
        "unknown_gene": "choose annotations of the genes at hand, or what names them (--gaf, --gene-id, --taxon)",
        "gene_not_listed": "list more genes, or leave out --genes",
        UNKNOWN: "choose the ontology that the annotations were made with (--obo, --gaf, --release)",
        OBSOLETE: "choose the ontology that the annotations were made with (--obo, --gaf, --release)",
        LEFT_OUT: "choose other namespaces, or leave out --namespace",
        "negated": "choose annotations that say what genes do: these say what they do not",
    }
    if worst.startswith("evidence_"):
        return "leave out less evidence: --exclude-evidence '' takes all codes"
    return hints.get(worst, "choose a later --until" if worst.startswith("newer_than_") else "lower --min-genes")


def _refuse_own_super_root(ontology: Ontology, rules: FilterRules) -> None:
    """Raise InvalidInput where a term of the ontology has the id of the root that is put above its roots."""
    own = ontology.index.get(SUPER_ROOT_ID)
    if own is None:
        return
    edges = ontology.select(rules.relations)
    if set(range(len(ontology))) - set(edges.child.tolist()) != {own}:
        raise InvalidInput(
            f"{ontology.source}: a term is called {SUPER_ROOT_ID}, the id of the root put above all others",
            hint="give that term another id",
        )


def whole_graph(ontology: Ontology, rules: FilterRules, direct: Mapping[int, int]) -> TermGraph:
    """Return all live terms under GO:ROOT, which takes in every term without parents.

    A GO:ROOT of the ontology's own, as a hierarchy that `export` wrote has it, is that root: there are no two.
    """
    edges = ontology.select(rules.relations)
    own = None if rules.as_is else ontology.index.get(SUPER_ROOT_ID)
    parents: dict[int, set[int]] = {t: set() for t in range(len(ontology)) if t != own}
    for child, parent in zip(edges.child.tolist(), edges.parent.tolist(), strict=True):
        parents[child].add(SUPER_ROOT if parent == own else parent)
    # GO has three namespace roots, and a chosen relation may leave more terms without parents: a network needs one root
    frozen = {t: frozenset(p or (SUPER_ROOT,)) for t, p in parents.items()}
    return TermGraph(
        parents={**frozen, SUPER_ROOT: frozenset()},
        direct={**{t: direct.get(t, 0) for t in frozen}, SUPER_ROOT: direct.get(own, 0) if own is not None else 0},
    )


def _true_path(ontology: Ontology, annotations: Annotations, rules: FilterRules) -> FilteredTerms:
    steps = FilterSteps("ontology", whole_graph(ontology, rules, gene_masks(annotations.direct)))
    # GO:ROOT stays however small: it is the network's output
    small = {t for t, mask in steps.graph.contained.items() if mask.bit_count() < rules.min_genes} - {SUPER_ROOT}
    # a small term's genes go up, so its parents are its heirs; those that are small, too, hand on to theirs
    parents = {t: steps.graph.parents[t] for t in small}
    steps.take(f"at least {rules.min_genes} contained genes", steps.graph.remove(small, move_genes=True), parents)
    _take_redundant(steps, rules)
    _take_alike(steps, rules, move_genes=True)
    return steps.done()


def _as_is(ontology: Ontology, annotations: Annotations, rules: FilterRules) -> FilteredTerms:
    graph = whole_graph(ontology, rules, gene_masks(annotations.direct))
    # a ready hierarchy with one root has its own output term: a second above it would only add a layer
    if len(graph.children[SUPER_ROOT]) == 1:
        parents = {t: p - {SUPER_ROOT} for t, p in graph.parents.items() if t != SUPER_ROOT}
        graph = TermGraph(parents, {t: mask for t, mask in graph.direct.items() if t != SUPER_ROOT})
    steps = FilterSteps("hierarchy", graph)
    steps.take("with genes", graph.remove({t for t, mask in graph.contained.items() if not mask} - {SUPER_ROOT}))
    return steps.done()


def _torchcell(ontology: Ontology, annotations: Annotations, rules: FilterRules) -> FilteredTerms:
    # torchcell prunes by all annotations first and takes evidence out afterwards: the order changes which edges survive
    asserted = whole_graph(ontology, rules, gene_masks(annotations.asserted))
    steps = FilterSteps("ontology", asserted)
    roots = set(asserted.children[SUPER_ROOT])
    root_of = {ontology.namespaces[r]: r for r in roots}
    kept = {t for t, mask in asserted.direct.items() if mask} | roots | {SUPER_ROOT}
    steps.take("with direct genes", asserted.restrict(kept, lambda t: root_of.get(ontology.namespaces[t], SUPER_ROOT)))
    direct = gene_masks(annotations.direct)
    graph = TermGraph(steps.graph.parents, {t: direct.get(t, 0) for t in steps.graph.direct})
    # namespace roots stay though empty: terms that lost their path hang under them
    empty = {t for t, mask in graph.direct.items() if not mask} - roots - {SUPER_ROOT}
    steps.take("with genes by allowed evidence", graph.remove(empty))
    _take_redundant(steps, rules)
    # last, and without moving genes: those of small terms are lost, as in torchcell's published runs
    small = {t for t, mask in steps.graph.contained.items() if mask.bit_count() < rules.min_genes} - {SUPER_ROOT}
    steps.take(f"at least {rules.min_genes} contained genes", steps.graph.remove(small))
    _take_alike(steps, rules, move_genes=False)
    return steps.done()


def _take_redundant(steps: FilterSteps, rules: FilterRules) -> None:
    # all at once: equality is transitive, so no removal makes another term redundant, or less so
    redundant = _redundant(steps.graph, rules)
    steps.take(NOT_REDUNDANT, steps.graph.remove(redundant), {t: (child,) for t, child in redundant.items()})


def _take_alike(steps: FilterSteps, rules: FilterRules, *, move_genes: bool) -> None:
    """Take the terms out that have too few genes more than a child; never GO:ROOT, which is the network's output."""
    if not rules.more_than_child:
        return
    graph = steps.graph
    size = {t: mask.bit_count() for t, mask in graph.contained.items()}
    gone: set[int] = set()
    below: dict[int, set[int]] = {}
    for term in graph.children_first:
        # of a child that went, what is left below it: what it contained is contained by this term still
        left = (below[child] if child in gone else {child} for child in graph.children[term])
        below[term] = set().union(*left)
        if term != SUPER_ROOT and any(size[term] - size[child] < rules.more_than_child for child in below[term]):
            gone.add(term)
    heirs = {t: graph.parents[t] for t in gone} if move_genes else None
    steps.take(
        f"{rules.more_than_child} contained genes more than a child", graph.remove(gone, move_genes=move_genes), heirs
    )


def _redundant(graph: TermGraph, rules: FilterRules) -> dict[int, int]:
    """Terms whose gene set equals that of a child, and that child; never GO:ROOT or a term without such genes."""
    if rules.redundant == "keep":
        return {}
    masks: Mapping[int, int] = graph.contained if rules.redundant == "contained" else graph.direct
    twins = {
        # of several equal children the one of the lowest id, so that reports do not change from run to run
        t: next((child for child in sorted(graph.children[t]) if masks[child] == masks[t]), None)
        for t in graph.parents
        if t != SUPER_ROOT and masks[t]
    }
    return {t: child for t, child in twins.items() if child is not None}
