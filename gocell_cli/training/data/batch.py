"""Rows of a cache -> tensors: deleted genes and labels, a whole batch at once."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float64, Int16, Int32, Int64

from gocell_cli.storage.reader import Cache, Rows
from gocell_cli.training.extra import train_extra

with train_extra():
    import torch
    from torch import Tensor
    from torch.utils.data import Dataset


@dataclass(frozen=True)
class SampleBatch:
    """Samples as tensors, in the dtypes of the cache.

    Sample i is the cache's row `rows[i]` and deletes `genes[gene_ptr[i]:gene_ptr[i + 1]]`, indices into the
    hierarchy's genes, ascending. `value` is the phenotype in its own unit, `statistic` its P-value or SD
    (NaN: none); `dataset` indexes the manifest's data sets, `query_group` the query groups (-1: none).
    """

    rows: Int64[Tensor, " samples"]
    gene_ptr: Int64[Tensor, " samples_plus_1"]
    genes: Int32[Tensor, " deletions"]
    value: Float64[Tensor, " samples"]
    statistic: Float64[Tensor, " samples"]
    dataset: Int16[Tensor, " samples"]
    query_group: Int32[Tensor, " samples"]

    def __len__(self) -> int:
        return len(self.rows)

    def _each(self, change: Callable[[Tensor], Tensor]) -> "SampleBatch":
        return SampleBatch(**{f.name: change(getattr(self, f.name)) for f in fields(self)})

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> "SampleBatch":
        """Return the batch on a device."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> "SampleBatch":
        """Return the batch in page-locked memory; DataLoader calls it where `pin_memory=True`."""
        return self._each(lambda tensor: tensor.pin_memory())


class CacheRows(Dataset[SampleBatch]):
    """A cache as a torch Dataset: `[i]` is a batch of one, `__getitems__` one read for a whole batch.

    Use with `collate`, and with RowBatches for the fast path:

        DataLoader(rows, batch_sampler=RowBatches(CacheSampler(len(rows)), 8192), collate_fn=collate)

    Safe under fork and spawn: the cache is first read here, in the parent, so that forked workers share its
    columns; a spawned worker opens the directory anew and checks it.
    """

    def __init__(self, cache: Cache) -> None:
        self.cache = cache
        if len(cache):
            cache.rows([0])

    def __len__(self) -> int:
        return len(self.cache)

    def __getitem__(self, index: int) -> SampleBatch:
        return self.__getitems__([index])

    def __getitems__(self, indices: Rows) -> SampleBatch:
        """Return the samples at `indices`, in that order; DataLoader calls it once a batch."""
        rows = np.array(indices, dtype=np.int64)
        samples = self.cache.rows(rows)
        return SampleBatch(
            rows=torch.from_numpy(rows),
            gene_ptr=torch.from_numpy(samples.gene_ptr),
            genes=torch.from_numpy(samples.genes),
            value=torch.from_numpy(samples.value),
            statistic=torch.from_numpy(samples.statistic),
            dataset=torch.from_numpy(samples.dataset),
            query_group=torch.from_numpy(samples.query_group),
        )


def collate(batches: SampleBatch | Iterable[SampleBatch]) -> SampleBatch:
    """Return one batch: `collate_fn` of a DataLoader over CacheRows.

    What `__getitems__` made is a batch already; batches read one by one are joined, in order.
    """
    if isinstance(batches, SampleBatch):
        return batches
    parts = list(batches)
    joined = {f.name: torch.cat([getattr(p, f.name) for p in parts]) for f in fields(SampleBatch)}
    counts = torch.cat([p.gene_ptr.diff() for p in parts])
    return SampleBatch(**{**joined, "gene_ptr": torch.cat([counts.new_zeros(1), counts.cumsum(0)])})
