"""BatchNorm's statistics over a whole split, exactly: what evaluation normalises by (bn_eval = population).

A rarely touched term's running variance is tiny and its running mean stale, so a model that trained well predicts
noise in evaluation. Here mean and (biased) variance of every neuron are those of the whole split, as if it were one
training batch: level by level, because a level's inputs are normalised by the statistics of the levels below.

A term that no sample of the split touches has variance 0; its variance is set to infinity, so that it gives beta to
every sample, as in training, and a deletion that was never seen is not amplified 316 times.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from jaxtyping import Bool, Float

from gocell_cli.errors import UsageError
from gocell_cli.training.data.batch import Deletions
from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.dcell import Batch, DCell
from gocell_cli.training.network.delta.ready import ReadyBatch
from gocell_cli.training.network.dense.levels import EvaluationPass
from gocell_cli.training.network.dense.products import ProductPass
from gocell_cli.training.network.moments import joined
from gocell_cli.training.network.products import Products
from gocell_cli.training.network.wild_type import absolute_mean

with train_extra():
    import torch
    from torch import Tensor

ROWS_MOST = 200_000
"""Samples whose distinct variants are held at once."""
MEMORY_BYTES = 4 << 30
"""Batches whose tables fit in this stay in memory from level to level; more are run anew up to each level."""


class _Moments:
    """Count, mean and sum of squared deviations of rows, in float64, joined batch by batch."""

    def __init__(self, rows: int, device: torch.device) -> None:
        self.count = torch.zeros((), dtype=torch.float64, device=device)
        self.mean, self.squares = (torch.zeros(rows, dtype=torch.float64, device=device) for _ in range(2))

    def add(self, rows: Float[Tensor, "rows samples"]) -> None:
        """Join the moments of a batch."""
        values = rows.double()
        mean = values.mean(1)
        squares = (values - mean[:, None]).square_().sum(1)
        counts = torch.stack([self.count, torch.full_like(self.count, values.shape[1])])
        self._join(counts, torch.stack([self.mean, mean]), torch.stack([self.squares, squares]))

    def over_all(self, model: DCell) -> None:
        """Join the moments of all processes."""
        if model.group is not None:
            every = model.group.gather(torch.stack([self.mean, self.squares]))
            self._join(model.group.gather(self.count), *every.unbind(1))

    def _join(
        self,
        counts: Float[Tensor, " parts"],
        means: Float[Tensor, "parts rows"],
        squares: Float[Tensor, "parts rows"],
    ) -> None:
        self.mean, self.squares = joined(counts, means, squares)
        self.count = counts.sum()


def _over_all(model: DCell, tensor: Tensor) -> Tensor:
    """The tensor summed over all processes."""
    if model.group is not None:
        model.group.reduce(tensor, "sum")
    return tensor


def set_population(model: DCell, batches: Callable[[], Iterable[Batch]]) -> None:
    """Set the model's running statistics to those of all samples of `batches()`, which is called once or more.

    Exact up to rounding: a forward pass in training mode over the joined batch normalises by the same numbers.
    Raises UsageError where there is no sample. The model's mode is left as it was.
    """
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            _set_population(model, batches)
    finally:
        model.train(was_training)


def _from_rows(model: DCell, batches: Iterable[Batch]) -> bool:
    """Take the statistics from the variants of all samples at once, if the delta form runs and samples are few.

    Of several processes each takes its own samples' variants, if all of them can.
    """
    if model.delta is None:
        return False
    own, samples, unfit = list[Deletions](), 0, 0
    for batch in batches:
        if isinstance(batch, Tensor | ReadyBatch) or (samples > ROWS_MOST and model.product_in is None):
            unfit = 1
            break
        own.append(batch if isinstance(batch, Deletions) else Deletions.from_batch(batch, model.index.genes))
        samples += own[-1].samples
    unfit, samples = _over_all(model, torch.tensor([unfit, samples])).tolist()
    if unfit or not samples:
        return False
    counted, var, varies = model.delta.statistics(model, model.delta.ready(model, Deletions.joined(own)))
    model.running_var.copy_(var.where(varies[model.index["term_of_neuron"]], torch.inf))
    model.set_running_mean(absolute_mean(model, counted))
    return True


def _from_products(model: DCell, products: Products, batches: list[Batch]) -> None:
    """Take the statistics of a dense network with products from all samples at once, which it holds."""
    values = [batch for batch in batches if isinstance(batch, Tensor)]
    others = [batch for batch in batches if not isinstance(batch, Tensor | ReadyBatch)]
    deleted = [b if isinstance(b, Deletions) else Deletions.from_batch(b, model.index.genes) for b in others]
    network = model.network()
    # momentum 0 keeps a pass in training mode from moving the model's own
    still = replace(network, statistics=replace(network.statistics, momentum=0.0))
    genes = model.gene_input(torch.cat(values) if values else Deletions.joined(deleted))
    one = ProductPass(still, products, genes, None)
    one.up()
    model.running_var.copy_(one.var.where(one.varies > 0, torch.inf))
    model.set_running_mean(absolute_mean(model, one.mean))


def _set_population(model: DCell, batches: Callable[[], Iterable[Batch]]) -> None:
    if _from_rows(model, batches()):
        return
    if (products := model.products()) is not None and (every := list(batches())):
        _from_products(model, products, every)
        return
    constant, local = _survey(model, batches())
    samples = _over_all(model, torch.tensor(local)).item()
    varies, var = (~constant)[model.index["term_of_neuron"]], model.running_var
    counted = torch.zeros_like(model.running_mean)  # a group's is filled before the groups above it are run

    def passes() -> Iterator[EvaluationPass]:
        return (EvaluationPass(model.network(), model.gene_input(batch), counted) for batch in batches())

    # inner and outer; grad is never written in evaluation, and so takes no memory on a CPU
    row_bytes = 2 * model.stack.neurons * counted.element_size()
    kept = list(passes()) if local * row_bytes <= MEMORY_BYTES else None
    for group, rows in enumerate(_group_rows(model)):
        moments = _Moments(rows.stop - rows.start, var.device)
        for one in kept if kept is not None else passes():
            _run_up_to(one, group, from_leaves=kept is None)
            moments.add(one.deviations(rows))
        moments.over_all(model)
        counted[rows] = moments.mean.to(counted)
        var[rows] = (moments.squares / samples).to(var).where(varies[rows], torch.inf)
        for one in kept or ():
            # a kept pass took 1 / sd from the old variances when it was made, and the next group reads this one's h
            one.inv[rows] = torch.rsqrt(var[rows] + model.config.eps)
            for views in one.tables.chunks:
                if views.chunk.group == group:
                    one.norm(views)
    model.set_running_mean(absolute_mean(model, counted))


def _run_up_to(one: EvaluationPass, group: int, *, from_leaves: bool) -> None:
    """Fill `inner` of a group; the groups below it are in the tables already, or are run anew."""
    for views, weights in zip(one.tables.chunks, one.weights, strict=True):
        if views.chunk.group == group or (from_leaves and views.chunk.group < group):
            one.linear(views, weights)
            if views.chunk.group < group:
                one.norm(views)


def _group_rows(model: DCell) -> list[slice]:
    """The neuron rows of each group, in running order."""
    groups: dict[int, slice] = {}
    for bucket in model.stack.buckets:
        # a group's buckets follow each other: its rows are one slice from the first bucket to the last
        start = groups[bucket.group].start if bucket.group in groups else bucket.neuron
        groups[bucket.group] = slice(start, bucket.neuron + bucket.terms * bucket.out)
    return list(groups.values())


def _survey(model: DCell, batches: Iterable[Batch]) -> tuple[Bool[Tensor, " terms"], int]:
    """Return which terms contain no gene that differs within the split, and its number of samples."""
    like = model.bias.new_empty(model.index.genes)
    # a process may have no sample: then these are what min and max over all processes leave out
    low, high, samples = torch.full_like(like, torch.inf), torch.full_like(like, -torch.inf), 0
    for batch in batches:
        genes = model.gene_input(batch)
        own_low, own_high = genes.extremes()
        low, high = torch.minimum(low, own_low), torch.maximum(high, own_high)
        samples += genes.samples
    if not _over_all(model, torch.tensor(samples)).item():
        raise UsageError("no sample to take BatchNorm's statistics from", hint="choose another split")
    if model.group is not None:
        model.group.reduce(low, "min")
        model.group.reduce(high, "max")
    return model.index.untouched(torch.nonzero(low < high)[:, 0]), samples
