"""Metrics of parts of a part: each deletion order and each number of unseen genes for itself, and the tails of a score.

Of a gene that no training sample deletes only the ontology tells anything, of two of them less: one r over all samples
is that of the mixture that a split makes. A correlation over all pairs is that of the many that do not interact; who
looks for interactions asks how many of the hundred strongest predictions are some, and how well the ranking finds all
of them (average precision).
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64

from gocell_cli.run_record import ORDERS, UNSEEN
from gocell_cli.training.evaluation.metrics import is_constant
from gocell_cli.training.evaluation.tails import Tails
from gocell_cli.training.extra import train_extra

with train_extra():
    import torch
    from torchmetrics.functional.classification import binary_average_precision

FOR_EACH = ("n", "pearson", "spearman", "rmse", "auroc")
Measure = Callable[[Float64[np.ndarray, " some"], Float64[np.ndarray, " some"]], dict[str, Any]]
TOP = 100
"""Predictions that a laboratory would test."""
SIGNIFICANT = 0.05
"""P-value up to which a score counts as an interaction, where the cache has one."""


def by_order(
    predicted: Float64[np.ndarray, " n"],
    true: Float64[np.ndarray, " n"],
    order: Int64[np.ndarray, " n"],
    measure: Measure,
) -> dict[str, Any]:
    """Return `single_pearson`, `double_n` ...: of each deletion order, nothing where there is but one."""
    return _each(predicted, true, order, ORDERS, measure)


def by_unseen(
    predicted: Float64[np.ndarray, " n"],
    true: Float64[np.ndarray, " n"],
    unseen: Int64[np.ndarray, " n"],
    measure: Measure,
) -> dict[str, Any]:
    """Return `all_seen_pearson`, `one_unseen_n`, `more_unseen_pearson` ..., nothing where all samples are of one kind.

    unseen: how many of a sample's genes no training sample deletes (`unseen_genes`).
    """
    return _each(predicted, true, np.minimum(unseen, max(UNSEEN)), UNSEEN, measure)


def _each(
    predicted: Float64[np.ndarray, " n"],
    true: Float64[np.ndarray, " n"],
    kind: Int64[np.ndarray, " n"],
    names: Mapping[int, str],
    measure: Measure,
) -> dict[str, Any]:
    """The metrics of each kind that has a name, where there are several kinds."""
    found: dict[str, Any] = {}
    labelled = np.isfinite(true)  # of samples without a label nothing is measured
    for number in names if len(np.unique(kind[labelled])) > 1 else ():
        of_it = (kind == number) & labelled
        if of_it.any():
            own = measure(predicted[of_it], true[of_it])
            found.update({f"{names[number]}_{name}": own[name] for name in FOR_EACH if name in own})
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
