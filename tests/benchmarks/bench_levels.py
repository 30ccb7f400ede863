"""Does grouping by level help, and by how much? Loop, level batching and the delta form side by side, one run.

The same full training steps (forward, loss of all heads, backward, AdamW) on triple deletions of all annotated genes,
bundled GO. Between them stands what a launch-bound machine counts: blocks a step without batching, and with it.
"""

import numpy as np

from tests.benchmarks.bench_delta import spread
from tests.benchmarks.bench_model import measured
from tests.benchmarks.hierarchies import bundled_hierarchy
from tests.benchmarks.measure import Row, report

BATCHES = (32, 256, 2048)
WAYS = (("by_stratum", "stacked", "stratum"), ("by_height", "stacked", "height"), ("delta", "delta", "height"))
NAMES = (*(f"levels_{way}_b{batch}" for batch in BATCHES for way, _, _ in WAYS), "levels_blocks")


def run() -> None:
    """Measure, and report."""
    rows, notes = [], []
    for batch in BATCHES:
        loop = measured("oracle", "true-path", batch)
        notes.append(f"loop_b{batch}: {spread(loop.rates)} samples/s")
        for way, kind, grouping in WAYS:
            found = measured(kind, "true-path", batch, grouping).rates
            rows.append(
                Row.of(f"levels_{way}_b{batch}", found, "samples/s", f"per-term loop, {loop.rate:,.0f}", loop.rate)
            )
    hierarchy, _ = bundled_hierarchy("true-path")
    terms, levels = len(hierarchy.term_ids), len(np.unique(hierarchy.stratum))
    rows.append(Row("levels_blocks", levels, "levels a pass", f"{terms:,} terms", levels / terms))
    report("loop, level batching, delta form", rows, notes)
