"""Members of a series trained at the same time, each in a process of its own: started, told of signals, waited for.

The processes are forked from one that has loaded torch and done nothing with it, so that each begins at once and with
no threads but its own; they share the cores, which changes no bit of what they compute. None outlives who started it.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

from gocell_cli.commands.shell.last_resort import explained
from gocell_cli.commands.shell.progress import Signals
from gocell_cli.commands.shell.terminal import be_quiet
from gocell_cli.errors import GocellError, Unfinished
from gocell_cli.series_record import MemberRecord
from gocell_cli.training.runs.config import RunConfig
from gocell_cli.training.runs.series.state import Series

LOOK_SECONDS = 0.2
"""Between two looks for a signal to pass on."""


@dataclass
class Work:
    """A process and its member; `outcome` gets the error that ended it, or why it diverged, or None."""

    member: MemberRecord
    process: ForkServerProcess
    outcome: "Connection[object, object]"


def train_at_once(series: Series, cache: Path, jobs: int, tell: Callable[[MemberRecord], None]) -> None:
    """Train what is left of a series, `jobs` at a time; `tell` hears of each member that ended.

    SIGTERM and SIGINT are passed on as SIGTERM, and end it with SystemExit once all have saved; SIGUSR1 is passed on.
    Where a member ends by an error but of diverging, the others save and stop, and it is raised.
    """
    left, running, errors = series.left(), list[Work](), list[GocellError]()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "gocell_cli.training.runs.run"])
    start = partial(_started, context, series, cache, jobs)
    with Signals().caught() as signals:
        try:
            while running or (left and not errors and not signals.stop()):
                while left and len(running) < jobs and not errors and not signals.stop():
                    try:
                        running.append(start(left.pop(0)))
                    except GocellError as error:
                        errors.append(error)
                _pass_on(signals, running, stop=bool(errors))
                ended = wait([work.process.sentinel for work in running], LOOK_SECONDS)
                for work in [work for work in running if work.process.sentinel in ended]:
                    running.remove(work)
                    errors += _settled(series, work, tell, stopping=bool(errors) or signals.stop())
        finally:
            for work in running:
                work.process.terminate()
                work.process.join()
    if signals.stopped_by is not None:
        sys.exit(128 + signals.stopped_by)
    if errors:
        raise errors[0]


def _started(context: ForkServerContext, series: Series, cache: Path, jobs: int, member: MemberRecord) -> Work:
    """Start a member; raises Unfinished where what starts processes is gone, as by a signal to the whole group."""
    outcome, told = context.Pipe(duplex=False)
    arguments = (series.directory / member.run, cache, series.settings_of(member), jobs, told)
    process = context.Process(target=_work, args=arguments, name=member.run)
    try:
        process.start()
    except (EOFError, ConnectionError) as error:
        hint = f"gocell train --resume --out {series.directory}"
        raise Unfinished("the process that starts a series' runs was killed", hint=hint) from error
    finally:
        told.close()  # the process has its own end: where it dies, this one reads the pipe's end
    return Work(member, process, outcome)


def _pass_on(signals: Signals, running: list[Work], *, stop: bool) -> None:
    """Let every process save, and stop."""
    save, stop = signals.save(), stop or signals.stop()
    for work in running:
        if save and work.process.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(work.process.pid, signal.SIGUSR1)
        if stop:
            work.process.terminate()


def _settled(series: Series, work: Work, tell: Callable[[MemberRecord], None], *, stopping: bool) -> list[GocellError]:
    """Take in how a process ended; return the error that is to end the series, if any."""
    work.process.join()
    try:
        found = work.outcome.recv() if work.outcome.poll() else work.process.exitcode
    except EOFError:
        found = work.process.exitcode
    work.outcome.close()
    if found is None or isinstance(found, str):
        tell(series.settle(work.member, found))
        return []
    if isinstance(found, GocellError):
        return [found]
    if stopping:
        return []
    return [
        Unfinished(
            f"{series.directory / work.member.run}: its process ended by itself, with code {found}",
            why="the system kills what takes too much memory" if found == -signal.SIGKILL else "",
            hint=f"gocell train --resume --out {series.directory}, with fewer --jobs",
        )
    ]


def _work(directory: Path, cache: Path, config: RunConfig, jobs: int, told: "Connection[object, object]") -> None:
    """Train one member in this process, and tell how it ended."""
    threading.Thread(target=_die_with_parent, daemon=True).start()
    for number in (signal.SIGINT, signal.SIGUSR1):  # Ctrl-C is for all processes of a terminal: one passes it on
        signal.signal(number, signal.SIG_IGN)
    be_quiet(True)
    outcome: GocellError | str | None
    try:
        from gocell_cli.commands.model.one_run import train_member
        from gocell_cli.storage.reader import Cache
        from gocell_cli.training.cores import share_cores
        from gocell_cli.training.runs.samples import as_asked

        share_cores(jobs)
        outcome = train_member(directory, as_asked(Cache(cache), config), config)
    except Exception as error:
        outcome = explained(error)
    told.send(outcome)


def _die_with_parent() -> None:
    """Kill this process when the one that started it is gone: its run would stay locked, and for nobody."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGKILL)
