"""The progress of downloads on stderr: a bar on a terminal, one line for each file elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gocell_cli.commands.shell.terminal import note, shows_progress

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


@contextmanager
def download_progress() -> Iterator["Download"]:
    """Yield the watcher of a download (`sources.transfer.Watcher`)."""
    if not shows_progress():
        yield Download(None)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
        yield Download(bar)


class Download:
    """A bar for each file that is fetched, or one line where there is no bar."""

    def __init__(self, bar: "Progress | None") -> None:
        self._bar = bar
        self._tasks: dict[str, TaskID | None] = {}

    def progress(self, name: str, done: int, total: int | None) -> None:
        """Show `done` bytes of `total`."""
        if name not in self._tasks:
            self._tasks[name] = self._bar.add_task(name) if self._bar is not None else None
            if self._bar is None:
                size = "" if total is None else f", {total:,} bytes"
                note(f"fetching {name}{size}")
        task = self._tasks[name]
        if self._bar is not None and task is not None:
            self._bar.update(task, completed=done, total=total)

    def say(self, text: str) -> None:
        """Print one line."""
        if self._bar is None:
            note(text)
        else:
            self._bar.console.print(f"note: {text}", markup=False, style="dim")
