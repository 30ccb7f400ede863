"""A network with a head a phenotype: loop of terms, dense and delta form agree, and so does the masked loss."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gocell_cli.errors import UsageError
from gocell_cli.training.network.config import CHOICES, DCellConfig
from gocell_cli.training.network.dcell import DCell
from gocell_cli.training.network.delta.heads import VariantHeads
from gocell_cli.training.network.loss import DCellLoss, PhenotypesLoss
from gocell_cli.training.network.term_weights import TermWeights
from tests.attempts import attempts
from tests.reference.dcell import gene_table, oracle_phenotypes_loss
from tests.training import networks as nets

GENES = 12
SMALL = DCellConfig(min_width=3, init_range=0.5, ratio=0.7, width_by="contained", phenotypes=3)
KINDS = ["mse", "bce", "mse"]
SCALES = [0.5, 0.8, 2.0]


def targets(seed: int, samples: int, missing: float = 0.4) -> Tensor:
    """Targets [samples, 3], the second 0 or 1, of which some are missing (NaN)."""
    rng = np.random.default_rng(seed)
    found = rng.normal(size=(samples, 3))
    found[:, 1] = found[:, 1] > 0
    found[rng.random(found.shape) < missing] = np.nan
    return torch.from_numpy(found)


def loss_of(model: DCell) -> PhenotypesLoss:
    kinds = [DCellLoss(model.root, kind, model.config.alpha) for kind in KINDS]
    return PhenotypesLoss(tuple(kinds), tuple(SCALES))


def step(model: DCell, batch: nets.Genotypes, y: Tensor, *, rows: bool) -> dict[str, Tensor]:
    """Heads, loss, gradients and statistics of one step; through the loss's closed form with `rows`."""
    model.zero_grad()
    deletions = nets.deletions(batch, GENES)
    heads = model.heads(deletions) if rows else model(deletions)
    parts = loss_of(model)(heads, y)
    parts.total.backward()
    found = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    found |= {name: model.get_buffer(name).clone() for name in ("running_mean", "running_var")}
    dense = heads.dense() if isinstance(heads, VariantHeads) else heads
    of_root = heads.of_term(model.root) if isinstance(heads, VariantHeads) else heads[:, model.root]
    assert torch.equal(of_root, dense[:, model.root])
    told = {"loss": parts.total, "root": parts.root, "auxiliary": parts.auxiliary, "heads": dense}
    return found | {name: value.detach() for name, value in told.items()}


@settings(max_examples=attempts(8, 100))
@given(
    st.integers(0, 1000),
    st.sampled_from(["tanh-bn", "bn-tanh"]),
    st.sampled_from(CHOICES["gene_weights"]),
    st.booleans(),
)
def test_the_loop_of_terms_gives_the_same(seed: int, norm_order: str, gene_weights: str, training: bool) -> None:
    hierarchy = nets.random_network(seed)
    config = replace(SMALL, norm_order=norm_order, gene_weights=gene_weights)
    model, oracle = nets.pair(hierarchy, config, seed)
    batch = nets.random_genotypes(seed, 14, GENES)
    y = targets(seed, len(batch))
    model.train(training)
    oracle.train(training)
    found = step(model, batch, y, rows=False)
    heads = oracle(gene_table(batch, GENES))
    loss = oracle_phenotypes_loss(heads, y, oracle.root, config.alpha, SCALES, KINDS)
    loss.backward()
    assert found["heads"].shape == (len(batch), len(hierarchy.term_ids), 3)
    assert torch.allclose(found["heads"], heads.detach(), rtol=0, atol=1e-10)
    assert torch.allclose(found["loss"], loss.detach(), rtol=0, atol=1e-10)
    split = TermWeights(model, hierarchy).split(
        {name: found[name] for name, _ in model.named_parameters() if name in found}
    )
    for number, term in enumerate(hierarchy.term_ids):
        block = oracle.subsystems[number]
        for name, own in block.named_parameters():
            wanted = torch.zeros_like(own) if own.grad is None else own.grad
            if name == "linear.weight" and gene_weights == "direction":
                continue  # columns that are held at 0 have no gradient here, and one of 0 in the loop
            assert torch.allclose(split[f"{term}.{name}"], wanted, rtol=0, atol=1e-10), name


@settings(max_examples=attempts(6, 100))
@given(st.integers(0, 1000), st.sampled_from(["tanh-bn", "bn-tanh"]), st.booleans(), st.sampled_from([0.0, 0.4, 1.0]))
def test_the_delta_form_gives_the_same(seed: int, norm_order: str, training: bool, missing: float) -> None:
    """Labels of all, of some and of no samples; both backends, the loss in closed form and sample by sample."""
    config = replace(SMALL, norm_order=norm_order, gene_weights="deviation")
    hierarchy = nets.random_network(seed)
    dense, _ = nets.pair(hierarchy, config, seed)
    delta = DCell(hierarchy, replace(config, form="delta")).double()
    start = {name: value.clone() for name, value in dense.state_dict().items()}
    batch = nets.random_genotypes(seed, 30, GENES, most=6)
    y = targets(seed, len(batch), missing)
    wanted = step(dense.train(training), batch, y, rows=False)
    assert delta.delta is not None
    form = delta.delta
    for rows, backend in ((False, "cpu"), (True, "cpu"), (True, "tensors")):
        delta.delta = replace(form, backend=backend)
        delta.load_state_dict(start)
        found = step(delta.train(training), batch, y, rows=rows)
        assert found.keys() == wanted.keys()
        for name, value in wanted.items():
            assert torch.allclose(found[name], value, rtol=0, atol=1e-10), (name, backend)


def test_products_have_several_heads_too() -> None:
    config = replace(SMALL, gene_weights="deviation", products=2)
    hierarchy = nets.random_network(3)
    dense, _ = nets.pair(hierarchy, config, 3)
    delta = DCell(hierarchy, replace(config, form="delta")).double()
    delta.load_state_dict(dense.state_dict())
    batch = nets.random_genotypes(3, 30, GENES)
    y = targets(3, len(batch))
    found, wanted = step(delta.train(), batch, y, rows=True), None
    one = dense.train().dense_pass(nets.deletions(batch, GENES))
    wanted = dense._by_sample(one.up())
    assert torch.allclose(found["heads"], wanted, rtol=0, atol=1e-10)


@pytest.mark.parametrize("rows", [True, False])
def test_without_missing_labels_it_is_the_weighted_sum_of_single_losses(rows: bool) -> None:
    model, _ = nets.pair(nets.random_network(5), replace(SMALL, form="delta" if rows else "dense"), 5)
    batch = nets.random_genotypes(5, 80, GENES)
    y = targets(5, len(batch), 0.0)
    heads = model.heads(nets.deletions(batch, GENES))
    assert isinstance(heads, VariantHeads) == rows
    found = loss_of(model)(heads, y)
    dense = heads.dense() if isinstance(heads, VariantHeads) else heads
    singles = [DCellLoss(model.root, kind)(dense[..., p].contiguous(), y[:, p]) for p, kind in enumerate(KINDS)]
    for part in ("total", "root", "auxiliary"):
        wanted = sum(scale * getattr(one, part) for scale, one in zip(SCALES, singles, strict=True))
        assert torch.allclose(getattr(found, part), wanted, rtol=0, atol=1e-12)


def test_a_batch_made_ready_has_its_targets_and_shares_add_up() -> None:
    """Two halves of a batch, each by its share of the samples, have the whole's loss: torchrun and accumulation."""
    model, _ = nets.pair(nets.random_network(6), replace(SMALL, form="delta"), 6)
    model.eval()  # BatchNorm would see each half for itself
    batch = nets.random_genotypes(6, 60, GENES)
    y, deletions = targets(6, len(batch)), nets.deletions(batch, GENES)
    ready = model.ready(deletions, y)
    loss = loss_of(model)
    whole = loss(model.heads(ready), ready.targets)
    assert torch.allclose(whole.total, loss(model.heads(deletions), y).total, rtol=0, atol=1e-12)
    cut = 25
    halves = [(batch[:cut], y[:cut]), (batch[cut:], y[cut:])]
    parts = [
        loss(model.heads(nets.deletions(some, GENES)), own).shared(len(some) / len(batch), 2, 0.0)
        for some, own in halves
    ]
    assert torch.allclose(parts[0].total + parts[1].total, whole.total, rtol=0, atol=1e-12)


def test_tables_split_by_term_join_again() -> None:
    hierarchy = nets.random_network(2)
    model, _ = nets.pair(hierarchy, SMALL, 2)
    weights = TermWeights(model, hierarchy)
    state = weights.split(model.state_dict())
    name, width = hierarchy.term_ids[0], int(model.stack.width[0])
    assert state[f"{name}.head.weight"].shape == (3, width)
    assert state[f"{name}.head.bias"].shape == (3,)
    joined = weights.join(state)
    assert all(torch.equal(joined[key], value) for key, value in model.state_dict().items())


def test_counts_and_shapes() -> None:
    hierarchy = nets.random_network(1)
    one, several = DCell(hierarchy, replace(SMALL, phenotypes=1)), DCell(hierarchy, SMALL)
    assert one.head_weight.ndim == 1
    more = 2 * (int(one.stack.width.sum()) + len(one.stack.order))
    assert several.parameter_count() == one.parameter_count() + more
    with pytest.raises(UsageError, match="phenotypes is 0"):
        replace(SMALL, phenotypes=0)
    y = targets(1, 5)
    heads = several(nets.deletions([(g,) for g in range(5)], GENES))
    with pytest.raises(UsageError, match="not \\[samples, terms, 3\\]"):
        loss_of(several)(heads, y[:, :2])
