"""Errors that a user can act on, one class for each exit code.

    GocellError (1, a fault of ours unless a child says otherwise)
    |-- UsageError (2)       a flag or value that cannot mean anything
    |   |-- Diverged (2)     settings with which a training leaves what numbers can hold
    |   |-- TooLarge (2)     what would take more memory than there is
    |   `-- CannotWrite (2)  a place that cannot be written, however often it is tried
    |-- LevelsError (3)      an edge connects terms of the same level, or of inverted levels
    |-- InvalidInput (4)     a file says something it may not: file, line, reason
    |   `-- CycleError (4)   the ontology is not acyclic
    |-- DamagedCache (5)     a cache or a run that is damaged, incomplete or of another version
    |   `-- Unfinished (5)   writing that failed in the middle, and may go on once the cause is mended
    |-- SourceMissing (6)    no file, no network
    `-- ExtraMissing (7)     an optional dependency is not installed

Only the commands print them; everything below raises.
"""

import difflib
from collections.abc import Iterable, Sequence


class GocellError(Exception):
    """One clear message: what and where, why, and a hint that can be pasted."""

    exit_code = 1

    def __init__(self, message: str, *, why: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.why = why
        self.hint = hint

    def __str__(self) -> str:
        lines = [self.message]
        if self.why:
            lines.append(f"  why: {self.why}")
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        return "\n".join(lines)


class UsageError(GocellError):
    """A flag or a value that cannot be used."""

    exit_code = 2


class Diverged(UsageError):
    """A training whose loss, gradient or predictions are no finite numbers any more: a setting must change."""


class TooLarge(UsageError):
    """Something that would take more memory than there is; told before it is taken."""


class CannotWrite(UsageError):
    """A place that cannot be written: not allowed, read-only, no such folder; another try ends the same."""


class LevelsError(GocellError):
    """The grouping asked for does not hold on the hierarchy in use."""

    exit_code = 3


class InvalidInput(GocellError):
    """A file that breaks its format; `where` is `path` or `path:line`."""

    exit_code = 4

    @classmethod
    def at(cls, path: object, line: int | None, reason: str, *, hint: str = "") -> "InvalidInput":
        """Return the error for one line (1-based) of one file."""
        where = f"{path}:{line}" if line is not None else str(path)
        return cls(f"{where}: {reason}", hint=hint)


class CycleError(InvalidInput):
    """The edges of an ontology form a cycle, here term by term (first term not repeated)."""

    def __init__(
        self,
        cycle: Sequence[str],
        *,
        source: str,
        hint: str = "choose relations without cycles, for example --relations is_a,part_of",
    ) -> None:
        self.cycle = tuple(cycle)
        path = "\n".join(f"    {a} -> {b}" for a, b in zip(cycle, [*cycle[1:], cycle[0]], strict=True))
        super().__init__(
            f"{source}: the ontology has a cycle of {len(cycle)} terms (parent -> child):\n{path}",
            why="levels exist only on an acyclic graph, so nothing was computed",
            hint=hint,
        )


class DamagedCache(GocellError):
    """A cache that may not be read."""

    exit_code = 5


class Unfinished(DamagedCache):
    """Writing failed in the middle: what is finished stays, and the same command, or a resume, goes on from there."""


class SourceMissing(GocellError):
    """A source that is neither on disk nor to be had from the network."""

    exit_code = 6

    @classmethod
    def of(
        cls, path: object, error: Exception, *, hint: str = "check the path, and who may read it"
    ) -> "SourceMissing":
        """Return the error of a file that cannot be opened."""
        why = "no such file" if isinstance(error, FileNotFoundError) else getattr(error, "strerror", None) or str(error)
        return cls(f"{path}: cannot be read", why=why, hint=hint)


class ExtraMissing(GocellError):
    """An optional dependency is not installed."""

    exit_code = 7


def did_you_mean(word: str, known: Iterable[str], *, otherwise: str) -> str:
    """Return a hint that names the up to three known words nearest to one, or `otherwise` where none is near."""
    close = difflib.get_close_matches(word, list(known), n=3)
    return f"did you mean {' or '.join(close)}?" if close else otherwise
