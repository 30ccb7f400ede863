"""The one place that talks to the terminal: data on stdout, everything else on stderr."""

import json
import sys
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

WIDTH_OFF_TERMINAL = 120


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


def note(text: str, kind: str = "note") -> None:
    """Print one line to stderr."""
    style = {"error": "bold red", "warning": "yellow", "hint": "cyan"}.get(kind, "dim")
    _console(stderr=True).print(f"[{style}]{kind}:[/{style}] {escape(text)}", soft_wrap=True)


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
