"""The teacher's activity recovered: all of it by the teacher itself, none by a stranger, as slow loops have it."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from gocell_cli.controls import Wiring
from gocell_cli.storage.schema import Hierarchy
from gocell_cli.teacher import WIDTH, term_states
from gocell_cli.training.baselines.ridge import fit_ridge
from gocell_cli.training.evaluation.terms.power import VariantRows
from gocell_cli.training.evaluation.terms.recovery import Asked, Recovery, Student, TermRecovery, recovery, share
from gocell_cli.training.evaluation.terms.teacher_activity import TeacherActivity
from gocell_cli.training.evaluation.terms.variants import TermVariants
from tests.hierarchies import random_network
from tests.training.evaluation.terms.planted_toy import deleted, pairs

GENES, SAMPLES, FITTED = 12, 900, 500


def taught(hierarchy: Hierarchy, gene_ptr: np.ndarray, genes: np.ndarray) -> tuple[Asked, Student]:
    """A toy's teacher, and a network that is the teacher."""
    terms = len(hierarchy.term_ids)
    wiring = Wiring(*(getattr(hierarchy, name) for name in Wiring._fields))
    found = sorted(term_states(wiring, terms, genes.reshape(-1, 2), 3))
    teacher = TeacherActivity(len(gene_ptr) - 1, [one.rows for one in found], [one.state for one in found])
    variants = TermVariants.of(hierarchy, gene_ptr, genes)
    gone = csr_matrix(deleted(gene_ptr, genes, GENES).astype(float))
    h = np.concatenate([teacher.of_term(term).T for term in range(terms)])
    neurons = [slice(WIDTH * term, WIDTH * (term + 1)) for term in range(terms)]
    return Asked(hierarchy, variants, gone, FITTED, teacher), Student(h, neurons, variants)


def turned(student: Student, seed: int) -> Student:
    """The same activity in other neurons."""
    mixed = np.random.default_rng(seed).normal(size=(WIDTH, WIDTH))
    return replace(student, h=np.concatenate([mixed @ student.h[one] for one in student.neurons]))


def stranger(hierarchy: Hierarchy, student: Student, genes: np.ndarray) -> Student:
    """The teacher's activity of the samples in another order."""
    order = np.random.default_rng(1).permutation(SAMPLES)
    moved = TermVariants.of(hierarchy, np.arange(0, 2 * SAMPLES + 1, 2), genes.reshape(-1, 2)[order].ravel())
    return Student(student.h[:, order], student.neurons, moved)


def test_the_teacher_recovers_itself_and_a_stranger_nothing() -> None:
    hierarchy = random_network(0, terms=9, genes=GENES)
    gene_ptr, genes = pairs(0, SAMPLES, GENES)
    asked, same = taught(hierarchy, gene_ptr, genes)
    found = recovery(asked, turned(same, 2), stranger(hierarchy, same, genes))
    assert found.compared == sum(one is not None for one in found.terms) > 5
    for one in found.terms:
        if one is not None:
            assert one.recovered > 0.99
            assert -0.1 < one.from_untrained < 0.05
            assert 0.5 < one.from_genes <= 1
    assert found.above_untrained == found.compared
    assert found.recovered == pytest.approx(1, abs=5e-3)


def test_the_share_is_that_of_slow_loops() -> None:
    """Sample by sample and neuron by neuron."""
    rng = np.random.default_rng(0)
    variant = rng.integers(0, 30, 200)
    features, states = rng.normal(size=(30, 5)), rng.normal(size=(30, 3))
    states += features[:, :3]
    rows = VariantRows.of(variant, 120)
    found = share(rows, features[variant[rows.first]], states[variant])
    x, y = features[variant], states[variant]
    scaled = (x - x[:120].mean(0)) / x[:120].std(0)
    predicted = np.stack([fit_ridge(scaled[:120], one, 1.0).predict(scaled[120:]) for one in y[:120].T], axis=1)
    assert found == pytest.approx(1 - ((y[120:] - predicted) ** 2).sum() / ((y[120:] - y[120:].mean(0)) ** 2).sum())
    still = share(rows, np.ones((len(rows.first), 2)), states[variant])
    assert still == pytest.approx(
        1 - ((y[120:] - y[:120].mean(0)) ** 2).sum() / ((y[120:] - y[120:].mean(0)) ** 2).sum()
    )


def test_medians_and_counts_are_of_the_terms_that_can_be_compared() -> None:
    found = Recovery.of([TermRecovery(0.5, 0.2, 0.6), None, TermRecovery(0.1, 0.3, 0.0), TermRecovery(0.9, 0.8, 0.8)])
    assert (found.compared, found.recovered, found.from_genes, found.from_untrained) == (3, 0.5, 0.3, 0.6)
    assert (found.above_genes, found.above_untrained) == (2, 2)
    assert Recovery.of([None]).recovered is None
    hierarchy = random_network(0, terms=9, genes=GENES)
    asked, same = taught(hierarchy, *pairs(0, SAMPLES, GENES))
    none = replace(asked.teacher, at=[one[:0] for one in asked.teacher.at], state=[s[:0] for s in asked.teacher.state])
    assert recovery(replace(asked, teacher=none), same, same).compared == 0
