"""Products of children's deviations of a plan's variants (`products.py`): what they add to z, and their gradients.

A variant's slots hold h_v - h_0 of the children that it changes, so P d and Q d are sums over slots, as W d is, and run
as the same batched matmuls. A wild type reads its children's h_0 instead: of it P d and Q d are set to 0.
"""

from jaxtyping import Float, Int64

from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.delta.plan import DeltaIndex
from gocell_cli.training.network.delta.tensors.layout import BandPlan, MatmulPlan, Part, PlanTensors
from gocell_cli.training.network.products import Products

with train_extra():
    import torch
    from torch import Tensor
    from torch.nn.functional import embedding_bag


class PairProducts:
    """The products of one pass; `up` band by band, then `down` the other way, then `collect`."""

    def __init__(self, products: Products, index: DeltaIndex, plan: MatmulPlan, at: PlanTensors, piece: int) -> None:
        self.products, self.rank, self.plan, self.at, self.piece = products, products.rank, plan, at, piece
        chunk, starts = index.product.chunks(plan.order, index.child_blocks[plan.order], self.rank)
        self.starts: list[int] = starts.tolist()
        device = products.inner.device
        self.chunk = torch.from_numpy(chunk).to(device)
        self.inner = products.inner.view(-1, self.piece).index_select(0, self.chunk)
        self.inner_gradient, self.outer_gradient = torch.zeros_like(self.inner), torch.zeros_like(products.outer)
        self.pairs: dict[int, Tensor] = {}

    def up(self, number: int, inputs: Tensor, neurons: slice) -> Float[Tensor, "variants width"]:
        """Return what a band's products add to z."""
        at, band = self.at, self.plan.bands[number]
        table = inputs.new_empty(band.slots, 2 * self.rank)
        for part in band.parts:
            x, out, weight = self._matmul(band, part, inputs, table, self.inner)
            torch.bmm(x, weight.transpose(1, 2), out=out)
        bags = at.bag[band.variants] - band.reads.start
        pairs = self.pairs[number] = embedding_bag(at.slot[band.reads], table, bags, mode="sum")
        pairs[self._wild(band)] = 0
        p, q = pairs.chunk(2, dim=1)
        outer = self._outer(band, self.products.outer, neurons)
        if len(outer) == 1:
            return (p * q) @ outer[0].t()
        return (outer.index_select(0, self._own(band)) @ (p * q)[:, :, None])[:, :, 0]

    def down(self, number: int, dz: Tensor, inputs: Tensor, gradients: Tensor, neurons: slice) -> None:
        """Take in dz of a band's variants; adds to the gradients of its inputs."""
        at, band = self.at, self.plan.bands[number]
        pairs = self.pairs.pop(number)
        p, q = pairs.chunk(2, dim=1)
        outer = self._outer(band, self.products.outer, neurons)
        found = self._outer(band, self.outer_gradient, neurons)
        if len(outer) == 1:
            found[0] = dz.t() @ (p * q)
            both = dz @ outer[0]
        else:
            own = self._own(band)
            every = (dz[:, :, None] * (p * q)[:, None, :]).flatten(1)
            # a term's variants stand together: summed in their order, not by atomics in any
            rows = torch.arange(len(every), device=every.device)
            found.copy_(embedding_bag(rows, every, self._wild(band), mode="sum").view_as(found))
            both = (dz[:, None, :] @ outer.index_select(0, own))[:, 0]
        # to P d that times Q d, and the other way round
        given = torch.cat([both * q, both * p], 1)
        bags = at.slot_bag[band.first_slot : band.first_slot + band.slots] - band.reads.start
        products = embedding_bag(at.slot_reader[band.reads] - band.variants.start, given, bags, mode="sum")
        for part in band.parts:
            x, dp, weight = self._matmul(band, part, inputs, products, self.inner)
            dx, _, dw = self._matmul(band, part, gradients, products, self.inner_gradient)
            torch.bmm(dp.transpose(1, 2), x, out=dw)
            dx.baddbmm_(dp, weight)

    def collect(self, found: Products) -> None:
        """Write the gradients; a chunk belongs to one edge, padding stays 0."""
        found.inner.view(-1, self.piece).index_copy_(0, self.chunk, self.inner_gradient)
        found.outer.copy_(self.outer_gradient)

    def _own(self, band: BandPlan) -> Int64[Tensor, " variants"]:
        own: Tensor = self.at.term[band.variants] - band.terms.start
        return own

    def _wild(self, band: BandPlan) -> Int64[Tensor, " terms"]:
        wild: Tensor = self.at.start[band.terms] - band.variants.start
        return wild

    def _outer(self, band: BandPlan, table: Tensor, neurons: slice) -> Float[Tensor, "terms width rank"]:
        return table[neurons].view(band.terms.stop - band.terms.start, -1, self.rank)

    def _matmul(
        self, band: BandPlan, part: Part, inputs: Tensor, products: Tensor, weights: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """A part's x [edges, size, inp], products [edges, size, 2 rank] and weights [edges, 2 rank, inp], as views."""
        edges, rows = part.stop - part.first, 2 * self.rank
        at = part.input - band.inputs.start
        x = inputs[at : at + edges * part.size * part.blocks].view(edges, part.size, -1)
        out = products[part.slot : part.slot + edges * part.size].view(edges, part.size, rows)
        chunks = weights[self.starts[part.first] : self.starts[part.stop]]
        return x, out, chunks.view(edges, rows, part.blocks * self.piece)
