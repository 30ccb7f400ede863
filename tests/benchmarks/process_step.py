"""One training of some steps by one process or by several: seconds of each step, as the first process sees them.

    [torchrun --nproc-per-node N] python -m tests.benchmarks.process_step THREADS BATCH GENOTYPES

A step is the trainer's: the batch's samples in their order, each process's share, plan, forward, the loss of all heads,
backward, gradients summed over the processes, AdamW. BATCH counts the samples of all processes. Prints one JSON object.
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
