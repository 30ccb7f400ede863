"""A run from cache to checkpoint: it learns, stops and goes on to the bit, and refuses what it can't do."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gocell_cli.errors import DamagedCache, SourceMissing, UsageError
from gocell_cli.storage.reader import Cache
from gocell_cli.training.runs.clock import Progress
from gocell_cli.training.runs.config import RunConfig
from gocell_cli.training.runs.open_run import begin_run, evaluate_run, load_best, reopen
from gocell_cli.training.runs.report import write_report
from gocell_cli.training.runs.store import RunStore
from gocell_cli.training.runs.trainer import Stopped, Trainer

TINY = RunConfig(
    epochs=2, batch_size=512, min_width=2, ratio=0.0, population_samples=512, gene_weights="shared", lr=0.01
)


def fitted(store: RunStore, cache: Path, config: RunConfig) -> Trainer:
    trainer = begin_run(store, Cache(cache), config)
    trainer.fit(lambda _: None)
    return trainer


def weights(store: RunStore, name: str) -> dict[str, torch.Tensor]:
    return store.load(name)[0]


@pytest.mark.parametrize("scheduler", ["cosine", "plateau"])
def test_a_run_stopped_within_an_epoch_goes_on_to_the_same_bits(
    essentiality_cache: Path, tmp_path: Path, scheduler: str
) -> None:
    config = replace(TINY, scheduler=scheduler)
    whole, stopped = RunStore(tmp_path / "whole"), RunStore(tmp_path / "stopped")
    fitted(whole, essentiality_cache, config)
    steps = [0]

    def count(_: Progress) -> None:
        steps[0] += 1

    for limit in (3, 5, 99):
        trainer = reopen(stopped) if stopped.exists() else begin_run(stopped, Cache(essentiality_cache), config)
        if limit > 3:
            trainer.resume()
        steps[0] = 0
        trainer.stop_at = lambda limit=limit: steps[0] >= limit
        if limit < 99:
            with pytest.raises(Stopped):
                trainer.fit(count)
        else:
            trainer.fit(count)
    for name in ("last", "best"):
        one, other = weights(whole, name), weights(stopped, name)
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one), name
    lines = [
        [json.loads(line) for line in (s.directory / "metrics.jsonl").read_text().splitlines()]
        for s in (whole, stopped)
    ]
    for mine, theirs in zip(*lines, strict=True):
        assert {k: v for k, v in mine.items() if k != "seconds"} == {k: v for k, v in theirs.items() if k != "seconds"}


def test_a_run_leaves_what_it_promises_and_can_be_evaluated(essentiality_cache: Path, tmp_path: Path) -> None:
    store = RunStore(tmp_path / "run")
    trainer = fitted(store, essentiality_cache, TINY)
    load_best(trainer)
    write_report(trainer, {part: evaluate_run(trainer, part) for part in ("train", "validation", "test")})
    for name in ("config.toml", "run.json", "metrics.jsonl", "best.safetensors", "last.safetensors"):
        assert (store.directory / name).stat().st_size
    assert list((store.directory / "tensorboard").glob("events*"))
    again = reopen(store)
    load_best(again)
    evaluation = evaluate_run(again, "test")
    record = store.record()
    assert evaluation.as_json() == record["results"]["test"]
    assert evaluation.n == record["split"]["test"] == 589
    assert record["split"]["test_with_new_gene"] == 589, "essentiality deletes every gene once"
    assert evaluation.metrics["auroc"] is not None
    assert {"loss", "loss_root", "loss_auxiliary", "loss_weights"} < evaluation.metrics.keys()
    assert 0 <= evaluation.predicted.min() <= evaluation.predicted.max() <= 1
    first, last = trainer.history[0], trainer.history[-1]
    assert last["train"]["loss_root"] < first["train"]["loss_root"]
    assert last["learning_rate"] < first["learning_rate"], "the scheduler really steps"
    assert set(first["seconds"]) == {"load", "model", "optimiser", "metrics"}


def test_patience_ends_a_run_early(essentiality_cache: Path, tmp_path: Path) -> None:
    config = replace(TINY, epochs=30, patience=1, lr=3.0, clip=0.0, scheduler="constant")
    trainer = fitted(RunStore(tmp_path / "run"), essentiality_cache, config)
    assert len(trainer.history) < 30


def test_population_statistics_of_the_best_weights_are_the_training_splits(
    essentiality_cache: Path, tmp_path: Path
) -> None:
    store = RunStore(tmp_path / "run")
    trainer = fitted(store, essentiality_cache, replace(TINY, epochs=1))
    load_best(trainer)
    variances = trainer.model.get_buffer("running_var")[trainer.model.index["real"]]
    deleted = np.unique(trainer.rows.cache.rows(trainer.train_rows).genes)
    untouched = trainer.model.index.untouched(torch.from_numpy(deleted.astype(np.int64)))
    of_terms = untouched[trainer.model.index["term_of_neuron"]][trainer.model.index["real"]]
    assert torch.equal(variances.isinf(), of_terms)


def test_runs_that_can_not_be_opened_are_errors(essentiality_cache: Path, toy_cache: Path, tmp_path: Path) -> None:
    store = RunStore(tmp_path / "run")
    with pytest.raises(SourceMissing, match="no run is here"):
        reopen(store)
    fitted(store, essentiality_cache, replace(TINY, epochs=1))
    with pytest.raises(UsageError, match="a run is here already"):
        begin_run(store, Cache(essentiality_cache), TINY)
    with pytest.raises(DamagedCache, match="not the cache this run was trained on"):
        reopen(store, toy_cache)


def test_a_cache_too_small_to_split_is_an_error(toy_cache: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="leaves a part empty"):
        begin_run(RunStore(tmp_path / "run"), Cache(toy_cache), TINY)
