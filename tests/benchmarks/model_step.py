"""One network, one batch size, in a process of its own: seconds of full training steps, and what they took.

    python -m tests.benchmarks.model_step KIND PRESET|drugcell BATCH [LEVEL_BY [GENOTYPES [THREADS [WIDTH [VECTORS]]]]]

KIND: `delta` and `stacked`, the two forms of ours; `oracle`, the per-term loop; `torchcell`, `drugcell`, `sparsego`,
others' forms (tests/reference/). A step is forward, the loss of all heads (of those that a form has), backward, and
fused AdamW (of the oracle the default one was slower at every batch), on a new batch of triple deletions: of all
annotated genes, or of Kuzmin 2018's (GENOTYPES of genotypes.py). The delta form's index plan is within the clock, made
as in a training: by a thread of its own while the step before runs, where two threads may run, else in the step. The
peers' input tables are made outside the clock. WIDTH is the least width; with VECTORS, 0 as well, columns are
deviations and each gene of ours has a vector of so many numbers. Steps are taken until BUDGET_S is over, between LEAST
and MOST of them, after one to warm up. After them the machine's own rates, in the same process with the same threads.
Prints one JSON object.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from gocell_cli.storage.schema import Hierarchy
from gocell_cli.training.data.ahead import ahead, threads_beside
from gocell_cli.training.data.batch import Deletions
from gocell_cli.training.network.config import DCellConfig
from gocell_cli.training.network.dcell import Batch, DCell
from gocell_cli.training.network.delta.ready import ReadyBatch
from gocell_cli.training.network.layout import term_widths
from gocell_cli.training.network.loss import DCellLoss, Target
from tests.benchmarks.drugcell_shape import WIDTH, drugcell_shape
from tests.benchmarks.genotypes import DRAWS
from tests.benchmarks.hierarchies import bundled_hierarchy
from tests.reference.dcell import OracleDCell
from tests.reference.drugcell import DrugCellGenotype, drugcell_loss
from tests.reference.sparsego import SparseGOGenotype
from tests.reference.torchcell import TorchcellDCell, state_table, torchcell_loss
from tests.training.networks import by_level

THREADS = 2
LEAST, MOST, BUDGET_S = 2, 40, 15.0
FORMS = {"stacked": "dense", "delta": "delta"}
PEERS: dict[str, Callable[[Hierarchy, list[int]], nn.Module]] = {
    "oracle": OracleDCell, "torchcell": TorchcellDCell, "drugcell": DrugCellGenotype, "sparsego": SparseGOGenotype,
}  # fmt: skip

Input = tuple[np.ndarray, Tensor]
"""Genotypes [samples, 3], and what the network reads of them, made outside the clock."""
Step = Callable[[Input, Tensor], None]
Seconds = tuple[list[float], list[float], int]
"""Wall and CPU seconds of the steps after one to warm up, a new batch each; and the samples of a batch."""


def stacked_step(
    hierarchy: Hierarchy, config: DCellConfig, vectors: int = 0
) -> tuple[Callable[[Batch, Target], None], DCell]:
    """Our network's training step on a batch made ready, by one of its forms; and the network."""
    model = DCell(hierarchy, config, torch.randn(len(hierarchy.gene_names), vectors) if vectors else None)
    loss = DCellLoss(model.root)
    optimiser = torch.optim.AdamW(model.parameters(), fused=True)

    def step(batch: Batch, y: Target) -> None:
        heads = model.heads(batch)
        optimiser.zero_grad()
        loss(heads, y).total.backward()
        optimiser.step()

    return step, model


def ready(model: DCell, genotypes: np.ndarray, y: Tensor) -> tuple[Batch, Target]:
    """A batch of genotypes [samples, 3] and its targets as a step takes them: in the delta form planned and summed."""
    ptr = torch.arange(0, genotypes.size + 1, genotypes.shape[1])
    made = model.ready(Deletions.of(ptr, torch.from_numpy(genotypes.ravel()), model.index.genes), y)
    return made, made.targets if isinstance(made, ReadyBatch) and made.targets is not None else y


def peer_loss(model: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss of a batch as each form has it."""
    if isinstance(model, TorchcellDCell):
        return lambda x, y: torchcell_loss(model(x), model.root, y)
    if isinstance(model, DrugCellGenotype):
        return lambda x, y: drugcell_loss(model(x), model.root, y)
    if isinstance(model, SparseGOGenotype):
        return lambda x, y: (model(x) - y).square().mean()
    assert isinstance(model, OracleDCell)
    loss = DCellLoss(model.root)
    return lambda x, y: loss(model(x), y).total


def peer_step(kind: str, hierarchy: Hierarchy, widths: list[int]) -> Step:
    """Another form's training step."""
    model = PEERS[kind](hierarchy, widths)
    optimiser, loss = torch.optim.AdamW(model.parameters(), fused=True), peer_loss(model)

    def step(found: Input, y: Tensor) -> None:
        optimiser.zero_grad()
        loss(found[1], y).backward()
        if isinstance(model, DrugCellGenotype):
            model.mask_gradients()
        optimiser.step()

    return step


def read_by(kind: str, hierarchy: Hierarchy, genotypes: np.ndarray) -> Tensor:
    """What a network reads of a batch: torchcell its table of states, the other peers x [samples, genes]."""
    if kind == "torchcell":
        return state_table(hierarchy, genotypes)
    x = torch.ones(len(genotypes), len(hierarchy.gene_names))
    x[torch.arange(len(genotypes))[:, None], torch.from_numpy(genotypes)] = 0
    return x


def timed_ours(
    step: Callable[[Batch, Target], None], model: DCell, hierarchy: Hierarchy, batch: int, genotypes: str
) -> Seconds:
    """From the end of a step to that of the next one: batches are made ready beside, or in between."""
    rng, draw = np.random.default_rng(0), DRAWS[genotypes](hierarchy)
    wall, cpu, drawn, outside = list[float](), list[float](), dict[int, tuple[np.ndarray, Tensor]](), np.zeros(2)

    def numbers() -> Iterator[int]:
        for number in range(MOST + 3):  # what is drawn is no part of a step
            begun = np.array([time.perf_counter(), time.thread_time()])
            genes = draw(rng, batch)
            drawn[number] = genes, torch.from_numpy(rng.normal(size=len(genes))).float()
            outside[:] += np.array([time.perf_counter(), time.thread_time()]) - begun
            yield number

    with ahead(lambda i: ready(model, *drawn.pop(i)), numbers(), threads_beside(torch.device("cpu"))) as batches:
        at = np.array([time.perf_counter(), time.process_time()])
        for made, y in batches:
            step(made, y)
            now = np.array([time.perf_counter(), time.process_time()])
            spent = now - at - outside
            wall.append(float(spent[0]))
            cpu.append(float(spent[1]))
            at, outside[:] = now, 0.0
            if len(wall) > LEAST and (len(wall) > MOST or sum(wall[1:]) >= BUDGET_S):
                break
    return wall[1:], cpu[1:], len(y)


def timed(step: Step, kind: str, hierarchy: Hierarchy, batch: int, genotypes: str) -> Seconds:
    """A peer's steps, by themselves."""
    rng = np.random.default_rng(0)
    draw = DRAWS[genotypes](hierarchy)
    wall, cpu = list[float](), list[float]()
    while len(wall) <= LEAST or (len(wall) <= MOST and sum(wall[1:]) < BUDGET_S):
        genes = draw(rng, batch)
        y, x = torch.from_numpy(rng.normal(size=len(genes))).float(), read_by(kind, hierarchy, genes)
        started, used = time.perf_counter(), time.process_time()
        step((genes, x), y)
        wall.append(time.perf_counter() - started)
        cpu.append(time.process_time() - used)
    return wall[1:], cpu[1:], len(genes)


def fastest(call: Callable[[], object], runs: int = 7) -> float:
    """Least seconds of some calls: a ceiling is what the machine can do."""
    found = []
    for _ in range(runs):
        started = time.perf_counter()
        call()
        found.append(time.perf_counter() - started)
    return min(found)


def machine() -> tuple[float, float]:
    """Return FLOP/s of a large float32 matmul and bytes/s of a large copy (read and written), with torch's threads."""
    a, b = torch.randn(2048, 2048), torch.randn(2048, 2048)
    x, y = torch.randn(50_000_000), torch.empty(50_000_000)
    return 2 * 2048**3 / fastest(lambda: a @ b), 2 * 4 * len(x) / fastest(lambda: y.copy_(x))


def memory_mb(field: str) -> float:
    """This process's memory by the kernel: resident now (VmRSS) or at most so far (VmHWM), MB.

    Not getrusage's peak: that begins at the size of the process that started this one.
    """
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) / 1024


def network_of(preset: str, level_by: str, form: str) -> tuple[Hierarchy, DCellConfig]:
    """The hierarchy of a preset, or DrugCell's shape, and the settings of its network."""
    peers = preset == "drugcell"
    hierarchy, width_by = (drugcell_shape(), "direct") if peers else bundled_hierarchy(preset)
    config = DCellConfig(width_by=width_by, form=form)
    return by_level(hierarchy, level_by), replace(config, min_width=WIDTH, ratio=0.0) if peers else config


def main(
    kind: str,
    preset: str,
    batch: int,
    level_by: str = "stratum",
    genotypes: str = "all",
    threads: int = THREADS,
    width: int | None = None,
    vectors: int | None = None,
) -> None:
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    hierarchy, config = network_of(preset, level_by, FORMS.get(kind, "dense"))
    config = config if width is None else replace(config, min_width=width)
    config = config if vectors is None else replace(config, gene_weights="deviation")
    before, own, ceiling = memory_mb("VmRSS"), 0.0, 0.0
    if kind in FORMS:
        step, model = stacked_step(hierarchy, config, vectors or 0)
        own = sum(p.numel() for p in model.parameters()) * 4 * 4 / 2**20  # with gradients and AdamW's two moments
        wall, cpu, samples = timed_ours(step, model, hierarchy, batch, genotypes)
    else:
        widths = term_widths(hierarchy, config.width_by, config.min_width, config.ratio).tolist()
        wall, cpu, samples = timed(peer_step(kind, hierarchy, widths), kind, hierarchy, batch, genotypes)
    peak = memory_mb("VmHWM")
    flops, copied = machine()
    if kind in FORMS:
        ceiling = samples / max(samples * model.flops() / flops, model.step_bytes(samples) / copied)
    print(json.dumps({
        "seconds": wall, "cpu_seconds": cpu, "samples": samples, "peak_mb": peak, "above_mb": peak - before - own,
        "roofline": ceiling, "gemm": flops, "copy": copied, "threads": torch.get_num_threads(), "load": os.getloadavg(),
    }))  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), *sys.argv[4:6], *map(int, sys.argv[6:]))  # type: ignore[arg-type]
