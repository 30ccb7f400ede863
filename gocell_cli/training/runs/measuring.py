"""A network measured on rows of a cache: predictions, the loss and its parts, and every metric; by all processes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float, Float64, Int64

from gocell_cli.errors import UsageError
from gocell_cli.training.data.batch import CacheRows, SampleBatch
from gocell_cli.training.data.labels import LabelScale
from gocell_cli.training.extra import train_extra
from gocell_cli.training.inference.predict import root_heads
from gocell_cli.training.network.dcell import Batch
from gocell_cli.training.network.delta.heads import VariantHeads
from gocell_cli.training.network.delta.ready import ReadyBatch
from gocell_cli.training.network.loss import DCellLoss, LossParts, Target
from gocell_cli.training.network.own_model import Network
from gocell_cli.training.runs.processes import Processes

with train_extra():
    import torch
    from torch import Tensor

OwnLoss: TypeAlias = Callable[[Tensor, Any], Tensor]
"""(heads [samples, heads], targets [samples]) -> their mean loss; targets are standardised labels (LabelScale)."""
LOSSES = {"loss": "total", "loss_root": "root", "loss_auxiliary": "auxiliary", "loss_weights": "weights"}


@dataclass(frozen=True)
class Measuring:
    """What is measured, how labels are scaled and which loss counts. Every process must ask for the same rows."""

    model: Network
    rows: CacheRows
    loss: DCellLoss
    scale: LabelScale
    processes: Processes
    own_loss: OwnLoss | None = None

    def target(self, batch: SampleBatch) -> Float[Tensor, " samples"]:
        """Return the labels as the loss compares with them; on the CPU, where the cache's are."""
        return torch.from_numpy(self.scale.forward(batch.value.cpu().numpy())).to(self.processes.dtype)

    def ready(self, batch: SampleBatch) -> tuple[Batch, Target]:
        """Return a batch and its target on the network's device; where that is a GPU, copied by a stream of its own.

        In whichever thread: the stream that trains waits for the copy, and no CPU does.
        """
        device, target = self.processes.device, self.target(batch)
        if self.own_loss is not None:  # which takes each sample's target
            return self.model.ready(batch), target.to(device)
        if device.type != "cuda":
            ready = self.model.ready(batch, target)
        else:
            with torch.cuda.stream(self._copying):
                ready = self.model.ready(batch, target, copied=True)
        if isinstance(ready, ReadyBatch) and ready.targets is not None:
            return ready, ready.targets
        return ready, target.to(device)

    @cached_property
    def _copying(self) -> torch.cuda.Stream:
        """One for all threads: memory that a stream gave back is its own to take again."""
        return torch.cuda.Stream(self.processes.device)  # type: ignore[no-untyped-call]

    def losses(self, heads: Tensor | VariantHeads, target: Target) -> LossParts:
        """Return the loss of some samples' heads."""
        if self.own_loss is not None:
            return self._own_losses(self.own_loss, heads, target)
        return self.loss(heads, target, self.model.l2_weights())

    def _own_losses(self, loss: OwnLoss, heads: Tensor | VariantHeads, target: Target) -> LossParts:
        """Return what a loss of one's own says of heads [samples, heads], and l2; it has no auxiliary part."""
        dense = heads.dense() if isinstance(heads, VariantHeads) else heads
        root = loss(dense, target)
        if root.shape != ():
            raise UsageError(f"the loss is {tuple(root.shape)}, not one number: the mean over the samples")
        none, l2 = root.new_zeros(()), self.loss.l2
        squares = sum((w.square().sum() for w in self.model.l2_weights()), start=none) if l2 else none
        return LossParts(root + l2 * squares, root, none, squares)

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
        # torchmetrics and SciPy take as long to load as torch, and the first step need not wait for them
        from gocell_cli.training.evaluation.metrics import evaluate

        kind = "bce" if self.scale.logits else "mse"
        return {**(losses or {}), **evaluate(predicted, true, mean=self.scale.mean, sd=self.scale.sd, kind=kind)}

    def _labelled_losses(self, heads: Tensor | VariantHeads, target: Tensor, labelled: Tensor) -> LossParts:
        """The loss of those samples that have a label; target and labels on the CPU."""
        if bool(labelled.all()):
            return self.losses(heads, target if isinstance(heads, VariantHeads) else target.to(heads.device))
        # a variant's weight counts samples without a label, too: these are left out sample by sample
        dense = heads.dense() if isinstance(heads, VariantHeads) else heads
        kept = labelled.nonzero()[:, 0].to(dense.device)
        return self.losses(dense.index_select(0, kept), target[labelled].to(dense.device))

    def _run(self, order: Int64[np.ndarray, " rows"]) -> tuple[Float64[np.ndarray, " rows"], dict[str, float | None]]:
        found, place = np.zeros(len(order)), self.processes.share(np.arange(len(order)))
        # last the number of labelled samples: over processes, means add up only as sums
        sums = torch.zeros(len(LOSSES) + 1, dtype=torch.float64, device=self.processes.device)

        def add(batch: SampleBatch, heads: Tensor | VariantHeads) -> None:
            labelled = torch.isfinite(batch.value)
            n = int(labelled.sum())
            if n:
                parts = self._labelled_losses(heads, self.target(batch), labelled)
                # left on the device: the next batch need not wait for this one's
                sums[:-1] += n * torch.stack([getattr(parts, name).double() for name in LOSSES.values()])
                sums[-1] += n

        # 0 at the other processes' places, so that the sum over all puts the shares together
        found[place] = root_heads(self.model, self.rows, order[place], add)
        *totals, n = self.processes.summed(sums.cpu().numpy()).tolist()
        losses = {name: total / n if n else None for name, total in zip(LOSSES, totals, strict=True)}
        return self.scale.backward(self.processes.summed(found)), self.weighted(losses)

    def weighted(self, losses: dict[str, float | None]) -> dict[str, float | None]:
        """Return losses with the auxiliary one as it counts in their sum, times alpha."""
        auxiliary = losses["loss_auxiliary"]
        weighted = None if auxiliary is None else self.loss.alpha * auxiliary
        return {**losses, "loss_auxiliary_weighted": weighted}
