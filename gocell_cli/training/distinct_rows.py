"""Which rows of a batch are distinct: sets of deleted genes, term by term, and the samples that agree on them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from gocell_cli.training.delta_index import DeltaIndex


@dataclass(frozen=True)
class DistinctRows:
    """Touched rows (the wild type's not counted), by term; pairs by (term, sample); the deletions behind the pairs."""

    term: np.ndarray
    start: np.ndarray
    leader: np.ndarray
    pair_term: np.ndarray
    pair_sample: np.ndarray
    pair_row: np.ndarray
    entry_pair: np.ndarray
    entry_closure: np.ndarray


def distinct_rows(
    index: DeltaIndex, sample: Int64[np.ndarray, " deletions"], gene: Int64[np.ndarray, " deletions"]
) -> DistinctRows:
    """Find the touched rows of a batch of deletions, sorted by sample, each (sample, gene) once."""
    starts = index.closure_ptr[gene]
    owner, pair = ranges(starts, index.closure_ptr[gene + 1] - starts)
    term = index.closure[pair]
    by_term = stable_argsort(term)  # the deletions ascend by sample, so this is by (term, sample)
    term, pair, owner = term[by_term], pair[by_term], owner[by_term]
    own = sample[owner]
    new = np.ones(len(term), dtype=bool)
    new[1:] = (term[1:] != term[:-1]) | (own[1:] != own[:-1])
    first = np.flatnonzero(new)
    size = np.diff(np.append(first, len(term)))
    pair_term, pair_sample = term[first].astype(np.int64), own[first]
    row_of_pair = np.empty(len(first), dtype=np.int64)
    alone = size == 1
    used = np.zeros(len(index.closure), dtype=bool)
    used[pair[first[alone]]] = True
    singles = np.flatnonzero(used)
    number = np.empty(len(used), dtype=np.int64)
    number[singles] = np.arange(len(singles))
    row_of_pair[alone] = number[pair[first[alone]]]
    joint_first, row_of_pair[~alone] = _joint_rows(gene[owner], first, size, ~alone, pair_term)
    row_of_pair[~alone] += len(singles)
    row_term = np.concatenate([index.closure[singles], pair_term[joint_first]]).astype(np.int64)
    order = stable_argsort(row_term)
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    row_of_pair = rank[row_of_pair]
    leader = np.zeros(len(row_term), dtype=np.int64)
    leader[row_of_pair] = np.arange(len(row_of_pair))
    counts = np.bincount(row_term, minlength=index.terms)
    start = np.concatenate([[0], np.cumsum(counts)])
    return DistinctRows(row_term[order], start, leader, pair_term, pair_sample, row_of_pair, np.cumsum(new) - 1, pair)


def _joint_rows(
    genes: np.ndarray, first: np.ndarray, size: np.ndarray, joint: np.ndarray, term: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of several genes: the first pair of each, and the row of each joint pair; equal sets by two 64-bit sums."""
    if not joint.any():
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    which = np.flatnonzero(joint)
    _, at = ranges(first[which], size[which])
    bounds = np.cumsum(size[which]) - size[which]
    sums = [np.add.reduceat(_hashed(genes[at], salt), bounds) + _hashed(term[which], salt + 2) for salt in (0, 1)]
    _, index, inverse = np.unique(sums[0], return_index=True, return_inverse=True)
    if not (sums[1] == sums[1][index][inverse]).all():
        raise AssertionError("two sets of genes have one hash")  # once in 2**64 pairs of rows
    return which[index], inverse


def _hashed(values: np.ndarray, salt: int) -> np.ndarray:
    """64 bits that look random (splitmix64)."""
    x = values.astype(np.uint64) * np.uint64(4) + np.uint64(salt)
    x = (x + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    found: np.ndarray = x ^ (x >> np.uint64(31))
    return found


def ranges(starts: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (owner, value) of all ranges [start, start + count), one after another."""
    owner = np.repeat(np.arange(len(counts)), counts)
    return owner, np.arange(len(owner)) - (np.cumsum(counts) - counts)[owner] + starts[owner]


def stable_argsort(keys: np.ndarray) -> np.ndarray:
    """Sort non-negative integers below 2**32, equal ones in their order: NumPy's 16-bit radix sort once or twice."""
    order: np.ndarray = np.argsort(keys.astype(np.uint16), kind="stable")
    high = keys >> 16
    if len(keys) and high.max() > 0:
        order = order[np.argsort(high[order].astype(np.uint16), kind="stable")]
    return order
