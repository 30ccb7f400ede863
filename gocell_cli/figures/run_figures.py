"""The figures that a run leaves: how it learned and what it predicts, each as PNG, SVG and PDF."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gocell_cli.figures.canvas import (
    BLUE,
    GREEN,
    GREY,
    RED,
    axis_title,
    begin,
    bin_edges,
    blank,
    label,
    literal,
    panels,
    save_all,
)

MANY = 2000
"""Points beyond which a scatter plot would be a blot, and is drawn as hexagonal bins."""
SHOWN_NAMES = {"blend": "blend of all voices"}
"""What predictors are called in a title; the others as they are."""


def loss_curves(history: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw, by epoch, the root term's loss in training and validation, as the network sees labels."""
    figure, axes = begin("Loss of the root term by epoch", "epoch", "loss (standardised labels)")
    # Epochs count from 0 in the files, from 1 for people.
    epochs = range(1, len(history) + 1)
    for key, name, colour in (
        ("train_loss_root", "training (mean over the epoch)", BLUE),
        ("validation_loss_root", "validation", RED),
    ):
        values = [line.get(key, float("nan")) for line in history]
        axes.plot(epochs, values, color=colour, label=name, marker="o", markersize=3)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if history:
        axes.legend()
    return figure


def learning_rate(history: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw the learning rate of each epoch."""
    figure, axes = begin("Learning rate by epoch", "epoch", "learning rate")
    axes.step(range(1, len(history) + 1), [line["learning_rate"] for line in history], color=BLUE, where="mid")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def predicted_against_true(
    predicted: Mapping[str, Float64[np.ndarray, " n"]],
    true: Float64[np.ndarray, " n"],
    pearson: Mapping[str, float | None],
    phenotype: str,
) -> Figure:
    """Draw a panel a predictor: its predictions against measured values, with the identity line.

    Many samples are drawn as hexagonal bins.
    """
    figure = blank(6.0 * len(predicted), 4.5)
    for axes, (who, values) in zip(panels(figure, 1, len(predicted))[0], predicted.items(), strict=True):
        r = pearson.get(who)
        said = "r not defined" if r is None else f"r = {r:.3f}"
        title = f"{SHOWN_NAMES.get(who, who)}: {said}, n = {len(true):,}"
        label(axes, title, axis_title(phenotype, "measured"), axis_title(phenotype, "predicted"))
        _against(axes, values, true, figure)
    return figure


def _against(axes: Axes, predicted: Float64[np.ndarray, " n"], true: Float64[np.ndarray, " n"], figure: Figure) -> None:
    if len(true) > MANY:
        drawn = axes.hexbin(true, predicted, gridsize=60, bins="log", cmap="cividis", mincnt=1)
        figure.colorbar(drawn, ax=axes, label="test samples")
    else:
        axes.scatter(true, predicted, s=9, alpha=0.5, color=BLUE, linewidths=0)
    if len(true):
        ends = [min(true.min(), predicted.min()), max(true.max(), predicted.max())]
        axes.plot(ends, ends, color=GREY, linestyle="--", linewidth=1, label="predicted = measured")
        axes.legend()


def distributions(
    predicted: Mapping[str, Float64[np.ndarray, " n"]], true: Float64[np.ndarray, " n"], phenotype: str
) -> Figure:
    """Draw the histograms of measured values and of each predictor's over the same bins."""
    figure, axes = begin(f"Test part: {len(true):,} samples", axis_title(phenotype), "samples")
    if len(true):
        bins = bin_edges((true, *predicted.values()), 50)
        axes.hist(true, bins=bins, color=GREY, alpha=0.6, label="measured")
        for (who, values), colour in zip(predicted.items(), (RED, BLUE), strict=False):
            name = literal(f"predicted, {SHOWN_NAMES.get(who, who)}")
            axes.hist(values, bins=bins, color=colour, histtype="step", linewidth=1.5, label=name)
        axes.legend(loc="upper left")
    return figure


def error_per_split(errors: Mapping[str, float], who: str, phenotype: str) -> Figure:
    """Draw one bar of a predictor's root mean squared error a part of the split."""
    figure, axes = begin(f"Error of {who} by part of the split", "", axis_title(phenotype, "root mean squared error,"))
    colours = [BLUE, GREEN, RED]
    bars = axes.bar(list(errors), list(errors.values()), color=colours[: len(errors)])
    axes.bar_label(bars, fmt="%.4f")
    return figure


def draw_run(
    history: Sequence[Mapping[str, Any]],
    errors: Mapping[str, float],
    predicted: Mapping[str, Float64[np.ndarray, " n"]],
    true: Float64[np.ndarray, " n"],
    pearson: Mapping[str, float | None],
    phenotype: str,
    folder: Path,
    number: int = 0,
) -> None:
    """Write every figure of a run, as PNG, SVG and PDF; of a phenotype after the first (`number`) what is its own.

    history: its metrics.jsonl. errors: the network's RMSE of each part of the split. predicted, pearson: of the test
    part, by predictor, what it gives first and its network last; true: what was measured there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    curves = [
        {f"{part}_loss_root": line[part].get("loss_root", float("nan")) for part in ("train", "validation")}
        for line in history
    ]
    network = list(predicted)[-1]
    shared = [("loss", loss_curves(curves)), ("learning_rate", learning_rate(history))] if number == 0 else []
    for name, figure in (
        *shared,
        ("predicted_against_true", predicted_against_true(predicted, true, pearson, phenotype)),
        ("distributions", distributions(predicted, true, phenotype)),
        ("error_per_split", error_per_split(errors, network, phenotype)),
    ):
        save_all(figure, folder / figure_name(name, number))


def figure_name(name: str, number: int) -> str:
    """Return a figure's name; those of phenotypes after the first end in their number."""
    return f"{name}_{number}" if number else name
