"""The order in which rows are read: a pure function of (seed, epoch, rank, world). NumPy alone."""

import numpy as np
from jaxtyping import Int64


def shuffled(count: int, *, seed: int, epoch: int) -> Int64[np.ndarray, " count"]:
    """Return 0 to count - 1 in an order of (seed, epoch) alone; both from 0 to 2**64 - 1.

    Philox counts from a key, so that every pair has a stream of its own, and NumPy promises the raw numbers
    of its bit generators for all versions, as it does not for `Generator.permutation`.
    """
    keys = np.random.Philox(key=np.array([seed, epoch], dtype=np.uint64)).random_raw(count)
    order = np.argsort(keys)  # three times faster than a stable sort, which only equal keys would need
    tied = bool((keys[order[1:]] == keys[order[:-1]]).any())
    return (np.argsort(keys, kind="stable") if tied else order).astype(np.int64, copy=False)


def row_order(
    count: int,
    *,
    seed: int,
    epoch: int,
    rank: int = 0,
    world: int = 1,
    shuffle: bool = True,
    drop_last: bool = False,
) -> Int64[np.ndarray, " share"]:
    """Return the positions, of `count` rows, that one rank reads in one epoch, in order.

    All ranks share one order of the epoch; rank r takes its entries r, r + world, r + 2 * world, ... Where
    `world` does not divide `count`, every rank still gets as many: the order is wrapped (its first entries
    are read again at the end), as torch's DistributedSampler does, or, with `drop_last`, cut (its last
    `count % world` entries are left out in this epoch).
    """
    order = shuffled(count, seed=seed, epoch=epoch) if shuffle else np.arange(count, dtype=np.int64)
    return np.resize(order, world * share(count, world=world, drop_last=drop_last))[rank::world]


def share(count: int, *, world: int, drop_last: bool) -> int:
    """Return the number of rows that each rank reads in an epoch."""
    return count // world if drop_last else -(-count // world)
