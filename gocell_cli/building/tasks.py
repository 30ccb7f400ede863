"""One shard's work as a value that can travel, and where it runs: in this process, in workers, or on a dask cluster.

All of them give the same shards. At most two tasks a worker are under way at once, so memory is bounded by a few
shards, not by the table. A worker that is killed ends the build, which can be resumed; a cluster that is left without a
worker, or whose scheduler is gone, does after a time that is told: dask itself would wait for ever.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    wait,
)
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from gocell_cli.errors import ExtraMissing, SourceMissing, Unfinished
from gocell_cli.storage.records import ShardRecord
from gocell_cli.storage.schema import Samples
from gocell_cli.storage.staging import write_shard
from gocell_cli.worker_processes import AHEAD, processes

CONNECT_SECONDS = 10
LOOK_SECONDS = 10.0
"""After so long without a finished shard a cluster is looked at, and a line says what is waited for."""
WORKER_SECONDS = 300.0
"""So long a cluster may be without a worker: as batch systems may take to start one again."""
LOST_WORKER = "KilledWorker"
"""distributed's name for a task whose workers died several times."""


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

    @property
    def row_bytes(self) -> float:
        """Bytes that a row of them takes in memory; 0 where they are made as they are written."""
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


def _say_nothing(_: str) -> None:
    pass


@dataclass(frozen=True)
class ExecutorChoice:
    """`kind` is `local` (this process, or `workers` processes) or `dask` (a local cluster, or `scheduler`).

    `say` takes a line on what is waited for, each `look` seconds; a cluster may be without a worker for `patience`
    seconds.
    """

    kind: str = "local"
    workers: int = 1
    scheduler: str | None = None
    say: Callable[[str], None] = _say_nothing
    look: float = LOOK_SECONDS
    patience: float = WORKER_SECONDS


def run_tasks(tasks: Iterable[ShardTask], choice: ExecutorChoice) -> Iterator[ShardRecord]:
    """Run the tasks and yield their records as they finish; the first error ends it.

    Raises ExtraMissing where dask is asked for and not installed, SourceMissing where no scheduler answers, Unfinished
    where workers are killed, or none comes.
    """
    # no pool for one worker: a second Python would only take time to start
    if choice.kind == "local" and choice.workers == 1:
        for task in tasks:
            yield task.run()
        return
    with _dask(choice) if choice.kind == "dask" else _processes(choice.workers) as (pool, look):
        try:
            yield from _windowed(tasks, pool, choice, look)
        except (BrokenExecutor, CancelledError, asyncio.CancelledError) as error:
            why = "something ended it: the system does so where memory is short"
            raise Unfinished(f"a worker process is gone ({type(error).__name__})", why=why) from error
        except Exception as error:
            if type(error).__name__ != LOST_WORKER:
                raise
            raise Unfinished("the workers died, one after the other, of one shard", why=str(error)) from error


def _windowed(
    tasks: Iterable[ShardTask], pool: Executor, choice: ExecutorChoice, look: Callable[[], None]
) -> Iterator[ShardRecord]:
    window, running = AHEAD * max(choice.workers, 1), set[Future[ShardRecord]]()
    for task in tasks:
        running.add(pool.submit(run_task, task))
        if len(running) >= window:
            # shards are cut as tasks are taken, so not taking more is what bounds the memory
            done, running = _some_done(running, choice.look, look)
            yield from (future.result() for future in done)
    while running:
        done, running = _some_done(running, choice.look, look)
        yield from (future.result() for future in done)


def _some_done(
    running: set[Future[ShardRecord]], seconds: float, look: Callable[[], None]
) -> tuple[set[Future[ShardRecord]], set[Future[ShardRecord]]]:
    """Wait for the first of some futures, and look meanwhile, every so many seconds, whether it may still come."""
    while True:
        done, left = wait(running, seconds, return_when=FIRST_COMPLETED)
        if done:
            return done, left
        look()


def run_task(task: ShardTask) -> ShardRecord:
    """Run one task; a function of its own, so that it can be sent by name."""
    return task.run()


@contextmanager
def _processes(workers: int) -> Iterator[tuple[Executor, Callable[[], None]]]:
    with processes(workers) as pool:
        yield pool, lambda: None  # the pool itself notices a worker that is gone


@contextmanager
def _dask(choice: ExecutorChoice) -> Iterator[tuple[Executor, Callable[[], None]]]:
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise ExtraMissing(
            "--executor dask needs the extra `dask`", why=str(error), hint="pip install 'gocell[dask]'"
        ) from error
    if choice.scheduler is not None:
        with _connected(Client, choice.scheduler) as client:
            yield client.get_executor(), _Cluster(client, choice).look
        return
    workers = max(choice.workers, 1)
    # one thread each, as a worker process has; no dashboard, which would open a port
    with LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as c:
        yield c.get_executor(), _Cluster(c, choice).look


def _connected(client_class: Any, scheduler: str) -> Any:
    """Return dask's client of a scheduler; raises SourceMissing where none answers."""
    # made apart from being initialised: a client that failed there has to be closed now, in this thread. Collected as
    # garbage, say while another client starts its thread, it closes itself under the lock that the one which starts
    # has taken: both then wait for ever.
    client = client_class.__new__(client_class)
    try:
        client_class.__init__(client, scheduler, timeout=CONNECT_SECONDS)
    # ValueError: an address of no protocol that dask knows; TypeError: tls:// without certificates;
    # AssertionError, without a word: on a busy machine dask's own loop did not start within its 10 seconds
    except (OSError, ValueError, TypeError, AssertionError) as error:
        with suppress(Exception):  # the same error again, or that it has no loop yet
            client.close(timeout=CONNECT_SECONDS)
        raise SourceMissing(
            f"no dask scheduler answers at {scheduler}",
            why=str(error) or "dask's event loop did not start",
            hint="start one with `dask scheduler`, or leave --scheduler out for a local cluster",
        ) from error
    return client


class _Cluster:
    """Whether a cluster has workers, and since when not; `client` is distributed's."""

    def __init__(self, client: Any, choice: ExecutorChoice) -> None:
        self._client, self._choice = client, choice
        self._alone_since: float | None = None

    def look(self) -> None:
        """Say what is waited for; raises Unfinished where the scheduler is gone, or no worker came for too long."""
        where = self._choice.scheduler or "the local cluster"
        workers = self._workers()
        if workers is None and self._client.status != "running":
            raise Unfinished(f"the dask scheduler at {where} is gone", why="the connection to it was lost")
        if workers:
            self._alone_since = None
            self._choice.say(f"waiting for a shard: {where} has {workers} workers")
            return
        now = time.monotonic()
        self._alone_since = now if self._alone_since is None else self._alone_since
        alone, patience = now - self._alone_since, self._choice.patience
        state = "does not answer" if workers is None else "has no worker"
        if alone >= patience:
            why = f"so it was for {patience:,.0f} s; GOCELL_WORKER_TIMEOUT says how long to wait"
            raise Unfinished(f"{where} {state}", why=why)
        self._choice.say(f"{where} {state}; waiting for {patience - alone:,.0f} s more")

    def _workers(self) -> int | None:
        """Return how many there are, None where the scheduler does not say."""
        try:
            found = self._client.sync(self._client.scheduler.ncores, workers=None, callback_timeout=CONNECT_SECONDS)
        except (OSError, TimeoutError, CancelledError, asyncio.CancelledError, RuntimeError):
            return None
        return len(found)
