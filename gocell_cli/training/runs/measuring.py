"""A network measured on rows of a cache: predictions, the loss and its parts, and every metric; by all processes.

Of a network of several phenotypes a Measuring is of one of them, and `MeasuringSeveral` of all.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
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
from gocell_cli.training.network.loss import DCellLoss, LossParts, PhenotypesLoss, Target
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
    """What is measured, how labels are scaled and which loss counts. Every process must ask for the same rows.

    `rows` have the phenotype's labels; number: which of several phenotypes of the network it is.
    """

    model: Network
    rows: CacheRows
    loss: DCellLoss
    scale: LabelScale
    processes: Processes
    own_loss: OwnLoss | None = None
    number: int | None = None

    def target(self, batch: SampleBatch) -> Float[Tensor, " samples *phenotypes"]:
        """Return the labels as the loss compares with them; on the CPU, where the cache's are."""
        return torch.from_numpy(self.scale.forward(self.labels(batch).cpu().numpy())).to(self.processes.dtype)

    def labels(self, batch: SampleBatch) -> Float[Tensor, " samples"]:
        """Return the labels of a batch's samples; of another phenotype than the batch was read with from the cache."""
        if self.number is None:
            return batch.value
        return torch.from_numpy(self.rows.cache.columns().value[batch.rows.cpu().numpy()])

    def ready(self, batch: SampleBatch) -> tuple[Batch, Target]:
        """Return a batch and its target on the network's device; where that is a GPU, copied by a stream of its own.

        In whichever thread: the stream that trains waits for the copy, and no CPU does.
        """
        return self.ready_for(batch, self.target(batch))

    def ready_for(self, batch: SampleBatch, target: Float[Tensor, " samples *phenotypes"]) -> tuple[Batch, Target]:
        """Return a batch and the target that is given."""
        device = self.processes.device
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
        if self.number is not None:
            return self._masked_losses(heads, target, int(labelled.sum()))
        if bool(labelled.all()):
            return self.losses(heads, target if isinstance(heads, VariantHeads) else target.to(heads.device))
        # a variant's weight counts samples without a label, too: these are left out sample by sample
        dense = heads.dense() if isinstance(heads, VariantHeads) else heads
        kept = labelled.nonzero()[:, 0].to(dense.device)
        return self.losses(dense.index_select(0, kept), target[labelled].to(dense.device))

    def _masked_losses(self, heads: Tensor | VariantHeads, target: Tensor, labelled: int) -> LossParts:
        """The same of one of several phenotypes: by the closed form, which leaves samples out by their NaN."""
        own = slice(self.number, (self.number or 0) + 1)
        some = replace(heads, values=heads.values[own]) if isinstance(heads, VariantHeads) else heads[..., own]
        loss = PhenotypesLoss((self.loss,), (len(target) / labelled,))
        wanted = target[:, None]
        return loss(
            some, wanted if isinstance(heads, VariantHeads) else wanted.to(heads.device), self.model.l2_weights()
        )

    def _run(self, order: Int64[np.ndarray, " rows"]) -> tuple[Float64[np.ndarray, " rows"], dict[str, float | None]]:
        return _run_each((self,), order)[0]

    def _add(self, sums: Float64[Tensor, " losses_plus_1"], batch: SampleBatch, heads: Tensor | VariantHeads) -> None:
        """Add a batch's losses to their sums, and the number of its samples that have a label."""
        labelled = torch.isfinite(self.labels(batch))
        n = int(labelled.sum())
        if n:
            parts = self._labelled_losses(heads, self.target(batch), labelled)
            # left on the device: the next batch need not wait for this one's
            sums[:-1] += n * torch.stack([getattr(parts, name).double() for name in LOSSES.values()])
            sums[-1] += n

    def _found(
        self, heads: Float64[np.ndarray, " rows *phenotypes"], sums: Float64[Tensor, " losses_plus_1"]
    ) -> tuple[Float64[np.ndarray, " rows"], dict[str, float | None]]:
        """Predictions and losses, from heads and sums over all processes' rows."""
        *totals, n = self.processes.summed(sums.cpu().numpy()).tolist()
        losses = {name: total / n if n else None for name, total in zip(LOSSES, totals, strict=True)}
        own = heads if self.number is None else heads[:, self.number]
        return self.scale.backward(own), self.weighted(losses)

    def weighted(self, losses: dict[str, float | None]) -> dict[str, float | None]:
        """Return losses with the auxiliary one as it counts in their sum, times alpha."""
        auxiliary = losses["loss_auxiliary"]
        weighted = None if auxiliary is None else self.loss.alpha * auxiliary
        return {**losses, "loss_auxiliary_weighted": weighted}


def _run_each(
    several: Sequence[Measuring], order: Int64[np.ndarray, " rows"]
) -> list[tuple[Float64[np.ndarray, " rows"], dict[str, float | None]]]:
    """Predictions and losses of each phenotype of one network, which goes over the rows once."""
    one, place = several[0], several[0].processes.share(np.arange(len(order)))
    # last the number of labelled samples: over processes, means add up only as sums
    sums = [torch.zeros(len(LOSSES) + 1, dtype=torch.float64, device=one.processes.device) for _ in several]

    def add(batch: SampleBatch, heads: Tensor | VariantHeads) -> None:
        for measuring, own in zip(several, sums, strict=True):
            measuring._add(own, batch, heads)

    heads = root_heads(one.model, one.rows, order[place], add)
    # 0 at the other processes' places, so that the sum over all puts the shares together
    found = np.zeros((len(order), *heads.shape[1:]))
    found[place] = heads
    whole = one.processes.summed(found)
    return [measuring._found(whole, own) for measuring, own in zip(several, sums, strict=True)]


@dataclass(frozen=True)
class MeasuringSeveral:
    """All phenotypes of one network: the loss that trains it, and each of them measured for itself.

    weights: of each in the loss, which sum to 1; joint: the loss of a batch.
    """

    each: tuple[Measuring, ...]
    joint: PhenotypesLoss
    weights: tuple[float, ...]

    def ready(self, batch: SampleBatch) -> tuple[Batch, Target]:
        """Return a batch and the targets of all phenotypes, as `Measuring.ready` does."""
        target = torch.stack([one.target(batch) for one in self.each], 1)
        return self.each[0].ready_for(batch, target)

    def losses(self, heads: Tensor | VariantHeads, target: Target) -> LossParts:
        """Return the loss of some samples' heads."""
        return self.joint(heads, target, self.each[0].model.l2_weights())

    def measure(
        self, order: Int64[np.ndarray, " rows"]
    ) -> tuple[list[Float64[np.ndarray, " rows"]], list[dict[str, Any]]]:
        """Return each phenotype's predictions, and its losses and metrics of the rows that have it."""
        found = _run_each(self.each, order)
        metrics = [
            one.metrics(predicted, one.rows.cache.columns().value[order], losses)
            for one, (predicted, losses) in zip(self.each, found, strict=True)
        ]
        return [predicted for predicted, _ in found], metrics

    def together(self, metrics: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
        """Return the losses of all phenotypes together, by their weights, and the mean of their r.

        Of those that a part of the split has labels of; None where it has none of any.
        """
        known = [(w, one) for w, one in zip(self.weights, metrics, strict=True) if one.get("loss") is not None]
        whole, names = sum(w for w, _ in known), (*LOSSES, "loss_auxiliary_weighted")
        found: dict[str, float | None] = {
            name: sum(w * one[name] for w, one in known) / whole if known else None for name in names
        }
        return {**found, "pearson": mean_pearson(metrics)}


def mean_pearson(metrics: Sequence[Mapping[str, Any]]) -> float | None:
    """Return the mean r of phenotypes, of those that have one."""
    known = [one["pearson"] for one in metrics if one.get("pearson") is not None]
    return sum(known) / len(known) if known else None
