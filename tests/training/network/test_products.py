"""Products of children's deviations in both forms: the oracle's numbers, every gradient, exact zeros, shares."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gocell_cli.errors import UsageError
from gocell_cli.training.network.dcell import DCell, DCellConfig
from gocell_cli.training.network.population import set_population
from gocell_cli.training.network.term_dropout import kept_terms
from gocell_cli.training.network.term_weights import TermWeights
from tests.attempts import attempts
from tests.reference.dcell import gene_table
from tests.training import networks as nets
from tests.training.network.test_together import assert_equal, shares_of, whole_step
from tests.training.together import Member, together

GENES = 12
SMALL = DCellConfig(min_width=4, init_range=0.5, ratio=0.3, gene_weights="deviation", products=3)
BATCH: nets.Genotypes = [(0,), (1, 2), (0, 5), (), (3, 7, 9), (11,), (4, 6), (8, 10)]


@settings(max_examples=attempts(40, 400), deadline=None)
@given(
    seed=st.integers(0, 10_000),
    norm_order=st.sampled_from(["tanh-bn", "bn-tanh"]),
    gene_weights=st.sampled_from(["own", "shared", "deviation", "direction"]),
    form=st.sampled_from(["dense", "delta", "values"]),
    rank=st.integers(1, 5),
    term_dropout=st.sampled_from([0.0, 0.3]),
    shown=st.booleans(),
    level_by=st.sampled_from(nets.LEVELS),
    training=st.booleans(),
)
def test_both_forms_equal_the_oracle(
    seed: int, norm_order: str, gene_weights: str, form: str, rank: int, term_dropout: float, shown: bool,
    level_by: str, training: bool,
) -> None:  # fmt: skip
    """Heads, loss, statistics and every gradient; shown: whether a sample is the root's wild type."""
    if form == "values" and gene_weights in ("own", "shared"):
        return  # refused
    hierarchy = nets.by_level(nets.random_network(seed), level_by)
    dense = form != "delta"
    config = replace(
        SMALL, norm_order=norm_order, gene_weights=gene_weights, products=rank, term_dropout=term_dropout,
        form="dense" if dense else "delta", ratio=seed % 3 * 0.5,
    )  # fmt: skip
    model, oracle = nets.pair(hierarchy, config, seed)
    model.train(training)
    oracle.train(training)
    if training and term_dropout:
        model.drop_terms(seed=1, epoch=2, step=seed)
        kept = kept_terms(len(model.stack.order), term_dropout, seed=1, epoch=2, step=seed)
        kept[oracle.root] = True
        oracle.scale = torch.from_numpy(kept / (1 - term_dropout))
    genotypes = nets.random_genotypes(seed, 20, GENES)
    genotypes = [*genotypes, ()] if shown else [g or (0,) for g in genotypes]
    x, y = gene_table(genotypes, GENES), torch.linspace(-1, 1, len(genotypes), dtype=torch.float64)
    fast = nets.run_fast(model, hierarchy, x if form == "values" else nets.deletions(genotypes, GENES), y)
    worst = nets.difference(fast, nets.run_oracle(oracle, hierarchy, x, y, config.alpha))
    assert {"product_in", "product_out"} < worst.keys()
    assert max(worst.values()) < 1e-10, worst


@pytest.mark.parametrize("form", ["dense", "delta"])
def test_products_start_without_effect_and_the_wild_type_has_none(form: str) -> None:
    hierarchy, batch = nets.random_network(5), nets.deletions(BATCH, GENES)
    config = replace(SMALL, form=form, gene_weights="own")  # columns that are not 0 at first
    torch.manual_seed(0)
    model = DCell(hierarchy, config).double()
    torch.manual_seed(0)
    plain = DCell(hierarchy, replace(config, products=0)).double()
    assert (model(batch) - plain(batch)).abs().max() < 1e-10
    assert model.product_out is not None
    with torch.no_grad():
        model.product_out.normal_()
    for one in (model, plain):
        one.eval()
    assert (model(batch) - plain(batch)).abs().max() > 1e-3
    # no gene deleted, and a gene of no term
    for sample in (3, 5):
        assert (model(batch)[sample] - plain(batch)[sample]).abs().max() < 1e-12


@pytest.mark.parametrize("shares", [[4, 4], [1, 7], [3, 0, 5]])
@pytest.mark.parametrize("norm_order", ["tanh-bn", "bn-tanh"])
def test_a_step_of_any_shares_is_the_whole_batchs(shares: list[int], norm_order: str) -> None:
    hierarchy, config = nets.random_network(7), replace(SMALL, form="delta", norm_order=norm_order)
    cuts = np.cumsum(shares)[:-1].tolist()
    parts = shares_of(len(BATCH), cuts)
    wanted = whole_step(nets.pair(hierarchy, config, 1)[0], BATCH, np.arange(len(BATCH)), None, GENES)
    models = [nets.pair(hierarchy, config, 1)[0] for _ in parts]

    def work(member: Member) -> dict[str, torch.Tensor]:
        return whole_step(models[member.rank], BATCH, parts[member.rank], member, GENES)

    found = together(len(parts), work)
    for own in found:
        assert_equal(own, wanted)
    for name, value in found[0].items():
        assert all(torch.equal(own[name], value) for own in found), name


@pytest.mark.parametrize("norm_order", ["tanh-bn", "bn-tanh"])
def test_population_statistics_of_both_forms_are_a_training_batchs(norm_order: str) -> None:
    hierarchy, batch = nets.random_network(4), nets.deletions(BATCH, GENES)
    models = [
        nets.pair(hierarchy, replace(SMALL, form=form, norm_order=norm_order), 4)[0] for form in ("dense", "delta")
    ]
    wanted = models[1].train()(batch)
    heads = []
    for model in models:
        set_population(model, lambda: [nets.deletions(BATCH[:3], GENES), nets.deletions(BATCH[3:], GENES)])
        heads.append(model.eval()(batch).detach())
        assert (heads[-1] - wanted).abs().max() < 1e-10
    assert (models[0].running_mean - models[1].running_mean).abs().max() < 1e-12


def test_weights_go_both_ways_and_a_copy_gives_the_same() -> None:
    hierarchy = nets.random_network(3)
    model, _ = nets.pair(hierarchy, SMALL, 3)
    weights = TermWeights(model, hierarchy)
    joined = weights.join(weights.split(model.state_dict()))
    assert joined.keys() == model.state_dict().keys()
    assert all(torch.equal(joined[name], tensor) for name, tensor in model.state_dict().items())
    plain = DCell(hierarchy, replace(SMALL, products=0))
    stack = model.stack
    assert model.parameter_count() - plain.parameter_count() == 3 * int(2 * stack.inputs.sum() + stack.width.sum())
    batch = nets.deletions(BATCH, GENES)
    assert torch.equal(copy.deepcopy(model.eval())(batch), model(batch))


def test_what_products_can_not_do_is_refused() -> None:
    with pytest.raises(UsageError, match="products is -1"):
        DCellConfig(products=-1)
    model = DCell(nets.random_network(3), replace(SMALL, gene_weights="own"))
    with pytest.raises(UsageError, match="products of gene values need columns"):
        model(torch.ones(3, GENES))
