"""Query groups that shared genotypes join: connected components, over tens of millions of rows at once."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int32, Int64

NO_QUERY = -1
BLOCK = 1 << 20
"""Rows looked at together; most later ones find their queries joined already."""


def join_query_groups(
    query: Int32[np.ndarray, " rows"], genotype: Int32[np.ndarray, " rows"], queries: Sequence[str]
) -> tuple[Int32[np.ndarray, " queries_and_none"], tuple[str, ...]]:
    """Join the queries that measured the same genotype; rows come sorted by genotype.

    Returns the component of each query (last entry: NO_QUERY, for rows without one) and the components'
    names, in the order of their first queries: `A;B` of queries A and B.
    """
    if (query == NO_QUERY).any():
        query, genotype = query[query != NO_QUERY], genotype[query != NO_QUERY]
    leader = np.arange(len(queries))
    for start in range(0, len(query) - 1, BLOCK):
        q, g = query[start : start + BLOCK + 1], genotype[start : start + BLOCK + 1]
        joined = np.flatnonzero((g[1:] == g[:-1]) & (q[1:] != q[:-1]))
        leader = _join(leader, q[joined], q[joined + 1])
    heads, component = np.unique(leader, return_inverse=True)
    members: list[list[str]] = [[] for _ in heads]
    for index, name in zip(component.tolist(), queries, strict=True):
        members[index].append(name)
    return np.append(component, NO_QUERY).astype(np.int32), tuple(";".join(sorted(names)) for names in members)


def _join(
    leader: Int64[np.ndarray, " nodes"], a: Int32[np.ndarray, " edges"], b: Int32[np.ndarray, " edges"]
) -> Int64[np.ndarray, " nodes"]:
    """Smallest node of each component once the edges are added: roots hook onto smaller roots until none crosses."""
    while len(a):
        low, high = np.minimum(leader[a], leader[b]), np.maximum(leader[a], leader[b])
        apart = low != high
        a, b = a[apart], b[apart]
        np.minimum.at(leader, high[apart], low[apart])
        while (leader[leader] != leader).any():
            leader = leader[leader]
    return leader
