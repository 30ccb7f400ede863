"""Voices of whatever screen comes: few samples, one label, labels of any unit, singles, triples, half-known strains."""

from dataclasses import replace

import numpy as np
import pytest

from gocell_cli.training.baselines.fitting import Fits
from gocell_cli.training.baselines.samples import Genotypes, Known, labelled
from gocell_cli.training.voices.fitting import fit_voices
from gocell_cli.training.voices.kept_fits import packed, unpacked
from gocell_cli.training.voices.names import NEIGHBOURS, WIDE
from tests.attempts import attempts
from tests.training.baselines.screens import genotypes, hierarchy

BEYOND = 50
"""How many times the largest label a prediction may be: what extrapolates without bound would be far more."""


def drawn_genotypes(rng: np.random.Generator, genes: int) -> Genotypes:
    """Some samples of 0 to 3 deletions, their arrays known or not, of their strains all, some or nothing published."""
    most = int(rng.integers(1, 4))
    least, n = int(rng.integers(0, most + 1)), int(rng.integers(3, 120))
    sizes = rng.integers(least, most + 1, n)
    rows = [tuple(sorted(rng.choice(genes, size=min(genes, size), replace=False).tolist())) for size in sizes]
    found = genotypes(rows, genes, arrays=bool(rng.integers(2)) and min(map(len, rows)) > 0)
    fitness = rng.normal(0.8, 0.2, (n, 2))
    fitness[rng.random((n, 2)) < rng.choice([0.1, 0.5, 1.0])] = np.nan
    return replace(found, strain_fitness=fitness)


def drawn_labels(rng: np.random.Generator, n: int, *, classes: bool) -> np.ndarray:
    """Labels of any unit, or all the same."""
    if classes:
        return rng.integers(0, 2, n).astype(float)
    kinds = (rng.normal(1, 0.3, n), np.full(n, 0.5), np.abs(rng.normal(0.8, 0.2, n)) * 1e6, rng.normal(0, 1e-9, n))
    return kinds[int(rng.integers(len(kinds)))]


@pytest.mark.parametrize("seed", range(attempts(12, 300)))
def test_voices_predict_numbers_of_any_screen_and_come_back_from_a_file(seed: int) -> None:
    rng = np.random.default_rng(seed)
    genes, classes = 4 * int(rng.integers(1, 8)), bool(rng.integers(2))
    found = drawn_genotypes(rng, genes)
    value = drawn_labels(rng, len(found), classes=classes)
    parts = rng.choice(3, len(found), p=[0.6, 0.2, 0.2])
    parts[:2] = 0
    if rng.random() < 0.1:
        parts[parts == 1] = 0  # no validation sample has a label
    train, validation = (labelled(found.take(parts == i), value[parts == i]) for i in (0, 1))
    known = Known(train, validation, hierarchy(genes), classes, seed)
    network = rng.random(len(validation))
    voices, _ = fit_voices(known, Fits(known).get, (WIDE, NEIGHBOURS), network, np.full(genes, np.nan))
    said = voices.say(found, rng.random(len(found)))
    for name, values in said.items():
        assert np.isfinite(values).all(), name
        assert np.abs(values).max(initial=0) <= BEYOND * (1 + np.abs(value).max()), name
    arrays, words = packed(voices.parts)
    again = unpacked(arrays, words)
    for name, part in voices.parts.items():
        assert np.array_equal(again[name].predict(found), part.predict(found)), name
