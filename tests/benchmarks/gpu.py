"""`make gpu`: every kernel of the delta form against the oracle, then what a step costs, on the card at hand.

    python -m tests.benchmarks.gpu [--interpret]

Under eight minutes on one card; builds and installs nothing, and runs with any PyTorch from 2.4 and Triton from 3.6.
Without a card it says so and exits with 1; `--interpret` runs the first part, on random hierarchies, in Triton's
interpreter. What it prints goes to docs/gpu.md with the card's name, and the crossover into `DELTA_PAYS` of
network/dcell.py. Predictions stand beside the measurements (gpu_prediction.py).
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

NO_CARD = "make gpu: no CUDA device is at hand (python -m tests.benchmarks.gpu --interpret checks the kernels without)"
SECONDS = 420.0
"""No part begins after these: the table's rows are in the order of what must be known first."""
EACH = 2.5
"""Seconds of steps a row."""
BATCHES = (2048, 8192, 256, 32768)
SMALL = (2, 8, 32, 128, 512)
TORCHCELL_BATCH = 600
BOUNDS = {"float64": 1e-10, "ieee": 1e-5, "tf32": 5e-3, "bf16": 5e-2}
"""Largest difference from the oracle in float64, relative to each tensor's largest number (float64: absolute)."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.gpu", description=__doc__)
    parser.add_argument("--interpret", action="store_true", help="only the first part, without a card")
    return parser.parse_args()


if __name__ == "__main__":
    OPTIONS = arguments()
    # Triton reads it when it is imported, and torch may import Triton
    os.environ["TRITON_INTERPRET"] = "1" if OPTIONS.interpret else "0"

import numpy as np  # noqa: E402
import torch  # noqa: E402

from gocell_cli.training.data.ahead import ahead, threads_beside  # noqa: E402
from gocell_cli.training.network.dcell import DCell, DCellConfig  # noqa: E402
from gocell_cli.training.network.delta.gpu.layout import WIDE  # noqa: E402
from gocell_cli.training.network.layout import term_widths  # noqa: E402
from gocell_cli.training.network.loss import DCellLoss  # noqa: E402
from tests.benchmarks import gpu_prediction  # noqa: E402
from tests.benchmarks.genotypes import DRAWS  # noqa: E402
from tests.benchmarks.hierarchies import bundled_hierarchy  # noqa: E402
from tests.reference.dcell import gene_table  # noqa: E402
from tests.training import networks as nets  # noqa: E402

# ------------------------------------------------------------------------------------------- every kernel, by an oracle


def checks(device: torch.device) -> bool:
    """Print a line for each kind of arithmetic; returns whether all hold."""
    good = True
    for name, bound in BOUNDS.items():
        worst = max(
            worst_difference(device, name, order, wide) for order in ("bn-tanh", "tanh-bn") for wide in (0, WIDE)
        )
        good &= worst <= bound
        print(
            f"{name}: at most {worst:.1e} from the per-term oracle (bound {bound:g}): {said(worst <= bound)}",
            flush=True,
        )
    again = repeatable(device)
    print(f"a step gives the same bits again: {said(again)}", flush=True)
    return good and again


def said(good: bool) -> str:
    return "ok" if good else "WRONG"


def worst_difference(device: torch.device, kind: str, norm_order: str, wide: int) -> float:
    """Of heads, losses, every gradient and the statistics of a training step, and of heads in evaluation."""
    hierarchy, genes = nets.random_network(11, terms=14), 12
    config = DCellConfig(min_width=20, init_range=0.3, form="delta", norm_order=norm_order, gene_weights="shared")
    model, oracle = nets.pair(hierarchy, config, 11)
    batch = nets.random_genotypes(11, 60, genes)
    y = torch.from_numpy(np.random.default_rng(11).normal(size=len(batch)))
    wanted = nets.run_oracle(oracle, hierarchy, gene_table(batch, genes), y, config.alpha)
    own = model.to(device) if kind == "float64" else model.float().to(device)
    assert own.delta is not None
    own.delta = replace(own.delta, backend="gpu", wide=wide, precision="ieee" if kind == "float64" else kind)
    found = nets.run_fast(own, hierarchy, nets.deletions(batch, genes), y.to(device, own.bias.dtype))
    for one in (found.gradients, found.statistics):
        one.update({name: tensor.cpu().double() for name, tensor in one.items()})
    pairs = [(found.heads.cpu().double(), wanted.heads), (found.loss.cpu().double(), wanted.loss)]
    pairs += [(found.gradients[name], wanted.gradients[name]) for name in wanted.gradients]
    pairs += [(found.statistics[name], wanted.statistics[name]) for name in wanted.statistics if "rest" not in name]
    with torch.no_grad():
        pairs.append((own.eval()(nets.deletions(batch, genes)).cpu().double(), oracle.eval()(gene_table(batch, genes))))
    largest = max(float(b.abs().max()) for _, b in pairs)
    return max(float((a - b).abs().max()) for a, b in pairs) / (1.0 if kind == "float64" else largest)


def repeatable(device: torch.device) -> bool:
    """Two steps from the same weights on the same batch."""
    hierarchy = nets.random_network(12, terms=20)
    torch.manual_seed(12)
    model = DCell(hierarchy, DCellConfig(min_width=20, init_range=0.3, form="delta")).to(device)
    assert model.delta is not None
    model.delta = replace(model.delta, backend="gpu")
    batch, found = nets.random_genotypes(12, 50, 12), []
    for _ in range(2):
        model.zero_grad()
        heads = model.variant_heads(nets.deletions(batch, 12))
        DCellLoss(model.root)(heads, torch.linspace(-1, 1, len(batch))).total.backward()
        found.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
    return all(torch.equal(a, b) for a, b in zip(*found, strict=True))


# ---------------------------------------------------------------------------------------------------- what a step costs


class Bench:
    """One network on the card, and new batches for every step."""

    def __init__(self, form: str, batch: int, *, training: bool) -> None:
        self.hierarchy, _ = bundled_hierarchy("true-path")
        torch.manual_seed(0)
        self.device, self.batch, self.training = torch.device("cuda"), batch, training
        self.model = DCell(self.hierarchy, DCellConfig(form=form)).to(self.device).train(training)
        self.optimiser = torch.optim.AdamW(self.model.parameters(), fused=True)
        rng, draw = np.random.default_rng(0), DRAWS["random"](self.hierarchy)
        # a batch may come again: what is timed is its way from genes to weights, and no two steps' plans are kept
        self.genes = [draw(rng, batch) for _ in range(6)]
        self.stream = torch.cuda.Stream()

    def make(self, number: int) -> tuple[Any, Any]:
        """A batch made ready, in any thread."""
        genes = self.genes[number % len(self.genes)]
        y = torch.linspace(-1, 1, len(genes))
        with torch.cuda.stream(self.stream):
            ready = self.model.ready(gpu_prediction.deletions(genes, len(self.hierarchy.gene_names)), y, copied=True)
        targets = getattr(ready, "targets", None)
        return ready, y.to(self.device) if targets is None else targets

    def step(self, made: tuple[Any, Any]) -> None:
        """A training step as the trainer takes it, or a prediction."""
        if self.training:
            gpu_prediction.step(self.model, *made, self.optimiser)
            return
        with torch.no_grad():
            self.model.heads(made[0])

    def seconds(self, threads: int) -> float:
        """A step's, batches made by so many threads while the card works; 0: made before, the card alone is timed."""
        warm = [self.make(i) for i in range(3)]
        for made in warm:
            self.step(made)
        torch.cuda.synchronize()
        if not threads:
            return timed(lambda i: self.step(warm[i % 3]))
        with ahead(self.make, range(10**6), threads) as steps:
            next(steps)
            return timed(lambda _: self.step(next(steps)))


def timed(step: Callable[[int], None]) -> float:
    """Seconds a step: as many steps as EACH seconds hold, ended by one wait for the card."""
    begun, count = time.perf_counter(), 0
    while time.perf_counter() - begun < EACH:
        step(count)
        count += 1
        if count % 8 == 0:
            torch.cuda.synchronize()
    torch.cuda.synchronize()
    return (time.perf_counter() - begun) / count


@contextmanager
def precision(kind: str) -> Iterator[None]:
    """fp32, tf32 or bf16, as a user chooses them."""
    torch.set_float32_matmul_precision("high" if kind == "tf32" else "highest")
    try:
        with torch.autocast("cuda", torch.bfloat16) if kind == "bf16" else nullcontext():
            yield
    finally:
        torch.set_float32_matmul_precision("highest")


def row(form: str, kind: str, batch: int, *, training: bool) -> str:
    """One line of the table."""
    with precision(kind):
        bench = Bench(form, batch, training=training)
        alone, whole = bench.seconds(0), bench.seconds(threads_beside(bench.device))
    cost = gpu_prediction.delta_cost if form == "delta" else gpu_prediction.dense_cost
    predicted = f"{cost(bench.hierarchy, batch).milliseconds('H100'):.2f}" if training and kind == "fp32" else ""
    torch.cuda.empty_cache()
    what = "training" if training else "prediction"
    return (
        f"| {form} | {what} | {kind} | {batch:,} | {predicted} | {alone * 1e3:.2f} | {whole * 1e3:.2f} "
        f"| {batch / whole:,.0f} |"
    )


def bound_by(batch: int) -> str:
    """What a step of the delta form waits for: kernels' time by name, their number, and the card's busy share."""
    from torch.profiler import ProfilerActivity, profile

    bench = Bench("delta", batch, training=True)
    made = [bench.make(i) for i in range(3)]
    for one in made:
        bench.step(one)
    torch.cuda.synchronize()
    begun = time.perf_counter()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as found:
        for one in made:
            bench.step(one)
        torch.cuda.synchronize()
    wall = time.perf_counter() - begun
    kernels = [e for e in found.key_averages() if e.self_device_time_total > 0]
    busy = sum(e.self_device_time_total for e in kernels) / 1e6
    count = sum(e.count for e in kernels) / len(made)
    largest = sorted(kernels, key=lambda e: -e.self_device_time_total)[:8]
    lines = [f"batch {batch:,}: {count:,.0f} kernels a step, busy {busy / len(made) * 1e3:.2f} ms of each step's "
             f"{wall / len(made) * 1e3:.2f} under the profiler ({busy / wall:.0%})"]  # fmt: skip
    lines += [f"  {e.self_device_time_total / 1e3 / len(made):8.3f} ms  {e.key[:70]}" for e in largest]
    return "\n".join(lines)


def torchcell() -> str:
    """One step of torchcell's loop, after one of two samples to warm up."""
    from tests.reference.torchcell import TorchcellDCell, state_table, torchcell_loss

    hierarchy, width_by = bundled_hierarchy("true-path")
    widths = term_widths(hierarchy, width_by, 20, 0.3).tolist()
    model = TorchcellDCell(hierarchy, widths).cuda()
    optimiser = torch.optim.AdamW(model.parameters())
    draw, rng, seconds = DRAWS["random"](hierarchy), np.random.default_rng(0), 0.0
    for batch in (2, TORCHCELL_BATCH):
        table, y = state_table(hierarchy, draw(rng, batch)).cuda(), torch.linspace(-1, 1, batch, device="cuda")
        torch.cuda.synchronize()
        begun = time.perf_counter()
        loss = torchcell_loss(model(table), model.root, y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        torch.cuda.synchronize()
        seconds = time.perf_counter() - begun
    return (
        f"| torchcell's loop | training | fp32 | {TORCHCELL_BATCH} | | {seconds * 1e3:,.0f} | {seconds * 1e3:,.0f} "
        f"| {TORCHCELL_BATCH / seconds:,.1f} |"
    )


def crossover() -> str:
    """The fewest samples from which the delta form's step is the shorter one."""
    pays = None
    for batch in SMALL:
        delta, dense = (Bench(form, batch, training=True).seconds(1) for form in ("delta", "dense"))
        print(f"batch {batch}: delta {delta * 1e3:.2f} ms, dense {dense * 1e3:.2f} ms", flush=True)
        if delta < dense and pays is None:
            pays = batch
    return f'DELTA_PAYS["cuda"] of network/dcell.py should be {pays if pays is not None else "above " + str(SMALL[-1])}'


def machine() -> str:
    """Card, driver and versions."""
    import triton

    asked = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        card = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        card = torch.cuda.get_device_name()
    return f"{card}; PyTorch {torch.__version__}, Triton {triton.__version__}, Python {sys.version.split()[0]}"


def copy_rate() -> str:
    """The card's own copy, read plus written: what the predictions divide by."""
    a, b = (torch.empty(2**28, device="cuda") for _ in range(2))
    rates = []
    for _ in range(10):
        torch.cuda.synchronize()
        begun = time.perf_counter()
        b.copy_(a)
        torch.cuda.synchronize()
        rates.append(2 * a.numel() * 4 / (time.perf_counter() - begun) / 1e12)
    return f"copy: {statistics.median(rates):.2f} TB/s, read plus written"


def parts() -> Iterator[Callable[[], str]]:
    """The parts of the second half, what must be known first first."""
    yield copy_rate
    yield (
        lambda: (
            "| form | what | precision | batch | predicted ms | card ms | with plans ms | samples/s |\n"
            "|---|---|---|---|---|---|---|---|"
        )
    )
    for batch in BATCHES:
        yield lambda batch=batch: row("delta", "fp32", batch, training=True)
    for batch in BATCHES[:2]:
        yield lambda batch=batch: row("dense", "fp32", batch, training=True)
    yield torchcell
    yield lambda: bound_by(8192)
    yield crossover
    for kind in ("tf32", "bf16"):
        for form in ("delta", "dense"):
            yield lambda kind=kind, form=form: row(form, kind, 8192, training=True)
    for form in ("delta", "dense"):
        for batch in BATCHES:
            yield lambda form=form, batch=batch: row(form, "fp32", batch, training=False)
    for batch in BATCHES[2:]:
        yield lambda batch=batch: row("dense", "fp32", batch, training=True)
    for kind in ("tf32", "bf16"):
        for batch in (2048, 256, 32768):
            yield lambda kind=kind, batch=batch: row("delta", kind, batch, training=True)
            yield lambda kind=kind, batch=batch: row("dense", kind, batch, training=True)


def main(*, interpret: bool) -> int:
    """Run everything there is time for; returns the exit code."""
    if interpret:
        return 0 if checks(torch.device("cpu")) else 1
    if not torch.cuda.is_available():
        print(NO_CARD, file=sys.stderr)
        return 1
    begun = time.perf_counter()
    print(machine(), flush=True)
    good = checks(torch.device("cuda"))
    for part in parts():
        if time.perf_counter() - begun > SECONDS:
            print(f"left out: what would begin after {SECONDS:.0f} s")
            break
        try:
            print(part(), flush=True)
        except torch.cuda.OutOfMemoryError:
            torch.cuda.empty_cache()
            print("(the card's memory does not hold it)", flush=True)
    print(f"{time.perf_counter() - begun:.0f} s in all")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(interpret=OPTIONS.interpret))
