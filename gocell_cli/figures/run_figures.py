"""The figures that a run leaves: PNGs of how it learned and what it predicts."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64
from matplotlib.ticker import MaxNLocator

from gocell_cli.figures.canvas import BLUE, GREEN, GREY, RED, begin, bin_edges, save

MANY = 2000
"""Points beyond which a scatter plot would be a blot, and is drawn as hexagonal bins."""


def loss_curves(history: Sequence[Mapping[str, Any]], path: Path) -> Path:
    """Draw, by epoch, the root term's loss in training and validation, as the network sees labels."""
    figure, axes = begin("Loss of the root term by epoch", "epoch", "loss")
    # Epochs count from 0 in the files, from 1 for people.
    epochs = range(1, len(history) + 1)
    for key, label, colour in (
        ("train_loss_root", "training (mean over the epoch)", BLUE),
        ("validation_loss_root", "validation", RED),
    ):
        values = [line.get(key, float("nan")) for line in history]
        axes.plot(epochs, values, color=colour, label=label, marker="o", markersize=3)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if history:
        axes.legend()
    return save(figure, path)


def learning_rate(history: Sequence[Mapping[str, Any]], path: Path) -> Path:
    """Draw the learning rate of each epoch."""
    figure, axes = begin("Learning rate", "epoch", "learning rate")
    axes.step(range(1, len(history) + 1), [line["learning_rate"] for line in history], color=BLUE, where="mid")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return save(figure, path)


def predicted_against_true(
    predicted: Float64[np.ndarray, " n"], true: Float64[np.ndarray, " n"], pearson: float | None, path: Path
) -> Path:
    """Draw predictions against true values with the identity line; many samples as hexagonal bins."""
    r = "not defined" if pearson is None else f"{pearson:.3f}"
    figure, axes = begin(f"Predicted against true, r = {r}, n = {len(true):,}", "true", "predicted")
    if len(true) > MANY:
        drawn = axes.hexbin(true, predicted, gridsize=60, bins="log", cmap="cividis", mincnt=1)
        figure.colorbar(drawn, ax=axes, label="samples")
    else:
        axes.scatter(true, predicted, s=9, alpha=0.5, color=BLUE, linewidths=0)
    if len(true):
        ends = [min(true.min(), predicted.min()), max(true.max(), predicted.max())]
        axes.plot(ends, ends, color=GREY, linestyle="--", linewidth=1, label="predicted = true")
        axes.legend()
    return save(figure, path)


def distributions(predicted: Float64[np.ndarray, " n"], true: Float64[np.ndarray, " n"], path: Path) -> Path:
    """Draw both histograms over the same bins."""
    figure, axes = begin("Distributions", "phenotype", "samples")
    if len(true):
        bins = bin_edges((true, predicted), 50)
        axes.hist(true, bins=bins, color=GREY, alpha=0.6, label="true")
        axes.hist(predicted, bins=bins, color=RED, histtype="step", linewidth=1.5, label="predicted")
        axes.legend()
    return save(figure, path)


def error_per_split(errors: Mapping[str, float], path: Path) -> Path:
    """Draw one bar of root mean squared error a part of the split."""
    figure, axes = begin("Error by part of the split", "", "root mean squared error")
    colours = [BLUE, GREEN, RED]
    bars = axes.bar(list(errors), list(errors.values()), color=colours[: len(errors)])
    axes.bar_label(bars, fmt="%.4f")
    return save(figure, path)


def draw_run(
    history: Sequence[Mapping[str, Any]],
    errors: Mapping[str, float],
    predicted: Float64[np.ndarray, " n"],
    true: Float64[np.ndarray, " n"],
    pearson: float | None,
    folder: Path,
) -> list[Path]:
    """Write every figure of a run: `history` is its metrics.jsonl, `errors` the RMSE of each part of the split."""
    folder.mkdir(parents=True, exist_ok=True)
    curves = [
        {f"{part}_loss_root": line[part].get("loss_root", float("nan")) for part in ("train", "validation")}
        for line in history
    ]
    return [
        loss_curves(curves, folder / "loss.png"),
        learning_rate(history, folder / "learning_rate.png"),
        predicted_against_true(predicted, true, pearson, folder / "predicted_against_true.png"),
        distributions(predicted, true, folder / "distributions.png"),
        error_per_split(errors, folder / "error_per_split.png"),
    ]
