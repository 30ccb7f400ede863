"""`make gpu`: every kernel of the delta form against the oracle, then what a step costs, on the card at hand.

    python -m tests.benchmarks.gpu [--interpret]

Under eight minutes on one card; builds and installs nothing, and runs with any PyTorch from 2.4 and Triton from 3.6.
Without a card it says so and exits with 1; `--interpret` runs every part on a tiny hierarchy, on the CPU, in Triton's
interpreter: that tries the kernels and this script, and its times mean nothing. What a card gives is printed, and
written to docs/ under the card's name; the crossover goes into `DELTA_PAYS` of network/dcell.py. Predictions stand
beside the measurements (gpu_prediction.py).

The parts run in a process of their own, what must be known first first. One that fails says so and the next begins; one
that ends the process, or makes the card useless to it (an illegal address), or hangs, costs that part alone: another
process goes on behind it.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

NO_CARD = "make gpu: no CUDA device is at hand (python -m tests.benchmarks.gpu --interpret tries all of it without)"
SECONDS = 420.0
"""No part begins after these."""
PART, FAILED, LOST = "part ", "FAILED", 3
"""How a process names the part that it begins, and one that failed; its exit code where the card is lost to it."""
DOCS = Path(__file__).parents[2] / "docs"
BOUNDS = {"float64": 1e-10, "ieee": 1e-5, "tf32": 5e-3, "bf16": 5e-2}
"""Largest difference from the oracle in float64, relative to each tensor's largest number (float64: absolute)."""


@dataclass(frozen=True)
class Scale:
    """What is run: terms and samples of the checks, batches of the table and of the crossover, seconds a row.

    hangs: seconds without a line after which a part's process is ended.
    """

    device: str
    terms: int
    samples: int
    batches: tuple[int, int, int, int]
    small: tuple[int, ...]
    torchcell: int
    each: float
    hangs: float


CARD = Scale("cuda", 14, 60, (2048, 8192, 256, 32768), (2, 8, 32, 128, 512), 600, 2.5, 100.0)
TRIAL = Scale("cpu", 5, 12, (4, 6, 3, 5), (2, 4), 3, 0.01, 400.0)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.gpu", description=__doc__)
    parser.add_argument("--interpret", action="store_true", help="all parts, tiny, without a card")
    parser.add_argument("--first", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=SECONDS, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    OPTIONS = arguments()
    # Triton reads it when it is imported, and torch may import Triton
    os.environ["TRITON_INTERPRET"] = "1" if OPTIONS.interpret else "0"

import numpy as np  # noqa: E402
import torch  # noqa: E402

from gocell_cli.storage.schema import Hierarchy  # noqa: E402
from gocell_cli.training.data.ahead import ahead, threads_beside  # noqa: E402
from gocell_cli.training.network.config import DCellConfig  # noqa: E402
from gocell_cli.training.network.dcell import DCell  # noqa: E402
from gocell_cli.training.network.delta.gpu.layout import WIDE  # noqa: E402
from gocell_cli.training.network.layout import term_widths  # noqa: E402
from gocell_cli.training.network.loss import DCellLoss  # noqa: E402
from gocell_cli.training.network.tf32 import float32_products  # noqa: E402
from tests.benchmarks import bench_ready, gpu_prediction  # noqa: E402
from tests.benchmarks.genotypes import DRAWS  # noqa: E402
from tests.benchmarks.hierarchies import bundled_hierarchy  # noqa: E402
from tests.hierarchies import random_network  # noqa: E402
from tests.reference.dcell import gene_table  # noqa: E402
from tests.training import networks as nets  # noqa: E402

# ------------------------------------------------------------------------------------------- every kernel, by an oracle


def check(scale: Scale, kind: str) -> str:
    """A line for one kind of arithmetic: both norm orders, terms of tiles and terms of a matrix library."""
    bound = BOUNDS[kind]
    worst = max(worst_difference(scale, kind, order, wide) for order in ("bn-tanh", "tanh-bn") for wide in (0, WIDE))
    return f"{kind}: at most {worst:.1e} from the per-term oracle (bound {bound:g}): {said(worst <= bound)}"


def said(good: bool) -> str:
    return "ok" if good else "WRONG"


def worst_difference(scale: Scale, kind: str, norm_order: str, wide: int) -> float:
    """Of heads, losses, every gradient and the statistics of a training step, and of heads in evaluation."""
    hierarchy, genes, device = random_network(11, terms=scale.terms), 12, torch.device(scale.device)
    config = DCellConfig(min_width=20, init_range=0.3, form="delta", norm_order=norm_order, gene_weights="shared")
    model, oracle = nets.pair(hierarchy, config, 11)
    batch = nets.random_genotypes(11, scale.samples, genes)
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


def repeatable(scale: Scale) -> str:
    """A line: two steps from the same weights on the same batch."""
    hierarchy = random_network(12, terms=scale.terms)
    torch.manual_seed(12)
    model = DCell(hierarchy, DCellConfig(min_width=20, init_range=0.3, form="delta")).to(scale.device)
    assert model.delta is not None
    model.delta = replace(model.delta, backend="gpu")
    batch, found = nets.random_genotypes(12, scale.samples, 12), []
    for _ in range(2):
        model.zero_grad()
        heads = model.variant_heads(nets.deletions(batch, 12))
        DCellLoss(model.root)(heads, torch.linspace(-1, 1, len(batch))).total.backward()
        found.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
    same = all(torch.equal(a, b) for a, b in zip(*found, strict=True))
    return f"a step gives the same bits again: {said(same)}"


# ---------------------------------------------------------------------------------------------------- what a step costs


def hierarchy_of(scale: Scale) -> Hierarchy:
    return bundled_hierarchy("true-path")[0] if scale is CARD else random_network(3, terms=5)


def draw_of(scale: Scale, hierarchy: Hierarchy) -> Callable[[np.random.Generator, int], np.ndarray]:
    """Random triple deletions: [samples, 3]."""
    if scale is CARD:
        return DRAWS["random"](hierarchy)
    genes = len(hierarchy.gene_names)
    return lambda rng, samples: np.array([np.sort(rng.choice(genes, 3, replace=False)) for _ in range(samples)])


def synchronise(scale: Scale) -> None:
    if scale.device == "cuda":
        torch.cuda.synchronize()


class Bench:
    """One network on the card, and new batches for every step."""

    def __init__(self, scale: Scale, form: str, batch: int, *, training: bool) -> None:
        self.scale, self.hierarchy = scale, hierarchy_of(scale)
        torch.manual_seed(0)
        self.device, self.batch, self.training = torch.device(scale.device), batch, training
        self.model = DCell(self.hierarchy, DCellConfig(form=form)).to(self.device).train(training)
        if self.model.delta is not None:
            self.model.delta = replace(self.model.delta, backend="gpu")
        self.optimiser = torch.optim.AdamW(self.model.parameters(), fused=True)
        rng, draw = np.random.default_rng(0), draw_of(scale, self.hierarchy)
        # a batch may come again: what is timed is its way from genes to weights, and no two steps' plans are kept
        self.genes = [draw(rng, batch) for _ in range(6)]
        self.stream = torch.cuda.Stream() if scale.device == "cuda" else None

    def make(self, number: int) -> tuple[Any, Any]:
        """A batch made ready, in any thread."""
        genes = self.genes[number % len(self.genes)]
        y = torch.linspace(-1, 1, len(genes))
        with nullcontext() if self.stream is None else torch.cuda.stream(self.stream):
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
        synchronise(self.scale)
        if not threads:
            return self.timed(lambda i: self.step(warm[i % 3]))
        with ahead(self.make, range(10**6), threads) as steps:
            next(steps)
            return self.timed(lambda _: self.step(next(steps)))

    def timed(self, step: Callable[[int], None]) -> float:
        """Seconds a step: as many steps as the scale's seconds hold, ended by one wait for the card."""
        begun, count = time.perf_counter(), 0
        while time.perf_counter() - begun < self.scale.each:
            step(count)
            count += 1
            if count % 8 == 0:
                synchronise(self.scale)
        synchronise(self.scale)
        return (time.perf_counter() - begun) / count


@contextmanager
def precision(kind: str, device: str) -> Iterator[None]:
    """fp32, tf32 or bf16, as a user chooses them."""
    cast = torch.autocast(device, torch.bfloat16) if kind == "bf16" else nullcontext()
    with float32_products("tf32" if kind == "tf32" else "ieee"), cast:
        yield


def row(scale: Scale, form: str, kind: str, batch: int, *, training: bool) -> str:
    """One line of the table."""
    with precision(kind, scale.device):
        bench = Bench(scale, form, batch, training=training)
        alone, whole = bench.seconds(0), bench.seconds(max(1, threads_beside(bench.device)))
    cost = gpu_prediction.delta_cost if form == "delta" else gpu_prediction.dense_cost
    known = scale is CARD and training and kind == "fp32"
    predicted = f"{cost(bench.hierarchy, batch).milliseconds('H100'):.2f}" if known else ""
    what = "training" if training else "prediction"
    return (
        f"| {form} | {what} | {kind} | {batch:,} | {predicted} | {alone * 1e3:.2f} | {whole * 1e3:.2f} "
        f"| {batch / whole:,.0f} |"
    )


def made_ready(scale: Scale) -> str:
    """What the CPU beside the card takes for a batch, and what its threads feed."""
    bench = Bench(scale, "delta", scale.batches[1], training=True)
    y = torch.linspace(-1, 1, bench.batch)
    own = gpu_prediction.deletions(bench.genes[0], len(bench.hierarchy.gene_names))
    own_ms = statistics.median(bench_ready.seconds(lambda: bench.model.ready(own, y)))
    fed = [f"{bench_ready.rate(bench.model, own, y, threads):,.0f}" for threads in (1, 4, 8)]
    return (
        f"made ready: {own_ms:.1f} ms of a core for {bench.batch:,} samples; "
        f"1, 4 and 8 threads feed {', '.join(fed)} samples/s on {len(os.sched_getaffinity(0))} cores"
    )


def bound_by(scale: Scale, batch: int) -> str:
    """What a step of the delta form waits for: kernels' time by name, their number, and the card's busy share."""
    from torch.profiler import ProfilerActivity, profile

    bench = Bench(scale, "delta", batch, training=True)
    made = [bench.make(i) for i in range(3)]
    for one in made:
        bench.step(one)
    synchronise(scale)
    begun = time.perf_counter()
    kinds = [ProfilerActivity.CPU, ProfilerActivity.CUDA] if scale.device == "cuda" else [ProfilerActivity.CPU]
    with profile(activities=kinds) as found:
        for one in made:
            bench.step(one)
        synchronise(scale)
    wall = time.perf_counter() - begun
    kernels = [e for e in found.key_averages() if e.self_device_time_total > 0]
    busy = sum(e.self_device_time_total for e in kernels) / 1e6
    count = sum(e.count for e in kernels) / len(made)
    largest = sorted(kernels, key=lambda e: -e.self_device_time_total)[:8]
    lines = [f"batch {batch:,}: {count:,.0f} kernels a step, busy {busy / len(made) * 1e3:.2f} ms of each step's "
             f"{wall / len(made) * 1e3:.2f} under the profiler ({busy / wall:.0%})"]  # fmt: skip
    lines += [f"  {e.self_device_time_total / 1e3 / len(made):8.3f} ms  {e.key[:70]}" for e in largest]
    return "\n".join(lines)


def torchcell(scale: Scale) -> str:
    """One step of torchcell's loop, after one of two samples to warm up."""
    from tests.reference.torchcell import TorchcellDCell, state_table, torchcell_loss

    hierarchy, seconds = hierarchy_of(scale), 0.0
    model = TorchcellDCell(hierarchy, term_widths(hierarchy, DCellConfig().width_by, 20, 0.3).tolist()).to(scale.device)
    optimiser = torch.optim.AdamW(model.parameters())
    draw, rng = draw_of(scale, hierarchy), np.random.default_rng(0)
    for batch in (2, scale.torchcell):
        table = state_table(hierarchy, draw(rng, batch)).to(scale.device)
        y = torch.linspace(-1, 1, batch, device=scale.device)
        synchronise(scale)
        begun = time.perf_counter()
        loss = torchcell_loss(model(table), model.root, y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        synchronise(scale)
        seconds = time.perf_counter() - begun
    return (
        f"| torchcell's loop | training | fp32 | {scale.torchcell} | | {seconds * 1e3:,.0f} | {seconds * 1e3:,.0f} "
        f"| {scale.torchcell / seconds:,.1f} |"
    )


def crossover(scale: Scale) -> str:
    """The fewest samples from which the delta form's step is the shorter one."""
    pays, lines = None, []
    for batch in scale.small:
        delta, dense = (Bench(scale, form, batch, training=True).seconds(1) for form in ("delta", "dense"))
        lines.append(f"batch {batch}: delta {delta * 1e3:.2f} ms, dense {dense * 1e3:.2f} ms")
        if delta < dense and pays is None:
            pays = batch
    first = pays if pays is not None else f"above {scale.small[-1]}"
    return "\n".join([*lines, f'DELTA_PAYS["cuda"] of network/dcell.py should be {first}'])


def machine(scale: Scale) -> str:
    """Card, driver and versions."""
    import triton

    asked = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        card = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        card = torch.cuda.get_device_name() if scale.device == "cuda" else "no card"
    return f"{card}; PyTorch {torch.__version__}, Triton {triton.__version__}, Python {sys.version.split()[0]}"


def copy_rate(scale: Scale) -> str:
    """The card's own copy, read plus written: what the predictions divide by."""
    a, b = (torch.empty(2**28 if scale is CARD else 2**16, device=scale.device) for _ in range(2))
    rates = []
    for _ in range(10):
        synchronise(scale)
        begun = time.perf_counter()
        b.copy_(a)
        synchronise(scale)
        rates.append(2 * a.numel() * 4 / (time.perf_counter() - begun) / 1e12)
    return f"copy: {statistics.median(rates):.2f} TB/s, read plus written"


HEADING = (
    "| form | what | precision | batch | predicted ms | card ms | with plans ms | samples/s |\n"
    "|---|---|---|---|---|---|---|---|"
)

# ----------------------------------------------------------------------------------------- one after another, all of it


def parts(scale: Scale) -> list[tuple[str, Callable[[], str]]]:
    """Name and part, what must be known first first: the kernels' numbers, the table's main rows, then the rest."""
    batches = scale.batches
    found: list[tuple[str, Callable[[], str]]] = [("machine", lambda: machine(scale))]
    found += [(f"check {kind}", lambda kind=kind: check(scale, kind)) for kind in ("ieee", "tf32", "bf16", "float64")]
    found.append(("check repeatable", lambda: repeatable(scale)))
    found += [("copy", lambda: copy_rate(scale)), ("heading", lambda: HEADING)]

    def rows(form: str, kind: str, sizes: tuple[int, ...], *, training: bool) -> None:
        what = "training" if training else "prediction"
        for batch in sizes:
            name = f"{form} {what} {kind} {batch}"
            found.append((name, lambda batch=batch: row(scale, form, kind, batch, training=training)))

    rows("delta", "fp32", batches, training=True)
    rows("dense", "fp32", batches[:2], training=True)
    found += [
        ("torchcell", lambda: torchcell(scale)), ("made ready", lambda: made_ready(scale)),
        ("profile", lambda: bound_by(scale, batches[1])), ("crossover", lambda: crossover(scale)),
    ]  # fmt: skip
    for kind in ("tf32", "bf16"):
        for form in ("delta", "dense"):
            rows(form, kind, batches[1:2], training=True)
    for form in ("delta", "dense"):
        rows(form, "fp32", batches, training=False)
    rows("dense", "fp32", batches[2:], training=True)
    for kind in ("tf32", "bf16"):
        for form in ("delta", "dense"):
            rows(form, kind, (batches[0], *batches[2:]), training=True)
    return found


def run_parts(scale: Scale, first: int, seconds: float) -> int:
    """In a process of its own: the parts from `first` on, for so many seconds."""
    begun, every = time.perf_counter(), parts(scale)
    for number, (name, part) in enumerate(every[first:], first):
        if time.perf_counter() - begun > seconds:
            print(f"left out, for want of time: {', '.join(name for name, _ in every[number:])}", flush=True)
            break
        print(f"{PART}{number}", flush=True)
        try:
            print(part(), flush=True)
        except torch.OutOfMemoryError:
            print(f"(the memory does not hold {name})", flush=True)
        except Exception as error:  # whatever one part meets, the others are run
            told = (str(error).splitlines() or [""])[0]
            print(f"{FAILED} {name}: {type(error).__name__}: {told}", flush=True)
            if "CUDA error" in str(error):
                return LOST
        if scale.device == "cuda":
            torch.cuda.empty_cache()
    return 0


def supervise(scale: Scale, seconds: float) -> list[str]:
    """Run all parts, in as many processes as it takes; returns what they said."""
    begun, number, names, lines = time.perf_counter(), -1, [name for name, _ in parts(scale)], list[str]()
    while (first := number + 1) < len(names) and (left := seconds - time.perf_counter() + begun) > 0:
        command = [sys.executable, "-m", "tests.benchmarks.gpu", "--first", str(first), "--seconds", str(left)]
        command += ["--interpret"] if scale is TRIAL else []
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        watch = threading.Timer(scale.hangs, child.kill)
        watch.start()
        for line in map(str.rstrip, child.stdout):
            watch.cancel()
            watch = threading.Timer(scale.hangs, child.kill)
            watch.start()
            if line.startswith(PART):
                number = int(line.removeprefix(PART))
            else:
                lines.append(line)
                print(line, flush=True)
        watch.cancel()
        code = child.wait()
        if code == 0:
            break
        number = max(number, first)  # a process that did not come to its first part is not started on it again
        if code != LOST:
            lines.append(f"{FAILED} {names[number]}: its process ended with {code}")
            print(lines[-1], flush=True)
    lines.append(f"{time.perf_counter() - begun:.0f} s in all")
    print(lines[-1])
    return lines


def page(lines: list[str]) -> tuple[str, str]:
    """A card's name, fit for a file, and its page: what was said, and the table."""
    card = lines[0].split(",")[0].split(";")[0]
    table = [line for line in lines if line.startswith("|")]
    rest = [line for line in lines if not line.startswith("|")]
    name = re.sub(r"[^A-Za-z0-9]+", "-", card).strip("-").lower()
    text = [f"# Measured on one {card}", "", "What `make gpu` said; predictions are of an H100 ([gpu.md](gpu.md)).", ""]
    return f"gpu-{name}.md", "\n".join([*text, "```text", *rest, "```", "", *table, ""])


def main(options: argparse.Namespace) -> int:
    """Run everything there is time for; returns the exit code: 1 where a part failed or a number is wrong."""
    scale = TRIAL if options.interpret else CARD
    if scale is CARD and not torch.cuda.is_available():
        print(NO_CARD, file=sys.stderr)
        return 1
    if options.first is not None:
        return run_parts(scale, options.first, options.seconds)
    lines = supervise(scale, options.seconds)
    if scale is CARD:
        name, text = page(lines)
        (DOCS / name).write_text(text, "utf-8")
        print(f"written to docs/{name}")
    return int(any(line.startswith(FAILED) or line.endswith("WRONG") for line in lines))


if __name__ == "__main__":
    sys.exit(main(OPTIONS))
