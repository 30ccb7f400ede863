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
"""

from functools import cached_property

import numpy as np

from gocell_cli.storage.reader import Cache, Rows
from gocell_cli.storage.schema import Hierarchy, Samples
from gocell_cli.training.extra import train_extra
from gocell_cli.training.pyg.cell_batch import FOLLOW_BATCH, GENE, TERM, HeteroBatches, phenotype_tensors
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


def make_cell_graph(hierarchy: Hierarchy) -> HeteroData:
    """Return the genes, terms and edges of a hierarchy, with no gene deleted."""
    graph = HeteroData()
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
    """

    def __init__(self, cache: Cache) -> None:
        self.cache = cache
        self.cell_graph = make_cell_graph(cache.hierarchy)
        self._wild_type = wild_type_table(cache.hierarchy)
        if len(cache):
            cache.rows([0])  # read in the parent, so that forked workers share the columns

    def __len__(self) -> int:
        return len(self.cache)

    def __reduce__(self) -> tuple[type["CellDataset"], tuple[Cache]]:
        return CellDataset, (self.cache,)

    @property
    def num_genes(self) -> int:
        """Number of genes, annotated or not."""
        return len(self.cache.hierarchy.gene_names)

    @property
    def num_terms(self) -> int:
        """Number of terms of the hierarchy."""
        return len(self.cache.hierarchy.term_ids)

    def __getitem__(self, index: int) -> HeteroData:
        samples, graph, data = self.cache.rows([index]), self.cell_graph, HeteroData()
        gene, term = data[GENE], data[TERM]
        for name in ("num_nodes", "node_ids", "x"):
            gene[name] = graph[GENE][name]
            term[name] = graph[TERM][name]
        self._add_deletions(gene, samples)
        self._add_phenotype(gene, samples)
        term.mutant_state = self._mutant_state(samples)
        for name in TERM_FIELDS:
            term[name] = graph[TERM][name]
        for edge_type in (IS_CHILD_OF, HAS_ANNOTATION):
            data[edge_type].edge_index = graph[edge_type].edge_index
            data[edge_type].num_edges = graph[edge_type].num_edges
        return data

    def batch(self, rows: Rows) -> Batch:
        """Return the HeteroDataBatch of some samples, in the order asked for, built at once.

        Equal to `Batch.from_data_list([self[i] for i in rows], follow_batch=FOLLOW_BATCH)`.
        """
        return self._batches.make(self.cache.rows(rows))

    @cached_property
    def _batches(self) -> HeteroBatches:
        tables = StateTables(self.cache, self._wild_type)
        return HeteroBatches(lambda: self[0], tables)

    def _add_deletions(self, gene: BaseStorage, samples: Samples) -> None:
        indices = torch.from_numpy(samples.genes.astype(np.int64))
        gene.perturbed_genes = [self.cache.hierarchy.gene_names[g] for g in indices.tolist()]
        gene.perturbation_indices = indices
        gene.pert_mask = torch.zeros(self.num_genes, dtype=torch.bool).index_fill_(0, indices, True)
        gene.perturbation_indices_batch = torch.zeros_like(indices)

    def _add_phenotype(self, gene: BaseStorage, samples: Samples) -> None:
        names = self.cache.manifest.phenotype
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
