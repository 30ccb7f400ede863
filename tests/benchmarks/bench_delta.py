"""The delta form against the dense one and the per-term oracle, same run: full training steps, index plan included.

Predicted before it was written, at batch 2048 on 2 cores: 53 distinct rows a sample, 0.3 M multiply-adds, so 30 ms of
matmuls, 60 ms of passes over 26 MB tables and 25 ms of planning: 18,000 samples/s. Measured: a third of it. The matmuls
are as predicted; planning takes 90 ms (NumPy's sorts and gathers of 260,000 pairs on one core), and 520 matmuls of 42
runs take 30 ms of launches. Lost on the way: rows by blocks of 20 neurons (six times the reads, for the namespace roots
have 39 blocks), and index_add_ instead of embedding_bag on the way down (50 ms of a step).
"""

import statistics

from tests.benchmarks.bench_model import measured
from tests.benchmarks.measure import Row, report

BATCHES, KINDS = (2048, 8192), ("random", "kuzmin")
NAMES = tuple(f"delta_b{b}_{k}{end}" for b in BATCHES for k in KINDS for end in ("", "_vs_oracle", "_vs_dense"))


def run() -> None:
    """Measure, and report; the oracle's 8192 would take 19 GB, so that of 2048 stands for it."""
    oracle, _ = measured("oracle", "true-path", 2048)
    slow = statistics.median(oracle)
    rows, notes = [], [f"oracle_b2048: {slow:,.0f} samples/s ({min(oracle):,.0f}-{max(oracle):,.0f})"]
    for batch in BATCHES:
        dense, dense_peak = measured("stacked", "true-path", batch)
        for kind in KINDS:
            delta, peak = measured("delta", "true-path", batch, "height", kind)
            name, value, other = f"delta_b{batch}_{kind}", statistics.median(delta), statistics.median(dense)
            rows.append(Row(name, value, "samples/s", "per-term oracle at 2048", value / slow))
            rows.append(Row(f"{name}_vs_oracle", value / slow, "x", "the bar of 25", value / slow / 25))
            rows.append(Row(f"{name}_vs_dense", value / other, "x", "the bar of 8", value / other / 8))
            spread = f"{min(delta):,.0f}-{max(delta):,.0f}"
            notes.append(f"{name}: spread {spread}; dense {other:,.0f}; peak MB {peak:,.0f}, dense {dense_peak:,.0f}")
    report("DCell, delta form", rows, notes)
