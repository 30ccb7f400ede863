"""CellDataset: torchcell's fields by hand on the toy, and whole batches equal to PyG's own, field by field."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader
from torch_geometric.data import Batch, HeteroData
from torch_geometric.loader import DataLoader as PygDataLoader

from gocell_cli.storage.reader import Cache
from gocell_cli.storage.records import BACKENDS
from gocell_cli.training.pyg.cell_batch import KEPT_SIZES
from gocell_cli.training.pyg.cell_dataset import FOLLOW_BATCH, HAS_ANNOTATION, IS_CHILD_OF, CellDataset
from tests import toy
from tests.training.conftest import FORK_OF_THREADS, ThreeGenesCache


def assert_same(found: Any, expected: Any, where: str) -> None:
    """Equal in type, dtype, shape, values, and in the order of keys."""
    assert type(found) is type(expected), where
    if isinstance(expected, torch.Tensor):
        assert found.dtype == expected.dtype, where
        assert found.shape == expected.shape, where
        assert torch.equal(found, expected), where
    elif isinstance(expected, Mapping):
        assert list(found) == list(expected), where
        for key in expected:
            assert_same(found[key], expected[key], f"{where}.{key}")
    elif isinstance(expected, list) and expected and isinstance(expected[0], torch.Tensor):
        assert len(found) == len(expected), where
        for i, (a, b) in enumerate(zip(found, expected, strict=True)):
            assert_same(a, b, f"{where}[{i}]")
    else:
        assert found == expected, where


def assert_same_data(found: HeteroData, expected: HeteroData) -> None:
    assert type(found) is type(expected)
    assert found.node_types == expected.node_types
    assert found.edge_types == expected.edge_types
    for a, b in zip(found.stores, expected.stores, strict=True):
        assert_same(dict(a.items()), dict(b.items()), str(b._key))
        assert a.__dict__.get("_num_nodes") == b.__dict__.get("_num_nodes")


def assert_same_batch(found: Batch, expected: Batch) -> None:
    assert_same_data(found, expected)
    assert found.num_graphs == expected.num_graphs
    assert_same(found._slice_dict, expected._slice_dict, "slices")
    assert_same(found._inc_dict, expected._inc_dict, "increments")
    for i in range(expected.num_graphs):
        assert_same_data(found.get_example(i), expected.get_example(i))


def by_pyg(dataset: CellDataset, rows: list[int]) -> Batch:
    return Batch.from_data_list([dataset[i] for i in rows], follow_batch=FOLLOW_BATCH)


def test_toy_cell_graph_by_hand(toy_cache: Path) -> None:
    graph = CellDataset(Cache(toy_cache)).cell_graph
    gene, term = graph["gene"], graph["gene_ontology"]
    assert (gene.num_nodes, gene.node_ids, tuple(gene.x.shape)) == (5, list(toy.GENES), (5, 0))
    assert term.num_nodes == 5
    assert term.node_ids == term.term_ids == list(toy.KEPT)
    assert term.x.tolist() == [[0], [1], [1], [3], [0]]
    assert term.term_gene_mapping.tolist() == [list(pair) for pair in toy.KEPT_ROWS]
    assert term.term_gene_counts.tolist() == [0, 1, 1, 3, 0]
    assert term.term_to_gene_dict == {0: [], 1: [0], 2: [1], 3: [2, 3, 4], 4: []}
    assert term.max_genes_per_term == 3
    assert graph[HAS_ANNOTATION].edge_index.tolist() == [[0, 1, 2, 3, 4], [1, 2, 3, 3, 3]]
    assert graph[HAS_ANNOTATION].num_edges == 5
    assert graph[IS_CHILD_OF].edge_index.T.tolist() == [list(e) for e in toy.KEPT_EDGES]
    assert graph[IS_CHILD_OF].num_edges == 6


def test_toy_sample_by_hand(toy_cache: Path) -> None:
    data = CellDataset(Cache(toy_cache))[1]
    gene, state = data["gene"], data["gene_ontology"].mutant_state
    assert gene.perturbed_genes == ["YAL003W", "YAL005C", "YAL007C"]
    assert gene.perturbation_indices.tolist() == [2, 3, 4]
    assert gene.perturbation_indices_batch.tolist() == [0, 0, 0]
    assert gene.pert_mask.tolist() == [False, False, True, True, True]
    assert gene.phenotype_values.tolist() == pytest.approx([0.25])
    assert gene.phenotype_stat_values.tolist() == pytest.approx([0.05])
    assert (gene.phenotype_types, gene.phenotype_stat_types) == (["fitness"], ["sd"])
    assert state.tolist() == [[1, 0, 2, 1], [2, 1, 2, 1], [3, 2, 3, 0], [3, 3, 3, 0], [3, 4, 3, 0]]


def test_dtypes_are_torchcells(toy_cache: Path) -> None:
    data = CellDataset(Cache(toy_cache))[0]
    gene, term = data["gene"], data["gene_ontology"]
    floats = (gene.x, gene.phenotype_values, gene.phenotype_stat_values, term.x, term.mutant_state)
    assert {t.dtype for t in floats} == {torch.float32}
    assert gene.pert_mask.dtype == torch.bool
    names = ("type_indices", "sample_indices")
    indices = [gene[f"{p}_{n}"] for p in ("phenotype", "phenotype_stat") for n in names]
    indices += [gene.perturbation_indices, gene.perturbation_indices_batch]
    indices += [term.term_gene_mapping, term.term_gene_counts, data[IS_CHILD_OF].edge_index]
    assert {t.dtype for t in indices} == {torch.int64}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("rows", [[0, 1], [1], [1, 1, 0, 1]])
def test_toy_batches_equal_pygs(toy_cache: Path, backend: str, rows: list[int]) -> None:
    dataset = CellDataset(Cache(toy_cache, backend))
    assert_same_batch(dataset.batch(rows), by_pyg(dataset, rows))


@pytest.mark.parametrize("rows", [[0, 5886, 17, 4000], [3], [9, 9, 2]])
def test_batches_of_real_data_equal_pygs(essentiality_cache: Path, rows: list[int]) -> None:
    dataset = CellDataset(Cache(essentiality_cache))
    assert dataset.num_genes == 6604
    assert_same_batch(dataset.batch(rows), by_pyg(dataset, rows))


def test_batches_with_missing_statistics_equal_pygs(three_genes_cache: ThreeGenesCache) -> None:
    """Batches of one size share what PyG collated for the first of them; none may shine through."""
    dataset = CellDataset(three_genes_cache)
    for rows in ([0, 1, 2, 3], [5, 7, 9, 11], [4, 4, 2, 0], [8, 3, 5, 5]):
        assert_same_batch(dataset.batch(rows), by_pyg(dataset, rows))


def test_invariants_are_shared_between_samples(toy_cache: Path) -> None:
    dataset = CellDataset(Cache(toy_cache))
    graph, first, second = dataset.cell_graph, dataset[0], dataset[1]
    for name in ("x", "term_gene_mapping", "term_gene_counts"):
        places = {d["gene_ontology"][name].data_ptr() for d in (graph, first, second)}
        assert len(places) == 1, name
    assert first["gene_ontology"].term_to_gene_dict is graph["gene_ontology"].term_to_gene_dict
    assert first["gene"].node_ids is graph["gene"].node_ids
    for edge_type in (HAS_ANNOTATION, IS_CHILD_OF):
        assert first[edge_type].edge_index.data_ptr() == graph[edge_type].edge_index.data_ptr()
    assert first["gene_ontology"].mutant_state.data_ptr() != second["gene_ontology"].mutant_state.data_ptr()


def test_invariants_are_shared_between_batches_of_a_size(toy_cache: Path) -> None:
    dataset = CellDataset(Cache(toy_cache))
    first, second = dataset.batch([0, 1]), dataset.batch([1, 0])
    for edge_type in (HAS_ANNOTATION, IS_CHILD_OF):
        assert first[edge_type].edge_index.data_ptr() == second[edge_type].edge_index.data_ptr()
    for name in ("x", "batch", "ptr", "mutant_state_batch", "mutant_state_ptr"):
        assert first["gene_ontology"][name].data_ptr() == second["gene_ontology"][name].data_ptr(), name
    assert first["gene_ontology"].mutant_state.data_ptr() != second["gene_ontology"].mutant_state.data_ptr()
    for size in range(1, 6):
        dataset.batch([0] * size)
    assert len(dataset._batches._templates) == KEPT_SIZES


def test_changing_a_batchs_stores_leaves_the_next_alone(toy_cache: Path) -> None:
    dataset = CellDataset(Cache(toy_cache))
    changed = dataset.batch([0, 1])
    changed["gene"].x = torch.ones(10, 3)
    changed["gene"].extra = 1
    changed["gene_ontology"].mutant_state = changed["gene_ontology"].mutant_state * 2
    changed.apply(lambda t: t.double() if t.is_floating_point() else t)
    assert_same_batch(dataset.batch([1, 0]), by_pyg(dataset, [1, 0]))


def test_pygs_own_loader_gives_the_same(toy_cache: Path) -> None:
    dataset = CellDataset(Cache(toy_cache))
    assert len(dataset) == 2
    (batch,) = PygDataLoader(dataset, batch_size=2, follow_batch=FOLLOW_BATCH)
    assert_same_batch(dataset.batch([0, 1]), batch)


@pytest.mark.filterwarnings(FORK_OF_THREADS)
@pytest.mark.parametrize(("start", "workers"), [("fork", 2), ("spawn", 1)])  # a spawned one imports torch anew
def test_workers_build_whole_batches(essentiality_cache: Path, start: str, workers: int) -> None:
    dataset = CellDataset(Cache(essentiality_cache))
    loader = DataLoader(range(10), 4, collate_fn=dataset.batch, num_workers=workers, multiprocessing_context=start)
    for i, batch in enumerate(loader):
        rows = list(range(10))[4 * i : 4 * i + 4]
        assert_same_data(batch, by_pyg(dataset, rows))


def test_outside_is_an_index_error(toy_cache: Path) -> None:
    dataset = CellDataset(Cache(toy_cache))
    with pytest.raises(IndexError, match="sample 2"):
        dataset[2]
    with pytest.raises(IndexError):
        dataset.batch([])


def test_slices_and_numbers_from_the_end(three_genes_cache: ThreeGenesCache) -> None:
    dataset = CellDataset(three_genes_cache)
    count = len(dataset)
    assert_same_data(dataset[-1], dataset[count - 1])
    for chosen in (slice(2, 9, 3), [8, 2, -1], torch.tensor([3, 3]), np.isin(np.arange(count), [0, 5, 6])):
        numbers = np.arange(count)[np.asarray(chosen) if not isinstance(chosen, slice) else chosen].tolist()
        some = dataset[chosen]
        assert len(some) == len(numbers)
        for place, number in enumerate(numbers):
            assert_same_data(some[place], dataset[number])
        assert_same_batch(some.batch(range(len(some))), by_pyg(dataset, numbers))
        assert_same_data(some[1:][0], dataset[numbers[1]])
    for outside in (count, -count - 1):
        with pytest.raises(IndexError, match=f"sample {outside}: the dataset holds samples 0 to {count - 1}"):
            dataset[outside]


def test_a_graph_prints_in_a_screen(essentiality_cache: Path) -> None:
    graph = CellDataset(Cache(essentiality_cache)).cell_graph
    told = str(graph)
    assert "term_to_gene_dict=dict(len=3793)" in told
    assert len(told.splitlines()) < 45
    assert len(graph["gene_ontology"].term_to_gene_dict) == 3793


def test_torchcells_layout_by_hand(toy_cache: Path) -> None:
    dataset = CellDataset(Cache(toy_cache), layout="torchcell")
    term = dataset.cell_graph["gene_ontology"]
    assert term.strata.tolist() == list(toy.KEPT_STRATUM)
    assert {n: t.tolist() for n, t in term.stratum_to_terms.items()} == {0: [4], 1: [0], 2: [1, 2], 3: [3]}
    state = [[t, g, toy.KEPT_STRATUM[t], 1] for t, g in toy.KEPT_ROWS]
    assert term.go_gene_strata_state.tolist() == state
    sample = dataset[1]["gene_ontology"].go_gene_strata_state
    assert sample[:, :3].tolist() == [row[:3] for row in state]
    assert sample[:, 3].tolist() == [float(g not in (2, 3, 4)) for _, g in toy.KEPT_ROWS]
    follow = ["perturbation_indices", "go_gene_strata_state"]
    batch = dataset.batch([1, 0])
    assert_same_batch(batch, Batch.from_data_list([dataset[1], dataset[0]], follow_batch=follow))
    assert batch["gene_ontology"].go_gene_strata_state_ptr.tolist() == [0, 5, 10]
    assert "mutant_state" not in batch["gene_ontology"]
    with pytest.raises(ValueError, match="layout 'other': not one of gocell, torchcell"):
        CellDataset(Cache(toy_cache), layout="other")


def test_what_torchcells_data_module_asks_for(three_genes_cache: ThreeGenesCache) -> None:
    dataset = CellDataset(three_genes_cache, layout="torchcell")[:12]
    names = three_genes_cache.hierarchy.gene_names
    genes = [dataset[i]["gene"].perturbed_genes for i in range(len(dataset))]
    assert dataset.gene_set == set(names)
    assert dataset.is_any_perturbed_gene_index == {
        name: [i for i, g in enumerate(genes) if name in g] for name in names if any(name in g for g in genes)
    }
    assert dataset.is_any_deletion_gene_index is dataset.is_any_perturbed_gene_index
    assert dataset.perturbation_count_index == {
        n: [i for i, g in enumerate(genes) if len(g) == n] for n in sorted({len(g) for g in genes})
    }
    (kind,) = dataset.phenotype_label_index
    assert (dataset.phenotype_info[0].label_name, kind) == (three_genes_cache.manifest.phenotype["kind"],) * 2
    assert dataset.phenotype_label_index[kind] == list(range(len(dataset)))
    assert sorted(i for places in dataset.dataset_name_index.values() for i in places) == list(range(len(dataset)))
    assert dataset.label_df[kind].tolist() == three_genes_cache.columns().value[:12].tolist()
    assert dataset[2:5].perturbation_count_index.keys() <= dataset.perturbation_count_index.keys()
    assert (dataset.transform, dataset.close_lmdb()) == (None, None)
    assert not hasattr(dataset, "no_such_name")
    assert len(pickle.loads(pickle.dumps(dataset[2:5]))) == 3
