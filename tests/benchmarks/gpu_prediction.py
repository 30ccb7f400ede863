"""What a step of the delta form should cost on a GPU, before one is at hand: launches and bytes counted, time derived.

    python -m tests.benchmarks.gpu_prediction [CARD]

Nothing here is measured on a card but its copy rate, which is the vendor's or somebody's. Launches are counted by
running a whole step on the CPU with its kernels recorded instead of run: ours by `levels.launch`, PyTorch's by its
dispatcher, views and allocations left out. Bytes are the tables' sizes times how often each is read or written:

    up    x read by the products of each slot and written; products written and read; d written, read; the parameters
    down  g written by `pull`, read and written by `normed`, read by its readers; given written and read; x, d, again x
    step  parameters read, gradients zeroed, written and read, AdamW: both moments and the parameters read and written

Milliseconds: launches x LAUNCH_US, in which a CPU starts one, plus bytes / the card's copy rate: as if nothing of the
one hid behind the other. The dense form beside it, by the same rule, from its own count (`DCell.step_bytes`).
"""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from gocell_cli.storage.schema import Hierarchy
from gocell_cli.training.data.batch import Deletions
from gocell_cli.training.network.config import DCellConfig
from gocell_cli.training.network.dcell import DCell
from gocell_cli.training.network.delta.gpu import levels
from gocell_cli.training.network.loss import DCellLoss
from tests.benchmarks.genotypes import DRAWS
from tests.benchmarks.hierarchies import bundled_hierarchy

BATCHES = (256, 2048, 8192, 32768)
LAUNCH_US = 8.0
"""A launch as Python makes it: PyTorch's own take 4 to 5, Triton's with twenty arguments about 10 (others' figures)."""
COPY_TB = {"H100": 3.0, "H200": 4.2, "A100": 1.6}
"""Read plus written; of the H100 measured (../shared/design), of the others nine tenths of the vendor's bandwidth."""
NO_LAUNCH = ("empty", "view", "as_strided", "detach", "slice", "select.int", "t.default", "unbind", "alias", "expand",
             "transpose", "unsqueeze", "squeeze", "split", "_unsafe_view", "permute", "lift_fresh")  # fmt: skip


class Operations(TorchDispatchMode):
    """Counts PyTorch's operations that would start a kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(func).removeprefix("aten.")
        if not name.startswith(NO_LAUNCH):
            self.found[name] += 1
        return func(*args, **(kwargs or {}))


@contextmanager
def recorded() -> Iterator[Counter[str]]:
    """Count our kernels' launches instead of running them."""
    found: Counter[str] = Counter()

    def record(kernel: Any, programs: int, *_arguments: Any, **_constants: Any) -> None:
        if programs:
            found[getattr(kernel, "__name__", None) or kernel.fn.__name__] += 1

    launch, levels.launch = levels.launch, record
    try:
        yield found
    finally:
        levels.launch = launch


@dataclass(frozen=True)
class Cost:
    """Of a training step: launches of ours and of PyTorch's, and bytes moved."""

    launches: int
    kernels: int
    levels: int
    gigabytes: float

    def milliseconds(self, card: str) -> float:
        """By the rule above."""
        return self.launches * LAUNCH_US / 1000 + self.gigabytes / COPY_TB[card]


def step(model: DCell, batch: Any, target: Any, optimiser: torch.optim.Optimizer) -> None:
    """A training step as the trainer takes it."""
    heads = model.heads(batch)
    loss = DCellLoss(model.root)(heads, target).total
    optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()


def parameter_bytes(model: DCell) -> int:
    """Of the step's parameters: read up and down, gradients zeroed, written, clipped (read, written), AdamW's seven."""
    return (2 + 2 + 2 + 7) * 4 * sum(p.numel() for p in model.parameters())


def delta_cost(hierarchy: Hierarchy, batch: int, kind: str = "random") -> Cost:
    """Of a batch of triple deletions."""
    torch.manual_seed(0)
    model = DCell(hierarchy, DCellConfig(form="delta"))
    assert model.delta is not None
    model.delta = replace(model.delta, backend="gpu")
    genes = DRAWS[kind](hierarchy)(np.random.default_rng(1), batch)
    y = torch.from_numpy(np.random.default_rng(2).normal(size=len(genes))).float()
    ready: Any = model.ready(deletions(genes, len(hierarchy.gene_names)), y)
    optimiser = torch.optim.AdamW(model.parameters(), fused=True)
    with recorded():
        step(model, ready, ready.targets, optimiser)  # AdamW's moments are made at the first step
    with recorded() as ours, Operations() as torchs:
        step(model, ready, ready.targets, optimiser)
    laid, piece, index = ready.laid, model.stack.piece, model.delta.index
    variants = np.diff(ready.plan.variant_ptr)
    inputs = int((variants[index.child] * index.child_blocks).sum()) * piece
    reads = int((model.stack.blocks[index.parent[ready.plan.reads.edge]]).sum()) * piece
    table, products = laid.table * piece, laid.given * piece
    entries = inputs + products + reads + 5 * table  # up: x in, products out and in, d out and twice in, x out and in
    entries += reads + 3 * products + inputs + 7 * table  # down: dz in, given out and in; x in; g, d, x
    moved = 4 * entries + 4 * len(laid.ints) * 2 + parameter_bytes(model)
    kernels = sum(ours.values())
    return Cost(kernels + sum(torchs.found.values()), kernels, len(laid.levels), moved / 1e9)


def dense_cost(hierarchy: Hierarchy, batch: int) -> Cost:
    """Of a batch of as many samples; launches counted at 32, for they do not change with the batch."""
    torch.manual_seed(0)
    model = DCell(hierarchy, DCellConfig(form="dense"))
    genes = DRAWS["random"](hierarchy)(np.random.default_rng(1), 32)
    own, y = deletions(genes, len(hierarchy.gene_names)), torch.zeros(32)
    optimiser = torch.optim.AdamW(model.parameters(), fused=True)
    step(model, own, y, optimiser)
    with Operations() as torchs:
        step(model, own, y, optimiser)
    return Cost(sum(torchs.found.values()), 0, 0, model.step_bytes(batch) / 1e9)


def deletions(genes: np.ndarray, total: int) -> Any:
    """Genotypes [samples, 3] as a batch."""
    return Deletions.of(torch.arange(0, genes.size + 1, genes.shape[1]), torch.from_numpy(genes.ravel()), total)


def main(card: str = "H100") -> None:
    """Print the table."""
    hierarchy, _ = bundled_hierarchy("true-path")
    print(f"| PREDICTED, {card}: form | batch | launches a step (ours) | GB a step | ms a step | samples/s |")
    print("|---|---|---|---|---|---|")
    for form, cost in (("delta", delta_cost), ("dense", dense_cost)):
        for batch in BATCHES:
            found = cost(hierarchy, batch)
            ms = found.milliseconds(card)
            print(
                f"| {form} | {batch:,} | {found.launches:,} ({found.kernels:,}) | {found.gigabytes:.2f} | {ms:.2f} "
                f"| {batch / ms * 1000:,.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main(*sys.argv[1:])
