"""A run by itself: it predicts after its cache is gone, and says what it can't do then; runs of before still open."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gocell_cli.errors import DamagedCache, SourceMissing, UsageError
from gocell_cli.level_directions import LEAF_UP
from gocell_cli.training.inference.all_combinations import CombinationTask, predict_combinations
from gocell_cli.training.inference.answers import Answers
from gocell_cli.training.runs.evaluating import evaluate_run
from gocell_cli.training.runs.explaining import explain_run
from gocell_cli.training.runs.run import (
    load_best,
    open_predictor,
    recorded_layout,
    reopen,
    resume_run,
)
from gocell_cli.training.runs.store import RunStore
from gocell_cli.training.runs.weights import TRAINED_GENES, Layout, by_height, layout_of, load_weights
from tests.hierarchies import random_network
from tests.training.runs.test_trainer import TINY, fitted

GENOTYPES = [(), (0,), (1, 3), (0, 1, 4)]


@pytest.fixture(scope="module")
def trained(small_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a copy of the small cache, CACHE beside it."""
    folder = tmp_path_factory.mktemp("trained")
    shutil.copytree(small_cache, folder / "cache")
    fitted(folder / "run", folder / "cache").store.release()
    return folder / "run"


@pytest.fixture
def alone(trained: Path, tmp_path: Path) -> Path:
    """The run copied to where its cache is not, and told of a cache that is gone."""
    shutil.copytree(trained, tmp_path / "run")
    change(tmp_path / "run", cache=str(tmp_path / "gone"))
    return tmp_path / "run"


def change(run: Path, *left_out: str, **new: object) -> None:
    """Change or leave out entries of run.json."""
    record = {**json.loads((run / "run.json").read_text("utf-8")), **new}
    (run / "run.json").write_text(json.dumps({k: v for k, v in record.items() if k not in left_out}), "utf-8")


def of_before(run: Path) -> None:
    """Make a run what it was before runs kept their hierarchy: nothing in its record or checkpoints says more."""
    change(run, "hierarchy", "layout")
    shutil.rmtree(run / "hierarchy")
    store = RunStore(run)
    for name in ("best", "last"):
        tensors, state = store.load(name)
        tensors.pop(TRAINED_GENES, None)
        store.save(name, tensors, {key: value for key, value in state.items() if key != "layout"})


def test_a_run_predicts_the_same_without_its_cache(trained: Path, alone: Path, tmp_path: Path) -> None:
    here, there = reopen(RunStore(trained)), open_predictor(alone)
    load_best(here)
    assert np.array_equal(there.trained, here.trained_genes)
    assert there.trained.tolist() == [True, True, True, True, False]
    found = there.predictions(GENOTYPES)
    assert [p.value for p in found] == open_predictor(trained, trained.parent / "cache").phenotypes(GENOTYPES).tolist()
    assert [p.novel for p in found] == [(), (), (), ("YAL007C",)]
    assert (
        predict_combinations(
            CombinationTask.of(Answers.of([there])), tmp_path / "pairs.parquet", lambda *_: None
        ).genotypes
        == 10
    )
    whole, effects = explain_run(trained, None, "TFC3"), explain_run(alone, None, "TFC3")
    assert effects.effects == whole.effects
    assert whole.ranking is not None
    assert effects.ranking is None


def test_what_reads_samples_says_that_the_cache_is_gone(alone: Path) -> None:
    for needy in (
        lambda: reopen(RunStore(alone)),
        lambda: explain_run(alone, None, None),
        lambda: resume_run(alone),
    ):
        with pytest.raises(SourceMissing, match="the cache of this run is not there") as error:
            needy()
        assert "--cache DIR" in error.value.hint


def test_a_damaged_copy_of_the_hierarchy_is_refused(alone: Path) -> None:
    table = alone / "hierarchy" / "term_genes.parquet"
    content = bytearray(table.read_bytes())
    content[len(content) // 2] ^= 1
    table.write_bytes(bytes(content))
    with pytest.raises(DamagedCache, match=r"term_genes\.parquet: damaged"):
        open_predictor(alone)
    table.unlink()
    with pytest.raises(DamagedCache, match="missing"):
        open_predictor(alone)


def test_runs_of_before_open_with_their_cache_and_by_height(trained: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    wanted = open_predictor(run).phenotypes(GENOTYPES)
    of_before(run)
    found = open_predictor(run)
    assert np.array_equal(found.phenotypes(GENOTYPES), wanted)
    assert found.trained.tolist() == [True, True, True, True, False]
    assert recorded_layout(RunStore(run).record(), reopen(RunStore(run)).rows.cache).level_by == "height"
    again = resume_run(run)
    assert (again.epoch, again.layout.level_by) == (2, "height")
    load_best(again)
    assert evaluate_run(again, "test").n == 12  # the twelve samples of one genotype
    change(run, cache=str(tmp_path / "gone"))
    with pytest.raises(SourceMissing):
        open_predictor(run)


def test_no_checkpoint_is_loaded_into_another_layout() -> None:
    """The same hierarchy by stratum and by height: equal shapes would load without a word, as other terms' weights."""
    hierarchy = random_network(3)
    stratum, height = (Layout(by, "direct").network(hierarchy, TINY) for by in ("stratum", "height"))
    assert layout_of(stratum) != layout_of(height)
    state = {"layout": layout_of(stratum)}
    load_weights(stratum, stratum.state_dict(), state)
    with pytest.raises(DamagedCache, match="in another order"):
        load_weights(height, stratum.state_dict(), state)
    load_weights(height, height.state_dict(), {})  # of before: by height
    lacking = {name: t for name, t in height.state_dict().items() if name != "bias"}
    with pytest.raises(DamagedCache, match="not this network's"):
        load_weights(height, lacking, {})
    other = replace(hierarchy, level=hierarchy.height, level_by="height", level_direction=LEAF_UP)
    assert layout_of(Layout("height", "direct").network(other, TINY)) == layout_of(height)
    assert by_height(hierarchy).level.tolist() == hierarchy.height.tolist()


def test_checkpoints_of_before_the_rest_of_the_mean_load(trained: Path, alone: Path) -> None:
    """`running_mean_rest` came later: where a checkpoint lacks it, it is 0."""
    store = RunStore(alone)
    tensors, state = store.load("best")
    tensors.pop("running_mean_rest", None)
    store.save("best", tensors, state)
    model = open_predictor(alone).model
    assert torch.equal(model.get_buffer("running_mean"), tensors["running_mean"])
    rest = model.state_dict().get("running_mean_rest", torch.zeros(1))
    assert not rest.any()


def test_names_that_are_no_genes_are_refused(alone: Path) -> None:
    with pytest.raises(UsageError, match="no gene 'TFC4'"):
        explain_run(alone, None, "TFC4")
    with pytest.raises(UsageError, match="names no gene"):
        explain_run(alone, None, "")
