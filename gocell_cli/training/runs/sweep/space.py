"""Which settings a sweep tries: NAME=LOW..HIGH, NAME=log:LOW..HIGH or NAME=A,B,C, of what the setting takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gocell_cli.errors import UsageError, did_you_mean
from gocell_cli.training.runs.config import DEFAULTS, RunConfig, parse_settings

SEARCHED = (
    "epochs", "batch_size", "accumulate", "lr", "min_lr", "scheduler", "patience", "weight_decay", "own_decay", "l2",
    "clip", "auxiliary", "alpha", "bn_eval", "population_samples", "norm_order", "gene_weights", "term_dropout",
    "init_range", "min_width", "ratio", "top_width", "top_strata", "products", "learnt_vectors", "precision",
)  # fmt: skip
"""What decides the network and its training. Others decide what is measured, on which samples, or have no part in the
network's validation loss (baselines and voices), so that no search by it can choose them."""
USUAL = (
    "lr=log:0.0003..0.03", "batch_size=200,400,800", "own_decay=log:0.1..30", "alpha=log:0.03..1",
    "min_width=4,6,10,20", "weight_decay=0.0,0.0001,0.01",
)  # fmt: skip
"""What is tried where nothing is named: the rate, the step, how the network is held small, and how wide it is."""
EXAMPLE = "--search lr=log:1e-4..1e-2 --search min_width=4,6,8 --search term_dropout=0..0.3"
LOG, RANGE = "log:", ".."


@dataclass(frozen=True)
class Dimension:
    """A setting that is searched: `choices`, or from low to high (both may come), where `log` by its logarithm."""

    name: str
    text: str
    choices: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False

    @property
    def whole(self) -> bool:
        """Whether only whole numbers of it are tried."""
        return isinstance(DEFAULTS[self.name], int)


def search_space(texts: Sequence[str], base: RunConfig) -> tuple[Dimension, ...]:
    """Return what is searched; with no text what is USUAL.

    Raises UsageError for a setting that is none, may not be searched or is named twice, for what is no range and no
    list, and for values that the setting does not take beside those of `base`.
    """
    found = tuple(_dimension(text) for text in (texts or USUAL))
    names = [one.name for one in found]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"--search {name} is given {names.count(name)} times", hint="name each setting once")
    for one in found:
        for value in one.choices or (_end(one, one.low), _end(one, one.high)):
            try:
                base.changed({one.name: value})
            except UsageError as error:
                raise UsageError(f"--search {one.text}: {error.message}", why=error.why, hint=error.hint) from error
    return found


def _dimension(text: str) -> Dimension:
    name, equals, said = text.partition("=")
    if not equals or not said:
        raise UsageError(f"--search {text[:80]}: no NAME=VALUES", hint=EXAMPLE)
    if name not in SEARCHED:
        known = name in DEFAULTS
        why = "it decides what is measured, or what a network's validation loss does not show" if known else ""
        hint = f"--set {name}=VALUE for all trials" if known else did_you_mean(name, SEARCHED, otherwise=EXAMPLE)
        raise UsageError(f"--search {name[:80]}: no setting that a sweep may search", why=why, hint=hint)
    if RANGE in said or said.startswith(LOG):
        return _range(name, text, said)
    values = [parse_settings([f"{name}={one}"])[name] for one in said.split(",")]
    if len(values) < 2 or len(set(map(repr, values))) < len(values):
        raise UsageError(f"--search {text}: two or more different values are needed", hint=f"{EXAMPLE}")
    return Dimension(name, text, tuple(_taken(name, value) for value in values))


def _range(name: str, text: str, said: str) -> Dimension:
    log = said.startswith(LOG)
    low, _, high = said.removeprefix(LOG).partition(RANGE)
    try:
        ends = float(low), float(high)
    except ValueError:
        raise UsageError(f"--search {text}: no range of numbers", hint=EXAMPLE) from None
    if not isinstance(DEFAULTS[name], int | float):
        raise UsageError(f"--search {text}: {name} is a word", hint=f"--search {name}=A,B")
    if not ends[0] < ends[1] or (log and ends[0] <= 0):
        above = ", from above 0" if log else ""
        raise UsageError(f"--search {text}: a range goes from a lower number to a higher{above}", hint=EXAMPLE)
    if isinstance(DEFAULTS[name], int) and any(end != int(end) for end in ends):
        raise UsageError(f"--search {text}: {name} is a whole number", hint=EXAMPLE)
    return Dimension(name, text, (), ends[0], ends[1], log)


def _end(one: Dimension, value: float) -> int | float:
    return int(value) if one.whole else value


def _taken(name: str, value: Any) -> Any:
    """A whole number where the setting has a fraction is that fraction: 1 is 1.0."""
    return float(value) if isinstance(DEFAULTS[name], float) and type(value) is int else value
