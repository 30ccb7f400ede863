"""Labels as the network sees them: standardised with the training split's statistics only, or 0/1 as they are."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from gocell_cli.errors import InvalidInput, UsageError

LARGEST = 1e100
"""Squares of labels, and their sums over any number of samples, must be numbers: float64 ends at 1.8e308."""
SMALLEST = 1e-100
"""Below it the squares are 0, and with them the standard deviation: it is taken of labels in a unit of their own."""
ROUNDING = 1e-12
"""Part of a label that is rounding: a mean of many 0.1 is not 0.1."""


@dataclass(frozen=True)
class LabelScale:
    """standardised = (value - mean) / sd; with `logits` values are 0 or 1 and heads are logits."""

    mean: float
    sd: float
    logits: bool

    def forward(self, values: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
        """Original scale -> what the loss compares with."""
        return values if self.logits else (values - self.mean) / self.sd

    def backward(self, heads: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
        """The root's head -> the original scale, or the probability of a 1."""
        if self.logits:
            # the logistic function, in a form that can't overflow
            return 0.5 * (1 + np.tanh(heads / 2))
        return heads * self.sd + self.mean


def check_labels(values: Float64[np.ndarray, " n"], phenotype: str) -> None:
    """Raise InvalidInput where a label (NaN: none) is infinite, or larger than any sum of squares can hold."""
    outside = np.flatnonzero(np.abs(values) > LARGEST)  # of NaN this is False
    if len(outside):
        raise InvalidInput(
            f"phenotype {phenotype}: sample {outside[0]} has the label {values[outside[0]]:g}, {len(outside):,} in all"
            f" are beyond {LARGEST:g}",
            why="their squares are no numbers any more",
            hint="correct the table, or give the phenotype in another unit, and build the cache again",
        )


def check_differ(train: Float64[np.ndarray, " n"], phenotype: str) -> None:
    """Raise InvalidInput where nothing but rounding tells training labels apart."""
    if _same(train):
        raise InvalidInput(
            f"phenotype {phenotype}: all {len(train):,} training samples have the label {train[0]:g}",
            why="there is nothing to learn",
            hint="another phenotype (--phenotype-column of build-cache), or another --split or --seed",
        )


def _same(values: Float64[np.ndarray, " n"]) -> bool:
    return bool(np.ptp(values) <= ROUNDING * np.abs(values).max())


def label_scale(train: Float64[np.ndarray, " n"], *, logits: bool) -> LabelScale:
    """Return the scale of a training split; a constant label has sd 1 so that it stays finite.

    Raises UsageError where logits are asked for and a label is neither 0 nor 1.
    """
    if logits and not np.isin(train, (0.0, 1.0)).all():
        raise UsageError("the bce loss needs a phenotype of 0 and 1", hint="--set loss=mse")
    if _same(train):
        return LabelScale(float(train.mean()), 1.0, logits)
    unit = float(np.abs(train).max()) if np.abs(train).max() < SMALLEST else 1.0
    return LabelScale(float(train.mean()), unit * float((train / unit).std()), logits)
