"""The benchmark's page says what runs recorded, and nothing that they did not."""

import json
from pathlib import Path
from typing import Any

import pytest

from gocell_cli.training.data.splits.kinds import SPLITS
from tools.benchmark.measured import CONTROLS, NETWORK, Effort, Measured, results, training_words
from tools.benchmark.page import page
from tools.benchmark.tasks import TASKS

TASK = TASKS[0]
SPLIT = {
    "train": 80,
    "validation": 10,
    "test": 10,
    "test_with_new_gene": 5,
    "test_groups_in_train": None,
}


def keep_run(folder: Path, seed: int, control: str, auroc: float, baselines: dict[str, float | None]) -> None:
    """A run's files, as the trainer writes them, as far as the page reads them."""
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(f'seed = {seed}\ncontrol = "{control}"\n')
    (folder / "metrics.jsonl").write_text('{"seconds": {"load": 1.0, "model": 2.0}}\n{"seconds": {"load": 3.0}}\n')
    why = {name: "too few samples" if value is None else None for name, value in baselines.items()}
    test: dict[str, Any] = {
        "metrics": {"auroc": auroc},
        "baselines": {name: {"auroc": value} for name, value in baselines.items() if value is not None},
        "fitting": {name: {"seconds": 7.5, "reason": reason} for name, reason in why.items()},
        "ceiling": None,
        "ceiling_method": "none: a reason",
    }
    (folder / "run.json").write_text(json.dumps({"results": {"test": test}, "split": SPLIT, "epochs": 4}))


@pytest.fixture
def measured(tmp_path: Path) -> Measured:
    for seed, value in enumerate((0.5, 0.7, 0.6)):
        keep_run(tmp_path / f"seed-{seed}", seed, "", value, {"additive": 0.8 + seed / 10, "trees": None})
        keep_run(tmp_path / f"seed-{seed}-genes-0", seed, "genes", value - 0.1 * seed, {})
    return results(TASK, tmp_path, "gocell train essentiality")


def test_every_run_is_read(measured: Measured) -> None:
    assert measured.predictors[NETWORK].values == {0: 0.5, 1: 0.7, 2: 0.6}
    assert measured.predictors[NETWORK].seconds == [6.0] * 3
    assert measured.predictors[CONTROLS["genes"]].values == pytest.approx({0: 0.5, 1: 0.6, 2: 0.4})
    assert measured.predictors["trees"].reason == "too few samples"


def test_the_page_says_means_and_the_best_first(measured: Measured) -> None:
    text = page([measured], [TASKS[-1]], Effort(3, quick=False, jobs=2), 0.0)
    assert "| additive | 0.900 ± 0.100 | 0.800 | 0.900 | 1.000 | 7.5 |" in text
    assert "| **DCell** | 0.600 ± 0.100 | 0.500 | 0.700 | 0.600 | 6.0 |" in text
    assert "- genes: +0.100 ± 0.100" in text  # 0, 0.1 and 0.2
    assert "- trees: too few samples" in text
    assert text.index("| additive |") < text.index("| **DCell** |")
    assert "[essentiality](#essentiality) | AUROC | 0.600 ± 0.100 | 0.500 ± 0.100 | 0.900 ± 0.100 | additive |" in text
    assert "50% delete a gene never deleted" in text
    assert f"## {TASKS[-1].name}\n\nNot run: GOCELL_KUZMIN2018=" in text


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
    assert quick[quick.index("--subset") + 1] == str(task.quick)
    assert int(quick[quick.index("--epochs") + 1]) < int(whole[whole.index("--epochs") + 1])
