"""A HeteroDataBatch for a whole batch at once, equal to PyG's `Batch.from_data_list` of its samples.

PyG collates one sample, repeated, once for each batch size; of what comes out all that does not depend on
the deletions is kept (node ids, features, edges, counts, `ptr`, `batch`, slices and increments) and shared
by the batches of that size. What does depend on them is made here, in one piece for all samples.
"""

import copy
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Float32, Int64

from gocell_cli.csr import pointers
from gocell_cli.storage.schema import Samples
from gocell_cli.training.extra import train_extra
from gocell_cli.training.pyg.state_tables import StateTables

with train_extra():
    import torch
    from torch import Tensor
    from torch_geometric.data import Batch, HeteroData

GENE, TERM = "gene", "gene_ontology"
STATE = "mutant_state"
FOLLOW_BATCH = ["perturbation_indices", STATE]
KEPT_SIZES = 2
"""Batch sizes whose shared part is kept: the loop's, and that of an epoch's last batch."""


def phenotype_tensors(samples: Samples) -> dict[str, Tensor]:
    """Return the phenotype fields of the gene store that are tensors, samples one after the other.

    Values and statistics are float32; the indices of their type and of the experiment within the sample,
    int64, are 0: a cache has one phenotype, a sample one experiment. A NaN statistic is left out.
    """
    statistic = samples.statistic[~np.isnan(samples.statistic)]
    return {
        **_coordinates("phenotype", torch.from_numpy(samples.value.astype(np.float32))),
        **_coordinates("phenotype_stat", torch.from_numpy(statistic.astype(np.float32))),
    }


def _coordinates(prefix: str, values: Float32[Tensor, " values"]) -> dict[str, Tensor]:
    return {
        f"{prefix}_values": values,
        f"{prefix}_type_indices": torch.zeros(len(values), dtype=torch.int64),
        f"{prefix}_sample_indices": torch.zeros(len(values), dtype=torch.int64),
    }


class HeteroBatches:
    """Makes HeteroDataBatches of any size; `example` gives one sample, whichever, as HeteroData.

    `state` is the name of the table of states among a sample's terms.
    """

    def __init__(self, example: Callable[[], HeteroData], tables: StateTables, state: str = STATE) -> None:
        self.example = example
        self.tables = tables
        self.state = state
        self._templates: dict[int, Batch] = {}

    def make(self, samples: Samples) -> Batch:
        """Return the batch of some samples; at least one."""
        size, deletions = len(samples), torch.from_numpy(samples.gene_ptr)
        batch = copy.copy(self._template(size))  # stores are copied, the tensors in them are not
        gene, term = batch[GENE], batch[TERM]
        indices = torch.from_numpy(samples.genes.astype(np.int64))
        sample_of = torch.repeat_interleave(torch.arange(size), deletions.diff())
        gene.perturbed_genes = self._names(samples)
        gene.perturbation_indices = indices
        gene.perturbation_indices_batch = sample_of
        gene.perturbation_indices_ptr = deletions.clone()
        gene.pert_mask = self._mask(size, sample_of, indices)
        for name, value in phenotype_tensors(samples).items():
            gene[name] = value
        term[self.state] = self.tables.fill(samples)
        slices = _changed_slices(deletions, samples.statistic)
        batch._slice_dict = {**batch._slice_dict, GENE: {**batch._slice_dict[GENE], **slices}}
        return batch

    def _template(self, size: int) -> Batch:
        """Return PyG's own batch of the example, `size` times; its table is not kept."""
        template = self._templates.pop(size, None)
        if template is None:
            follow = ["perturbation_indices", self.state]
            template = Batch.from_data_list([self.example()] * size, follow_batch=follow)
            template[TERM][self.state] = torch.empty(0)  # keeps the place of the field, not its megabytes
            # One slices tensor for all terms: a DataLoader's worker sends each tensor in a file of its own.
            slices = template._slice_dict[TERM]
            slices["term_to_gene_dict"] = dict.fromkeys(slices["term_to_gene_dict"], torch.arange(size + 1))
        # at the end of the dict, whose first is then the size that was used longest ago
        self._templates[size] = template
        while len(self._templates) > KEPT_SIZES:
            del self._templates[next(iter(self._templates))]
        return template

    def _names(self, samples: Samples) -> list[list[str]]:
        names: Sequence[str] = self.tables.cache.hierarchy.gene_names
        deleted, ptr = [names[g] for g in samples.genes.tolist()], samples.gene_ptr.tolist()
        return [deleted[start:stop] for start, stop in pairwise(ptr)]

    def _mask(self, size: int, sample_of: Int64[Tensor, " deletions"], indices: Int64[Tensor, " deletions"]) -> Tensor:
        genes = len(self.tables.cache.hierarchy.gene_names)
        mask = torch.zeros(size * genes, dtype=torch.bool)
        # PyG joins the samples' masks end to end
        return mask.index_fill_(0, sample_of * genes + indices, True)


def _changed_slices(deletions: Int64[Tensor, " samples_plus_1"], statistic: np.ndarray) -> dict[str, Tensor]:
    """Return where each sample begins in the fields whose length differs between samples."""
    present = pointers((~np.isnan(statistic)).astype(np.int64))
    return {
        "perturbation_indices": deletions.clone(),
        "perturbation_indices_batch": deletions.clone(),
        "phenotype_stat_values": torch.from_numpy(present),
        "phenotype_stat_type_indices": torch.from_numpy(present),
        "phenotype_stat_sample_indices": torch.from_numpy(present),
    }
