"""Memory of a network in training and in use, forecast before any of it is taken: sizes by the rules, no torch.

What is counted, in bytes of the run's precision: weights, their gradients, AdamW's two moments (Loshchilov and Hutter
2019, arXiv:1711.05101), the network's index arrays, the tables of a pass, what its plan holds, and a checkpoint on its
way to the disk. tests/training/runs/test_memory.py holds the forecast to what a process really takes. Of a GPU's memory
nothing is said here.
"""

from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float64, Int64

from gocell_cli.free_memory import BILLION, require_memory
from gocell_cli.storage.reader import Cache
from gocell_cli.storage.schema import Hierarchy, Samples
from gocell_cli.training.runs.config import RunConfig
from gocell_cli.training.runs.samples import RunSamples

EVALUATED = 2048
"""Samples of a batch that is predicted; a test holds it equal to inference.predict.EVALUATION_BATCH."""
PIECE = 20
"""Most neurons of a block (`dcell.py`)."""
TABLES, SPARE = 3, 1.2
"""Tables of a pass, and how much larger than asked for they are made (`delta/cpu/layout.py`)."""
DENSE_PAYS = 64
"""Samples below which `auto` is dense on a CPU (`dcell.py`)."""
LOOPS = 110e6
"""Bytes of compiled loops and of what compiles them, whatever the network: 271 MB less 155 at 3.1 M parameters."""
MOST_SAID = 1e24
"""Bytes that a message names: what is beyond is as much too much."""
HINT = (
    "the defaults are --set min_width=0 --set ratio=0.3 --batch-size 800; a build with more --min-genes has fewer terms"
)


@dataclass(frozen=True)
class MemoryForecast:
    """Bytes by what they are for: floats, for a width may be any number.

    weights: with the statistics of BatchNorm. gradients, optimiser: 0 where nothing is trained. checkpoint: a copy of
    what is written. index: where everything lies. tables: activations and their gradients, of the largest batches.
    loops: what computes, whatever the network.
    """

    weights: float
    gradients: float
    optimiser: float
    checkpoint: float
    index: float
    tables: float
    loops: float = LOOPS

    @property
    def total(self) -> float:
        """All of it."""
        return float(sum(asdict(self).values()))

    def require(self, what: str, jobs: int = 1) -> None:
        """Raise TooLarge where `jobs` of it at a time are more than is free."""
        times = f"{jobs} times " if jobs > 1 else ""
        require_memory(round(min(jobs * self.total, MOST_SAID)), f"{times}{what} ({self.told()})", hint=HINT)

    def told(self) -> str:
        """Its parts in GB, the largest first, those below 1 % left out."""
        parts = sorted(asdict(self).items(), key=lambda part: -part[1])
        return ", ".join(f"{name} {size / BILLION:,.1f}" for name, size in parts if size > self.total / 100)


def widths(hierarchy: Hierarchy, width_by: str, config: RunConfig) -> Float64[np.ndarray, " terms"]:
    """Return each term's neurons by DCell's rule (`dcell_rules.term_width`) as floats: a setting may be any number."""
    counts = hierarchy.direct_genes if width_by == "direct" else hierarchy.contained_genes
    counts = counts // (1 if hierarchy.inputs is None else hierarchy.inputs.per_gene)
    width = np.maximum(float(config.network(width_by).min_width), np.ceil(config.ratio * counts.astype(np.float64)))
    top = hierarchy.stratum < config.top_strata
    width[top] = np.maximum(width[top], float(config.top_width))
    return width


def network_numbers(
    hierarchy: Hierarchy, width: Float64[np.ndarray, " terms"], config: RunConfig, phenotypes: int = 1
) -> float:
    """Return how many numbers a network of these widths learns, a head for each phenotype; padding not counted."""
    with np.errstate(over="ignore"):  # infinite is what it is then
        edges = width[hierarchy.edge_child] * width[hierarchy.edge_parent]
        learnt = config.learnt_vectors * (width.sum() + len(hierarchy.gene_names))
        products = config.products * (2 * width[hierarchy.edge_child].sum() + width.sum())
        # bias, BatchNorm's two, the heads', and a direction
        single = 3 + phenotypes + (config.gene_weights != "own")
        return float(edges.sum() + width[hierarchy.row_term].sum() + single * width.sum() + learnt + products)


def variants(
    hierarchy: Hierarchy, samples: Samples, rows: Int64[np.ndarray, " rows"], batch: int
) -> Float64[np.ndarray, " terms"]:
    """Return how many distinct genotypes of each term a batch of these samples has at most, the wild type's among them.

    Of B samples B times the share that deletes one of the term's genes; of k genes that are deleted at all, all single
    and double deletions.
    """
    sizes = np.diff(samples.gene_ptr)
    chosen = np.zeros(len(sizes), dtype=bool)
    chosen[rows] = True
    genes = samples.genes[np.repeat(chosen, sizes)]
    deleted = np.bincount(genes, minlength=len(hierarchy.gene_names)).astype(np.float64)
    ptr, term = hierarchy.closure
    of_term = np.bincount(term, np.repeat(deleted, np.diff(ptr)), len(hierarchy.term_ids))
    known = np.bincount(term, np.repeat((deleted > 0).astype(np.float64), np.diff(ptr)), len(hierarchy.term_ids))
    touched = batch * np.minimum(1.0, of_term / max(1, len(rows)))
    found: np.ndarray = 1 + np.minimum(touched, known + known * known / 2)
    return found


def training_forecast(
    hierarchy: Hierarchy,
    width_by: str,
    config: RunConfig,
    samples: Samples,
    rows: Int64[np.ndarray, " rows"],
    phenotypes: int = 1,
) -> MemoryForecast:
    """Return what a run takes that trains on these rows, on a CPU; the cache's own columns are not counted."""
    config = config.for_samples(len(rows))
    width, item = widths(hierarchy, width_by, config), itemsize(config)
    own = item * network_numbers(hierarchy, width, config, phenotypes)
    batches = [min(len(rows), config.batch_size), min(len(samples), EVALUATED)]
    found = [_table_entries(hierarchy, width, config, samples, rows, batch) for batch in batches]
    # of a pass that trains all tables, of one that predicts all but the gradients'
    tables = item * SPARE * (TABLES * found[0] + (TABLES - 1) * found[1])
    return MemoryForecast(own, own, 2 * own, 3 * own, index_bytes(hierarchy, width), tables)


def of_run(cache: Cache, config: RunConfig, samples: RunSamples) -> MemoryForecast:
    """Return what a run on a cache's samples takes."""
    width_by = cache.manifest.config["filters"]["width_by"]
    several = len(samples.each)
    return training_forecast(cache.hierarchy, width_by, config, cache.columns(), samples.rows, several)


def require_memory_of_run(cache: Cache, config: RunConfig, samples: RunSamples, jobs: int = 1) -> None:
    """Raise TooLarge where training `jobs` such runs at a time takes more than is free; a GPU has memory of its own."""
    if config.device != "cuda":
        config = config.for_samples(len(samples.rows))
        of_run(cache, config, samples).require(f"training {network_in_words(config)}", jobs)


def network_in_words(config: RunConfig) -> str:
    """Return what of the settings makes a network large."""
    top = f", top_width {config.top_width:,}" if config.top_width else ""
    return f"a network of min_width {config.min_width:,}{top} and ratio {config.ratio:g}"


def itemsize(config: RunConfig) -> int:
    """Return the bytes of a weight."""
    return 8 if config.precision == "64-true" else 4


def _table_entries(
    hierarchy: Hierarchy,
    width: Float64[np.ndarray, " terms"],
    config: RunConfig,
    samples: Samples,
    rows: Int64[np.ndarray, " rows"],
    batch: int,
) -> float:
    """How many numbers one table of a pass holds: neurons of each variant, or of each sample where it is dense."""
    dense = config.form == "dense" or (config.form == "auto" and batch < DENSE_PAYS)
    each = np.full(len(width), float(batch)) if dense else variants(hierarchy, samples, rows, batch)
    with np.errstate(over="ignore"):
        return float((width * each).sum())


def index_bytes(hierarchy: Hierarchy, width: Float64[np.ndarray, " terms"]) -> float:
    """Bytes of index arrays in int64: of neurons, of blocks of them that a term reads and that a gene has."""
    with np.errstate(over="ignore"):
        blocks = np.ceil(width / PIECE)
        of_genes = blocks[hierarchy.row_term].sum()
        return float(8 * (12 * width.sum() + 3 * blocks[hierarchy.edge_child].sum() + 3 * of_genes))
