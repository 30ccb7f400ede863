"""One training of some steps by one process or by several: seconds of each step, as the first process sees them.

    [torchrun --nproc-per-node N] python -m tests.benchmarks.process_step THREADS BATCH GENOTYPES

A step is the trainer's: the batch's samples in their order, each process's share, plan, forward, the loss of all heads,
backward, gradients summed over the processes, AdamW. BATCH counts the samples of all processes. Prints one JSON object.

Predicted for 2 processes of one thread against 2 threads on 2 cores, at 2,048 random triples: half a batch has 0.69
of its variants, two threads gain 1.7, so the passes at 0.85 of the rate; then gradients and AdamW. Measured piece by
piece first: gloo's sum of 6.9 M gradients 21 ms, AdamW in both processes at once 16, a join of a level's sums 0.5 to
2, of which there are 32. So sums, weights and moments went to shared memory: 0.1 ms a join, 18 for gradients and
AdamW. A step is then 189 ms against 139 (0.74 of the rate), of Kuzmin's structure 191 against 147 (0.77), and at
8,192 of it 316 against 330 (1.04). What is left at 2,048 are the variants that both processes compute, and 25 ms of
calls, two a level and direction.

Lost on the way: a pass's tasks cut anew in each of these calls (56 ms). Tried, and not worth it: samples sorted by
the gene that they share with most others before they are shared out (0.64 of the variants instead of 0.69 at 2,048
random, 0.60 instead of 0.67 of Kuzmin's): 4 % of a step or less.
"""

import json
import sys
import time

import numpy as np
import torch

from gocell_cli.training.network.dcell import DCell, DCellConfig
from gocell_cli.training.network.loss import DCellLoss
from gocell_cli.training.runs.optimiser import make_optimiser
from gocell_cli.training.runs.processes import Processes
from tests.benchmarks.bench_delta import batch_of
from tests.benchmarks.genotypes import DRAWS
from tests.benchmarks.hierarchies import bundled_hierarchy
from tests.training.networks import by_level

STEPS = {256: 30, 2048: 12, 8192: 5}


def main(threads: int, batch: int, kind: str) -> None:
    processes = Processes("cpu", "32-true")
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    hierarchy, _ = bundled_hierarchy("true-path")
    hierarchy = by_level(hierarchy, "height")
    model, genes = DCell(hierarchy, DCellConfig(form="delta")), len(hierarchy.gene_names)
    model.group = processes if processes.world > 1 else None
    optimiser, loss = make_optimiser(processes, model.parameters(), 1e-3, 0.01), DCellLoss(model.root)
    draw, rng, found = DRAWS[kind](hierarchy), np.random.default_rng(0), []
    for _ in range(STEPS[batch] + 1):
        genotypes = draw(rng, batch)
        y = rng.normal(size=len(genotypes))
        processes.barrier()
        laps = [time.perf_counter()]
        own = processes.share(np.arange(len(genotypes)))
        heads = model.heads(batch_of(genotypes[own], genes))
        laps.append(time.perf_counter())
        total = loss(heads, torch.from_numpy(y[own]).float()).shared(len(own) / len(genotypes), processes.world, 0.0)
        optimiser.zero_grad()
        total.total.backward()
        laps.append(time.perf_counter())
        optimiser.joined_step(0.0)
        laps.append(time.perf_counter())
        found.append(np.diff(laps))
    if processes.first:
        parts = np.median(found[1:], axis=0).round(4).tolist()
        print(json.dumps({"seconds": np.sum(found[1:], axis=1).tolist(), "forward, backward, AdamW": parts}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
