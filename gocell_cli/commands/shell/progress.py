"""What a long command shows meanwhile, on stderr: a bar on a terminal, lines elsewhere, nothing with --quiet.

And the signals by which a training is told to save.
"""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from gocell_cli.commands.shell.terminal import console, note, shows_progress
from gocell_cli.user_text import printable

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import ProgressColumn, TaskID

    from gocell_cli.training.runs.trainer import Progress

# At most once in so many seconds: a log file is read by people.
INTERVAL_SECONDS = 10.0


@contextmanager
def _bars(*columns: "ProgressColumn") -> Iterator["Bars"]:
    """Yield bars whose description, taken literally, comes first, and which are gone once all is done."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    before = (TextColumn("{task.description}", markup=False), BarColumn())
    with Progress(*before, *columns, TimeRemainingColumn(), console=console(stderr=True), transient=True) as bars:
        yield bars


@contextmanager
def counting(description: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a callback for (done, in all), shown as a bar."""
    from rich.progress import MofNCompleteColumn

    with _bars(MofNCompleteColumn()) as bars:
        task = bars.add_task(description, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


@contextmanager
def prediction_progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a callback for (genotypes done, genotypes in all): a bar on a terminal, a line each 10 s elsewhere."""
    if not shows_progress():
        yield _prediction_lines(what)
        return
    with counting(f"predicting {what}") as report:
        yield report


def _prediction_lines(what: str) -> Callable[[int, int], None]:
    begun = last = time.monotonic()
    first = -1  # those that a stopped run had done already: they say nothing of this run's speed

    def report(done: int, total: int) -> None:
        nonlocal last, first
        first = done if first < 0 else first
        now = time.monotonic()
        if now - last >= INTERVAL_SECONDS:
            last, rate = now, (done - first) / (now - begun)
            left = (total - done) / max(rate, 1)
            note(f"{done:,} of {total:,} {what}, {rate:,.0f} a second, {left:,.0f} s left", "predict")

    return report


@contextmanager
def download_progress() -> Iterator["Download"]:
    """Yield the watcher of a download (`sources.download.transfer.Watcher`)."""
    if not shows_progress():
        yield Download(None)
        return
    from rich.progress import DownloadColumn, TransferSpeedColumn

    with _bars(DownloadColumn(), TransferSpeedColumn()) as bars:
        yield Download(bars)


class Download:
    """A bar for each file that is fetched, or where there is none a line at its beginning and each 10 s."""

    def __init__(self, bars: "Bars | None") -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID | None] = {}
        self._last = time.monotonic()

    def progress(self, name: str, done: int, total: int | None) -> None:
        """Show `done` bytes of `total`."""
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(printable(name)) if self._bars is not None else None
            if self._bars is None:
                size = "" if total is None else f", {total:,} bytes"
                note(f"fetching {name}{size}")
                self._last = time.monotonic()
        if self._bars is None and time.monotonic() - self._last >= INTERVAL_SECONDS:
            self._last = time.monotonic()
            note(f"{name}: {done:,} bytes{'' if total is None else f' of {total:,}'}")
        task = self._tasks[name]
        if self._bars is not None and task is not None:
            self._bars.update(task, completed=done, total=total)

    def say(self, text: str) -> None:
        """Print one line."""
        if self._bars is None:
            note(text)
        else:  # above the bar, by the bar's own console
            self._bars.console.print(f"note: {printable(text)}", style="dim")


def describe(state: "Progress") -> str:
    """One line on a training: epoch, speed, loss, validation r."""
    pearson = "" if state.validation_pearson is None else f", validation r {state.validation_pearson:.3f}"
    loss = "" if state.loss is None else f", loss {state.loss:.4f}"
    return (
        f"epoch {state.epoch + 1}/{state.epochs}, step {state.step}/{state.steps}: "
        f"{state.samples_per_second:,.0f} samples/s{loss}{pearson}"
    )


@contextmanager
def training_progress(*, shown: bool = True) -> Iterator[Callable[["Progress"], None]]:
    """Yield what a trainer reports its steps to; of several processes one is shown."""
    if not shown:
        yield lambda _: None
        return
    if not shows_progress():
        yield _training_lines()
        return
    with _bars() as bars:
        task = bars.add_task("training", total=None)

        def show(state: "Progress") -> None:
            done = state.epoch * state.steps + state.step
            bars.update(task, description=describe(state), completed=done, total=state.epochs * state.steps)

        yield show


def _training_lines() -> Callable[["Progress"], None]:
    last = time.monotonic()

    def show(state: "Progress") -> None:
        nonlocal last
        at_the_end = state.step == state.steps and state.epoch + 1 == state.epochs
        if time.monotonic() - last >= INTERVAL_SECONDS or at_the_end:
            last = time.monotonic()
            note(describe(state), "train")

    return show


class Signals:
    """SIGTERM and SIGINT ask to save and stop, SIGUSR1 (a batch system's warning) to save and go on."""

    def __init__(self) -> None:
        self.stopped_by: int | None = None
        self._save = False

    # A handler only notes the wish: a step that is interrupted would leave weights that are half updated.
    def _stop(self, number: int, _frame: FrameType | None) -> None:
        self.stopped_by = number

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self._save = True

    def stop(self) -> bool:
        """Whether to stop after this step."""
        return self.stopped_by is not None

    def save(self) -> bool:
        """Whether to save after this step; asked once a signal."""
        wanted, self._save = self._save, False
        return wanted

    @contextmanager
    def caught(self) -> Iterator["Signals"]:
        """Catch them, and put back what caught them before."""
        handlers = {signal.SIGTERM: self._stop, signal.SIGINT: self._stop, signal.SIGUSR1: self._ask}
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
