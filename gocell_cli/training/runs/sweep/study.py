"""The trials of a sweep, kept by optuna (Akiba et al. 2019, doi:10.1145/3292500.3330701) in one journal.

What is tried next is drawn by the tree-structured Parzen estimator (Bergstra et al. 2011) from a seed of its own for
each trial, and from what the others have given by then: of one process alone the same trials, however often it is
killed. A trial that a killed process left is finished before another begins, with the settings that it has.
"""

import os
import shutil
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gocell_cli.errors import DamagedCache, ExtraMissing, UsageError
from gocell_cli.training.runs.store import RunStore
from gocell_cli.training.runs.sweep.record import STUDY, TRIALS
from gocell_cli.training.runs.sweep.space import Dimension

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

WARM_UP = 10
"""Trials at random, before what they gave says where to look."""
NAME, BASE, SEEDS, WHY = "gocell", "base", "seeds", "why"


def require_optuna() -> None:
    """Raise ExtraMissing where optuna is not installed; it is not loaded for that."""
    if find_spec("optuna") is None:
        raise ExtraMissing("optuna is not installed, which chooses what is tried", hint="pip install 'gocell[sweep]'")


@dataclass(frozen=True)
class Outcome:
    """A trial as it stands: `state` is complete, pruned, failed or running; `seeds` what each run of it measured.

    settings: those that are searched. why: of a failed one. number: None is the settings as they are, no trial.
    """

    number: int | None
    state: str
    settings: dict[str, Any]
    seeds: tuple[dict[str, Any], ...]
    why: str | None = None

    @property
    def loss(self) -> float:
        """The mean over its seeds of the validation loss by which a training chooses its epoch."""
        return float(np.mean([one["loss"] for one in self.seeds])) if self.seeds else float("nan")


class Trials:
    """A sweep's journal, opened by one of several processes."""

    def __init__(self, directory: Path, space: Sequence[Dimension], *, seed: int, prune: bool) -> None:
        self.directory, self.space, self.seed, self.prune = directory, space, seed, prune
        self.study = _opened(directory / STUDY, prune=prune)

    def next(self, most: int) -> "OpenTrial | None":
        """Take a trial: one that a killed process left, else a new one while there are fewer than `most`; else None."""
        from filelock import FileLock

        # of several processes one counts and asks at a time: there are never more trials than were asked for
        with FileLock(self.directory / ".ask"):
            for frozen in self._in_state("RUNNING"):
                store = self._held(frozen.number)
                if store is None:
                    continue  # another process trains it
                if any(one.number == frozen.number for one in self._in_state("RUNNING")):
                    return OpenTrial(self, self._again(frozen), store)
                self.leave(store)  # ended since it was asked
            number = len(self.study.get_trials(deepcopy=False))
            if number >= most:
                return None
            self._sample_by(number)
            trial = self.study.ask()
            store = self._held(trial.number)
            if store is None:
                raise UsageError(f"{self.place(trial.number)}: another process trains here", hint="wait for its end")
            return OpenTrial(self, trial, store)

    def outcomes(self) -> list[Outcome]:
        """Every trial that was begun, by number."""
        words = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}
        return [
            Outcome(
                one.number, words.get(one.state.name, "running"), dict(one.params),
                tuple(one.user_attrs.get(SEEDS, ())), one.user_attrs.get(WHY),
            )
            for one in self.study.get_trials(deepcopy=False)
        ]  # fmt: skip

    @property
    def base(self) -> Outcome:
        """What the settings as they are give, as far as it is measured."""
        return Outcome(None, "complete", {}, tuple(self.study.user_attrs.get(BASE, ())))

    def keep_base(self, seeds: Sequence[Mapping[str, Any]]) -> None:
        """Keep what the settings as they are give."""
        self.study.set_user_attr(BASE, [dict(one) for one in seeds])

    def hold_base(self) -> RunStore | None:
        """Hold the place of the settings as they are; None where another process does."""
        return self._held(None)

    def place(self, number: int | None) -> Path:
        """The folder of a trial's runs."""
        return self.directory / TRIALS / (BASE if number is None else str(number))

    def leave(self, store: RunStore) -> None:
        """Remove a trial's folder, whose runs are measured, and let go of it."""
        # while it is held: who opened its lock before finds that the trial has ended
        shutil.rmtree(store.directory, ignore_errors=True)
        store.release()

    def _held(self, number: int | None) -> RunStore | None:
        store = RunStore(self.place(number))
        store.directory.mkdir(parents=True, exist_ok=True)
        try:
            store.lock()
        except UsageError:
            return None
        return store

    def _in_state(self, state: str) -> "list[FrozenTrial]":
        return [one for one in self.study.get_trials(deepcopy=False) if one.state.name == state]

    def _again(self, frozen: "FrozenTrial") -> "Trial":
        from optuna.trial import Trial

        self._sample_by(frozen.number)
        return Trial(self.study, frozen._trial_id)

    def _sample_by(self, number: int) -> None:
        from optuna.samplers import TPESampler

        drawn = np.random.SeedSequence([self.seed, number]).generate_state(1)[0]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # before optuna 5 two of these are called experimental
            self.study.sampler = TPESampler(
                seed=int(drawn), n_startup_trials=WARM_UP, multivariate=True, constant_liar=True
            )


class OpenTrial:
    """A trial that this process trains, and holds against others."""

    def __init__(self, trials: Trials, trial: "Trial", store: RunStore) -> None:
        self.trials, self._trial, self.store = trials, trial, store
        self.number = int(trial.number)
        self.settings = {one.name: _suggested(trial, one) for one in trials.space}

    @property
    def seeds(self) -> list[dict[str, Any]]:
        """What its runs have measured so far, in the order of their seeds."""
        return list(self._trial.user_attrs.get(SEEDS, ()))

    def measured(self, one: Mapping[str, Any]) -> None:
        """Keep what another of its runs measured."""
        self._trial.set_user_attr(SEEDS, [*self.seeds, dict(one)])

    def is_hopeless(self) -> bool:
        """Whether the mean so far is worse than the median of other trials after as many seeds (with `prune`)."""
        if not self.trials.prune:
            return False
        found, step = self.seeds, len(self.seeds)
        if step not in self.trials.study.get_trials(deepcopy=False)[self.number].intermediate_values:
            self._trial.report(float(np.mean([one["loss"] for one in found])), step)
        return bool(self._trial.should_prune())

    def end(self, *, pruned: bool = False, failed: str | None = None) -> None:
        """Tell the study how it ended: its seeds' mean loss, or that it was given up, or why there is none."""
        from optuna.trial import TrialState

        if failed is not None:
            self._trial.set_user_attr(WHY, failed)
            self.trials.study.tell(self._trial, state=TrialState.FAIL)
        elif pruned:
            self.trials.study.tell(self._trial, state=TrialState.PRUNED)
        else:
            self.trials.study.tell(self._trial, float(np.mean([one["loss"] for one in self.seeds])))
        self.trials.leave(self.store)


def _suggested(trial: "Trial", one: Dimension) -> Any:
    if one.choices:
        return trial.suggest_categorical(one.name, one.choices)
    if one.whole:
        return trial.suggest_int(one.name, int(one.low), int(one.high), log=one.log)
    return trial.suggest_float(one.name, one.low, one.high, log=one.log)


class JournalLock:
    """The lock of optuna's journal, the kernel's, which ends with who holds it: optuna's own outlives a kill."""

    def __init__(self, path: Path) -> None:
        from filelock import FileLock

        self._lock = FileLock(path.with_name(path.name + ".lock"))

    def acquire(self) -> bool:
        """Wait for it, and hold it."""
        self._lock.acquire()
        return True

    def release(self) -> None:
        """Let others write."""
        self._lock.release()


def _opened(path: Path, *, prune: bool) -> "Study":
    """Return the study of a journal, which is begun where it is not there; raises DamagedCache for what is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what optuna calls experimental among its names
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        optuna.logging.set_verbosity(optuna.logging.ERROR)  # what is to be said is said by us
        lock = JournalLock(path)
        _drop_half_a_line(path, lock)
        pruner = optuna.pruners.MedianPruner(n_startup_trials=WARM_UP // 2) if prune else optuna.pruners.NopPruner()
        try:
            storage = JournalStorage(JournalFileBackend(str(path), lock_obj=lock))  # type: ignore[arg-type] # a base class of its own
            return optuna.create_study(
                storage=storage, study_name=NAME, direction="minimize", load_if_exists=True, pruner=pruner
            )
        except (ValueError, KeyError, TypeError, AssertionError) as error:
            raise DamagedCache(
                f"{path}: not a study's journal: {error}", hint="begin another sweep: gocell sweep --out DIR"
            ) from error


def _drop_half_a_line(path: Path, lock: JournalLock) -> None:
    """Cut off what a process wrote that was killed within a line: the next line would go on in it."""
    lock.acquire()
    try:
        data = path.read_bytes() if path.exists() else b""
        if data and not data.endswith(b"\n"):
            os.truncate(path, data.rfind(b"\n") + 1)
    finally:
        lock.release()
