"""Terms left out for a step: the oracle's numbers in both forms, the same in every process, none in evaluation."""

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
from tests.attempts import attempts
from tests.hierarchies import make_network
from tests.reference.dcell import OracleDCell, gene_table
from tests.training import networks as nets
from tests.training.network.test_together import assert_equal, shares_of, whole_step
from tests.training.together import Member, together

GENES = 12
SMALL = DCellConfig(min_width=4, init_range=0.5, ratio=0.3, gene_weights="deviation", term_dropout=0.4)
BATCH: nets.Genotypes = [(0,), (1, 2), (0, 5), (), (3, 7, 9), (11,), (4, 6), (8, 10)]


def drawn(model: DCell, oracle: OracleDCell, step: int) -> np.ndarray:
    """Leave out the same terms in both; returns which are kept, in the hierarchy's order."""
    model.drop_terms(seed=1, epoch=2, step=step)
    kept = kept_terms(len(model.stack.order), model.config.term_dropout, seed=1, epoch=2, step=step)
    kept[oracle.root] = True
    oracle.scale = torch.from_numpy(kept / (1 - model.config.term_dropout))
    return kept


def stacked(hierarchy: nets.Hierarchy, config: DCellConfig, form: str, seed: int) -> tuple[DCell, OracleDCell]:
    model, oracle = nets.pair(hierarchy, replace(config, form="dense" if form == "dense" else "delta"), seed)
    if model.delta is not None:
        model.delta = replace(model.delta, backend=form)
    return model, oracle


@settings(max_examples=attempts(30, 300), deadline=None)
@given(
    seed=st.integers(0, 10_000),
    step=st.integers(0, 1_000),
    norm_order=st.sampled_from(["tanh-bn", "bn-tanh"]),
    gene_weights=st.sampled_from(["own", "shared", "deviation", "direction"]),
    form=st.sampled_from(["dense", "cpu", "tensors"]),
    probability=st.sampled_from([0.1, 0.5, 0.9]),
    level_by=st.sampled_from(nets.LEVELS),
)
def test_both_forms_equal_the_oracle(
    seed: int, step: int, norm_order: str, gene_weights: str, form: str, probability: float, level_by: str
) -> None:
    """Heads, loss, statistics and every gradient of a step; then evaluation, in which no term is left out."""
    hierarchy = nets.by_level(nets.random_network(seed), level_by)
    config = replace(SMALL, norm_order=norm_order, gene_weights=gene_weights, term_dropout=probability)
    model, oracle = stacked(hierarchy, config, form, seed)
    genotypes = nets.random_genotypes(seed, 20, GENES)
    x, y = gene_table(genotypes, GENES), torch.linspace(-1, 1, len(genotypes), dtype=torch.float64)
    model.train()
    oracle.train()
    drawn(model, oracle, step)
    batch = nets.deletions(genotypes, GENES)
    worst = nets.difference(
        nets.run_fast(model, hierarchy, batch, y), nets.run_oracle(oracle, hierarchy, x, y, config.alpha)
    )
    assert max(worst.values()) < 1e-10, worst
    model.eval()
    oracle.eval()
    oracle.scale = None
    worst = nets.difference(
        nets.run_fast(model, hierarchy, batch, y), nets.run_oracle(oracle, hierarchy, x, y, config.alpha)
    )
    assert max(worst.values()) < 1e-10, worst


@pytest.mark.parametrize("norm_order", ["tanh-bn", "bn-tanh"])
def test_the_gpu_kernels_equal_the_oracle(norm_order: str) -> None:
    pytest.importorskip("triton", reason="the GPU's kernels need Triton (pip install 'gocell[triton]')")
    hierarchy = nets.random_network(5)
    model, oracle = stacked(hierarchy, replace(SMALL, norm_order=norm_order), "gpu", 5)
    genotypes = nets.random_genotypes(5, 20, GENES)
    y = torch.linspace(-1, 1, len(genotypes), dtype=torch.float64)
    model.train()
    oracle.train()
    assert not drawn(model, oracle, 3).all()
    fast = nets.run_fast(model, hierarchy, nets.deletions(genotypes, GENES), y)
    worst = nets.difference(fast, nets.run_oracle(oracle, hierarchy, gene_table(genotypes, GENES), y, 0.3))
    assert max(worst.values()) < 1e-10, worst


@pytest.mark.parametrize("form", ["dense", "cpu", "tensors"])
@pytest.mark.parametrize("norm_order", ["tanh-bn", "bn-tanh"])
def test_a_term_whose_varying_children_are_all_left_out_is_constant(form: str, norm_order: str) -> None:
    """Terms without genes of their own, in float32: the head is the same for all samples, to the bit."""
    edges = [(1, 0), (2, 0), (3, 1), (4, 1), (5, 2), (5, 3), (6, 3), (6, 4), (7, 4)]
    hierarchy = make_network(edges, [(t, g) for t in (5, 6, 7) for g in range(t - 5, GENES - 1, 3)], 8, GENES)
    config = replace(SMALL, term_dropout=0.7, norm_order=norm_order, form="dense" if form == "dense" else "delta")
    model = DCell(hierarchy, config).train()
    if model.delta is not None:
        model.delta = replace(model.delta, backend=form)
    batch = nets.deletions(BATCH, GENES)
    found = 0
    for step in range(20):
        model.drop_terms(seed=0, epoch=0, step=step)
        assert model.dropped is not None
        varies = model.dropped.varying(np.arange(GENES)) > 0
        still = model.stack.order[~varies]
        heads = model(batch)
        assert torch.equal(heads[:, still], heads[:1, still].expand(len(heads), -1))
        found += len(still)
    assert found > 10, "no term was cut off in twenty draws"


def test_the_draw_is_one_of_seed_epoch_and_step_at_the_rate_asked_for() -> None:
    whole = kept_terms(40_000, 0.3, seed=5, epoch=6, step=7)
    assert abs(whole.mean() - 0.7) < 0.01
    assert np.array_equal(whole, kept_terms(40_000, 0.3, seed=5, epoch=6, step=7))
    assert np.array_equal(whole[:100], kept_terms(100, 0.3, seed=5, epoch=6, step=7))
    for other in ({"seed": 6}, {"epoch": 7}, {"step": 8}):
        mine = kept_terms(40_000, 0.3, **{"seed": 5, "epoch": 6, "step": 7, **other})
        assert abs((mine == whole).mean() - (0.7**2 + 0.3**2)) < 0.02, "independent of it"


def test_the_root_is_never_left_out_and_all_else_may_be() -> None:
    model = DCell(nets.random_network(5), replace(SMALL, term_dropout=0.9))
    times = np.zeros(len(model.stack.order))
    for step in range(60):
        model.drop_terms(seed=0, epoch=0, step=step)
        assert model.dropped is not None
        times += model.dropped.kept
    assert times[-1] == 60
    assert (times[:-1] < 30).all()


@settings(max_examples=attempts(8, 100), deadline=None)
@given(
    cuts=st.lists(st.integers(0, 8), min_size=1, max_size=2),
    seed=st.integers(0, 50),
    backend=st.sampled_from(["cpu", "tensors"]),
)
def test_processes_leave_out_the_same_terms(cuts: list[int], seed: int, backend: str) -> None:
    """A step of any shares is the whole batch's, and the processes' weights stay the same to the bit."""
    hierarchy, config = nets.random_network(seed), replace(SMALL, form="delta")
    shares = shares_of(len(BATCH), cuts)

    def made() -> DCell:
        model = stacked(hierarchy, config, backend, 1)[0]
        model.drop_terms(seed=3, epoch=0, step=4)
        return model

    wanted = whole_step(made(), BATCH, np.arange(len(BATCH)), None, GENES)
    models = [made() for _ in shares]

    def work(member: Member) -> dict[str, torch.Tensor]:
        return whole_step(models[member.rank], BATCH, shares[member.rank], member, GENES)

    found = together(len(shares), work)
    for own in found:
        assert_equal(own, wanted)
    for name, value in found[0].items():
        assert all(torch.equal(own[name], value) for own in found), name


def test_a_training_step_for_which_nobody_drew_is_refused_and_evaluation_is_not() -> None:
    for form in ("dense", "delta"):
        model = DCell(nets.random_network(3), replace(SMALL, form=form)).train()
        with pytest.raises(UsageError, match="no terms were drawn"):
            model(nets.deletions(BATCH, GENES))
        set_population(model, lambda: [nets.deletions(BATCH, GENES)])
        assert torch.isfinite(model.eval()(nets.deletions(BATCH, GENES))).all()


def test_population_statistics_and_a_copy_know_nothing_of_terms_left_out() -> None:
    hierarchy = nets.random_network(4)
    model = stacked(hierarchy, SMALL, "cpu", 4)[0]
    plain = DCell(hierarchy, replace(SMALL, term_dropout=0.0, form="delta")).double()
    plain.load_state_dict(model.state_dict())
    model.train()
    model.drop_terms(seed=0, epoch=0, step=0)
    again = copy.deepcopy(model)
    for one in (model, plain):
        set_population(one, lambda: [nets.deletions(BATCH, GENES)])
        one.eval()
    batch = nets.deletions(BATCH, GENES)
    assert torch.equal(model(batch), plain(batch))
    again.drop_terms(seed=0, epoch=0, step=0)
    model.train()
    assert torch.equal(again(batch), model(batch))


@pytest.mark.parametrize("probability", [-0.1, 1.0, float("nan")])
def test_what_is_no_probability_is_refused(probability: float) -> None:
    with pytest.raises(UsageError, match="term_dropout is"):
        DCellConfig(term_dropout=probability)
