"""A network measured on rows of a cache: predictions, the loss and its parts, and every metric; by all processes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from gocell_cli.training.data.batch import CacheRows, SampleBatch
from gocell_cli.training.data.labels import LabelScale
from gocell_cli.training.evaluation.metrics import evaluate
from gocell_cli.training.extra import train_extra
from gocell_cli.training.inference.predict import root_heads
from gocell_cli.training.network.dcell import DCell
from gocell_cli.training.network.delta.heads import VariantHeads
from gocell_cli.training.network.loss import DCellLoss, LossParts
from gocell_cli.training.runs.processes import Processes

with train_extra():
    import torch
    from torch import Tensor

LOSSES = {"loss": "total", "loss_root": "root", "loss_auxiliary": "auxiliary", "loss_weights": "weights"}


@dataclass(frozen=True)
class Measuring:
    """What is measured, how labels are scaled and which loss counts. Every process must ask for the same rows."""

    model: DCell
    rows: CacheRows
    loss: DCellLoss
    scale: LabelScale
    processes: Processes

    def target(self, batch: SampleBatch) -> Tensor:
        """Return the labels as the loss compares with them, on the network's device."""
        values = self.scale.forward(batch.value.cpu().numpy())
        return torch.from_numpy(values).to(self.processes.device, self.processes.dtype)

    def losses(self, heads: Tensor | VariantHeads, target: Tensor) -> LossParts:
        """Return the loss of some samples' heads."""
        model = self.model
        return self.loss(heads, target, (model.child_weight, model.gene_weight, model.head_weight))

    def predict(self, order: Int64[np.ndarray, " rows"]) -> Float64[np.ndarray, " rows"]:
        """Return predictions in the phenotype's unit."""
        return self._run(order)[0]

    def measure(self, order: Int64[np.ndarray, " rows"]) -> tuple[Float64[np.ndarray, " rows"], dict[str, Any]]:
        """Return predictions, and the losses and metrics of the rows that have a label."""
        predicted, losses = self._run(order)
        return predicted, self.metrics(predicted, self.rows.cache.columns().value[order], losses)

    def metrics(
        self,
        predicted: Float64[np.ndarray, " n"],
        true: Float64[np.ndarray, " n"],
        losses: Mapping[str, float | None] | None = None,
    ) -> dict[str, Any]:
        """Return all metrics of predictions, whoever made them."""
        kind = "bce" if self.scale.logits else "mse"
        return {**(losses or {}), **evaluate(predicted, true, mean=self.scale.mean, sd=self.scale.sd, kind=kind)}

    def _labelled_losses(self, heads: Tensor | VariantHeads, target: Tensor, labelled: Tensor) -> LossParts:
        if bool(labelled.all()):
            return self.losses(heads, target)
        # a variant's weight counts samples without a label, too: these are left out sample by sample
        dense = heads.dense() if isinstance(heads, VariantHeads) else heads
        return self.losses(dense[labelled], target[labelled])

    def _run(self, order: Int64[np.ndarray, " rows"]) -> tuple[Float64[np.ndarray, " rows"], dict[str, float | None]]:
        found, place = np.zeros(len(order)), self.processes.share(np.arange(len(order)))
        # last the number of labelled samples: over processes, means add up only as sums
        sums = np.zeros(len(LOSSES) + 1)

        def add(batch: SampleBatch, heads: Tensor | VariantHeads) -> None:
            labelled = torch.isfinite(batch.value)
            n = int(labelled.sum())
            if n:
                parts = self._labelled_losses(heads, self.target(batch), labelled)
                sums[:-1] += [n * float(getattr(parts, name)) for name in LOSSES.values()]
                sums[-1] += n

        # 0 at the other processes' places, so that the sum over all puts the shares together
        found[place] = root_heads(self.model, self.rows, order[place], add)
        *totals, n = self.processes.summed(sums).tolist()
        losses = {name: total / n if n else None for name, total in zip(LOSSES, totals, strict=True)}
        return self.scale.backward(self.processes.summed(found)), losses
