"""What a cache holds: phenotypes, deletions per sample, rows touched per sample, and the filters' funnel."""

import math
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float64, Int64
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gocell_cli.csr import pointers
from gocell_cli.figures.canvas import (
    BLUE,
    GREEN,
    GREY,
    MOST_NAME,
    RED,
    axis_title,
    bin_edges,
    blank,
    label,
    literal,
    panels,
    short,
)
from gocell_cli.storage.schema import Hierarchy, Samples
from gocell_cli.user_text import printable

BINS = 60
FEW = 12
LARGEST = 1e100


def sample_figures(samples: Samples, hierarchy: Hierarchy, *phenotypes: str) -> Figure:
    """Draw a panel a phenotype, then deleted genes per sample, and mutant_state rows at 0 per sample."""
    several = len(phenotypes) + 2
    figure = blank(5.0 * several, 4.5)
    *each, middle, right = panels(figure, 1, several)[0]
    values = [samples.value, *(label.value for label in samples.others)]
    for axes, name, value in zip(each, phenotypes, values, strict=False):  # one may be chosen of several
        _phenotypes(axes, value, name)
    _counts(middle, np.diff(samples.gene_ptr), "Deleted genes per sample", "deleted genes")
    _counts(right, rows_touched(samples, hierarchy), "mutant_state rows at 0 per sample", "rows")
    return figure


def _phenotypes(axes: Axes, values_of: Float64[np.ndarray, " samples"], phenotype: str) -> None:
    # NaN is a sample without a phenotype: it is counted in the title, not drawn.
    known = values_of[np.isfinite(values_of)]
    without = len(values_of) - len(known)
    values, counts = np.unique(known, return_counts=True)
    name, phenotype = axis_title(phenotype), short(printable(phenotype), MOST_NAME)
    title = f"Phenotype {phenotype}: {len(known):,} samples" + (f", {without:,} without" if without else "")
    known, unit = _in_unit(known)
    label(axes, title, name + unit, "samples")
    if 0 < len(values) <= 2:  # viability
        bars = axes.bar([f"{v:g}" for v in values], counts, color=BLUE)
        axes.bar_label(bars, fmt="{:,.0f}")
    elif len(known):
        axes.hist(known, bins=bin_edges((known,), BINS), color=BLUE)
        mean = float(known.mean())
        axes.axvline(mean, color=RED, linestyle="--", linewidth=1, label=f"mean {mean:.4g}")
        axes.legend()


def _in_unit(values: Float64[np.ndarray, " n"]) -> tuple[Float64[np.ndarray, " n"], str]:
    """Return values beyond what matplotlib can span, or sum, in a unit of their own, and what to say of it."""
    most = float(np.abs(values).max(initial=0.0))
    if most < LARGEST:
        return values, ""
    unit = 10.0 ** math.floor(math.log10(most))
    return values / unit, f", in units of {unit:g}"


def rows_touched(samples: Samples, hierarchy: Hierarchy) -> Int64[np.ndarray, " samples"]:
    """Return how many mutant_state rows each sample's deletions switch to 0: those of its genes."""
    rows_of_gene = np.diff(hierarchy.gene_ptr)
    # before[i] is the number of rows of the first i entries of `samples.genes`; two of them bound a sample's.
    before = pointers(rows_of_gene[samples.genes])
    touched: Int64[np.ndarray, " samples"] = before[samples.gene_ptr[1:]] - before[samples.gene_ptr[:-1]]
    return touched


def _counts(axes: Axes, counts: Int64[np.ndarray, " samples"], title: str, what: str) -> None:
    """Draw a bar a count where there are few, else a histogram whose bins all hold as many counts."""
    label(axes, f"{title}: mean {counts.mean():.3g}" if len(counts) else title, what, "samples")
    axes.yaxis.set_major_formatter("{x:,.0f}")
    values, samples = np.unique(counts, return_counts=True)
    if len(values) <= FEW:
        axes.bar_label(axes.bar([str(v) for v in values], samples, color=BLUE), fmt="{:,.0f}")
        # Where there are few bars the panel is widened, or a single bar would fill it.
        axes.set_xlim(min(-0.6, len(values) / 2 - 2), max(len(values) - 0.4, len(values) / 2 + 1))
        return
    # Edges at halves: every bin holds `width` whole counts, where even bins of floats would alternate between two.
    width = int(values[-1] - values[0]) // BINS + 1
    axes.hist(counts, bins=(np.arange(values[0], values[-1] + 2 * width, width) - 0.5).tolist(), color=BLUE)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def funnel(steps: Mapping[str, int], title: str) -> Figure:
    """Draw what each step left, from first to last, with its share of the one before."""
    figure = blank(9.0, 0.9 + 0.45 * len(steps))
    axes = figure.add_subplot()
    names, counts = list(steps), list(steps.values())
    # Grey is what there was, green what is used.
    colours = [GREY, *[BLUE] * (len(names) - 2), GREEN][: len(names)]
    axes.barh([literal(name, MOST_NAME) for name in names], counts, color=colours)
    for place, count in enumerate(counts):
        share = f" ({count / counts[place - 1]:.1%})" if place and counts[place - 1] else ""
        axes.text(count, place, f" {count:,}{share}", va="center", fontsize=9)
    # barh draws upwards; the first step belongs on top.
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter("{x:,.0f}")
    label(axes, title, "terms", "")
    # Room for the counts, which stand right of their bars.
    axes.margins(x=0.18)
    return figure
