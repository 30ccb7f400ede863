"""The order in which rows are read, and their batches: functions of their arguments alone. NumPy only."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from jaxtyping import Int64

from gocell_cli.errors import UsageError

DRAWN = 2**32
"""The epoch whose order `drawn` takes; no training comes so far, so that no epoch has the same."""


def shuffled(count: int, *, seed: int, epoch: int) -> Int64[np.ndarray, " count"]:
    """Return 0 to count - 1 in an order of (seed, epoch) alone; both from 0 to 2**64 - 1.

    Philox counts from a key, so that every pair has a stream of its own, and NumPy promises the raw numbers
    of its bit generators for all versions, as it does not for `Generator.permutation`.
    """
    keys = np.random.Philox(key=np.array([seed, epoch], dtype=np.uint64)).random_raw(count)
    order = np.argsort(keys)  # three times faster than a stable sort, which only equal keys would need
    tied = bool((keys[order[1:]] == keys[order[:-1]]).any())
    return (np.argsort(keys, kind="stable") if tied else order).astype(np.int64, copy=False)


def drawn(rows: Int64[np.ndarray, " rows"], most: int, *, seed: int) -> Int64[np.ndarray, " some"]:
    """Return all rows, or `most` of them drawn by the seed, ascending."""
    if len(rows) <= most:
        return rows
    return np.sort(rows[shuffled(len(rows), seed=seed, epoch=DRAWN)[:most]])


def cut(rows: Int64[np.ndarray, " rows"], size: int, *, world: int = 1) -> list[Int64[np.ndarray, " part"]]:
    """Cut rows into batches of `size`, the last of what is left.

    A last batch of one sample joins the one before: BatchNorm can't train on it, its variance is not defined. So does
    one that has no sample for each of `world` processes.
    """
    starts = list(range(0, len(rows), size))
    if len(starts) > 1 and len(rows) - starts[-1] < max(2, world):
        starts.pop()
    return [rows[a:b] for a, b in pairwise([*starts, len(rows)])]


def share(rows: Int64[np.ndarray, " rows"], *, rank: int, world: int) -> Int64[np.ndarray, " some"]:
    """Return one process's part of a batch; the parts differ by one sample at most, and together are the batch."""
    return np.array_split(rows, world)[rank]


@dataclass(frozen=True, eq=False)
class RowBatches:
    """The batches of one epoch as arrays of rows: what the trainer trains on, and a DataLoader's `batch_sampler`.

    `rows` is their number (0 to rows - 1, a whole cache), or an array of them (a split). The order is one of (seed,
    epoch), or that of `rows` without `shuffle`. Of each batch rank r of `world` gets its share, so that step s of all
    processes together is step s of one. The first `step` batches are left out: a loop that was stopped after s steps
    of an epoch goes on, to the same rows, with `step=s`.

    Raises UsageError for a rank outside the world, or a size or step that counts nothing.
    """

    rows: int | Int64[np.ndarray, " rows"]
    size: int
    seed: int = 0
    epoch: int = 0
    step: int = 0
    rank: int = 0
    world: int = 1
    shuffle: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.world:
            raise UsageError(f"rank {self.rank} of {self.world}: ranks count from 0 to world - 1")
        if self.size < 1 or self.step < 0:
            raise UsageError(f"batches of {self.size} from step {self.step}", hint="size counts from 1, step from 0")

    @cached_property
    def order(self) -> Int64[np.ndarray, " rows"]:
        """All rows of the epoch, in order, whatever the rank and step."""
        rows = np.arange(self.rows) if isinstance(self.rows, int) else self.rows
        return rows[shuffled(len(rows), seed=self.seed, epoch=self.epoch)] if self.shuffle else rows

    @cached_property
    def parts(self) -> list[Int64[np.ndarray, " part"]]:
        """The places in `order` of each batch of the epoch, of all processes."""
        return cut(np.arange(len(self.order)), self.size, world=self.world)

    def own(self, step: int) -> Int64[np.ndarray, " some"]:
        """Return the places in `order` of this process's share of a batch."""
        return share(self.parts[step], rank=self.rank, world=self.world)

    def __len__(self) -> int:
        return max(len(self.parts) - self.step, 0)

    def __iter__(self) -> Iterator[Int64[np.ndarray, " some"]]:
        for step in range(self.step, len(self.parts)):
            yield self.order[self.own(step)]
