"""A bar a term: the figures of `gocell explain`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gocell_cli.figures.canvas import BLUE, MOST_NAME, blank, literal, save, short
from gocell_cli.user_text import printable

BARS = 25


def term_bars(entries: Sequence[Mapping[str, Any]], key: str, label: str, path: Path) -> Path:
    """Draw the first terms that have a value of `key`, largest on top; each entry has `term` and `name`."""
    # Reversed, as barh draws upwards and the largest belongs on top.
    shown = [entry for entry in entries if entry[key] is not None][:BARS][::-1]
    figure = blank(9.0, 1.2 + 0.26 * max(len(shown), 1))
    axes = figure.add_subplot()
    names = [
        literal(f"{short(printable(entry['name']), 48)} ({short(printable(entry['term']), MOST_NAME)})")
        for entry in shown
    ]
    axes.barh(range(len(shown)), [entry[key] for entry in shown], color=BLUE)
    axes.set_yticks(range(len(shown)), names, fontsize=8)
    axes.set_xlabel(literal(label))
    if not shown:
        axes.text(0.5, 0.5, "no term has a value", ha="center", transform=axes.transAxes)
    return save(figure, path)
