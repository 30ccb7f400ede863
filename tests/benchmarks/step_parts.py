"""Where a training step of the delta form goes on the CPU, part by part, on one thread and on two.

    python -m tests.benchmarks.step_parts [BATCH [GENOTYPES [REPEATS [1: level by level, too]]]]

Prints of each part the least milliseconds on one thread and on two and what the second gains, then the medians of the
same; in turn, in one process. Loops by themselves run more and more of each task: a part is the difference of two.

Measured at 2,048 random triples on two cores of an AMD EPYC of Zen 1, where a large matrix product reaches 34.5
GFLOP/s on one thread and 54.5 on two (x 1.6), a copy 11.6 and 13 to 15 GB/s (x 1.1 to 1.4), and where two processes
that share nothing do 1.73 times the steps of one: more the machine does not have. Least milliseconds of 8, on a busy
machine with priority. Floor: GFLOP and MB (estimated: what must pass memory once) at these rates on two threads, one
after the other; AdamW is below it, for a copy reads the lines that it will write, and its rate does not count that.

    part                        one    two   gain   GFLOP   MB   floor
    products up                20.9   12.4   1.69    0.24   46     7.6
    tanh, BatchNorm, heads up   9.9    6.7   1.48       -   32     2.3
    products down              33.1   18.0   1.84    0.48  100    16
    the rest down              11.2    9.9   1.13       -   60     4.3
    AdamW                      12.5    9.5   1.32       -  188    13.4
    set-up                      3.1    3.1   1          -    -     -     plan to tables, Python
    loss and gradient           2.5    2.5   1          -    9     -     one thread's loops
    heads, averages, Python     2.5    2.5   1          -    -     -
    plan and targets             31     31   1          -    -     -     beside the step before, a third thread

By level (three and more milliseconds each) two threads gain 1.4 to 1.6 of the large ones and nothing of the topmost
three, which are 3 % of the work: no level runs alone. CPU seconds of two threads' loops are 1.1 to 1.15 of one's.
"""

import sys
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from gocell_cli.training.network.dcell import DCell
from gocell_cli.training.network.delta.compiler.compiled import Compiled
from gocell_cli.training.network.delta.cpu.kernels import FINAL, PARTIAL, SUMS, down, up
from gocell_cli.training.network.delta.cpu.layout import make_schedule, make_scratch
from gocell_cli.training.network.delta.cpu.levels import CpuPass
from gocell_cli.training.network.delta.heads import VariantHeads, spread
from gocell_cli.training.network.delta.ready import ReadyBatch, VariantTargets
from gocell_cli.training.network.delta.threads import run_together, through_tasks
from gocell_cli.training.network.loss import DCellLoss
from tests.benchmarks.genotypes import DRAWS
from tests.benchmarks.model_step import machine, network_of, ready

PARTS = {
    "products": SUMS, "and to BatchNorm": SUMS | PARTIAL, "and through BatchNorm": SUMS | PARTIAL | FINAL,
}  # fmt: skip
"""More and more of each task."""
PARAMETERS = (
    "child_weight", "gene_weight", "bias", "norm_weight", "norm_bias", "head_weight", "gene_direction",
)  # fmt: skip


Call = Callable[..., float]
Times = dict[str, dict[int, list[float]]]


def runner(own: CpuPass, kernel: Compiled, work: np.ndarray, threads: int, more: tuple[Any, ...]) -> Call:
    """A function of parts and a level (None: all) that runs them and returns the seconds."""
    made = make_schedule(own.network, work, threads, upwards=kernel is up)
    spare = [make_scratch(own.network, own.dtype) for _ in range(threads)]
    run = kernel.given(
        own.network.lanes, own.network.terms, own.network.edges, own.batch, own.parameters, own.tables, own.state, made,
        *more,
    )  # fmt: skip

    def call(parts: int, level: int | None = None) -> float:
        first, end = (0, len(made.term)) if level is None else made.level_ptr[level : level + 2].tolist()

        def share() -> None:
            scratch = spare.pop()
            through_tasks(lambda task: int(run(scratch, parts, task, end)), end)
            spare.append(scratch)

        made.done[:] = 0 if first == 0 else made.done
        made.taken[0] = first
        begun = time.perf_counter()
        run_together(threads, share)
        return time.perf_counter() - begun

    return call


class Step:
    """A network whose steps are taken part by part."""

    def __init__(self, batch: int, genotypes: str) -> None:
        torch.manual_seed(0)
        hierarchy, config = network_of("true-path", "height", "delta")
        self.model = DCell(hierarchy, config)
        assert self.model.delta is not None
        self.form, self.loss = self.model.delta, DCellLoss(self.model.root)
        self.optimiser = torch.optim.AdamW(self.model.parameters(), fused=True)
        self.rng, self.draw, self.batch = np.random.default_rng(0), DRAWS[genotypes](hierarchy), batch
        self.times: Times = defaultdict(lambda: {1: [], 2: []})
        self.down: tuple[Any, ...] = ()

    def timed(self, name: str, call: Callable[[], Any]) -> Any:
        begun = time.perf_counter()
        found = call()
        self.times[name][torch.get_num_threads()].append(time.perf_counter() - begun)
        return found

    def gradient(self, heads: torch.Tensor, made: ReadyBatch, targets: VariantTargets) -> torch.Tensor:
        values, model = heads.detach().requires_grad_(), self.model
        joined = spread(values, model.head_bias, made)
        found = VariantHeads(joined, made, model.index["term_position"], int(model.stack.order[-1]))
        self.loss(found, targets).total.backward()
        assert values.grad is not None
        return values.grad

    def set_up(self, made: ReadyBatch) -> CpuPass:
        """The pass of a batch, as `DeltaForm.heads` makes it."""
        model, form = self.model, self.form
        child, columns, products = model.child_columns(), form._columns(model, made), model.products()
        levels = form._pass(model, form._network(model, child, columns, products, training=True), made)
        assert isinstance(levels, CpuPass)
        return levels

    def step(self, genes: np.ndarray, y: torch.Tensor) -> CpuPass:
        """One step; the pass is given back with all its tables as they are after it."""
        model, form = self.model, self.form
        made, targets = self.timed("plan and targets", lambda: ready(model, genes, y))
        levels = self.timed("set-up", lambda: self.set_up(made))
        heads = self.timed("up", levels.up)
        dy = self.timed("loss", lambda: self.gradient(heads, made, targets))
        found = self.timed("down", lambda: levels.down(dy.contiguous()))
        for name, own in zip(PARAMETERS, form._unpack(model, found), strict=True):
            if own is not None:
                getattr(model, name).grad = own
        self.timed("AdamW", self.optimiser.step)
        return levels

    def kernels(self, levels: CpuPass, *, by_level: bool) -> None:
        """The loops of a pass by themselves: more and more of each task, and level by level."""
        threads = torch.get_num_threads()
        for kernel, work, more in ((up, levels.rows.up, ()), (down, levels.rows.down, self.down)):
            call = runner(levels, kernel, work, threads, more)
            for name, parts in PARTS.items():
                self.times[f"  {kernel.__name__}: {name}"][threads] += [call(parts) for _ in range(3)]
            for level in range(len(levels.network.level_ptr) - 1) if by_level else ():
                self.times[f"  {kernel.__name__}: level {level}"][threads].append(call(SUMS | PARTIAL | FINAL, level))


def main(batch: int = 2048, genotypes: str = "random", repeats: int = 6, by_level: int = 0) -> None:
    own = Step(batch, genotypes)
    run = CpuPass._run

    def noted(levels: CpuPass, kernel: Any, work: Any, join: Any, *more: Any) -> None:
        own.down = more  # of the last pass down: what the loops by themselves are given
        own.timed(f"  {kernel.__name__}: loops", lambda: run(levels, kernel, work, join, *more))

    CpuPass._run = noted  # type: ignore[method-assign, assignment]
    for repeat in range(repeats):
        genes = own.draw(own.rng, batch)
        y = torch.from_numpy(own.rng.normal(size=len(genes))).float()
        for threads in (1, 2):
            torch.set_num_threads(threads)
            levels = own.step(genes, y)
            if repeat > 1:
                own.kernels(levels, by_level=bool(by_level))
            own.optimiser.zero_grad()
    for name, by in own.times.items():
        one, two = (np.array(by[n]) * 1e3 for n in (1, 2))
        least, middle = (one.min(), two.min()), (np.median(one), np.median(two))
        print(f"{name:28}", *(f"{a:8.2f} {b:8.2f} x{a / b:5.2f}" for a, b in (least, middle)))
    for threads in (1, 2):
        torch.set_num_threads(threads)
        flops, copied = machine()
        print(f"{threads} threads: {flops / 1e9:.1f} GFLOP/s, {copied / 1e9:.1f} GB/s")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]), *sys.argv[2:3], *map(int, sys.argv[3:]))  # type: ignore[arg-type]
