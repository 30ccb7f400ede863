"""Which pieces of gene weights a batch of deletions takes away from which (neuron block, sample).

sum_g w_tg x[b, g] = sum_g w_tg - sum_{g in G(t) and D_b} w_tg: the first sum is the wild type's, once a step; the
second is planned here, from index arrays alone (design of the model, algebra 1). No [samples, genes] table exists.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from jaxtyping import Int64

from gocell_cli.errors import UsageError
from gocell_cli.training.data.batch import SampleBatch
from gocell_cli.training.extra import train_extra

with train_extra():
    import torch
    from torch import Tensor


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
        key = torch.unique(sample * total_genes + genes.long())
        return cls(key // total_genes, key % total_genes, samples)

    @classmethod
    def from_batch(cls, batch: SampleBatch, total_genes: int) -> "Deletions":
        """The deletions of a batch read from a cache."""
        return cls.of(batch.gene_ptr, batch.genes, total_genes)

    @classmethod
    def joined(cls, parts: Sequence["Deletions"]) -> "Deletions":
        """The samples of all parts, one after another."""
        before = list(accumulate((p.samples for p in parts), initial=0))
        sample = torch.cat([p.sample + start for p, start in zip(parts, before, strict=False)])
        return cls(sample, torch.cat([p.gene for p in parts]), before[-1])


@dataclass(frozen=True)
class GenePlan:
    """Bags of pieces: bag m takes pieces[start[m]:start[m + 1]] away from neuron block block[m] of sample[m].

    Bags are sorted by term position; those of the terms [p, q) are bags bag_of[p] to bag_of[q]. `deleted` is the
    number of genes each bag's term has lost (for shared gene weights).
    """

    pieces: Int64[Tensor, " pieces"]
    start: Int64[Tensor, " bags_plus_1"]
    block: Int64[Tensor, " bags"]
    sample: Int64[Tensor, " bags"]
    deleted: Int64[Tensor, " bags"]
    bag_of: Int64[Tensor, " terms_plus_1"]


def ranges(starts: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Return (owner, value) of all ranges [start, start + count), one after another."""
    owner = torch.repeat_interleave(torch.arange(len(counts), device=counts.device), counts)
    offsets = counts.cumsum(0) - counts
    return owner, torch.arange(len(owner), device=counts.device) - offsets[owner] + starts[owner]
