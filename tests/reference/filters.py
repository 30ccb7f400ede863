"""The true-path filters the slow, obvious way: sets of genes, and walks up and down the graph."""

from collections.abc import Mapping, Set

Graph = Mapping[int, Set[int]]


def descendants(parents: Graph, term: int) -> set[int]:
    """All terms below `term`, and itself."""
    below = {term}
    while True:
        more = {t for t, above in parents.items() if above & below} - below
        if not more:
            return below
        below |= more


def contained(parents: Graph, direct: Mapping[int, Set[int]], term: int) -> set[int]:
    """Genes of a term and of everything below it."""
    return {g for t in descendants(parents, term) for g in direct[t]}


def nearest_kept(parents: Graph, kept: Set[int], term: int) -> set[int]:
    """The first kept terms on every way up from `term`."""
    found = set()
    for parent in parents[term]:
        found |= {parent} if parent in kept else nearest_kept(parents, kept, parent)
    return found


def true_path(
    parents: Graph, direct: Mapping[int, Set[int]], root: int, min_genes: int
) -> tuple[dict[int, set[int]], dict[int, set[int]]]:
    """Parents and direct genes of what both filters leave."""
    kept = {t for t in parents if t == root or len(contained(parents, direct, t)) >= min_genes}
    genes = {t: set(direct[t]) for t in kept}
    for term in set(parents) - kept:
        for ancestor in nearest_kept(parents, kept, term):
            genes[ancestor] |= direct[term]
    between = {t: nearest_kept(parents, kept, t) for t in kept}
    redundant = {
        t
        for t in kept - {root}
        for child in kept
        if t in between[child] and contained(between, genes, child) == contained(between, genes, t)
    }
    final = kept - redundant
    return {t: nearest_kept(between, final, t) for t in final}, {t: genes[t] for t in final}


def apart(
    parents: dict[int, set[int]], direct: dict[int, set[int]], root: int, more: int
) -> tuple[dict[int, set[int]], dict[int, set[int]]]:
    """Take out one lowest term after the other that has fewer than `more` genes more than a child, till none has."""
    while True:
        alike = [
            t
            for t in set(parents) - {root}
            for child in parents
            if t in parents[child]
            and len(contained(parents, direct, t)) - len(contained(parents, direct, child)) < more
        ]
        lowest = [t for t in alike if not (descendants(parents, t) - {t}) & set(alike)]
        if not lowest:
            return parents, direct
        gone = lowest[0]
        kept = set(parents) - {gone}
        direct = {t: direct[t] | (direct[gone] if t in nearest_kept(parents, kept, gone) else set()) for t in kept}
        parents = {t: nearest_kept(parents, kept, t) for t in kept}
