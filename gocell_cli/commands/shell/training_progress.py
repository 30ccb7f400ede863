"""Training seen from the terminal: a bar on a terminal, one line an interval elsewhere; signals that save."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from gocell_cli.commands.shell.terminal import note, shows_progress

if TYPE_CHECKING:
    from gocell_cli.training.runs.clock import Progress

INTERVAL_SECONDS = 10.0


def describe(state: "Progress") -> str:
    """One line: epoch, speed, loss, validation r."""
    pearson = "" if state.validation_pearson is None else f", validation r {state.validation_pearson:.3f}"
    return (
        f"epoch {state.epoch + 1}/{state.epochs}, step {state.step}/{state.steps}: "
        f"{state.samples_per_second:,.0f} samples/s, loss {state.loss:.4f}{pearson}"
    )


@contextmanager
def training_progress(*, shown: bool = True) -> Iterator[Callable[["Progress"], None]]:
    """Yield what a trainer reports its steps to; of several processes one is shown."""
    if not shown:
        yield lambda _: None
        return
    if not shows_progress():
        yield _lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("training", total=None)

        def show(state: "Progress") -> None:
            done = state.epoch * state.steps + state.step
            bars.update(task, description=describe(state), completed=done, total=state.epochs * state.steps)

        yield show


def _lines() -> Callable[["Progress"], None]:
    last = time.monotonic()

    def show(state: "Progress") -> None:
        nonlocal last
        if time.monotonic() - last >= INTERVAL_SECONDS or (
            state.step == state.steps and state.epoch + 1 == state.epochs
        ):
            last = time.monotonic()
            note(describe(state), "train")

    return show


class Signals:
    """SIGTERM and SIGINT ask to save and stop, SIGUSR1 (a batch system's warning) to save and go on."""

    def __init__(self) -> None:
        self.stopped_by: int | None = None
        self._save = False

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
