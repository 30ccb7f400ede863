"""A run from cache to checkpoint: it learns, stops and goes on to the bit, and refuses what it can't do."""

import json
import resource
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gocell_cli.errors import DamagedCache, Diverged, SourceMissing, Unfinished, UsageError
from gocell_cli.storage import reader
from gocell_cli.storage.reader import Cache
from gocell_cli.storage.schema import Samples, ShardBackend
from gocell_cli.training.data.gene_vectors import GeneVectors
from gocell_cli.training.inference.predict import statistics, use_population
from gocell_cli.training.network.term_weights import TermWeights
from gocell_cli.training.runs.config import NARROW, RunConfig, run_config
from gocell_cli.training.runs.evaluating import evaluate_run, finish_run
from gocell_cli.training.runs.run import begin_run, load_best, open_predictor, predictor_of, reopen, resume_run
from gocell_cli.training.runs.samples import RunSamples
from gocell_cli.training.runs.store import RunStore
from gocell_cli.training.runs.trainer import Progress, Stopped, Trainer

TINY = RunConfig(
    epochs=2, batch_size=32, min_width=2, ratio=0.0, population_samples=50, lr=0.01, init_range=0.5,
    scheduler="cosine", norm_order="bn-tanh", gene_weights="own", own_decay=0.0,
)  # fmt: skip


def begun(directory: Path, cache: Path, config: RunConfig = TINY) -> Trainer:
    return begin_run(lambda: RunStore.reserve(directory), Cache(cache), config)


def fitted(directory: Path, cache: Path, config: RunConfig = TINY) -> Trainer:
    trainer = begun(directory, cache, config)
    trainer.fit(lambda _: None)
    return trainer


def history(directory: Path) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in (directory / "metrics.jsonl").read_text("utf-8").splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


@pytest.mark.parametrize("form", ["dense", "delta"])
@pytest.mark.parametrize("gene_weights", ["deviation", "direction"])
def test_columns_of_genes_that_are_never_deleted_stay_zero(
    small_cache: Path, tmp_path: Path, form: str, gene_weights: str
) -> None:
    """In the order whose wild type has a gradient; a column of a gene that is deleted leaves its zero."""
    changes = {"form": form, "gene_weights": gene_weights, "norm_order": "tanh-bn", "own_decay": 0.1}
    trainer = fitted(tmp_path / "run", small_cache, replace(TINY, **changes))
    weights, hierarchy = TermWeights(trainer.model, trainer.hierarchy), trainer.hierarchy
    state, genes = weights.split(trainer.model.state_dict()), {True: 0.0, False: 0.0}
    for term, name in enumerate(hierarchy.term_ids):
        own = hierarchy.row_gene[hierarchy.row_term == term]
        columns = state[f"{name}.linear.weight"][:, -len(own) :] if len(own) else torch.zeros(1, 0)
        for gene, column in zip(own.tolist(), columns.T, strict=True):
            known = bool(trainer.trained_genes[gene])
            genes[known] = max(genes[known], float(column.abs().max()))
    assert 0 < trainer.trained_genes.sum() < len(hierarchy.gene_names)
    assert genes[False] == 0.0
    assert (genes[True] > 0) == (gene_weights == "deviation")
    assert trainer.model.gene_direction is not None
    assert trainer.model.gene_direction.abs().max() > 0


@pytest.mark.parametrize("scheduler", ["cosine", "plateau"])
def test_a_run_stopped_within_an_epoch_goes_on_to_the_same_bits(
    small_cache: Path, tmp_path: Path, scheduler: str
) -> None:
    config = replace(TINY, scheduler=scheduler, gene_weights="deviation", own_decay=0.5, term_dropout=0.3)
    config = replace(config, **{"products" if scheduler == "plateau" else "learnt_vectors": 2})
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    fitted(whole, small_cache, config)
    steps = [0]

    def count(_: Progress) -> None:
        steps[0] += 1

    for limit in (2, 3, 99):
        trainer = resume_run(stopped) if stopped.exists() else begun(stopped, small_cache, config)
        steps[0] = 0
        trainer.stop_at = lambda limit=limit: steps[0] >= limit
        if limit < 99:
            with pytest.raises(Stopped):
                trainer.fit(count)
        else:
            trainer.fit(count)
        trainer.store.release()
    for name in ("last", "best"):
        one, other = RunStore(whole).load(name)[0], RunStore(stopped).load(name)[0]
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one), name
    assert history(whole) == history(stopped)


def test_a_run_leaves_what_it_promises_and_can_be_evaluated(small_cache: Path, tmp_path: Path) -> None:
    trainer = fitted(tmp_path / "run", small_cache, replace(TINY, epochs=3))
    finish_run(trainer)
    store = RunStore(tmp_path / "run")
    for name in ("config.toml", "run.json", "metrics.jsonl", "best.safetensors", "last.safetensors"):
        assert (store.directory / name).stat().st_size
    assert list((store.directory / "tensorboard").glob("events*"))
    again = reopen(store)
    load_best(again)
    evaluation = evaluate_run(again, "test")
    record = store.record()
    apart = {"fitting": None}  # seconds
    assert {**evaluation.as_json(), **apart} == {**record.as_json()["results"]["test"], **apart}
    assert evaluation.n == record.split.test == 12
    assert {"loss", "loss_root", "loss_auxiliary", "loss_weights"} < evaluation.metrics.keys()
    first, last = trainer.history[0], trainer.history[-1]
    assert last["train"]["loss_root"] < first["train"]["loss_root"]
    assert last["learning_rate"] < first["learning_rate"], "the scheduler really steps"
    assert 0 < first["train"]["gradient_norm"] <= first["train"]["gradient_norm_largest"]
    weighted = first["train"]["loss_root"] + first["train"]["loss_auxiliary_weighted"]
    assert weighted == pytest.approx(first["train"]["loss"], rel=1e-6)
    assert first["validation"]["loss_auxiliary_weighted"] == 0.3 * first["validation"]["loss_auxiliary"]
    assert set(first["seconds"]) == {"load", "model", "optimiser", "metrics"}


def test_a_root_that_says_the_same_of_every_sample_is_told(small_cache: Path, tmp_path: Path) -> None:
    """A rate at which nothing moves leaves the first weights; one that learns is not told."""
    still = fitted(tmp_path / "still", small_cache, replace(TINY, lr=1e-9, init_range=1e-6))
    found = still.constant_root()
    assert set(found) == {"train", "validation"}
    assert RunStore(tmp_path / "still").record().constant_root == found
    predicted = still.measuring.predict(still.split.validation)
    assert predicted.std() < 1e-3 * still.values[still.split.validation].std()
    learns = fitted(tmp_path / "learns", small_cache, replace(TINY, epochs=8))
    assert learns.constant_root() == {}
    assert RunStore(tmp_path / "learns").record().constant_root is None
    best = min(learns.history, key=lambda line: line["validation"]["loss_root"])
    predicted, true = learns.measuring.predict(learns.split.validation), learns.values[learns.split.validation]
    assert best["validation"]["sd_ratio"] == pytest.approx(predicted.std() / true.std(), rel=0.2)


def test_a_width_left_open_is_resolved_and_recorded(small_cache: Path, tmp_path: Path) -> None:
    trainer = begun(tmp_path / "run", small_cache, replace(TINY, min_width=0))
    assert trainer.model.config.min_width == trainer.config.min_width == NARROW
    assert run_config(tmp_path / "run").min_width == NARROW


def test_a_network_with_gene_vectors_goes_on_and_predicts_with_what_it_keeps(small_cache: Path, tmp_path: Path) -> None:
    config = replace(TINY, gene_weights="deviation", wide="none", neighbours="none")
    cache = Cache(small_cache)
    genes = len(cache.hierarchy.gene_names)
    values = np.random.default_rng(0).normal(size=(genes, 2))
    vectors = GeneVectors(values, ("a", "b"), np.zeros(genes, dtype=bool))

    def begin(directory: Path) -> Trainer:
        samples = RunSamples.of(cache, config, vectors=vectors)
        return begin_run(lambda: RunStore.reserve(directory), cache, config, samples)

    whole = begin(tmp_path / "whole")
    whole.fit(lambda _: None)
    assert whole.model.vectors is not None
    assert whole.model.vectors.weight.abs().max() > 0
    stopped = begin(tmp_path / "stopped")
    stopped.stop_at = lambda: True
    with pytest.raises(Stopped):
        stopped.fit(lambda _: None)
    stopped.store.release()
    again = resume_run(tmp_path / "stopped")
    again.fit(lambda _: None)
    one, other = (RunStore(tmp_path / name).load("best")[0] for name in ("whole", "stopped"))
    assert one.keys() == other.keys() >= {"vectors.weight", "vectors.genes"}
    assert all(torch.equal(one[key], other[key]) for key in one)
    load_best(whole)
    (tmp_path / "whole" / "gene_vectors.parquet").unlink()
    found = open_predictor(tmp_path / "whole").phenotypes([(0,), (1, 2), (4,)])
    wanted = predictor_of(whole).phenotypes([(0,), (1, 2), (4,)])
    assert np.array_equal(found, wanted)


def test_patience_ends_a_run_early(small_cache: Path, tmp_path: Path) -> None:
    config = replace(TINY, epochs=60, patience=1, lr=3.0, clip=0.0, scheduler="constant")
    assert len(fitted(tmp_path / "run", small_cache, config).history) < 60


def test_the_best_weights_are_normalised_by_the_whole_training_split(small_cache: Path, tmp_path: Path) -> None:
    """Between epochs by `population_samples` of it, in training by running statistics: neither is what is kept."""
    trainer = fitted(tmp_path / "run", small_cache)
    state = load_best(trainer)
    kept = statistics(trainer.model)
    use_population(trainer.model, trainer.rows, trainer.train_rows)
    assert all(torch.equal(kept[name], tensor) for name, tensor in statistics(trainer.model).items())
    use_population(trainer.model, trainer.rows, trainer.train_rows[:20])
    assert not all(torch.equal(kept[name], tensor) for name, tensor in statistics(trainer.model).items())
    assert state["statistics"] == "population of the training split"


@pytest.mark.parametrize("epochs", [1, 3])
def test_a_training_reads_each_shard_once(
    small_cache: Path, tmp_path: Path, epochs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: Counter[str] = Counter()

    class Counting:
        """The real backend, with a tally."""

        def __init__(self, backend: ShardBackend) -> None:
            self.backend = backend

        def read(self, path: str) -> Samples:
            reads[path] += 1
            return self.backend.read(path)

    backends = {name: Counting(backend) for name, backend in reader.SHARD_BACKENDS.items()}
    monkeypatch.setattr(reader, "SHARD_BACKENDS", backends)
    finish_run(fitted(tmp_path / "run", small_cache, replace(TINY, epochs=epochs)))
    assert sorted(reads.values()) == [1, 1, 1, 1]


def test_runs_that_can_not_be_opened_are_errors(small_cache: Path, toy_cache: Path, tmp_path: Path) -> None:
    store = RunStore(tmp_path / "run")
    with pytest.raises(SourceMissing, match="no run is here"):
        reopen(store)
    trainer = begun(store.directory, small_cache)
    with pytest.raises(UsageError, match="another process is training here"):
        begun(store.directory, small_cache)
    trainer.store.release()
    with pytest.raises(UsageError, match="a run is here already"):
        begun(store.directory, small_cache)
    with pytest.raises(DamagedCache, match="not the cache this run was trained on"):
        reopen(store, toy_cache)


def test_what_fails_before_it_began_leaves_no_directory(toy_cache: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="leaves a part empty"):
        begun(tmp_path / "run", toy_cache)
    assert not (tmp_path / "run").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("precious")
    with pytest.raises(UsageError, match="leaves a part empty"):
        begun(tmp_path / "mine", toy_cache)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"lr": 1e20}, "lr is 1e\\+20"),
        ({"lr": 1e20, "clip": 0.0}, "clip=1.0"),
        ({"init_range": 1e30, "bn_eval": "running"}, "init_range=0.001"),
        ({"lr": 1e30, "batch_size": 500, "clip": 0.0}, "--lr 0.003"),
    ],
)
def test_a_training_that_diverges_names_the_step_and_the_setting(
    small_cache: Path, tmp_path: Path, settings: dict[str, float], said: str
) -> None:
    trainer = begun(tmp_path / "run", small_cache, replace(TINY, epochs=20, scheduler="constant", **settings))
    with pytest.raises(Diverged, match=r"training diverged in epoch \d+, step \d+") as error:
        trainer.fit(lambda _: None)
    assert error.match(said)
    assert error.value.exit_code == 2


def test_a_training_that_diverges_late_keeps_its_best(small_cache: Path, tmp_path: Path) -> None:
    trainer = begun(tmp_path / "run", small_cache, replace(TINY, epochs=5, scheduler="constant"))
    best = tmp_path / "run" / "best.safetensors"
    kept: list[bytes] = []

    def spoil(_: dict[str, object]) -> None:
        kept.append(best.read_bytes())
        trainer.optimiser.param_groups[0]["lr"] = 1e30

    trainer.on_epoch = spoil
    with pytest.raises(Diverged, match="epoch 2, step") as error:
        trainer.fit(lambda _: None)
    assert error.match(f"kept in {best}")
    assert best.read_bytes() == kept[0]
    again = reopen(RunStore(tmp_path / "run"))
    load_best(again)
    assert np.isfinite(evaluate_run(again, "test").predicted).all()


def test_a_run_killed_before_its_first_checkpoint_is_trained_by_resume(small_cache: Path, tmp_path: Path) -> None:
    trainer = begun(tmp_path / "killed", small_cache)
    trainer._save_best({"epoch": 0, "statistics": "population"})  # the first file of an epoch, before `last`
    trainer.store.release()
    trainer = resume_run(tmp_path / "killed")
    trainer.fit(lambda _: None)
    fitted(tmp_path / "whole", small_cache)
    one, other = (RunStore(tmp_path / name).load("best")[0] for name in ("killed", "whole"))
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_a_disk_that_is_full_is_one_error_with_the_way_on(small_cache: Path, tmp_path: Path) -> None:
    """Every size at which writing may fail: after space is freed, --resume ends at the same weights."""
    fitted(tmp_path / "whole", small_cache)
    largest = (tmp_path / "whole" / "last.safetensors").stat().st_size
    for number, limit in enumerate((largest // 2, largest - 1)):
        trainer = begun(tmp_path / str(number), small_cache)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            with pytest.raises(Unfinished, match="writing failed") as raised:
                trainer.fit(lambda _: None)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert f"gocell train --resume --out {tmp_path / str(number)}" in raised.value.hint
        trainer.store.release()
        resume_run(tmp_path / str(number)).fit(lambda _: None)
        one, other = (RunStore(tmp_path / name).load("best")[0] for name in (str(number), "whole"))
        assert all(torch.equal(one[key], other[key]) for key in one)
