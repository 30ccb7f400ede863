"""Baselines recover what they assume, and only that."""

import numpy as np
import pytest

from gocell_cli.training.evaluation.baselines import Genotypes, baselines

GENES = 40


def drawn(n: int, seed: int, effects: np.ndarray, *, multiply: bool) -> Genotypes:
    rng = np.random.default_rng(seed)
    rows = np.stack([np.sort(rng.choice(GENES - 1, 3, replace=False)) for _ in range(n)])
    signal = np.prod(effects[rows], axis=1) if multiply else 1 + (effects[rows] - 1).sum(1)
    return Genotypes(np.arange(0, 3 * n + 1, 3), rows.ravel().astype(np.int32), signal + rng.normal(0, 0.01, n), GENES)


def parts(effects: np.ndarray, *, multiply: bool) -> tuple[Genotypes, Genotypes, Genotypes]:
    train, validation, test = (drawn(n, s, effects, multiply=multiply) for n, s in ((2000, 1), (200, 2), (200, 3)))
    return train, validation, test


@pytest.mark.parametrize("multiply", [False, True])
def test_each_baseline_recovers_its_own_model(multiply: bool) -> None:
    effects = np.random.default_rng(0).uniform(0.75, 1.0, GENES)
    train, validation, test = parts(effects, multiply=multiply)
    found = baselines(train, validation, test)
    rmse = {name: float(np.sqrt(np.square(p - test.value).mean())) for name, p in found.items()}
    own, other = ("multiplicative", "additive") if multiply else ("additive", "multiplicative")
    assert rmse[own] < 0.012
    assert rmse[own] < rmse[other] < rmse["mean"]
    assert np.allclose(found["mean"], train.value.mean())


def test_ridge_is_the_dense_solution() -> None:
    train, validation, test = parts(np.random.default_rng(0).uniform(0.4, 1.0, GENES), multiply=False)
    x, y = train.matrix().toarray(), train.value
    centred = x - x.mean(0)
    errors = []
    for strength in (0.03, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0):
        w = np.linalg.solve(centred.T @ centred + strength * np.eye(GENES), centred.T @ (y - y.mean()))
        predict = lambda g, w=w: y.mean() + (g.matrix().toarray() - x.mean(0)) @ w  # noqa: E731
        errors.append((float(np.square(predict(validation) - validation.value).mean()), predict(test)))
    assert np.allclose(baselines(train, validation, test)["additive"], min(errors, key=lambda e: e[0])[1], atol=1e-5)


def test_unseen_genes_and_missing_labels_and_classes() -> None:
    train, validation, test = parts(np.full(GENES, 0.9), multiply=True)
    unseen = Genotypes(np.array([0, 1]), np.array([GENES - 1], np.int32), np.array([0.5]), GENES)
    found = baselines(train, validation, unseen)
    none = Genotypes(np.array([0, 0]), np.zeros(0, np.int32), np.array([0.5]), GENES)
    assert np.allclose(found["additive"], baselines(train, validation, none)["additive"])
    values = train.value.copy()
    values[::2] = np.nan
    gaps = Genotypes(train.gene_ptr, train.genes, values, GENES)
    assert np.isfinite(baselines(gaps, validation, test)["additive"]).all()
    classes = Genotypes(train.gene_ptr, train.genes, (train.value > train.value.mean()).astype(float), GENES)
    assert set(baselines(classes, validation, test)) == {"mean", "additive"}
