"""Metrics of parts of a part: each deletion order for itself, and the tails of a score, where interactions are.

A correlation over all pairs is that of the many that do not interact; who looks for interactions asks how many of the
hundred strongest predictions are some, and how well the ranking finds all of them (average precision).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64

from gocell_cli.training.evaluation.metrics import is_constant
from gocell_cli.training.evaluation.tails import Tails
from gocell_cli.training.extra import train_extra

with train_extra():
    import torch
    from torchmetrics.functional.classification import binary_average_precision

ORDERS = {1: "single", 2: "double", 3: "triple"}
FOR_EACH_ORDER = ("n", "pearson", "spearman", "rmse", "auroc")
TOP = 100
"""Predictions that a laboratory would test."""
SIGNIFICANT = 0.05
"""P-value up to which a score counts as an interaction, where the cache has one."""


def by_order(
    predicted: Float64[np.ndarray, " n"],
    true: Float64[np.ndarray, " n"],
    order: Int64[np.ndarray, " n"],
    measure: Callable[[Float64[np.ndarray, " some"], Float64[np.ndarray, " some"]], dict[str, Any]],
) -> dict[str, Any]:
    """Return `single_pearson`, `double_n` ...: of each deletion order, nothing where there is but one."""
    present = [number for number in ORDERS if (order == number).any()]
    found: dict[str, Any] = {}
    for number in present if len(np.unique(order)) > 1 else ():
        own = measure(predicted[order == number], true[order == number])
        found.update({f"{ORDERS[number]}_{name}": own[name] for name in FOR_EACH_ORDER if name in own})
    return found


def tail_metrics(
    predicted: Float64[np.ndarray, " n"],
    true: Float64[np.ndarray, " n"],
    p_value: Float64[np.ndarray, " n"],
    tails: Tails,
) -> dict[str, float | None]:
    """Return `negative_precision_at_100`, `negative_average_precision`, and `positive_...` of the tails asked for.

    A score with a P-value of SIGNIFICANT or more is no interaction whatever it is; `p_value` is NaN where there is
    none. None where no sample is one, all are, or all predictions are the same.
    """
    labelled = np.isfinite(true)
    predicted, true, p_value = predicted[labelled], true[labelled], p_value[labelled]
    significant = ~(p_value >= SIGNIFICANT)
    found: dict[str, float | None] = {}
    if tails.low is not None:
        found.update(_ranked("negative", -predicted, (true <= tails.low) & significant))
    if tails.high is not None:
        found.update(_ranked("positive", predicted, (true >= tails.high) & significant))
    return found


def _ranked(name: str, score: Float64[np.ndarray, " n"], is_one: Bool[np.ndarray, " n"]) -> dict[str, float | None]:
    keys = f"{name}_precision_at_{TOP}", f"{name}_average_precision"
    if is_one.all() or not is_one.any() or is_constant(score):
        return dict.fromkeys(keys)
    # stable: of equal predictions the first samples count
    top = np.argsort(-score, kind="stable")[:TOP]
    ranks = np.unique(score, return_inverse=True)[1] / len(score)  # torchmetrics takes scores beyond 0 and 1 for logits
    average = binary_average_precision(torch.from_numpy(ranks), torch.from_numpy(is_one).long())
    return {keys[0]: float(is_one[top].mean()), keys[1]: float(average)}
