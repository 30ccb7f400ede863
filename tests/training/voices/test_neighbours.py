"""The neighbours' voice: planted modules are found, unseen genes borrow, and a second fit is the first one's equal."""

from dataclasses import replace

import numpy as np
import pytest

from gocell_cli.training.baselines.samples import Known, Labelled
from gocell_cli.training.voices import neighbours as neighbours_module
from gocell_cli.training.voices.alike import Lenders, Lending
from gocell_cli.training.voices.neighbours import NeighbourVoice, PairParts, neighbours, refitted
from tests.training.baselines.screens import GENES, all_pairs, correlation, fit, genotypes, known

MODULE = np.arange(GENES) // 4


def modules(seed: int = 0) -> np.ndarray:
    """What pairs of modules have in common [modules, modules]."""
    drawn = np.random.default_rng(seed).normal(size=(GENES // 4, GENES // 4))
    both: np.ndarray = drawn + drawn.T
    return both


def screen(seed: int = 0, noise: float = 0.3, unseen: int = 0) -> tuple[Known, Labelled]:
    """Pairs whose phenotype is their modules'; with `unseen` the last genes of the first modules are never trained."""
    rows = all_pairs()
    rng = np.random.default_rng(seed)
    value = modules(seed)[MODULE[rows[:, 0]], MODULE[rows[:, 1]]] + rng.normal(0, noise, len(rows))
    parts = rng.choice(3, len(rows), p=(0.7, 0.15, 0.15))
    hidden = np.isin(rows, np.arange(unseen) * 4 + 3).any(axis=1)
    parts = np.where(hidden, rng.choice((1, 2), len(rows)), parts) if unseen else parts
    return known(genotypes(rows), value, parts)


def said(seen: Known) -> NeighbourVoice:
    found = neighbours(seen, lambda name: fit(name, seen))
    assert isinstance(found, NeighbourVoice)
    return found


def test_modules_are_found_by_profiles_alone() -> None:
    seen, test = screen()
    found = said(seen)
    assert correlation(found, test) > 0.9
    assert correlation(found, test) > correlation(fit("profile_neighbours", seen), test)
    assert found.settings["passes"] >= 1


def test_genes_never_deleted_borrow_from_their_terms() -> None:
    seen, test = screen(unseen=3)
    found = said(seen)
    of_unseen = test.take(np.isin(test.genotypes.genes.reshape(-1, 2), [3, 7, 11]).any(axis=1))
    assert len(of_unseen) > 20
    assert correlation(found, of_unseen) > 0.8


def test_a_triple_of_a_known_query_is_a_pair() -> None:
    """Ten queries of two genes, crossed to all others; queries of one module behave alike."""
    rng = np.random.default_rng(3)
    rows = np.array([(q, q + 20, a) for q in range(16) for a in range(GENES - 1) if a not in (q, q + 20)])
    effect = rng.normal(size=(4, GENES))
    value = effect[rows[:, 0] // 4, rows[:, 2]] + rng.normal(0, 0.3, len(rows))
    order = np.argsort(rows, axis=1, kind="stable")
    found = genotypes(rows)
    # the array's gene by its place among the ascending genes of the sample
    array = (order == 2).astype(float).ravel()
    found = replace(found, array=array)
    parts = rng.choice(3, len(rows), p=(0.6, 0.2, 0.2))
    seen, test = known(found, value, parts)
    voice = said(seen)
    assert voice.pairs is not None
    assert len(voice.pairs.queries) == 16
    assert correlation(voice, test) > 0.78
    assert correlation(fit("additive", seen), test) < 0.5


def test_refitted_with_the_same_samples_says_the_same_to_the_bit() -> None:
    seen, test = screen(unseen=2)
    first, second = said(seen), said(replace(seen, kept={}))
    assert first.predict(test.genotypes).tobytes() == second.predict(test.genotypes).tobytes()
    again = refitted(first, replace(seen, kept={}))
    assert np.allclose(again.predict(test.genotypes), first.predict(test.genotypes), atol=1e-4)


def test_a_fit_to_more_samples_is_better() -> None:
    seen, test = screen(noise=1.0, seed=4)
    first = said(seen)
    train = Labelled(
        genotypes(np.concatenate([s.genotypes.genes.reshape(-1, 2) for s in (seen.train, seen.validation)])),
        np.concatenate([seen.train.value, seen.validation.value]),
    )
    again = refitted(first, replace(seen, train=train, kept={}))
    assert again.settings == first.settings
    assert correlation(again, test) > correlation(first, test)


def test_labels_of_validation_samples_choose_only() -> None:
    """With the settings fixed, no validation label reaches a fit."""
    seen, test = screen()
    first = said(seen)
    other = replace(seen, validation=Labelled(seen.validation.genotypes, -seen.validation.value), kept={})
    again = refitted(first, other)
    assert np.allclose(again.predict(test.genotypes), first.predict(test.genotypes), atol=1e-4)


def test_without_validation_samples_usual_settings_serve() -> None:
    seen, test = screen()
    empty = seen.validation.take(np.zeros(0, dtype=np.int64))
    assert correlation(said(replace(seen, validation=empty)), test) > 0.9


def test_single_deletions_have_no_pairs() -> None:
    rng = np.random.default_rng(0)
    effect = np.repeat(rng.normal(size=GENES // 4), 4)
    parts = np.array([1 if gene % 4 == 3 and gene < 20 else 2 if gene % 4 == 3 else 0 for gene in range(GENES)])
    seen, test = known(genotypes([(gene,) for gene in range(GENES)]), effect, parts)
    found = said(seen)
    assert found.pairs is None
    assert correlation(found, test) > 0.9


def test_kernels_are_positive() -> None:
    seen, _ = screen()
    parts = PairParts.of(seen, said(seen).effects)
    estimate = parts.completed(parts.kernel(2.0, None), 0.3)
    for kernel in (parts.kernel(2.0, None), parts.kernel(3.0, estimate)):
        assert np.allclose(kernel, kernel.T)
        assert np.linalg.eigvalsh(kernel).min() > -1e-9


def test_conjugate_gradients_reach_the_kernel_ridge_regression() -> None:
    """Against the regression written out: every measured pair a row of its own."""
    seen, _ = screen()
    parts = PairParts.of(seen, said(seen).effects)
    kernel = parts.kernel(2.0, None)
    a, b = np.nonzero(parts.matrix.seen)
    gram = kernel[np.ix_(a, a)] * kernel[np.ix_(b, b)]
    dual = np.linalg.solve(gram + 3.0 * np.eye(len(a)), parts.matrix.residual[a, b])
    table = np.zeros_like(kernel)
    table[a, b] = dual
    assert np.allclose(parts.completed(kernel, 3.0), parts.deviation * kernel @ table @ kernel, atol=1e-3)


def test_pairs_that_cost_too_much_are_left_out_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, test = screen()
    monkeypatch.setattr(neighbours_module, "seconds", lambda *_: 1e9)
    found = said(seen)
    assert found.pairs is None
    assert found.settings["samples_without_neighbours"] == len(seen.train)
    assert refitted(found, seen).predict(test.genotypes).std() > 0


def test_the_whole_of_a_large_screen_is_affordable() -> None:
    """Costanzo's 20 million pairs of 6,000 genes, Collins's of 750; not 100,000 pairs of 6,000 genes."""
    for units, pairs, there in ((6000, 18_000_000, True), (750, 120_000, True), (6000, 100_000, False)):
        allowed = max(neighbours_module.LEAST_SECONDS, pairs / neighbours_module.SAMPLES_A_SECOND)
        assert (neighbours_module.seconds(units, pairs) <= allowed) == there


def test_many_units_are_not_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, test = screen()
    monkeypatch.setattr(neighbours_module, "MOST_SEARCHED", 10)
    found = said(seen)
    assert {key: found.settings[key] for key in neighbours_module.USUAL} == neighbours_module.USUAL
    assert correlation(found, test) > 0.9


def test_what_is_borrowed() -> None:
    """A gene that training deletes has itself alone, another its own term's genes, of the nearest and of the ridge."""
    seen, _ = screen()
    genes = np.array([gene for gene in range(GENES) if gene % 4 < 2])
    weights = Lenders.of(seen, genes).weights(seen, Lending()).toarray()
    assert weights.shape == (GENES, len(genes))
    assert np.array_equal(weights[genes], np.eye(len(genes)))
    for gene in range(2, GENES, 4):
        same = MODULE[genes] == MODULE[gene]
        assert (weights[gene, same] > 0.3).all()
        assert np.abs(weights[gene, ~same]).max() < 0.05
        assert 0.8 < weights[gene].sum() <= 1.0
