"""RLIPP, effects and interactions, on networks whose answer is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from gocell_cli.training.data.labels import LabelScale
from gocell_cli.training.inference.explanation import effects, rlipp
from gocell_cli.training.inference.interactions import epsilon, interactions, predict_genotypes, tau
from gocell_cli.training.network.dcell import DCell, DCellConfig
from tests.training import networks as nets

SMALL = DCellConfig(min_width=4, init_range=0.5)
SCALE = LabelScale(0.9, 0.1, logits=False)


def test_interactions_by_hand() -> None:
    fitness = {(1,): 0.9, (2,): 0.8, (3,): 0.5, (1, 2): 0.6, (1, 3): 0.45, (2, 3): 0.5, (1, 2, 3): 0.2}
    assert epsilon(fitness, 1, 2) == pytest.approx(0.6 - 0.72)
    # tau = 0.2 - 0.6 * 0.5 - (0.45 - 0.45) * 0.8 - (0.5 - 0.4) * 0.9
    assert tau(fitness, 1, 2, 3) == pytest.approx(0.2 - 0.3 - 0.0 - 0.09)
    multiplicative = {k: float(np.prod([0.9, 0.8, 0.5][: len(k)])) for k in fitness}
    multiplicative.update({(1,): 0.9, (2,): 0.8, (3,): 0.5, (1, 2): 0.72, (1, 3): 0.45, (2, 3): 0.4, (1, 2, 3): 0.36})
    assert tau(multiplicative, 1, 2, 3) == pytest.approx(0.0)


def test_predicted_interactions_are_those_of_the_predictions() -> None:
    model, _ = nets.pair(nets.random_network(2), SMALL)
    model.eval()
    names = [f"g{i}" for i in range(12)]
    found = interactions(model, SCALE, (1, 4, 7), names)
    f = dict(zip(["wild", "i", "ij"], predict_genotypes(model, SCALE, [(), (1,), (1, 4)]), strict=True))
    assert found["fitness"]["wild type"] == pytest.approx(f["wild"])
    assert found["epsilon"]["g1+g4"] == pytest.approx(f["ij"] - f["i"] * found["fitness"]["g4"])
    assert list(found["tau"]) == ["g1+g4+g7"]
    assert "tau" not in interactions(model, SCALE, (1, 4), names)


def test_effects_are_of_touched_terms_only_and_sorted() -> None:
    hierarchy = nets.random_network(2)
    model, _ = nets.pair(hierarchy, SMALL)
    found = effects(model, hierarchy, (1, 4))
    touched = np.flatnonzero(nets.contained(hierarchy)[:, [1, 4]].any(1))
    assert sorted(e.term for e in found) == touched.tolist()
    lengths = [e.activation for e in found]
    assert lengths == sorted(lengths, reverse=True)
    model.eval()
    heads = model(nets.deletions([(), (1, 4)], 12)).detach()
    assert all(e.head == pytest.approx(float(heads[1, e.term] - heads[0, e.term])) for e in found)


def test_rlipp_is_high_where_a_term_combines_what_its_children_do_not() -> None:
    """Two children carry one gene each; the root sees a product of both, which no linear reading of them holds."""
    hierarchy = nets.make_network([(1, 0), (2, 0)], [(1, 0), (2, 1), (0, 2)], terms=3, genes=3)
    model = DCell(hierarchy, replace(SMALL, min_width=2)).double()
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.normal(size=(400, 3)))
    with torch.no_grad():
        _, h = model.levels(x)
    root = h[model.stack.first_neuron[int(np.flatnonzero(model.stack.order == 0)[0])]].numpy()
    scores = {s.term: s for s in rlipp(model, hierarchy, [x[:200], x[200:]], root.copy())}
    assert scores[0].power == pytest.approx(1.0, abs=0.1)
    assert scores[0].power is not None
    assert scores[0].children_power is not None
    assert scores[0].rlipp == pytest.approx(scores[0].power / scores[0].children_power)
    assert scores[0].rlipp > 1.0
    assert scores[1].children_power is None
    assert scores[1].rlipp is None


def test_a_constant_phenotype_has_no_power() -> None:
    hierarchy = nets.random_network(2)
    model, _ = nets.pair(hierarchy, SMALL)
    batch = nets.deletions(nets.random_genotypes(0, 10, 12), 12)
    assert all(s.power is None and s.rlipp is None for s in rlipp(model, hierarchy, [batch], np.ones(22)))
