"""What may change where a run goes on: when it ends, and nothing else.

Neither the number of epochs nor patience has a part in what an epoch computes, so a run that goes on is the run that
had these settings from its start; but for the cosine schedule, which is drawn over all epochs. No torch is needed.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from gocell_cli.errors import UsageError
from gocell_cli.run_record import Numbers, read_metrics
from gocell_cli.training.runs.config import RunConfig

ENDS = ("epochs", "patience")


def require_same_settings(directory: Path, config: RunConfig, asked: RunConfig, ends: Sequence[str] = ENDS) -> None:
    """Raise UsageError where what is asked for is not what a run, or a series, has; `ends` may differ."""
    wanted = asdict(asked)
    for name, value in asdict(config).items():
        if wanted[name] != value and name not in ends:
            may = f", but for {' and '.join(ends)}" if ends else ""
            raise UsageError(
                f"{directory}: its {name} is {value!r}, and {wanted[name]!r} is asked for",
                why=f"--resume goes on with the settings that are there{may}",
                hint=f"leave {name} out; or train anew: another --out",
            )


def require_more(directory: Path, config: RunConfig, asked: RunConfig) -> None:
    """Raise UsageError where a run has gone beyond the end that is asked for, or would not go beyond where it is."""
    if config == asked:
        return
    history = read_metrics(directory)
    if len(history) > asked.epochs:
        raise UsageError(
            f"{directory}: {len(history)} epochs are trained, and {asked.epochs} are asked for",
            hint=f"--epochs {len(history)} or more; or train anew: another --out",
        )
    ended = ended_after([deciding_loss(line.train, line.validation) for line in history], asked.patience)
    if ended is not None:
        raise UsageError(
            f"{directory}: a patience of {asked.patience} ends this run after epoch {ended}, whatever its epochs are",
            hint="--set patience=0 (or more of it) goes on",
        )


def deciding_loss(train: Numbers, validation: Numbers) -> float:
    """The loss that decides which epoch is the best: the root's, of the validation part where that has labels."""
    found = validation["loss_root"] if validation["loss_root"] is not None else train["loss_root"]
    return math.nan if found is None else float(found)


def ended_after(losses: Sequence[float], patience: int) -> int | None:
    """Return the number of epochs after which patience ends a training of these losses, None where it does not."""
    best, waited = math.inf, 0
    for number, loss in enumerate(losses, 1):
        waited = 0 if loss < best else waited + 1
        best = min(best, loss)
        if patience and waited >= patience:
            return number
    return None


def cosine_rate(config: RunConfig, epoch: int) -> float:
    """Return the rate of an epoch, counted from 0 (Loshchilov and Hutter 2017, arXiv:1608.03983, equation 5)."""
    return config.min_lr + (config.lr - config.min_lr) * (1 + math.cos(math.pi * epoch / config.epochs)) / 2
