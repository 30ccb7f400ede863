"""Single effects: gene vectors tell of genes that training never deletes, where the validation samples want them."""

from dataclasses import replace

import numpy as np

from gocell_cli.training.baselines.samples import Known, Labelled
from gocell_cli.training.voices.effects import fit_effects, refitted_effects
from gocell_cli.training.voices.wide import refitted, wide
from tests.training.baselines.screens import GENES, all_pairs, correlation, fit, genotypes, known


def screen(seed: int = 0) -> tuple[Known, Labelled, np.ndarray]:
    """Pairs whose phenotype is a sum of gene effects; effects are a linear map of vectors, and terms say nothing of it.

    A fifth of the genes is deleted in the test part alone, another fifth in the validation part alone.
    """
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(GENES, 3))
    effect = vectors @ np.array([1.0, -0.5, 0.3])
    rows = all_pairs()
    kind = rng.permutation(GENES) % 5
    part = np.where((kind[rows] == 0).any(axis=1), 2, np.where((kind[rows] == 1).any(axis=1), 1, 0))
    value = effect[rows].sum(axis=1) + rng.normal(0, 0.1, len(rows))
    seen, test = known(genotypes(rows), value, part)
    return seen, test, vectors


def test_genes_never_deleted_in_training_are_predicted_by_their_vectors() -> None:
    seen, test, vectors = screen()
    without, told = fit_effects(seen), fit_effects(replace(seen, vectors=vectors, kept={}))
    assert told.settings["gene_vectors"] == 1
    assert "gene_vectors" not in without.settings
    assert correlation(told, test) > 0.95
    assert correlation(without, test) < correlation(told, test) - 0.2


def test_vectors_that_say_nothing_are_not_taken() -> None:
    seen, test, vectors = screen()
    noise = np.random.default_rng(1).normal(size=(GENES, 3))
    both = fit_effects(replace(seen, vectors=noise, kept={}))
    assert correlation(both, test) > correlation(fit_effects(seen), test) - 0.05
    nothing = fit_effects(replace(seen, vectors=np.zeros_like(vectors), kept={}))
    np.testing.assert_allclose(nothing.predict(test.genotypes), fit_effects(seen).predict(test.genotypes), atol=1e-6)


def test_a_fit_is_made_again_with_its_vectors() -> None:
    seen, test, vectors = screen()
    told = replace(seen, vectors=vectors, kept={})
    fit = fit_effects(told)
    again = refitted_effects(fit, told)
    np.testing.assert_allclose(again.predict(test.genotypes), fit.predict(test.genotypes), atol=0.01)


def test_pairs_of_genes_never_deleted_in_training_are_predicted_by_their_vectors() -> None:
    """Interactions alone: the product of one number of each gene, of which the terms say nothing."""
    rng = np.random.default_rng(2)
    vectors, rows = rng.normal(size=(GENES, 2)), all_pairs()
    kind = rng.permutation(GENES) % 5
    part = np.where((kind[rows] == 0).any(axis=1), 2, np.where((kind[rows] == 1).any(axis=1), 1, 0))
    value = vectors[rows, 0].prod(axis=1) + rng.normal(0, 0.1, len(rows))
    seen, test = known(genotypes(rows), value, part)
    told = replace(seen, vectors=vectors, kept={})
    found = wide(told, lambda other: fit(other, told))
    assert found.settings["told_vector"] == 1
    assert correlation(found, test) > 0.8
    assert correlation(wide(seen, lambda other: fit(other, seen)), test) < 0.5
    again = refitted(found, told)
    np.testing.assert_allclose(again.predict(test.genotypes), found.predict(test.genotypes), atol=1e-4)
