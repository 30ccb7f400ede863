"""One shard's work as a value that can travel, and where it runs: in this process, in workers, or on a dask cluster.

All of them give the same shards. At most two tasks a worker are under way at once, so memory is bounded by a few
shards, not by the table.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from gocell_cli.errors import ExtraMissing, SourceMissing
from gocell_cli.storage.schema import Samples, ShardRecord
from gocell_cli.storage.staging import write_shard

# one under way and one waiting: a worker that is done finds its next shard without asking for it
TASKS_A_WORKER = 2
CONNECT_SECONDS = 10


@runtime_checkable
class ShardContent(Protocol):
    """The samples of one shard, made where they are written."""

    def samples(self) -> Samples:
        """Return them."""
        ...


@runtime_checkable
class SampleSource(Protocol):
    """All samples of a cache, cut on demand; `part` must be a pure function of its bounds."""

    def part(self, start: int, stop: int) -> ShardContent:
        """Return the content of samples [start, stop)."""
        ...


@dataclass(frozen=True)
class InMemory:
    """The content of one shard, already made."""

    held: Samples

    def samples(self) -> Samples:
        """Return the samples."""
        return self.held


@dataclass(frozen=True)
class ShardTask:
    """Encode one shard into the cache being made at `cache`."""

    cache: Path
    backends: tuple[str, ...]
    index: int
    start: int
    content: ShardContent

    def run(self) -> ShardRecord:
        """Write the shard's files and its record; idempotent."""
        return write_shard(self.cache, self.backends, self.index, self.start, self.content.samples())


@dataclass(frozen=True)
class ExecutorChoice:
    """`kind` is `local` (this process, or `workers` processes) or `dask` (a local cluster, or `scheduler`)."""

    kind: str = "local"
    workers: int = 1
    scheduler: str | None = None


def run_tasks(tasks: Iterable[ShardTask], choice: ExecutorChoice) -> Iterator[ShardRecord]:
    """Run the tasks and yield their records as they finish; the first error ends it.

    Raises ExtraMissing where dask is asked for and not installed, SourceMissing where no scheduler answers.
    """
    # no pool for one worker: a second Python would only take time to start
    if choice.kind == "local" and choice.workers == 1:
        for task in tasks:
            yield task.run()
        return
    with _dask(choice) if choice.kind == "dask" else _processes(choice.workers) as pool:
        yield from _windowed(tasks, pool, TASKS_A_WORKER * max(choice.workers, 1))


def _windowed(tasks: Iterable[ShardTask], pool: Executor, window: int) -> Iterator[ShardRecord]:
    running: set[Future[ShardRecord]] = set()
    for task in tasks:
        running.add(pool.submit(run_task, task))
        if len(running) >= window:
            # shards are cut as tasks are taken, so not taking more is what bounds the memory
            done, running = wait(running, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)
    done, _ = wait(running)
    yield from (future.result() for future in done)


def run_task(task: ShardTask) -> ShardRecord:
    """Run one task; a function of its own, so that it can be sent by name."""
    return task.run()


@contextmanager
def _processes(workers: int) -> Iterator[Executor]:
    # Spawned, not forked: pyarrow's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_leave_signals_to_parent)
    try:
        yield pool
    finally:
        # shards that were begun are finished, with their records: a resume need not write them again
        pool.shutdown(wait=True, cancel_futures=True)


def _leave_signals_to_parent() -> None:
    """Let Ctrl-C reach the parent alone, which cancels what has not begun; but do not outlive it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        # not sys.exit, which would end this thread alone: the worker would wait for tasks that nobody sends
        os._exit(1)


@contextmanager
def _dask(choice: ExecutorChoice) -> Iterator[Executor]:
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise ExtraMissing(
            "--executor dask needs the extra `dask`", why=str(error), hint="pip install 'gocell[dask]'"
        ) from error
    if choice.scheduler is not None:
        try:
            client = Client(choice.scheduler, timeout=CONNECT_SECONDS)
        except OSError as error:
            raise SourceMissing(
                f"no dask scheduler answers at {choice.scheduler}",
                why=str(error),
                hint="start one with `dask scheduler`, or leave --scheduler out for a local cluster",
            ) from error
        with client:
            yield client.get_executor()
        return
    workers = max(choice.workers, 1)
    # one thread each, as a worker process has; no dashboard, which would open a port
    with LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as c:
        yield c.get_executor()
