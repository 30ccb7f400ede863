"""Processes beside this one: they are started once, end with it, and leave signals to it."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from gocell_cli.errors import Unfinished

Task = TypeVar("Task")
Result = TypeVar("Result")
AHEAD = 2
"""Tasks a process has at once: one under way, and one that waits, so that it need not ask for the next."""
_of_this_process: dict[str, Callable[[Any], Any]] = {}


@contextmanager
def processes(workers: int, function: Callable[[Any], Any] | None = None) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool; `function` is sent to each process once, where `call` finds it."""
    # Spawned, not forked: pyarrow's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(function,))
    try:
        yield pool
    finally:
        # what was begun is finished: a resume need not do it again
        pool.shutdown(wait=True, cancel_futures=True)


def in_order(
    function: Callable[[Task], Result], tasks: Iterable[Task], workers: int, what: str = "a worker process"
) -> Iterator[Result]:
    """Yield what a function makes of each task, in the tasks' order; by one worker in this process.

    Tasks are taken as results are: no more than AHEAD a worker are held. Raises what the function raises, Unfinished
    where a process is killed.
    """
    if workers == 1:
        yield from map(function, tasks)
        return
    waiting = deque[Future[Result]]()
    with processes(workers, function) as pool:
        try:
            for task in tasks:
                waiting.append(pool.submit(call, task))
                if len(waiting) > AHEAD * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenExecutor as error:
            why = "something ended it: the system does so where memory is short"
            raise Unfinished(f"{what} is gone ({type(error).__name__})", why=why) from error


def call(task: Any) -> Any:
    """Do a task with the function that this process was started with."""
    return _of_this_process["function"](task)


def _begin(function: Callable[[Any], Any] | None) -> None:
    """Let Ctrl-C reach the parent alone, which cancels what has not begun; but do not outlive it."""
    if function is not None:
        _of_this_process["function"] = function
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        # not sys.exit, which would end this thread alone: the worker would wait for tasks that nobody sends
        os._exit(1)
