"""Where every figure begins and ends: colours that colour-blind readers can tell apart, files that appear whole.

Colours: Okabe and Ito, jfly.uni-koeln.de/color.
"""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, FigureBase

from gocell_cli.whole_file import whole_file

BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#777777"
DPI = 150


def begin(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    """Return a figure of one panel, 6 by 4.5 inches."""
    figure = blank(6.0, 4.5)
    axes = figure.add_subplot()
    label(axes, title, x, y)
    return figure, axes


def blank(width: float, height: float) -> Figure:
    """Return an empty figure, in inches, that needs no screen."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def label(axes: Axes, title: str, x: str, y: str) -> None:
    """Name a panel and its axes, and draw its grid behind the data."""
    axes.set_title(title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(visible=True, alpha=0.3)
    axes.set_axisbelow(True)


def panels(figure: FigureBase, rows: int, columns: int) -> np.ndarray:
    """Return a table of panels, each an Axes."""
    axes: np.ndarray = figure.subplots(rows, columns, squeeze=False)
    return axes


def save(figure: Figure, path: Path) -> Path:
    """Write a PNG or SVG, as the path says, whole or not at all.

    An SVG of the same figure has the same bytes: no date, no random ids.
    """
    with whole_file(path) as temporary, mpl.rc_context({"svg.hashsalt": "gocell"}):
        figure.savefig(temporary, dpi=DPI, metadata={"Date": None} if path.suffix == ".svg" else None)
    return path
