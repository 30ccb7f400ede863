"""Where else a run's numbers go: TensorBoard's events, and Weights & Biases for those who use it.

Nothing is sent unless `wandb` names a project; WANDB_MODE=offline keeps it on this machine, under the run's directory.
"""

import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gocell_cli.errors import ExtraMissing, SourceMissing, UsageError
from gocell_cli.series_record import is_series
from gocell_cli.training.extra import train_extra
from gocell_cli.training.runs.config import RunConfig
from gocell_cli.training.runs.store import RunStore

LOGINS = ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE")
ONLINE = ("online", "run")
"""Values of WANDB_MODE with which wandb wants a login."""
LOGIN_HINT = "wandb login, or export WANDB_API_KEY=..., or export WANDB_MODE=offline"


def write_events(store: RunStore, history: Sequence[Mapping[str, Any]]) -> None:
    """Write tensorboard/: one event a number and epoch, for `tensorboard --logdir RUN`."""
    with train_extra():  # here, for it takes half a second that a refused run need not wait
        from torch.utils.tensorboard.writer import SummaryWriter

    for earlier in (store.directory / "tensorboard").glob("events*"):
        earlier.unlink()  # of before the run went on: TensorBoard would draw each epoch twice
    with SummaryWriter(str(store.directory / "tensorboard")) as writer:
        for line in history:
            numbers = {**_named("train", line["train"]), **_named("validation", line["validation"])}
            for name, value in {**numbers, "learning_rate": line["learning_rate"]}.items():
                writer.add_scalar(name, value, line["epoch"])


def _named(prefix: str, values: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers among some values, their names with a prefix."""
    return {f"{prefix}_{key}": float(value) for key, value in values.items() if isinstance(value, int | float)}


def numbers(line: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of a line of metrics.jsonl, or of results by part, named part/name."""
    found = {}
    for name, value in line.items():
        inner = numbers(value) if isinstance(value, Mapping) else {}
        found.update({f"{name}/{key}": number for key, number in inner.items()})
        if isinstance(value, int | float) and not isinstance(value, bool):
            found[name] = float(value)
    return found


def require_wandb(config: RunConfig) -> None:
    """Raise ExtraMissing where a run is to be logged and wandb is not installed, UsageError where nobody is logged in.

    Without loading wandb, which takes seconds.
    """
    if not config.wandb:
        return
    if find_spec("wandb") is None:
        raise ExtraMissing(
            "wandb is not installed, and this run is to be logged there", hint="pip install 'gocell[wandb]'"
        )
    if not _may_log():
        raise UsageError("wandb knows no login here, and this run is to be logged there", hint=LOGIN_HINT)


def _may_log() -> bool:
    """Whether wandb stays offline, finds a login (a variable, netrc, a settings file of its own) or may ask for one."""
    given = any(os.environ.get(name) for name in LOGINS) or os.environ.get("WANDB_MODE", "online") not in ONLINE
    home = os.path.expanduser("~")  # noqa: PTH111 Path.home() raises where there is none
    netrc = [Path(os.environ["NETRC"])] if "NETRC" in os.environ else [Path(home, ".netrc"), Path(home, "_netrc")]
    settings = Path(os.environ.get("WANDB_CONFIG_DIR") or Path(home, ".config", "wandb"), "settings")
    return given or sys.stdin.isatty() or any(path.exists() for path in (*netrc, settings))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _then(directory: Path) -> str:
    return f"then: gocell train --resume --out {directory}"


class WandbLog:
    """One run there; `epoch` takes a line of metrics.jsonl, `results` what the run's record ends with."""

    def __init__(self, config: RunConfig, directory: Path) -> None:
        with warnings.catch_warnings():  # pydantic's, of how wandb spells its own fields
            warnings.simplefilter("ignore")
            import wandb

        # the directory's name is the id, too: a resumed run goes on in its own log
        name = f"{directory.parent.name}-{directory.name}" if is_series(directory.parent) else directory.name
        try:
            self._run = wandb.init(
                project=config.wandb, name=name, dir=str(directory), config=asdict(config), resume="allow", id=name
            )
        except wandb.errors.UsageError as error:  # a key that is none, a project's name that cannot be
            raise UsageError(f"wandb: {_one_line(error)}", hint=f"{LOGIN_HINT}; {_then(directory)}") from error
        except wandb.errors.Error as error:
            hint = f"export WANDB_MODE=offline; {_then(directory)}"
            raise SourceMissing(f"wandb does not answer: {_one_line(error)}", hint=hint) from error

    def epoch(self, line: Mapping[str, Any]) -> None:
        """Log an epoch."""
        self._run.log(numbers(line), step=int(line["epoch"]))

    def results(self, results: Mapping[str, Any]) -> None:
        """Write the results of every part into the run's summary."""
        self._run.summary.update(numbers(results))

    def close(self) -> None:
        """Send or keep what is left."""
        self._run.finish()


@contextmanager
def wandb_log(config: RunConfig, directory: Path) -> Iterator[WandbLog | None]:
    """Yield a log where the run names a project, else None; it is closed whatever happens."""
    if not config.wandb:
        yield None
        return
    require_wandb(config)
    log = WandbLog(config, directory)
    try:
        yield log
    finally:
        log.close()
