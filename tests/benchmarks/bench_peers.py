"""Other systems' forms beside ours, one run: the same hierarchy, batches, seeds and threads, a process each.

Full training steps (forward, the loss that a form has, backward, fused AdamW) on the bundled GO, `true-path`, and on a
hierarchy of DrugCell's shape (2,086 terms of 6 neurons). The forms are our own transcriptions (tests/reference/), and
tests/training/network/test_peers.py holds each to the per-term oracle where it computes the same. Their licences: see
the head of each.

Predicted before it ran, samples/s on 2 cores: torchcell 13 to 30 at any batch, for its gathers are made sample by
sample (3,793 terms x batch, 10 to 20 us each); DrugCell on the bundled GO 30 at 256, for its gene layers multiply by
340 M zeros (2 GFLOP a sample at 65 GFLOP/s); SparseGO on DrugCell's shape 450, as was measured of the original.
Measured first, batch 64 on one thread of an AMD EPYC at 35 GFLOP/s: torchcell 7 on the bundled GO, 27 us a gather.
On cores that other work shares, thousands of small operations on two threads wait for each other: a step of torchcell's
form took 57 s where one thread took 5. The table then says BUSY, and its figures are to be thrown away.

What a form does not compute stands in DIFFERS, beside its figure. A form that this machine's memory cannot hold is not
run, and the table says what it would take. A peer whose step takes minutes at a large batch is run at the small one:
`LIMIT_S` bounds a step, by the rate at the batch before.
"""

import os
import statistics

from gocell_cli.training.network.layout import term_widths
from tests.benchmarks.bench_model import Steps, measured
from tests.benchmarks.measure import Row, report
from tests.benchmarks.model_step import THREADS, network_of
from tests.reference.drugcell import gene_layer_bytes
from tests.reference.sparsego import dense_gradient_bytes

HIERARCHIES = {"go": "true-path", "drugcell": "drugcell"}
BATCHES = (256, 2048)
KINDS = ("delta", "stacked", "oracle", "torchcell", "drugcell", "sparsego")
CALLED = {"stacked": "dense", "drugcell": "drugcell_form"}
NAMES = tuple(f"peers_{h}_b{b}_{CALLED.get(k, k)}" for h in HIERARCHIES for b in BATCHES for k in KINDS)
LIMIT_S = 30.0
"""Seconds that one step may take: a peer's rate at one batch says whether the next is tried."""
DIFFERS = {
    "delta": "exact",
    "stacked": "exact",
    "oracle": "the reference",
    "torchcell": "the same mathematics, norm order bn-tanh, auxiliary losses averaged",
    "drugcell": "a layer more per gene, heads with a tanh; no drugs' half",
    "sparsego": "no head but the root's, virtual nodes between levels; no drugs' half",
}


def needed_gb(kind: str, preset: str) -> float:
    """Memory that a peer's weights alone ask for, GB; 0 where that is not what stops it."""
    hierarchy, config = network_of(preset, "stratum", "dense")
    if kind == "drugcell":
        return gene_layer_bytes(hierarchy) / 2**30
    if kind == "sparsego":
        widths = term_widths(hierarchy, config.width_by, config.min_width, config.ratio).tolist()
        # the dense gradient, and the product that it is made from
        return 2 * dense_gradient_bytes(hierarchy, widths) / 2**30
    return 0.0


def available_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES") / 2**30


def line(name: str, kind: str, found: Steps) -> str:
    """One line of the table: wall and CPU seconds a step, memory, and what differs."""
    wall = found.seconds
    return (
        f"{name}: {statistics.median(wall):.3f} s a step ({min(wall):.3f}-{max(wall):.3f}, {len(wall)} steps), "
        f"{statistics.median(found.cpu_seconds):.3f} CPU s, peak {found.peak_mb:,.0f} MB; {DIFFERS[kind]}"
    )


def group(called: str, preset: str) -> tuple[list[Row], list[str]]:
    """All forms on one hierarchy; the delta form first, for every ratio is against it."""
    rows, notes, last = list[Row](), list[str](), dict[str, float]()
    too_large = {kind: gb for kind in KINDS if (gb := needed_gb(kind, preset)) > available_gb()}
    for batch in BATCHES:
        ours = 0.0
        for kind in KINDS:
            name = f"peers_{called}_b{batch}_{CALLED.get(kind, kind)}"
            if kind in too_large:
                notes.append(f"{name}: not run, its weights and their dense gradients ask for {too_large[kind]:.0f} GB")
            elif batch / last.get(kind, batch) > LIMIT_S:
                notes.append(
                    f"{name}: not run, at {last[kind]:,.0f} samples/s a step would take {batch / last[kind]:.0f} s"
                )
            else:
                found = measured(kind, preset, batch)
                last[kind] = found.rate
                ours = ours or found.rate
                rows.append(Row.of(name, found.rates, "samples/s", "the delta form", ours))
                notes.append(line(name, kind, found))
    return rows, notes


def run() -> None:
    """Measure, and report."""
    rows, notes = list[Row](), list[str]()
    for called, preset in HIERARCHIES.items():
        found = group(called, preset)
        rows += found[0]
        notes += found[1]
    report(f"Other systems' forms, full training steps, {THREADS} threads", rows, notes)
