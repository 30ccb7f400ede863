"""The two rules of DCell that the builder and the trainer share: which edges a pass by levels forbids, and widths."""

import numpy as np
from jaxtyping import Bool, Int64, Integer

ROOT_DOWN, LEAF_UP = "root_down", "leaf_up"
"""Which way levels count: from the root (stratum, level, depth) or from the leaves (height)."""
MIN_WIDTH, RATIO = 20, 0.3
"""Ma et al. 2018, doi:10.1038/nmeth.4627, online methods."""


def forbidden_edges(
    child_level: Integer[np.ndarray, " edges"], parent_level: Integer[np.ndarray, " edges"], direction: str
) -> tuple[Bool[np.ndarray, " edges"], Bool[np.ndarray, " edges"]]:
    """Return which edges lie within one level (same_level), and which lead the wrong way (inverted).

    All terms of a level run at once, children's levels before their parents': a child must be strictly deeper,
    level(child) > level(parent) counted from the root, level(child) < level(parent) counted from the leaves.
    Raises ValueError for a direction that is neither.
    """
    if direction not in (ROOT_DOWN, LEAF_UP):
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
