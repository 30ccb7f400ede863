"""The three streams made safe: whoever closed one, filled the disk behind it or reads no more, changes no verdict.

A reader that has had enough (`gocell ... | head`) is no error: what is left goes nowhere, and the command ends as it
would have. A stdout that cannot take what was asked for (a full disk) is one, told once; of stderr none is.
"""

import io
import os
import select
import sys
from pathlib import Path
from typing import TextIO

from gocell_cli.whole_file import writing

STDOUT = Path("stdout")


class _Out(io.RawIOBase):
    """A descriptor that is written to until it fails, and takes everything for nothing after that."""

    def __init__(self, descriptor: int, *, told: bool) -> None:
        self._file = io.FileIO(descriptor, "w", closefd=False)
        self._told, self._gone = told, False

    def writable(self) -> bool:
        """It is."""
        return True

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._file.fileno()

    def isatty(self) -> bool:
        """Return whether it is a terminal."""
        return self._file.isatty()

    def write(self, data: "io.ReadableBuffer") -> int | None:  # type: ignore[name-defined]
        """Write, and return how many bytes were taken; raises CannotWrite or Unfinished once, if it tells of it."""
        if self._gone:
            return memoryview(data).nbytes
        try:
            while (taken := self._file.write(data)) is None:  # not blocking, as some programs leave a pipe they share
                select.select([], [self._file], [])
            return taken
        except OSError as error:
            self._gone = True
            if isinstance(error, BrokenPipeError) or not self._told:
                return memoryview(data).nbytes
            with writing(STDOUT):
                raise


def guard_streams() -> None:
    """Put such a stream in the place of stdout and stderr, and nothing in that of a closed one.

    A letter that a stream's encoding lacks is spelled out: no traceback.
    """
    for number, mode in enumerate("rww"):
        try:
            os.fstat(number)
        except OSError:
            # Closed: the next file to be opened would get its number, and what a library prints would go into it.
            os.open(os.devnull, os.O_RDONLY if mode == "r" else os.O_WRONLY)
    if sys.stdin is None:
        sys.stdin = Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115 open as long as the process
    sys.stdout, sys.stderr = _guarded(sys.stdout, 1, told=True), _guarded(sys.stderr, 2, told=False)


def _guarded(stream: TextIO | None, number: int, *, told: bool) -> io.TextIOWrapper:
    before = stream.encoding if stream is not None else "utf-8"
    if stream is not None:
        stream.flush()
    out = _Out(number, told=told)
    return io.TextIOWrapper(
        io.BufferedWriter(out),
        encoding=before,
        errors="backslashreplace",
        line_buffering=not told or out.isatty(),  # as Python has them
    )
