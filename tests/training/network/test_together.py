"""The delta form of several processes is that of one: each on its share, whatever the shares are."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gocell_cli.errors import UsageError
from gocell_cli.storage.schema import Hierarchy
from gocell_cli.training.network.config import CHOICES
from gocell_cli.training.network.dcell import DCell, DCellConfig
from gocell_cli.training.network.delta.heads import VariantHeads
from gocell_cli.training.network.loss import DCellLoss
from gocell_cli.training.network.population import set_population
from tests.attempts import attempts
from tests.training import networks as nets
from tests.training.together import Member, together

SMALL = DCellConfig(min_width=4, init_range=0.5, ratio=0.3, form="delta")
GENES, L2 = 12, 0.01
genotypes = st.lists(st.sets(st.integers(0, GENES - 1), max_size=5).map(sorted).map(tuple), min_size=2, max_size=20)
Found = dict[str, torch.Tensor]


def model_of(hierarchy: Hierarchy, config: DCellConfig, backend: str | None = None) -> DCell:
    model = nets.pair(hierarchy, config, 1)[0]
    if model.delta is not None:
        model.delta = replace(model.delta, backend=backend)
    return model


def whole_step(model: DCell, batch: nets.Genotypes, own: np.ndarray, member: Member | None, genes: int) -> Found:
    """A step on some samples of a batch: loss, gradients and statistics of all processes, the next parameters."""
    model.group, y = member, torch.linspace(-1, 1, len(batch), dtype=torch.float64)
    heads = model.train().heads(nets.deletions([batch[i] for i in own], genes))
    if len(own):
        world = member.group.world if member else 1
        loss = DCellLoss(model.root, l2=L2)(heads, y[torch.from_numpy(own)], [model.child_weight])
        total = loss.shared(len(own) / len(batch), world, L2).total
    else:  # no loss of its own but its part of L2
        assert isinstance(heads, VariantHeads)
        assert member is not None
        total = heads.values.sum() * 0 + L2 * model.child_weight.square().sum() / member.group.world
    total.backward()
    found = {"loss": total.detach()}
    if member:
        member.reduce(found["loss"], "sum")
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            if member:
                member.reduce(parameter.grad, "sum")
            found[f"{name} gradient"] = parameter.grad.clone()
    # eps: by the usual 1e-8 it would divide the rounding of a gradient that is 0, 1e-15, and make a step of 1e-7 of it
    torch.optim.AdamW(model.parameters(), lr=0.01, eps=1e-3).step()
    return found | {name: value.clone() for name, value in model.state_dict().items()}


def assert_equal(found: Found, wanted: Found) -> None:
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert torch.allclose(found[name], value, rtol=0, atol=1e-10), (name, (found[name] - value).abs().max())


def shares_of(samples: int, cuts: list[int]) -> list[np.ndarray]:
    return np.split(np.arange(samples), sorted(min(c, samples) for c in cuts))


@settings(max_examples=attempts(12, 200), deadline=None)
@given(
    genotypes,
    st.lists(st.integers(0, 20), min_size=1, max_size=3),
    st.integers(0, 50),
    st.sampled_from(["tanh-bn", "bn-tanh"]),
    st.sampled_from(CHOICES["gene_weights"]),
    st.sampled_from(["cpu", "tensors"]),
)
def test_a_step_of_any_shares_is_the_whole_batchs(
    batch: nets.Genotypes, cuts: list[int], seed: int, norm_order: str, gene_weights: str, backend: str
) -> None:
    """Shares of one sample and of none; a term that varies only between processes; a wild type that one alone shows."""
    hierarchy, config = nets.random_network(seed), replace(SMALL, norm_order=norm_order, gene_weights=gene_weights)
    shares = shares_of(len(batch), cuts)
    # not the dense form: of gradients that are 0 it leaves 1e-14, which AdamW divides by their own size
    wanted = whole_step(model_of(hierarchy, config, backend), batch, np.arange(len(batch)), None, GENES)
    models = [model_of(hierarchy, config, backend) for _ in shares]

    def work(member: Member) -> Found:
        return whole_step(models[member.rank], batch, shares[member.rank], member, GENES)

    found = together(len(shares), work)
    for own in found:
        assert_equal(own, wanted)
    for name, value in found[0].items():  # to the bit: processes whose weights part never meet again
        assert all(torch.equal(own[name], value) for own in found), name


@pytest.mark.parametrize("norm_order", ["tanh-bn", "bn-tanh"])
def test_a_step_on_the_bundled_hierarchy(bundled_hierarchy: Hierarchy, norm_order: str) -> None:
    """At small weights: with others the real hierarchy multiplies rounding from level to level (docs/algebra.md)."""
    config = DCellConfig(norm_order=norm_order, form="delta", min_width=4)
    torch.manual_seed(0)
    state = DCell(bundled_hierarchy, config).double().state_dict()
    genes = len(bundled_hierarchy.gene_names)
    batch = nets.random_genotypes(0, 60, genes)[genes:]
    shares = [np.arange(len(batch))[r::3] for r in range(3)]
    alone, *models = (DCell(bundled_hierarchy, config).double() for _ in range(4))
    for model in (alone, *models):
        model.load_state_dict(state)
    wanted = whole_step(alone, batch, np.arange(len(batch)), None, genes)
    for own in together(3, lambda m: whole_step(models[m.rank], batch, shares[m.rank], m, genes)):
        assert_equal(own, wanted)


@pytest.mark.parametrize("form", ["delta", "dense"])
@pytest.mark.parametrize("shares", [[4, 3], [7, 0], [0, 2, 5]])
def test_population_statistics_of_shares_are_those_of_the_split(form: str, shares: list[int]) -> None:
    split: nets.Genotypes = [(0, 1), (1,), (0, 1, 2), (), (1, 4), (0,), (0, 3)]
    alone, *models = (model_of(nets.random_network(4), replace(SMALL, form=form)) for _ in range(1 + len(shares)))
    set_population(alone, lambda: [nets.deletions(split, GENES)])
    ends = np.cumsum([0, *shares])

    def work(member: Member) -> Found:
        model, own = models[member.rank], split[ends[member.rank] : ends[member.rank + 1]]
        model.group = member
        set_population(model, lambda: [nets.deletions([one], GENES) for one in own])
        return {name: value.nan_to_num(posinf=-1) for name, value in model.named_buffers() if "running" in name}

    wanted = {name: value.nan_to_num(posinf=-1) for name, value in alone.named_buffers() if "running" in name}
    for own in together(len(shares), work):
        assert_equal(own, wanted)


def test_a_batch_of_one_sample_in_all_is_an_error_everywhere() -> None:
    models = [model_of(nets.random_network(4), SMALL, "tensors") for _ in range(2)]

    def work(member: Member) -> str:
        model = models[member.rank].train()
        model.group = member
        with pytest.raises(UsageError, match="at least two samples") as raised:
            model.heads(nets.deletions([(0,)] * member.rank, GENES))
        return raised.value.message

    assert len(set(together(2, work))) == 1


def test_what_runs_is_chosen_alike_whatever_the_shares() -> None:
    """63 samples of 127 would be too few for `auto`, 64 enough: one process would ask for what the other does not."""
    model = model_of(nets.random_network(4), replace(SMALL, form="auto"))
    small, large = (nets.deletions([(0,), (1, 2)] * n, GENES) for n in (1, 40))
    assert isinstance(model.train().heads(small), torch.Tensor)
    assert isinstance(model.heads(large), VariantHeads)

    def work(member: Member) -> bool:
        model.group = member
        return isinstance(model.heads(small), VariantHeads)

    assert together(1, work) == [True]
