"""The delta form on the CPU: one batch on its way up the levels and down again, in compiled loops.

The algebra stands at the top of `kernels.py`. Products of edges with many variants are a matrix library's, straight
from the child's rows and the stacked weights; those of edges with few run in `kernels.products`. Threads are PyTorch's
number; no table is shared by two of them.
"""

import numpy as np
from jaxtyping import Float

from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.delta.backend import DeltaNetwork, Gradients
from gocell_cli.training.network.delta.cpu import kernels
from gocell_cli.training.network.delta.cpu.layout import Band, Buffers, Edge, edge_slots, lay_out_bands
from gocell_cli.training.network.delta.plan import DeltaIndex, DeltaPlan
from gocell_cli.training.network.delta.whole import Whole

with train_extra():
    import numba
    import torch
    from torch import Tensor


class CpuPass:
    """One batch on its way up and down; the tables x, d and g are borrowed until the pass is gone.

    x is what parents read (h_0, and h - h_0 of other variants), d what BatchNorm takes less the wild type's, g the
    gradient: of x while parents add to it, of z once the band itself has run.
    """

    def __init__(self, net: DeltaNetwork, index: DeltaIndex, plan: DeltaPlan, buffers: Buffers) -> None:
        self.net, self.plan, self.index = net, plan, index
        self.whole = Whole.of(index, plan, None, net.gamma.device)
        threads = min(torch.get_num_threads(), numba.get_num_threads())
        numba.set_num_threads(threads)
        slot = edge_slots(index, plan)
        self.bands = lay_out_bands(index, plan, net.piece, slot, threads)
        entries, widest = self.bands[-1].table.stop, max(b.slots * b.width for b in self.bands)
        sizes = {"x": entries, "d": entries, "products": widest, **({"g": entries} if net.gradients else {})}
        self.tables = buffers.borrow(self, sizes, net.gamma.dtype)
        self.x, self.d = self.tables["x"], self.tables["d"]
        self.a0, self.mean, self.var, self.inv = (torch.empty_like(net.gamma) for _ in range(4))
        dtype = self.x.numpy().dtype
        weight = plan.weight.astype(dtype)
        self.varies = plan.varies.astype(dtype)
        self.variants = kernels.VariantArrays(
            read_ptr=plan.reads.ptr,
            read_slot=slot[plan.reads.edge] + plan.reads.variant,
            lost_ptr=plan.lost_ptr,
            lost_piece=index.pair_piece[plan.lost],
            weight=weight,
            share=weight / plan.samples if net.training else np.zeros_like(weight),
        )

    def up(self) -> Float[Tensor, " variants"]:
        """Children first; returns each variant's head without its bias, and moves the running statistics."""
        net = self.net
        heads = net.gamma.new_empty(len(self.plan.weight))
        for band in self.bands:
            self._up(band, heads.numpy()[band.variants])
        if net.training:
            net.statistics.move(self.mean.double() + self.a0.double(), self.var, float(self.plan.samples))
        return heads

    def _up(self, band: Band, heads: np.ndarray) -> None:
        net, arrays, tables = self.net, self._arrays(band), self._tables(band)
        norm, state = self._norm(band), self._state(band)
        inputs = self._inputs(band, self._products(band), net.genes, net.wild, net.direction)
        kernels.linear(arrays, self.variants, tables, inputs, norm, state)
        (self.d if net.tanh_first else self.x)[band.table].tanh_()
        shared = band.tasks[0]["hi"] < band.width  # tasks with the same terms can't write to the same heads
        parts = np.empty((len(band.tasks) if shared else 1, len(heads)), heads.dtype)
        kernels.outputs(arrays, self.variants, tables, norm, state, self._of(band, net.head), parts)
        np.sum(parts, axis=0, out=heads)

    def _products(self, band: Band) -> Float[Tensor, "slots width"]:
        """Each child's variants times its edge's weights."""
        net = self.net
        found = self._empty_products(band)
        if len(band.few):
            kernels.products(band.cuts, band.few, self.x.numpy(), net.weights.numpy(), found.numpy())
        for edge in band.many:
            torch.mm(_child(self.x, edge), _weights(net.weights, edge, band).t(), out=_slots(found, edge))
        return found

    def down(self, dy: Float[Tensor, " variants"]) -> Gradients:
        """Parents first."""
        net = self.net
        g = self.tables["g"].zero_()
        gamma, beta, head, wild = (torch.empty_like(net.gamma) for _ in range(4))
        found = Gradients(
            weights=torch.zeros_like(net.weights),  # zeros: padding, and the columns of children that are not read
            wild=wild,
            genes=torch.zeros_like(net.genes),
            direction=None if net.direction is None else torch.zeros_like(net.direction),
            gamma=gamma,
            beta=beta,
            head=head,
        )
        for band in reversed(self.bands):
            self._down(band, g, dy.numpy()[band.variants], found)
        return found

    def _down(self, band: Band, g: Tensor, dy: np.ndarray, found: Gradients) -> None:
        net, products = self.net, self._empty_products(band)
        kernels.gradients(
            self._arrays(band), self.variants, self._tables(band, g),
            self._inputs(band, products, found.genes, found.wild, found.direction), self._norm(band),
            self._state(band), self._of(band, net.head), dy,
            kernels.Found(*(self._of(band, t) for t in (found.gamma, found.beta, found.head))),
        )  # fmt: skip
        if len(band.few):
            kernels.product_gradients(
                band.cuts, band.few, self.x.numpy(), net.weights.numpy(), products.numpy(), g.numpy(),
                found.weights.numpy(),
            )  # fmt: skip
        for edge in band.many:
            given = _slots(products, edge)
            torch.mm(given.t(), _child(self.x, edge), out=_weights(found.weights, edge, band))
            _child(g, edge).addmm_(given, _weights(net.weights, edge, band))

    def _empty_products(self, band: Band) -> Float[Tensor, "slots width"]:
        return self.tables["products"][: band.slots * band.width].view(band.slots, band.width)

    # What the kernels take: views of the band's part of everything.

    def _of(self, band: Band, values: Tensor | None) -> np.ndarray:
        """A band's part [terms, width] of a flat table of neurons; of an absent one, no term's."""
        if values is None:
            return np.zeros((0, band.width), self.x.numpy().dtype)
        return values.numpy()[band.neurons].reshape(-1, band.width)

    def _arrays(self, band: Band) -> kernels.BandArrays:
        return kernels.BandArrays(
            tasks=band.tasks,
            variant_ptr=self.plan.variant_ptr[band.terms.start : band.terms.stop + 1],
            slot_ptr=band.slot_ptr,
            gene_step=self.index.term_genes[band.terms],
            varies=self.varies[band.terms],
        )

    def _tables(self, band: Band, g: Tensor | None = None) -> kernels.Tables:
        d, x = (t.numpy()[band.table].reshape(-1, band.width) for t in (self.d, self.x))
        return kernels.Tables(d, x, d[:0] if g is None else g.numpy()[band.table].reshape(-1, band.width))

    def _inputs(
        self, band: Band, products: Tensor, genes: Tensor, wild: Tensor, direction: Tensor | None
    ) -> kernels.Inputs:
        return kernels.Inputs(products.numpy(), genes.numpy(), self._of(band, wild), self._of(band, direction))

    def _norm(self, band: Band) -> kernels.Norm:
        net = self.net
        return kernels.Norm(
            gamma=self._of(band, net.gamma),
            beta=self._of(band, net.beta),
            counted_mean=self._of(band, net.counted_mean),
            running_var=self._of(band, net.statistics.var),
            eps=net.eps,
            samples=float(self.plan.samples),
            training=net.training,
            tanh_first=net.tanh_first,
        )

    def _state(self, band: Band) -> kernels.State:
        return kernels.State(*(self._of(band, t) for t in (self.a0, self.mean, self.var, self.inv)))


# Of an edge, as views that a matrix library takes: no copy is made.


def _child(table: Float[Tensor, " entries"], edge: Edge) -> Float[Tensor, "variants inp"]:
    """Its child's variants, of x or of its gradient."""
    return table[edge.at : edge.at + edge.variants * edge.pitch].view(edge.variants, edge.pitch)[:, : edge.inp]


def _weights(weights: Float[Tensor, " child_weights"], edge: Edge, band: Band) -> Float[Tensor, "out inp"]:
    return weights.as_strided((band.width, edge.inp), (edge.stride, 1), edge.weight)


def _slots(products: Float[Tensor, "slots out"], edge: Edge) -> Float[Tensor, "variants out"]:
    return products[edge.slot : edge.slot + edge.variants]
