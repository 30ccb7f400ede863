"""A bar a term: the figures of `gocell explain`."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from gocell_cli.figures.canvas import BLUE, blank, label, literal
from gocell_cli.user_text import printable

BARS = 20
LETTERS = 60
"""Of a line of a term's name, which has as many lines as it needs."""
LINE = 0.155
"""Inches of a line of names."""
GAP = 0.7
"""Between two terms, in lines."""


def term_bars(entries: Sequence[Mapping[str, Any]], key: str, title: str, axis: str) -> Figure:
    """Draw the first terms that have a value of `key`, the first on top, named whole.

    Each entry has `term`, `name` and `about`: what is to be said of it in a line of its own.
    """
    shown = [entry for entry in entries if entry[key] is not None][:BARS]
    names = [_name(entry) for entry in shown]
    # A name's lines need room: bars are as far apart as the names are high.
    room = np.array([len(name.splitlines()) + GAP for name in names])
    places = np.cumsum(room) - room / 2
    figure = blank(10.0, 1.2 + LINE * max(float(room.sum()), 12.0))
    axes = figure.add_subplot()
    label(axes, "", axis, "")
    axes.set_title("\n".join(map(literal, title.splitlines())), fontsize=11, loc="left")
    values = [entry[key] for entry in shown]
    bars = axes.barh(places, values, height=1.5, color=BLUE)
    axes.bar_label(bars, [f"{value:.3g}" for value in values], padding=3, fontsize=8)
    axes.margins(x=0.12)  # the numbers stand right of their bars
    axes.set_yticks(places, names, fontsize=8)
    axes.set_ylim(float(room.sum()) if shown else 1.0, 0.0)  # the first belongs on top
    axes.grid(visible=False, axis="y")
    if not shown:
        axes.text(0.5, 0.5, "no term has a value", ha="center", transform=axes.transAxes)
    return figure


def _name(entry: Mapping[str, Any]) -> str:
    """A term's whole name, in lines, and below it what is said of the term."""
    lines = textwrap.wrap(printable(str(entry["name"])), LETTERS, break_on_hyphens=False) or [""]
    return "\n".join(literal(text) for text in (*lines, f"{entry['term']}, {entry['about']}"))
