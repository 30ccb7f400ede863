"""Up and down the levels: DCell's forward pass and its gradient, batched, as one node of the autograd graph.

Notation of dcell.py; `inner` is what BatchNorm takes in (tanh(z), or z), `outer` is h. Every table is
[neurons, samples], every chunk of it a few terms of one level; n is the number of samples, of all processes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from jaxtyping import Float, Int64

from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.dense.genes import GeneInput
from gocell_cli.training.network.dense.workspace import ChunkViews, WeightViews, Workspaces
from gocell_cli.training.network.layout import Stack
from gocell_cli.training.network.layout_index import StackIndex

with train_extra():
    import torch
    from torch import Tensor
    from torch.linalg import vecdot, vector_norm

    batch_norm_gradient = torch.ops.aten.native_batch_norm_backward
    tanh_gradient = torch.ops.aten.tanh_backward.grad_input


Reduce: TypeAlias = Callable[[Tensor, str], None]
"""Joins a tensor over all processes in place: its `sum`, `min` or `max`."""


@dataclass(frozen=True)
class Network:
    """What a run reads of a model: layout, detached parameters, statistics (written in training), settings."""

    stack: Stack
    index: StackIndex
    workspaces: Workspaces
    child: Float[Tensor, " child_weights"]
    gamma: Float[Tensor, " neurons"]
    beta: Float[Tensor, " neurons"]
    head: Float[Tensor, " neurons"]
    head_bias: Float[Tensor, " terms"]
    running_mean: Float[Tensor, " neurons"]
    running_var: Float[Tensor, " neurons"]
    tanh_first: bool
    eps: float
    momentum: float
    training: bool
    reduce: Reduce | None


class Levels(torch.autograd.Function):
    """All levels as one node: parameters in, heads [terms, samples] in running order out.

    Slices written into a buffer that autograd tracks, or a buffer that grows by concatenation, cost more than the
    network itself: 36 samples/s at batch 2048, where one node gives a thousand.
    """

    @staticmethod
    def forward(ctx: Any, run: "LevelRun", *parameters: Tensor | None) -> Tensor:
        """Run all levels, from the leaves to the root."""
        del parameters  # the run holds them, detached; here they tell autograd what the heads depend on
        ctx.run = run
        return run.up()

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Run all levels, from the root to the leaves; returns a gradient for each parameter."""
        return (None, *ctx.run.down(grads[0].contiguous()))


class LevelRun:
    """One batch on its way up and down the levels."""

    def __init__(self, net: Network, genes: GeneInput) -> None:
        self.net, self.genes = net, genes
        kind = net.child.device.type
        self.low = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None
        most = torch.tensor(genes.samples)
        if net.training and net.reduce:
            net.reduce(most, "max")
        self.loan = net.workspaces.borrow(net.stack, genes.samples, net.beta, int(most))
        self.tables, self.source = self.loan.buffers, net.index["source"]
        self.weights = self.tables.weights(net.child, net.head)
        self.mean, self.var, self.inv = net.running_mean, net.running_var, torch.rsqrt(net.running_var + net.eps)
        self.n = float(genes.samples)
        if net.training:
            self.mean, self.var = torch.zeros_like(self.mean), torch.zeros_like(self.var)
            constant = net.index.untouched(varying_genes(genes, net.reduce))
            self.varies = (~constant)[net.index["term_of_neuron"]].to(self.mean.dtype)
            if net.reduce:
                self.n = float(self._reduced(torch.tensor(self.n, dtype=torch.float64)))

    def up(self) -> Float[Tensor, "terms samples"]:
        """Children first: fill the tables, move the running statistics, return all heads."""
        net = self.net
        heads = torch.empty(len(net.stack.order), self.genes.samples, dtype=net.head.dtype, device=net.head.device)
        for views, weights in zip(self.tables.chunks, self.weights, strict=True):
            self.linear(views, weights)
            self.norm(views)
            for run, (u, _) in zip(views.runs, weights.runs, strict=True):
                self._matmul(heads[run.heads].unsqueeze(1), u, run.h)
        if net.training:
            net.running_mean.lerp_(self.mean, net.momentum)
            net.running_var.lerp_(self.var * (self.n / (self.n - 1)), net.momentum)
        return heads.add_(net.head_bias[:, None])

    def linear(self, views: ChunkViews, weights: WeightViews) -> None:
        """Fill the chunk's `inner` with z, or tanh(z) where BatchNorm comes after it."""
        self.genes.fill(views.inner, views.chunk)
        self._gather(views)
        for block, (weight, _) in zip(views.blocks, weights.blocks, strict=True):
            self._matmul_add(block.z, weight, block.x)
        if self.net.tanh_first:
            views.inner.tanh_()

    def _gather(self, views: ChunkViews) -> None:
        """The outputs of all children of the chunk's terms: [sources, samples], in scratch memory."""
        if views.blocks:
            torch.index_select(self.tables.outer_blocks, 0, self.source[views.sources], out=views.inputs)

    def norm(self, views: ChunkViews) -> None:
        """H = gamma (a - mean) / sqrt(var + eps) + beta with a = inner, or the tanh of that."""
        net, rows, a, h = self.net, views.chunk.rows, views.inner, views.outer
        mean = self.mean[rows]
        if net.training:
            torch.div(self._reduced(a.sum(1)), self.n, out=mean)
        torch.sub(a, mean[:, None], out=h)
        if net.training:
            squares, varies = self._reduced(vector_norm(h, dim=1).square_()), self.varies[rows]
            var = torch.mul(squares, varies / self.n, out=self.var[rows])
            torch.mul(torch.rsqrt(var + net.eps), varies, out=self.inv[rows])
        h.mul_((net.gamma[rows] * self.inv[rows])[:, None]).add_(net.beta[rows, None])
        if not net.tanh_first:
            h.tanh_()

    def down(self, dy: Float[Tensor, "terms samples"]) -> tuple[Tensor | None, ...]:
        """Parents first: the gradient of every parameter, in the order that `Levels` took them."""
        net, tables = self.net, self.tables
        child, gamma, beta, head, dz_sum = map(torch.empty_like, (net.child, *[net.gamma] * 4))
        for views, weights in zip(tables.chunks, self.weights, strict=True):
            for run, (_, u_t) in zip(views.runs, weights.runs, strict=True):
                torch.mul(u_t, dy[run.heads].unsqueeze(1), out=run.dh)
        for views, weights in zip(reversed(tables.chunks), reversed(self.weights), strict=True):
            rows = views.chunk.rows
            for run in views.runs:
                own = head[run.neurons].view(run.terms, run.out, 1)
                self._matmul(own, run.h, dy[run.heads].unsqueeze(2))
            self._norm_gradient(views, gamma[rows], beta[rows])
            self.genes.collect(views.grad, views.chunk)
            torch.sum(views.grad, 1, out=dz_sum[rows])
            self._gather(views)
            for block, (_, weight_t) in zip(views.blocks, weights.blocks, strict=True):
                self._matmul(child[block.weight].view(block.shape), block.dz, block.x_t)
                self._matmul(block.x, weight_t, block.dz)
            if views.blocks:
                tables.grad_blocks.index_add_(0, self.source[views.sources], views.inputs)
        table, direction = self.genes.gradients(dz_sum)
        return child, table, dz_sum, gamma, beta, head, dy.sum(1), direction

    def _norm_gradient(self, views: ChunkViews, gamma: Tensor, beta: Tensor) -> None:
        """Turn dh into dz, in place, and write the gradients of gamma and beta."""
        net, rows, a, dh = self.net, views.chunk.rows, views.inner, views.grad
        mean, inv = self.mean[rows], self.inv[rows]
        if not net.tanh_first:
            tanh_gradient(dh, views.outer, grad_input=dh)
        if net.training and net.reduce:
            self._global_norm_gradient(a, dh, rows, gamma, beta)
        else:
            da, *found = batch_norm_gradient(
                dh.unsqueeze(0), a.unsqueeze(0), net.gamma[rows], mean, self.var[rows], mean, inv,
                net.training, net.eps, [True, True, True],
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

    def _reduced(self, tensor: Tensor) -> Tensor:
        """The tensor summed over all processes, where there are several."""
        if self.net.reduce:
            self.net.reduce(tensor, "sum")
        return tensor


def varying_genes(genes: GeneInput, reduce: Reduce | None) -> Int64[Tensor, " some_genes"]:
    """Return the genes whose value differs between samples, of all processes."""
    low, high = genes.extremes()
    if reduce:
        reduce(low, "min")
        reduce(high, "max")
    return torch.nonzero(low < high)[:, 0]
