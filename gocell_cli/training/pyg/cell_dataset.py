"""A cache as PyTorch Geometric's HeteroData, with the names and shapes of torchcell's DCell data.

`cell_graph` is the cell without a deletion; `[i]` one strain, collated by PyG's own DataLoader with
`follow_batch=FOLLOW_BATCH`:

    gene            num_nodes int, node_ids list[str], x [genes, 0] float32
      of a sample   perturbed_genes list[str], perturbation_indices [k] int64, perturbation_indices_batch [k]
                    int64 (zeros), pert_mask [genes] bool, True where deleted,
                    phenotype_values [1] float32, phenotype_type_indices [1], phenotype_sample_indices [1]
                    int64 (zeros), phenotype_types [kind]; phenotype_stat_... the same for the statistic
    gene_ontology   num_nodes int, node_ids and term_ids list[str], x [terms, 1] float32 (genes of the term),
                    max_genes_per_term int, term_gene_mapping [rows, 2] int64 (term, gene),
                    term_gene_counts [terms] int64, term_to_gene_dict {term: [gene, ...]}
      of a sample   mutant_state [rows, 4] float32 (term, gene, level, state): the state is COLUMN 3, it was
                    column 2 before the level came in; 0 where the row's gene is deleted, else 1
    edges           (gene, has_annotation, gene_ontology) and (gene_ontology, is_child_of, gene_ontology):
                    edge_index [2, edges] int64, num_edges int

torchcell's processor stores `perturbation_indices_batch` in each sample, zeros for its one experiment, and
`follow_batch` makes it again on collation; both give the same, so it is kept here. Where a sample has no
statistic torchcell leaves its four fields out, and PyG can then not collate it with one that has; here they
are there, and empty. As in torchcell, `phenotype_sample_indices` counts the experiments within one sample, so
that it stays 0 in a batch.

`layout="torchcell"` has what torchcell's own `DCell` reads instead: the table is called go_gene_strata_state, its level
is the stratum whatever the cache's level, and `cell_graph` has it too, with

    gene_ontology   strata [terms] int64, stratum_to_terms {stratum: [terms of it] int64}; 0 is the root
"""

import copy
import operator
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, cast

import numpy as np
from jaxtyping import Int64

from gocell_cli.errors import UsageError
from gocell_cli.storage.reader import Cache, Rows
from gocell_cli.storage.schema import Hierarchy, Samples
from gocell_cli.training.extra import train_extra
from gocell_cli.training.pyg.cell_batch import FOLLOW_BATCH, GENE, STATE, TERM, HeteroBatches, phenotype_tensors
from gocell_cli.training.pyg.sample_index import SampleIndex
from gocell_cli.training.pyg.state_tables import StateTables, wild_type_table

with train_extra():
    import torch
    from torch.utils.data import Dataset
    from torch_geometric.data import Batch, HeteroData
    from torch_geometric.data.storage import BaseStorage

__all__ = ["FOLLOW_BATCH", "CellDataset", "make_cell_graph"]

HAS_ANNOTATION = (GENE, "has_annotation", TERM)
IS_CHILD_OF = (TERM, "is_child_of", TERM)
TERM_FIELDS = ("term_ids", "max_genes_per_term", "term_gene_mapping", "term_gene_counts", "term_to_gene_dict")


LAYOUTS = {"gocell": STATE, "torchcell": "go_gene_strata_state"}
"""Names of the table of states."""


class CellGraph(HeteroData):  # type: ignore[misc]  # PyG has no types
    """HeteroData that prints a dictionary as its length: PyG prints a line for each of its thousands of keys."""

    def __repr__(self) -> str:
        told = copy.copy(self)
        for store in told.node_stores:
            for key, value in list(store.items()):
                if isinstance(value, Mapping):
                    store[key] = _Counted(len(value))
        return cast("str", HeteroData.__repr__(told))


class _Counted:
    def __init__(self, length: int) -> None:
        self.length = length

    def __str__(self) -> str:
        return f"dict(len={self.length})"


def make_cell_graph(hierarchy: Hierarchy) -> HeteroData:
    """Return the genes, terms and edges of a hierarchy, with no gene deleted."""
    graph = CellGraph()
    graph[GENE].num_nodes = len(hierarchy.gene_names)
    graph[GENE].node_ids = list(hierarchy.gene_names)
    graph[GENE].x = torch.zeros(len(hierarchy.gene_names), 0)
    _add_terms(graph[TERM], hierarchy)
    graph[HAS_ANNOTATION].edge_index = _indices(hierarchy.row_gene, hierarchy.row_term)
    graph[HAS_ANNOTATION].num_edges = hierarchy.rows
    graph[IS_CHILD_OF].edge_index = _indices(hierarchy.edge_child, hierarchy.edge_parent)
    graph[IS_CHILD_OF].num_edges = len(hierarchy.edge_child)
    return graph


def _add_terms(store: BaseStorage, hierarchy: Hierarchy) -> None:
    counts = np.bincount(hierarchy.row_term, minlength=len(hierarchy.term_ids))
    genes_of_term = np.split(hierarchy.row_gene, np.cumsum(counts)[:-1])
    store.num_nodes = len(hierarchy.term_ids)
    store.node_ids = list(hierarchy.term_ids)
    store.x = torch.from_numpy(counts.astype(np.float32))[:, None]
    store.term_ids = store.node_ids
    store.max_genes_per_term = int(counts.max())
    store.term_gene_mapping = _indices(hierarchy.row_term, hierarchy.row_gene).T.contiguous()
    store.term_gene_counts = torch.from_numpy(counts)
    store.term_to_gene_dict = {term: genes.tolist() for term, genes in enumerate(genes_of_term)}


def _require_plain(cache: Cache) -> None:
    """Raise UsageError where a state between gone and there would become 0 like any other."""
    inputs = cache.hierarchy.inputs
    if inputs is not None and inputs.shared:
        raise UsageError(
            f"{cache.directory}: its channels have several states, and the tables of PyG know 0 and 1",
            hint="Cache.channel_states(rows) returns the states themselves",
        )


def _indices(*rows: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.stack(rows).astype(np.int64))


class CellDataset(Dataset[HeteroData]):
    """The samples of a cache as HeteroData; what does not differ between them is one object for all.

    Two ways to a batch, equal field by field:

        from torch_geometric.loader import DataLoader       # sample by sample, as for torchcell's dataset
        DataLoader(dataset, batch_size=32, follow_batch=FOLLOW_BATCH)

        from torch.utils.data import DataLoader             # whole batches: the rows, and how to collate them
        DataLoader(range(len(dataset)), batch_size=32, collate_fn=dataset.batch)

    Shared tensors are to be read, not written to. The tensors of `batch` are lent: see StateTables.

    `[-1]` is the last sample; a slice, a list, an array or a mask of samples gives the dataset of these alone, as
    `index_select` does. `rows` are the cache's samples in use, None for all. What torchcell's data module asks of a
    dataset besides (`dataset_name_index` and so on) is told by SampleIndex. Raises ValueError for an unknown layout,
    UsageError for a cache whose channels have several states: the table's state is 0 or 1.

    Of a cache of several phenotypes the labels are those of `phenotype`, by default of its first; samples that lack it
    have NaN, and are not in `phenotype_label_index`.
    """

    transform = None
    """torchcell's hook for a function of each sample: there is none here."""

    def __init__(
        self,
        cache: Cache,
        layout: str = "gocell",
        rows: Int64[np.ndarray, " chosen"] | None = None,
        phenotype: str = "",
    ) -> None:
        cache = cache.of_phenotype(phenotype)
        if layout not in LAYOUTS:
            raise ValueError(f"layout {layout!r}: not one of {', '.join(LAYOUTS)}")
        _require_plain(cache)
        self.cache, self.layout, self.rows = cache, layout, rows
        hierarchy = cache.hierarchy
        # torchcell's third column is the stratum, whatever level the cache runs by
        self._wild_type = wild_type_table(
            hierarchy if layout == "gocell" else replace(hierarchy, level=hierarchy.stratum)
        )
        self.cell_graph = make_cell_graph(hierarchy)
        if layout == "torchcell":
            self._add_strata(self.cell_graph[TERM])
        if len(cache):
            cache.rows([0])  # read in the parent, so that forked workers share the columns

    def _add_strata(self, store: BaseStorage) -> None:
        stratum = self.cache.hierarchy.stratum.astype(np.int64)
        store.strata = torch.from_numpy(stratum)
        store.stratum_to_terms = {
            int(number): torch.from_numpy(np.flatnonzero(stratum == number)) for number in np.unique(stratum)
        }
        store[LAYOUTS[self.layout]] = torch.from_numpy(self._wild_type.copy())

    def __len__(self) -> int:
        return len(self.cache) if self.rows is None else len(self.rows)

    def __reduce__(self) -> tuple[type["CellDataset"], tuple[Any, ...]]:
        return CellDataset, (self.cache, self.layout, self.rows)

    def index_select(self, chosen: Any) -> "CellDataset":
        """Return the dataset of some samples: a slice, a mask, or numbers of samples, from the end where negative.

        Raises IndexError for a number that no sample has.
        """
        numbers = np.arange(len(self))[np.asarray(chosen) if not isinstance(chosen, slice) else chosen]
        return CellDataset(self.cache, self.layout, numbers if self.rows is None else self.rows[numbers])

    @cached_property
    def index(self) -> SampleIndex:
        """Which samples are of each data set, gene, count of deletions and phenotype."""
        return SampleIndex(self.cache, np.arange(len(self.cache)) if self.rows is None else self.rows)

    def __getattr__(self, name: str) -> Any:
        # torchcell's names, asked of the dataset itself; only those that the index has
        if name.startswith("_") or not hasattr(SampleIndex, name):
            raise AttributeError(f"CellDataset has no attribute {name!r}")
        return getattr(self.index, name)

    def close_lmdb(self) -> None:
        """Nothing, as torchcell calls it before it hands a dataset to workers: a Cache may be sent as it is."""

    @property
    def num_genes(self) -> int:
        """Number of genes, annotated or not."""
        return len(self.cache.hierarchy.gene_names)

    @property
    def num_terms(self) -> int:
        """Number of terms of the hierarchy."""
        return len(self.cache.hierarchy.term_ids)

    def __getitem__(self, index: Any) -> Any:
        """Return a sample by its number, as HeteroData; of a slice, a list, an array or a mask the dataset of these."""
        try:
            number = operator.index(index)
        except TypeError:  # several of them
            return self.index_select(index)
        place = number + len(self) if number < 0 else number
        if not 0 <= place < len(self):
            raise IndexError(f"sample {number}: the dataset holds samples 0 to {len(self) - 1}")
        return self._sample(self.cache.rows([place if self.rows is None else int(self.rows[place])]))

    def _sample(self, samples: Samples) -> HeteroData:
        graph, data = self.cell_graph, HeteroData()
        gene, term = data[GENE], data[TERM]
        for name in ("num_nodes", "node_ids", "x"):
            gene[name] = graph[GENE][name]
            term[name] = graph[TERM][name]
        self._add_deletions(gene, samples)
        self._add_phenotype(gene, samples)
        term[LAYOUTS[self.layout]] = self._mutant_state(samples)
        for name in TERM_FIELDS:
            term[name] = graph[TERM][name]
        for edge_type in (IS_CHILD_OF, HAS_ANNOTATION):
            data[edge_type].edge_index = graph[edge_type].edge_index
            data[edge_type].num_edges = graph[edge_type].num_edges
        return data

    def batch(self, rows: Rows) -> Batch:
        """Return the HeteroDataBatch of some samples, in the order asked for, built at once.

        Equal to `Batch.from_data_list([self[i] for i in rows], follow_batch=FOLLOW_BATCH)`, in torchcell's layout to
        one that follows `go_gene_strata_state`.
        """
        return self._batches.make(self.cache.rows(rows if self.rows is None else self.rows[np.asarray(rows)]))

    @cached_property
    def _batches(self) -> HeteroBatches:
        tables = StateTables(self.cache, self._wild_type)
        return HeteroBatches(lambda: self[0], tables, LAYOUTS[self.layout])

    def _add_deletions(self, gene: BaseStorage, samples: Samples) -> None:
        indices = torch.from_numpy(samples.genes.astype(np.int64))
        gene.perturbed_genes = [self.cache.hierarchy.gene_names[g] for g in indices.tolist()]
        gene.perturbation_indices = indices
        gene.pert_mask = torch.zeros(self.num_genes, dtype=torch.bool).index_fill_(0, indices, True)
        gene.perturbation_indices_batch = torch.zeros_like(indices)

    def _add_phenotype(self, gene: BaseStorage, samples: Samples) -> None:
        names = self.cache.phenotype
        tensors = phenotype_tensors(samples)
        for prefix, name in (("phenotype", names["kind"]), ("phenotype_stat", names["statistic"])):
            for field in ("values", "type_indices", "sample_indices"):
                gene[f"{prefix}_{field}"] = tensors[f"{prefix}_{field}"]
            gene[f"{prefix}_types"] = [name] if name else []

    def _mutant_state(self, samples: Samples) -> torch.Tensor:
        """Return the table [rows, 4] of a single sample, in memory of its own."""
        table = self._wild_type.copy()
        table[self.cache.deleted_pairs(samples), -1] = 0
        return torch.from_numpy(table)
