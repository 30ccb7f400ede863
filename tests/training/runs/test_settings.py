"""The reference of settings: a line for each, and ranges that RunConfig holds to."""

from dataclasses import fields

import pytest

from gocell_cli.errors import UsageError
from gocell_cli.training.network import config as network
from gocell_cli.training.runs.config import ABOVE_ZERO, CHOICES, LEAST, RunConfig
from gocell_cli.training.runs.settings import ABOUT, SINCE, settings_reference, shown

FOUND = {one.name: one for one in settings_reference()}
NAMED = {**network.CHOICES, **CHOICES}


def test_every_setting_has_its_line() -> None:
    names = [f.name for f in fields(RunConfig)]
    assert list(FOUND) == list(ABOUT) == list(SINCE) == names
    for one in FOUND.values():
        assert one.allowed, one.name
        assert one.type, one.name
        assert one.about[0].islower() or one.about.startswith(("AdamW", "BatchNorm")), one.name
        assert "\n" not in one.about, one.name


@pytest.mark.parametrize("name", [*LEAST, *ABOVE_ZERO])
def test_what_is_below_its_least_is_refused(name: str) -> None:
    told = FOUND[name].allowed
    below = 0 if told == "above 0" else float(told.split()[-1]) - 1
    with pytest.raises(UsageError):
        RunConfig().changed({name: type(FOUND[name].default)(below)})


@pytest.mark.parametrize("name", sorted(NAMED.keys() & FOUND.keys()))
def test_every_word_that_is_told_is_taken(name: str) -> None:
    words = [word for word in NAMED[name] if word]
    assert FOUND[name].allowed.split(", ") == [word or "nothing" for word in NAMED[name]]
    for word in words:
        assert getattr(RunConfig().changed({name: word}), name) == word


def test_defaults_are_shown_as_set_takes_them() -> None:
    assert [shown(FOUND[name].default) for name in ("lr", "fractions", "wandb", "gene_vectors")] == [
        "0.003", "[0.8, 0.1, 0.1]", "nothing", "[]",
    ]  # fmt: skip
