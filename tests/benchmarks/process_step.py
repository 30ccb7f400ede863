"""One training of some steps by one process or by several: seconds of each step, as the first process sees them.

    [torchrun --nproc-per-node N] python -m tests.benchmarks.process_step THREADS BATCH GENOTYPES

A step is the trainer's: each process's share of the batch's samples, its plan and targets (made ahead by another thread
where two threads may run, as in a training), forward, the loss of all heads, backward, gradients summed over the
processes, AdamW. BATCH counts the samples of all processes; what is drawn is no part of a step. Prints one JSON object.

Predicted for 2 processes of one thread against 2 threads on 2 cores, at 2,048 random triples: half a batch has 0.69
of its variants, two threads gain 1.7, so the passes at 0.85 of the rate; then gradients and AdamW. Measured piece by
piece first: gloo's sum of 6.9 M gradients 21 ms, AdamW in both processes at once 16, a join of a level's sums 0.5 to
2, of which there are 32. So sums, weights and moments went to shared memory: 0.1 ms a join, 18 for gradients and
AdamW. A step is then 189 ms against 139 (0.74 of the rate), of Kuzmin's structure 191 against 147 (0.77), and at
8,192 of it 316 against 330 (1.04). What is left at 2,048 are the variants that both processes compute, and 25 ms of
calls, two a level and direction.

Then the benchmark was the trainer's step (a plan beside the step before, where two threads may run), and each of the 64
calls a step was found to look at 80 arrays for 1 ms. Predicted: 60 ms less. Measured at 2,048 random triples, on a
machine busy with other work (least of 20): two processes 279 ms to 152, two threads 135 to 83, or 0.48 and 0.55 of the
rate. The processes' 152 (medians): plan 18, forward 62, backward 66, gradients and AdamW 29. The bars pull against each
other: both processes compute 0.69 of the variants, each plans, and a process with one thread has nobody to plan beside
it, so where two threads gain 1.7 the processes' passes alone are at 0.85.

With loops in AVX-512 (an Intel Xeon, busy; least of 20, two rounds): two threads 47 to 60 ms, two processes 114 to 119,
0.4 to 0.5 of the rate. Medians: plan 12 to 15, forward 51 to 53, backward 48 to 50, gradients and AdamW 23. The
loops got faster for both, so what is twice in processes weighs more: variants, plan, calls and joins of each level.
torchrun starts each process in a session of its own; where a kernel shares its cores among sessions, as Linux's
autogroups do, other work then takes more from them: 261 to 359 ms there. So start both from one shell, with RANK,
WORLD_SIZE and the rest set.

Lost on the way: a pass's tasks cut anew in each of these calls (56 ms). Tried, and not worth it: samples sorted by
the gene that they share with most others before they are shared out (0.64 of the variants instead of 0.69 at 2,048
random, 0.60 instead of 0.67 of Kuzmin's): 4 % of a step or less.
"""

import json
import sys
import time
from collections.abc import Iterator

import numpy as np
import torch

from gocell_cli.training.data.ahead import ahead, threads_beside
from gocell_cli.training.network.config import DCellConfig
from gocell_cli.training.network.dcell import Batch, DCell
from gocell_cli.training.network.loss import DCellLoss, Target
from gocell_cli.training.runs.optimiser import make_optimiser
from gocell_cli.training.runs.processes import Processes
from tests.benchmarks.genotypes import DRAWS
from tests.benchmarks.hierarchies import bundled_hierarchy
from tests.benchmarks.model_step import ready
from tests.training.networks import by_level

STEPS = {256: 30, 2048: 20, 8192: 6}
PARTS = ("plan", "forward", "backward", "AdamW")


def main(threads: int, batch: int, kind: str) -> None:
    processes = Processes("cpu", "32-true")
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    hierarchy, _ = bundled_hierarchy("true-path")
    hierarchy = by_level(hierarchy, "height")
    model = DCell(hierarchy, DCellConfig(form="delta"))
    model.group = processes if processes.world > 1 else None
    optimiser, loss = make_optimiser(processes, model.parameters(), 1e-3, 0.01), DCellLoss(model.root)
    draw, rng, found, drawn, outside = DRAWS[kind](hierarchy), np.random.default_rng(0), [], {}, [0.0]

    def numbers() -> Iterator[int]:
        for number in range(STEPS[batch] + 1):
            begun = time.perf_counter()
            genotypes = draw(rng, batch)
            drawn[number] = genotypes, torch.from_numpy(rng.normal(size=len(genotypes))).float()
            outside[0] += time.perf_counter() - begun
            yield number

    def made(number: int) -> tuple[Batch, Target, float]:
        genotypes, y = drawn.pop(number)
        own = processes.share(np.arange(len(genotypes)))
        return *ready(model, genotypes[own], y[own]), len(own) / len(genotypes)

    def step(own: Batch, target: Target, share: float) -> list[float]:
        heads = model.heads(own)
        laps = [time.perf_counter()]
        parts = loss(heads, target).shared(share, processes.world, 0.0)
        processes.reduce(torch.stack([parts.total.detach().double(), parts.root.detach().double()]), "sum")
        optimiser.zero_grad()
        parts.total.backward()
        laps.append(time.perf_counter())
        optimiser.joined_step(0.0)
        return [*laps, time.perf_counter()]

    with ahead(made, numbers(), threads_beside(processes.device)) as batches:
        begun = time.perf_counter()
        for batch_ready in batches:
            laps, outside[0] = [begun + outside[0], time.perf_counter()], 0.0
            found.append(np.diff([*laps, *step(*batch_ready)]))
            begun = time.perf_counter()
    if processes.first:
        medians = dict(zip(PARTS, np.median(found[1:], axis=0).round(4).tolist(), strict=True))
        print(json.dumps({"seconds": np.sum(found[1:], axis=1).round(4).tolist(), "parts": medians}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
