"""A run of several phenotypes: it stops and goes on to the bit, accumulates, begins from another, and scales each."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gocell_cli.errors import DamagedCache, UsageError
from gocell_cli.storage.reader import Cache
from gocell_cli.training.network.own_model import TermByTerm
from gocell_cli.training.runs.config import CONFIG, RunConfig
from gocell_cli.training.runs.evaluating import evaluate_run, finish_run
from gocell_cli.training.runs.run import begin_run, load_best, open_predictor, predictor_of, reopen, resume_run
from gocell_cli.training.runs.store import RunStore
from gocell_cli.training.runs.trainer import Stopped, Trainer
from tests.commands.model.test_several_phenotypes import built

CONFIG_OF_BOTH = RunConfig(
    epochs=3, batch_size=16, min_width=2, ratio=0.0, fractions=(0.4, 0.2, 0.4), phenotype="fitness,score",
    baselines="additive", init_range=0.5, population_samples=50,
)  # fmt: skip


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fitness of all of 168 samples, `score` of 112, `whole` (three times the fitness) of all."""
    return built(tmp_path_factory.mktemp("several"), "fitness,score,whole")


def begun(directory: Path, cache: Path, config: RunConfig = CONFIG_OF_BOTH) -> Trainer:
    return begin_run(lambda: RunStore.reserve(directory), Cache(cache), config)


def fitted(directory: Path, cache: Path, config: RunConfig = CONFIG_OF_BOTH) -> Trainer:
    trainer = begun(directory, cache, config)
    trainer.fit(lambda _: None)
    return trainer


def same(one: Path, other: Path) -> None:
    found, wanted = (RunStore(path).load("best")[0] for path in (one, other))
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[key], wanted[key]) for key in wanted)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_stopped_run_goes_on_to_the_same_bits(cache: Path, tmp_path: Path, accumulate: int) -> None:
    config = replace(CONFIG_OF_BOTH, accumulate=accumulate)
    whole = fitted(tmp_path / "whole", cache, config)
    stopped, steps = begun(tmp_path / "stopped", cache, config), []
    stopped.stop_at = lambda: len(steps) >= 4
    with pytest.raises(Stopped):
        stopped.fit(steps.append)
    stopped.store.release()
    again = resume_run(tmp_path / "stopped")
    again.fit(lambda _: None)
    same(tmp_path / "whole", tmp_path / "stopped")
    without = [{key: value for key, value in line.items() if key != "seconds"} for line in again.history]
    assert without == [{key: value for key, value in line.items() if key != "seconds"} for line in whole.history]
    assert set(whole.history[0]["phenotypes"]) == {"fitness", "score"}


def test_each_is_scaled_by_its_own_training_samples_and_measured_over_its_own(cache: Path, tmp_path: Path) -> None:
    trainer = fitted(tmp_path / "run", cache)
    for number, kind in enumerate(("fitness", "score")):
        own, alone = trainer.of_phenotype(kind), Cache(cache).of_phenotype(kind)
        values = alone.columns().value
        train = values[trainer.split.train]
        known = train[np.isfinite(train)]
        assert own.scale.mean == pytest.approx(known.mean())
        assert own.scale.sd == pytest.approx(known.std())
        assert own.number == number
        line = trainer.history[-1]["phenotypes"][kind]
        assert line["train"]["n"] == len(known)
        assert line["validation"]["n"] == np.isfinite(values[trainer.split.validation]).sum()
    load_best(trainer)
    evaluations = finish_run(trainer)
    score = evaluations["test"].each[1]
    assert score.phenotype == "score"
    assert score.metrics["n"] == np.isfinite(score.true).sum() < len(score.true)
    one = evaluate_run(reopen(RunStore(tmp_path / "run"), Cache(cache)), "test", phenotype="score")
    assert not one.further


def test_the_loss_of_an_epoch_is_the_mean_over_each_ones_samples(cache: Path, tmp_path: Path) -> None:
    """At a rate at which nothing moves: the sum over batches of what each has is the mean over all that have it."""
    still = replace(CONFIG_OF_BOTH, lr=1e-12, epochs=1, batch_size=9, phenotype_weights="3,1", init_range=0.001)
    trainer = fitted(tmp_path / "run", cache, still)
    # the heads of such weights are next to 0: the standardised labels' mean square is 1
    assert trainer.history[0]["train"]["loss_root"] == pytest.approx(1.0, abs=0.01)
    weights = trainer.several.weights if trainer.several is not None else ()
    assert weights == (0.75, 0.25)
    found = trainer.history[0]
    wanted = sum(
        w * found["phenotypes"][k]["validation"]["loss_root"] for w, k in zip(weights, trainer.kinds, strict=True)
    )
    assert found["validation"]["loss_root"] == pytest.approx(wanted)


def test_a_unit_changes_nothing(cache: Path, tmp_path: Path) -> None:
    """`whole` is three times the fitness: with it twice in the loss both heads learn the same."""
    config = replace(CONFIG_OF_BOTH, phenotype="fitness,whole")
    trainer = fitted(tmp_path / "run", cache, config)
    for line in trainer.history:
        found = [line["phenotypes"][kind]["train"]["pearson"] for kind in ("fitness", "whole")]
        assert all(np.isfinite(found))
    scales = [trainer.of_phenotype(kind).scale for kind in ("fitness", "whole")]
    assert scales[1].sd == pytest.approx(3 * scales[0].sd, rel=1e-4)


def test_it_predicts_each_without_its_cache(cache: Path, tmp_path: Path) -> None:
    trainer = fitted(tmp_path / "run", cache)
    finish_run(trainer)
    load_best(trainer)
    genotypes = [(0,), (1, 2), ()]
    found = [open_predictor(tmp_path / "run", phenotype=kind).phenotypes(genotypes) for kind in ("fitness", "score")]
    wanted = [predictor_of(trainer.of_phenotype(kind)).phenotypes(genotypes) for kind in ("fitness", "score")]
    assert np.array_equal(found, wanted)
    assert not np.allclose(found[0], found[1])
    with pytest.raises(UsageError, match="this run predicts no 'tau'"):
        open_predictor(tmp_path / "run", phenotype="tau")


def test_a_run_begins_with_heads_of_the_same_phenotypes(cache: Path, tmp_path: Path) -> None:
    """One of two phenotypes in another order, and one of another besides: heads go by name, the trunk as it is."""
    fitted(tmp_path / "both", cache)
    config = replace(CONFIG_OF_BOTH, phenotype="score,whole", warm_start=str(tmp_path / "both"))
    trainer = begun(tmp_path / "next", cache, config)
    source = RunStore(tmp_path / "both").load("best")[0]
    assert torch.equal(trainer.dcell.bias, source["bias"])
    assert torch.equal(trainer.dcell.head_weight[0], source["head_weight"][1])
    assert not torch.equal(trainer.dcell.head_weight[1], source["head_weight"][0])
    told = trainer.store.record().warm_start
    assert told is not None
    assert told.phenotype == "fitness, score"
    assert told.numbers_copied < told.numbers
    alone = begun(tmp_path / "alone", cache, replace(config, phenotype="fitness"))
    assert torch.equal(alone.dcell.head_weight, source["head_weight"][0])


def test_what_cannot_be_is_refused(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="trained on one phenotype"):
        begin_run(lambda: RunStore.reserve(tmp_path / "own"), Cache(cache), CONFIG_OF_BOTH, model=TermByTerm)
    fitted(tmp_path / "run", cache)
    path = tmp_path / "run" / CONFIG
    path.write_text(path.read_text("utf-8").replace("fitness,score", "score,fitness"), "utf-8")
    with pytest.raises(DamagedCache, match="its phenotypes are not those it was trained on"):
        reopen(RunStore(tmp_path / "run"), Cache(cache))
