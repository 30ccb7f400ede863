"""How fast batches come out of a cache: deleted genes, state columns, and whole HeteroDataBatches.

A cache of 1,000,000 made-up pairs of deletions on the bundled hierarchy, read in shuffled batches in this
process. Every figure is the median over REPEATS passes, and so is what it is held against, in the same run.
"""

import pickle
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import lmdb
import numpy as np
import torch
from torch_geometric.data import Batch, HeteroData

from gocell_cli.building.build import BuildMode, build
from gocell_cli.storage.reader import Cache
from gocell_cli.training.data.batch import CacheRows
from gocell_cli.training.data.order import RowBatches
from gocell_cli.training.pyg.cell_dataset import FOLLOW_BATCH, CellDataset
from gocell_cli.training.pyg.state_tables import StateTables
from tests.benchmarks.measure import Row, report
from tests.benchmarks.synthetic import synthetic_plan

NAMES = ("load_genes_per_second", "load_state_per_second", "load_hetero_ratio")
SAMPLES = 1_000_000
GENES_BATCH, STATE_BATCH, HETERO_BATCH = 8192, 1024, 32
DENSE_SAMPLES = 256
REPEATS = 7


def rates(run: Callable[[], int]) -> list[float]:
    """Samples a second of each pass, after one that does not count; `run` returns the samples it read."""
    found = []
    for _ in range(REPEATS + 1):
        started = time.perf_counter()
        samples = run()
        found.append(samples / (time.perf_counter() - started))
    return found[1:]


def spread(found: Sequence[float]) -> str:
    return f"{min(found):,.0f}-{max(found):,.0f}"


class PickledSamples:
    """The naive form: one LMDB, one pickle a sample, read sample by sample."""

    def __init__(self, path: Path, values: Iterator[object], map_size: int) -> None:
        self.env = lmdb.open(str(path), map_size=map_size, readahead=True)
        with self.env.begin(write=True) as transaction:
            for i, value in enumerate(values):
                transaction.put(str(i).encode(), pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL))
        self.size = i + 1

    def batches(self, size: int, count: int, seed: int) -> Iterator[list]:
        order = random.Random(seed).sample(range(self.size), min(size * count, self.size))
        for start in range(0, len(order) - size + 1, size):
            with self.env.begin() as transaction:
                yield [pickle.loads(transaction.get(str(i).encode(), b"")) for i in order[start : start + size]]


def bench_genes(cache: Cache, folder: Path) -> tuple[Row, list[str]]:
    rows = CacheRows(cache)
    batches = list(RowBatches(len(rows), GENES_BATCH, seed=1))

    def ours() -> int:
        return sum(len(rows.__getitems__(batch)) for batch in batches)

    def order() -> int:
        return sum(map(len, RowBatches(len(rows), GENES_BATCH, seed=1)))

    head = cache.rows(range(100_000))
    pairs = head.genes.reshape(-1, 2).tolist()
    naive_store = PickledSamples(folder / "genes", iter(zip(pairs, head.value.tolist(), strict=True)), 1 << 28)

    def naive() -> int:
        read = 0
        for batch in naive_store.batches(GENES_BATCH, 10, seed=1):
            genes = torch.cat([torch.tensor(g) for g, _ in batch])
            read += len(torch.tensor([v for _, v in batch])) if len(genes) else 0
        return read

    found, peer, shuffling = rates(ours), rates(naive), rates(order)
    value = statistics.median(found)
    row = Row(NAMES[0], value, "samples/s", "LMDB of pickles, one by one", value / statistics.median(peer))
    return row, [
        f"{NAMES[0]} spread {spread(found)}, naive {spread(peer)}; shuffling an epoch"
        f" {statistics.median(shuffling) / 1e6:.1f} M rows/s"
    ]


def bench_state(cache: Cache) -> tuple[Row, list[str]]:
    hierarchy = cache.hierarchy
    tables = StateTables(cache, np.ones((hierarchy.rows, 1), dtype=np.uint8))
    batches = list(RowBatches(len(cache), STATE_BATCH, seed=2))[:40]

    def ours() -> int:
        for batch in batches:
            tables.fill(cache.rows(batch))
        return sum(map(len, batches))

    def fresh() -> int:
        return sum(len(cache.state(batch)) for batch in batches[:4])

    def naive() -> int:
        samples = cache.rows(batches[0][:256])
        lists = np.split(samples.genes, samples.gene_ptr[1:-1])
        return len(torch.from_numpy(np.stack([~np.isin(hierarchy.row_gene, g) for g in lists]).astype(np.uint8)))

    found, peer, new = rates(ours), rates(naive), statistics.median(rates(fresh))
    value = statistics.median(found)
    samples = cache.rows(batches[0])
    touched = int((tables.fill(samples) == 0).sum()) / STATE_BATCH
    row = Row(NAMES[1], value, "samples/s", "np.isin sample by sample", value / statistics.median(peer))
    return row, [
        f"{NAMES[1]} spread {spread(found)}, naive {spread(peer)}; {hierarchy.rows:,} rows a sample:"
        f" {value * hierarchy.rows / 1e9:.1f} GB/s handed out, {touched:.1f} bytes a sample set to 0 and back",
        f"  into new memory every time (Cache.state): {new:,.0f} samples/s, {new * hierarchy.rows / 1e9:.1f} GB/s",
    ]


def _naive_hetero(table: np.ndarray, genes: np.ndarray, value: float, num_genes: int, num_terms: int) -> HeteroData:
    """The least that a trainer needs: the table, the deleted genes, the label; no names, no dict, no edges."""
    data = HeteroData()
    data["gene"].num_nodes, data["gene_ontology"].num_nodes = num_genes, num_terms
    data["gene"].perturbation_indices = torch.from_numpy(genes)
    data["gene"].phenotype_values = torch.tensor([value])
    data["gene_ontology"].mutant_state = torch.from_numpy(table)
    return data


def bench_hetero(cache: Cache, folder: Path) -> tuple[Row, list[str]]:
    dataset = CellDataset(cache)
    sizes = (dataset.num_genes, dataset.num_terms)
    batches = list(RowBatches(len(cache), HETERO_BATCH, seed=3))[: DENSE_SAMPLES // HETERO_BATCH]
    rows = np.concatenate(batches)
    samples = cache.rows(rows)
    tables = (cache.mutant_state([row])[0].astype(np.float32) for row in rows.tolist())
    pairs = samples.genes.reshape(-1, 2).astype(np.int64)
    stored = zip(tables, pairs, samples.value.tolist(), strict=True)
    naive_store = PickledSamples(folder / "dense", stored, 1 << 30)

    def ours() -> int:
        return sum(dataset.batch(batch).num_graphs for _ in range(8) for batch in batches)

    def held() -> int:
        kept = [dataset.batch(batch) for batch in batches]
        return sum(batch.num_graphs for batch in kept)

    def naive() -> int:
        read = 0
        for batch in naive_store.batches(HETERO_BATCH, len(batches), seed=3):
            listed = [_naive_hetero(table, genes, value, *sizes) for table, genes, value in batch]
            read += Batch.from_data_list(listed, follow_batch=FOLLOW_BATCH).num_graphs
        return read

    found, peer, new = rates(ours), rates(naive), rates(held)
    value, other, kept = (statistics.median(r) for r in (found, peer, new))
    table_gb = cache.hierarchy.rows * 16 / 1e9
    row = Row(NAMES[2], value / other, "x", "LMDB of pickled tables, PyG's Batch", value / other)
    return row, [
        f"{NAMES[2]}: {value:,.0f} samples/s ({spread(found)}), tables of {value * table_gb:,.1f} GB/s handed out;"
        f" naive {other:,.0f} ({spread(peer)}), {other * table_gb:.2f} GB/s moved",
        f"  with {len(batches)} batches held at once, so that memory is new: {kept:,.0f} samples/s,"
        f" {kept * table_gb:.1f} GB/s, {kept / other:.1f} x",
    ]


def run() -> None:
    """Measure and report."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        cache = Cache(build(synthetic_plan(SAMPLES, ("parquet",)), path / "cache", BuildMode()).directory)
        found = [bench_genes(cache, path), bench_state(cache), bench_hetero(cache, path)]
    notes = [
        f"batches of {GENES_BATCH} (genes), {STATE_BATCH} (state), {HETERO_BATCH} (HeteroDataBatch), shuffled;"
        f" medians of {REPEATS} passes",
        *(line for _, lines in found for line in lines),
    ]
    report("loading, 1,000,000 samples", [row for row, _ in found], notes)
