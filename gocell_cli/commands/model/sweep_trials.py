"""The runs of a sweep: the settings as they are, then trial by trial, each with its seeds; no test part is measured."""

import gc
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gocell_cli.commands.model.one_run import open_member
from gocell_cli.commands.shell.progress import Signals
from gocell_cli.errors import Diverged, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from gocell_cli.storage.reader import Cache
    from gocell_cli.training.runs.config import RunConfig
    from gocell_cli.training.runs.sweep.study import OpenTrial, Trials

Tell = Callable[[int | None], None]


class Conduct:
    """Trains what a sweep asks for, in this process; `tell` hears of each trial that ended, None as they are."""

    def __init__(
        self, trials: "Trials", cache: "Cache", base: "RunConfig", seeds: int, metric: str, baselines: str, tell: Tell
    ) -> None:
        self.trials, self.cache, self.base, self.seeds = trials, cache, base, seeds
        self.metric, self.baselines, self.tell = metric, baselines, tell
        self._signals = Signals()

    def until(self, most: int) -> None:
        """Train until there are so many trials; raises SystemExit, 128 + its number, for a signal that stops it."""
        with self._signals.caught():
            self._as_they_are()
            while (trial := self.trials.next(most)) is not None:
                try:
                    self._trial(trial)
                finally:
                    trial.store.release()
                self.tell(trial.number)

    def _as_they_are(self) -> None:
        """Measure the settings under those that are searched, and baselines, unless another process does."""
        store = self.trials.hold_base()
        if store is None:
            return
        try:
            while len(found := list(self.trials.base.seeds)) < self.seeds:
                self.trials.keep_base([*found, self._run(store.directory, {}, len(found), self.baselines)])
            self.trials.leave(store)
        finally:
            store.release()
        self.tell(None)

    def _trial(self, trial: "OpenTrial") -> None:
        from gocell_cli.training.runs.sweep.plan import member_config

        try:
            member_config(self.base, trial.settings, 0)
        except UsageError as error:  # settings that exclude each other
            trial.end(failed=error.message)
            return
        while len(trial.seeds) < self.seeds:
            try:
                found = self._run(trial.store.directory, trial.settings, len(trial.seeds))
            except Diverged as error:
                trial.end(failed=error.message)
                return
            trial.measured(found)
            if len(trial.seeds) < self.seeds and trial.is_hopeless():
                trial.end(pruned=True)
                return
        trial.end()

    def _run(self, folder: "Path", settings: dict[str, Any], number: int, baselines: str = "none") -> dict[str, Any]:
        """Train one run to its end, or what is left of it, and return what it reached on its validation part."""
        from gocell_cli.training.runs.sweep.plan import measured, member_config
        from gocell_cli.training.runs.trainer import Stopped

        gc.collect()  # the run before, which is a circle of objects: the app lets Python look for those very seldom
        config = member_config(self.base, settings, number)
        trainer = open_member(folder / f"seed-{config.seed}", self.cache, config)
        trainer.stop_at, trainer.save_at = self._signals.stop, self._signals.save
        try:
            trainer.fit(lambda _: None)
            found = measured(trainer.history, self.metric, config.seed)
            if baselines != "none":
                found["baselines"] = _baselines(trainer, baselines, self.metric)
        except Stopped:
            sys.exit(128 + (self._signals.stopped_by or 0))
        finally:
            trainer.store.release()
        return found


def _baselines(trainer: Any, wanted: str, metric: str) -> dict[str, float | None]:
    """What each baseline reaches on the validation part, by which those that have settings chose them."""
    from gocell_cli.training.runs.evaluating import evaluate_run

    found = evaluate_run(trainer, "validation", wanted)
    return {name: metrics.get(metric) for name, metrics in found.baselines.items()}
