"""The one place that talks to the terminal: data on stdout, everything else on stderr.

Text is printed as it is: no markup is read from it, since names of phenotypes, genes and paths hold brackets, and its
control characters are spelled out. What is to stand out is said so: `show(line(styled("bold", name), " of ", path))`.
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gocell_cli.user_text import UNSAFE, one_line, printable

WIDTH_OFF_TERMINAL = 120
MOST_NAMED = 5
WAY_WORDS = {
    "systematic": "systematic name",
    "standard": "standard name",
    "id": "database id",
    "other_case": "such a name in another case",
    "alias": "alias",
    "alias_other_case": "alias in another case",
}
"""What the ways of matching a gene's name are called here; their keys are `gene_names.WAYS`."""
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


def console(*, stderr: bool) -> Console:
    """Return a console on stdout or stderr that takes text literally."""
    stream = sys.stderr if stderr else sys.stdout
    # Off a terminal rich would fold lines at 80 columns; a fixed width makes output the same everywhere.
    width = None if stream.isatty() else WIDTH_OFF_TERMINAL
    return Console(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)


def styled(style: str, text: object) -> Text:
    """Return text in a style of rich's, such as `bold red`."""
    return Text(printable(str(text)), style)


def line(*parts: object) -> Text:
    """Return one line of parts, some of them styled."""
    return Text.assemble(*(part if isinstance(part, Text) else printable(str(part)) for part in parts))


def show(*items: str | Text | Table) -> None:
    """Print text, taken literally, or tables to stdout."""
    out = console(stderr=False)
    for item in items:
        # soft_wrap: long lines are the terminal's to fold, so that a copied path has no line break in it.
        out.print(printable(item) if isinstance(item, str) else item, soft_wrap=not isinstance(item, Table))


def show_json(value: Any) -> None:
    """Print one JSON document to stdout; in ASCII where the stream's encoding has no other letters."""
    # allow_nan=False: NaN is no JSON, and strict readers refuse the whole document.
    text = json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value, indent=2, allow_nan=False)
    # What JSON may hold as it is, and a terminal obeys: DEL, C1 controls, marks that turn the direction.
    sys.stdout.write(UNSAFE.sub(lambda found: json.dumps(found[0])[1:-1], text) + "\n")


def show_result(document: Any, tell: Callable[[], None], *, json: bool, essence: str = "") -> None:
    """Print what a command did: as JSON, as people read it, or with --quiet its essence alone (a path, or nothing)."""
    if json:
        show_json(document)
    elif not is_quiet():
        tell()
    elif essence:
        show(essence)


def note(text: str, kind: str = "note") -> None:
    """Print one line to stderr; with --quiet, errors and warnings only."""
    if is_quiet() and kind not in HEARD_WHEN_QUIET:
        return
    style = {"error": "bold red", "warning": "yellow", "hint": "cyan"}.get(kind, "dim")
    console(stderr=True).print(line(styled(style, f"{kind}:"), " ", text), soft_wrap=True)


def unknown_names(names: Sequence[str]) -> str:
    """Return how many names are unknown, and the first of them; "" where none is."""
    shown = ", ".join(names[:MOST_NAMED]) + (", ..." if len(names) > MOST_NAMED else "")
    return f", {len(names):,} unknown: {shown}" if names else ""


def joined_names(counts: Mapping[str, Any]) -> str:
    """Return how a join's names were found, as a manifest has it (`NameCounts.as_json`), in one line."""
    rows = counts["rows"]  # a manifest has them sorted by name
    ways = [f"{rows[way]:,} by {words}" for way, words in WAY_WORDS.items() if way in rows]
    lost = [
        f"{counts[f'rows_{what}']:,} {what} ({counts[f'names_{what}']:,} names: {', '.join(counts[what])})"
        for what in ("unknown", "ambiguous")
        if counts[f"rows_{what}"] or counts[f"names_{what}"]
    ]
    return f"{counts['join']}: rows {', '.join((*ways, *lost)) or 'none'}"


def report_error(message: str, why: str, hint: str) -> None:
    """Print an error: what and where, why, and a hint to paste."""
    note(message, "error")
    if why:
        note(why, "why")
    if hint:
        note(hint, "hint")


def make_table(
    title: str, columns: list[str], rows: list[list[str]], right: tuple[int, ...] = (), whole: tuple[int, ...] = ()
) -> Table:
    """Return a plain table of literal text; columns in `right` are right-aligned, those in `whole` on one line.

    A column of `whole` is as wide as its widest cell, as long as the terminal is: identifiers are copied, and a name
    that is broken in its middle is none.
    """
    # Cells are Text because a table that is printed on another console would read markup from strings.
    # A line break in a name would be a row that nobody wrote.
    heading = styled("bold", one_line(title)) if title else None
    table = Table(title=heading, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for i, column in enumerate(columns):
        # fold: a long cell goes on in the next line, where rich would cut it off with dots.
        table.add_column(
            styled("", one_line(column)), justify="right" if i in right else "left", overflow="fold", no_wrap=i in whole
        )
    for row in rows:
        table.add_row(*(styled("", one_line(cell)) for cell in row))
    return table
