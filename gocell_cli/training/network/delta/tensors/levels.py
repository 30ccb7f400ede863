"""The delta form in PyTorch's operations, on any device: up and down the levels on the variants of a plan.

The algebra stands at the top of cpu/kernels.py, and both do the same: variant 0 of a term is the wild type, others are
counted from it (x_v = h_v - h_0, d_v = a_v - a_0, exact zeros where nothing differs). What is 0 in exact arithmetic
(the gradient of an untouched term's weights) is exactly 0. Products of edges whose children have about as many variants
run as one batched matmul; sums over reads, and back, are embedding bags: gathers, in a fixed order.
"""

from itertools import accumulate, pairwise

from jaxtyping import Float, Int64

from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.delta.backend import DeltaNetwork, Gradients
from gocell_cli.training.network.delta.plan import DeltaIndex, DeltaPlan
from gocell_cli.training.network.delta.tensors.layout import BandPlan, Part, make_matmul_plan, plan_tensors
from gocell_cli.training.network.delta.tensors.pairs import PairProducts
from gocell_cli.training.network.delta.whole import Whole
from gocell_cli.training.network.products import Products

with train_extra():
    import torch
    from torch import Tensor
    from torch.nn.functional import embedding_bag

    tanh_gradient = torch.ops.aten.tanh_backward.grad_input


class TensorPass:
    """One batch on its way up and down the levels."""

    def __init__(self, net: DeltaNetwork, index: DeltaIndex, plan: DeltaPlan, whole: Whole) -> None:
        self.net, self.plan, self.whole = net, make_matmul_plan(index, plan), whole
        self.at = plan_tensors(index, plan, whole, self.plan, net.gamma.device, net.gamma.dtype)
        self.own, self.n = max(plan.samples, 1), whole.samples  # of no sample all sums are 0, whatever divides them
        self.weights = net.weights.view(-1, net.piece).index_select(0, self.at.chunk)
        plan_blocks = self.plan.blocks
        self.x = net.gamma.new_empty(plan_blocks + 1, net.piece)  # what parents read; the last block is 0
        self.x[-1] = 0
        self.d = net.gamma.new_empty(plan_blocks, net.piece)
        self.a0, self.mean, self.var, self.inv = (torch.empty_like(net.gamma) for _ in range(4))
        self.total, self.moment = (torch.empty_like(net.gamma) for _ in range(2))
        # 0, 1, 2, ...: over it embedding_bag sums neighbouring rows; as long as the longest band needs
        self._every = torch.arange(
            max(b.variants.stop - b.variants.start for b in self.plan.bands), device=net.gamma.device
        )
        widths = [(b.terms.stop - b.terms.start) * b.width * net.piece for b in self.plan.bands]
        stops = list(accumulate(widths))
        self._neurons = [slice(stop - width, stop) for stop, width in zip(stops, widths, strict=True)]
        self._levels = [range(a, b) for a, b in pairwise(index.level_ptr.tolist())]
        self._inputs: dict[int, Tensor] = {}
        self.pairs = None if net.products is None else PairProducts(net.products, index, self.plan, self.at, net.piece)

    def _of(self, number: int, neurons: Tensor) -> Float[Tensor, "terms width"]:
        """A band's part of a flat table of neurons."""
        band = self.plan.bands[number]
        return neurons[self._neurons[number]].view(band.terms.stop - band.terms.start, -1)

    def _table(self, band: BandPlan, table: Tensor) -> Float[Tensor, "variants width"]:
        return table[band.blocks].view(band.variants.stop - band.variants.start, -1)

    def up(self) -> Float[Tensor, "*heads variants"]:
        """Children first; returns each variant's heads without their biases, and moves the running statistics."""
        net = self.net
        heads = net.new_heads(len(self.at.term))
        weights, by_head = net.by_head(net.head), net.by_head(heads)
        for level in self._levels:
            for number in level:
                self._inner(number, self._linear(number))
            self._statistics(level)
            for number in level:
                band = self.plan.bands[number]
                h = self._outer(number)
                for weight, out in zip(weights, by_head, strict=True):
                    self._heads(band, h, self._of(number, weight), out[band.variants])
        if net.training:
            net.statistics.move(self.mean.double() + self.a0.double(), self.var, self.n)
        return heads

    def _heads(self, band: BandPlan, h: Tensor, head: Tensor, out: Tensor) -> None:
        """Each variant's h times its term's head weights."""
        if len(head) == 1:
            torch.mv(h, head[0], out=out)
        else:
            torch.sum(h * self._spread(band, head), 1, out=out)

    def _own(self, band: BandPlan) -> Int64[Tensor, " variants"]:
        """Each variant's term, counted from the band's first."""
        own: Tensor = self.at.term[band.variants] - band.terms.start
        return own

    def _spread(self, band: BandPlan, values: Float[Tensor, "terms width"]) -> Float[Tensor, "_ width"]:
        """Each variant's term's values; one term's, which are most of all numbers, are left to broadcast."""
        return values if len(values) == 1 else values.index_select(0, self._own(band))

    def _wild(self, band: BandPlan) -> Int64[Tensor, " terms"]:
        """Each term's wild type, counted from the band's first."""
        wild: Tensor = self.at.start[band.terms] - band.variants.start
        return wild

    def _linear(self, number: int) -> Float[Tensor, "variants width"]:
        """Z of the wild types, and what other variants add to it."""
        net, at, band = self.net, self.at, self.plan.bands[number]
        width = band.width * net.piece
        products = net.gamma.new_empty(band.slots, width)
        inputs = self._inputs[number] = self.x.index_select(0, at.input[band.inputs])
        for part in band.parts:
            x, out, weight = self._matmul(band, part, inputs, products, self.weights)
            torch.bmm(x, weight.transpose(1, 2), out=out)
        if band.slots:
            bags = at.bag[band.variants] - band.reads.start
            z = embedding_bag(at.slot[band.reads], products, bags, mode="sum")
        else:
            z = products.new_zeros(band.variants.stop - band.variants.start, width)
        z.index_add_(0, self._wild(band), self._of(number, net.wild))
        if self.pairs is not None and band.slots:
            z += self.pairs.up(number, inputs, self._neurons[number])
        losers = at.lost_variant[band.lost] - band.variants.start
        lost = net.genes[at.pieces[number]].view(-1, width)
        if net.direction is not None:
            lost = lost - self._of(number, net.direction)[self._own(band)[losers]]
        return z.index_add_(0, losers, lost, alpha=-1)

    def _matmul(
        self, band: BandPlan, part: Part, inputs: Tensor, products: Tensor, weights: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """A part's x [edges, size, inp], x W^T [edges, size, out] and W [edges, out, inp] as views of the band's."""
        edges, width, piece = part.stop - part.first, band.width * self.net.piece, self.net.piece
        first = part.input - band.inputs.start
        x = inputs[first : first + edges * part.size * part.blocks].view(edges, part.size, -1)
        out = products[part.slot : part.slot + edges * part.size].view(edges, part.size, width)
        chunks = weights[part.weight : part.weight + edges * width * part.blocks]
        return x, out, chunks.view(edges, width, part.blocks * piece)

    def _inner(self, number: int, z: Float[Tensor, "variants width"]) -> None:
        """Fill d and a_0 of the band."""
        band = self.plan.bands[number]
        wild, d = self._wild(band), self._table(band, self.d)
        z0 = z[wild]
        # z holds z_0 and what each other variant adds to it; the wild type adds nothing
        z[wild] = 0
        if self.net.tanh_first:
            a = z.add_(self._spread(band, z0)).tanh_()
            z0 = a[wild]
            torch.sub(a, self._spread(band, z0), out=d)
        else:
            d.copy_(z)
        self._of(number, self.a0).copy_(z0)

    def _statistics(self, level: range) -> None:
        """Set mean (counted from a_0), variance and 1 / sqrt(variance + eps) of a level."""
        net, here = self.net, self._neurons_of(level)
        if net.counted_mean is not None:
            self.mean[here] = net.counted_mean[here]
            self.inv[here] = torch.rsqrt(net.statistics.var[here] + net.eps)
            return
        for number in level:
            self._own_moments(number)
        # a level at once: processes that wait for each other do so once, not band by band
        self.mean[here], self.var[here] = self.whole.moments(self.mean[here], self.var[here])
        for number in level:
            varies, var = self.at.varies[self.plan.bands[number].terms, None], self._of(number, self.var)
            var.mul_(varies / self.n)
            torch.mul(torch.rsqrt(var + net.eps), varies, out=self._of(number, self.inv))

    def _own_moments(self, number: int) -> None:
        """Of this process's samples: the mean of d, and the squares of what deviates from it."""
        band = self.plan.bands[number]
        d, weight, mean = self._table(band, self.d), self.at.weight[band.variants], self._of(number, self.mean)
        torch.div(self._summed(band, d, weight), self.own, out=mean)
        deviation = d - self._spread(band, mean)
        self._of(number, self.var).copy_(self._summed(band, deviation.square_(), weight))

    def _outer(self, number: int) -> Float[Tensor, "variants width"]:
        """Fill x of the band; returns h of all its variants."""
        net, band = self.net, self.plan.bands[number]
        wild = self._wild(band)
        h = self._table(band, self.d) - self._spread(band, self._of(number, self.mean))
        scale = self._of(number, net.gamma) * self._of(number, self.inv)
        h.mul_(self._spread(band, scale)).add_(self._spread(band, self._of(number, net.beta)))
        if not net.tanh_first:
            h.tanh_()
        h0, x = h[wild], self._table(band, self.x)
        torch.sub(h, self._spread(band, h0), out=x)
        # the wild type's row holds h_0 itself: W times a row is then what it gives to z, of either kind
        x[wild] = h0
        return h

    def _neurons_of(self, level: range) -> slice:
        return slice(self._neurons[level[0]].start, self._neurons[level[-1]].stop)

    def _summed(self, band: BandPlan, table: Tensor, weight: Tensor | None = None) -> Float[Tensor, "terms width"]:
        """Each term's variants added up."""
        if band.terms.stop - band.terms.start == 1:
            return table.sum(0, keepdim=True) if weight is None else weight[None].mm(table)
        return embedding_bag(self._every[: len(table)], table, self._wild(band), mode="sum", per_sample_weights=weight)

    def down(self, dy: Float[Tensor, "*heads variants"]) -> Gradients:
        """Parents first."""
        net, at = self.net, self.at
        g = net.gamma.new_empty(len(at.input), net.piece)  # of every slot's input
        direction = None if net.direction is None else torch.zeros_like(net.direction)
        wild, gamma, beta, head = (torch.empty_like(t) for t in (net.gamma, net.gamma, net.gamma, net.head))
        weights = torch.empty_like(self.weights)
        child = torch.zeros_like(net.weights)
        products = None if net.products is None else Products(*map(torch.zeros_like, net.products))
        found = Gradients(child, wild, torch.zeros_like(net.genes), direction, gamma, beta, head, products)
        for level in reversed(self._levels):
            given = [self._outer_gradient(i, self._pulled(self.plan.bands[i], g), dy, found) for i in level]
            here = self._neurons_of(level)
            # of beta and gamma / inv: this process's own, as the gradients stay, and then all processes'
            self.total[here], self.moment[here] = self.whole.sums(found.beta[here], found.gamma[here])
            found.gamma[here] *= self.inv[here]
            for number, dh in zip(level, given, strict=True):
                self._linear_gradient(number, self._inner_gradient(number, dh, found), g, weights)
        if self.pairs is not None and products is not None:
            self.pairs.collect(products)
        # a chunk belongs to one edge: copied, nothing is summed; padding stays 0
        child.view(-1, net.piece).index_copy_(0, at.chunk, weights)
        return found

    def _outer_gradient(self, number: int, g: Tensor, dy: Tensor, found: Gradients) -> Tensor:
        """From dx (and the heads') to the gradient of BatchNorm's output; its sum, and times a - mean, into `found`."""
        net, at, band = self.net, self.at, self.plan.bands[number]
        wild, slopes = self._wild(band), [of_head[band.variants] for of_head in net.by_head(dy)]
        x = self._table(band, self.x)
        h0 = x[wild]
        h = x + self._spread(band, h0)
        h[wild] = h0
        # h_0 is taken off all other variants' x: its gradient is g_0 less theirs, that is 2 g_0 less the sum of all
        g[wild] = 2 * g[wild] - self._summed(band, g)
        for slope, weight, own in zip(slopes, net.by_head(net.head), net.by_head(found.head), strict=True):
            self._of(number, own).copy_(self._summed(band, h, slope))
            g.addcmul_(self._spread(band, self._of(number, weight)), slope[:, None])
        if not net.tanh_first:
            tanh_gradient(g, h, grad_input=g)
        # a wild type that no sample shows is only the origin that the others are counted from; products read it as that
        if self.pairs is None:
            g[wild] *= at.wild[band.terms, None]
        self._of(number, found.beta).copy_(self._summed(band, g))
        c = self._table(band, self.d) - self._spread(band, self._of(number, self.mean))
        self._of(number, found.gamma).copy_(self._summed(band, c.mul_(g)))
        return g

    def _inner_gradient(self, number: int, g: Tensor, found: Gradients) -> Tensor:
        """On to dz of the variants as `_linear` made them: z_0 is in all of them. Genes' gradients are added up."""
        net, at, band = self.net, self.at, self.plan.bands[number]
        d, inv = self._table(band, self.d), self._of(number, self.inv)
        if net.training:
            c = d - self._spread(band, self._of(number, self.mean))
            slope = self._of(number, self.moment) * inv.square()
            c.mul_(self._spread(band, slope)).add_(self._spread(band, self._of(number, self.total)))
            g = g.addcmul_(c, at.weight[band.variants, None] / self.n, value=-1)
        dz = g.mul_(self._spread(band, self._of(number, net.gamma) * inv))
        if net.tanh_first:
            tanh_gradient(dz, d + self._spread(band, self._of(number, self.a0)), grad_input=dz)
        # BatchNorm takes away what all z have in common: where it comes first, that gradient is exactly 0. Of several
        # processes each has a part of it left, but what is made of it is linear, so only their sum, 0, counts
        common = self._of(number, found.wild)
        if net.tanh_first or not net.training:
            common.copy_(self._summed(band, dz))
        else:
            common.zero_()
        dz[self._wild(band)] = common
        losers = at.lost_variant[band.lost] - band.variants.start
        lost = dz[losers]
        found.genes.index_add_(0, at.pieces[number].view(-1), lost.view(-1, net.piece), alpha=-1)
        if found.direction is not None:
            # added, where a lost gene's own weights are taken off: the direction counts lost genes
            self._of(number, found.direction).index_add_(0, self._own(band)[losers], lost)
        return dz

    def _linear_gradient(self, number: int, dz: Tensor, g: Tensor, weights: Tensor) -> None:
        """The products' gradients to weights and to the children's variants."""
        at, band = self.at, self.plan.bands[number]
        if not band.slots:
            return
        bags = at.slot_bag[band.first_slot : band.first_slot + band.slots] - band.reads.start
        products = embedding_bag(at.slot_reader[band.reads] - band.variants.start, dz, bags, mode="sum")
        # popped: nobody reads them again, so memory is given back band by band
        inputs, gradients = self._inputs.pop(number), g[band.inputs]
        for part in band.parts:
            x, dp, weight = self._matmul(band, part, inputs, products, self.weights)
            dx, _, dw = self._matmul(band, part, gradients, products, weights)
            torch.bmm(dp.transpose(1, 2), x, out=dw)
            torch.bmm(dp, weight, out=dx)
        if self.pairs is not None:
            self.pairs.down(number, dz, inputs, gradients, self._neurons[number])

    def _pulled(self, band: BandPlan, g: Float[Tensor, "inputs piece"]) -> Float[Tensor, "variants width"]:
        """Add up, for each variant of a band, the gradients of all slots that read it; parents have filled theirs."""
        first, stop = band.blocks.start, band.blocks.stop
        bags = self.at.user_bag[first : stop + 1]
        users = self.at.user[int(self.plan.user_bag[first]) : int(self.plan.user_bag[stop])]
        if not len(users):
            return g.new_zeros(band.variants.stop - band.variants.start, band.width * self.net.piece)
        found: Tensor = embedding_bag(users, g, bags[:-1] - bags[0], mode="sum")
        return found.view(band.variants.stop - band.variants.start, -1)
