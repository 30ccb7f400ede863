"""What a run is worth: its network and the baselines beside it, on each part of its split."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from gocell_cli.training.data.splits.kinds import PARTS, require_part
from gocell_cli.training.evaluation.baselines.fitting import Baselines, Fitting
from gocell_cli.training.evaluation.baselines.samples import Genotypes, Known, genotypes_of, labelled
from gocell_cli.training.runs.trainer import Trainer


@dataclass(frozen=True)
class Evaluation:
    """Metrics of one part of a split, the baselines' beside them, and the ceiling that noise sets (simulated only).

    `fitting` says of each baseline what it cost and which settings it took, or why there is none.
    """

    split: str
    n: int
    metrics: dict[str, Any]
    baselines: dict[str, dict[str, Any]]
    fitting: dict[str, Fitting]
    ceiling: float | None
    predicted: Float64[np.ndarray, " n"]
    true: Float64[np.ndarray, " n"]

    def as_json(self) -> dict[str, Any]:
        """Everything but the arrays."""
        return {
            "split": self.split,
            "n": self.n,
            "metrics": self.metrics,
            "baselines": self.baselines,
            "fitting": {name: asdict(fitting) for name, fitting in self.fitting.items()},
            "ceiling": self.ceiling,
        }


def evaluate_run(trainer: Trainer, part: str, wanted: str | None = None) -> Evaluation:
    """Predict a part of the split, beside the baselines that are `wanted` (default: those of the run's settings)."""
    require_part(part)
    return evaluate_parts(trainer, (part,), wanted)[part]


def evaluate_parts(trainer: Trainer, parts: Sequence[str] = PARTS, wanted: str | None = None) -> dict[str, Evaluation]:
    """Evaluate parts of the split; each baseline is fitted once, by the first process."""
    measured = {part: trainer.measuring.measure(trainer.split.rows(part)) for part in parts}
    # of several processes only the first one's results are read
    asked = (wanted or trainer.config.baselines) if trainer.processes.first else "none"
    fitted = Baselines(known_of(trainer), asked, trainer.config.epochs)
    found = {}
    for part, (predicted, metrics) in measured.items():
        rows = trainer.split.rows(part)
        true = trainer.values[rows]
        others = fitted.predict(_genotypes(trainer, rows))
        baselines = {name: trainer.measuring.metrics(values, true) for name, values in others.items()}
        simulated = trainer.rows.cache.manifest.counts.get("simulated", {})
        found[part] = Evaluation(
            part, len(rows), metrics, baselines, fitted.fittings, simulated.get("ceiling"), predicted, true
        )
    return found


def known_of(trainer: Trainer) -> Known:
    """What a baseline may see of a run: the labels of its training and validation parts."""
    train, validation = (
        labelled(_genotypes(trainer, rows), trainer.values[rows])
        for rows in (trainer.train_rows, trainer.split.validation)
    )
    return Known(train, validation, trainer.hierarchy, trainer.scale.logits, trainer.config.seed)


def _genotypes(trainer: Trainer, rows: Int64[np.ndarray, " rows"]) -> Genotypes:
    cache = trainer.rows.cache
    return genotypes_of(cache.rows(rows), cache.provenance, trainer.hierarchy)
