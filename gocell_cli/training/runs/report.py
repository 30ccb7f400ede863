"""What is left of a run when it ends: TensorBoard events, and the results in its record."""

from collections.abc import Mapping
from typing import Any

from gocell_cli.training.extra import train_extra
from gocell_cli.training.runs.open_run import Evaluation
from gocell_cli.training.runs.store import RunStore
from gocell_cli.training.runs.trainer import Trainer

with train_extra():
    from torch.utils.tensorboard.writer import SummaryWriter


def write_report(trainer: Trainer, evaluations: Mapping[str, Evaluation]) -> None:
    """Write tensorboard/, and `results` into run.json."""
    _events(trainer.store, trainer.history)
    results = {part: e.as_json() for part, e in evaluations.items()}
    trainer.store.write_record({**trainer.store.record(), "results": results, "epochs": len(trainer.history)})


def named(prefix: str, values: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers among some values, their names with a prefix."""
    return {f"{prefix}_{key}": float(value) for key, value in values.items() if isinstance(value, int | float)}


def _events(store: RunStore, history: list[dict[str, Any]]) -> None:
    """Write one event a number and epoch, for `tensorboard --logdir RUN`."""
    with SummaryWriter(str(store.directory / "tensorboard")) as writer:
        for line in history:
            numbers = {**named("train", line["train"]), **named("validation", line["validation"])}
            for name, value in {**numbers, "learning_rate": line["learning_rate"]}.items():
                writer.add_scalar(name, value, line["epoch"])
