"""The delta form against the dense one and the per-term oracle, same run: full training steps, index plan included.

Predicted before it was written, at batch 2048 on 2 cores: 53 distinct variants a sample, 0.3 M multiply-adds, so
30 ms of matmuls, 60 ms of passes over 26 MB tables and 25 ms of planning: 18,000 samples/s. Measured first, in
PyTorch's operations and NumPy: 6,800. The matmuls were as predicted; planning took 97 ms (sorts and gathers of
260,000 touches on one core), 1,560 batched matmuls of 42 bands 30 ms of launches, and forty passes over the tables the
rest. Compiled loops that plan by counting and pass each term's variants while they are in the cache gave 10,000.

Lost on the way, at batch 2048: variants by blocks of 20 neurons (six times the reads, for the namespace roots have 39
blocks); index_add_ instead of embedding_bag (50 ms of a step); loops indexed with an offset instead of over slices
(three times as slow, for the compiler does not vectorise them: 258 ms a step against 199); the few-variants products
in plain loops (46 ms, four inner products a pass 14); numba's workqueue threads (386 ms a step against OpenMP's 258); a
wide term cut into 80 neurons a task, which fit a core's cache but not its page table (7.7 ms a pass of the widest
against 5.8); huge pages (no gain).
"""

import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from gocell_cli.training.data.batch import Deletions
from gocell_cli.training.data.labels import LabelScale
from gocell_cli.training.inference.all_pairs import PairTask, predict_all_pairs
from gocell_cli.training.inference.predict import Predictor
from gocell_cli.training.network.dcell import DCell, DCellConfig
from gocell_cli.training.network.delta.form import DeltaForm
from tests.benchmarks.bench_model import measured
from tests.benchmarks.genotypes import DRAWS
from tests.benchmarks.hierarchies import bundled_hierarchy
from tests.benchmarks.measure import Row, report
from tests.benchmarks.model_step import THREADS

BATCHES, KINDS = (2048, 8192), ("random", "kuzmin")
NAMES = (
    *(f"delta_b{b}_{k}{end}" for b in BATCHES for k in KINDS for end in ("", "_vs_oracle", "_vs_dense")),
    "delta_b256_kuzmin",
    "delta_whole_kuzmin",
    "delta_memory_mb_b2048",
    "delta_drugcell_b2048",
    "delta_ma2018_b2048",
    "all_pairs_per_second",
)
SPARSEGO = 455
"""SparseGO's forward + backward on DrugCell's shape, samples/s on 2 threads (reference/peers.md of the project)."""
UPPER = 2
"""The strata counted as upper terms: the roots, their children, and theirs."""
PAIR_GENES = 512
ORACLE_GB = 22
"""Memory that the oracle's step of 8192 samples needs."""


def run() -> None:
    """Measure, and report; where memory does not hold the oracle's batch of 8192, that of 2048 stands for it."""
    rows, notes = against_both()
    for found in (structure(), memory(), drugcell(), wide(), pairs()):
        rows += found[0]
        notes += found[1]
    report("DCell, delta form", rows, notes)


def physical_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):,.0f} ({min(values):,.0f}-{max(values):,.0f})"


def against_both() -> tuple[list[Row], list[str]]:
    """Full steps beside the oracle's and the dense form's."""
    rows, notes = [], []
    for batch in BATCHES:
        at = batch if batch < max(BATCHES) or physical_gb() >= ORACLE_GB else min(BATCHES)
        oracle = measured("oracle", "true-path", at).rates
        slow = statistics.median(oracle)
        dense = measured("stacked", "true-path", batch).rates
        notes += [f"oracle_b{at}: {spread(oracle)} samples/s", f"dense_b{batch}: {spread(dense)} samples/s"]
        for kind in KINDS:
            delta = measured("delta", "true-path", batch, "height", kind).rates
            name, value, other = f"delta_b{batch}_{kind}", statistics.median(delta), statistics.median(dense)
            rows.append(Row(name, value, "samples/s", f"per-term oracle at {at}", value / slow))
            rows.append(Row(f"{name}_vs_oracle", value / slow, "x", "the bar of 25", value / slow / 25))
            rows.append(Row(f"{name}_vs_dense", value / other, "x", "the bar of 8", value / other / 8))
            notes.append(f"{name}: {spread(delta)} samples/s")
    return rows, notes


def structure() -> tuple[list[Row], list[str]]:
    """The cost per sample falls as a batch of recurring queries grows; variants a sample beside it."""
    hierarchy, _ = bundled_hierarchy("true-path")
    form, draw = DeltaForm.of(DCell(hierarchy, DCellConfig(form="delta"))), DRAWS["kuzmin"](hierarchy)
    rows, notes = [], []
    for name, batch in (("b256", 256), ("b2048", 2048), ("b8192", 8192), ("whole", 200_000)):
        genes = draw(np.random.default_rng(1), batch)
        plan = form.plan(batch_of(genes, len(hierarchy.gene_names)))
        notes.append(f"kuzmin {name}: {len(genes):,} samples, {len(plan.weight) / len(genes):.1f} variants a sample")
        if name in ("b256", "whole"):
            rates = [r * len(genes) / batch for r in measured("delta", "true-path", batch, "height", "kuzmin").rates]
            value = statistics.median(rates)
            rows.append(Row(f"delta_{name}_kuzmin", value, "samples/s", "the bar of 10,000", value / 10_000))
    return rows, notes


def batch_of(genotypes: np.ndarray, genes: int) -> Deletions:
    ptr = torch.arange(0, genotypes.size + 1, genotypes.shape[1])
    return Deletions.of(ptr, torch.from_numpy(genotypes.ravel()), genes)


def memory() -> tuple[list[Row], list[str]]:
    """Peak above parameters, gradients and optimiser state."""
    delta = measured("delta", "true-path", 2048, "height", "random").above_mb
    dense = measured("stacked", "true-path", 2048, "height", "random").above_mb
    versus = f"dense form's {dense:,.0f} MB (bar 0.25)"
    return [Row("delta_memory_mb_b2048", delta, "MB", versus, delta / dense)], []


def drugcell() -> tuple[list[Row], list[str]]:
    """Forward and backward on DrugCell's shape, triple deletions."""
    found = {kind: measured(kind, "drugcell", 2048).rates for kind in ("delta", "stacked")}
    value = statistics.median(found["delta"])
    row = Row("delta_drugcell_b2048", value, "samples/s", f"SparseGO's {SPARSEGO} (bar 20)", value / SPARSEGO)
    return [row], [f"drugcell delta {spread(found['delta'])}, dense {spread(found['stacked'])} samples/s"]


def wide() -> tuple[list[Row], list[str]]:
    """Preset ma2018, whose upper terms are wide and touched by nearly every sample; their share of multiply-adds."""
    delta, dense = (statistics.median(measured(k, "ma2018", 2048).rates) for k in ("delta", "stacked"))
    hierarchy, width_by = bundled_hierarchy("ma2018")
    model = DCell(hierarchy, DCellConfig(width_by=width_by, form="delta"))
    form = DeltaForm.of(model)
    index, genes = form.index, DRAWS["random"](hierarchy)(np.random.default_rng(1), 2048)
    variants = np.diff(form.plan(batch_of(genes, len(hierarchy.gene_names))).variant_ptr)[index.child]
    adds = variants * np.diff(index.chunk_ptr)
    upper = hierarchy.stratum[model.stack.order][index.parent] <= UPPER
    share = adds[upper].sum() / adds.sum()
    each = adds.sum() * model.stack.piece / 2048 / 1e6
    note = f"ma2018: strata 0-{UPPER} are {share:.0%} of {each:.1f} M multiply-adds a sample ({len(variants):,} edges)"
    return [Row("delta_ma2018_b2048", delta, "samples/s", "dense form", delta / dense)], [note]


def pairs() -> tuple[list[Row], list[str]]:
    """Prediction of all double deletions of some genes, files included."""
    torch.set_num_threads(THREADS)
    hierarchy, width_by = bundled_hierarchy("true-path")
    model = DCell(hierarchy, DCellConfig(width_by=width_by, form="delta")).eval()
    annotated = np.unique(hierarchy.row_gene).astype(np.int64)
    genes = np.sort(np.random.default_rng(3).choice(annotated, PAIR_GENES, replace=False))
    known = np.ones(len(hierarchy.gene_names), dtype=bool)
    task = PairTask(Predictor(model, hierarchy, LabelScale(0.0, 1.0, logits=False), "fitness", known), genes)
    rates = []
    for _ in range(3):
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            predict_all_pairs(task, Path(folder) / "pairs.parquet", lambda *_: None)
            rates.append(task.pairs / (time.perf_counter() - started))
    value, genome = statistics.median(rates), len(annotated) * (len(annotated) - 1) // 2
    row = Row("all_pairs_per_second", value, "pairs/s", "training's bar of 10,000", value / 10_000)
    return [row], [f"all pairs: {spread(rates)} pairs/s, {genome:,} of the genome in {genome / value / 60:.0f} minutes"]
