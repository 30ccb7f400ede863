"""The teacher made again from a cache: the dense network's states, and no other teacher where it cannot be."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gocell_cli.controls import Control
from gocell_cli.errors import TooLarge
from gocell_cli.storage.reader import Cache
from gocell_cli.training.evaluation.terms import teacher_activity as module
from gocell_cli.training.evaluation.terms.teacher_activity import TeacherActivity, teacher_activity
from tests.reference.teacher import dense_states

ROWS = np.array([5, 3, 370, 42])


def changed(cache: Cache, **options: Any) -> Cache:
    """The cache, with other options of its simulation in its manifest."""
    return configured(cache, dataset_options={**cache.manifest.config["dataset_options"], **options})


def configured(cache: Cache, **entries: Any) -> Cache:
    """The cache, with other entries in its configuration."""
    cache.manifest = replace(cache.manifest, config={**cache.manifest.config, **entries})
    return cache


def test_the_teacher_is_the_one_that_made_the_values(simulated_cache: Path) -> None:
    cache = Cache(simulated_cache)
    found, samples = teacher_activity(cache, ROWS), cache.columns()
    assert isinstance(found, TeacherActivity)
    states = dense_states(cache.hierarchy, [set(pair) for pair in samples.genes.reshape(-1, 2).tolist()], 3)
    assert len(states) == len(cache.hierarchy.term_ids)
    for term, state in states.items():
        assert np.allclose(found.of_term(term), state[ROWS], atol=1e-9)
    assert sum(bool(found.of_term(term).any()) for term in states) > 30


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"seed": "4"}, "not the one that made"),
        ({"epistasis": "0.9"}, "not the one that made"),
        ({"seed": "many"}, "does not say how"),
        ({"seed": None}, "does not say how"),
        ({"seed": "-1"}, "not hold all samples"),
        ({"deletions": "3"}, "not hold all samples"),
        ({"samples": "381"}, "not hold all samples"),
    ],
)
def test_no_other_teacher_passes_for_it(simulated_cache: Path, options: dict[str, Any], reason: str) -> None:
    found = teacher_activity(changed(Cache(simulated_cache), **options), ROWS)
    assert isinstance(found, str)
    assert reason in found


def test_measured_data_have_none_and_a_control_does_not_keep_it(small_cache: Path, simulated_cache: Path) -> None:
    assert teacher_activity(Cache(small_cache), np.arange(3)) is None
    control = configured(Cache(simulated_cache), control=Control("edges", 0)._asdict())
    assert teacher_activity(control, ROWS) == "the teacher is wired as GO is, of which this cache keeps a control"


def test_a_teacher_that_memory_cannot_hold_is_told(simulated_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def refuse(needed: int, what: str) -> None:
        asked.append(needed)
        raise TooLarge(f"{what} would take too much")

    monkeypatch.setattr(module, "require_memory", refuse)
    assert teacher_activity(Cache(simulated_cache), ROWS) == "the teacher of 380 simulated samples would take too much"
    assert asked[0] > 380 * 2 * module.STATE_BYTES
