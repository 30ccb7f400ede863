"""What a step needs, made ahead of it by background threads: a plan takes as long as a GPU's whole step."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

from gocell_cli.training.cores import allowed_cores, allowed_threads
from gocell_cli.training.extra import train_extra

with train_extra():
    import torch

T = TypeVar("T")
MOST_THREADS = 8
"""Beside a GPU: 8,192 samples take some 150 ms of one core to make ready (docs/gpu.md), a step 2 ms of an H100
(predicted): as many as there is a core for, up to where each one's 100 MB would be better spent on a larger batch."""


def threads_beside(device: torch.device) -> int:
    """How many threads may make batches ahead while a device works; 0: make each when it is asked for.

    On a CPU one, where the network itself may use more than one thread; with one a second gains nothing. Beside a GPU
    the cores count, not how many threads PyTorch and OpenMP were told to use: torchrun tells them one where they are
    told nothing.
    """
    if device.type == "cpu":
        return min(1, allowed_threads() - 1)
    return max(1, min(MOST_THREADS, allowed_cores() - 1))


@contextmanager
def ahead(make: Callable[[int], T], steps: Iterable[int], threads: int) -> Iterator[Iterator[T]]:
    """Give an iterator over make(step) of each step, in order, made by so many threads, one more than these ahead.

    What `make` raises is raised where its step is asked for. At the end of the context nothing runs any more.
    """
    if threads < 1:
        yield map(make, steps)
        return
    waiting: deque[Future[T]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="ahead") as pool:

        def found() -> Iterator[T]:
            rest = iter(steps)
            waiting.extend(pool.submit(make, step) for step in islice(rest, threads + 1))
            while waiting:
                made = waiting.popleft().result()
                waiting.extend(pool.submit(make, step) for step in islice(rest, 1))
                yield made

        try:
            yield found()
        finally:
            for future in waiting:
                future.cancel()
