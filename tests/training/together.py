"""Processes that train together, as threads of one process: a property test can't start two of them a hundred times.

What torch.distributed itself does is tried where real ones run (tests/training/runs/test_processes.py).
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

import torch
from torch import Tensor

T = TypeVar("T")
WAIT = 60.0
"""Seconds until a thread that waits for the others gives up: one of them failed, or asked for something else."""


class Together:
    """The group of `world` threads; each asks as its rank does."""

    def __init__(self, world: int) -> None:
        self.world, self.parts = world, list[Tensor | None]([None] * world)
        self.barrier = Barrier(world, timeout=WAIT)

    def gathered(self, rank: int, tensor: Tensor) -> Tensor:
        self.parts[rank] = tensor.clone()
        self.barrier.wait()
        given = [part for part in self.parts if part is not None]
        assert len({(part.shape, part.dtype) for part in given}) == 1, "processes ask for different things"
        found = torch.stack(given)
        self.barrier.wait()  # until all have read, nobody writes the next
        return found


class Member:
    """One of them."""

    def __init__(self, group: Together, rank: int) -> None:
        self.group, self.rank = group, rank

    def gather(self, tensor: Tensor) -> Tensor:
        return self.group.gathered(self.rank, tensor)

    def reduce(self, tensor: Tensor, kind: str) -> None:
        every = self.gather(tensor)
        tensor.copy_({"sum": every.sum, "min": every.amin, "max": every.amax}[kind](0))


def together(world: int, work: Callable[[Member], T]) -> list[T]:
    """What each of `world` processes returns, by rank."""
    group = Together(world)

    def one(rank: int) -> T:
        try:
            return work(Member(group, rank))
        except BaseException:
            group.barrier.abort()  # the others must not wait for what never comes
            raise

    with ThreadPoolExecutor(world) as pool:
        return list(pool.map(one, range(world)))
