"""The stacked DCell against the per-term oracle: full training steps on the bundled GO, and the machine's roofline.

Predicted before tuning, at batch 2048 on 2 cores: 24 MFLOP a sample at half the GEMM rate, 30 elementwise passes in
cache and 10 over memory give about 2,000 samples/s. Measured: half of it. Neither half is the GEMMs': tables of 660 MB
go through memory 26 times a step, and the batched matmul of [20, 40] x [40, 2048] runs at a third of the GEMM rate.
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from gocell_cli.training.network.dcell import DCell, DCellConfig
from tests.benchmarks.hierarchies import bundled_hierarchy
from tests.benchmarks.measure import Row, report
from tests.benchmarks.model_step import THREADS

BATCHES = (32, 256, 2048)
NAMES = (
    *(f"step_b{batch}" for batch in BATCHES),
    *(f"step_ma2018_b{batch}" for batch in BATCHES),
    "step_stratum_b256",
    "model_peak_mb_b2048",
)


@dataclass(frozen=True)
class Steps:
    """Samples/s of each step of one process, its peak MB, and those above parameters, gradients and optimiser."""

    rates: list[float]
    peak_mb: float
    above_mb: float


def measured(kind: str, preset: str, batch: int, level_by: str = "stratum", genotypes: str = "all") -> Steps:
    """Run one process of `model_step`."""
    command = [sys.executable, "-m", "tests.benchmarks.model_step", kind, preset, str(batch), level_by, genotypes]
    out = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return Steps([batch / s for s in out["seconds"]], out["peak_mb"], out["above_mb"])


def fastest(call: Callable[[], object], runs: int = 7) -> float:
    """Least seconds of some calls: a ceiling is what the machine can do."""
    found = []
    for _ in range(runs):
        started = time.perf_counter()
        call()
        found.append(time.perf_counter() - started)
    return min(found)


def machine() -> tuple[float, float]:
    """Return FLOP/s of a large float32 matmul and bytes/s of a large copy (read and written)."""
    torch.set_num_threads(THREADS)
    a, b = torch.randn(2048, 2048), torch.randn(2048, 2048)
    x, y = torch.randn(50_000_000), torch.empty(50_000_000)
    return 2 * 2048**3 / fastest(lambda: a @ b), 2 * 4 * len(x) / fastest(lambda: y.copy_(x))


def roofline(preset: str, batch: int, rates: tuple[float, float]) -> float:
    """Samples/s where the step took only the slower of its FLOPs at the GEMM rate and its bytes at the copy rate."""
    hierarchy, width_by = bundled_hierarchy(preset)
    model = DCell(hierarchy, DCellConfig(width_by=width_by))
    return batch / max(batch * model.flops() / rates[0], model.step_bytes(batch) / rates[1])


def line(name: str, ours: list[float], theirs: list[float], ceiling: float, peaks: tuple[float, float]) -> str:
    """One line of the table: spreads, share of the roofline, memory."""
    spread = f"{min(ours):,.0f}-{max(ours):,.0f}"
    oracle = f"oracle {statistics.median(theirs):,.0f} ({min(theirs):,.0f}-{max(theirs):,.0f})" if theirs else ""
    share = statistics.median(ours) / ceiling
    memory = f"peak MB {peaks[0]:,.0f}, {peaks[1]:,.0f}"
    return f"{name}: spread {spread}; {oracle}; roofline {ceiling:,.0f} (x{share:.2f}); {memory}"


def run() -> None:
    """Measure, and report."""
    rates, rows, notes = machine(), [], []
    notes.append(f"machine: {rates[0] / 1e9:.0f} GFLOP/s GEMM, {rates[1] / 1e9:.0f} GB/s copy, {THREADS} threads")
    for preset, prefix in (("true-path", "step_"), ("ma2018", "step_ma2018_")):
        for batch in BATCHES:
            with_oracle = preset == "true-path" or batch == 32
            first = measured("stacked", preset, batch)
            oracle = measured("oracle", preset, batch) if with_oracle else Steps([], 0.0, 0.0)
            ours = [*first.rates, *measured("stacked", preset, batch).rates]
            name, ceiling = f"{prefix}b{batch}", roofline(preset, batch, rates)
            other = statistics.median(oracle.rates) if with_oracle else ceiling
            value = statistics.median(ours)
            rows.append(Row(name, value, "samples/s", "per-term oracle" if with_oracle else "roofline", value / other))
            notes.append(line(name, ours, oracle.rates, ceiling, (first.peak_mb, oracle.peak_mb)))
            if name == "step_b2048":
                ratio = first.peak_mb / oracle.peak_mb
                rows.append(Row("model_peak_mb_b2048", first.peak_mb, "MB", "per-term oracle", ratio))
    rates_of = {g: statistics.median(measured("stacked", "true-path", 256, g).rates) for g in ("stratum", "height")}
    ratio = rates_of["stratum"] / rates_of["height"]
    rows.append(Row("step_stratum_b256", rates_of["stratum"], "samples/s", "run by height", ratio))
    report("DCell, full training steps", rows, notes)
