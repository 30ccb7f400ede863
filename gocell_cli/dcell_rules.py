"""Rules of DCell that builder and trainer share: paths from the root, edges that a pass by levels forbids, widths."""

import numpy as np
from jaxtyping import Bool, Int32, Int64, Integer

from gocell_cli.level_directions import DIRECTIONS, ROOT_DOWN

MIN_WIDTH, RATIO = 20, 0.3
"""Ma et al. 2018, doi:10.1038/nmeth.4627, online methods."""


def longest_paths(
    terms: int, child: Integer[np.ndarray, " edges"], parent: Integer[np.ndarray, " edges"]
) -> tuple[Int32[np.ndarray, " terms"], Bool[np.ndarray, " terms"]]:
    """Longest path from any root to each term, and which terms a cycle keeps from having one.

    Peels the terms without parents, round by round (Kahn 1962, doi:10.1145/368996.369025); terms on or
    below a cycle are never peeled.
    """
    generation = np.zeros(terms, dtype=np.int32)
    waiting = np.ones(terms, dtype=bool)
    round_ = 0
    while waiting.any():
        # a round for each generation, some 15, over whole arrays: a queue term by term would take Python 50,000 steps
        blocked = np.zeros(terms, dtype=bool)
        blocked[child] = True
        peeled = waiting & ~blocked
        if not peeled.any():
            break
        generation[peeled] = round_  # its last parent went the round before: the longest path
        waiting &= ~peeled
        # edges below a peeled parent are used up; what they led to may be free in the next round
        left = ~peeled[parent]
        child, parent = child[left], parent[left]
        round_ += 1
    return generation, waiting


def shortest_paths(
    terms: int, child: Integer[np.ndarray, " edges"], parent: Integer[np.ndarray, " edges"]
) -> Int32[np.ndarray, " terms"]:
    """Shortest path from any root (a term without parents) to each term of an acyclic graph: GOATOOLS' level over is_a.

    Round by round, over whole arrays (Moore 1959, "The shortest path through a maze").
    """
    reached = np.ones(terms, dtype=bool)
    reached[child] = False
    distance = np.zeros(terms, dtype=np.int32)
    step = 0
    while not reached.all():
        step += 1
        fresh = np.zeros(terms, dtype=bool)
        # a child of anything reached so far; those reached earlier keep their shorter distance
        fresh[child[reached[parent]]] = True
        fresh &= ~reached
        distance[fresh] = step
        reached |= fresh
    return distance


def forbidden_edges(
    child_level: Integer[np.ndarray, " edges"], parent_level: Integer[np.ndarray, " edges"], direction: str
) -> tuple[Bool[np.ndarray, " edges"], Bool[np.ndarray, " edges"]]:
    """Return which edges lie within one level (same_level), and which lead the wrong way (inverted).

    All terms of a level run at once, children's levels before their parents': a child must be strictly deeper,
    level(child) > level(parent) counted from the root, level(child) < level(parent) counted from the leaves.
    Raises ValueError for a direction that is neither.
    """
    if direction not in DIRECTIONS:
        raise ValueError(f"unknown level direction {direction!r}")
    inverted = child_level < parent_level if direction == ROOT_DOWN else child_level > parent_level
    return child_level == parent_level, inverted


def term_width(
    genes: Integer[np.ndarray, " terms"], min_width: int = MIN_WIDTH, ratio: float = RATIO
) -> Int64[np.ndarray, " terms"]:
    """Return the neurons of each term: d_t = max(min_width, ceil(ratio * n_t)), for a term of n_t genes.

    Ma et al. 2018, doi:10.1038/nmeth.4627, online methods. Whether n_t counts direct or contained genes is the
    caller's to say.
    """
    # 0.07 * 100 is 7.000000000000001 in floating point, and its ceiling 8: the ratio is taken in whole thousandths,
    # and -(-a // b) is the ceiling of a / b in integers.
    return np.maximum(min_width, -(-genes.astype(np.int64) * round(ratio * 1000) // 1000))
