"""float32 against float64: one checkpoint of a trained network, cast, predicts the same in every form.

A dozen levels, each of which multiplies by 1/sqrt(eps) = 316 what rounding leaves of a deviation from the mean.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from gocell_cli.storage.schema import Hierarchy
from gocell_cli.training.network.dcell import DCell, DCellConfig
from gocell_cli.training.network.loss import DCellLoss
from gocell_cli.training.network.population import set_population
from tests.training import networks as nets

TERMS, GENES, DELETED, STEPS = 80, 80, 60, 150
FORMS = {"delta": ("delta", "cpu"), "tensors": ("delta", "tensors"), "dense": ("dense", None)}


def samples(seed: int) -> tuple[nets.Genotypes, Tensor]:
    """1,200 triple deletions of few genes, and a phenotype with an interaction in it, of mean 0 and variance 1."""
    rng = np.random.default_rng(seed)
    triples = np.array([np.sort(rng.choice(DELETED, 3, replace=False)) for _ in range(1200)])
    effect = rng.normal(size=DELETED)
    y = effect[triples].sum(1) + 0.8 * effect[triples[:, 0]] * effect[triples[:, 1]]
    return [tuple(t) for t in triples.tolist()], torch.from_numpy((y - y.mean()) / y.std())


@pytest.fixture(scope="module", params=["bn-tanh", "tanh-bn"])
def trained(request: pytest.FixtureRequest) -> tuple[Hierarchy, DCellConfig, dict[str, Tensor]]:
    """A network trained in float32 from the trainer's own first weights, and its state."""
    hierarchy = nets.random_network(1, terms=TERMS, genes=GENES)
    config = DCellConfig(min_width=4, norm_order=request.param)
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # tables this small are slower on two, on a busy machine ten times
    model = DCell(hierarchy, config)
    loss, optimiser = DCellLoss(model.root), torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.0)
    genotypes, y = samples(0)
    rng, first = np.random.default_rng(1), float("inf")
    for step in range(STEPS):
        rows = rng.choice(1000, 64, replace=False)
        found = loss(model(nets.deletions([genotypes[i] for i in rows], GENES)), y[rows].float())
        first = float(found.root.detach()) if step == 0 else first
        optimiser.zero_grad()
        found.total.backward()
        optimiser.step()
    torch.set_num_threads(threads)
    assert float(found.root.detach()) < 0.9 * first
    return hierarchy, config, model.state_dict()


def predictions(
    trained: tuple[Hierarchy, DCellConfig, Mapping[str, Tensor]], form: str, dtype: torch.dtype, statistics: str
) -> np.ndarray:
    """The root's heads of 200 samples that were not trained on, by a checkpoint cast to a dtype."""
    hierarchy, config, state = trained
    name, backend = FORMS[form]
    model = DCell(hierarchy, replace(config, form=name))
    model.load_state_dict(state)
    model.to(dtype).eval()
    if model.delta is not None:
        model.delta = replace(model.delta, backend=backend)
    genotypes, _ = samples(0)
    if statistics == "population":
        set_population(model, lambda: [nets.deletions(genotypes[a : a + 500], GENES) for a in (0, 500)])
    with torch.no_grad():
        heads = model(nets.deletions(genotypes[1000:], GENES))
    found: np.ndarray = heads[:, model.root].double().numpy()
    return found


@pytest.mark.parametrize("statistics", ["population", "running"])
@pytest.mark.parametrize("form", FORMS)
def test_float32_predicts_what_float64_does(
    trained: tuple[Hierarchy, DCellConfig, dict[str, Tensor]], form: str, statistics: str
) -> None:
    exact = predictions(trained, "dense", torch.float64, statistics)
    single = predictions(trained, form, torch.float32, statistics)
    y = samples(0)[1][1000:].numpy()
    r64, r32 = (np.corrcoef(p, y)[0, 1] for p in (exact, single))
    worst = np.abs(single - exact).max() / exact.std()
    assert r64 > 0.3
    assert abs(r32 - r64) < 1e-6  # measured: 3e-8
    assert worst < 1e-5  # measured: 8e-7 standard deviations of the predictions


def test_a_mean_survives_a_cast_and_a_checkpoint_of_before_has_no_rest() -> None:
    hierarchy = nets.random_network(3)
    model = DCell(hierarchy, DCellConfig(min_width=4)).double()
    mean = torch.rand(model.stack.neurons, dtype=torch.float64)
    model.set_running_mean(mean)
    assert torch.equal(model.running_mean64(), mean)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.float()
    assert torch.allclose(model.running_mean64(), mean, rtol=0, atol=1e-14)
    other = DCell(hierarchy, DCellConfig(min_width=4))
    other.load_state_dict(state)  # saved in float64, loaded in float32
    assert torch.equal(other.running_mean64(), model.running_mean64())
    old = {name: tensor for name, tensor in model.state_dict().items() if name != "running_mean_rest"}
    other.load_state_dict(old)
    assert torch.equal(other.running_mean64(), model.running_mean.double())


@pytest.mark.parametrize("norm_order", ["bn-tanh", "tanh-bn"])
def test_deviations_that_one_float32_number_would_lose(norm_order: str) -> None:
    """Activations near 0.5 that deviate by 1e-4 and less: means as one number each gave 5e-3 where this gives 8e-7."""
    hierarchy, genotypes = nets.random_network(1, terms=80, genes=80), nets.random_genotypes(0, 200, 80)
    torch.manual_seed(0)
    first = DCell(hierarchy, DCellConfig(min_width=4, norm_order=norm_order, init_range=1e-4))
    state = first.state_dict()
    state["bias"] += torch.rand_like(state["bias"]) * first.index["real"]
    state["head_weight"] *= 1e4
    found = []
    for dtype in (torch.float64, torch.float32):
        model = DCell(hierarchy, DCellConfig(min_width=4, norm_order=norm_order))
        model.load_state_dict(state)
        model.to(dtype).eval()
        set_population(model, lambda: [nets.deletions(genotypes, 80)])
        with torch.no_grad():
            found.append(model(nets.deletions(genotypes, 80))[:, model.root].double())
    assert (found[0] - found[1]).abs().max() / found[0].std() < 1e-5
