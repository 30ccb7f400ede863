"""A batch's tables for the GPU against NumPy's, array by array, to the bit; and sums by variant against plain loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gocell_cli.training.network.dcell import DCell, DCellConfig
from gocell_cli.training.network.delta.form import DeltaForm
from gocell_cli.training.network.delta.gpu import layout
from gocell_cli.training.network.delta.plan import sum_by_variant
from gocell_cli.training.network.delta.ready import shown
from gocell_cli.training.network.pinned import ALIGNED
from tests.attempts import attempts
from tests.reference.gpu_layout import tables
from tests.training import networks as nets

GENES = 12
NEVER = 2**60
genotypes = st.lists(st.sets(st.integers(0, GENES - 1), max_size=5).map(sorted).map(tuple), min_size=1, max_size=40)


@settings(max_examples=attempts(40, 800))
@given(
    seed=st.integers(0, 10_000),
    terms=st.integers(1, 30),
    batch=genotypes,
    min_width=st.sampled_from([2, 7, 20, 40]),
    ratio=st.sampled_from([0.3, 3.0]),
    wide=st.sampled_from([0, 2000, 20_000, NEVER]),
)
def test_every_table_is_that_of_the_description(
    seed: int, terms: int, batch: nets.Genotypes, min_width: int, ratio: float, wide: int
) -> None:
    """Of terms that a matrix library multiplies, of none, and of some."""
    hierarchy = nets.random_network(seed, terms=terms)
    form = DeltaForm.of(DCell(hierarchy, DCellConfig(min_width=min_width, ratio=ratio, form="delta")))
    index, fixed, plan = form.index, form.gpu_index, form.plan(nets.deletions(batch, GENES))
    found = layout.lay_out(index, fixed, plan, shown(plan, index.terms - 1), wide)
    wanted = tables(index, fixed, plan, layout.find_places(index, fixed, plan, wide))
    for name, array in wanted.items():
        np.testing.assert_array_equal(found.part(name, found.ints).numpy(), array, err_msg=name)
    assert found.pairs == len(wanted["pair_term"])
    assert max(part.stop for part in found.parts.values()) <= len(found.ints)
    assert sum(level.copies.count for level in found.levels) == len(wanted["copy_from"])
    assert sum(level.products.count for level in found.levels) == len(wanted["item_edge"])
    assert all(part.start % ALIGNED == 0 for part in found.parts.values())


@pytest.mark.parametrize("seed", range(3))
def test_sums_by_variant_are_those_of_the_samples_that_show_it(seed: int) -> None:
    form = DeltaForm.of(DCell(nets.random_network(seed), DCellConfig(min_width=4, form="delta")))
    batch = nets.random_genotypes(seed, 30, GENES)
    plan = form.plan(nets.deletions(batch, GENES))
    values = np.random.default_rng(seed).normal(size=(len(batch), 2))
    found = sum_by_variant(plan, values)
    for term in range(form.index.terms):
        of_sample = shown(plan, term)
        for variant in range(plan.variant_ptr[term], plan.variant_ptr[term + 1]):
            np.testing.assert_allclose(found[variant], values[of_sample == variant].sum(0), atol=1e-12)


def test_a_batch_of_no_deletion_and_one_of_all_genes() -> None:
    form = DeltaForm.of(DCell(nets.random_network(1), DCellConfig(min_width=4, form="delta")))
    for batch in ([()], [tuple(range(GENES))], [(), tuple(range(GENES))]):
        plan = form.plan(nets.deletions(batch, GENES))
        found = layout.lay_out(form.index, form.gpu_index, plan, shown(plan, form.index.terms - 1))
        wanted = tables(form.index, form.gpu_index, plan, layout.find_places(form.index, form.gpu_index, plan, NEVER))
        for name, array in wanted.items():
            np.testing.assert_array_equal(found.part(name, found.ints).numpy(), array, err_msg=name)
