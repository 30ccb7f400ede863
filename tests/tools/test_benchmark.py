"""The benchmark's page says what runs recorded, and nothing that they did not."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from gocell_cli.run_record import FittingRecord, LabelRecord, ResultRecord, RunRecord, SplitRecord, record_text
from gocell_cli.series_record import MemberRecord, SeriesRecord, series_text
from gocell_cli.training.data.splits.kinds import SPLITS
from tools.benchmark.measured import CONTROLS, NETWORK, Effort, Measured, results, tasks_of, training_words
from tools.benchmark.page import page
from tools.benchmark.tasks import QUICK_SAMPLES, TASKS

TASK = TASKS[0]
PARTS = ("train", "validation", "test")
SPLIT = SplitRecord(
    kind="gene", seed=0, train=80, validation=10, test=10, dropped=0, test_groups_in_train=None, test_with_new_gene=5
)  # fmt: skip
LABEL = LabelRecord(0.0, 1.0, logits=True)


def member(seed: int, control: str | None, auroc: float, baselines: dict[str, float | None]) -> MemberRecord:
    """A finished run, as far as the page reads it; its blend is half as far from 1 as its network."""
    test = ResultRecord(
        split="test",
        n=10,
        metrics={"auroc": auroc},
        baselines={name: {"auroc": value} for name, value in baselines.items() if value is not None},
        fitting={n: FittingRecord(7.5, {}, "too few samples" if v is None else None) for n, v in baselines.items()},
        voices={"blend": {"auroc": (1 + auroc) / 2}},
        ceiling_method="none: a reason",
    )
    name = f"seed-{seed}" + (f"-{control}-0" if control else "")
    return MemberRecord(name, seed, control=control, seconds=6.0, results=dict.fromkeys(PARTS, test))


def keep_series(folder: Path, members: Sequence[MemberRecord]) -> None:
    """A series' files, as the trainer writes them; one of its runs is not finished."""
    waiting = MemberRecord("seed-9", 9)
    record = SeriesRecord("/cache", "0" * 64, "viability", {}, (*members, waiting))
    (folder / "series.json").write_text(series_text(record, folder))
    for one in members:
        (folder / one.run).mkdir()
        run = RunRecord("/cache", "0" * 64, {"kind": "viability"}, ("a",), SPLIT, 0, LABEL, 5, epochs=4)
        (folder / one.run / "run.json").write_text(record_text(run, folder / one.run))


@pytest.fixture
def measured(tmp_path: Path) -> Measured:
    members = []
    for seed, value in enumerate((0.5, 0.7, 0.6)):
        members.append(member(seed, None, value, {"additive": 0.8 + seed / 10, "trees": None}))
        members.append(member(seed, "genes", value - 0.1 * seed, {}))
    keep_series(tmp_path, members)
    return results(TASK, tmp_path, "gocell train essentiality")


def test_every_run_is_read(measured: Measured) -> None:
    assert measured.predictors[NETWORK].values == {0: 0.5, 1: 0.7, 2: 0.6}
    assert measured.predictors[NETWORK].seconds == [6.0] * 3
    assert measured.predictors[CONTROLS["genes"]].values == pytest.approx({0: 0.5, 1: 0.6, 2: 0.4})
    assert measured.predictors["trees"].reason == "too few samples"


def test_the_page_says_means_and_the_best_first(measured: Measured) -> None:
    text = page([measured], [TASKS[-1]], Effort(3, quick=False, jobs=2), 0.0, [TASKS[1]])
    assert "| additive | 0.900 ± 0.100 | 0.800 | 0.900 | 1.000 | 7.5 |" in text
    assert "| **DCell** | 0.600 ± 0.100 | 0.500 | 0.700 | 0.600 | 6.0 |" in text
    assert "- DCell, genes: +0.100 ± 0.100" in text  # 0, 0.1 and 0.2
    assert "- the blend, genes: +0.050 ± 0.050" in text
    assert "- trees: too few samples" in text
    assert text.index("| additive |") < text.index("| **DCell** |")
    assert (
        "[essentiality](#essentiality) | AUROC | 0.800 ± 0.050 | 0.750 ± 0.050 |  | 0.600 ± 0.100 | 0.500 ± 0.100 "
        "| 0.900 ± 0.100 | additive |" in text
    )
    assert "50% delete a gene never deleted" in text
    assert f"## {TASKS[-1].name}\n\nNot run: GOCELL_KUZMIN2018=" in text
    assert f"## {TASKS[1].name}\n\nNot asked for: `make benchmark ONLY={TASKS[1].name}`." in text


def test_genes_never_seen_are_a_task_with_and_without_known_partners() -> None:
    of = {task.name: task for task in TASKS}
    every, some = of["collins-gene"], of["collins-any-gene"]
    assert (every.data, every.controls) == (some.data, some.controls)
    words = training_words(some, Effort(3, quick=False, jobs=2))
    assert words[words.index("--split") + 1] == some.split == "any-gene"
    assert {task.split for task in TASKS} <= set(SPLITS)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_the_quick_form_asks_for_less(task: Any) -> None:
    whole, quick = (training_words(task, Effort(2, quick=quick, jobs=1)) for quick in (False, True))
    assert "--subset" not in whole
    assert quick[quick.index("--subset") + 1] == str(QUICK_SAMPLES)
    assert int(quick[quick.index("--epochs") + 1]) < int(whole[whole.index("--epochs") + 1])


def test_the_quick_form_has_a_task_of_each_question() -> None:
    every, quick = (tasks_of(Effort(2, quick=quick, jobs=1)) for quick in (False, True))
    assert every == list(TASKS)
    assert {task.name for task in TASKS} - {task.name for task in quick} == {"rescored-random", "rescored-query"}
    assert {task.split for task in quick} == {task.split for task in TASKS}
