"""The parts of a sweep: what may be searched, and a study that is killed, shared, damaged; by optuna, untrained."""

from pathlib import Path
from typing import Any

import pytest

from gocell_cli.errors import DamagedCache, UsageError
from gocell_cli.training.runs.config import DEFAULTS, RunConfig
from gocell_cli.training.runs.sweep.plan import best_config, best_of, gain, member_config
from gocell_cli.training.runs.sweep.record import STUDY
from gocell_cli.training.runs.sweep.space import SEARCHED, USUAL, search_space
from gocell_cli.training.runs.sweep.study import OpenTrial, Outcome, Trials

TEXTS = ("lr=log:1e-4..1e-1", "min_width=2..6", "gene_weights=own,shared,deviation")
SPACE = search_space(TEXTS, RunConfig())


def loss_of(settings: dict[str, Any], seed: int) -> float:
    """A made loss, least at a rate of 0.01 and a width of 4."""
    return abs(settings["lr"] - 0.01) * 10 + abs(settings["min_width"] - 4) + 0.01 * seed


def one(settings: dict[str, Any], seed: int) -> dict[str, Any]:
    return {"seed": seed, "loss": loss_of(settings, seed), "value": 0.5, "epoch": 1, "epochs": 2, "seconds": 0.1}


def through(trial: OpenTrial, seeds: int = 2) -> None:
    for seed in range(len(trial.seeds), seeds):
        trial.measured(one(trial.settings, seed))
    trial.end()


def study(folder: Path, *, prune: bool = False) -> Trials:
    return Trials(folder, SPACE, seed=3, prune=prune)


def whole(folder: Path, most: int) -> list[Outcome]:
    trials = study(folder)
    while (trial := trials.next(most)) is not None:
        through(trial)
    return trials.outcomes()


def test_what_is_searched_is_said_in_one_way() -> None:
    lr, width, weights = SPACE
    assert (lr.low, lr.high, lr.log, lr.whole) == (1e-4, 0.1, True, False)
    assert (width.low, width.high, width.log, width.whole) == (2, 6, False, True)
    assert weights.choices == ("own", "shared", "deviation")
    (decay,) = search_space(["weight_decay=0,1e-3"], RunConfig())
    assert decay.choices == (0.0, 0.001)
    assert all(isinstance(value, float) for value in decay.choices)
    assert [d.text for d in search_space([], RunConfig())] == list(USUAL)
    assert set(SEARCHED) < set(DEFAULTS)
    measured = {"split", "split_seed", "validation_seed", "seed", "folds", "subset", "loss", "phenotype", "fractions"}
    assert not measured & set(SEARCHED)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lr", "no NAME=VALUES"),
        ("lr=", "no NAME=VALUES"),
        ("lr=0.1", "two or more different values"),
        ("lr=0.1,0.1", "two or more different values"),
        ("lr=0.1..0.01", "from a lower number to a higher"),
        ("lr=log:0..1", "from above 0"),
        ("lr=log:small..1", "no range of numbers"),
        ("lr=-1..1", "lr is -1.0 and must be above 0"),
        ("min_width=2..4.5", "a whole number"),
        ("gene_weights=1..2", "gene_weights is a word"),
        ("gene_weights=own,others", "gene_weights is 'others'"),
        ("epochs=2,many", "epochs is 'many'"),
        ("split=random,query", "no setting that a sweep may search"),
        ("rate=1,2", "no setting that a sweep may search"),
        ("lr=nan..1", "from a lower number to a higher"),
        ("lr=1..inf", "not a finite number"),
    ],
)
def test_what_cannot_be_searched_is_told(text: str, said: str) -> None:
    with pytest.raises(UsageError, match="--search") as raised:
        search_space([text], RunConfig())
    assert said in str(raised.value)


def test_a_setting_is_searched_once() -> None:
    with pytest.raises(UsageError, match="--search lr is given 2 times"):
        search_space(["lr=1,2", "lr=3,4"], RunConfig())


def test_it_finds_what_is_better_and_each_choice_keeps_its_type(tmp_path: Path) -> None:
    outcomes = whole(tmp_path, 40)
    assert [o.number for o in outcomes] == list(range(40))
    assert {o.state for o in outcomes} == {"complete"}
    assert all(isinstance(o.settings["min_width"], int) and 2 <= o.settings["min_width"] <= 6 for o in outcomes)
    first, last = ([o.loss for o in outcomes[a:b]] for a, b in ((0, 10), (30, 40)))
    assert sum(last) < 0.75 * sum(first)  # drawn at random, and drawn by what the others gave
    assert not any((tmp_path / "trials").iterdir())


def test_a_study_killed_anywhere_goes_on_to_the_same_trials(tmp_path: Path) -> None:
    """Within a trial before its first seed, after one, and between two trials; each time by a new process' eyes."""
    kept = [(o.settings, o.seeds, o.loss) for o in whole(tmp_path / "whole", 16)]
    folder = tmp_path / "killed"
    for number in range(16):
        trial = study(folder).next(16)
        assert trial is not None
        if number % 3:  # killed: what a process holds, the kernel lets go of
            if number % 3 == 2:
                trial.measured(one(trial.settings, 0))
            trial.store.release()
            again = study(folder).next(16)
            assert again is not None
            assert (again.number, again.settings) == (trial.number, trial.settings)
            trial = again
        through(trial)
    assert [(o.settings, o.seeds, o.loss) for o in study(folder).outcomes()] == kept
    assert study(folder).next(16) is None
    assert study(folder).next(17) is not None  # more trials may be asked for


def test_a_trial_is_one_processes_and_there_are_no_more_than_were_asked_for(tmp_path: Path) -> None:
    one_process, another = study(tmp_path), study(tmp_path)
    first, second = one_process.next(2), another.next(2)
    assert first is not None
    assert second is not None
    assert (first.number, second.number) == (0, 1)
    assert one_process.next(2) is None
    assert another.next(2) is None
    through(first)
    through(second)
    assert {o.state for o in one_process.outcomes()} == {"complete"}


def test_half_a_line_of_a_killed_process_is_dropped_and_another_file_refused(tmp_path: Path) -> None:
    whole(tmp_path, 3)
    journal = tmp_path / STUDY
    before = journal.read_bytes()
    journal.write_bytes(before + b'{"op_code": 4, "wor')
    assert len(study(tmp_path).outcomes()) == 3
    assert journal.read_bytes().startswith(before)
    assert len(whole(tmp_path, 5)) == 5
    journal.write_text("Dear all,\nthis is no journal\n")
    with pytest.raises(DamagedCache, match="not a study's journal"):
        study(tmp_path)


def test_a_hopeless_trial_is_given_up_only_where_that_was_asked_for(tmp_path: Path) -> None:
    for prune in (True, False):
        trials = study(tmp_path / str(prune), prune=prune)
        for number in range(7):
            trial = trials.next(8)
            assert trial is not None
            trial.measured({**one(trial.settings, 0), "loss": 1.0 + 0.1 * number})
            trial.is_hopeless()
            trial.measured({**one(trial.settings, 1), "loss": 1.0})
            trial.end()
        last = trials.next(8)
        assert last is not None
        last.measured({**one(last.settings, 0), "loss": 9.0})
        assert last.is_hopeless() is prune
        last.end(pruned=prune)
        assert trials.outcomes()[-1].state == ("pruned" if prune else "complete")


def test_what_failed_is_never_the_best(tmp_path: Path) -> None:
    trials = study(tmp_path)
    trial = trials.next(2)
    assert trial is not None
    trial.end(failed="training diverged")
    (found,) = trials.outcomes()
    assert (found.state, found.why) == ("failed", "training diverged")
    base = Outcome(None, "complete", {}, tuple({"seed": s, "loss": 1.0} for s in (0, 1)))
    assert best_of(base, [found]) is base


def test_gain_is_taken_seed_by_seed() -> None:
    base = Outcome(None, "complete", {}, tuple({"seed": s, "loss": x} for s, x in ((0, 1.0), (1, 2.0), (2, 3.0))))
    near = Outcome(0, "complete", {}, tuple({"seed": s, "loss": x} for s, x in ((0, 0.5), (1, 2.4), (2, 2.8))))
    clear = Outcome(1, "complete", {}, tuple({"seed": s, "loss": x} for s, x in ((0, 0.8), (1, 1.81), (2, 2.79))))
    assert gain(base, near) == {
        "mean": pytest.approx(0.1), "sd": pytest.approx(0.4583, rel=1e-3), "n": 3, "beyond_spread": False,
    }  # fmt: skip
    assert gain(base, clear)["beyond_spread"] is True
    assert best_of(base, [near, clear]) is clear


def test_seeds_have_validation_parts_of_their_own_and_one_test_part() -> None:
    base = RunConfig(seed=5, epochs=7)
    configs = [member_config(base, {"lr": 0.01}, number) for number in range(3)]
    assert [(c.seed, c.split_seed, c.validation_seed, c.lr) for c in configs] == [
        (5, 5, 5, 0.01), (6, 5, 6, 0.01), (7, 5, 7, 0.01),
    ]  # fmt: skip
    best = best_config(base, Outcome(0, "complete", {"lr": 0.02}, ()))
    assert (best.lr, best.split_seed, best.validation_seed, best.seed, best.epochs) == (0.02, 5, -1, 5, 7)
