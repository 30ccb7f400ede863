"""Labels as the network sees them: standardised with the training split's statistics only, or 0/1 as they are."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from gocell_cli.errors import UsageError


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


def label_scale(train: Float64[np.ndarray, " n"], *, logits: bool) -> LabelScale:
    """Return the scale of a training split; a constant label has sd 1 so that it stays finite.

    Raises UsageError where logits are asked for and a label is neither 0 nor 1.
    """
    if logits and not np.isin(train, (0.0, 1.0)).all():
        raise UsageError("the bce loss needs a phenotype of 0 and 1", hint="--set loss=mse")
    sd = float(train.std())
    return LabelScale(float(train.mean()), sd if sd > 0 else 1.0, logits)
