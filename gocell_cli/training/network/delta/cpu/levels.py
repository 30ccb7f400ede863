"""The delta form on the CPU: one batch on its way up the levels and down again, in compiled loops.

The algebra stands at the top of `kernels.py`.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float, Int64

from gocell_cli.training.cores import allowed_threads
from gocell_cli.training.extra import train_extra
from gocell_cli.training.network.delta.backend import DeltaNetwork, Gradients
from gocell_cli.training.network.delta.cpu import kernels
from gocell_cli.training.network.delta.cpu.layout import ALONE, Buffers, Network, Rows, make_schedule, make_scratch
from gocell_cli.training.network.delta.plan import DeltaIndex, DeltaPlan
from gocell_cli.training.network.delta.threads import run_together, through_tasks
from gocell_cli.training.network.delta.whole import Whole
from gocell_cli.training.network.lent import LentTable

with train_extra():
    import torch
    from torch import Tensor


class CpuPass:
    """One batch on its way up and down; the tables x, d and g are borrowed until the pass is gone."""

    def __init__(
        self,
        net: DeltaNetwork,
        network: Network,
        index: DeltaIndex,
        plan: DeltaPlan,
        whole: Whole,
        buffers: Buffers,
    ) -> None:
        self.net, self.plan, self.network, self.whole = net, plan, network, whole
        piece, rows = net.piece, Rows.of(network, plan)
        self.rows = rows
        self.threads = 1 if rows.up.sum() < ALONE else allowed_threads()
        # a tile reads three rows, whether they are there or not
        entries = (rows.rows + kernels.TILE) * piece
        sizes = {"x": entries, "d": entries, "dots": net.heads * rows.rows, **({"g": entries} if net.gradients else {})}
        tables = buffers.borrow(self, sizes, net.gamma.dtype)
        self.dtype = tables["x"].numpy().dtype
        self.tables = kernels.Tables(
            *(tables[name].numpy() if name in tables else np.empty(0, self.dtype) for name in kernels.Tables._fields)
        )
        self.buffers = buffers
        # zeros: of neurons that are padding nothing is computed
        self.a0, self.mean, self.var, self.inv = (self._zeros() for _ in range(4))
        sums = np.zeros((6, len(net.gamma)))
        # of one process, its own sums are all there are
        every = sums[2:4] if whole.group is None else sums[4:]
        self.state = kernels.State(*(t.numpy() for t in (self.a0, self.mean, self.var, self.inv)), *sums[:4], *every)
        self.batch = self._batch(index)
        self.parameters = self._parameters()

    def _zeros(self) -> Float[Tensor, " neurons"]:
        """A number for each neuron; NumPy's zeros, for PyTorch would wait for its pool to write them."""
        return torch.from_numpy(np.zeros(len(self.net.gamma), self.dtype))

    def _batch(self, index: DeltaIndex) -> kernels.Batch:
        plan, weight = self.plan, self.plan.weight.astype(self.dtype)
        return kernels.Batch(
            variant_ptr=plan.variant_ptr,
            row_ptr=self.rows.row_ptr,
            edge_slot=plan.edge_slot,
            slot_ptr=plan.slot_ptr,
            slot_reader=plan.slot_reader,
            lost_ptr=plan.lost_ptr,
            lost_piece=index.pair_piece[plan.lost],
            weight=weight,
            share=weight / self.dtype.type(self.whole.samples) if self.net.training else np.zeros_like(weight),
            varies=self.whole.varies.astype(np.float64),
            wild=self.whole.wild,
            samples=self.whole.samples,
            rows=self.rows.rows,
        )

    def _parameters(self) -> kernels.Parameters:
        net = self.net
        none = np.empty(0, self.dtype)
        return kernels.Parameters(
            weights=net.weights.numpy(),
            genes=net.genes.numpy().reshape(-1),
            direction=none if net.direction is None else net.direction.numpy(),
            bias=net.bias.numpy(),
            gamma=net.gamma.numpy(),
            beta=net.beta.numpy(),
            head=net.head.numpy().reshape(-1),
            counted_mean=none if net.counted_mean is None else net.counted_mean.numpy(),
            running_var=net.statistics.var.numpy(),
            eps=net.eps,
            training=net.training,
            tanh_first=net.tanh_first,
            heads=net.heads,
            neurons=len(net.gamma),
        )

    def _run(self, kernel: Any, work: np.ndarray, join: Callable[[slice], None], *more: Any) -> None:
        """Run all levels; of several processes each level in two phases, with a `join` of its neurons' sums between."""
        upwards = kernel is kernels.up
        levels = len(self.network.level_ptr) - 1
        schedule = make_schedule(self.network, work, self.threads, upwards=upwards)
        # a thread takes one and gives it back: two phases a level would each take fresh memory otherwise
        spare = [make_scratch(self.network, self.dtype) for _ in range(self.threads)]
        # 80 arrays are looked at once a pass: at each of two phases a level that took 60 ms of several processes' step
        run = kernel.given(
            self.network.lanes, self.network.terms, self.network.edges, self.batch, self.parameters, self.tables,
            self.state, schedule, *more,
        )  # fmt: skip

        def phase(phases: int, first: int, end: int) -> None:
            schedule.taken[0] = first

            def share() -> None:
                scratch = spare.pop()
                try:
                    through_tasks(lambda task: int(run(scratch, phases, task, end)), end)
                except BaseException:
                    # Ctrl-C while a task in hand waits: nobody will run it, and others must not wait for it for ever
                    schedule.taken[0] = end
                    schedule.done[:] = schedule.parts
                    raise
                spare.append(scratch)

            run_together(self.threads, share)

        if self.whole.group is None:
            phase(kernels.SUMS | kernels.PARTIAL | kernels.FINAL, 0, len(schedule.term))
            return
        for level, (first, end) in enumerate(pairwise(schedule.level_ptr.tolist())):
            phase(kernels.SUMS | kernels.PARTIAL, first, end)
            join(self.network.neurons(level if upwards else levels - 1 - level))
            phase(kernels.FINAL, first, end)

    def _join_up(self, here: slice) -> None:
        sums = (self.state.mean64[here], self.state.squares[here])
        for own, every in zip(sums, self.whole.moments(*(torch.from_numpy(s) for s in sums)), strict=True):
            own[:] = every.numpy()

    def _join_down(self, here: slice) -> None:
        state = self.state
        found = self.whole.sums(*(torch.from_numpy(s[here]) for s in (state.own_total, state.own_moment)))
        state.all_total[here], state.all_moment[here] = (s.numpy() for s in found)

    def up(self) -> Float[Tensor, "*heads variants"]:
        """Children first; returns each variant's heads without their biases, and moves the running statistics."""
        net = self.net
        self._run(kernels.up, self.rows.up, self._join_up)
        heads = net.new_heads(len(self.plan.weight))
        kernels.add_heads(self.network.terms, self.batch, self.tables.dots, heads.numpy().reshape(-1), net.heads)
        if net.training:
            mean = self.mean.numpy() + self.a0.numpy().astype(np.float64)  # torch's would wait for its pool
            net.statistics.move(torch.from_numpy(mean), self.var, self.whole.samples)
        return heads

    def _lent(self, memory: LentTable, like: Tensor, unused: Int64[np.ndarray, " pieces"]) -> Tensor:
        """Memory of the step before for a large gradient, zeros where no kernel writes."""
        found = memory.like(like)
        found.numpy().reshape(-1, self.net.piece)[unused] = 0.0
        return found

    def down(self, dy: Float[Tensor, "*heads variants"]) -> Gradients:
        """Parents first."""
        net = self.net
        gamma, beta, wild = (self._zeros() for _ in range(3))
        head = torch.from_numpy(np.zeros(net.head.shape, self.dtype))
        found = Gradients(
            weights=self._lent(self.buffers.weights, net.weights, self.network.unused.weights),
            wild=wild,
            genes=self._lent(self.buffers.genes, net.genes, self.network.unused.genes),
            direction=None if net.direction is None else self._zeros(),
            gamma=gamma,
            beta=beta,
            head=head,
        )
        arrays = kernels.Found(
            weights=found.weights.numpy(),
            genes=found.genes.numpy().reshape(-1),
            direction=np.empty(0, self.dtype) if found.direction is None else found.direction.numpy(),
            wild=wild.numpy(),
            gamma=gamma.numpy(),
            beta=beta.numpy(),
            head=head.numpy().reshape(-1),
        )
        self._run(kernels.down, self.rows.down, self._join_down, dy.numpy().reshape(-1), arrays)
        return found
