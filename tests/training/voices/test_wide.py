"""The wide part: effects on their scale, planted terms that interact, genes never deleted, and a second fit."""

from dataclasses import replace

import numpy as np
import pytest

from gocell_cli.training.baselines.factorisation import by_size
from gocell_cli.training.baselines.membership import memberships
from gocell_cli.training.baselines.samples import Known, Labelled, NotApplicable
from gocell_cli.training.voices.between import (
    ScreenedTerms,
    TermPairs,
    Terms,
    _given,
    interacting_terms,
    told_apart,
)
from gocell_cli.training.voices.dyads import Dyads
from gocell_cli.training.voices.effects import fit_effects, refitted_effects
from gocell_cli.training.voices.wide import Wide, refitted, wide
from tests.hierarchies import make_network
from tests.training.baselines.screens import GENES, all_pairs, correlation, fit, genotypes, hierarchy, known

MODULE = np.arange(GENES) // 4
TOLD = (2, 7)
"""Two modules whose genes interact; term 0 is the root, module m term m + 1."""


def planted(noise: float = 0.3, unseen: int = 0, seed: int = 0) -> tuple[Known, Labelled]:
    """Pairs with one gene in either of two modules are 3 less than their genes' single effects say."""
    rows, rng = all_pairs(), np.random.default_rng(seed)
    effect = rng.normal(size=GENES)
    module = np.sort(MODULE[rows], axis=1)
    value = effect[rows].sum(axis=1) - 3.0 * (module == TOLD).all(axis=1) + rng.normal(0, noise, len(rows))
    parts = rng.choice(3, len(rows), p=(0.7, 0.15, 0.15))
    hidden = np.isin(rows, np.array([TOLD[0] * 4, TOLD[1] * 4])[:unseen]).any(axis=1)
    return known(genotypes(rows), value, np.where(hidden, 1 + np.arange(len(rows)) % 2, parts))


def said(seen: Known) -> Wide:
    found = wide(seen, lambda name: fit(name, seen))
    assert isinstance(found, Wide)
    return found


def test_two_planted_terms_lead() -> None:
    seen, test = planted()
    found = said(seen)
    assert correlation(found, test) > 0.9
    tested = interacting_terms(found, seen.hierarchy, seen.train, least_pairs=3)
    pairs, terms = tested.clear, Terms.of(tested.clear)
    assert (pairs.first[0] - 1, pairs.second[0] - 1) == TOLD
    assert pairs.high[0] < -1.0
    # what single effects take of it is a part: they are fitted to the same pairs
    assert -3.5 < pairs.mean[0] < -1.8
    assert -3.0 < pairs.share[0] < 0
    assert sorted(terms.term[:2] - 1) == sorted(TOLD)
    assert terms.partner[0] == terms.term[1]


@pytest.mark.parametrize("seed", range(3))
def test_of_noise_alone_no_pair_of_terms_stands_clear(seed: int) -> None:
    """The machine that finds the planted pair is asked of the same screen without it."""
    seen, _ = planted()
    rng = np.random.default_rng(seed)
    effect, rows = rng.normal(size=GENES), seen.train.genotypes.genes.reshape(-1, 2)
    noise = Labelled(seen.train.genotypes, effect[rows].sum(axis=1) + rng.normal(0, 1.0, len(rows)))
    fit = replace(said(seen), effects=fit_effects(replace(seen, train=noise, kept={})))
    tested = interacting_terms(fit, seen.hierarchy, noise, least_pairs=3)
    assert tested.tested > 40
    assert len(tested.clear) == 0
    assert tested.farther == np.inf


def test_training_pairs_of_terms_are_counted_once() -> None:
    seen, _ = planted()
    tested = interacting_terms(said(seen), seen.hierarchy, seen.train, least_pairs=1)
    rows, pairs = seen.train.genotypes.genes.reshape(-1, 2), tested.clear
    assert len(pairs)
    inside = np.zeros((GENES, GENES // 4 + 1), dtype=bool)
    inside[np.arange(GENES), MODULE + 1] = True
    inside[:, 0] = True
    for s, t, n in zip(pairs.first, pairs.second, pairs.pairs, strict=True):
        one = inside[rows[:, 0], s] & inside[rows[:, 1], t]
        other = inside[rows[:, 1], s] & inside[rows[:, 0], t]
        assert n == (one | other).sum()


def test_pairs_of_terms_with_few_training_pairs_are_counted() -> None:
    seen, _ = planted()
    found = said(seen)
    every = interacting_terms(found, seen.hierarchy, seen.train, least_pairs=1)
    kept = interacting_terms(found, seen.hierarchy, seen.train, least_pairs=10)
    assert every.too_few == 0
    assert kept.too_few == every.tested - kept.tested > 0
    assert kept.clear.pairs.min() >= 10


def test_terms_of_the_same_screened_genes_are_one() -> None:
    """A term around module 3 alone is that module; one with a single gene of it says nothing."""
    seen, _ = planted()
    modules = GENES // 4
    nodes = [(term, 0) for term in range(1, modules + 3)]
    genes = [(1 + gene // 4, gene) for gene in range(GENES)]
    more = make_network(
        nodes, [*genes, *((modules + 1, g) for g in range(8, 12)), (modules + 2, 9)], terms=modules + 3, genes=GENES
    )
    seen = replace(seen, hierarchy=more, kept={})
    tested = interacting_terms(said(seen), more, seen.train, least_pairs=3)
    assert (tested.same_genes, tested.few_genes) == (1, 1)
    assert (tested.clear.first[0] - 1, tested.clear.second[0] - 1) == TOLD
    assert modules + 1 not in [*tested.clear.first, *tested.clear.second]


def test_samples_of_one_gene_say_nothing_of_pairs() -> None:
    seen, _ = planted()
    with pytest.raises(NotApplicable, match="no training sample deletes two genes"):
        interacting_terms(said(seen), seen.hierarchy, Labelled(genotypes([(0,), (3,)]), np.ones(2)))


def screened() -> ScreenedTerms:
    """Six terms of ten genes; the screen deletes genes 0 to 7 alone, which terms 1 and 2 have in common."""
    sets = (range(10), range(8), range(9), range(4), (3, 4, 5), (6, 7))
    network = make_network(
        [(term, 0) for term in range(1, 6)], [(t, g) for t, held in enumerate(sets) for g in held], terms=6, genes=10
    )
    return ScreenedTerms.of(network, genotypes(all_pairs(8), 10))


def test_how_the_screened_genes_of_two_terms_lie() -> None:
    terms = screened()
    assert terms.size.tolist() == [8, 8, 8, 4, 3, 2]
    words = [terms.relation(*both) for both in ((3, 3), (3, 5), (1, 3), (3, 1), (3, 4))]
    assert words == ["within", "between", "nested", "nested", "overlapping"]


def test_pairs_of_terms_around_one_before_them_are_passed_over() -> None:
    order = ((4, 5), (5, 4), (1, 5), (3, 5), (1, 1), (3, 4), (0, 2), (5, 5))
    first, second = np.array(order).T
    sizes = np.arange(len(order), 0, -1.0)
    pairs = TermPairs(first, second, np.full(len(order), 10), *[sizes] * 5)
    places, passed = told_apart(pairs, screened(), 4)
    # 1 holds 4 and 5, and so (1, 1) holds (4, 5); 3 has one gene of 4's three
    assert [order[place] for place in places] == [(4, 5), (3, 5), (3, 4), (5, 5)]
    assert passed == 4
    places, passed = told_apart(pairs, screened(), 2)
    assert (places.tolist(), passed) == ([0, 3], 2)
    # 5 lies in 1: a pair inside one before it is told where its effect is larger, for then it says where in it
    inside = TermPairs(np.array([1, 4]), np.array([1, 5]), np.full(2, 10), *[np.array([2.0, 1.0])] * 5)
    assert told_apart(inside, screened(), 2)[0].tolist() == [0]
    larger = replace(inside, mean=np.array([-2.0, -2.5]))
    assert told_apart(larger, screened(), 2)[0].tolist() == [0, 1]
    assert told_apart(pairs.take(np.zeros(0, dtype=np.int64)), screened(), 3)[1] == 0


def test_what_terms_say_adds_up() -> None:
    """Without own vectors the pairs' part of all training pairs is the sum over every two terms."""
    seen, _ = planted()
    found, count = said(seen), Dyads.of(seen.train.genotypes, seen.train.value).count
    assert found.machine is not None
    terms = by_size(memberships(seen.hierarchy))
    only = replace(found.machine, intercept=0.0, effect=np.zeros(GENES), vector=terms @ found.term_vector)
    given = _given(found.term_vector, found.machine.signs, terms, count)
    # every two terms stand there in both orders, and each with itself has every pair in both
    assert np.isclose(given.sum() / 2, only.predict(seen.train.genotypes).sum())


def test_a_gene_never_deleted_has_its_terms_vectors() -> None:
    seen, test = planted(unseen=2)
    found = said(seen)
    rows = test.genotypes.genes.reshape(-1, 2)
    hidden = np.isin(rows, [TOLD[0] * 4, TOLD[1] * 4]).any(axis=1)
    module = np.sort(MODULE[rows], axis=1)
    told = (module == TOLD).all(axis=1)
    assert (hidden & told).sum() >= 3
    predicted = found.predict(test.genotypes)
    assert predicted[hidden & told].mean() < predicted[hidden & ~told].mean() - 1.0


def test_the_mean_of_machines_is_one() -> None:
    """Of three times the rank; and the same to the bit whenever it is fitted."""
    seen, test = planted()
    first, second = said(seen), said(replace(seen, kept={}))
    assert first.machine is not None
    assert first.machine.vector.shape[1] == 3 * 48 == first.term_vector.shape[1]
    assert first.predict(test.genotypes).tobytes() == second.predict(test.genotypes).tobytes()
    again = refitted(first, replace(seen, kept={}))
    assert np.allclose(again.predict(test.genotypes), first.predict(test.genotypes), atol=1e-3)
    assert again.settings == first.settings


def test_labels_of_validation_samples_choose_only() -> None:
    seen, test = planted()
    first = said(seen)
    other = replace(seen, validation=Labelled(seen.validation.genotypes, -seen.validation.value), kept={})
    assert np.allclose(refitted(first, other).predict(test.genotypes), first.predict(test.genotypes), atol=1e-3)


def test_without_validation_samples_usual_settings_serve() -> None:
    seen, test = planted()
    empty = seen.validation.take(np.zeros(0, dtype=np.int64))
    assert correlation(said(replace(seen, validation=empty)), test) > 0.8


def test_of_single_deletions_there_are_effects_alone() -> None:
    rng = np.random.default_rng(0)
    effect = np.repeat(rng.normal(size=GENES // 4), 4) + 1.0
    parts = np.where(np.arange(GENES) % 4 < 2, 0, 1 + np.arange(GENES) % 2)
    seen, test = known(genotypes([(gene,) for gene in range(GENES)]), effect, parts)
    found = said(seen)
    assert found.machine is None
    assert correlation(found, test) > 0.9
    with pytest.raises(NotApplicable, match="single effects alone"):
        interacting_terms(found, hierarchy(), seen.train)


@pytest.mark.parametrize(("multiply", "scale"), [(True, "log"), (False, "identity")])
def test_effects_of_a_fitness_are_on_the_scale_that_serves(multiply: bool, scale: str) -> None:
    rng = np.random.default_rng(0)
    effect, rows = rng.uniform(0.5, 1.1, GENES), all_pairs()
    value = effect[rows].prod(axis=1) if multiply else effect[rows].sum(axis=1) - 1 + 0.3
    value = value + rng.normal(0, 0.005, len(rows))
    seen, test = known(genotypes(rows), value, rng.choice(3, len(rows)))
    found = fit_effects(seen)
    assert found.scale == scale
    assert correlation(found, test) > 0.99


def test_effects_of_classes_are_logits() -> None:
    rng = np.random.default_rng(0)
    effect, rows = rng.normal(0, 3, GENES), all_pairs()
    value = (effect[rows].sum(axis=1) > 0).astype(float)
    seen, test = known(genotypes(rows), value, rng.choice(3, len(rows)), classes=True)
    found = fit_effects(seen)
    assert found.scale == "logit"
    predicted = found.predict(test.genotypes)
    assert 0 <= predicted.min() <= predicted.max() <= 1
    assert ((predicted > 0.5) == test.value).mean() > 0.93


def test_effects_by_role() -> None:
    rng = np.random.default_rng(0)
    rows = np.array([(a, b) for a in range(GENES) for b in range(a + 1, GENES)])
    as_query, as_array = rng.normal(size=(2, GENES))
    found = genotypes(rows, arrays=True)
    value = as_query[rows[:, 0]] + as_array[rows[:, 1]]
    seen, test = known(found, value, rng.choice(3, len(rows)))
    fitted = fit_effects(seen)
    assert fitted.by_role
    assert correlation(fitted, test) > 0.95


def test_published_fitness_predicts_genes_never_deleted() -> None:
    """Known of nine strains in ten; the others are given the mean."""
    rng = np.random.default_rng(0)
    rows = all_pairs()
    fitness = rng.uniform(0.4, 1.1, GENES)
    told = np.where(rng.random(GENES) < 0.9, fitness, np.nan)
    found = replace(genotypes(rows, arrays=True), strain_fitness=told[rows])
    value = fitness[rows].prod(axis=1) + rng.normal(0, 0.01, len(rows))
    hidden = np.isin(rows, np.arange(0, GENES, 5)).any(axis=1)
    parts = np.where(hidden, 1 + np.arange(len(rows)) % 2, 0)
    seen, test = known(found, value, parts)
    fitted = fit_effects(seen)
    assert fitted.settings["published_fitness"] == 1.0
    assert len(fitted.published) == 3
    assert correlation(fitted, test) > 0.8
    again = refitted_effects(fitted, replace(seen, kept={}))
    assert np.allclose(again.predict(test.genotypes), fitted.predict(test.genotypes), atol=1e-2)
    unknown = replace(found, strain_fitness=np.full((len(rows), 2), np.nan))
    without, _ = known(unknown, value, parts)
    assert len(fit_effects(without).published) == 0
