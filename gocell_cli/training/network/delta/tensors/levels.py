"""The delta form in tensors, on any device: up and down the levels on the rows of a plan, exactly the dense network.

Row 0 of a term is the wild type, the others differ from it (algebra 1 to 5 of the model's design). A child
hands its parents x_0 = h_0 and x_r = h_r - h_0, so a product of a row that a parent row does not read need not exist:

    z_0 = W x_0 + b + sum_g w_g       z_r = z_0 + sum over touched children W x_r - sum over deleted genes w_g

BatchNorm counts row r weight_r times; with d_r = a_r - a_0 (d_0 = 0, exact zeros where nothing differs) its mean is
a_0 + sum weight_r d_r / n. What is 0 in exact arithmetic (the gradient of an untouched term's weights) is exactly 0.
Products of edges whose children have about as many rows run as one batched matmul.
"""

from itertools import accumulate

from jaxtyping import Float, Int64

from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.delta.index import DeltaIndex
from gocell_cli.training.network.delta.network import DeltaNetwork, Gradients
from gocell_cli.training.network.delta.plan import DeltaPlan
from gocell_cli.training.network.delta.tensors.layout import Part, RunPlan, make_matmul_plan
from gocell_cli.training.network.delta.tensors.plan_tensors import plan_tensors

with train_extra():
    import torch
    from torch import Tensor
    from torch.nn.functional import embedding_bag

    tanh_gradient = torch.ops.aten.tanh_backward.grad_input


class MatmulRun:
    """One batch on its way up and down the levels."""

    def __init__(self, net: DeltaNetwork, index: DeltaIndex, plan: DeltaPlan) -> None:
        self.net, self.plan = net, make_matmul_plan(index, plan)
        self.at = plan_tensors(index, plan, self.plan, net.gamma.device, net.gamma.dtype)
        self.n = float(plan.samples)
        self.weights = net.weights.view(-1, net.piece).index_select(0, self.at.chunk)
        plan_blocks = self.plan.blocks
        self.x = net.gamma.new_empty(plan_blocks + 1, net.piece)  # what parents read; the last block is 0
        self.x[-1] = 0
        self.d = net.gamma.new_empty(plan_blocks, net.piece)
        self.a0, self.mean, self.var, self.inv = (torch.empty_like(net.gamma) for _ in range(4))
        self._every = torch.arange(max(r.rows.stop - r.rows.start for r in self.plan.runs), device=net.gamma.device)
        widths = [(r.terms.stop - r.terms.start) * r.width * net.piece for r in self.plan.runs]
        stops = list(accumulate(widths))
        self._neurons = [slice(stop - width, stop) for stop, width in zip(stops, widths, strict=True)]
        self._inputs: dict[int, Tensor] = {}

    def _of(self, number: int, neurons: Tensor) -> Float[Tensor, "terms width"]:
        """A run's part of a flat table of neurons."""
        run = self.plan.runs[number]
        return neurons[self._neurons[number]].view(run.terms.stop - run.terms.start, -1)

    def _table(self, run: RunPlan, table: Tensor) -> Float[Tensor, "rows width"]:
        return table[run.blocks].view(run.rows.stop - run.rows.start, -1)

    def up(self) -> Float[Tensor, " rows"]:
        """Children first; returns each row's head without its bias, and moves the running statistics."""
        net = self.net
        heads = net.gamma.new_empty(len(self.at.term))
        for number, run in enumerate(self.plan.runs):
            h = self._norm(number, self._linear(number))
            self._heads(run, h, self._of(number, net.head), heads[run.rows])
        if net.training:
            net.statistics.move(self.mean.double() + self.a0.double(), self.var, self.n)
        return heads

    def _heads(self, run: RunPlan, h: Tensor, head: Tensor, out: Tensor) -> None:
        """Each row's h times its term's head weights."""
        if len(head) == 1:
            torch.mv(h, head[0], out=out)
        else:
            torch.sum(h * self._spread(run, head), 1, out=out)

    def _own(self, run: RunPlan) -> Int64[Tensor, " rows"]:
        """Each row's term, counted from the run's first."""
        own: Tensor = self.at.term[run.rows] - run.terms.start
        return own

    def _spread(self, run: RunPlan, values: Float[Tensor, "terms width"]) -> Float[Tensor, "_ width"]:
        """Each row's term's values; one term's, which are most of all numbers, are left to broadcast."""
        return values if len(values) == 1 else values.index_select(0, self._own(run))

    def _wild(self, run: RunPlan) -> Int64[Tensor, " terms"]:
        """Each term's row 0, counted from the run's first."""
        wild: Tensor = self.at.start[run.terms] - run.rows.start
        return wild

    def _linear(self, number: int) -> Float[Tensor, "rows width"]:
        """Z of row 0, and what the other rows add to it."""
        net, at, run = self.net, self.at, self.plan.runs[number]
        width = run.width * net.piece
        products = net.gamma.new_empty(run.slots, width)
        inputs = self._inputs[number] = self.x.index_select(0, at.input[run.inputs])
        for part in run.parts:
            x, out, weight = self._matmul(run, part, inputs, products, self.weights)
            torch.bmm(x, weight.transpose(1, 2), out=out)
        if run.slots:
            bags = at.bag[run.rows] - run.reads.start
            z = embedding_bag(at.slot[run.reads], products, bags, mode="sum")
        else:
            z = products.new_zeros(run.rows.stop - run.rows.start, width)
        z.index_add_(0, self._wild(run), self._of(number, net.wild))
        rows = at.entry_row[run.entries] - run.rows.start
        lost = net.genes[at.pieces[number]].view(-1, width)
        if net.direction is not None:
            lost = lost - self._of(number, net.direction)[self._own(run)[rows]]
        return z.index_add_(0, rows, lost, alpha=-1)

    def _matmul(
        self, run: RunPlan, part: Part, inputs: Tensor, products: Tensor, weights: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """A part's x [edges, size, inp], x W^T [edges, size, out] and W [edges, out, inp] as views of the run's."""
        edges, width, piece = part.stop - part.first, run.width * self.net.piece, self.net.piece
        first = part.input - run.inputs.start
        x = inputs[first : first + edges * part.size * part.blocks].view(edges, part.size, -1)
        out = products[part.slot : part.slot + edges * part.size].view(edges, part.size, width)
        chunks = weights[part.weight : part.weight + edges * width * part.blocks]
        return x, out, chunks.view(edges, width, part.blocks * piece)

    def _norm(self, number: int, z: Float[Tensor, "rows width"]) -> Float[Tensor, "rows width"]:
        """Fill d, statistics and x of the run; returns h of all its rows."""
        net, run = self.net, self.plan.runs[number]
        wild, d = self._wild(run), self._table(run, self.d)
        z0 = z[wild]
        if net.tanh_first:
            z[wild] = 0
            a = z.add_(self._spread(run, z0)).tanh_()
            a0 = a[wild]
            torch.sub(a, self._spread(run, a0), out=d)
        else:
            a0 = z0
            d.copy_(z)
            d[wild] = 0
        self._of(number, self.a0).copy_(a0)
        h = self._centred(number, d)
        scale = self._of(number, net.gamma) * self._of(number, self.inv)
        h.mul_(self._spread(run, scale)).add_(self._spread(run, self._of(number, net.beta)))
        if not net.tanh_first:
            h.tanh_()
        h0, x = h[wild], self._table(run, self.x)
        torch.sub(h, self._spread(run, h0), out=x)
        x[wild] = h0
        return h

    def _centred(self, number: int, d: Tensor) -> Tensor:
        """Return a - mean; in training also set mean (counted from a_0), variance and 1 / sqrt(variance + eps)."""
        net, run = self.net, self.plan.runs[number]
        mean, var, inv = (self._of(number, table) for table in (self.mean, self.var, self.inv))
        if net.counted_mean is not None:
            mean.copy_(self._of(number, net.counted_mean))
            inv.copy_(torch.rsqrt(self._of(number, net.statistics.var) + net.eps))
            return d - self._spread(run, mean)
        weight, varies = self.at.weight[run.rows], self.at.varies[run.terms, None]
        mean.copy_(self._summed(run, d, weight).div_(self.n))
        c = d - self._spread(run, mean)
        var.copy_(self._summed(run, c.square(), weight).mul_(varies / self.n))
        inv.copy_(torch.rsqrt(var + net.eps) * varies)
        return c

    def _summed(self, run: RunPlan, rows: Tensor, weight: Tensor | None = None) -> Float[Tensor, "terms width"]:
        """The rows of each term added up."""
        if run.terms.stop - run.terms.start == 1:
            return rows.sum(0, keepdim=True) if weight is None else weight[None].mm(rows)
        return embedding_bag(self._every[: len(rows)], rows, self._wild(run), mode="sum", per_sample_weights=weight)

    def down(self, dy: Float[Tensor, " rows"]) -> Gradients:
        """Parents first."""
        net, at = self.net, self.at
        g = net.gamma.new_empty(len(at.input), net.piece)  # of every slot's input
        direction = None if net.direction is None else torch.zeros_like(net.direction)
        wild, gamma, beta, head = (torch.empty_like(net.gamma) for _ in range(4))
        weights = torch.empty_like(self.weights)
        child = torch.zeros_like(net.weights)
        found = Gradients(child, wild, torch.zeros_like(net.genes), direction, gamma, beta, head)
        for number in reversed(range(len(self.plan.runs))):
            run = self.plan.runs[number]
            dz = self._norm_gradient(number, self._pulled(run, g), dy[run.rows], found)
            rows = at.entry_row[run.entries] - run.rows.start
            entries = dz[rows]
            found.genes.index_add_(0, at.pieces[number].view(-1), entries.view(-1, net.piece), alpha=-1)
            if direction is not None:
                self._of(number, direction).index_add_(0, self._own(run)[rows], entries)
            self._linear_gradient(number, dz, g, weights)
        child.view(-1, net.piece).index_copy_(0, at.chunk, weights)
        return found

    def _norm_gradient(self, number: int, g: Tensor, dy: Tensor, found: Gradients) -> Tensor:
        """From dx (and the heads') to dz of the rows as `_linear` made them: row 0 is in all of them."""
        net, at, run = self.net, self.at, self.plan.runs[number]
        wild = self._wild(run)
        mean, inv = self._of(number, self.mean), self._of(number, self.inv)
        x, d = self._table(run, self.x), self._table(run, self.d)
        h0 = x[wild]
        h = x + self._spread(run, h0)
        h[wild] = h0
        g[wild] = 2 * g[wild] - self._summed(run, g)
        self._of(number, found.head).copy_(self._summed(run, h, dy))
        g.addcmul_(self._spread(run, self._of(number, net.head)), dy[:, None])
        if not net.tanh_first:
            tanh_gradient(g, h, grad_input=g)
        # a wild type that stands for no sample is only the origin that the others are counted from
        g[wild] *= (at.weight[at.start[run.terms]] > 0).to(g.dtype)[:, None]
        c = d - self._spread(run, mean)
        total, moment = self._summed(run, g), self._summed(run, g * c)
        self._of(number, found.beta).copy_(total)
        torch.mul(moment, inv, out=self._of(number, found.gamma))
        if net.training:
            weight = at.weight[run.rows, None] / self.n
            c.mul_(self._spread(run, moment * inv.square())).add_(self._spread(run, total))
            g = g.addcmul_(c, weight, value=-1)
        dz = g.mul_(self._spread(run, self._of(number, net.gamma) * inv))
        if net.tanh_first:
            tanh_gradient(dz, d + self._spread(run, self._of(number, self.a0)), grad_input=dz)
        # BatchNorm takes away what all rows of z have in common: where it comes first, that gradient is exactly 0
        common = self._summed(run, dz) if net.tanh_first or not net.training else torch.zeros_like(h0)
        dz[wild] = common
        self._of(number, found.wild).copy_(common)
        return dz

    def _linear_gradient(self, number: int, dz: Tensor, g: Tensor, weights: Tensor) -> None:
        """The products' gradients to weights and to the children's rows."""
        at, run = self.at, self.plan.runs[number]
        if not run.slots:
            return
        bags = at.slot_bag[run.first_slot : run.first_slot + run.slots] - run.reads.start
        products = embedding_bag(at.slot_reader[run.reads] - run.rows.start, dz, bags, mode="sum")
        inputs, gradients = self._inputs.pop(number), g[run.inputs]
        for part in run.parts:
            x, dp, weight = self._matmul(run, part, inputs, products, self.weights)
            dx, _, dw = self._matmul(run, part, gradients, products, weights)
            torch.bmm(dp.transpose(1, 2), x, out=dw)
            torch.bmm(dp, weight, out=dx)

    def _pulled(self, run: RunPlan, g: Float[Tensor, "inputs piece"]) -> Float[Tensor, "rows width"]:
        """Add up, for each row of a run, the gradients of all slots that read it; parents have filled theirs."""
        first, stop = run.blocks.start, run.blocks.stop
        bags = self.at.user_bag[first : stop + 1]
        users = self.at.user[int(self.plan.user_bag[first]) : int(self.plan.user_bag[stop])]
        if not len(users):
            return g.new_zeros(run.rows.stop - run.rows.start, run.width * self.net.piece)
        found: Tensor = embedding_bag(users, g, bags[:-1] - bags[0], mode="sum")
        return found.view(run.rows.stop - run.rows.start, -1)
