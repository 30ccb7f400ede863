"""Rounds over the queries of both parts: no query on two sides, and no setting that one lucky query chose."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gocell_cli.training.baselines.fitting import Fits
from gocell_cli.training.baselines.samples import Fitted, Genotypes, Known, NotApplicable, Others, Settings
from gocell_cli.training.voices import fitting
from gocell_cli.training.voices.fitting import fit_voices
from gocell_cli.training.voices.names import DCELL, NEIGHBOURS, WIDE
from gocell_cli.training.voices.rounds import FEW, LEAST_GROUPS, rounds_of
from tests.training.baselines.screens import genotypes, known

GENES = 40


def screen(rng: np.random.Generator, queries: int, arrays: int, *, alone: int = 0) -> Genotypes:
    """Each query against each array, and some samples of no query."""
    rows = [(query, array) for query in range(queries) for array in range(20, 20 + arrays)]
    rows += [(int(gene),) for gene in rng.choice(np.arange(20, GENES), alone, replace=False)]
    found = genotypes(rows, GENES)
    return replace(found, query=np.array([row[0] if len(row) > 1 else -1 for row in rows], dtype=np.int32))


def seen_of(found: Genotypes, value: np.ndarray, validating: set[int]) -> Known:
    """Parts of a split by query."""
    parts = np.where(np.isin(found.query, list(validating)), 1, 0)
    return known(found, value, parts)[0]


@given(st.integers(0, 1000), st.integers(4, 16), st.integers(1, 3), st.integers(0, 4))
def test_no_query_is_on_two_sides_of_a_round_and_every_one_is_held_out_once(
    seed: int, queries: int, validating: int, alone: int
) -> None:
    rng = np.random.default_rng(seed)
    found = screen(rng, queries, int(rng.integers(1, 5)), alone=alone)
    seen = seen_of(found, rng.normal(size=len(found)), set(range(validating)))
    rounds = rounds_of(seen)
    assert rounds is not None
    held = []
    for part in rounds.parts:
        inside, outside = part.validation.genotypes.query, part.train.genotypes.query
        assert not set(inside) & set(outside)
        assert len(part.train) + len(part.validation) == len(found)
        assert (inside >= 0).all(), "what has no query always trains"
        held += np.unique(inside).tolist()
    assert sorted(held) == list(range(queries))
    assert len(rounds.told) == (found.query >= 0).sum()


def test_a_split_of_other_kinds_or_with_many_queries_to_validate_has_no_rounds() -> None:
    rng = np.random.default_rng(0)
    found = screen(rng, 16, 3, alone=2)
    value = rng.normal(size=len(found))
    assert rounds_of(known(found, value, rng.integers(0, 2, len(found)))[0]) is None, "its queries train as well"
    assert rounds_of(seen_of(found, value, set(range(FEW)))) is None
    assert rounds_of(seen_of(found, value, set())) is None, "nothing validates"
    assert rounds_of(seen_of(found, value, {0, -1})) is None, "a sample of no query validates"
    few = found.take(found.query < LEAST_GROUPS - 1)
    assert rounds_of(seen_of(few, value[: len(few)], {0})) is None


@dataclass(frozen=True)
class Shift:
    """The training mean and a number beside it: a setting that a lucky query likes."""

    mean: float
    settings: Settings

    def predict(self, genotypes: Genotypes) -> np.ndarray:
        return np.full(len(genotypes), self.mean + self.settings["shift"])


def again(fit: Fitted, seen: Known) -> Fitted:
    return Shift(float(seen.train.value.mean()), fit.settings)


def tuned(seen: Known) -> Fitted:
    tries = [again(Shift(0.0, {"shift": shift}), seen) for shift in (0.0, 5.0)]
    errors = [np.square(one.predict(seen.validation.genotypes) - seen.validation.value).mean() for one in tries]
    return tries[int(np.argmin(errors))]


def test_what_one_query_likes_is_not_chosen_where_the_others_do_not() -> None:
    found = screen(np.random.default_rng(0), 8, 5)
    value = np.where(found.query == 0, 5.0, 0.0)  # the query that validates is unlike all others
    seen = seen_of(found, value, {0})
    assert tuned(seen).settings == {"shift": 5.0}
    rounds = rounds_of(seen)
    assert rounds is not None
    chosen = rounds.chosen(tuned, again)
    assert chosen.fit.settings == {"shift": 0.0}
    expected = np.concatenate([part.train.value.mean() * np.ones(len(part.validation)) for part in rounds.parts])
    order = np.concatenate([np.flatnonzero(rounds.fold == number) for number in range(len(rounds.parts))])
    assert np.allclose(chosen.predicted[order], expected), "held out means by a fit to the other folds"


def test_voices_of_a_split_by_query_are_chosen_in_rounds_and_predict() -> None:
    rng = np.random.default_rng(2)
    found = screen(rng, 8, 12)
    effect = rng.normal(size=GENES)
    value = found.matrix() @ effect + 0.1 * rng.normal(size=len(found))
    seen = seen_of(found, value, {3})
    voices, records = fit_voices(
        seen, Fits(seen).get, (WIDE, NEIGHBOURS), np.zeros(len(seen.validation)), np.full(GENES, np.nan)
    )
    held = records[WIDE].held
    assert held is not None
    assert len(held) == len(found)
    assert voices.blend[DCELL] == 0.0, "one query says nothing of the network"
    assert sum(voices.blend.values()) > 0.5
    said = voices.say(seen.validation.genotypes, np.zeros(len(seen.validation)))
    assert np.corrcoef(said["blend"], seen.validation.value)[0, 1] > 0.9


def test_a_voice_that_does_not_apply_to_a_round_is_chosen_on_the_validation_part(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A fold has fewer samples than all; here too few for what is made of the voice."""
    found = screen(np.random.default_rng(3), 8, 12)
    value = found.matrix() @ np.random.default_rng(4).normal(size=GENES)
    seen = seen_of(found, value, {3})
    whole, real = len(seen.train), fitting.FITS[NEIGHBOURS]

    def picky(part: Known, others: Others) -> Fitted:
        if len(part.train) < whole:
            raise NotApplicable("too few")
        return real(part, others)

    monkeypatch.setitem(fitting.FITS, NEIGHBOURS, picky)
    _, records = fit_voices(
        seen, Fits(seen).get, (WIDE, NEIGHBOURS), np.zeros(len(seen.validation)), np.full(GENES, np.nan)
    )
    assert records[NEIGHBOURS].reason is None
    assert records[NEIGHBOURS].held is None
    assert records[WIDE].held is not None
