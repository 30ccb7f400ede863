"""Ranking terms: a planted term leads, what is left out has its reason, orders are what they say."""

import numpy as np
import pytest

from gocell_cli.errors import UsageError
from gocell_cli.storage.schema import Hierarchy
from gocell_cli.training.evaluation.terms.orders import ALIKE, FEW, ORDERS, WEAK, Cutoffs
from gocell_cli.training.evaluation.terms.ranking import Screen, TermScore, excess, score_terms
from tests.hierarchies import make_network, random_network
from tests.training.evaluation.terms.planted_toy import deleted, judged, members, pairs

GENES = 80


def chain() -> Hierarchy:
    """A root of 80 genes, below it terms of 24, 12, 6 and 3, each within the last, and one of 12 others."""
    edges = [(1, 0), (2, 1), (3, 2), (4, 3), (5, 0)]
    sizes = {0: range(24, 68), 1: range(12, 24), 2: range(6, 12), 3: range(3, 6), 4: range(3), 5: range(68, 80)}
    return make_network(edges, [(t, g) for t, genes in sizes.items() for g in genes], terms=6, genes=GENES)


def scored(
    hierarchy: Hierarchy, term: int, order: str = "excess", noise: float = 0.5, seed: int = 0
) -> list[TermScore]:
    """The scores of a phenotype that acts through one term: sick where any of its genes is gone."""
    gene_ptr, genes = pairs(seed, 600, GENES)
    sick = deleted(gene_ptr, genes, GENES)[:, members(hierarchy)[term]].any(1)
    values = np.random.default_rng((seed, 3)).normal(0, 0.5, 600) - sick
    given = judged(hierarchy, gene_ptr, genes, values, 300, seed)
    return score_terms(given, hierarchy, Screen.of(hierarchy, genes), Cutoffs(), order)


@pytest.mark.parametrize("term", [1, 2, 3, 4])
def test_a_planted_term_leads_its_ancestors_and_its_descendants(term: int) -> None:
    for seed in range(5):
        assert scored(chain(), term, seed=seed)[0].term == term


def test_what_is_left_out_is_told_and_comes_last() -> None:
    hierarchy = chain()
    gene_ptr = np.arange(0, 401, dtype=np.int64)
    genes = np.random.default_rng(0).choice([0, *range(24, 80)], 400).astype(np.int32)
    values = np.random.default_rng(1).normal(size=400) - 3.0 * (genes >= 68)
    given = judged(hierarchy, gene_ptr, genes, values, 200)
    screen = Screen.of(hierarchy, genes)
    found = score_terms(given, hierarchy, screen, Cutoffs(), "excess")
    reasons = {s.term: s.left_out for s in found}
    assert (reasons[5], reasons[4], reasons[1]) == (None, FEW, FEW)  # gene 0 alone is deleted of terms 1 to 4
    assert [s.left_out is None for s in found] == sorted((s.left_out is None for s in found), reverse=True)
    strict = score_terms(given, hierarchy, screen, Cutoffs(power=1.0, activations=2), "excess")
    assert {s.left_out for s in strict} == {WEAK}
    assert all(s.rlipp is None for s in strict)
    fewer = judged(hierarchy, gene_ptr[:51], np.full(50, 70, np.int32), values[:50], 25)
    assert {s.left_out for s in score_terms(fewer, hierarchy, screen, Cutoffs(), "excess")} == {ALIKE}


def test_columns_are_what_their_names_say() -> None:
    found = {s.term: s for s in scored(chain(), 2)}
    root, planted, leaf = found[0], found[2], found[4]
    assert (leaf.children_power, leaf.rlipp, leaf.difference) == (None, None, leaf.power)
    assert planted.power is not None
    assert planted.children_power is not None
    assert planted.difference == pytest.approx(planted.power - planted.children_power)
    assert planted.rlipp == pytest.approx(planted.power / planted.children_power)
    assert planted.screen_genes == 12
    assert root.screen_genes == GENES
    assert root.excess == 0
    assert planted.p_value is not None
    assert planted.p_value < 1e-6
    assert planted.q_value is not None
    assert planted.q_value >= planted.p_value
    assert planted.p_above_children is not None
    assert planted.p_above_children < 0.01


@pytest.mark.parametrize("order", ORDERS)
def test_an_order_sorts_its_column(order: str) -> None:
    ranked = [getattr(s, order) for s in scored(chain(), 3, order) if s.left_out is None]
    values = [v for v in ranked if v is not None]
    assert values == sorted(values, reverse=True)
    assert ranked[len(values) :] == [None] * (len(ranked) - len(values))


def test_excess_of_what_a_share_brings_is_0() -> None:
    """All of the deletions have all of the variance; a tenth of them that has a tenth has nothing beyond."""
    found = excess(np.array([0.6, 0.6 * np.sqrt(0.1), 0.6, -0.2]), np.array([1, 0.1, 0.1, 0.5]), 0)
    assert found[:2] == pytest.approx([0, 0], abs=1e-12)
    assert found[2] == pytest.approx(0.36 * 0.9 / 0.3)
    assert found[3] < 0


def test_an_unknown_order_and_too_few_samples_are_refused() -> None:
    hierarchy = random_network(0)
    gene_ptr, genes = pairs(0, 6, 12)
    given = judged(hierarchy, gene_ptr, genes, np.arange(6.0), 3)
    with pytest.raises(UsageError, match="order is 'name'"):
        score_terms(given, hierarchy, Screen.of(hierarchy, genes), Cutoffs(), "name")
    with pytest.raises(UsageError, match="too few to score terms"):
        score_terms(given, hierarchy, Screen.of(hierarchy, genes), Cutoffs(), "power")


def test_q_values_count_the_terms_that_are_too_weak_to_be_ranked() -> None:
    """Among those that passed the least power alone, every q-value would be below 0.05, whatever the phenotype."""
    hierarchy = random_network(4, terms=40, genes=60)
    gene_ptr, genes = pairs(4, 400, 60)
    values = np.random.default_rng(9).normal(size=400)
    given = judged(hierarchy, gene_ptr, genes, values, 200)
    found = score_terms(given, hierarchy, Screen.of(hierarchy, genes), Cutoffs(), "excess")
    weak = [s for s in found if s.left_out == WEAK and s.power is not None]
    assert weak
    assert all(s.q_value is not None for s in weak)
    assert all(s.q_value is None or s.q_value > 0.05 for s in found)
