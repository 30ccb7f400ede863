"""Up and down the levels: DCell's forward pass and its gradient, batched, as one node of the autograd graph.

The formula of one term is `term_reference` in dcell.py, and so is the notation; `inner` is what BatchNorm takes in
(tanh(z), or z), `outer` is h. Every table is [neurons, samples], every chunk of it a few terms of one level; n is the
number of samples, of all processes.

In evaluation the tables hold differences from the wild type, which is one more column, the last: x_b = h_b - h_0. The
mean is a constant then, and of a rarely touched term an activation deviates from it by 1e-6 and less, of which float32
holds nothing in an absolute number (`statistics.py`). In training the mean is the batch's own, of the same rounding.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Bool, Float, Int64

from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.dense.genes import GeneInput
from gocell_cli.training.network.dense.memory import ChunkViews, RowViews, WeightViews, Workspaces
from gocell_cli.training.network.layout import Stack, StackIndex
from gocell_cli.training.network.process_group import ProcessGroup
from gocell_cli.training.network.statistics import RunningStatistics
from gocell_cli.training.network.term_dropout import Varying

with train_extra():
    import torch
    from torch import Tensor
    from torch.linalg import vecdot, vector_norm

    batch_norm_gradient = torch.ops.aten.native_batch_norm_backward
    tanh_gradient = torch.ops.aten.tanh_backward.grad_input


@dataclass(frozen=True)
class Network:
    """What a pass reads of a model: layout, detached parameters, statistics (written in training), settings.

    varying: which terms vary by which genes, where that is not all that contain one (`term_dropout.py`). Of several
    heads a term, head and head_bias have a row for each; a pass's rows are all terms' first heads, then second ones.
    """

    stack: Stack
    index: StackIndex
    workspaces: Workspaces
    child: Float[Tensor, " child_weights"]
    gamma: Float[Tensor, " neurons"]
    beta: Float[Tensor, " neurons"]
    head: Float[Tensor, "*heads neurons"]
    head_bias: Float[Tensor, "*heads terms"]
    statistics: RunningStatistics
    tanh_first: bool
    eps: float
    group: ProcessGroup | None
    varying: Varying | None = None


class Levels(torch.autograd.Function):
    """All levels as one node: parameters in, heads [rows, samples] out: in running order, one head after the other.

    Slices written into a buffer that autograd tracks, or a buffer that grows by concatenation, cost more than the
    network itself: 36 samples/s at batch 2048, where one node gives a thousand.
    """

    @staticmethod
    def forward(ctx: Any, batch: "UpAndDown", *parameters: Tensor | None) -> Tensor:
        """Go up all levels, from the leaves to the root."""
        del parameters  # the pass holds them, detached; here they tell autograd what the heads depend on
        ctx.batch = batch
        return batch.up()

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Go down all levels, from the root to the leaves; returns a gradient for each parameter."""
        return (None, *ctx.batch.down(grads[0].contiguous()))


@runtime_checkable
class UpAndDown(Protocol):
    """A batch's way through all levels."""

    def up(self) -> Float[Tensor, "rows samples"]:
        """Children first: return all heads; in training, move the running statistics."""
        ...

    def down(self, dy: Float[Tensor, "rows samples"]) -> tuple[Tensor | None, ...]:
        """Parents first: the gradient of every parameter, in the order that `Levels` took them."""
        ...

    def outputs(self) -> Float[Tensor, "neurons samples"]:
        """A copy of all h."""
        ...


class LevelPass(ABC):
    """One batch on its way up and down the levels."""

    columns = 0
    """Columns of the tables besides the samples."""

    def __init__(self, net: Network, genes: GeneInput) -> None:
        self.net, self.genes = net, genes
        kind = net.child.device.type
        # asked here, since autocast leaves operations with out= alone: the products cast by themselves
        self.low = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None
        self.loan = net.workspaces.borrow(net.stack, genes.samples + self.columns, net.beta, self._most())
        self.tables, self.source = self.loan.buffers, net.index["source"]
        self.weights = self.tables.weights(net.child, net.head)

    def _most(self) -> int:
        """Columns by which the terms are cut into chunks."""
        return self.genes.samples + self.columns

    @abstractmethod
    def up(self) -> Float[Tensor, "rows samples"]:
        """Children first: fill the tables, return all heads; in training, move the running statistics."""

    @abstractmethod
    def down(self, dy: Float[Tensor, "rows samples"]) -> tuple[Tensor | None, ...]:
        """Parents first: the gradient of every parameter, in the order that `Levels` took them."""

    @abstractmethod
    def linear(self, views: ChunkViews, weights: WeightViews) -> None:
        """Fill the chunk's `inner` with z, or in evaluation with a."""

    @abstractmethod
    def norm(self, views: ChunkViews) -> None:
        """Fill the chunk's `outer` with h = gamma (a - mean) / sqrt(var + eps) + beta; or the tanh of it.

        `inner` is left as a: tanh(z) where BatchNorm comes after the tanh, else z.
        """

    @abstractmethod
    def outputs(self) -> Float[Tensor, "neurons samples"]:
        """A copy of all h."""

    @abstractmethod
    def _norm_gradient(self, views: ChunkViews, gamma: Tensor, beta: Tensor, dz_sum: Tensor) -> None:
        """Turn dh into dz, in place, and write the gradients of gamma and beta, and dz summed over the samples."""

    @abstractmethod
    def _samples_of(self, table: Float[Tensor, "some columns"]) -> Float[Tensor, "some samples"]:
        """The columns of a table that are samples."""

    def _by_head(self, table: Float[Tensor, "rows columns"]) -> tuple[Float[Tensor, "terms columns"], ...]:
        """A table of heads, head by head."""
        return table.view(-1, len(self.net.stack.order), table.shape[1]).unbind(0)

    def _heads(self) -> Float[Tensor, "rows columns"]:
        """Go up all levels; returns each column's heads, without their biases."""
        net = self.net
        heads = net.head.new_empty(net.head_bias.numel(), self.tables.inner.shape[1])
        by_head = self._by_head(heads)
        for views, weights in zip(self.tables.chunks, self.weights, strict=True):
            self.linear(views, weights)
            self.norm(views)
            for run, weight in zip(views.runs, weights.runs, strict=True):
                for own, (u, _) in zip(by_head, weight, strict=True):
                    self._matmul(own[run.heads].unsqueeze(1), u, run.h)
        return heads

    def _add_children(self, views: ChunkViews, weights: WeightViews) -> None:
        """Add to `inner` what the chunk's children give."""
        self._gather(views)
        for block, (weight, _) in zip(views.blocks, weights.blocks, strict=True):
            self._matmul_add(block.z, weight, block.x)

    def _gather(self, views: ChunkViews) -> None:
        """The outputs of all children of the chunk's terms: [sources, columns], in scratch memory."""
        if views.blocks:
            torch.index_select(self.tables.outer_blocks, 0, self.source[views.sources], out=views.inputs)

    def _gradients(self, dy: Float[Tensor, "rows columns"]) -> tuple[Tensor | None, ...]:
        """Go down all levels; returns what `down` does, dy summed over the columns for the heads' biases."""
        net, tables = self.net, self.tables
        # empty, not zeros: the chunks write them part by part, and leave none out
        child = net.workspaces.gradient.like(net.child)
        gamma, beta, dz_sum, head = map(torch.empty_like, [net.gamma] * 3 + [net.head])
        by_head = list(zip(self._by_head(dy), head.view(-1, len(net.gamma)), strict=True))
        for views, weights in zip(tables.chunks, self.weights, strict=True):
            for run, ((_, u_t), *others) in zip(views.runs, weights.runs, strict=True):
                # written, not added: the head's gradient is the first in every row, parents add theirs to it below
                torch.mul(u_t, by_head[0][0][run.heads].unsqueeze(1), out=run.dh)
                for (_, further), (slope, _) in zip(others, by_head[1:], strict=True):
                    run.dh.addcmul_(further, slope[run.heads].unsqueeze(1))
        # a term's parents run in later groups: backwards, its dh is whole before it is used
        for views, weights in zip(reversed(tables.chunks), reversed(self.weights), strict=True):
            rows = views.chunk.rows
            for run in views.runs:
                for slope, found in by_head:
                    own = found[run.neurons].view(run.terms, run.out, 1)
                    self._matmul(own, run.h, slope[run.heads].unsqueeze(2))
            self._norm_gradient(views, gamma[rows], beta[rows], dz_sum[rows])
            self.genes.collect(self._samples_of(views.grad), views.chunk)
            # the inputs are gathered anew: kept from the way up they would be the largest table of all
            self._gather(views)
            for block, (_, weight_t) in zip(views.blocks, weights.blocks, strict=True):
                self._matmul(child[block.weight].view(block.shape), block.dz, block.x_t)
                if block.padding.start < block.padding.stop:
                    child[block.padding].zero_()
                self._matmul(block.x, weight_t, block.dz)  # over the inputs, which nothing reads any more
            if views.blocks:
                tables.grad_blocks.index_add_(0, self.source[views.sources], views.inputs)
        table, direction = self.genes.gradients(dz_sum)
        bias = self._samples_of(dy).sum(1).view(net.head_bias.shape)
        return child, table, dz_sum, gamma, beta, head, bias, direction

    def _matmul(self, out: Tensor, left: Tensor, right: Tensor) -> None:
        """Out = left @ right, batched; in autocast's precision where it is on."""
        if self.low is None:
            torch.bmm(left, right, out=out)
        else:
            out.copy_(torch.bmm(left.to(self.low), right.to(self.low)))

    def _matmul_add(self, out: Tensor, left: Tensor, right: Tensor) -> None:
        """Out += left @ right; the sum always in out's own precision."""
        if self.low is None:
            torch.baddbmm(out, left, right, out=out)
        else:
            out.add_(torch.bmm(left.to(self.low), right.to(self.low)))


class TrainingPass(LevelPass):
    """Normalised by the batch's own mean and variance, those of all processes together."""

    def __init__(self, net: Network, genes: GeneInput) -> None:
        super().__init__(net, genes)
        self.mean, self.var, self.inv = (torch.zeros_like(net.gamma) for _ in range(3))
        self.varies = varying_terms(net, genes)[net.index["term_of_neuron"]].to(self.mean.dtype)
        self.n = float(self._reduced(torch.tensor(float(genes.samples), dtype=torch.float64)))

    def _most(self) -> int:
        most = torch.tensor(self.genes.samples)
        if self.net.group:
            self.net.group.reduce(
                most, "max"
            )  # processes cut alike, however many samples each has: they reduce by chunks
        return int(most)

    def up(self) -> Float[Tensor, "rows samples"]:
        heads = self._heads()
        self.net.statistics.move(self.mean.double(), self.var, self.n)
        return heads.add_(self.net.head_bias.view(-1, 1))

    def down(self, dy: Float[Tensor, "rows samples"]) -> tuple[Tensor | None, ...]:
        return self._gradients(dy)

    def outputs(self) -> Float[Tensor, "neurons samples"]:
        return self.tables.outer[: self.net.stack.neurons].clone()

    def linear(self, views: ChunkViews, weights: WeightViews) -> None:
        self.genes.fill(views.inner, views.chunk)
        self._add_children(views, weights)

    def norm(self, views: ChunkViews) -> None:
        for part in self._parts(views):
            self._norm_rows(part)

    def _parts(self, views: ChunkViews) -> tuple[RowViews, ...]:
        """A chunk's rows as they are normalised: by what fits the cache; all at once where processes join sums."""
        if self.net.group is None:
            return views.parts
        return (RowViews(views.chunk.rows, views.inner, views.outer, views.grad),)

    def _norm_rows(self, part: RowViews) -> None:
        net, rows, a, h = self.net, part.rows, part.inner, part.outer
        if net.tanh_first:
            a.tanh_()
        mean, varies = self.mean[rows], self.varies[rows]
        torch.div(self._reduced(a.sum(1)), self.n, out=mean)
        torch.sub(a, mean[:, None], out=h)
        # squares of what is left after the mean: a mean of squares less a squared mean would cancel to rounding
        squares = self._reduced(vector_norm(h, dim=1).square_())
        # biased (n, not n - 1), as BatchNorm normalises
        var = torch.mul(squares, varies / self.n, out=self.var[rows])
        # inv is 0, not 316, where all rows are equal: what is left of a - mean there is rounding
        torch.mul(torch.rsqrt(var + net.eps), varies, out=self.inv[rows])
        h.mul_((net.gamma[rows] * self.inv[rows])[:, None]).add_(net.beta[rows, None])
        if not net.tanh_first:
            h.tanh_()

    def _samples_of(self, table: Float[Tensor, "some columns"]) -> Float[Tensor, "some samples"]:
        return table

    def _norm_gradient(self, views: ChunkViews, gamma: Tensor, beta: Tensor, dz_sum: Tensor) -> None:
        start = views.chunk.rows.start
        for part in self._parts(views):
            own = slice(part.rows.start - start, part.rows.stop - start)
            self._rows_gradient(part, gamma[own], beta[own])
            torch.sum(part.grad, 1, out=dz_sum[own])

    def _rows_gradient(self, part: RowViews, gamma: Tensor, beta: Tensor) -> None:
        net, rows, a, dh = self.net, part.rows, part.inner, part.grad
        mean, inv = self.mean[rows], self.inv[rows]
        if not net.tanh_first:
            tanh_gradient(dh, part.outer, grad_input=dh)
        if net.group:
            self._global_norm_gradient(a, dh, rows, gamma, beta)
        else:
            # as [1, channels, samples]; mean and var stand for running statistics, which training does not read.
            # inv is ours, 0 where nothing varies: torch's own would make 316 times the rounding of it
            da, *found = batch_norm_gradient(
                dh.unsqueeze(0), a.unsqueeze(0), net.gamma[rows], mean, self.var[rows], mean, inv,
                True, net.eps, [True, True, True],
            )  # fmt: skip
            gamma.copy_(found[0])
            beta.copy_(found[1])
            if net.tanh_first:
                tanh_gradient(da[0], a, grad_input=dh)
            else:
                dh.copy_(da[0])

    def _global_norm_gradient(self, a: Tensor, dh: Tensor, rows: slice, gamma: Tensor, beta: Tensor) -> None:
        """The same over all processes: da = gamma inv (dh - mean(dh) - c inv^2 mean(dh c)), c = a - mean."""
        inv, c = self.inv[rows], a - self.mean[rows, None]
        torch.sum(dh, 1, out=beta)
        moment = vecdot(dh, c)
        torch.mul(moment, inv, out=gamma)
        mean_dh, mean_dhc = self._reduced(torch.stack([beta, moment])) / self.n
        dh.addcmul_(c, (-mean_dhc * inv.square())[:, None]).sub_(mean_dh[:, None])
        dh.mul_((self.net.gamma[rows] * inv)[:, None])
        if self.net.tanh_first:
            tanh_gradient(dh, a, grad_input=dh)

    def _reduced(self, tensor: Tensor) -> Tensor:
        """The tensor summed over all processes, where there are several."""
        if self.net.group:
            self.net.group.reduce(tensor, "sum")
        return tensor


class EvaluationPass(LevelPass):
    """Normalised by given statistics, sample by sample as the difference from the wild type: the last column.

    Of `inner` and `outer` the samples' columns hold a_b - a_0 and h_b - h_0, the last a_0 (with tanh last: z_0) and
    h_0; `mean` is counted from a_0 (`wild_type.py`). On the way down h_0 is in every sample's h_b = h_0 + x_b, so the
    last column's gradient is the sum of theirs.
    """

    columns = 1

    def __init__(self, net: Network, genes: GeneInput, mean: Float[Tensor, " neurons"]) -> None:
        super().__init__(net, genes)
        self.mean, self.inv = mean, torch.rsqrt(net.statistics.var + net.eps)

    def up(self) -> Float[Tensor, "rows samples"]:
        heads = self._heads()
        return self._samples_of(heads) + (heads[:, -1] + self.net.head_bias.view(-1))[:, None]

    def down(self, dy: Float[Tensor, "rows samples"]) -> tuple[Tensor | None, ...]:
        return self._gradients(torch.cat([dy, dy.sum(1, keepdim=True)], 1))

    def outputs(self) -> Float[Tensor, "neurons samples"]:
        x = self.tables.outer[: self.net.stack.neurons]
        return self._samples_of(x) + x[:, -1:]

    def deviations(self, rows: slice) -> Float[Tensor, "some samples"]:
        """What BatchNorm takes in, counted from the wild type's: a_b - a_0."""
        return self._samples_of(self.tables.inner[rows])

    def linear(self, views: ChunkViews, weights: WeightViews) -> None:
        self.genes.fill_differences(views.inner, views.chunk)
        self._add_children(views, weights)
        if self.net.tanh_first:
            tanh_differences(views.inner)

    def norm(self, views: ChunkViews) -> None:
        net, rows = self.net, views.chunk.rows
        scale = net.gamma[rows] * self.inv[rows]
        torch.mul(views.inner, scale[:, None], out=views.outer)
        # the mean is counted from a_0, so of the wild type a - mean is -mean
        torch.addcmul(net.beta[rows], self.mean[rows], scale, value=-1, out=views.outer[:, -1])
        if not net.tanh_first:
            tanh_differences(views.outer)

    def _samples_of(self, table: Float[Tensor, "some columns"]) -> Float[Tensor, "some samples"]:
        return table[:, :-1]

    def _norm_gradient(self, views: ChunkViews, gamma: Tensor, beta: Tensor, dz_sum: Tensor) -> None:
        net, rows, d, x = self.net, views.chunk.rows, views.inner, views.outer
        dh = self._samples_of(views.grad)
        if not net.tanh_first:
            tanh_gradient(dh, self._samples_of(x) + x[:, -1:], grad_input=dh)
        torch.sum(dh, 1, out=beta)
        inv = self.inv[rows]
        torch.mul((dh * (self._samples_of(d) - self.mean[rows, None])).sum(1), inv, out=gamma)
        dh.mul_((net.gamma[rows] * inv)[:, None])
        if net.tanh_first:
            tanh_gradient(dh, self._samples_of(d) + d[:, -1:], grad_input=dh)
        torch.sum(dh, 1, out=dz_sum)
        # z_0 is in every sample's z, so its gradient is the sum of theirs: with it the column is one sample more
        views.grad[:, -1] = dz_sum


def tanh_differences(table: Float[Tensor, "some columns"]) -> None:
    """Turn a (the last column) into tanh(a) and each b (the others) into tanh(a + b) - tanh(a), in place.

    With t = tanh(b) the difference is t (1 - tanh(a)^2) / (1 + t tanh(a)), to all digits however small b is; for b
    beyond 1, where the denominator may be 0, it is taken as it stands. 1 - tanh(a)^2 is 1 / cosh(a)^2, which float32
    holds where tanh(a) is 1 already.
    """
    b, a = table[:, :-1], table[:, -1:]
    origin, slope = torch.tanh(a), torch.cosh(a).square_().reciprocal_()
    t = torch.tanh(b)
    near = t * slope / (1 + t * origin)
    b.copy_(torch.where(b.abs() > 1, torch.tanh(b + a) - origin, near))
    a.copy_(origin)


def varying_terms(net: Network, genes: GeneInput) -> Bool[Tensor, " terms"]:
    """Return which terms vary between the samples of all processes."""
    different = varying_genes(genes, net.group)
    if net.varying is None:
        return ~net.index.untouched(different)
    return torch.from_numpy(net.varying(different.cpu().numpy()) > 0).to(different.device)


def varying_genes(genes: GeneInput, group: ProcessGroup | None) -> Int64[Tensor, " some_genes"]:
    """Return the genes whose value differs between samples, of all processes."""
    low, high = genes.extremes()
    if group:
        group.reduce(low, "min")
        group.reduce(high, "max")
    return torch.nonzero(low < high)[:, 0]
