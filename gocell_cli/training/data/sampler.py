"""Samplers over a cache's rows: the order of `row_order`, and a position in it that can be saved."""

import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Int64

from gocell_cli.errors import UsageError
from gocell_cli.training.data.order import row_order, share
from gocell_cli.training.extra import train_extra

with train_extra():
    from torch.utils.data import Sampler


class CacheSampler(Sampler[int]):
    """Yields the rows that this rank reads in `epoch`, one by one, for `DataLoader(sampler=...)`.

    `rows` is their number (the whole cache), or an array of the rows to read (a split). Call `set_epoch`
    before each epoch, else the same order comes again. `drop_last` says what happens where the ranks do not
    divide the rows: see `row_order`. `done` counts the rows handed out in this epoch.

    A saved state is of one epoch, and of all ranks: any rank's serves every rank of the same `world`. The
    iteration after `load_state_dict` goes on where the state was taken; the one after that begins an epoch.
    """

    def __init__(
        self,
        rows: int | Int64[np.ndarray, " rows"],
        *,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
        shuffle: bool = True,
        drop_last: bool = False,
    ) -> None:
        if not 0 <= rank < world:
            raise UsageError(f"rank {rank} of {world}: ranks count from 0 to world - 1")
        self.rows: Int64[np.ndarray, " rows"] = np.arange(rows) if isinstance(rows, int) else rows
        self.seed, self.rank, self.world = seed, rank, world
        self.shuffle, self.drop_last = shuffle, drop_last
        self.epoch = 0
        self.done = 0
        self._resume_at = 0

    def __len__(self) -> int:
        return share(len(self.rows), world=self.world, drop_last=self.drop_last)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, at its beginning."""
        self.epoch, self.done, self._resume_at = epoch, 0, 0

    def order(self) -> Int64[np.ndarray, " share"]:
        """Return all rows of this epoch and rank, in order, whatever is done of them."""
        positions = row_order(
            len(self.rows),
            seed=self.seed,
            epoch=self.epoch,
            rank=self.rank,
            world=self.world,
            shuffle=self.shuffle,
            drop_last=self.drop_last,
        )
        rows: Int64[np.ndarray, " share"] = self.rows[positions]
        return rows

    def remaining(self) -> Int64[np.ndarray, " remaining"]:
        """Begin an iteration: return what is left of the epoch after a resume, else all of it."""
        self.done, self._resume_at = self._resume_at, 0
        return self.order()[self.done :]

    def __iter__(self) -> Iterator[int]:
        for row in self.remaining().tolist():
            self.done += 1
            yield row

    def _identity(self) -> dict[str, Any]:
        """What must be the same for a position to mean the same rows."""
        return {
            "seed": self.seed,
            "world": self.world,
            "shuffle": self.shuffle,
            "drop_last": self.drop_last,
            "rows": len(self.rows),
            "rows_crc32": zlib.crc32(np.ascontiguousarray(self.rows).tobytes()),
        }

    def state_dict(self, done: int | None = None) -> dict[str, Any]:
        """Return the state to resume from, as plain numbers.

        Workers of a DataLoader fetch ahead, so that more rows are handed out than were trained on: with
        workers, pass as `done` the number of this rank's rows that the loop has finished in this epoch.
        """
        return {**self._identity(), "epoch": self.epoch, "done": self.done if done is None else done}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on, in the next iteration, after the rows that `state` counts as done."""
        differing = [name for name, value in self._identity().items() if state[name] != value]
        if differing:
            found = ", ".join(f"{n}: {state[n]} there, {self._identity()[n]} here" for n in differing)
            raise UsageError("the saved position is of another order of rows", why=found)
        if not 0 <= state["done"] <= len(self):
            raise UsageError(f"the saved position, {state['done']}, is not one of {len(self)} rows")
        self.epoch, self._resume_at = state["epoch"], state["done"]
        self.done = self._resume_at


class RowBatches(Sampler[np.ndarray]):
    """Yields a CacheSampler's rows in arrays of `size`, for `DataLoader(batch_sampler=...)`.

    Torch's own BatchSampler does the same with a Python int a row. The last array may be smaller, or is
    left out with `drop_last`. Epoch and state are the sampler's.
    """

    def __init__(self, sampler: CacheSampler, size: int, *, drop_last: bool = False) -> None:
        self.sampler, self.size, self.drop_last = sampler, size, drop_last

    def __len__(self) -> int:
        whole, rest = divmod(len(self.sampler), self.size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[np.ndarray]:
        rows = self.sampler.remaining()
        stop = len(rows) - (len(rows) % self.size if self.drop_last else 0)
        for start in range(0, stop, self.size):
            batch = rows[start : start + self.size]
            self.sampler.done += len(batch)
            yield batch
