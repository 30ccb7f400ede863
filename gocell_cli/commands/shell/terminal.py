"""The one place that talks to the terminal: data on stdout, everything else on stderr."""

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

WIDTH_OFF_TERMINAL = 120
MOST_NAMED = 5
HEARD_WHEN_QUIET = ("error", "why", "hint", "warning", "resume with")

_state = {"quiet": False}


def be_quiet(quiet: bool) -> None:
    """Leave out notes and progress from now on, or no longer."""
    _state["quiet"] = quiet


def is_quiet() -> bool:
    """Return whether notes and progress are left out."""
    return _state["quiet"]


def shows_progress() -> bool:
    """Return whether a progress bar is of use: stderr is a terminal, and nobody asked for quiet."""
    return sys.stderr.isatty() and not is_quiet()


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, width=None if stream.isatty() else WIDTH_OFF_TERMINAL, highlight=False)


def show(*items: str | Table) -> None:
    """Print text (rich markup) or tables to stdout."""
    console = _console(stderr=False)
    for item in items:
        console.print(item, soft_wrap=isinstance(item, str))


def show_json(value: Any) -> None:
    """Print one JSON document to stdout."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n")


def show_result(document: Any, tell: Callable[[], None], *, json: bool, essence: str = "") -> None:
    """Print what a command did: as JSON, as people read it, or with --quiet its essence alone (a path, or nothing)."""
    if json:
        show_json(document)
    elif not is_quiet():
        tell()
    elif essence:
        show(escape(essence))


def note(text: str, kind: str = "note") -> None:
    """Print one line to stderr; with --quiet, errors and warnings only."""
    if is_quiet() and kind not in HEARD_WHEN_QUIET:
        return
    style = {"error": "bold red", "warning": "yellow", "hint": "cyan"}.get(kind, "dim")
    _console(stderr=True).print(f"[{style}]{kind}:[/{style}] {escape(text)}", soft_wrap=True)


def unknown_names(names: Sequence[str]) -> str:
    """Return how many names are unknown, and the first of them; "" where none is."""
    shown = ", ".join(names[:MOST_NAMED]) + (", ..." if len(names) > MOST_NAMED else "")
    return f", {len(names):,} unknown: {shown}" if names else ""


def report_error(message: str, why: str, hint: str) -> None:
    """Print an error: what and where, why, and a hint to paste."""
    note(message, "error")
    if why:
        note(why, "why")
    if hint:
        note(hint, "hint")


def make_table(title: str, columns: list[str], rows: list[list[str]], right: tuple[int, ...] = ()) -> Table:
    """Return a plain table; columns whose index is in `right` are right-aligned."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    return table
