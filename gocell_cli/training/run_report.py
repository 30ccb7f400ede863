"""What is left of a run when it ends: figures, TensorBoard events, and the results in its record."""

from collections.abc import Mapping
from typing import Any

from gocell_cli.training import figures
from gocell_cli.training.extra import train_extra
from gocell_cli.training.open_run import Evaluation
from gocell_cli.training.run_store import RunStore
from gocell_cli.training.trainer import Trainer

with train_extra():
    from torch.utils.tensorboard.writer import SummaryWriter


def write_report(trainer: Trainer, evaluations: Mapping[str, Evaluation]) -> None:
    """Write figures/*.png, tensorboard/, and `results` into run.json."""
    store, test = trainer.store, evaluations["test"]
    store.figures.mkdir(parents=True, exist_ok=True)
    curves = [{**_named("train", e["train"]), **_named("validation", e["validation"])} for e in trainer.history]
    figures.loss_curves(curves, store.figures / "loss.png")
    figures.learning_rate(trainer.history, store.figures / "learning_rate.png")
    pearson = test.metrics["pearson"]
    figures.predicted_against_true(test.predicted, test.true, pearson, store.figures / "predicted_against_true.png")
    figures.distributions(test.predicted, test.true, store.figures / "distributions.png")
    errors = {part: e.metrics["rmse"] for part, e in evaluations.items() if e.metrics["rmse"] is not None}
    figures.error_per_split(errors, store.figures / "error_per_split.png")
    _events(store, trainer.history)
    results = {part: e.as_json() for part, e in evaluations.items()}
    store.write_record({**store.record(), "results": results, "epochs": len(trainer.history)})


def _named(prefix: str, values: Mapping[str, Any]) -> dict[str, float]:
    return {f"{prefix}_{key}": float(value) for key, value in values.items() if isinstance(value, int | float)}


def _events(store: RunStore, history: list[dict[str, Any]]) -> None:
    """Write one event a number and epoch, for `tensorboard --logdir RUN`."""
    with SummaryWriter(str(store.directory / "tensorboard")) as writer:
        for line in history:
            numbers = {**_named("train", line["train"]), **_named("validation", line["validation"])}
            for name, value in {**numbers, "learning_rate": line["learning_rate"]}.items():
                writer.add_scalar(name, value, line["epoch"])
