"""The network beside the plain case: edges of batches, modes, precisions, weights of other machines."""

import copy
import pickle
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from gocell_cli.errors import InvalidInput, LevelsError, UsageError
from gocell_cli.level_directions import ROOT_DOWN
from gocell_cli.storage.schema import Hierarchy
from gocell_cli.training.data.batch import Deletions
from gocell_cli.training.network.dcell import DCell, DCellConfig
from gocell_cli.training.network.loss import DCellLoss
from gocell_cli.training.network.term_weights import TermWeights
from tests.training import networks as nets

SMALL = DCellConfig(min_width=4, init_range=0.5)
GENES = 12
UNBOUND = GENES - 1
"""The gene that `random_network` gives to no term."""


@pytest.fixture
def hierarchy() -> Hierarchy:
    return nets.random_network(3)


@pytest.fixture
def model(hierarchy: Hierarchy) -> DCell:
    return nets.pair(hierarchy, SMALL)[0]


def heads(model: DCell, *genotypes: tuple[int, ...]) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(nets.deletions(list(genotypes), GENES))
    return found


def test_training_on_one_sample_is_an_error_and_evaluating_it_is_not(model: DCell) -> None:
    with pytest.raises(UsageError, match="at least two samples"):
        model.train()(nets.deletions([(1,)], GENES))
    model.eval()
    assert torch.allclose(heads(model, (1,))[0], heads(model, (0, 3), (1,))[1], rtol=0, atol=1e-14)


def test_wild_type_unbound_genes_and_repeated_deletions(model: DCell) -> None:
    model.eval()
    wild, unbound = heads(model, (), (UNBOUND,))
    assert torch.equal(wild, unbound)
    repeated = Deletions.of(torch.tensor([0, 3]), torch.tensor([2, 2, 5]), GENES)
    assert torch.equal(repeated.gene, torch.tensor([2, 5]))
    assert torch.equal(model(repeated)[0], heads(model, (2, 5))[0])


def test_a_batch_of_wild_types_only_trains_on_nothing_but_constants(model: DCell) -> None:
    model.train()
    out = model(nets.deletions([(), (), ()], GENES))
    assert torch.equal(out[0], out[1])
    DCellLoss(model.root)(out, torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)).total.backward()
    for parameter in (model.child_weight, model.gene_weight, model.bias, model.norm_weight):
        assert parameter.grad is not None
        assert not parameter.grad.any()
    assert model.head_bias.grad is not None
    assert model.head_bias.grad.all()


@pytest.mark.parametrize("norm_order", ["tanh-bn", "bn-tanh"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_untouched_terms_have_gradients_of_exactly_zero(
    bundled_hierarchy: Hierarchy, norm_order: str, dtype: torch.dtype
) -> None:
    model = DCell(bundled_hierarchy, DCellConfig(norm_order=norm_order, init_range=0.1)).to(dtype)
    genes = np.unique(bundled_hierarchy.row_gene)
    genotypes = [tuple(map(int, g)) for g in np.random.default_rng(0).choice(genes, (32, 3))]
    out = model(nets.deletions(genotypes, len(bundled_hierarchy.gene_names)))
    DCellLoss(model.root)(out, torch.linspace(-1, 1, 32, dtype=dtype)).total.backward()
    grads = TermWeights(model, bundled_hierarchy).split(
        {k: p.grad for k, p in model.named_parameters() if p.grad is not None}
    )
    touched = nets.contained(bundled_hierarchy)[:, [g for genotype in genotypes for g in genotype]].any(1)
    assert 500 < touched.sum() < 3500
    for term in np.flatnonzero(~touched):
        name = bundled_hierarchy.term_ids[term]
        assert not any(grads[f"{name}.{part}"].any() for part in ("linear.weight", "linear.bias", "norm.weight"))
        assert grads[f"{name}.norm.bias"].any()
        assert grads[f"{name}.head.bias"].any()
    deepest = bundled_hierarchy.term_ids[int(np.flatnonzero(touched)[0])]
    assert grads[f"{deepest}.linear.weight"].any()


@pytest.mark.parametrize("form", ["dense", "delta"])
@pytest.mark.parametrize("level_by", nets.LEVELS)
def test_what_runs_at_once_is_a_level_of_the_hierarchy(form: str, level_by: str) -> None:
    """Stratum, height, or another hand's levels, with gaps: one group is one level's terms, whole; children first."""
    hierarchy = nets.by_level(nets.random_network(3, terms=20), level_by)
    model = DCell(hierarchy, replace(SMALL, form=form))
    groups = [b.group for b in model.stack.buckets for _ in range(b.terms)]
    levels = [int(hierarchy.level[t]) for t in model.stack.order]
    assert {tuple(pair) for pair in zip(groups, levels, strict=True)} == set(
        enumerate(sorted(set(levels), reverse=hierarchy.level_direction == ROOT_DOWN))
    )
    if model.delta is not None:
        bounds = model.delta.index.band_ptr
        assert all(len(set(levels[a:b])) == 1 for a, b in pairwise(bounds.tolist()))


def test_by_whichever_level_it_is_the_same_function(hierarchy: Hierarchy) -> None:
    one, _ = nets.pair(hierarchy, SMALL)
    state, genotypes = TermWeights(one, hierarchy).split(one.state_dict()), nets.random_genotypes(0, 30, GENES)
    for level_by in nets.LEVELS:
        own = nets.by_level(hierarchy, level_by)
        other = DCell(own, SMALL).double()
        other.load_state_dict(TermWeights(other, own).join(state))
        assert torch.allclose(heads(one, *genotypes), heads(other, *genotypes), rtol=0, atol=1e-12)


def test_weights_go_both_ways_unchanged(hierarchy: Hierarchy, model: DCell) -> None:
    weights = TermWeights(model, hierarchy)
    state = weights.split(model.state_dict())
    tables = weights.join(state)
    assert all(torch.equal(tables[name], tensor) for name, tensor in model.state_dict().items())
    shapes = {name: tuple(t.shape) for name, t in state.items() if name.startswith("GO:0000000.")}
    assert shapes["GO:0000000.head.weight"] == (1, 4)
    assert sum(t.numel() for n, t in state.items() if "running" not in n) == model.parameter_count()


def test_weights_of_another_network_are_refused_by_name(hierarchy: Hierarchy, model: DCell) -> None:
    weights = TermWeights(model, hierarchy)
    state = weights.split(model.state_dict())
    missing = {k: v for k, v in state.items() if k != "GO:0000004.norm.bias"}
    with pytest.raises(InvalidInput, match=r"hold no GO:0000004\.norm\.bias"):
        weights.join(missing)
    with pytest.raises(InvalidInput, match=r"GO:0000001\.linear\.bias has shape \(7,\), not \(4,\)"):
        weights.join({**state, "GO:0000001.linear.bias": torch.zeros(7)})
    with pytest.raises(InvalidInput, match=r"no term holds GO:9\.linear\.bias"):
        weights.join({**state, "GO:9.linear.bias": torch.zeros(4)})


@pytest.mark.parametrize("form", ["dense", "delta"])
@pytest.mark.parametrize("level_by", nets.LEVELS)
def test_levels_that_an_edge_forbids_are_refused(hierarchy: Hierarchy, level_by: str, form: str) -> None:
    own = nets.by_level(hierarchy, level_by)
    levels = own.level.copy()
    child, parent = int(hierarchy.edge_child[0]), int(hierarchy.edge_parent[0])
    levels[child] = levels[parent]
    with pytest.raises(LevelsError, match=f"do not lead to another {level_by}"):
        DCell(replace(own, level=levels), replace(SMALL, form=form))


def test_shapes_and_ranges_that_do_not_fit_are_errors(model: DCell) -> None:
    with pytest.raises(UsageError, match=r"gene values are \(3, 5\)"):
        model(torch.ones(3, 5, dtype=torch.float64))
    with pytest.raises(UsageError, match=r"gene values are .* torch\.float32"):
        model(torch.ones(3, GENES))
    with pytest.raises(UsageError, match="outside the hierarchy's 12 genes"):
        nets.deletions([(12,)], GENES)
    with pytest.raises(UsageError, match="does not end at the 1 genes"):
        Deletions.of(torch.tensor([0, 2]), torch.tensor([1]), GENES)
    with pytest.raises(UsageError, match="norm_order is 'bn'"):
        DCellConfig(norm_order="bn")


def test_two_passes_alive_at_once_do_not_share_buffers(model: DCell) -> None:
    model.train()
    y = torch.linspace(0, 1, 3, dtype=torch.float64)
    loss = DCellLoss(model.root)
    first = loss(model(nets.deletions([(0,), (1,), (2,)], GENES)), y).total
    second = loss(model(nets.deletions([(3,), (4,), (5, 1)], GENES)), y).total
    second.backward()
    model.zero_grad()
    first.backward(retain_graph=True)
    once = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    first.backward()
    assert all(torch.equal(a, p.grad) for a, p in zip(once, model.parameters(), strict=True) if p.grad is not None)
    model.zero_grad()
    loss(model(nets.deletions([(0,), (1,), (2,)], GENES)), y).total.backward()
    assert all(torch.equal(a, p.grad) for a, p in zip(once, model.parameters(), strict=True) if p.grad is not None)


def test_the_model_can_be_copied_and_pickled(model: DCell) -> None:
    model.eval()
    wanted = heads(model, (1, 2), (3,))
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(heads(other, (1, 2), (3,)), wanted)


def test_autocast_to_bfloat16_is_close_and_keeps_float32_sums(hierarchy: Hierarchy) -> None:
    model = nets.pair(hierarchy, SMALL)[0].float().train()
    genotypes, y = nets.random_genotypes(0, 40, GENES), torch.linspace(-1, 1, 52)
    loss = DCellLoss(model.root)
    grads, outs = [], []
    for enabled in (False, True):
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            out = model(nets.deletions(genotypes, GENES))
        loss(out, y).total.backward()
        outs.append(out.detach())
        grads.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
    assert outs[1].dtype == torch.float32
    assert 0 < (outs[0] - outs[1]).abs().max() < 0.1
    assert torch.nn.functional.cosine_similarity(grads[0], grads[1], dim=0) > 0.99


def test_torch_compile_runs_the_levels_eagerly(model: DCell) -> None:
    genotypes, y = nets.random_genotypes(0, 10, GENES), torch.zeros(22, dtype=torch.float64)
    loss = DCellLoss(model.root)
    model.train()

    def step(net: torch.nn.Module) -> torch.Tensor:
        model.zero_grad()
        loss(net(nets.deletions(genotypes, GENES)), y).total.backward()
        assert model.child_weight.grad is not None
        return model.child_weight.grad.clone()

    assert torch.equal(step(torch.compile(model, backend="eager")), step(model))


def test_cuda_graph_capture_is_refused(model: DCell, monkeypatch: pytest.MonkeyPatch) -> None:
    """No GPU runs these tests, so torch's own answers stand in for one that captures."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    with pytest.raises(UsageError, match="CUDA graph"):
        model(nets.deletions([(0,), (1,)], GENES))


def test_counts_of_the_bundled_network(bundled_hierarchy: Hierarchy) -> None:
    """3,793 terms, 78,880 neurons, 3.24 M child multiply-adds: counted with NumPy from the cache's arrays."""
    model = DCell(bundled_hierarchy)
    assert int(model.stack.width.sum()) == 78_880
    assert model.stack.multiply_adds == 3_237_303
    assert model.flops() == 6 * (3_237_303 + 78_880)
    assert model.parameter_count() == 3_237_303 + 2_845_010 + 4 * 78_880 + 3_793
    waste = model.stack.child_weights / model.stack.multiply_adds
    assert waste < 1.15
    assert model.stack.neurons / 78_880 < 1.02


def test_the_top_is_as_wide_as_asked_for_and_no_other_term_changes() -> None:
    hierarchy = nets.random_network(3, terms=14)
    plain, wide = (DCell(hierarchy, replace(SMALL, ratio=1.0, top_width=n, top_strata=2)).stack.width for n in (0, 5))
    top = hierarchy.stratum < 2
    assert 1 < top.sum() < len(top)
    assert np.array_equal(wide[top], np.maximum(plain[top], 5))
    assert (wide[top] > plain[top]).any()
    assert np.array_equal(wide[~top], plain[~top])
