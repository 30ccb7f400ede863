"""The stacked DCell against the per-term oracle: full training steps on the bundled GO, and the machine's roofline.

Predicted before tuning, at batch 2048 on 2 cores: 24 MFLOP a sample at half the GEMM rate, 30 elementwise passes in
cache and 10 over memory give about 2,000 samples/s. Measured: half of it. Neither half is the GEMMs': tables of 660 MB
go through memory 26 times a step, and the batched matmul of [20, 40] x [40, 2048] runs at a third of the GEMM rate.

Preset `ma2018` (845 MFLOP a sample, 2 cores of an AMD EPYC at 70 GFLOP/s), first 0.69 of the roofline at batch 256.
By themselves its products run at 0.96 of the GEMM rate, batched or one by one alike (442 buckets, the three kinds),
and 5 % of them are padding. So predicted: memory of the gradient kept (600 MB a step in fresh pages, 6 %), wide terms
without their own padding (1.7 %), BatchNorm and tanh in parts that fit the cache (nothing at 256, 1.2 s of 30 at
2048): 0.74 and 0.80. Measured: 0.71 at 256 (4 steps), 0.77 at 2048 (one, profiled). Of 33 s at 2048 the products are
28, tanh 0.9, gathers and their gradient 1.5, AdamW 0.2. What is left of padding is in the inputs (3.6 %: each child
is padded to blocks). Not tried: wide children multiplied where they lie, for of 293,000 gathered rows only 103,000
are of children of 200 neurons and more (0.4 s).

On two cores of an Intel Xeon with AVX-512 (220 to 290 GFLOP/s), beside one to three cores of other work: 0.36 to 0.42
of the roofline at 256 and 0.37 at 2,048, where a step of two threads got 1.1 cores. No bar can be judged by that.
"""

import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass

from tests.benchmarks.measure import Row, report
from tests.benchmarks.model_step import THREADS

BATCHES = (32, 256, 2048)
NAMES = (
    *(f"step_b{batch}" for batch in BATCHES),
    *(f"step_ma2018_b{batch}" for batch in BATCHES),
    *(f"step_ma2018_b{batch}_of_roofline" for batch in (256, 2048)),
    "step_stratum_b256",
    "model_peak_mb_b2048",
)
BARS = {256: 0.7, 2048: 0.8}
"""Of the machine's roofline, for preset `ma2018`."""


@dataclass(frozen=True)
class Steps:
    """Samples/s, wall and CPU seconds of each step of one process; its peak MB, and those above its parameters.

    `roofline`: samples/s where a step took only the slower of its FLOPs at the GEMM rate and its bytes at the copy
    rate, both measured in that process; 0 of a network that is not ours. `gemm`: FLOP/s. `parameters` are counted with
    their gradients and the optimiser's moments.
    """

    rates: list[float]
    seconds: list[float]
    cpu_seconds: list[float]
    peak_mb: float
    above_mb: float
    roofline: float
    gemm: float
    copy: float

    @property
    def rate(self) -> float:
        """The median of the rates."""
        return statistics.median(self.rates)


def measured(
    kind: str, preset: str, batch: int, level_by: str = "stratum", genotypes: str = "all", threads: int = THREADS
) -> Steps:
    """Run one process of `model_step`, on so many threads whatever library asks for them."""
    words = [kind, preset, str(batch), level_by, genotypes, str(threads)]
    limits = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    run = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.model_step", *words],
        check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **limits},
    )  # fmt: skip
    out = json.loads(run.stdout)
    rates = [out["samples"] / s for s in out["seconds"]]
    others = (out[name] for name in ("seconds", "cpu_seconds", "peak_mb", "above_mb", "roofline", "gemm", "copy"))
    return Steps(rates, *others)


def line(name: str, ours: Steps, oracle: Steps | None) -> str:
    """One line of the table: share of the roofline, CPU seconds, memory; the oracle's beside it."""
    shared = f"roofline {ours.roofline:,.0f} (x{ours.rate / ours.roofline:.2f}; {ours.gemm / 1e9:.0f} GFLOP/s, "
    shared += f"{ours.copy / 1e9:.0f} GB/s), {statistics.median(ours.cpu_seconds):.2f} CPU s a step, "
    shared += f"{len(ours.rates)} steps, peak {ours.peak_mb:,.0f} MB"
    if oracle is None:
        return f"{name}: {shared}"
    spread = f"{oracle.rate:,.0f} ({min(oracle.rates):,.0f}-{max(oracle.rates):,.0f})"
    return f"{name}: {shared}; oracle {spread}, peak {oracle.peak_mb:,.0f} MB"


def steps(preset: str, prefix: str) -> tuple[list[Row], list[str]]:
    """All batches of a preset: beside the oracle, or beside the roofline where the oracle takes too long."""
    rows, notes = [], []
    for batch in BATCHES:
        ours, name = measured("stacked", preset, batch), f"{prefix}b{batch}"
        oracle = measured("oracle", preset, batch) if preset == "true-path" or batch == 32 else None
        versus, other = ("per-term oracle", oracle.rate) if oracle else ("roofline", ours.roofline)
        rows.append(Row.of(name, ours.rates, "samples/s", versus, other))
        notes.append(line(name, ours, oracle))
        if oracle and name == "step_b2048":
            ratio = ours.peak_mb / oracle.peak_mb
            rows.append(Row("model_peak_mb_b2048", ours.peak_mb, "MB", "per-term oracle", ratio))
        if preset == "ma2018" and batch in BARS:
            shares = [rate / ours.roofline for rate in ours.rates]
            rows.append(Row.of(f"{name}_of_roofline", shares, "x", f"the bar of {BARS[batch]}", BARS[batch]))
    return rows, notes


def run() -> None:
    """Measure, and report."""
    rows, notes = steps("true-path", "step_")
    wide = steps("ma2018", "step_ma2018_")
    by = {level: measured("stacked", "true-path", 256, level) for level in ("stratum", "height")}
    row = Row.of("step_stratum_b256", by["stratum"].rates, "samples/s", "run by height", by["height"].rate)
    report(f"DCell, full training steps, {THREADS} threads", [*rows, *wide[0], row], [*notes, *wide[1]])
