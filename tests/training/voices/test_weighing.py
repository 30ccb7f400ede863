"""Weights of voices: the best one's, none below 0, and none of the network's that chance alone gave."""

from dataclasses import replace

import numpy as np
import pytest

from gocell_cli.training.voices.names import DCELL, ENCODER
from gocell_cli.training.voices.weighing import LEAST_UNITS, Weighing, units_of, weights_of
from tests.training.baselines.screens import all_pairs, genotypes, known


def test_weights_are_those_of_the_best_voice_and_never_below_0() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=400)
    said = {"good": y + 0.1 * rng.normal(size=400), "noise": rng.normal(size=400), "against": -y}
    found = weights_of(said, y, float(y.mean()))
    assert found["good"] == pytest.approx(1, abs=0.05)
    assert found["noise"] == pytest.approx(0, abs=0.05)
    assert found["against"] == 0
    nobody = {name: values[:0] for name, values in said.items()}
    assert weights_of(nobody, y[:0], 0.0) == dict.fromkeys(said, 1 / 3), "without a validation sample all are equal"
    assert weights_of({}, y, 0.0) == {}


def weighing(y: np.ndarray, unit: np.ndarray) -> Weighing:
    return Weighing(y, unit.astype(np.int64), 0.0, {}, np.zeros(0))


def test_the_network_has_a_weight_where_it_helps_and_none_where_it_does_not() -> None:
    rng = np.random.default_rng(1)
    signal, y = rng.normal(size=(2, 500)).sum(axis=0), np.zeros(500)
    y = signal + 0.3 * rng.normal(size=500)
    half = rng.normal(size=500)
    helpful = {DCELL: signal - half, "wide": half}
    found = weighing(y, np.arange(500)).weights(helpful)
    assert found[DCELL] > 0.5
    useless = [weighing(y, np.arange(500)).weights({DCELL: rng.normal(size=500), "wide": signal}) for _ in range(40)]
    assert sum(one[DCELL] > 0 for one in useless) <= 3, "2 standard errors: about one in forty"
    assert all(one["wide"] > 0.9 for one in useless)


def test_the_encoder_is_asked_as_the_network_is_and_before_it() -> None:
    rng = np.random.default_rng(4)
    wide, beyond = rng.normal(size=(2, 500))
    y = wide + beyond + 0.3 * rng.normal(size=500)
    said = {DCELL: rng.normal(size=500), "wide": wide, ENCODER: beyond}
    found = weighing(y, np.arange(500)).weights(said)
    assert found == pytest.approx({DCELL: 0, "wide": 1, ENCODER: 1}, abs=0.1)
    assert found[DCELL] == 0
    useless = weighing(y, np.arange(500)).weights({**said, ENCODER: rng.normal(size=500)})
    assert (useless[DCELL], useless[ENCODER]) == (0, 0)
    without = weighing(y, np.arange(500)).without(said)
    assert {name: set(weights) for name, weights in without.items()} == {
        DCELL: {"wide"}, "wide": {DCELL, ENCODER}, ENCODER: {DCELL, "wide"},
    }  # fmt: skip
    held = {"wide": wide[:300]}
    rounds = Weighing(y, np.arange(500), 0.0, held, wide[:300]).weights(said)
    assert rounds == pytest.approx({DCELL: 0, "wide": 1, ENCODER: 1}, abs=0.1), "the encoder is in no round"


def test_samples_that_err_together_are_one_piece_of_evidence() -> None:
    rng = np.random.default_rng(2)
    unit = np.repeat(np.arange(6), 200)
    shift = rng.normal(size=6)[unit]
    y = shift + 0.1 * rng.normal(size=1200)
    lucky = np.where(unit < 2, shift, -shift)  # right of two queries, wrong of four
    lucky = np.where(unit == np.abs(np.bincount(unit, shift) / 200).argmax(), 1.2 * shift, 0.1 * lucky)
    said = {DCELL: lucky, "wide": 0.01 * rng.normal(size=1200)}
    assert weighing(y, np.arange(1200)).weights(said)[DCELL] > 0, "as 1,200 samples it would be evidence"
    assert weighing(y, unit).weights(said)[DCELL] == 0
    assert weighing(y, unit % (LEAST_UNITS - 1)).weights(said)[DCELL] == 0


def test_weights_of_the_others_are_those_of_the_rounds_where_there_are_some() -> None:
    rng = np.random.default_rng(3)
    y, held_y = rng.normal(size=100), rng.normal(size=300)
    said = {DCELL: np.zeros(100), "wide": y + rng.normal(size=100), "neighbours": 0.1 * y}
    held = {"wide": held_y.copy(), "neighbours": rng.normal(size=300)}
    one = Weighing(y, np.arange(100), 0.0, held, held_y)
    found = one.weights(said)
    assert found[DCELL] == 0
    assert {name: found[name] for name in held} == weights_of(held, held_y, 0.0)
    without = one.without(said)
    assert set(without) == set(said)
    assert without["wide"]["neighbours"] == weights_of({"neighbours": held["neighbours"]}, held_y, 0.0)["neighbours"]


def test_without_labels_all_voices_weigh_the_same() -> None:
    none = np.zeros(0)
    found = weighing(none, none).weights({DCELL: none, "wide": none})
    assert found == {DCELL: 0.5, "wide": 0.5}
    assert weighing(none, none).weights({DCELL: none}) == {DCELL: 1.0}


def test_the_units_of_evidence() -> None:
    rows = all_pairs(8)
    parts = np.where((rows == 7).any(axis=1), 1, 0)
    parts[0] = 1
    seen, _ = known(genotypes(rows, 8), np.zeros(len(rows)), parts)
    found = units_of(seen)
    unseen = (seen.validation.genotypes.matrix()[:, 7].toarray() > 0).ravel()
    assert len(set(found[unseen].tolist())) == 1, "all pairs of the gene that training has not"
    assert len(set(found.tolist())) == 2, "and the pair whose genes it has"
    query = np.where(parts == 1, rows[:, 0], 7).astype(np.int32)
    parted, _ = known(replace(genotypes(rows, 8), query=query), np.zeros(len(rows)), parts)
    assert len(set(units_of(parted).tolist())) == len(set(query[parts == 1].tolist()))
