"""The distribution of terms by level, for every meaning of the word, and the batches that a trainer sees."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int32, Int64
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from gocell_cli.domain.level_graph import LevelGraph
from gocell_cli.domain.levels import Grouping, LevelReport, check_levels
from gocell_cli.domain.ontology import Edges
from gocell_cli.figures.canvas import BLUE, GREEN, GREY, ORANGE, RED, blank, label, literal, panels
from gocell_cli.level_directions import ROOT_DOWN
from gocell_cli.storage.records import LEVEL_KINDS
from gocell_cli.storage.schema import Hierarchy

ORDER = ("level", "depth", "stratum", "height")
SAID = {
    "level": "level (GOATOOLS: shortest path)",
    "depth": "depth (GOATOOLS: longest path)",
    "stratum": "stratum (longest path from GO:ROOT)",
    "height": "height (longest path to a leaf)",
}


@dataclass(frozen=True)
class LevelPicture:
    """What is drawn of one graph: its groupings of the same terms, and its edges."""

    title: str
    groupings: Mapping[str, Grouping]
    edges: Edges


def picture_of(graph: LevelGraph) -> LevelPicture:
    """Return what is drawn of a graph; of the hierarchy in use with its root, which a trainer runs as well."""
    if graph.hierarchy is None:
        what, terms, edges, groupings = "whole ontology", len(graph.ids), graph.edges, graph.groupings
    else:
        used = graph.hierarchy
        what, terms, edges, groupings = "hierarchy in use", len(used), used.edges, dict(used.groupings)
    return LevelPicture(f"{graph.ontology.source}, {what}: {terms:,} terms, {len(edges):,} edges", groupings, edges)


def picture_of_cache(hierarchy: Hierarchy, name: str) -> LevelPicture:
    """Return what is drawn of a cache's hierarchy: the levels that its tables hold, GO:ROOT among its terms."""
    levels = {"level": hierarchy.go_level, "depth": hierarchy.go_depth}
    levels |= {"stratum": hierarchy.stratum, "height": hierarchy.height}
    edges = Edges(hierarchy.edge_child, hierarchy.edge_parent)
    title = f"{name}, hierarchy in use: {len(hierarchy.term_ids):,} terms, {len(edges):,} edges"
    return LevelPicture(title, {by: Grouping(by, level) for by, level in levels.items()}, edges)


def level_distributions(*pictures: LevelPicture) -> Figure:
    """Draw a row a graph: terms per level by four groupings, and the edges that no batch may hold.

    A same-level edge is counted at its level, an inverted one at its child's.
    """
    figure = blank(17.0, 5.4 * len(pictures))
    rows: np.ndarray = figure.subfigures(len(pictures), 1, squeeze=False)
    for row, picture in zip(rows[:, 0], pictures, strict=True):
        row.suptitle(literal(picture.title), fontsize=13)
        axes = panels(row, 1, len(ORDER))[0]
        for panel, by in zip(axes, ORDER, strict=True):
            _distribution(panel, picture.groupings[by], picture.edges)
        axes[0].set_ylabel("level, the root on top")
        axes[0].legend(loc="lower right")
    return figure


def _distribution(axes: Axes, grouping: Grouping, edges: Edges) -> None:
    report = check_levels(grouping, edges)
    low, high = int(grouping.level.min()), int(grouping.level.max())
    places = np.arange(low, high + 1)
    # bincount counts from 0: levels are shifted so that the lowest one (GO:ROOT's -1 by GOATOOLS) is at 0.
    terms = np.bincount(grouping.level - low, minlength=len(places))
    same, inverted = faults_by_level(grouping, edges)
    axes.barh(places, terms, height=0.8, color=BLUE, label="terms")
    # Thinner bars side by side on the wide one, so that a few faults show beside many terms.
    axes.barh(places - 0.2, same, height=0.35, color=ORANGE, label="same-level edges")
    axes.barh(places + 0.2, inverted, height=0.35, color=RED, label="inverted edges")
    label(axes, "", "terms, edges", "")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_title(f"{SAID[grouping.by]}\n{_verdict(report)}", color=GREEN if report.ok else RED, fontsize=10)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    ends = (low - 0.6, high + 0.6)  # the root on top, as biologists draw it, whichever way is counted
    axes.set_ylim(*(ends[::-1] if grouping.direction == ROOT_DOWN else ends))


def _verdict(report: LevelReport) -> str:
    if report.ok:
        return f"holds: {report.groups} batches"
    return f"does not hold: {report.same_level:,} same-level, {report.inverted:,} inverted edges"


def faults_by_level(
    grouping: Grouping, edges: Edges
) -> tuple[Int64[np.ndarray, " levels"], Int64[np.ndarray, " levels"]]:
    """Return how many same-level and how many inverted edges each level has, lowest level first."""
    low = int(grouping.level.min())
    size = int(grouping.level.max()) - low + 1
    counts = []
    for kind in ("same_level", "inverted"):
        found = [f.child_level - low for f in check_levels(grouping, edges).findings if f.kind == kind]
        counts.append(np.bincount(np.array(found, dtype=np.int64), minlength=size))
    return counts[0], counts[1]


def panel_numbers(picture: LevelPicture) -> dict[str, Any]:
    """Return the numbers that a row of `level_distributions` shows: terms and faults of each level."""
    shown: list[dict[str, Any]] = []
    for by in LEVEL_KINDS:
        grouping = picture.groupings[by]
        low = int(grouping.level.min())
        same, inverted = faults_by_level(grouping, picture.edges)
        counts = {"same_level": same.tolist(), "inverted": inverted.tolist()}
        shown.append({"by": by, "lowest": low, "terms": np.bincount(grouping.level - low).tolist(), **counts})
    return {"graph": picture.title, "groupings": shown}


def batch_distribution(picture: LevelPicture) -> Figure:
    """Draw the terms of each batch in the order in which a trainer runs them: by stratum, and by height."""
    figure = blank(12.0, 4.8)
    row = panels(figure, 1, 2)[0]
    for axes, by in zip(row, ("stratum", "height"), strict=True):
        sizes = batch_sizes(picture.groupings[by])
        bars = axes.bar(range(1, len(sizes) + 1), sizes, color=BLUE)
        axes.bar_label(bars, fmt="{:,.0f}", fontsize=8)
        mean = sizes.mean()
        title = f"By {by}: {sizes.sum():,} terms in {len(sizes)} batches, {mean:,.0f} on the mean"
        label(axes, title, "batch, in the order of a run", "terms")
        # behind the bars, whose numbers it would cross
        axes.axhline(mean, color=GREY, linestyle="--", linewidth=1, zorder=0.5, label="mean")
        axes.set_yscale("log")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        share = axes.twinx()
        numbers = batch_numbers(sizes)
        share.plot(range(1, len(sizes) + 1), numbers["cumulative_share"], color=RED, marker=".", label="terms done")
        share.set_ylim(0, 1.02)
        share.yaxis.set_major_formatter(PercentFormatter(1.0))
        share.set_ylabel("terms done")
    lines = [*axes.get_legend_handles_labels()[0], *share.get_lines()]
    figure.legend(lines, ["mean terms a batch", "share of the terms done"], loc="outside lower center", ncols=2)
    figure.suptitle(literal(f"Terms that run at once: {picture.title}"))
    return figure


def batch_numbers(sizes: Int64[np.ndarray, " batches"]) -> dict[str, Any]:
    """Return what a run of these batches, leaves first, is beside one of a term at a time.

    fewer_steps: so many times fewer than with a term at a time. parallel_efficiency: the mean as a share of the largest
    batch, which is how much of a machine with room for that one is in use, if all terms cost the same.
    """
    mean, largest = float(sizes.mean()), int(sizes.max())
    return {
        "terms": int(sizes.sum()),
        "batches": len(sizes),
        "mean": mean,
        "largest": largest,
        "smallest": int(sizes.min()),
        "cumulative_share": (np.cumsum(sizes) / sizes.sum()).tolist(),
        "parallel_efficiency": mean / largest,
        "fewer_steps": mean,
    }


def batch_sizes(grouping: Grouping) -> Int64[np.ndarray, " batches"]:
    """Return the terms of each batch, leaves first: deepest stratum first, or lowest height first."""
    # unique sorts levels upwards; a run begins at the leaves, which are last where levels count from the root.
    _, counts = np.unique(grouping.level, return_counts=True)
    return counts[::-1].copy() if grouping.direction == ROOT_DOWN else counts


def level_against_stratum(picture: LevelPicture) -> Figure:
    """Draw how many terms of each GOATOOLS level are in each stratum, and how far apart the two are."""
    figure = blank(13.0, 5.5)
    left, right = panels(figure, 1, 2)[0]
    level, stratum = picture.groupings["level"].level, picture.groupings["stratum"].level
    table = np.zeros((int(level.max()) + 1, int(stratum.max()) + 1))
    # add.at, not `table[level, stratum] += 1`, which would count a repeated cell once.
    np.add.at(table, (level, stratum), 1)
    # Zeros are masked: LogNorm has no colour for them.
    drawn = left.imshow(np.ma.masked_equal(table, 0), origin="upper", norm=LogNorm(), cmap="cividis", aspect="auto")
    figure.colorbar(drawn, ax=left, label="terms")
    # GO:ROOT is stratum 0, so that a namespace root (level 0) is in stratum 1: the line begins there.
    ends = int(min(level.max(), stratum.max() - 1))
    left.plot([1, ends + 1], [0, ends], color=RED, linestyle="--", linewidth=1, label="where the two say the same")
    left.legend(loc="lower left")
    label(left, "GOATOOLS' level against stratum", "stratum: batch of a level-by-level run", "level")
    for axis in (left.xaxis, left.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    _differences(right, level, stratum)
    figure.suptitle(literal(picture.title))
    return figure


def _differences(axes: Axes, level: Int32[np.ndarray, " terms"], stratum: Int32[np.ndarray, " terms"]) -> None:
    """Draw how many terms stand how much deeper than their level says; the namespace roots have stratum 1, level 0."""
    # 1 less, for stratum counts from GO:ROOT and level from the namespace roots.
    gaps, counts = np.unique(stratum - level - 1, return_counts=True)
    axes.bar(gaps, counts, color=[GREEN if gap == 0 else RED for gap in gaps])
    same = int(counts[gaps == 0].sum())
    share = f"{same:,} of {len(level):,} terms have the stratum that their level says"
    axes.yaxis.set_major_formatter("{x:,.0f}")
    label(axes, share, "strata that a term lies deeper than its level says", "terms")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
