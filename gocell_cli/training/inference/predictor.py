"""A network in evaluation: root predictions of a cache's rows, normalised by the statistics of a split."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float64, Int64

from gocell_cli.training.data.batch import CacheRows, SampleBatch
from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.dcell import DCell
from gocell_cli.training.network.delta.heads import RowHeads
from gocell_cli.training.network.population import set_population

with train_extra():
    import torch
    from torch import Tensor

EVALUATION_BATCH = 2048
STATISTICS = ("running_mean", "running_mean_rest", "running_var")


def statistics(model: DCell) -> dict[str, Tensor]:
    """Return copies of BatchNorm's statistics."""
    return {name: model.get_buffer(name).clone() for name in STATISTICS}


def put_statistics(model: DCell, saved: dict[str, Tensor]) -> None:
    """Put statistics back."""
    for name, tensor in saved.items():
        model.get_buffer(name).copy_(tensor)


def use_population(model: DCell, rows: CacheRows, train: Int64[np.ndarray, " train"]) -> None:
    """Normalise by the statistics of the training rows from now on."""
    device = model.bias.device
    set_population(model, lambda: rows.batches(train, EVALUATION_BATCH, device))


def head_of(heads: Tensor | RowHeads, term: int) -> Tensor:
    """Return one term's heads, sample by sample."""
    return heads.of_term(term) if isinstance(heads, RowHeads) else heads[:, term]


@torch.no_grad()
def root_heads(
    model: DCell,
    rows: CacheRows,
    order: Int64[np.ndarray, " rows"],
    also: Callable[[SampleBatch, Tensor | RowHeads], None] = lambda _batch, _heads: None,
) -> Float64[np.ndarray, " rows"]:
    """Return the root's head for each row of `order`, in evaluation mode; the model's mode is left as it was.

    `also` gets each batch with its heads.
    """
    was_training, found = model.training, list[Tensor]()
    model.eval()
    try:
        for batch in rows.batches(order, EVALUATION_BATCH, model.bias.device):
            heads = model.heads(batch)
            found.append(head_of(heads, model.root).double().cpu())
            also(batch, heads)
    finally:
        model.train(was_training)
    return torch.cat(found).numpy() if found else np.zeros(0)
