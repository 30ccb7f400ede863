"""Levels the slow, obvious way: every path from every root, spelled out."""

from collections.abc import Sequence

Pairs = Sequence[tuple[int, int]]


def paths_down(terms: int, edges: Pairs) -> dict[int, list[int]]:
    """Lengths of all paths from a root to each term; edges are (child, parent), acyclic."""
    parents: dict[int, list[int]] = {t: [] for t in range(terms)}
    for child, parent in edges:
        parents[child].append(parent)

    def lengths(term: int) -> list[int]:
        if not parents[term]:
            return [0]
        return [1 + n for parent in parents[term] for n in lengths(parent)]

    return {t: lengths(t) for t in range(terms)}


def faults(level: Sequence[int], edges: Pairs) -> tuple[list[int], list[int]]:
    """Indices of same-level and of inverted edges, for levels that count from the root."""
    same = [i for i, (child, parent) in enumerate(edges) if level[child] == level[parent]]
    inverted = [i for i, (child, parent) in enumerate(edges) if level[child] < level[parent]]
    return same, inverted
