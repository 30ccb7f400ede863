"""The delta form against the dense one and the per-term oracle, same run: full training steps, index plan included.

Predicted before it was written, at batch 2048 on 2 cores: 53 distinct variants a sample, 0.3 M multiply-adds, so
30 ms of matmuls, 60 ms of passes over 26 MB tables and 25 ms of planning: 18,000 samples/s. Measured first, in
PyTorch's operations and NumPy: 6,800. The matmuls were as predicted; planning took 97 ms (sorts and gathers of
260,000 touches on one core), 1,560 batched matmuls of 42 bands 30 ms of launches, and forty passes over the tables the
rest. Compiled loops that plan by counting and pass each term's variants while they are in the cache gave 10,000.

Then written anew, predicted to halve a step: explicit vectors of one piece (20 numbers), a term's variants block by
block so that they stay in a core's cache from the children's products to the heads, no table of products, one list of
tasks a level taken by a counter, threads of our own, a plan sample by sample. One thread went from 380 to 181-191 ms of
a core, two from 335 to 139 (once, quiet). CPU milliseconds of one thread's step now (2,048 random triples; an AMD EPYC
with 32 GFLOP/s of a large matrix product a core; other work beside it, so least of several), with the operations that
the algebra asks for and the MB, estimated, that must pass memory once:

    part                               ms   GFLOP   MB    what
    children's products, up            21    0.24   46    x of the children, weights, d
    tanh, sums, BatchNorm, heads up    20       -   32    d, x
    edges down                         42    0.48  100    g thrice, x, weights and their gradient
    the rest down                      19       -   60    g, d, genes' gradient
    plan                               30       -    -    325,000 touches; 18 of them in the visit of samples
    targets by variant                  6       -    9    touches
    AdamW                              12       -  188    weights, gradient, two moments; torch's fused one
    loss, heads, averages, schedule     8       -    -
    everything                        191                  kernels 127 in it: the parts were measured one by one

So products are a sixth of the kernels: a tile runs at 36 GFLOP/s, as fast as the library's large product. The rest is
presumably memory: 7,064 edges of 30 variants each begin at another place.

Predicted, before they were written, for what is outside the kernels: loss and running averages in NumPy on one thread
3 ms less alone, and no wait for PyTorch's pool, whose waits made a step on shared cores 516 ms where one thread took
181; gradients' memory kept from step to step 5 ms less (27 MB of fresh pages). Measured: a step of one thread 204 to
191 ms, of which 5 are the targets' compiled sums; the loss with targets 12.5 to 8.3, the way down with its memory 81 to
75; the averages, beside busy neighbours on two threads, 113 to 0.8 ms. The kernels and AdamW still suffer there.

The second core, measured part by part (`step_parts.py`, with its table). By the schedule's own count of cycles two
threads could gain 1.92 up and 1.98 down; they gained 1.45 and 1.35, where two processes that share nothing gain 1.73
and a copy 1.1 to 1.4. Predicted, and measured: no barrier at a level's end, a task waits for its own children's (30
barriers of 0.2 ms, 6 ms; with the next two, 92 ms a step where there were 103, least of some); arguments of the loops
looked at once a pass (2 ms, of several processes 60; 1 ms a call, twice a level and direction); wild types' sums within
the tasks (0.8 ms; not seen beside the noise); losses in compiled loops (2 ms; 0.5); tables on pages of 2 MB, that had
gained nothing before (4 to 7 % of all). Least of a step: 126 ms on one thread and 80 to 89 on two, from 135 to 144 and
90 to 103; CPU 137 and 155 ms from 149 and 167. A loop that kept a step's heads until it had the next ones took fresh
tables every other step, 12,000 page faults or 25 ms: two passes' tables are kept now.

What is left between 1.5 and 1.7: memory (AdamW 1.3, the passes through BatchNorm 1.1 to 1.5), 8 ms that one thread
runs, and the plan's 31 ms, a third thread's on two cores. Not tried: x as a multiple of d, so that one table of 28 MB
is not written (d times gamma / deviation, the wild type's row apart: each edge's weights packed twice); to fetch the
next edge ahead; W turned round in registers (4 ms); half of a plan beside the other.

Preset `ma2018`: of 141 M multiply-adds a sample, random triples of all genes touch 77 at 2,048 samples, Kuzmin's
crosses 65, so at the library's own rate the products would be 1.82 and 2.18 of the roofline; 99 % are of edges between
terms of 100 neurons and more. They ran at 23 GFLOP/s a core up and 22 down (512 samples), where the library's large
product has 36: a child's rows passed memory once for each 20 neurons of its parent, the weights and their gradient, a
page for each row of 20, once for each 63 variants. Predicted for products cut as the library's are (CHUNK, PANEL,
GROUP, PART of cpu/kernels.py): 0.9 of its rate. Measured, beside other work: 30 and 30 GFLOP/s for all of it; one edge
of 800 to 600 neurons, 922 variants, 0.94 up and 0.95 down of the library's in the same process. The bundled hierarchy's
passes take what they took (35 and 50 CPU ms at 2,048). Chunks of 252 or panels of 12 blocks are the same within 2 %.
By PyTorch's products instead: not tried, for these lose at most 6 %, and its bits may depend on the number of threads.

AVX-512, on an Intel Xeon of 2023 (Emerald Rapids, 139 GFLOP/s of a large product a core where AVX2's registers allow
half of that), beside a core of other work. Predicted of registers of 64 bytes, six rows a tile (two registers each: a
sum waits four cycles for itself, so eight of them at once) and five of a weights' gradient: a row's products in 1
cycle where there were 1.5. Measured, least ms of one thread at 2,048 random triples: products up 15.5 to 10.3,
down 15.6 to 10.6, the whole way up 21.1 to 14.0 and down 26.8 to 18.9; of `ma2018` at 256 up 1,120 to 810, down 1,600
to 1,190. Registers of 64 bytes with three rows a tile gained 15 % of a step of `ma2018`.
Whole steps of it on two threads, of the roofline (220 to 300 GFLOP/s, the machine busy: the share is a lower bound):
delta at 256 0.48 before and 0.59 after, at 2,048 1.22 after (7.6 s a step). A piece of 20 numbers fills
16 of one register and 4 of the next, so 0.62 of the library's rate is the most.

Lost on the way, at batch 2048: variants by blocks of 20 neurons (six times the reads, for the namespace roots have 39
blocks); index_add_ instead of embedding_bag (50 ms of a step); loops indexed with an offset instead of over slices
(three times as slow, for the compiler does not vectorise them: 258 ms a step against 199); the few-variants products
in plain loops (46 ms, four inner products a pass 14); of numba, which compiled the loops once, the workqueue threads
(386 ms a step against OpenMP's 258); OpenMP, which changes PyTorch's number of threads and spins beside its pool; four
variants a tile, which spill (28 GFLOP/s against 39); a wide term cut into 80 neurons a task, which fit a core's cache
but not its page table (7.7 ms
a pass of the widest against 5.8); huge pages (no gain); a plan by terms, sorted before and after (47 ms against 27).
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
from gocell_cli.training.inference.all_combinations import CombinationTask, predict_combinations
from gocell_cli.training.inference.answers import Answers
from gocell_cli.training.inference.predict import Predictor
from gocell_cli.training.network.config import DCellConfig
from gocell_cli.training.network.dcell import DCell
from gocell_cli.training.network.delta.form import DeltaForm
from tests.benchmarks.bench_model import measured
from tests.benchmarks.genotypes import DRAWS
from tests.benchmarks.hierarchies import bundled_hierarchy
from tests.benchmarks.measure import Row, cores, report
from tests.benchmarks.model_step import THREADS

BATCHES, KINDS = (2048, 8192), ("random", "kuzmin")
VERSUS_ORACLE, VERSUS_DENSE = {2048: 50, 8192: 65}, {2048: 15, 8192: 25}
THREADS_GAIN = {2: 1.7, 4: 3.0}
"""What a step of 2048 is to gain on so many threads over one."""
WIDE_BAR = 1.8
"""Of the machine's GEMM roofline for the dense form's work, preset `ma2018`: less work than it counts."""
NAMES = (
    *(f"delta_b{b}_{k}{end}" for b in BATCHES for k in KINDS for end in ("", "_vs_oracle", "_vs_dense")),
    *(f"delta_threads_{threads}" for threads in THREADS_GAIN),
    "delta_b256_kuzmin",
    "delta_whole_kuzmin",
    "delta_memory_mb_b2048",
    "delta_drugcell_b2048",
    "delta_ma2018_b2048",
    "delta_ma2018_b2048_of_roofline",
    "delta_ma2018_b256",
    "all_pairs_per_second",
)
UPPER = 2
"""The strata counted as upper terms: the roots, their children, and theirs."""
PAIR_GENES = 512
ORACLE_GB = 22
"""Memory that the oracle's step of 8192 samples needs."""


def run() -> None:
    """Measure, and report; where memory does not hold the oracle's batch of 8192, that of 2048 stands for it."""
    rows, notes = against_both()
    for found in (threads(), structure(), memory(), drugcell(), wide(), pairs()):
        rows += found[0]
        notes += found[1]
    report(f"DCell, delta form, {THREADS} threads", rows, notes)


def physical_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):,.0f} ({min(values):,.0f}-{max(values):,.0f})"


def against_both() -> tuple[list[Row], list[str]]:
    """Full steps beside the oracle's and the dense form's."""
    rows, notes = [], []
    for batch in BATCHES:
        at = batch if batch < max(BATCHES) or physical_gb() >= ORACLE_GB else min(BATCHES)
        oracle, dense = measured("oracle", "true-path", at), measured("stacked", "true-path", batch)
        notes += [f"oracle_b{at}: {spread(oracle.rates)} samples/s", f"dense_b{batch}: {spread(dense.rates)} samples/s"]
        for kind in KINDS:
            delta, name = measured("delta", "true-path", batch, "height", kind), f"delta_b{batch}_{kind}"
            rows.append(Row.of(name, delta.rates, "samples/s", f"per-term oracle at {at}", oracle.rate))
            for end, other, bar in (("oracle", oracle, VERSUS_ORACLE[batch]), ("dense", dense, VERSUS_DENSE[batch])):
                ratios = [rate / other.rate for rate in delta.rates]
                rows.append(Row.of(f"{name}_vs_{end}", ratios, "x", f"the bar of {bar}", bar))
            cpu = statistics.median(delta.cpu_seconds)
            notes.append(f"{name}: {spread(delta.rates)} samples/s, {cpu:.3f} CPU s a step, {len(delta.rates)} steps")
    return rows, notes


def threads() -> tuple[list[Row], list[str]]:
    """What further threads gain over one at batch 2048, as many as there are cores for."""
    found = {n: measured("delta", "true-path", 2048, "height", "random", n) for n in (1, *THREADS_GAIN) if n <= cores()}
    rows = [
        Row.of(f"delta_threads_{n}", [r / found[1].rate for r in found[n].rates], "x", f"the bar of {bar}", bar)
        for n, bar in THREADS_GAIN.items()
        if n in found
    ]
    return rows, [f"threads {n}: {spread(own.rates)} samples/s" for n, own in found.items()]


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
            rates = measured("delta", "true-path", batch, "height", "kuzmin").rates
            rows.append(Row.of(f"delta_{name}_kuzmin", rates, "samples/s", "the bar of 10,000", 10_000))
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
    """DrugCell's shape, triple deletions, beside SparseGO's form of it."""
    found = {kind: measured(kind, "drugcell", 2048) for kind in ("delta", "stacked", "sparsego")}
    row = Row.of(
        "delta_drugcell_b2048", found["delta"].rates, "samples/s", "SparseGO's form (bar 20)", found["sparsego"].rate
    )
    return [row], [f"drugcell {kind}: {spread(own.rates)} samples/s" for kind, own in found.items()]


def wide() -> tuple[list[Row], list[str]]:
    """Preset ma2018, whose upper terms are wide and touched by nearly every sample; their share of multiply-adds."""
    delta, dense = (measured(kind, "ma2018", 2048) for kind in ("delta", "stacked"))
    of_roofline = [rate / delta.roofline for rate in delta.rates]
    rows = [
        Row.of("delta_ma2018_b2048", delta.rates, "samples/s", "dense form", dense.rate),
        Row.of("delta_ma2018_b2048_of_roofline", of_roofline, "x", f"the bar of {WIDE_BAR}", WIDE_BAR),
    ]
    small = measured("delta", "ma2018", 256)
    rows.append(Row.of("delta_ma2018_b256", small.rates, "samples/s", "roofline", small.roofline))
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
    return rows, [
        note,
        f"ma2018 dense: {spread(dense.rates)} samples/s, x{dense.rate / dense.roofline:.2f} of the roofline",
    ]


def pairs() -> tuple[list[Row], list[str]]:
    """Prediction of all double deletions of some genes, files included."""
    torch.set_num_threads(THREADS)
    hierarchy, width_by = bundled_hierarchy("true-path")
    model = DCell(hierarchy, DCellConfig(width_by=width_by, form="delta")).eval()
    annotated = np.unique(hierarchy.row_gene).astype(np.int64)
    genes = np.sort(np.random.default_rng(3).choice(annotated, PAIR_GENES, replace=False))
    known = np.ones(len(hierarchy.gene_names), dtype=bool)
    predictor = Predictor(model, hierarchy, LabelScale(0.0, 1.0, logits=False), "fitness", known)
    task = CombinationTask(Answers((predictor,)), genes)
    rates = []
    for _ in range(3):
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            predict_combinations(task, Path(folder) / "pairs.parquet", lambda *_: None)
            rates.append(len(task) / (time.perf_counter() - started))
    row = Row.of("all_pairs_per_second", rates, "pairs/s", "training's bar of 10,000", 10_000)
    genome, value = len(annotated) * (len(annotated) - 1) // 2, row.value
    return [row], [f"all pairs: {spread(rates)} pairs/s, {genome:,} of the genome in {genome / value / 60:.0f} minutes"]
