"""Differences between contenders, each with what it could be over other samples and over other query groups."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from gocell_cli.figures.canvas import BLUE, GREY, MOST_NAME, ORANGE, blank, label, literal

OFFSET = 0.13
"""Of a contender's two intervals, one above the other, in rows."""
Ends = tuple[float, float] | None


@dataclass(frozen=True)
class Bar:
    """A contender's difference from the reference, its intervals, and the difference of each pair of runs."""

    name: str
    difference: float
    samples: Ends
    groups: Ends
    each: Sequence[float] = ()


def comparison_figure(bars: Sequence[Bar], metric: str, against: str) -> Figure:
    """Draw a row a contender, the first on top; 0 is where it does not differ."""
    figure = blank(7.5, 1.6 + 0.42 * max(len(bars), 1))
    axes = figure.add_subplot()
    place = np.arange(len(bars))
    for offset, name, colour, said in (
        (-OFFSET, "samples", BLUE, "95 % over samples"),
        (OFFSET, "groups", ORANGE, "95 % over query groups"),
    ):
        drawn = [
            (at, bar.difference, ends) for at, bar in zip(place, bars, strict=True) if (ends := getattr(bar, name))
        ]
        if drawn:
            rows, middles, ends = zip(*drawn, strict=True)
            low, high = np.array(ends).T
            # an interval of percentiles need not hold the difference itself
            axes.hlines(np.array(rows) + offset, low, high, color=colour, linewidth=2.5, label=said)
            axes.plot(middles, np.array(rows) + offset, "o", color=colour, markersize=5)
    repeated = [(x, at) for at, bar in zip(place, bars, strict=True) if len(bar.each) > 1 for x in bar.each]
    if repeated:
        axes.plot(*np.array(repeated).T, "|", color=GREY, markersize=9, label="each pair of runs")
    axes.axvline(0.0, color=GREY, linestyle="--", linewidth=1)
    axes.set_yticks(place, [literal(bar.name, MOST_NAME) for bar in bars])
    axes.invert_yaxis()
    label(axes, f"Difference in {metric} from {against}", f"difference in {metric}", "")
    if bars:
        axes.legend(loc="best", fontsize=8)
    return figure
