"""The figures that a run leaves: PNGs at 150 dpi in colours that colour-blind readers can tell apart."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from gocell_cli.training.extra import train_extra

with train_extra():
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#777777"
MANY = 2000
"""Points beyond which a scatter plot would be a blot, and is drawn as hexagonal bins."""


def _begin(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title(title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(visible=True, alpha=0.3)
    return figure, axes


def _write(figure: Figure, path: Path) -> Path:
    """Write under a temporary name, then rename."""
    temporary = path.with_suffix(".tmp.png")
    figure.savefig(temporary, dpi=150)
    os.replace(temporary, path)
    return path


def loss_curves(history: Sequence[Mapping[str, Any]], path: Path) -> Path:
    """Draw, by epoch, the root term's loss in training and validation, as the network sees labels."""
    figure, axes = _begin("Loss of the root term by epoch", "epoch", "loss")
    epochs = range(1, len(history) + 1)
    for key, label, colour in (
        ("train_loss_root", "training (mean over the epoch)", BLUE),
        ("validation_loss_root", "validation", ORANGE),
    ):
        values = [line.get(key, float("nan")) for line in history]
        axes.plot(epochs, values, color=colour, label=label, marker="o", markersize=3)
    if history:
        axes.legend()
    return _write(figure, path)


def learning_rate(history: Sequence[Mapping[str, Any]], path: Path) -> Path:
    """Draw the learning rate of each epoch."""
    figure, axes = _begin("Learning rate", "epoch", "learning rate")
    axes.step(range(1, len(history) + 1), [line["learning_rate"] for line in history], color=BLUE, where="mid")
    return _write(figure, path)


def predicted_against_true(
    predicted: Float64[np.ndarray, " n"], true: Float64[np.ndarray, " n"], pearson: float | None, path: Path
) -> Path:
    """Draw predictions against true values with the identity line; many samples as hexagonal bins."""
    r = "undefined" if pearson is None else f"{pearson:.3f}"
    figure, axes = _begin(f"Predicted against true, r = {r}, n = {len(true):,}", "true", "predicted")
    if len(true) > MANY:
        drawn = axes.hexbin(true, predicted, gridsize=60, bins="log", cmap="cividis", mincnt=1)
        figure.colorbar(drawn, ax=axes, label="samples")
    else:
        axes.scatter(true, predicted, s=9, alpha=0.5, color=BLUE, linewidths=0)
    if len(true):
        ends = [min(true.min(), predicted.min()), max(true.max(), predicted.max())]
        axes.plot(ends, ends, color=GREY, linestyle="--", linewidth=1, label="predicted = true")
        axes.legend()
    return _write(figure, path)


def distributions(predicted: Float64[np.ndarray, " n"], true: Float64[np.ndarray, " n"], path: Path) -> Path:
    """Draw both histograms over the same bins."""
    figure, axes = _begin("Distributions", "phenotype", "samples")
    if len(true):
        low, high = min(true.min(), predicted.min()), max(true.max(), predicted.max())
        bins = np.linspace(low, high if high > low else low + 1, 51).tolist()
        axes.hist(true, bins=bins, color=GREY, alpha=0.6, label="true")
        axes.hist(predicted, bins=bins, color=ORANGE, histtype="step", linewidth=1.5, label="predicted")
        axes.legend()
    return _write(figure, path)


def error_per_split(errors: Mapping[str, float], path: Path) -> Path:
    """Draw one bar of root mean squared error a part of the split."""
    figure, axes = _begin("Error by part of the split", "", "root mean squared error")
    colours = [BLUE, GREEN, ORANGE]
    bars = axes.bar(list(errors), list(errors.values()), color=colours[: len(errors)])
    axes.bar_label(bars, fmt="%.4f")
    return _write(figure, path)
