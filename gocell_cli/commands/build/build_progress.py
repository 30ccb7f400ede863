"""Where a build is: its phases and their times, a bar or a line a minute, and a file of JSON for whoever polls.

    {"status": "running", "phase": "reading", "done": 92274688, "total": 464071573, "unit": "bytes", "rows": 3976543,
     "seconds": 4.2, "phases": {"ontology": 1.9}, "cache": null, "error": null, "pid": 4711, "updated": "2026-..."}

The file is replaced as a whole, at most once a second and whenever a phase begins. Its last state stays: `finished`, or
`failed` with what went wrong; a `running` one whose `pid` is gone was killed.
"""

import datetime
import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gocell_cli.commands.shell.progress import counting
from gocell_cli.commands.shell.terminal import note, shows_progress
from gocell_cli.whole_file import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable

ONTOLOGY, READING, PLANNING, WRITING = "ontology", "reading", "planning", "writing"
LINE_SECONDS, STATE_SECONDS = 60.0, 1.0
"""At most so often a line is printed off a terminal, and the file is replaced."""


class BuildProgress:
    """What a build tells of itself, phase by phase. `verbose`: a line on each phase with its seconds."""

    def __init__(self, state: Path | None, *, verbose: bool) -> None:
        self._state, self._verbose = state, verbose
        self._begun = self._phase_begun = self._told = time.monotonic()
        self._written = 0.0
        self._phase = ""
        self._phases: dict[str, float] = {}
        self._done: dict[str, int | str | None] = {"done": 0, "total": None, "unit": None, "rows": None}
        self._cache: str | None = None
        self._shown = ExitStack()
        self._bar: Callable[[int, int], None] | None = None

    def begin(self, phase: str, cache: Path | None = None) -> None:
        """End the phase before, and begin one; `cache` is where it will be, once that is known."""
        self._end_phase()
        self._phase, self._phase_begun = phase, time.monotonic()
        self._done = {"done": 0, "total": None, "unit": None, "rows": None}
        self._cache = str(cache) if cache is not None else self._cache
        self._write("running")

    def read(self, done: int, total: int, rows: int) -> None:
        """Tell of a long table: bytes (of Parquet rows) that were read, of how many (0: unknown), and rows."""
        self._tell(done, total, "rows" if done == rows else "bytes", f", {rows:,} rows", rows)

    def write(self, done: int, total: int) -> None:
        """Tell of shards that are written."""
        self._tell(done, total, "shards", "", None)

    def end(self, status: str, error: str | None = None) -> None:
        """End the last phase, and say how the build ended."""
        self._end_phase()
        self._write(status, error)

    def _tell(self, done: int, total: int, unit: str, more: str, rows: int | None) -> None:
        self._done = {"done": done, "total": total or None, "unit": unit, "rows": rows}
        now = time.monotonic()
        if shows_progress():
            if self._bar is None:
                self._bar = self._shown.enter_context(counting(f"{self._phase} {unit}"))
            self._bar(done, total)
        elif now - self._told >= LINE_SECONDS:
            self._told = now
            note(f"{done:,} of {total:,} {unit}{more}, {now - self._phase_begun:,.0f} s", self._phase)
        if now - self._written >= STATE_SECONDS:
            self._write("running")

    def _end_phase(self) -> None:
        self._shown.close()
        self._bar = None
        if not self._phase:
            return
        seconds = time.monotonic() - self._phase_begun
        self._phases[self._phase] = round(seconds, 3)
        if self._verbose:
            note(f"{self._phase} took {seconds:,.1f} s", "phase")

    def _write(self, status: str, error: str | None = None) -> None:
        if self._state is None:
            return
        self._written = time.monotonic()
        told = {
            "status": status,
            "phase": self._phase,
            **self._done,
            "seconds": round(self._written - self._begun, 3),
            "phases": self._phases,
            "cache": self._cache,
            "error": error,
            "pid": os.getpid(),
            "updated": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }
        write_whole(self._state, json.dumps(told, indent=1) + "\n")


@contextmanager
def build_progress(state: Path | None, *, verbose: bool) -> Iterator[BuildProgress]:
    """Yield what a build reports to; how it ends, by an error or a signal too, is the last that it tells."""
    progress = BuildProgress(state, verbose=verbose)
    try:
        yield progress
    except BaseException as error:
        progress.end("failed", getattr(error, "message", None) or type(error).__name__)
        raise
    progress.end("finished")
