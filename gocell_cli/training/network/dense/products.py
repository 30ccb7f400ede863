"""The dense form of a network with products: samples as differences from the wild type, in autograd's operations.

Of every table [neurons, samples + 1] the samples' columns hold differences from the wild type and the last the wild
type's own, in training as in evaluation: products are of these differences (`products.py`), and the wild type is no
sample of a training batch. Slower than the passes of `levels.py`, and as exact; what trains is the delta form.
"""

from typing import Any

from jaxtyping import Float

from gocell_cli.errors import UsageError
from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.dense.genes import GeneInput, GeneValues
from gocell_cli.training.network.dense.levels import Network, tanh_differences, varying_terms
from gocell_cli.training.network.dense.memory import Chunk
from gocell_cli.training.network.layout import Bucket
from gocell_cli.training.network.products import Products

with train_extra():
    import torch
    from torch import Tensor
    from torch.nn.functional import pad


class ProductPass:
    """One batch on its way up, and down by autograd; counted: evaluation's mean counted from the wild type's a_0."""

    def __init__(
        self, net: Network, products: Products, genes: GeneInput, counted: Float[Tensor, " neurons"] | None
    ) -> None:
        self.net, self.genes, self.counted, self.n = net, genes, counted, float(genes.samples)
        self.products = products.detached()
        if counted is None and net.group is not None:
            raise UsageError("products of several processes are the delta form's", hint="form=delta, or auto")
        if isinstance(genes, GeneValues) and not genes.from_wild_type:
            hint = "gene_weights=deviation, or direction"
            raise UsageError("products of gene values need columns that count from the wild type", hint=hint)
        rows = slice(0, net.stack.neurons)
        self.chunk = Chunk(0, 0, len(net.stack.order), rows, slice(0, 0), (), ())
        self.z = net.beta.new_empty(net.stack.neurons, genes.samples + 1)
        self.mean, self.var, self.a0 = (torch.zeros_like(net.gamma) for _ in range(3))
        self.varies = varying_terms(net, genes)[net.index["term_of_neuron"]].to(net.gamma)
        self.tables: list[Tensor] = []

    def up(self) -> Float[Tensor, "rows samples"]:
        """Children first; return all heads; in training, move the running statistics."""
        net = self.net
        self.genes.fill_differences(self.z, self.chunk)
        given = (self.z, net.child, net.gamma, net.beta, net.head, *self.products)
        with torch.enable_grad():
            self.leaves = [tensor.detach().requires_grad_() for tensor in given]
            self.heads = self._levels(*self.leaves)
        if self.counted is None:
            net.statistics.move(self.mean.double() + self.a0.double(), self.var, self.n)
        return self.heads.detach() + net.head_bias.view(-1, 1)

    def _levels(self, z: Tensor, child: Tensor, gamma: Tensor, beta: Tensor, head: Tensor, *products: Tensor) -> Tensor:
        """Return the heads [rows, samples], without their biases."""
        net, heads = self.net, list[Tensor]()
        own, group = Products(*products), -1
        parts = [b.terms * b.out for b in net.stack.buckets]
        below = z[:0]
        # of one head a term or of several: a bucket's are [heads, terms, out]
        of_bucket = [
            t.view(-1, b.terms, b.out) for t, b in zip(torch.split(head, parts, -1), net.stack.buckets, strict=True)
        ]
        for b, own_heads, *rows in zip(
            net.stack.buckets, of_bucket, *(torch.split(t, parts) for t in (z, gamma, beta)), strict=True
        ):
            if b.group != group:  # what a group reads, the groups before it have written
                group, below = b.group, torch.cat([*self.tables, z.new_zeros(net.stack.piece, z.shape[1])])
            a = rows[0].view(b.terms, b.out, -1)
            if b.inp:
                x = self._inputs(b, below)
                weight = child[b.weight : b.weight + b.terms * b.out * b.inp].view(b.terms, b.out, b.inp)
                p, q = (own.inner_of(b) @ x[:, :, :-1]).chunk(2, dim=1)
                a = a + weight @ x + pad(own.outer_of(b) @ (p * q), (0, 1))
            h = self._norm(b, a.reshape(b.terms * b.out, -1), rows[1], rows[2])
            self.tables.append(h)
            y = (own_heads.transpose(0, 1) @ h.view(b.terms, b.out, -1)).transpose(0, 1)
            heads.append(y[..., :-1] + y[..., -1:])
        return torch.cat(heads, 1).flatten(0, 1)

    def _inputs(self, b: Bucket, below: Float[Tensor, "rows columns"]) -> Float[Tensor, "terms inp columns"]:
        """What a bucket's children give; the zeros that padding reads are the last block of `below`."""
        piece = self.net.stack.piece
        source = self.net.index["source"][b.source // piece : (b.source + b.terms * b.inp) // piece]
        blocks = below.view(-1, piece, below.shape[1])
        return blocks.index_select(0, source.clamp(max=len(blocks) - 1)).view(b.terms, b.inp, -1)

    def _norm(self, b: Bucket, z: Tensor, gamma: Tensor, beta: Tensor) -> Float[Tensor, "rows columns"]:
        """From z to h, both as differences; sets mean, variance and a_0 of the rows."""
        net, rows = self.net, slice(b.neuron, b.neuron + b.terms * b.out)
        a: Tensor = _TanhDifferences.apply(z) if net.tanh_first else z  # type: ignore[no-untyped-call]
        d = a[:, :-1]
        if self.counted is None:
            mean = d.mean(1)
            var = (d - mean[:, None]).square().mean(1) * self.varies[rows]
            inv = torch.rsqrt(var + net.eps) * self.varies[rows]
        else:
            # the mean itself is constant, so counted from a_0 it moves against a_0: of value 0, of slope -1
            mean, var = self.counted[rows] + (a[:, -1].detach() - a[:, -1]), net.statistics.var[rows]
            inv = torch.rsqrt(var + net.eps)
        self.mean[rows], self.var[rows], self.a0[rows] = mean.detach(), var.detach(), a[:, -1].detach()
        scale = gamma * inv
        h = torch.cat([d * scale[:, None], (beta - mean * scale)[:, None]], 1)
        return h if net.tanh_first else _TanhDifferences.apply(h)  # type: ignore[no-untyped-call]

    def down(self, dy: Float[Tensor, "rows samples"]) -> tuple[Tensor | None, ...]:
        """Return the gradient of every parameter, in the order that `Levels` took them."""
        dz, child, gamma, beta, head, inner, outer = torch.autograd.grad(self.heads, self.leaves, dy)
        self.genes.collect(dz[:, :-1], self.chunk)
        # z_0 is in every sample's z: what its gradient is, that of all samples' sum is
        common = dz[:, -1].contiguous()
        table, direction = self.genes.gradients(common)
        bias = dy.sum(1).view(self.net.head_bias.shape)
        return child, table, common, gamma, beta, head, bias, direction, inner, outer

    def outputs(self) -> Float[Tensor, "neurons samples"]:
        """A copy of all h."""
        x = torch.cat(self.tables).detach()
        return x[:, :-1] + x[:, -1:]


class _TanhDifferences(torch.autograd.Function):
    """`tanh_differences`, with a gradient."""

    @staticmethod
    def forward(ctx: Any, table: Tensor) -> Tensor:
        """Of a copy."""
        found = table.detach().clone()
        tanh_differences(found)
        ctx.save_for_backward(found)
        return found

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Of sample b tanh(a + b) - tanh(a): 1 - h_b^2 to b, and that less 1 - h_0^2 to a."""
        (found,) = ctx.saved_tensors
        origin = found[:, -1:]
        slopes = grads[0][:, :-1] * (1 - (found[:, :-1] + origin).square())
        common = (1 - origin[:, 0].square()) * (grads[0][:, -1] - grads[0][:, :-1].sum(1)) + slopes.sum(1)
        return torch.cat([slopes, common[:, None]], 1)
