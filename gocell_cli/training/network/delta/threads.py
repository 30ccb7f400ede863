"""The few threads of its own that the delta form keeps: no OpenMP, nothing of PyTorch's; how many says `cores.py`.

OpenMP's pool is one for the whole process: loops of another library that ran on it set PyTorch's number of threads
anew, two runtimes' pools spun beside each other, and other models in the process ran ten times as long. These threads
are Python's, hold no lock while a kernel runs, and sleep when there is nothing to do.
"""

import os
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

NAP = 5e-5
"""Seconds that a thread sleeps which waits for another one's task."""

_pool: ThreadPoolExecutor | None = None
_workers = 0


def run_together(threads: int, work: Callable[[], None]) -> None:
    """Run `work` on this thread, and on up to `threads` - 1 others that help: it shares out its tasks by a counter.

    Helpers that have not begun when this thread is done are not waited for.
    """
    helpers = _helpers(threads - 1, work)
    try:
        work()
    finally:
        for helper in helpers:
            if not helper.cancel():
                helper.result()


def _helpers(count: int, work: Callable[[], None]) -> list[Future[None]]:
    global _pool, _workers  # one pool a process: threads of several models would share its cores anyway
    if count <= 0:
        return []
    if _pool is None or _workers < count:
        _pool, _workers = ThreadPoolExecutor(count, "gocell-delta"), count
    return [_pool.submit(work) for _ in range(count)]


def _forget() -> None:
    """A forked process has the pool's object, and none of its threads."""
    global _pool, _workers
    _pool, _workers = None, 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def through_tasks(step: Callable[[int], int], end: int) -> None:
    """Call `step(task)`, first with -1, until it returns `end`; sleep while the task that it returns must wait."""
    task = -1
    while (task := step(task)) < end:
        time.sleep(NAP)
