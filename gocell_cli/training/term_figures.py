"""A bar a term: the figures of `gocell explain`."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gocell_cli.training.extra import train_extra

with train_extra():
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

BARS = 25
BLUE = "#0072B2"


def term_bars(entries: Sequence[Mapping[str, Any]], key: str, label: str, path: Path) -> Path:
    """Write a PNG of the first terms that have a value of `key`, largest on top; each entry has `term` and `name`.

    The file appears whole or not at all.
    """
    shown = [entry for entry in entries if entry[key] is not None][:BARS][::-1]
    figure = Figure(figsize=(9, 1.2 + 0.26 * max(len(shown), 1)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    names = [f"{entry['name'][:48]} ({entry['term']})" for entry in shown]
    axes.barh(range(len(shown)), [entry[key] for entry in shown], color=BLUE)
    axes.set_yticks(range(len(shown)), names, fontsize=8)
    axes.set_xlabel(label)
    if not shown:
        axes.text(0.5, 0.5, "no term has a value", ha="center", transform=axes.transAxes)
    temporary = path.with_suffix(".tmp.png")
    figure.savefig(temporary, dpi=150)
    os.replace(temporary, path)
    return path
