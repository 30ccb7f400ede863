"""A trained run, opened again: its cache, its split, its network with the best weights; and what it is worth."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from gocell_cli.errors import DamagedCache, UsageError
from gocell_cli.storage.reader import Cache
from gocell_cli.training.data.splits import PARTS
from gocell_cli.training.evaluation.baselines import Genotypes, baselines
from gocell_cli.training.runs.config import RunConfig, read_config
from gocell_cli.training.runs.store import CONFIG, RunStore
from gocell_cli.training.runs.trainer import Trainer
from gocell_cli.training.runs.wandb_log import require_wandb


def begin_run(store: RunStore, cache: Cache, config: RunConfig) -> Trainer:
    """Make a run's directory: its settings, its cache's fingerprint, the split and what leaks across it."""
    if store.exists():
        raise UsageError(f"{store.directory}: a run is here already", hint="--resume goes on with it; or another --out")
    require_wandb(config)
    trainer = Trainer(cache, config, store)
    trainer.processes.barrier()  # each has seen that the place is free
    store.writable = trainer.processes.first
    store.write_text(CONFIG, config.to_toml())
    store.write_record(
        {
            "cache": os.path.abspath(cache.directory),  # noqa: PTH100 resolve() would follow links
            "fingerprint": cache.manifest.fingerprint,
            "phenotype": dict(cache.manifest.phenotype),
            "datasets": list(cache.manifest.datasets),
            "split": trainer.split.report(),
            "nan_labels": trainer.nan_labels,
            "label": {"mean": trainer.scale.mean, "sd": trainer.scale.sd, "logits": trainer.scale.logits},
            "parameters": trainer.model.parameter_count(),
        }
    )
    return trainer


def reopen(store: RunStore, cache: Path | None = None) -> Trainer:
    """Open a run's cache and network as they were; raises DamagedCache where the cache is another one now."""
    record = store.record()
    opened = Cache(cache or Path(record["cache"]))
    if opened.manifest.fingerprint != record["fingerprint"]:
        raise DamagedCache(
            f"{opened.directory}: not the cache this run was trained on",
            why=f"its fingerprint is {opened.manifest.fingerprint[:8]}, the run's {record['fingerprint'][:8]}",
            hint="pass the right one: --cache DIR",
        )
    trainer = Trainer(opened, read_config(store.directory / CONFIG), store)
    store.writable = trainer.processes.first
    return trainer


def load_best(trainer: Trainer) -> dict[str, Any]:
    """Put the best weights into a trainer's network, in evaluation mode; returns the checkpoint's state."""
    tensors, state = trainer.store.load("best")
    trainer.model.load_state_dict(tensors)
    trainer.model.eval()
    return state


@dataclass(frozen=True)
class Evaluation:
    """Metrics of one part of a split, the baselines' beside them, and the ceiling that noise sets (simulated only)."""

    split: str
    n: int
    metrics: dict[str, Any]
    baselines: dict[str, dict[str, Any]]
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
            "ceiling": self.ceiling,
        }


def evaluate_run(trainer: Trainer, part: str) -> Evaluation:
    """Predict a part of the split, and fit every baseline on the same training and validation samples."""
    if part not in PARTS:
        raise UsageError(f"no part {part!r}", hint=f"--split {'|'.join(PARTS)}")
    rows = trainer.split.rows(part)
    true = trainer.values[rows]
    fitted = baselines(*(_genotypes(trainer, r) for r in (trainer.train_rows, trainer.split.validation, rows)))
    predicted, metrics = trainer.measuring.measure(rows)
    measured = {name: trainer.measuring.metrics(values, true) for name, values in fitted.items()}
    simulated = trainer.rows.cache.manifest.counts.get("simulated", {})
    return Evaluation(part, len(rows), metrics, measured, simulated.get("ceiling"), predicted, true)


def _genotypes(trainer: Trainer, rows: Int64[np.ndarray, " rows"]) -> Genotypes:
    chosen = trainer.rows.cache.rows(rows)
    return Genotypes(chosen.gene_ptr, chosen.genes, chosen.value, len(trainer.hierarchy.gene_names))
