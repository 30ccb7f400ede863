"""Where every figure begins and ends: colours that colour-blind readers can tell apart, files that appear whole.

Colours: Okabe and Ito, jfly.uni-koeln.de/color.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import matplotlib as mpl
import numpy as np
from jaxtyping import Float64
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, FigureBase

from gocell_cli.user_text import printable
from gocell_cli.whole_file import whole_file

# matplotlib reads a matplotlibrc of the working directory, which may be a stranger's: of TeX that it runs, for one
mpl.rcdefaults()
BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#777777"
DPI = 150
MOST_LETTERS, MOST_NAME = 150, 40
"""Of a line in a figure, and of a name in it: longer ones would leave no room for the data."""

UNITS = {
    "fitness": "wild type 1",
    "smf": "single mutants, wild type 1",
    "epsilon": "units of fitness",
    "tau": "units of fitness",
    "viability": "1 viable, 0 not",
}
"""What the phenotypes that gocell knows are counted in; a table's own column may say it in its name."""
SUFFIXES = (".png", ".svg", ".pdf")


def begin(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    """Return a figure of one panel, 6 by 4.5 inches."""
    figure = blank(6.0, 4.5)
    axes = figure.add_subplot()
    label(axes, title, x, y)
    return figure, axes


def axis_title(phenotype: str, what: str = "") -> str:
    """Return what an axis of a phenotype says: `measured fitness (wild type 1)`."""
    unit = UNITS.get(phenotype)
    named = short(printable(phenotype), MOST_NAME)
    return " ".join(filter(None, (what, named, unit and f"({unit})")))


def blank(width: float, height: float) -> Figure:
    """Return an empty figure, in inches, that needs no screen."""
    # Figure and canvas by hand, not by pyplot, which would keep every figure alive and may look for a screen.
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def label(axes: Axes, title: str, x: str, y: str) -> None:
    """Name a panel and its axes, and draw its grid behind the data."""
    axes.set_title(literal(title))
    axes.set_xlabel(literal(x))
    axes.set_ylabel(literal(y))
    axes.grid(visible=True, alpha=0.3)
    axes.set_axisbelow(True)


def literal(text: str, most: int = MOST_LETTERS) -> str:
    """Return text of at most so many letters that matplotlib draws as it is: between two `$` it reads mathematics."""
    return short(printable(text), most).replace("$", r"\$")


def short(text: str, most: int) -> str:
    """Return text of at most so many letters, its end left out where it is longer."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def bin_edges(values: Sequence[Float64[np.ndarray, " _"]], bins: int) -> list[float]:
    """Return the edges of equal bins over all values; a range of nothing but rounding is widened around them."""
    low, high = min(float(x.min()) for x in values), max(float(x.max()) for x in values)
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        reach = 0.5 * max(1.0, abs(low))
        low, high = low - reach, high + reach
    edges: list[float] = np.linspace(low, high, bins + 1).tolist()
    return edges


def panels(figure: FigureBase, rows: int, columns: int) -> np.ndarray:
    """Return a table of panels, each an Axes."""
    axes: np.ndarray = figure.subplots(rows, columns, squeeze=False)
    return axes


def save(figure: Figure, path: Path) -> Path:
    """Write a PNG, SVG or PDF, as the path says, whole or not at all."""
    with whole_file(path) as temporary:
        if path.suffix == ".svg":
            draw_svg(figure, temporary)
        else:
            undated = {"CreationDate": None} if path.suffix == ".pdf" else None
            with _boxes_for_unknown_letters():
                figure.savefig(temporary, dpi=DPI, metadata=undated)
    return path


def save_all(figure: Figure, stem: Path) -> list[Path]:
    """Write a figure as PNG, SVG and PDF: for a page, for an editor of drawings, for a talk."""
    return [save(figure, stem.with_name(f"{stem.name}{suffix}")) for suffix in SUFFIXES]


def draw_svg(figure: Figure, out: Path | BytesIO) -> None:
    """Write a figure as SVG; the same figure gives the same bytes: no date, no random ids."""
    # The salt stands in for a random one, from which matplotlib makes the ids of clips and markers.
    with mpl.rc_context({"svg.hashsalt": "gocell"}), _boxes_for_unknown_letters():
        figure.savefig(out, format="svg", metadata={"Date": None})


@contextmanager
def _boxes_for_unknown_letters() -> Iterator[None]:
    """Let matplotlib draw a box for a letter that its font lacks (a name in Chinese) without a warning for each."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        yield
