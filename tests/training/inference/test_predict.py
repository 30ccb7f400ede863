"""Predictions, interactions and effects, on networks whose answer is known."""

import numpy as np
import pytest

from gocell_cli.training.data.labels import LabelScale
from gocell_cli.training.inference.explain import effects
from gocell_cli.training.inference.predict import Predictor, epsilon, tau
from gocell_cli.training.network.dcell import DCellConfig
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


def make_predictor(kind: str = "fitness") -> Predictor:
    hierarchy = nets.random_network(2)
    return Predictor(nets.pair(hierarchy, SMALL)[0].eval(), hierarchy, SCALE, kind, np.arange(12) < 6)


def test_predicted_interactions_are_those_of_the_predictions() -> None:
    predictor = make_predictor()
    triple, pair, single = predictor.predictions([(1, 4, 7), (1, 4), (1,)])
    f = dict(zip(["wild", "i", "ij"], predictor.phenotypes([(), (1,), (1, 4)]), strict=True))
    assert triple.parts["wild type"] == pytest.approx(f["wild"])
    assert triple.parts["Y001+Y004+Y007"] == pytest.approx(triple.value)
    assert triple.epsilon["Y001+Y004"] == pytest.approx(f["ij"] - f["i"] * triple.parts["Y004"])
    assert list(triple.tau) == ["Y001+Y004+Y007"]
    assert triple.novel == ("Y007",)
    assert list(triple.as_json()) == ["genes", "value", "never_deleted_in_training", "parts", "epsilon", "tau"]
    assert list(pair.as_json()) == ["genes", "value", "never_deleted_in_training", "parts", "epsilon"]
    assert list(single.as_json()) == ["genes", "value", "never_deleted_in_training"]


def test_only_fitness_has_interactions() -> None:
    (both,) = make_predictor("viability").predictions([(1, 4)])
    assert list(both.as_json()) == ["genes", "value", "never_deleted_in_training"]


def test_effects_are_of_touched_terms_only_and_sorted() -> None:
    predictor = make_predictor()
    found = effects(predictor, (1, 4))
    touched = np.flatnonzero(nets.contained(predictor.hierarchy)[:, [1, 4]].any(1))
    assert sorted(e.term for e in found) == touched.tolist()
    lengths = [e.activation for e in found]
    assert lengths == sorted(lengths, reverse=True)
    heads = predictor.model(nets.deletions([(), (1, 4)], 12)).detach()
    assert all(e.head == pytest.approx(float(heads[1, e.term] - heads[0, e.term])) for e in found)
