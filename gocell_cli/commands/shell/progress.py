"""A progress bar on stderr, on a terminal only."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gocell_cli.commands.shell.terminal import note, shows_progress

INTERVAL_SECONDS = 10.0


@contextmanager
def shard_progress() -> Iterator[Callable[[int, int], None] | None]:
    """Yield a callback for (shards done, shards in all), or None where stderr is no terminal."""
    if not shows_progress():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("writing shards"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("shards", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def pair_progress() -> Iterator[Callable[[int, int], None]]:
    """Yield a callback for (pairs done, pairs in all): a bar on a terminal, a line each 10 s elsewhere."""
    if not shows_progress():
        yield _pair_lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("predicting pairs"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("pairs", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _pair_lines() -> Callable[[int, int], None]:
    begun = last = time.monotonic()
    first = -1

    def report(done: int, total: int) -> None:
        nonlocal last, first
        first = done if first < 0 else first
        now = time.monotonic()
        if now - last >= INTERVAL_SECONDS:
            rate = (done - first) / (now - begun)
            last = now
            note(
                f"{done:,} of {total:,} pairs, {rate:,.0f} a second, {(total - done) / max(rate, 1):,.0f} s left",
                "predict",
            )

    return report
