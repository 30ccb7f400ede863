"""A run whose network lies over a control of the hierarchy: opened again as that, everywhere, and as nothing else."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gocell_cli.controls import CONTROLS, Control
from gocell_cli.errors import DamagedCache, UsageError
from gocell_cli.storage.reader import Cache
from gocell_cli.storage.schema import Hierarchy
from gocell_cli.training.runs.config import CHOICES, RunConfig
from gocell_cli.training.runs.evaluating import evaluate_run, finish_run, known_of
from gocell_cli.training.runs.run import load_best, open_predictor, reopen, resume_run
from gocell_cli.training.runs.states import require_settings, shaping
from gocell_cli.training.runs.store import RunStore
from gocell_cli.training.runs.trainer import Stopped
from tests.commands.runners import invoke
from tests.commands.runners import run as started
from tests.training.runs.test_trainer import TINY, begun, fitted

GENES = replace(TINY, control="genes", control_seed=1)


def same(one: Hierarchy, other: Hierarchy) -> bool:
    names = ("edge_child", "edge_parent", "row_term", "row_gene", "contained_genes")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


def predictions(run: Path, cache: Path | None = None) -> list[float]:
    predictor = open_predictor(run, cache)
    return [p.value for p in predictor.predictions([(0,), (1,), (2, 3)])]


def test_the_controls_are_those_of_controls() -> None:
    """Spelled out in the settings, which are checked before NumPy is loaded."""
    assert CHOICES["control"] == ("", *CONTROLS)


@pytest.mark.parametrize("kind", CONTROLS)
def test_a_control_is_drawn_as_a_build_draws_it(small_cache: Path, tmp_path: Path, kind: str) -> None:
    trainer = begun(tmp_path / kind, small_cache, replace(TINY, control=kind, control_seed=3))
    hierarchy = Cache(small_cache).hierarchy
    assert same(trainer.hierarchy, hierarchy.controlled(Control(kind, 3)))
    assert same(known_of(trainer).hierarchy, hierarchy), "baselines see GO"
    trainer.store.release()


def test_a_run_on_a_control_is_opened_as_one(small_cache: Path, tmp_path: Path) -> None:
    run, plain = tmp_path / "control", tmp_path / "plain"
    trainer = fitted(run, small_cache, GENES)
    evaluations = finish_run(trainer)
    assert evaluations["test"].baselines == {}, "those of a control would be those of any run"
    fitted(plain, small_cache)
    over = trainer.hierarchy
    again = reopen(RunStore(run))
    load_best(again)
    assert same(again.hierarchy, over)
    assert not same(over, Cache(small_cache).hierarchy)
    evaluation = evaluate_run(again, "test", "mean")
    assert np.array_equal(evaluation.predicted, evaluations["test"].predicted)
    assert set(evaluation.baselines) == {"mean"}
    trainer.store.release()
    assert same(open_predictor(run).hierarchy, over)
    assert same(resume_run(run).hierarchy, over)
    assert predictions(run) == predictions(run, small_cache)
    assert predictions(run) != predictions(plain)


def test_a_run_on_a_control_goes_on_to_the_same_bits(small_cache: Path, tmp_path: Path) -> None:
    whole = fitted(tmp_path / "whole", small_cache, GENES)
    first = begun(tmp_path / "stopped", small_cache, GENES)
    first.stop_at = lambda: True
    with pytest.raises(Stopped):
        first.fit(lambda _: None)
    first.store.release()
    again = resume_run(tmp_path / "stopped")
    again.fit(lambda _: None)
    one, other = (t.model.state_dict() for t in (whole, again))
    assert all(np.array_equal(one[name].numpy(), other[name].numpy()) for name in one)


def test_a_checkpoint_of_a_control_is_never_opened_over_the_hierarchy(small_cache: Path, tmp_path: Path) -> None:
    for config, text in ((GENES, 'control = "genes"'), (TINY, 'control = ""')):
        run = tmp_path / (config.control or "plain")
        fitted(run, small_cache, config).store.release()
        settings = (run / "config.toml").read_text("utf-8")
        assert text in settings
        other = 'control = ""' if config.control else 'control = "genes"'
        changed = settings.replace(text, other).replace("control_seed = 1", "control_seed = 0")
        (run / "config.toml").write_text(changed, "utf-8")
        for opened in (lambda run=run: open_predictor(run), lambda run=run: resume_run(run)):
            with pytest.raises(DamagedCache, match="control is"):
                opened()


def test_settings_of_before_there_were_controls_are_of_none() -> None:
    saved = json.loads(json.dumps(shaping(TINY)))
    kept = {name: value for name, value in saved.items() if not name.startswith("control")}
    require_settings(kept, TINY)
    with pytest.raises(DamagedCache, match="control is 'genes'"):
        require_settings(kept, replace(TINY, control="genes"))


def test_readers_say_that_it_is_a_control(small_cache: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ("--epochs", 1, "--set", "min_width=2", "--set", "ratio=0.0", "--set", "control=genes", "--json")
    done = started("train", small_cache, "--out", run, *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["baselines"] == {}
    said = "its network lies over a control of the hierarchy: genes, seed 0"
    assert said in done.stderr
    assert said in invoke("evaluate", run).stderr
    assert said in invoke("predict", run, "--genes", "YAL001C").stderr
    invoke("report", run, "--out", tmp_path / "report.html")
    assert "control of the hierarchy" in (tmp_path / "report.html").read_text("utf-8")


def test_what_no_control_is_made_of_is_refused() -> None:
    with pytest.raises(UsageError, match="control_seed draws a control"):
        RunConfig(control_seed=1)
