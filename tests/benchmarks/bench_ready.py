"""What making a batch ready for a GPU takes of one core: planned, laid out, targets summed; and how threads scale it.

Before: 74 ms for 2,048 random triple deletions and 278 for 8,192 (AMD EPYC, quiet), of which 24 and 108 the plan;
laying out (sorts, gathers and copies of all reads in NumPy) took 130 at 8,192, the targets' sums (four bincounts over
touches) 40. The goal of 300,000 samples/s is 27 ms a batch of 8,192; the step that it feeds takes 2 of an H100
(predicted). Predicted for compiled loops that turn the reads round term by term and add both sums at once: laid out in
15 ms, targets in 8, about 130 in all, so that six threads keep up with the goal. Measured, on two cores shared with
other work, CPU ms of the thread, before and after in turn: laid out 144 and 21, targets 47 and 21, the plan 150 both
times, in all 353 and 195; at 2,048 92 and 50. Of the targets' 21 the loop takes 13 (1.3 M touches at 10 ns, a variant's
sums lie far apart), the rest passes over all variants. What is left is the plan: one core makes it 40 % of the goal's
pace, and as many threads as there are cores, up to eight, make batches ahead (data/ahead.py).
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from gocell_cli.training.data.ahead import ahead
from gocell_cli.training.data.batch import Deletions
from gocell_cli.training.network.config import DCellConfig
from gocell_cli.training.network.dcell import DCell
from tests.benchmarks.genotypes import DRAWS
from tests.benchmarks.gpu_prediction import deletions
from tests.benchmarks.hierarchies import bundled_hierarchy
from tests.benchmarks.measure import Row, cores, report

BATCHES, TIMES, STEPS = (2048, 8192), 9, 12
GOAL = 300_000
"""Samples/s of one card, from ../shared/design: what the threads beside it have to feed."""
NAMES = (
    *(f"ready_{part}b{batch}_ms" for batch in BATCHES for part in ("", "plan_")), "ready_threads_2", "ready_threads_4",
)  # fmt: skip


def run() -> None:
    """Measure, and report."""
    torch.set_num_threads(1)
    hierarchy, _ = bundled_hierarchy("true-path")
    model = DCell(hierarchy, DCellConfig(form="delta"))
    assert model.delta is not None
    model.delta = replace(model.delta, backend="gpu")
    rows, notes = [], []
    for batch in BATCHES:
        genes = DRAWS["random"](hierarchy)(np.random.default_rng(0), batch)
        own, y = deletions(genes, len(hierarchy.gene_names)), torch.linspace(-1, 1, batch)
        goal = batch / GOAL * 1000
        whole = seconds(lambda own=own, y=y: model.ready(own, y))
        plan = seconds(lambda own=own: model.delta.plan(own))
        rows.append(Row.of(f"ready_b{batch}_ms", whole, "CPU ms", f"the goal's {goal:.1f} ms", goal))
        rows.append(Row.of(f"ready_plan_b{batch}_ms", plan, "CPU ms", "all of it", statistics.median(whole)))
        notes.append(f"batch {batch:,}: {goal and statistics.median(whole) / goal:.1f} cores feed {GOAL:,} samples/s")
    found = {threads: rate(model, own, y, threads) for threads in (1, 2, 4) if threads <= cores()}
    for threads, value in found.items():
        notes.append(f"threads {threads}: {value:,.0f} samples/s at batch {max(BATCHES):,}")
        if threads > 1:
            rows.append(
                Row(f"ready_threads_{threads}", value / found[1], "x", f"{threads} threads", value / found[1] / threads)
            )
    report("a batch made ready for a GPU", rows, notes)


def seconds(make: Callable[[], Any]) -> list[float]:
    """CPU milliseconds of this thread, after a first call that compiles."""
    make()
    found = []
    for _ in range(TIMES):
        begun = time.thread_time()
        make()
        found.append((time.thread_time() - begun) * 1000)
    return found


def rate(model: DCell, own: Deletions, y: torch.Tensor, threads: int) -> float:
    """Samples/s that so many threads make ready, nobody training beside them."""
    with ahead(lambda _: model.ready(own, y), range(STEPS * threads), threads) as steps:
        next(steps)
        begun, count = time.perf_counter(), 0
        for _ in steps:
            count += 1
        return count * own.samples / (time.perf_counter() - begun)
