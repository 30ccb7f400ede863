"""Checks of a shard's values: indices in range, genes ascending, lists that lie end to end.

Made as a shard, or a few of its samples, are decoded, whoever reads them: its hashes may be right and its values not.
NumPy reads past no end, but takes -1 for the last gene; compiled kernels read whatever lies there.
"""

from dataclasses import dataclass

import numpy as np

from gocell_cli.storage.schema import NONE_INDEX, Samples


@dataclass(frozen=True)
class Limits:
    """How many genes, data sets, query groups and strains there are for samples to index; phenotypes they have."""

    genes: int
    datasets: int
    query_groups: int
    strains: int
    phenotypes: int = 1


def sample_faults(samples: Samples, limits: Limits) -> list[str]:
    """Return what is wrong with the values of some samples, one sentence a fault; empty where all holds."""
    bounds = {
        "genes": (0, limits.genes),
        "dataset": (0, limits.datasets),
        "query_group": (NONE_INDEX, limits.query_groups),
        "query_strain": (NONE_INDEX, limits.strains),
        "array_strain": (NONE_INDEX, limits.strains),
    }
    columns = samples.columns()
    faults = [f"{name} out of range" for name, (low, high) in bounds.items() if not _within(columns[name], low, high)]
    if len(samples) and len(samples.others) + 1 != limits.phenotypes:
        faults.append(f"labels of {len(samples.others) + 1} phenotypes, the manifest names {limits.phenotypes}")
    return faults if _ascend(samples) else [*faults, "deleted genes are not ascending and distinct"]


def _within(values: np.ndarray, low: int, high: int) -> bool:
    """True where low <= values < high."""
    if low == 0:  # one pass: below zero an unsigned number is huge
        return not len(values) or bool(values.view(f"u{values.itemsize}").max() < high)
    return not len(values) or bool(values.max() < high and values.min() >= low)


def _ascend(samples: Samples) -> bool:
    """True where each sample's genes ascend."""
    genes, ptr, most = samples.genes, samples.gene_ptr, len(samples.genes) // max(len(samples), 1)
    # a third of the time where all samples delete as many genes, as in most screens
    if most * len(samples) == len(genes) and bool((ptr[1:] - ptr[:-1] == most).all()):
        table = genes.reshape(len(samples), most)
        return all(bool((table[:, i] < table[:, i + 1]).all()) for i in range(most - 1))
    ascends = np.ones(len(genes) + 1, dtype=bool)
    ascends[1:-1] = genes[1:] > genes[:-1]
    ascends[ptr] = True  # a descent is fine where a sample begins, and one entry stands past the last gene
    return bool(ascends.all())
