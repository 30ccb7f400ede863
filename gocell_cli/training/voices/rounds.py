"""Choices for queries that nobody has seen: where few of them validate, all of them do, in rounds.

A split by query may leave one query, or two, to the validation part. How far a voice is off for these is mostly how
far their own unknown effect is from that of other queries: what errs least there was lucky. So the queries of both
parts are divided into ROUNDS folds; a voice is tuned to each of them in turn, fitted to the others, and the settings
that err least over all folds are taken (cross-validation by groups). What they predict of each fold by a fit to the
others weighs the voices against each other (stacked regressions, Breiman 1996, doi:10.1007/BF00117832).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64, Int32, Int64

from gocell_cli.training.baselines.samples import Fitted, Known, Labelled, predicted

ROUNDS = 4
FEW = 10
"""Query groups of the validation part from which on it says enough by itself."""
LEAST_GROUPS = 4
"""Query groups of both parts below which there is nothing to divide."""


@dataclass(frozen=True)
class Held:
    """A voice's settings as a fit to the first round has them, and what it predicts of each sample held out."""

    fit: Fitted
    predicted: Float64[np.ndarray, " n"]


@dataclass(frozen=True)
class Rounds:
    """The folds of a split by query: `fold` [n] numbers that of each sample of both parts, -1 of what always trains."""

    both: Labelled
    fold: Int64[np.ndarray, " n"]
    parts: tuple[Known, ...]

    @property
    def told(self) -> Float64[np.ndarray, " held"]:
        """The labels of the samples that some fold holds."""
        return self.both.value[self.fold >= 0]

    def chosen(self, tuned: Callable[[Known], Fitted], fitted: Callable[[Fitted, Known], Fitted]) -> Held:
        """Return the settings that err least over all folds, of those that are best for one of them.

        tuned: fits a voice and chooses its settings on a validation part; fitted: fits again with settings.
        """
        tunings = [tuned(part) for part in self.parts]
        tries = [fit for i, fit in enumerate(tunings) if fit.settings not in [one.settings for one in tunings[:i]]]
        held = [Held(one, self._held_out(one, tunings, fitted)) for one in tries]
        errors = [float(np.square(one.predicted - self.told).mean()) for one in held]
        return held[int(np.argmin(errors))]

    def _held_out(
        self, fit: Fitted, tunings: list[Fitted], fitted: Callable[[Fitted, Known], Fitted]
    ) -> Float64[np.ndarray, " held"]:
        """What the settings of a fit predict of each sample held out; what tuning has fitted with them is not again."""
        found = np.full(len(self.both), np.nan)
        for number, (part, there) in enumerate(zip(self.parts, tunings, strict=True)):
            here = there if there.settings == fit.settings else fitted(fit, part)
            found[self.fold == number] = predicted(here, part.validation.genotypes)
        return found[self.fold >= 0]


def rounds_of(known: Known) -> Rounds | None:
    """Return the rounds of a split by query whose validation part has few of them; None where it is no such split."""
    seen, asked = (np.unique(part.genotypes.query) for part in (known.train, known.validation))
    groups = np.concatenate([seen[seen >= 0], asked])
    if not len(asked) or asked[0] < 0 or len(asked) >= FEW or np.isin(asked, seen).any():
        return None
    if len(groups) < LEAST_GROUPS:
        return None
    both = known.train.joined(known.validation)
    fold = _folds(both.genotypes.query)
    parts = tuple(
        replace(known, train=both.take(fold != number), validation=both.take(fold == number), kept={})
        for number in range(ROUNDS)
    )
    return Rounds(both, fold, parts)


def _folds(group: Int32[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    """The fold of each sample: the largest groups first, each to the fold with the fewest samples; -1 without one."""
    names, place, sizes = np.unique(group, return_inverse=True, return_counts=True)
    fold_of, full = np.full(len(names), -1), np.zeros(ROUNDS)
    for number in np.lexsort((names, -sizes)).tolist():
        if names[number] >= 0:
            fold_of[number] = int(full.argmin())
            full[fold_of[number]] += sizes[number]
    return fold_of[place].astype(np.int64)
