"""All measurements of one set of predictions; torchmetrics and SciPy compute them, this decides what they mean.

Correlations of a constant (`is_constant`), and anything that its samples do not define, are None and never NaN; they
and r2 are the same on either scale, and taken once, on the standardised one. Jensen-Shannon is
SciPy's distance (base 2) between histograms over 50 equal bins of both ranges together.
"""

from typing import Any

import numpy as np
from jaxtyping import Float64

from gocell_cli.errors import Diverged
from gocell_cli.training.extra import train_extra

with train_extra():
    import torch
    from scipy.spatial.distance import jensenshannon
    from scipy.stats import wasserstein_distance
    from torchmetrics.functional import (
        mean_absolute_error,
        mean_squared_error,
        pearson_corrcoef,
        r2_score,
        spearman_corrcoef,
    )
    from torchmetrics.functional.classification import binary_auroc, binary_average_precision

ERRORS = ("mse", "rmse", "mae")
AGREEMENT = ("pearson", "spearman", "r2")
DISTANCES = ("wasserstein", "jensen_shannon")
RANKING = ("auroc", "average_precision")
BINS = 50
ROUNDING = float(np.finfo(np.float32).eps)


def evaluate(
    predicted: Float64[np.ndarray, " n"], true: Float64[np.ndarray, " n"], *, mean: float, sd: float, kind: str
) -> dict[str, Any]:
    """Return metrics by name on the original scale, and as `standardised_*` on (x - mean) / sd.

    kind `bce`: predicted are probabilities and true 0 or 1; AUROC and average precision come with it. Samples whose
    true value is NaN are left out and counted (`nan_labels`). Raises Diverged where a prediction is not finite.
    """
    if not np.isfinite(predicted).all():
        raise Diverged("predictions are not finite", hint="a smaller --lr, or --set clip=1.0")
    labelled = ~np.isnan(true)
    predicted, true = predicted[labelled], true[labelled]
    found: dict[str, Any] = {"n": len(true), "nan_labels": int((~labelled).sum())}
    found.update(_errors(predicted, true))
    scaled = (predicted - mean) / sd, (true - mean) / sd
    agreement = _agreement(*scaled)
    found.update(agreement)
    standardised = {**_errors(*scaled), **agreement}
    found.update({f"standardised_{name}": value for name, value in standardised.items()})
    found.update(_distances(predicted, true))
    if kind == "bce":
        found.update(_ranking(predicted, true))
    return found


def _errors(predicted: Float64[np.ndarray, " n"], true: Float64[np.ndarray, " n"]) -> dict[str, float | None]:
    if not len(true):
        return dict.fromkeys(ERRORS)
    p, t = torch.from_numpy(predicted), torch.from_numpy(true)
    values = mean_squared_error(p, t), mean_squared_error(p, t, squared=False), mean_absolute_error(p, t)
    return dict(zip(ERRORS, map(float, values), strict=True))


def is_constant(standardised: Float64[np.ndarray, " n"]) -> bool:
    """Whether nothing but a network's rounding, which is float32's, tells standardised values apart."""
    return bool(np.ptp(standardised) <= ROUNDING * max(1.0, float(np.abs(standardised).max())))


def _agreement(predicted: Float64[np.ndarray, " n"], true: Float64[np.ndarray, " n"]) -> dict[str, float | None]:
    found: dict[str, float | None] = dict.fromkeys(AGREEMENT)
    if len(true) < 2 or is_constant(true):
        return found
    p, t = torch.from_numpy(predicted), torch.from_numpy(true)
    found["r2"] = float(r2_score(p, t))
    if not is_constant(predicted):
        # centred and scaled first: torchmetrics warns of (and errs with) variances near float32's epsilon
        p, t = ((x - x.mean()) / x.std() for x in (p, t))
        found["pearson"], found["spearman"] = float(pearson_corrcoef(p, t)), float(spearman_corrcoef(p, t))
    return found


def _distances(predicted: Float64[np.ndarray, " n"], true: Float64[np.ndarray, " n"]) -> dict[str, float | None]:
    if len(true) < 2:
        return dict.fromkeys(DISTANCES)
    low, high = min(predicted.min(), true.min()), max(predicted.max(), true.max())
    if high - low <= 1e-12 * max(abs(low), abs(high)):  # what is left is rounding, too narrow for 50 bins
        return dict.fromkeys(DISTANCES, 0.0)
    counts = [np.histogram(x, bins=BINS, range=(low, high))[0] for x in (predicted, true)]
    values = float(wasserstein_distance(predicted, true)), float(jensenshannon(*counts, base=2))
    return dict(zip(DISTANCES, values, strict=True))


def _ranking(predicted: Float64[np.ndarray, " n"], true: Float64[np.ndarray, " n"]) -> dict[str, float | None]:
    if len(np.unique(true)) < 2:
        return dict.fromkeys(RANKING)
    p, t = torch.from_numpy(predicted), torch.from_numpy(true).long()
    return dict(zip(RANKING, (float(binary_auroc(p, t)), float(binary_average_precision(p, t))), strict=True))
