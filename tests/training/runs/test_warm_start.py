"""Weights of another run: each copied number is that run's, each other one the seed's; what is left out is counted."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gocell_cli.building.build import BuildMode, build
from gocell_cli.building.plan import BuildOptions, plan_build
from gocell_cli.errors import UsageError
from gocell_cli.sources.screens import own_table, table_columns
from gocell_cli.storage.reader import Cache
from gocell_cli.storage.schema import Hierarchy
from gocell_cli.training.network.config import DCellConfig
from gocell_cli.training.network.dcell import DCell
from gocell_cli.training.network.term_weights import TermWeights
from gocell_cli.training.runs.run import begin_run, resume_run
from gocell_cli.training.runs.store import RunStore
from gocell_cli.training.runs.trainer import Trainer
from gocell_cli.training.runs.warm_start import Weights, copy_weights
from tests import toy
from tests.hierarchies import random_network
from tests.training.runs.test_trainer import TINY, fitted

CONFIG = replace(TINY, wide="none", neighbours="none", baselines="none", gene_weights="deviation")
NETWORK = DCellConfig(min_width=2, ratio=1.0, init_range=0.5, gene_weights="deviation", products=2, learnt_vectors=2)


@pytest.fixture(scope="module")
def other_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another screen, of genes two to five, on the toy's terms of two genes or more: six instead of five."""
    folder, rng = tmp_path_factory.mktemp("other"), np.random.default_rng(1)
    pairs = [(a, b) for a in range(1, 5) for b in range(a, 5)] * 12
    lines = [f"{'+'.join(toy.GENES[g] for g in {*pair})},{rng.normal(0.5, 0.2):.6f}" for pair in pairs]
    (folder / "screen.csv").write_text("\n".join(["genes,growth", *lines]) + "\n", "utf-8")
    dataset, _ = own_table.read(folder / "screen.csv", toy.gene_table(), table_columns.TableOptions())
    options = BuildOptions(toy.RULES.changed(min_genes=1), shard_size=50, duplicates="keep")
    plan = plan_build(toy.ontology(folder), toy.annotations(folder), toy.gene_table(), dataset, options, {})
    return build(plan, folder / "cache", BuildMode()).directory


def named(model: DCell, hierarchy: Hierarchy) -> Iterator[tuple[tuple[Any, ...], Tensor]]:
    """Every tensor of a network by what it is of: a term's own part, or one input's columns, said by names alone."""
    state = TermWeights(model, hierarchy).split(model.state_dict())
    number = {name: term for term, name in enumerate(hierarchy.term_ids)}
    for key, tensor in state.items():
        name, part = key.split(".", 1)
        if part not in ("linear.weight", "product_in"):
            yield (name, part), tensor
            continue
        term, place = number[name], 0
        for child in sorted(hierarchy.edge_child[hierarchy.edge_parent == term].tolist()):
            width = int(model.stack.width[child])
            yield (name, part, hierarchy.term_ids[child], width), tensor[:, place : place + width]
            place += width
        for gene in sorted(hierarchy.row_gene[hierarchy.row_term == term].tolist()) if part == "linear.weight" else ():
            yield (name, part, hierarchy.gene_names[gene]), tensor[:, place : place + 1]
            place += 1
        assert place == tensor.shape[1]
    if model.vectors is not None and model.vectors.learnt is not None:
        for gene, vector in zip(hierarchy.gene_names, model.vectors.learnt, strict=True):
            yield ("learnt", gene), vector


def held(found: DCell, initial: DCell, source: DCell, ours: Hierarchy, theirs: Hierarchy) -> tuple[int, int]:
    """Hold each number to where it must come from; return how many came from the source, and how many there are."""
    there, drawn = dict(named(source, theirs)), dict(named(initial, ours))
    width = {name: int(source.stack.width[term]) for term, name in enumerate(theirs.term_ids)}
    own = {name: int(found.stack.width[term]) for term, name in enumerate(ours.term_ids)}
    copied = total = 0
    for key, tensor in named(found, ours):
        same_width = key[0] == "learnt" or own[key[0]] == width.get(key[0])
        from_source = same_width and key in there
        wanted = there[key] if from_source else drawn[key]
        assert torch.equal(tensor, wanted), key
        if "running" not in str(key[1]):
            copied, total = copied + from_source * tensor.numel(), total + tensor.numel()
    return copied, total


@pytest.mark.parametrize("changes", [{}, {"ratio": 0.0}, {"products": 0, "learnt_vectors": 0, "gene_weights": "own"}])
def test_every_number_is_the_sources_or_the_seeds(changes: dict[str, Any]) -> None:
    """Random hierarchies that share ids of terms and names of genes, and some of their links."""
    config = replace(NETWORK, **changes)
    ours, theirs = random_network(1, terms=12, genes=14), random_network(2, terms=10, genes=11)
    initial, source = DCell(ours, config), DCell(theirs, config)
    with torch.no_grad():
        for tensor in (*source.parameters(), source.running_mean, source.running_var):
            tensor.copy_(tensor + torch.rand_like(tensor) * (tensor != 0))
        source.running_var.add_(1)
    state = {name: tensor.clone() for name, tensor in initial.state_dict().items()}
    found = copy_weights(Weights.of(initial, ours), Weights.of(source, theirs))
    model = DCell(ours, config)
    model.load_state_dict({**TermWeights(initial, ours).join(found.state)})
    if found.learnt is not None:
        model.load_state_dict({"vectors.learnt": found.learnt}, strict=False)
    assert all(torch.equal(tensor, state[name]) for name, tensor in initial.state_dict().items())
    copied, total = held(model, initial, source, ours, theirs)
    record = found.record
    assert (record.numbers_copied, record.numbers) == (copied, total)
    assert 0 < copied < total
    assert (record.new_terms, record.terms_not_here, record.new_genes) == (2, 0, 3)
    assert (record.other_width > 0) == (config.ratio > 0)
    assert record.terms_copied + record.other_width + record.new_terms == record.terms == 12
    rows = [line.split("\t") for line in found.table().splitlines()]
    assert len(rows) == 13
    assert sum(int(row[5]) for row in rows[1:]) <= copied


def warm(directory: Path, cache: Path, source: Path, **changes: Any) -> Trainer:
    config = replace(CONFIG, warm_start=str(source), **changes)
    return begin_run(lambda: RunStore.reserve(directory), Cache(cache), config)


@pytest.mark.parametrize("precision", ["32-true", "64-true"])
def test_a_run_begins_with_another_ones_weights_of_another_cache(
    small_cache: Path, other_cache: Path, tmp_path: Path, precision: str
) -> None:
    source = fitted(tmp_path / "source", other_cache, replace(CONFIG, precision=precision))
    initial = begin_run(lambda: RunStore.reserve(tmp_path / "cold"), Cache(small_cache), CONFIG)
    trainer = warm(tmp_path / "warm", small_cache, tmp_path / "source")
    best, state = RunStore(tmp_path / "source").load("best")
    source.model.load_state_dict({name: best[name] for name in source.model.state_dict()})
    assert state["epoch"] >= 0
    copied, total = held(
        trainer.model, initial.model, source.model.to(trainer.processes.dtype), trainer.hierarchy, source.hierarchy
    )
    found = RunStore(tmp_path / "warm").record().warm_start
    assert found is not None
    assert (found.numbers_copied, found.numbers, found.phenotype) == (copied, total, "growth")
    assert (found.terms, found.new_terms) == (5, 0)
    assert found.terms_not_here == found.terms_there - 5 > 0
    table = (tmp_path / "warm" / "warm_start.tsv").read_text("utf-8").splitlines()
    assert len(table) == 1 + 5 + found.terms_not_here
    trainer.fit(lambda _: None)
    trainer.store.release()


def test_a_run_killed_before_its_first_epoch_needs_the_other_one_no_more(small_cache: Path, tmp_path: Path) -> None:
    fitted(tmp_path / "source", small_cache, CONFIG).store.release()
    for name in ("whole", "killed"):
        warm(tmp_path / name, small_cache, tmp_path / "source").store.release()
    whole = resume_run(tmp_path / "whole")
    (tmp_path / "source").rename(tmp_path / "gone")
    killed = resume_run(tmp_path / "killed")
    for one, other in zip(whole.model.parameters(), killed.model.parameters(), strict=True):
        assert torch.equal(one, other)
    killed.fit(lambda _: None)
    assert len(killed.history) == 2


def test_test_samples_that_the_other_run_met_are_counted(small_cache: Path, other_cache: Path, tmp_path: Path) -> None:
    source = fitted(tmp_path / "source", small_cache, CONFIG)
    source.store.release()
    same = warm(tmp_path / "same", small_cache, tmp_path / "source")
    same.store.release()
    other = warm(tmp_path / "other", small_cache, tmp_path / "source", split_seed=5)
    other.store.release()
    further = warm(tmp_path / "further", other_cache, tmp_path / "source")

    def genotypes(trainer: Trainer, parts: tuple[str, ...]) -> list[tuple[str, ...]]:
        found = []
        for part in parts:
            rows = trainer.rows.cache.rows(trainer.split.rows(part))
            names = trainer.rows.cache.hierarchy.gene_names
            bounds = zip(rows.gene_ptr[:-1], rows.gene_ptr[1:], strict=True)
            found += [tuple(names[g] for g in rows.genes[start:stop]) for start, stop in bounds]
        return found

    met = set(genotypes(source, ("train", "validation")))
    for trainer in (same, other, further):
        record = trainer.store.record().warm_start
        assert record is not None
        assert record.test_met_before == sum(one in met for one in genotypes(trainer, ("test",)))
    assert same.store.record().warm_start.test_met_before == 0  # type: ignore[union-attr]
    assert other.store.record().warm_start.test_met_before > 0  # type: ignore[union-attr]


def test_what_means_something_else_is_refused(small_cache: Path, tmp_path: Path) -> None:
    fitted(tmp_path / "source", small_cache, CONFIG).store.release()
    for changes, told in (
        ({"norm_order": "tanh-bn"}, "its norm_order is 'bn-tanh', and this run's 'tanh-bn'"),
        ({"gene_weights": "shared"}, "its gene_weights is 'deviation'"),
        ({"min_width": 3}, "none of its 5 terms is here with the width it has there"),
        ({"control": "genes"}, "a control's terms are not those that they are called"),
    ):
        with pytest.raises(UsageError, match=told):
            warm(tmp_path / "warm", small_cache, tmp_path / "source", **changes)
        assert not (tmp_path / "warm").exists()
