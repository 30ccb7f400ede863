"""One network, one batch size, in a process of its own: seconds of full training steps, and its peak memory.

    python -m tests.benchmarks.model_step stacked|delta|oracle PRESET|drugcell BATCH [LEVEL_BY [GENOTYPES]]

A step is forward, the loss of all heads, backward, and AdamW, on a new batch of triple deletions: of all annotated
genes, or of Kuzmin 2018's (GENOTYPES of genotypes.py). Of DrugCell's shape it is without AdamW, as its peers were
measured. The delta form's index plan is within the clock. The oracle
takes the faster of default and fused AdamW. Prints one JSON object.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from gocell_cli.storage.schema import Hierarchy
from gocell_cli.training.data.batch import Deletions
from gocell_cli.training.network.dcell import DCell, DCellConfig
from gocell_cli.training.network.layout import term_widths
from gocell_cli.training.network.loss import DCellLoss
from tests.benchmarks.drugcell_shape import WIDTH, drugcell_shape
from tests.benchmarks.genotypes import DRAWS
from tests.benchmarks.hierarchies import bundled_hierarchy
from tests.reference.dcell import OracleDCell
from tests.training.networks import by_level

THREADS = 2
STEPS = {
    "stacked": {32: 60, 256: 15, 2048: 5, 8192: 2},
    "delta": {32: 40, 256: 20, 2048: 12, 8192: 5, 200_000: 1},
    "oracle": {32: 6, 256: 4, 2048: 2, 8192: 1},
}

Step = Callable[[np.ndarray, torch.Tensor], None]


def stacked_step(hierarchy: Hierarchy, config: DCellConfig, *, optimise: bool = True) -> tuple[Step, float]:
    """The stacked network's training step on genotypes [samples, 3], and MB of parameters, gradients and AdamW."""
    model = DCell(hierarchy, config)
    loss = DCellLoss(model.root)
    optimiser = torch.optim.AdamW(model.parameters(), fused=True)

    def step(genotypes: np.ndarray, y: torch.Tensor) -> None:
        ptr = torch.arange(0, genotypes.size + 1, genotypes.shape[1])
        heads = model.heads(Deletions.of(ptr, torch.from_numpy(genotypes.ravel()), len(hierarchy.gene_names)))
        optimiser.zero_grad()
        loss(heads, y).total.backward()
        if optimise:
            optimiser.step()

    return step, sum(p.numel() for p in model.parameters()) * 4 * 4 / 2**20


def oracle_step(hierarchy: Hierarchy, config: DCellConfig, *, fused: bool) -> Step:
    """The per-term network's training step; its input is made outside any term, in one piece."""
    widths = term_widths(hierarchy, config.width_by, config.min_width, config.ratio).tolist()
    model = OracleDCell(hierarchy, widths)
    optimiser = torch.optim.AdamW(model.parameters(), fused=fused)
    loss = DCellLoss(model.root)

    def step(genotypes: np.ndarray, y: torch.Tensor) -> None:
        x = torch.ones(len(genotypes), len(hierarchy.gene_names))
        x[torch.arange(len(genotypes))[:, None], torch.from_numpy(genotypes)] = 0
        optimiser.zero_grad()
        loss(model(x), y).total.backward()
        optimiser.step()

    return step


def seconds(step: Step, hierarchy: Hierarchy, batch: int, steps: int, kind: str) -> list[float]:
    """Wall seconds of `steps` steps after one to warm up, a new batch each."""
    rng = np.random.default_rng(0)
    draw = DRAWS[kind](hierarchy)
    found = []
    for _ in range(steps + 1):
        genotypes = draw(rng, batch)
        y = torch.from_numpy(rng.normal(size=len(genotypes))).float()
        started = time.perf_counter()
        step(genotypes, y)
        found.append(time.perf_counter() - started)
    return found[1:]


def memory_mb(field: str) -> float:
    """This process's memory by the kernel: resident now (VmRSS) or at most so far (VmHWM), MB.

    Not getrusage's peak: that begins at the size of the process that started this one.
    """
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) / 1024


def main(kind: str, preset: str, batch: int, level_by: str = "stratum", genotypes: str = "all") -> None:
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    peers = preset == "drugcell"
    hierarchy, width_by = (drugcell_shape(), "direct") if peers else bundled_hierarchy(preset)
    hierarchy = by_level(hierarchy, level_by)
    config = DCellConfig(width_by=width_by, form="delta" if kind == "delta" else "dense")
    if peers:
        config = replace(config, min_width=WIDTH, ratio=0.0)
    steps, own, before = STEPS[kind][batch], 0.0, memory_mb("VmRSS")
    if kind != "oracle":
        step, own = stacked_step(hierarchy, config, optimise=not peers)
        times = seconds(step, hierarchy, batch, steps, genotypes)
    else:
        runs = [
            seconds(oracle_step(hierarchy, config, fused=fused), hierarchy, batch, steps, genotypes)
            for fused in (True, False)
        ]
        times = min(runs, key=statistics.median)
    peak = memory_mb("VmHWM")
    print(json.dumps({"seconds": times, "peak_mb": peak, "above_mb": peak - before - own}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), *sys.argv[4:])
