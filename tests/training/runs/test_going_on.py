"""Runs told to go on: to more epochs, by the bits of a run that had them from the start; and what cannot be."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gocell_cli.errors import UsageError
from gocell_cli.training.runs.config import RunConfig, run_config
from gocell_cli.training.runs.evaluating import finish_run
from gocell_cli.training.runs.going_on import cosine_rate, ended_after
from gocell_cli.training.runs.run import resume_run
from gocell_cli.training.runs.store import RunStore
from gocell_cli.training.runs.trainer import Stopped
from tests.training.runs.test_trainer import TINY, begun, fitted, history

PLATEAU = replace(TINY, scheduler="plateau", patience=0, wide="none", neighbours="none", baselines="none")


def gone_on(directory: Path, **ends: int) -> None:
    trainer = resume_run(directory, asked=replace(run_config(directory), **ends))
    trainer.fit(lambda _: None)
    finish_run(trainer)
    trainer.store.release()


def same_bits(one: Path, other: Path) -> None:
    for name in ("last", "best"):
        (first, told), (second, also) = RunStore(one).load(name), RunStore(other).load(name)
        assert first.keys() == second.keys()
        assert all(torch.equal(first[key], second[key]) for key in first), name
        assert {**told, "history": 0} == {**also, "history": 0}
    assert history(one) == history(other)


@pytest.mark.parametrize("changes", [{}, {"scheduler": "constant", "bn_eval": "running"}, {"term_dropout": 0.3}])
def test_more_epochs_give_the_run_that_had_them_from_the_start(
    small_cache: Path, tmp_path: Path, changes: dict[str, object]
) -> None:
    """Figures of the test part as well; what the run reached before is no longer its result while it trains."""
    config = replace(PLATEAU, **changes)
    for name, epochs in (("whole", 5), ("parts", 2)):
        trainer = fitted(tmp_path / name, small_cache, replace(config, epochs=epochs))
        finish_run(trainer)
        trainer.store.release()
    resumed = resume_run(tmp_path / "parts", asked=replace(run_config(tmp_path / "parts"), epochs=5))
    assert resumed.store.record().results is None
    resumed.store.release()
    gone_on(tmp_path / "parts", epochs=5)
    same_bits(tmp_path / "whole", tmp_path / "parts")
    whole, parts = (RunStore(tmp_path / name).record() for name in ("whole", "parts"))
    assert whole.results is not None
    assert parts.results is not None
    assert whole.results["test"].metrics == parts.results["test"].metrics
    assert parts.epochs == 5
    assert parts.extensions is not None
    assert [(one.after, one.epochs, one.differs) for one in parts.extensions] == [(2, 5, "")]
    assert run_config(tmp_path / "parts") == run_config(tmp_path / "whole")
    assert len(list((tmp_path / "parts" / "tensorboard").glob("events*"))) == 1


def test_patience_that_ended_a_run_is_lifted_to_the_same_bits(small_cache: Path, tmp_path: Path) -> None:
    hasty = replace(PLATEAU, epochs=30, patience=2, lr=0.5)
    fitted(tmp_path / "hasty", small_cache, hasty).store.release()
    ended = len(history(tmp_path / "hasty"))
    assert ended < 28
    with pytest.raises(UsageError, match=f"a patience of 2 ends this run after epoch {ended}"):
        gone_on(tmp_path / "hasty", epochs=40)
    gone_on(tmp_path / "hasty", epochs=ended + 2, patience=0)
    fitted(tmp_path / "whole", small_cache, replace(hasty, epochs=ended + 2, patience=0))
    same_bits(tmp_path / "whole", tmp_path / "hasty")


def test_a_run_killed_after_its_last_epoch_trains_no_further_one(small_cache: Path, tmp_path: Path) -> None:
    config = replace(PLATEAU, epochs=30, patience=2, lr=0.5)
    trainer = begun(tmp_path / "run", small_cache, config)
    trainer._finish = lambda: None  # type: ignore[method-assign]
    trainer.fit(lambda _: None)
    trainer.store.release()
    before = history(tmp_path / "run")
    again = resume_run(tmp_path / "run")
    again.fit(lambda _: None)
    assert history(tmp_path / "run") == before


def test_a_cosine_schedule_goes_on_as_one_of_all_epochs_and_says_so(small_cache: Path, tmp_path: Path) -> None:
    config = replace(PLATEAU, epochs=2, scheduler="cosine")
    fitted(tmp_path / "run", small_cache, config).store.release()
    gone_on(tmp_path / "run", epochs=4)
    rates = [line["learning_rate"] for line in history(tmp_path / "run")]
    longer = replace(config, epochs=4)
    assert rates[:2] == pytest.approx([cosine_rate(config, epoch) for epoch in range(2)])
    assert rates[2:] == pytest.approx([cosine_rate(longer, epoch) for epoch in (2, 3)])
    extensions = RunStore(tmp_path / "run").record().extensions
    assert extensions is not None
    assert "the cosine schedule was one of 2 epochs until epoch 2" in extensions[0].differs


def test_a_run_without_an_epoch_takes_another_end_as_its_own(small_cache: Path, tmp_path: Path) -> None:
    trainer = begun(tmp_path / "run", small_cache, replace(PLATEAU, scheduler="cosine"))
    trainer.store.release()
    gone_on(tmp_path / "run", epochs=3)
    fitted(tmp_path / "whole", small_cache, replace(PLATEAU, scheduler="cosine", epochs=3))
    same_bits(tmp_path / "whole", tmp_path / "run")
    assert RunStore(tmp_path / "run").record().extensions is None


def test_within_an_epoch_too(small_cache: Path, tmp_path: Path) -> None:
    trainer = begun(tmp_path / "run", small_cache, replace(PLATEAU, epochs=3))
    trainer.stop_at = lambda: trainer.epoch == 1 and trainer.step == 2
    with pytest.raises(Stopped):
        trainer.fit(lambda _: None)
    trainer.store.release()
    gone_on(tmp_path / "run", epochs=4)
    fitted(tmp_path / "whole", small_cache, replace(PLATEAU, epochs=4))
    same_bits(tmp_path / "whole", tmp_path / "run")


def test_other_settings_and_fewer_epochs_are_refused(small_cache: Path, tmp_path: Path) -> None:
    fitted(tmp_path / "run", small_cache, PLATEAU).store.release()
    with pytest.raises(UsageError, match=r"its lr is 0\.01, and 0\.02 is asked for"):
        resume_run(tmp_path / "run", asked=replace(PLATEAU, lr=0.02))
    with pytest.raises(UsageError, match="2 epochs are trained, and 1 are asked for"):
        gone_on(tmp_path / "run", epochs=1)
    assert run_config(tmp_path / "run") == PLATEAU


def test_epochs_after_which_patience_ends() -> None:
    losses = [5.0, 4.0, 4.5, 4.0, 3.0, 3.5, 3.1, 3.0]
    assert [ended_after(losses, patience) for patience in range(5)] == [None, 3, 4, 8, None]
    assert cosine_rate(RunConfig(epochs=10, lr=1.0, min_lr=0.5), 5) == pytest.approx(0.75)
