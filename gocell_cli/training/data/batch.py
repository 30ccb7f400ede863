"""Rows of a cache -> tensors, a whole batch at once: deleted genes and labels; deletions as the network reads them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import accumulate

import numpy as np
from jaxtyping import Float64, Int16, Int32, Int64

from gocell_cli.errors import UsageError
from gocell_cli.storage.reader import Cache, Rows
from gocell_cli.training.data.order import cut
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

        DataLoader(rows, batch_sampler=RowBatches(len(rows), 8192, epoch=epoch), collate_fn=collate)

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

    def batches(
        self, order: Int64[np.ndarray, " rows"], size: int, device: torch.device | str = "cpu"
    ) -> Iterator[SampleBatch]:
        """Yield the samples of `order` on a device, `size` at a time, as `cut` cuts them."""
        for part in cut(order, size):
            yield self.__getitems__(part).to(device)


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


@dataclass(frozen=True)
class Deletions:
    """The deleted genes of a batch, each (sample, gene) once, ascending; samples may delete nothing (wild type)."""

    sample: Int64[Tensor, " deletions"]
    gene: Int64[Tensor, " deletions"]
    samples: int

    @classmethod
    def of(cls, gene_ptr: Tensor, genes: Tensor, total_genes: int) -> "Deletions":
        """Read CSR columns: sample i deletes genes[gene_ptr[i]:gene_ptr[i + 1]]; repeated genes count once.

        Raises UsageError where the pointer does not fit or a gene is not of the hierarchy.
        """
        if gene_ptr.ndim != 1 or genes.ndim != 1 or len(gene_ptr) < 1 or int(gene_ptr[-1]) != len(genes):
            raise UsageError(f"gene_ptr {tuple(gene_ptr.shape)} does not end at the {len(genes)} genes given")
        if len(genes) and not (int(genes.min()) >= 0 and int(genes.max()) < total_genes):
            raise UsageError(f"a gene index lies outside the hierarchy's {total_genes} genes")
        samples = len(gene_ptr) - 1
        sample = torch.repeat_interleave(torch.arange(samples, device=genes.device), gene_ptr.diff().long())
        # one integer for (sample, gene): unique sorts by it, and a gene named twice is there once
        key = torch.unique(sample * total_genes + genes.long())
        return cls(key // total_genes, key % total_genes, samples)

    def to(self, device: torch.device | str) -> "Deletions":
        """Return the deletions on a device."""
        return Deletions(self.sample.to(device), self.gene.to(device), self.samples)

    @classmethod
    def from_batch(cls, batch: SampleBatch, total_genes: int) -> "Deletions":
        """The deletions of a batch read from a cache."""
        return cls.of(batch.gene_ptr, batch.genes, total_genes)

    @classmethod
    def joined(cls, parts: Sequence["Deletions"]) -> "Deletions":
        """The samples of all parts, one after another."""
        before = list(accumulate((p.samples for p in parts), initial=0))
        # not strict: `before` ends with the number of all samples, which begins no part
        none = [torch.zeros(0, dtype=torch.int64)] if not parts else []  # torch joins no empty list
        sample = torch.cat(none + [p.sample + start for p, start in zip(parts, before, strict=False)])
        return cls(sample, torch.cat(none + [p.gene for p in parts]), before[-1])
