"""The voices together: weights that validation says, and what strains of genotypes that nobody measured would be."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gocell_cli.errors import UsageError
from gocell_cli.training.baselines.fitting import Baselines, Fits
from gocell_cli.training.voices.fitting import fit_voices
from gocell_cli.training.voices.names import (
    ASKED,
    BLEND,
    DCELL,
    ENCODER,
    FITTED,
    LEFT_OUT,
    NEIGHBOURS,
    WIDE,
    chosen_voice,
)
from gocell_cli.training.voices.voices import parents_of
from tests.training.baselines.screens import all_pairs, genotypes, known

NOTHING = np.full(12, np.nan)


@given(st.integers(0, 50))
def test_a_blend_of_fitted_voices_is_within_classes_and_repeats_to_the_bit(seed: int) -> None:
    rng, rows = np.random.default_rng(seed), all_pairs(12)
    value = rng.integers(0, 2, len(rows)).astype(float)
    seen, test = known(genotypes(rows, 12), value, rng.integers(0, 3, len(rows)), classes=True)
    network = rng.random(len(seen.validation))
    twice = [fit_voices(seen, Fits(seen).get, (WIDE, NEIGHBOURS), network, NOTHING) for _ in range(2)]
    said, again = (voices.say(test.genotypes, rng.random(len(test)) * 0) for voices, _ in twice)
    assert set(said) <= {WIDE, NEIGHBOURS, BLEND, *(LEFT_OUT + name for name in (DCELL, WIDE, NEIGHBOURS))}
    for name, values in said.items():
        assert ((values >= 0) & (values <= 1)).all()
        assert np.array_equal(values, again[name])
    assert set(twice[0][1]) == {DCELL, WIDE, NEIGHBOURS}
    assert all(one.reason is not None or one.validation is not None for one in twice[0][1].values())


def test_a_voice_is_fitted_to_the_validation_samples_as_well_once_they_have_weighed_it() -> None:
    """A pair of genes that only the validation part has deleted is then no unknown one."""
    rows = all_pairs(12)
    effect = np.random.default_rng(1).normal(size=12)
    value = effect[rows].sum(axis=1)
    parts = np.where((rows == 3).any(axis=1), 1, 0)
    seen, _ = known(genotypes(rows, 12), value, parts)
    voices, found = fit_voices(seen, Fits(seen).get, (WIDE,), np.zeros(len(seen.validation)), NOTHING)
    before = found[WIDE].validation
    assert before is not None
    after = voices.parts[WIDE].predict(seen.validation.genotypes)
    assert np.abs(after - seen.validation.value).mean() < 0.5 * np.abs(before - seen.validation.value).mean()


def test_strains_of_a_genotype_that_nobody_measured() -> None:
    singles = np.array([0.5, 0.9, np.nan])
    ptr, genes = np.array([0, 0, 1, 3, 5, 8]), np.array([0, 0, 1, 1, 2, 0, 1, 2])
    found = parents_of(ptr, genes, singles)
    assert found[0].tolist() == [1.0, 1.0], "the wild type"
    assert found[1].tolist() == [0.5, 1.0], "a single mutant, crossed with the wild type"
    assert found[2].tolist() == [0.7, 0.7], "a pair, whichever gene is the query's"
    assert np.isnan(found[3:]).all(), "a gene of which nothing was published, and a triple"
    assert np.isnan(parents_of(ptr, genes, np.full(3, np.nan))).all(), "voices that were fitted without"


def test_the_voice_of_a_run() -> None:
    assert chosen_voice(None, []) == DCELL
    assert chosen_voice(None, [WIDE]) == BLEND
    assert [chosen_voice(name, list(FITTED)) for name in ASKED] == list(ASKED)
    with pytest.raises(UsageError, match="no neighbours"):
        chosen_voice(NEIGHBOURS, [WIDE])
    with pytest.raises(UsageError, match="no encoder") as refused:
        chosen_voice(ENCODER, [WIDE], {ENCODER: "there are no pairs"})
    assert refused.value.why == "there are no pairs"
    assert "encoder=auto" not in refused.value.hint, "that is what the run was trained with"
    with pytest.raises(UsageError, match="no blend"):
        chosen_voice(BLEND, [])
    with pytest.raises(UsageError, match="no model"):
        chosen_voice("network", [WIDE])


def test_baselines_and_voices_share_what_was_fitted_and_never_take_one_thing_for_another() -> None:
    rng, rows = np.random.default_rng(3), all_pairs(16)
    value = rng.normal(size=len(rows))
    seen, test = known(genotypes(rows, 16), value, rng.choice(3, len(rows), p=[0.6, 0.2, 0.2]))
    alone = Baselines(Fits(replace(seen, kept={})), "all", epochs=1).predict(test.genotypes)
    shared = Fits(seen)
    fit_voices(seen, shared.get, (WIDE, NEIGHBOURS), rng.normal(size=len(seen.validation)), np.full(16, np.nan))
    after = Baselines(shared, "all", epochs=1).predict(test.genotypes)
    assert {"boosted_trees", "mlp", "factorisation"} <= after.keys() == alone.keys()
    for name, values in alone.items():
        assert np.array_equal(values, after[name]), name
