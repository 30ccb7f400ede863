"""Memory of the dense form: what is lent is never shared, and what is cut gives the same numbers."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from gocell_cli.training.network.dcell import DCell, DCellConfig
from gocell_cli.training.network.dense import memory
from gocell_cli.training.network.dense.memory import row_parts
from gocell_cli.training.network.lent import LentTable
from gocell_cli.training.network.loss import DCellLoss
from tests.reference.dcell import gene_table
from tests.training import networks as nets

WIDE = DCellConfig(min_width=3, ratio=1.0, width_by="contained", init_range=0.5)
"""Widths of 3 to a dozen in blocks of 3: most terms are a shape by themselves, with padding."""


@pytest.mark.parametrize("norm_order", ["tanh-bn", "bn-tanh"])
@pytest.mark.parametrize("part_bytes", [1, 3 * 8 * 32 * 4])
def test_rows_that_pass_in_parts_give_the_oracles_numbers(
    monkeypatch: pytest.MonkeyPatch, norm_order: str, part_bytes: int
) -> None:
    """Parts of one row, and of some that divide no term's width."""
    monkeypatch.setattr(memory, "PART_BYTES", part_bytes)
    for seed in range(4):
        hierarchy, genotypes = nets.random_network(seed), nets.random_genotypes(seed, 20, 12)
        config = replace(WIDE, norm_order=norm_order)
        model, oracle = nets.pair(hierarchy, config, seed)
        y = torch.from_numpy(np.random.default_rng(seed).normal(size=len(genotypes)))
        fast = nets.run_fast(model, hierarchy, nets.deletions(genotypes, 12), y)
        slow = nets.run_oracle(oracle, hierarchy, gene_table(genotypes, 12), y, config.alpha)
        assert max(nets.difference(fast, slow).values()) < 1e-10


def test_parts_cover_the_rows_once_and_keep_below_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "PART_BYTES", 3 * 10 * 100)
    parts = row_parts(slice(7, 42), 100)
    assert [row for part in parts for row in range(part.start, part.stop)] == list(range(7, 42))
    assert max(part.stop - part.start for part in parts) <= 10
    assert row_parts(slice(5, 5), 100) == []
    assert row_parts(slice(0, 2), 10**6) == [slice(0, 1), slice(1, 2)]


def step(model: DCell, seed: int) -> torch.Tensor:
    """One backward pass; the gradient of the child weights."""
    genotypes = nets.random_genotypes(seed, 20, 12)
    y = torch.linspace(-1, 1, len(genotypes), dtype=torch.float64)
    DCellLoss(model.root)(model(nets.deletions(genotypes, 12)), y).total.backward()
    assert model.child_weight.grad is not None
    return model.child_weight.grad


@pytest.mark.parametrize("form", ["dense", "delta"])
def test_a_gradients_memory_is_lent_again_and_what_it_held_is_forgotten(form: str) -> None:
    """NaN left in it stays nowhere, not in the padding either, which no product writes."""
    model, _ = nets.pair(nets.random_network(2), replace(WIDE, form=form))
    wanted = step(model, 1).clone()
    assert model.gene_weight.grad is not None
    genes = model.gene_weight.grad.clone()
    assert model.stack.child_weights > int((wanted != 0).sum())
    place = model.child_weight.grad.data_ptr()
    for parameter in (model.child_weight, model.gene_weight):
        parameter.grad.fill_(float("nan"))
    model.zero_grad()
    found = step(model, 1)
    assert found.data_ptr() == place
    assert torch.equal(found, wanted)
    assert torch.equal(model.gene_weight.grad, genes)


def test_a_gradient_that_is_held_keeps_its_memory() -> None:
    model, _ = nets.pair(nets.random_network(2), WIDE)
    held = step(model, 1)
    once = held.clone()
    model.zero_grad()
    other = step(model, 2)
    assert other.data_ptr() != held.data_ptr()
    assert torch.equal(held, once)
    again = step(model, 2)  # added up, over two passes
    assert torch.equal(again, 2 * step_alone(2))


def step_alone(seed: int) -> torch.Tensor:
    return step(nets.pair(nets.random_network(2), WIDE)[0], seed)


def test_memory_of_another_shape_or_dtype_is_new() -> None:
    lent = LentTable()
    first = lent.like(torch.zeros(4))
    assert (first.shape, first.dtype) == ((4,), torch.float32)
    del first
    second = lent.like(torch.zeros(5, dtype=torch.float64))
    assert (second.shape, second.dtype) == ((5,), torch.float64)
    assert lent.like(torch.zeros(5, dtype=torch.bfloat16)).dtype == torch.bfloat16
