"""The other baselines together: what weights above 0 their predictions of the validation samples say.

    minimise |sum of w_i p_i - y|^2 + strength |w - 1/k|^2,   w >= 0,  p_i and y less the training mean

(stacked regressions, Breiman 1996, doi:10.1007/BF00117832: weights below 0 would make much of what parts share.)
Few validation samples leave every weight near 1 / k.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from gocell_cli.training.baselines.names import NAMES
from gocell_cli.training.baselines.samples import (
    Fitted,
    Genotypes,
    Known,
    NotApplicable,
    Others,
    Settings,
    predicted,
)
from gocell_cli.training.extra import train_extra

with train_extra():
    from scipy.optimize import nnls

BLEND = "baseline_blend"
STRENGTH = 1.0
"""Of the penalty, in units of the labels' variance."""


@dataclass(frozen=True)
class Blend:
    """A weighted sum of others' predictions; `settings` are the weights by name."""

    mean: float
    parts: dict[str, Fitted]
    settings: Settings

    def predict(self, genotypes: Genotypes) -> Float64[np.ndarray, " n"]:
        found = np.full(len(genotypes), self.mean)
        for name, part in self.parts.items():
            found += self.settings[name] * (part.predict(genotypes) - self.mean)
        return found


def blend(known: Known, others: Others) -> Fitted:
    """Fit it; raises NotApplicable where fewer than two others apply, or no validation sample has a label.

    `others` raises NotApplicable for those that the run did not ask for.
    """
    parts = {}
    for name in NAMES:
        if name not in (BLEND, "mean"):
            try:
                parts[name] = others(name)
            except NotApplicable:
                continue
    if len(parts) < 2:
        raise NotApplicable("there are no two other baselines to blend")
    if not len(known.validation):
        raise NotApplicable("no validation sample has a label")
    mean = float(known.train.value.mean())
    said = np.stack([predicted(part, known.validation.genotypes) - mean for part in parts.values()], axis=1)
    weights = blend_weights(said, known.validation.value - mean)
    return Blend(mean, parts, dict(zip(parts, weights.tolist(), strict=True)))


def blend_weights(
    predicted: Float64[np.ndarray, "n parts"], y: Float64[np.ndarray, " n"]
) -> Float64[np.ndarray, " parts"]:
    """Return the weights at the minimum above."""
    parts = predicted.shape[1]
    root = np.sqrt(STRENGTH) * (float(y.std()) or 1.0)
    # the penalty as further rows of a least squares problem
    a = np.concatenate([predicted, root * np.eye(parts)])
    found: np.ndarray = nnls(a, np.append(y, np.full(parts, root / parts)))[0]
    return found
