"""Baselines recover what they assume, and only that; no label of a test sample reaches a prediction."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from gocell_cli.errors import UsageError
from gocell_cli.storage.schema import Provenance, Samples
from gocell_cli.training.baselines import factorisation, fitting, samples
from gocell_cli.training.baselines.blend import blend_weights
from gocell_cli.training.baselines.factorisation import Machine, Problem, by_size
from gocell_cli.training.baselines.features import held_out
from gocell_cli.training.baselines.fitting import FITS, Baselines, Fits
from gocell_cli.training.baselines.go_neighbours import PairWeights, _itself
from gocell_cli.training.baselines.low_rank import complete
from gocell_cli.training.baselines.membership import memberships
from gocell_cli.training.baselines.names import NAMES, chosen_names
from gocell_cli.training.baselines.neighbours import profile_similarity
from gocell_cli.training.baselines.pair_matrix import pair_matrix
from gocell_cli.training.baselines.ridge import fit_ridge
from gocell_cli.training.baselines.samples import (
    Known,
    Labelled,
    NotApplicable,
    genotypes_of,
    labelled,
)
from tests.attempts import attempts
from tests.training.baselines.screens import GENES, all_pairs, correlation, fit, genotypes, hierarchy, known


def triples(n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack([np.sort(rng.choice(GENES - 1, 3, replace=False)) for _ in range(n)])


def drawn(effects: np.ndarray, *, multiply: bool, arrays: bool = False) -> tuple[Known, Labelled]:
    rows = triples(2400, 1)
    signal = np.prod(effects[rows], axis=1) if multiply else 1 + (effects[rows] - 1).sum(1)
    value = signal + np.random.default_rng(2).normal(0, 0.01, len(rows))
    parts = np.where(np.arange(2400) < 2000, 0, np.where(np.arange(2400) < 2200, 1, 2))
    return known(genotypes(rows, arrays=arrays), value, parts)


def rmse(name: str, seen: Known, test: Labelled) -> float:
    return float(np.sqrt(np.square(fit(name, seen).predict(test.genotypes) - test.value).mean()))


@pytest.mark.parametrize("multiply", [False, True])
def test_each_baseline_recovers_its_own_model(multiply: bool) -> None:
    seen, test = drawn(np.random.default_rng(0).uniform(0.75, 1.0, GENES), multiply=multiply)
    own, other = ("multiplicative", "additive") if multiply else ("additive", "multiplicative")
    assert rmse(own, seen, test) < 0.012
    assert rmse(own, seen, test) < rmse(other, seen, test) < rmse("mean", seen, test)
    assert np.allclose(fit("mean", seen).predict(test.genotypes), seen.train.value.mean())


def test_ridge_is_the_dense_solution() -> None:
    seen, test = drawn(np.random.default_rng(0).uniform(0.4, 1.0, GENES), multiply=False)
    x, y = seen.train.genotypes.matrix().toarray(), seen.train.value
    centred = x - x.mean(0)
    errors = []
    for strength in (0.03, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0):
        w = np.linalg.solve(centred.T @ centred + strength * np.eye(GENES), centred.T @ (y - y.mean()))
        predict = lambda g, w=w: y.mean() + (g.matrix().toarray() - x.mean(0)) @ w  # noqa: E731
        errors.append((float(np.square(predict(seen.validation.genotypes) - seen.validation.value).mean()), w))
        found = fit_ridge(seen.train.genotypes.matrix(), y, strength)
        assert np.allclose(found.predict(test.genotypes.matrix()), predict(test.genotypes))
    best = min(errors, key=lambda e: e[0])[1]
    wanted = y.mean() + (test.genotypes.matrix().toarray() - x.mean(0)) @ best
    assert np.allclose(fit("additive", seen).predict(test.genotypes), wanted)


def test_roles_tell_a_gene_as_query_from_the_same_as_array() -> None:
    rng = np.random.default_rng(3)
    as_query, as_array = rng.normal(size=(2, GENES))
    rows = all_pairs()
    value = as_query[rows[:, 0]] + as_array[rows[:, 1]] + rng.normal(0, 0.01, len(rows))
    seen, test = known(genotypes(rows, arrays=True), value, rng.integers(0, 3, len(rows)))
    assert correlation(fit("roles", seen), test) > 0.999
    assert correlation(fit("additive", seen), test) < 0.9
    without, _ = known(genotypes(rows), value, rng.integers(0, 3, len(rows)))
    with pytest.raises(NotApplicable, match="query"):
        fit("roles", without)


def test_a_query_group_has_its_mean_and_an_unknown_one_the_mean_of_all() -> None:
    rows = genotypes(all_pairs())
    value = np.arange(len(rows), dtype=float)
    groups = (np.arange(len(rows)) % 3).astype(np.int32)
    by_group = replace(rows, query=groups)
    seen = Known(
        Labelled(by_group, value), Labelled(by_group.take(np.zeros(0, dtype=np.int64)), value[:0]), hierarchy()
    )
    asked = replace(rows.take(np.arange(4)), query=np.array([0, 2, 7, -1], np.int32))
    wanted = [value[::3].mean(), value[2::3].mean(), value.mean(), value.mean()]
    # no validation sample: the first strength, none
    assert fit("query_mean", seen).predict(asked) == pytest.approx(wanted)


def test_pairs_that_recur_have_effects_of_their_own() -> None:
    rng = np.random.default_rng(4)
    queries = [(0, 1), (1, 2), (2, 3), (0, 3)]
    rows = [(*q, g) for q in queries for g in range(5, GENES)]
    effect = dict(zip(queries, (2.0, -2.0, 2.0, -2.0), strict=True))
    value = np.array([effect[row[:2]] for row in rows]) + rng.normal(0, 0.05, len(rows))
    seen, test = known(genotypes(rows), value, rng.integers(0, 3, len(rows)))
    assert rmse("pair_ridge", seen, test) < 0.2
    assert rmse("additive", seen, test) > 1.5
    doubles, _ = known(genotypes(all_pairs()), rng.normal(size=780), rng.integers(0, 3, 780))
    with pytest.raises(NotApplicable, match="no pair of genes"):
        fit("pair_ridge", doubles)


def blocks(seed: int = 5, noise: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """Pairs whose phenotype is that of their genes' groups of four, as the terms of `hierarchy` hold them."""
    rng = np.random.default_rng(seed)
    between = rng.normal(size=(GENES // 4, GENES // 4))
    between = (between + between.T) / np.sqrt(2)
    rows = all_pairs()
    return rows, between[rows[:, 0] // 4, rows[:, 1] // 4] + rng.normal(0, noise, len(rows))


@pytest.mark.parametrize("name", ["profile_neighbours", "go_neighbours", "low_rank", "factorisation"])
def test_what_completes_the_matrix_recovers_groups_of_genes(name: str) -> None:
    rows, value = blocks()
    seen, test = known(genotypes(rows), value, np.random.default_rng(6).choice(3, len(rows), p=[0.8, 0.1, 0.1]))
    assert correlation(fit(name, seen), test) > 0.8
    assert correlation(fit("additive", seen), test) < 0.6


@pytest.mark.parametrize("name", ["boosted_trees", "mlp"])
def test_a_general_learner_learns_and_repeats_itself(name: str) -> None:
    """Phenotype: how often two genes of one term are deleted together, which no sum over genes says."""
    rng = np.random.default_rng(13)
    near = [(g, g + 1) for g in range(0, GENES, 2)] * 4 + [(g, g + 2) for g in range(0, GENES, 4)] * 4
    far = [tuple(sorted(rng.choice(GENES, 2, replace=False).tolist())) for _ in range(len(near) * 2)]
    rows = [*near, *far]
    value = np.array([float(a // 4 == b // 4) for a, b in rows]) + rng.normal(0, 0.1, len(rows))
    parts = rng.choice(3, len(rows), p=[0.7, 0.15, 0.15])
    seen, test = known(genotypes(rows), value, parts)
    again, _ = known(genotypes(rows), value, parts)
    found = fit(name, seen).predict(test.genotypes)
    assert np.corrcoef(found, test.value)[0, 1] > 0.6
    assert (found == fit(name, again).predict(test.genotypes)).all()
    few = known(genotypes(rows[:20]), value[:20], np.zeros(20, dtype=int))[0]
    with pytest.raises(NotApplicable, match="too few"):
        fit(name, few)


def test_what_a_learner_reads_of_its_own_samples_does_not_know_their_labels() -> None:
    rows, value = blocks()
    seen, _ = known(genotypes(rows), value, np.zeros(len(rows), dtype=int))
    names = ["additive", "profile_neighbours"]
    before = held_out(seen, names)
    fold = np.random.default_rng(seen.seed).integers(0, 3, len(rows))
    changed = replace(seen, train=replace(seen.train, value=np.where(fold == 0, 9.0, value)), kept={})
    assert (held_out(changed, names)[fold == 0] == before[fold == 0]).all()
    assert (held_out(changed, names)[fold == 1] != before[fold == 1]).all()


def machine_value(machine: Machine, row: tuple[int, ...]) -> float:
    """The formula, pair by pair."""
    pairs = [(a, b) for i, a in enumerate(row) for b in row[i + 1 :]]
    said = sum(float(machine.vector[a] * machine.signs @ machine.vector[b]) for a, b in pairs)
    return machine.intercept + sum(float(machine.effect[g]) for g in row) + said


def test_the_machine_is_its_formula_for_every_order() -> None:
    rows, value = blocks()
    seen, _ = known(genotypes(rows), value, np.random.default_rng(6).integers(0, 3, len(rows)))
    machine = fit("factorisation", seen)
    assert isinstance(machine, Machine)
    asked: list[tuple[int, ...]] = [(), (3,), (1, 9), (0, 4, 30), (2, 3, 5, 7)]
    assert machine.predict(genotypes(asked)) == pytest.approx([machine_value(machine, row) for row in asked])


@pytest.mark.parametrize("dense", [True, False])
def test_the_machines_gradient_is_that_of_its_errors(dense: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factorisation, "DENSE", 0.0 if dense else 9.0)
    rng = np.random.default_rng(11)
    rows = [(0,), (1, 2), (1, 2), (0, 1, 3), (2, 4, 5), (3, 5)]
    problem = Problem.of(Labelled(genotypes(rows, 8), rng.normal(size=len(rows))))
    assert problem.dense is dense
    signs, x = np.array([1.0, -1.0, 1.0]), rng.normal(size=(6, 4))

    def half_squares(numbers: np.ndarray) -> float:
        machine = Machine(0.0, numbers[:, 0], numbers[:, 1:], signs, {})
        return float(np.square([machine_value(machine, row) for row in rows] - problem.y).sum() / 2)

    found = factorisation._gradient(problem, x, signs)
    for place in ((0, 0), (1, 1), (2, 2), (5, 3), (3, 0)):
        step = np.zeros_like(x)
        step[place] = 1e-6
        assert found[place] == pytest.approx((half_squares(x + step) - half_squares(x - step)) / 2e-6, rel=1e-4)


def test_a_blend_is_no_worse_than_its_best_part_and_weighs_by_validation() -> None:
    rng = np.random.default_rng(12)
    truth = rng.normal(size=400)
    good, copy, noise = truth + rng.normal(0, 0.3, 400), truth + rng.normal(0, 0.3, 400), rng.normal(size=400)
    weights = blend_weights(np.stack([good, copy, noise], axis=1), truth)
    assert weights[0] == pytest.approx(weights[1], abs=0.1)
    assert weights.sum() == pytest.approx(1, abs=0.15)
    assert weights[2] < 0.05
    rows, value = blocks()
    seen, test = known(genotypes(rows), value, rng.choice(3, len(rows), p=[0.7, 0.15, 0.15]))
    found = Baselines(Fits(seen), "additive,profile_neighbours,low_rank,baseline_blend", epochs=1)
    assert set(found.fittings["baseline_blend"].settings) == {"additive", "profile_neighbours", "low_rank"}
    errors = {n: float(np.square(p - test.value).mean()) for n, p in found.predict(test.genotypes).items()}
    assert errors["baseline_blend"] < 1.1 * min(errors.values())
    assert "two other" in str(
        Baselines(Fits(seen), "additive,baseline_blend", epochs=1).fittings["baseline_blend"].reason
    )


def test_an_unseen_gene_has_neighbours_by_go_alone() -> None:
    rows, value = blocks()
    new = {3, 17, 30}
    parts = np.array([2 if new & set(row) else i % 5 == 0 for i, row in enumerate(rows.tolist())], dtype=int)
    seen, test = known(genotypes(rows), value, parts)
    assert correlation(fit("go_neighbours", seen), test) > 0.7
    assert correlation(fit("factorisation", seen), test) > 0.7
    additive = fit("additive", seen).predict(test.genotypes)
    assert np.allclose(fit("profile_neighbours", seen).predict(test.genotypes), additive)


def test_a_known_gene_stands_for_itself_beside_an_unseen_one() -> None:
    """Genes of the first half act by their groups; each of the others does so in its own way, whatever its group is."""
    rng, half = np.random.default_rng(11), GENES // 2
    rows = np.array([row for row in all_pairs() if row[0] < half <= row[1]])
    value = rng.normal(size=(GENES, GENES))[rows[:, 0] // 4, rows[:, 1]] + rng.normal(0, 0.3, len(rows))
    part_of = {1: 2, 9: 2, 17: 2, 6: 1, 14: 1}
    seen, test = known(genotypes(rows), value, np.array([part_of.get(gene, 0) for gene in rows[:, 0].tolist()]))
    found = fit("go_neighbours", seen)
    assert found.settings["beside"] < 1
    assert correlation(found, test) > 0.9


def test_neighbours_of_known_genes_count_less_and_what_profiles_say_stands_where_nobody_measured() -> None:
    weights = csr_matrix(np.array([[0.5, 0.2], [1.0, 0.4], [0.4, 0.0]]))
    known_ones = np.array([1, 2])  # of which the second has no term
    assert _itself(weights, known_ones, 0.5).toarray() == pytest.approx(np.array([[0.5, 0.2], [1.0, 0.2], [0.2, 1.0]]))
    seen, _ = known(genotypes(blocks()[0]), blocks()[1], np.arange(780) % 3)
    profiles = fit("profile_neighbours", seen)
    matrix = pair_matrix(seen, lambda name: fit(name, seen))
    mixed = PairWeights(matrix.residual, matrix.seen).mixed(profiles, np.flatnonzero(matrix.unit_of_gene >= 0))
    said = np.where(matrix.seen > 0, (matrix.residual + profiles.estimate) / 2, profiles.estimate)
    assert np.allclose(mixed.residual, said)
    assert (mixed.seen == 1).all()


def test_a_single_unseen_gene_takes_after_its_term() -> None:
    rng = np.random.default_rng(7)
    essential = rng.integers(0, 2, GENES // 4)[np.arange(GENES) // 4].astype(float)
    parts = np.arange(GENES) % 4 % 3
    seen, test = known(genotypes([(g,) for g in range(GENES)]), essential, parts, classes=True)
    assert correlation(fit("go_neighbours", seen), test) > 0.9
    found = Baselines(Fits(seen), "all", epochs=1).predict(test.genotypes)
    assert all((values >= 0).all() and (values <= 1).all() for values in found.values())


def test_a_query_pair_is_a_unit_of_the_matrix() -> None:
    rng = np.random.default_rng(8)
    queries = [(0, 1), (2, 3), (0, 3), (1, 2), (0, 2)]
    rows = [(*q, g) for q in queries for g in range(4, GENES)]
    like = rng.normal(size=GENES)
    value = np.array([like[row[2]] * (1 if row[0] == 0 else -1) for row in rows])
    seen, test = known(genotypes(rows, arrays=True), value, rng.choice(3, len(rows), p=[0.7, 0.1, 0.2]))
    matrix = pair_matrix(seen, lambda name: fit(name, seen))
    assert len(matrix.seen) == len(queries) + GENES - 4
    assert correlation(fit("profile_neighbours", seen), test) > 0.8
    without = genotypes([tuple(row) for row in rows])
    with pytest.raises(NotApplicable, match="pairs of genes"):
        fit("low_rank", known(without, value, rng.integers(0, 3, len(rows)))[0])


def test_profiles_are_compared_over_partners_in_common() -> None:
    rows, value = blocks()
    seen, _ = known(genotypes(rows), value, np.random.default_rng(9).integers(0, 3, len(rows)))
    matrix = pair_matrix(seen, lambda name: fit(name, seen))
    found = profile_similarity(matrix)
    r, m = matrix.residual, matrix.seen > 0
    for a, b in ((0, 1), (4, 9), (12, 30), (7, 7)):
        both = m[a] & m[b]
        cosine = (r[a] * r[b])[both].sum() / np.sqrt((r[a] ** 2)[both].sum() * (r[b] ** 2)[both].sum())
        wanted = max(0.0, cosine) * both.sum() / (both.sum() + 10) if a != b else 0.0
        assert found[a, b] == pytest.approx(wanted)


def test_alternating_least_squares_ends_where_neither_half_can_be_better() -> None:
    """A matrix of rank 2, a third of it hidden, comes back; with the least penalty nearly exactly."""
    rng = np.random.default_rng(10)
    factors = rng.normal(size=(GENES, 2))
    rows = all_pairs()
    value = (factors[rows[:, 0]] * factors[rows[:, 1]]).sum(1)
    seen, test = known(genotypes(rows), value - value.mean(), rng.choice(3, len(rows), p=[0.7, 0.1, 0.2]))
    matrix = pair_matrix(seen, lambda name: fit(name, seen))
    estimate = complete(matrix, 6, 1e-3, seed=0)
    paired, a, b = matrix.units(test.genotypes)
    assert paired.all()
    found = matrix.base.predict(test.genotypes) + estimate[a, b]
    assert np.corrcoef(found, test.value)[0, 1] > 0.95


def test_the_machine_weighs_terms_by_their_size() -> None:
    terms = memberships(hierarchy(8))
    inside = np.zeros(terms.shape)
    inside[np.repeat(np.arange(8), np.diff(terms.indptr)), terms.indices] = 1
    weighted = inside / np.sqrt(np.maximum(inside.sum(axis=0), 1))
    wanted = weighted / np.linalg.norm(weighted, axis=1, keepdims=True)
    assert inside.sum(axis=0).tolist() == [8, 4, 4]
    assert by_size(terms).toarray() == pytest.approx(wanted)


def test_memberships_weigh_terms_by_what_they_tell() -> None:
    found = memberships(hierarchy(8)).toarray()
    # the root, term 0, contains all and says nothing; each gene's other term is all it has
    assert np.allclose(found[:, 0], 0)
    assert np.allclose(found @ found.T, np.kron(np.eye(2), np.ones((4, 4))))


ROWS = st.lists(
    st.sets(st.integers(0, 11), min_size=0, max_size=3).map(lambda s: tuple(sorted(s))), min_size=9, max_size=60
)


@settings(max_examples=attempts(5, 60), deadline=None)
@given(ROWS, st.integers(0, 2**32 - 1), st.booleans(), st.booleans())
def test_no_test_label_reaches_a_prediction(
    rows: list[tuple[int, ...]], seed: int, classes: bool, arrays: bool
) -> None:
    """Any mixture of orders, gaps in the labels, no validation sample, genes never seen: same bits, and no failure."""
    rng = np.random.default_rng(seed)
    kept = [row for row in rows if row or not arrays]
    found = genotypes(kept, 12, arrays=arrays)
    value = rng.integers(0, 2, len(kept)).astype(float) if classes else rng.normal(1, 0.3, len(kept))
    value[rng.random(len(kept)) < 0.1] = np.nan
    parts = rng.choice(3, len(kept), p=[0.6, 0.2, 0.2])
    train = labelled(found.take(parts == 0), value[parts == 0])
    if not len(train):
        return
    predictions = []
    for _ in range(2):
        validation = labelled(found.take(parts == 1), value[parts == 1])
        seen = Known(train, validation, hierarchy(12), classes)
        fitted = Baselines(Fits(seen), "all", epochs=1)
        assert set(fitted.fittings) == set(NAMES)
        predictions.append(fitted.predict(found))
        value[parts == 2] = rng.normal(size=int((parts == 2).sum()))  # what must not matter
    one, other = predictions
    assert one.keys() == other.keys()
    assert all(np.isfinite(one[name]).all() and (one[name] == other[name]).all() for name in one)
    reasons = {name for name, found in fitted.fittings.items() if found.reason is not None}
    assert reasons == set(NAMES) - set(one)


def test_the_default_set_is_bounded_by_what_training_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "LEAST_SECONDS", 0.01)
    rows, value = blocks()
    rows, value = rows[rows[:, 1] < 12], value[rows[:, 1] < 12]
    seen, test = known(genotypes(rows, 12), value, np.random.default_rng(6).integers(0, 3, len(rows)))
    short, long = Baselines(Fits(seen), "default", epochs=1), Baselines(Fits(seen), "default", epochs=100_000)
    assert "(--baselines all)" in str(short.fittings["low_rank"].reason)
    assert short.fittings["additive"].reason is None
    assert long.fittings["low_rank"].reason is None
    few = Baselines(Fits(seen), "additive,low_rank", epochs=1)
    assert list(few.predict(test.genotypes)) == ["additive", "low_rank"]
    assert not Baselines(Fits(seen), "none", epochs=1).predict(test.genotypes)


def test_baselines_leave_the_threads_of_others_alone() -> None:
    before, (rows, value) = torch.get_num_threads(), blocks()
    seen, test = known(genotypes(rows), value, np.random.default_rng(6).integers(0, 3, len(rows)))
    Baselines(Fits(seen), "additive,low_rank", epochs=1).predict(test.genotypes)
    assert torch.get_num_threads() == before


def test_without_memory_a_baseline_has_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenBLAS that gets no buffers never returns, so a mean alone is left; a fit has its reason, not a kill."""
    rows, value = blocks()
    seen, test = known(genotypes(rows), value, np.random.default_rng(6).integers(0, 3, len(rows)))
    monkeypatch.setattr(samples, "free_memory", lambda: int(fitting.BUFFERS))
    fitted = Baselines(Fits(seen), "all", epochs=1)
    why = f"not applicable: fitting it to {len(seen.train)} samples would take 0.1 GB of memory, 0.1 GB are free"
    assert {name for name, one in fitted.fittings.items() if one.reason == why} >= fitting.FITTED_BYTES.keys()
    assert list(fitted.predict(test.genotypes)) == ["mean"]
    monkeypatch.setattr(samples, "free_memory", lambda: int(fitting.BUFFERS) - 1)
    assert not Baselines(Fits(seen), "mean,additive", epochs=1).predict(test.genotypes)


@pytest.mark.parametrize("name", ["additive", "roles", "pair_ridge", "factorisation"])
def test_a_fit_takes_no_more_memory_than_it_asks_for(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By how it grows with the samples: what is of genes alone is the same for both."""
    monkeypatch.setattr(factorisation, "STEPS", factorisation.CHECKED)
    found = []
    for n in (4000, 8000):
        rows = np.sort(np.stack([np.random.default_rng(i).choice(GENES, 2, replace=False) for i in range(n)]), axis=1)
        parts = np.where(np.arange(n) % 50, 0, 1)
        seen, _ = known(genotypes(rows, arrays=True), np.random.default_rng(1).normal(size=n), parts)
        others = {other: fit(other, seen) for other in ("additive", "roles")}
        tracemalloc.start()
        FITS[name](seen, others.__getitem__)
        found.append((tracemalloc.get_traced_memory()[1], fitting.fitting_bytes(name, seen)))
        tracemalloc.stop()
    (less, asked_less), (more, asked_more) = found
    assert 0 < more - less < asked_more - asked_less


def test_predictions_of_many_samples_are_those_of_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, value = blocks()
    seen, test = known(genotypes(rows), value, np.random.default_rng(6).integers(0, 3, len(rows)))
    fitted = fit("additive", seen)
    whole = samples.predicted(fitted, test.genotypes)
    monkeypatch.setattr(samples, "CHUNK", 7)
    assert len(whole) > 7
    assert np.allclose(samples.predicted(fitted, test.genotypes), whole, rtol=0, atol=1e-12)


def test_names_that_are_none_are_refused() -> None:
    assert chosen_names("low_rank, mean") == ("mean", "low_rank")
    assert chosen_names("all") == tuple(FITS) == NAMES
    with pytest.raises(UsageError, match="no baseline 'dcell'"):
        chosen_names("mean,dcell")


def test_roles_come_from_the_strains() -> None:
    """Two samples of two rows: one measured both ways, one whose strains name no gene of it."""
    samples = Samples(
        gene_ptr=np.array([0, 2, 4]), genes=np.array([0, 1, 0, 2], np.int32), value=np.zeros(2),
        statistic=np.zeros(2), dataset=np.zeros(2, np.int16), query_group=np.zeros(2, np.int32),
        source_ptr=np.array([0, 3, 4]), source_row=np.arange(4), query_strain=np.array([0, 0, 1, 0], np.int32),
        array_strain=np.array([1, 1, 2, 3], np.int32),
    )  # fmt: skip
    names = hierarchy(4).gene_names
    strains = tuple((f"{name}_dma{i}", "") for i, name in enumerate((names[0], names[1], names[0], names[3])))
    found = genotypes_of(samples, Provenance(strains, ("deletion",) * 4, ("q",)), hierarchy(4), "fitness")
    assert found.array[:2].tolist() == pytest.approx([1 / 3, 2 / 3])
    assert np.isnan(found.array[2:]).all()
