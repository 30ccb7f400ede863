"""Vectors of genes in both forms: the oracle's numbers, every gradient, per-term weights, and genes never deleted."""

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gocell_cli.errors import UsageError
from gocell_cli.training.network.dcell import DCell, DCellConfig
from gocell_cli.training.network.term_weights import TermWeights
from tests.attempts import attempts
from tests.reference.dcell import gene_table
from tests.training import networks as nets

GENES = 12
SMALL = DCellConfig(min_width=4, init_range=0.5, ratio=0.3, gene_weights="deviation")


def vectors(seed: int, columns: int = 3) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(GENES, columns)))


def _beside_the_oracle(
    seed: int, config: DCellConfig, u: torch.Tensor, form: str, *, training: bool
) -> tuple[DCell, dict[str, float]]:
    """A random network by `form`, run once beside the oracle: how far heads, loss, statistics, gradients are apart."""
    hierarchy, dense = nets.random_network(seed), form in ("dense", "values")
    model, oracle = nets.pair(hierarchy, replace(config, form="dense" if dense else "delta"), seed, u)
    if model.delta is not None:
        model.delta = replace(model.delta, backend=form)
    genotypes = nets.random_genotypes(seed, 20, GENES)
    x, y = gene_table(genotypes, GENES), torch.linspace(-1, 1, len(genotypes), dtype=torch.float64)
    model.train(training)
    oracle.train(training)
    fast = nets.run_fast(model, hierarchy, x if form == "values" else nets.deletions(genotypes, GENES), y)
    return model, nets.difference(fast, nets.run_oracle(oracle, hierarchy, x, y, config.alpha))


@settings(max_examples=attempts(20, 200), deadline=None)
@given(
    seed=st.integers(0, 10_000),
    norm_order=st.sampled_from(["tanh-bn", "bn-tanh"]),
    gene_weights=st.sampled_from(["deviation", "direction"]),
    form=st.sampled_from(["dense", "cpu", "tensors", "values"]),
    training=st.booleans(),
)
def test_both_forms_equal_the_oracle(seed: int, norm_order: str, gene_weights: str, form: str, training: bool) -> None:
    """Heads, loss, statistics and every gradient, that of A_t too; `values`: genes' values in place of deletions."""
    config = replace(SMALL, norm_order=norm_order, gene_weights=gene_weights)
    _, worst = _beside_the_oracle(seed, config, vectors(seed), form, training=training)
    assert "vector_weight" in worst
    assert max(worst.values()) < 1e-10, worst


@settings(max_examples=attempts(20, 200), deadline=None)
@given(
    seed=st.integers(0, 10_000),
    norm_order=st.sampled_from(["tanh-bn", "bn-tanh"]),
    gene_weights=st.sampled_from(["deviation", "direction"]),
    form=st.sampled_from(["dense", "cpu", "tensors", "values"]),
    columns=st.integers(2, 5),
    training=st.booleans(),
)
def test_learnt_vectors_equal_the_oracle_in_both_forms(
    seed: int, norm_order: str, gene_weights: str, form: str, columns: int, training: bool
) -> None:
    """Two learnt numbers a gene, alone or behind given ones: their own gradient as well as all others."""
    u = vectors(seed, columns).requires_grad_()
    config = replace(SMALL, norm_order=norm_order, gene_weights=gene_weights, learnt_vectors=2)
    model, worst = _beside_the_oracle(seed, config, u, form, training=training)
    assert max(worst.values()) < 1e-10, worst
    assert model.vectors is not None
    assert model.vectors.learnt is not None
    assert u.grad is not None
    assert model.vectors.learnt.grad is not None
    assert (model.vectors.learnt.grad - u.grad[:, -2:]).abs().max() < 1e-10
    assert u.grad[:, -2:].abs().max() > 0


def test_learnt_vectors_start_at_nothing_and_stay_there_for_genes_never_deleted() -> None:
    hierarchy = nets.random_network(5)
    config = replace(SMALL, form="delta", learnt_vectors=3)
    torch.manual_seed(0)
    model = DCell(hierarchy, config).double()
    torch.manual_seed(0)
    plain = DCell(hierarchy, replace(config, learnt_vectors=0)).double()
    batch = nets.deletions([(0,), (1,), (2,), (0, 3), ()], GENES)
    assert torch.equal(model(batch), plain(batch))
    assert model.vectors is not None
    assert "vectors.genes" not in model.state_dict()
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.05, weight_decay=0.01)
    y = torch.linspace(-1, 1, 5, dtype=torch.float64)
    for _ in range(5):
        optimiser.zero_grad()
        (model(batch)[:, model.root] - y).square().mean().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    learnt = model.vectors.learnt
    assert learnt is not None
    assert not learnt[4:].any()
    heard = {int(gene) for gene in hierarchy.row_gene}
    assert all(learnt[gene].abs().max() > 1e-3 for gene in heard & {0, 1, 2, 3})
    # padding behind a term's neurons hears nothing
    assert not model.vectors.weight[~model.index["real"]].any()
    weights = TermWeights(model, hierarchy)
    joined = weights.join(weights.split(model.state_dict()))
    assert all(torch.equal(joined[name], tensor) for name, tensor in model.state_dict().items())
    more = 3 * int(model.stack.width.sum()) + 3 * GENES
    assert model.parameter_count() - plain.parameter_count() == more


def test_weights_go_both_ways_and_vectors_stay() -> None:
    hierarchy, u = nets.random_network(3), vectors(3)
    model, _ = nets.pair(hierarchy, SMALL, 3, u)
    weights = TermWeights(model, hierarchy)
    joined = weights.join(weights.split(model.state_dict()))
    assert joined.keys() == model.state_dict().keys()
    assert all(torch.equal(joined[name], tensor) for name, tensor in model.state_dict().items())
    again = DCell(hierarchy, SMALL, torch.zeros(GENES, 3)).double()
    again.load_state_dict(model.state_dict())
    assert torch.equal(again.vectors.get_buffer("genes"), u) if again.vectors is not None else False
    # 3 numbers of each real neuron more than a network without vectors
    plain = DCell(hierarchy, SMALL)
    assert model.parameter_count() - plain.parameter_count() == 3 * int(model.stack.width.sum())


def test_vectors_start_without_effect_and_then_tell_genes_apart_that_are_never_deleted() -> None:
    """Zeros first, so the start is that of a network without; a trained A_t speaks of any gene by its vector alone."""
    hierarchy, u = nets.random_network(5), vectors(5)
    torch.manual_seed(0)
    model = DCell(hierarchy, replace(SMALL, form="delta"), u).double()
    torch.manual_seed(0)
    plain = DCell(hierarchy, replace(SMALL, form="delta")).double()
    batch = nets.deletions([(0,), (1,), (2,), (0, 3), ()], GENES)
    assert torch.equal(model(batch), plain(batch))
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.05, weight_decay=0.0)
    y = torch.linspace(-1, 1, 5, dtype=torch.float64)
    for _ in range(5):
        optimiser.zero_grad()
        (model(batch)[:, model.root] - y).square().mean().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    model.eval()
    state = TermWeights(model, hierarchy).split(model.state_dict())
    for term, name in enumerate(hierarchy.term_ids):
        own = hierarchy.row_gene[hierarchy.row_term == term]
        unseen = np.flatnonzero(own > 3)
        if len(own):
            assert not state[f"{name}.linear.weight"][:, -len(own) :][:, unseen].any()
    alone = model(nets.deletions([(g,) for g in range(4, GENES)], GENES))[:, model.root]
    model.vectors.get_buffer("genes").zero_()  # type: ignore[union-attr]
    without = model(nets.deletions([(g,) for g in range(4, GENES)], GENES))[:, model.root]
    assert (alone - without).abs().max() > 1e-6


@pytest.mark.parametrize("gene_weights", ["own", "shared"])
def test_columns_that_are_in_the_wild_type_take_no_vectors(gene_weights: str) -> None:
    with pytest.raises(UsageError, match="count from the wild type"):
        DCell(nets.random_network(1), replace(SMALL, gene_weights=gene_weights), vectors(1))
    with pytest.raises(UsageError, match="learnt_vectors need columns that count from the wild type"):
        replace(SMALL, gene_weights=gene_weights, learnt_vectors=2)


def test_vectors_of_other_genes_are_refused() -> None:
    with pytest.raises(UsageError, match="vectors of 5 genes, of which the hierarchy has 12"):
        DCell(nets.random_network(1), SMALL, vectors(1)[:5])


@pytest.mark.parametrize("columns", [1, 4, 7])
@pytest.mark.parametrize("ratio", [0.3, 2.5])
def test_the_compiled_loops_make_what_a_product_for_each_piece_does(columns: int, ratio: float) -> None:
    """The way of other devices; of all pairs, padding and narrow and wide terms among them, and both gradients."""
    model = DCell(nets.random_network(7), replace(SMALL, ratio=ratio), vectors(7, columns)).double()
    assert model.vectors is not None
    torch.nn.init.normal_(model.vectors.weight)
    torch.nn.init.normal_(model.gene_weight)
    found, wanted = model.gene_columns(), model.vectors.by_piece(model.gene_weight)
    assert (found - wanted).abs().max() < 1e-12
    slope = torch.randn_like(wanted)
    parameters = (model.gene_weight, model.vectors.weight)
    for one, other in zip(*(torch.autograd.grad(made, parameters, slope) for made in (found, wanted)), strict=True):
        assert (one - other).abs().max() < 1e-12


@pytest.mark.parametrize("backend", ["cpu", "tensors"])
@pytest.mark.parametrize("training", [False, True])
def test_columns_of_pairs_that_no_variant_has_lost_are_not_read(backend: str, training: bool) -> None:
    """NaN where they would lie reaches nothing; those that are read are made anew at each pass."""
    model, _ = nets.pair(nets.random_network(4), replace(SMALL, form="delta"), 4, vectors(4))
    assert model.delta is not None
    assert model.vectors is not None
    model.delta = replace(model.delta, backend=backend)
    model.train(training)
    batch, gradients = nets.deletions([(0,), (1, 2), (0, 5), ()], GENES), []
    for content in (0.0, float("nan")):
        # given back at once: the next pass is lent the same memory
        model.vectors.lent.like(model.gene_weight).detach().fill_(content)
        model.zero_grad()
        model(batch).square().sum().backward()
        gradients.append({name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None})
    assert model.vectors.weight.grad is not None
    assert model.vectors.weight.grad.abs().max() > 0
    assert all(torch.equal(gradients[0][name], gradients[1][name]) for name in gradients[0])


def test_a_copied_or_pickled_network_gives_the_same() -> None:
    model, _ = nets.pair(nets.random_network(6), replace(SMALL, form="delta"), 6, vectors(6))
    batch = nets.deletions([(0,), (1, 2), (3,)], GENES)
    wanted = model.eval()(batch)
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(again(batch), wanted)
