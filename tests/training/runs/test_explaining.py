"""Explaining several runs: one run twice agrees wholly, a control is followed by place, no run is refused."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gocell_cli.errors import UsageError
from gocell_cli.training.evaluation.terms.orders import Cutoffs
from gocell_cli.training.evaluation.terms.recovery import Recovery
from gocell_cli.training.runs.explaining import ScoreRequest, compare_runs, drawn_rows, explain_run
from gocell_cli.training.runs.run import reopen
from gocell_cli.training.runs.store import RunStore
from tests.training.runs.test_trainer import TINY, fitted

EVERYTHING = ScoreRequest(cutoffs=Cutoffs(power=0.0, activations=2))


@pytest.fixture(scope="module")
def run(small_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("explained") / "run"
    fitted(folder, small_cache).store.release()
    return folder


def test_the_same_run_twice_agrees_wholly_and_with_its_own_ranking(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "again")
    alone = explain_run(run, None, None, EVERYTHING).ranking
    assert alone is not None
    found = compare_runs([run, tmp_path / "again"], [], None, EVERYTHING, 5)
    scores = {score.term: score for score in alone.scores}
    for one in found.agreement.terms:
        assert one.score == scores[one.term].excess
        assert one.rank_best == one.rank_worst
    assert found.agreement.top_overlap in (1, None)
    assert (found.fitted, found.judged, found.least_power) == (alone.fitted, alone.judged, alone.least_power)


def test_a_control_stands_beside_the_terms_of_its_places(run: Path, small_cache: Path, tmp_path: Path) -> None:
    fitted(tmp_path / "control", small_cache, replace(TINY, control="genes", control_seed=1)).store.release()
    control = explain_run(tmp_path / "control", None, None, EVERYTHING).ranking
    assert control is not None
    found = compare_runs([run], [tmp_path / "control"], None, EVERYTHING, 5).agreement
    scores = {score.term: score.excess for score in control.scores}
    assert {one.term: one.control_score for one in found.terms} == scores
    assert {one.p_controls for one in found.terms} <= {0.5, 1.0, None}


def test_samples_are_drawn_at_random_and_the_same_at_each_call(run: Path) -> None:
    trainer = reopen(RunStore(run))
    part = trainer.split.train
    drawn = drawn_rows(trainer, part, 20)
    assert np.array_equal(drawn, drawn_rows(trainer, part, 20))
    assert len(set(drawn.tolist())) == 20
    assert set(drawn.tolist()) <= set(part.tolist())
    assert not np.array_equal(drawn, part[:20])
    assert np.array_equal(drawn_rows(trainer, part, 10_000), part[np.isfinite(trainer.values[part])])


def recovered(run: Path) -> Recovery | None:
    """What a run recovers of the teacher."""
    ranking = explain_run(run, None, None, EVERYTHING).ranking
    assert ranking is not None
    return ranking.recovery


def test_of_simulated_data_it_is_told_how_much_of_the_teacher_is_recovered(
    simulated_cache: Path, run: Path, tmp_path: Path
) -> None:
    assert recovered(run) is None
    fitted(tmp_path / "run", simulated_cache, replace(TINY, epochs=1)).store.release()
    fitted(tmp_path / "control", simulated_cache, replace(TINY, epochs=1, control="genes")).store.release()
    found, control = recovered(tmp_path / "run"), recovered(tmp_path / "control")
    assert found is not None
    assert control is not None
    assert found.compared == control.compared > 30
    assert found.from_genes == control.from_genes
    assert found.recovered is not None
    assert control.recovered is not None
    assert found.from_untrained is not None
    assert 1 >= found.recovered > max(control.recovered, found.from_untrained)
    assert found.above_untrained > found.compared / 2


def test_no_run_is_refused() -> None:
    with pytest.raises(UsageError, match="no run to explain"):
        compare_runs([], [], None, EVERYTHING, 5)
