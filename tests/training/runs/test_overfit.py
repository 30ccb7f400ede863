"""Runs that train and are judged on the same samples: they learn them by heart, and say that they are no test."""

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from gocell_cli.building.build import BuildMode, build
from gocell_cli.building.plan import BuildOptions, plan_build
from gocell_cli.errors import UsageError
from gocell_cli.sources.screens import own_table, table_columns
from gocell_cli.storage.reader import Cache
from gocell_cli.training.runs.config import RunConfig
from gocell_cli.training.runs.evaluating import finish_run
from gocell_cli.training.runs.run import begin_run, resume_run
from gocell_cli.training.runs.store import RunStore
from tests import toy
from tests.commands.runners import failure, invoke

CONFIG = RunConfig(epochs=100, overfit=12, patience=0, scheduler="constant", min_width=6)
"""The defaults but for what may end a training early."""


@pytest.fixture(scope="module")
def drawn_labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All 30 sets of 1 to 4 of the toy's genes, each once, with labels by chance: learnt by heart or not at all."""
    folder, rng = tmp_path_factory.mktemp("drawn"), np.random.default_rng(0)
    sets = [genes for size in (1, 2, 3, 4) for genes in combinations(toy.GENES, size)]
    lines = ["genes,growth", *(f"{'+'.join(genes)},{rng.normal():.6f}" for genes in sets)]
    (folder / "screen.csv").write_text("\n".join(lines) + "\n", "utf-8")
    dataset, _ = own_table.read(folder / "screen.csv", toy.gene_table(), table_columns.TableOptions())
    plan = plan_build(
        toy.ontology(folder), toy.annotations(folder), toy.gene_table(), dataset, BuildOptions(toy.RULES), {}
    )
    return build(plan, folder / "cache", BuildMode()).directory


def test_the_loss_goes_to_nothing_and_the_run_is_no_test(drawn_labels: Path, tmp_path: Path) -> None:
    cache, out = Cache(drawn_labels), tmp_path / "run"
    begin_run(lambda: RunStore.reserve(out), cache, replace(CONFIG, epochs=2)).store.release()
    trainer = resume_run(out, cache, CONFIG)  # the same samples again
    split = trainer.split
    assert len(split.train) == 12
    assert np.array_equal(split.train, split.test)
    assert np.array_equal(split.train, split.validation)
    plain = begin_run(lambda: RunStore.reserve(tmp_path / "plain"), cache, replace(CONFIG, overfit=0))
    assert set(split.train.tolist()) <= set(plain.split.train.tolist())
    trainer.fit(lambda _: None)
    found = finish_run(trainer)
    trainer.store.release()
    assert found["test"].metrics["pearson"] > 0.99
    losses = [line["validation"]["loss_root"] for line in trainer.history]
    assert losses[0] > 0.5  # of labels whose variance is 1
    assert losses[-1] < 0.02
    assert found["test"].baselines == {}
    record = RunStore(out).record()
    assert (record.overfit, record.voices) == (12, None)
    assert "overfitted on purpose" in failure("compare", out, out).message
    assert "no figure of it is one of a test" in invoke("evaluate", out).stderr


def test_a_network_that_is_not_trained_enough_has_not_learnt_them(drawn_labels: Path, tmp_path: Path) -> None:
    trainer = begin_run(lambda: RunStore.reserve(tmp_path / "run"), Cache(drawn_labels), replace(CONFIG, epochs=5))
    trainer.fit(lambda _: None)
    trainer.store.release()
    assert trainer.history[-1]["validation"]["loss_root"] > 0.5


def test_more_samples_than_train_are_refused(drawn_labels: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="overfit is 500, and 24 samples train"):
        begin_run(lambda: RunStore.reserve(tmp_path / "run"), Cache(drawn_labels), replace(CONFIG, overfit=500))
    assert not (tmp_path / "run").exists()
