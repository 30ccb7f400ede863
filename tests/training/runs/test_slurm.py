"""Tasks of srun are processes of one run, as torchrun's are."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gocell_cli.errors import UsageError
from gocell_cli.training.runs.slurm import first_host, join_step

STEP = {
    "SLURM_STEP_NUM_TASKS": "7", "SLURM_STEP_TASKS_PER_NODE": "2(x3),1", "SLURM_STEP_NODELIST": "n[07-09,11]",
    "SLURM_PROCID": "4", "SLURM_LOCALID": "0", "SLURM_NODEID": "2", "SLURM_JOB_ID": "123456", "SLURM_STEP_ID": "3",
}  # fmt: skip
"""The fifth of seven tasks on four nodes, as srun tells it."""


def test_a_task_learns_what_torchrun_would_tell_it() -> None:
    environment = dict(STEP)
    assert join_step(environment) == 7
    told = {name: value for name, value in environment.items() if name not in STEP}
    assert told == {
        "RANK": "4", "WORLD_SIZE": "7", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "n07",
        "MASTER_PORT": "18459",
    }  # fmt: skip


@pytest.mark.parametrize(
    "changes", [{"SLURM_STEP_NUM_TASKS": "1"}, {"WORLD_SIZE": "2"}, {"SLURM_STEP_NUM_TASKS": None}]
)
def test_one_task_or_torchruns_own_words_stay_as_they_are(changes: dict[str, str | None]) -> None:
    """A batch script of several tasks (SLURM_NTASKS) is one process until srun is called."""
    environment = {name: value for name, value in {**STEP, "SLURM_NTASKS": "2", **changes}.items() if value is not None}
    before = dict(environment)
    assert join_step(environment) == 1
    assert environment == before


@pytest.mark.parametrize("name", sorted(set(STEP) - {"SLURM_STEP_NUM_TASKS"}))
@pytest.mark.parametrize("value", [None, "", "x,["])
def test_what_srun_would_not_say_is_told(name: str, value: str | None) -> None:
    environment = {key: text for key, text in {**STEP, name: value}.items() if text is not None}
    if name == "SLURM_STEP_NODELIST" and value == "x,[":
        assert join_step(environment) == 7  # the first host is x
        return
    with pytest.raises(UsageError, match=name) as caught:
        join_step(environment)
    assert "torchrun" in caught.value.hint


@given(
    st.from_regex(r"[a-z][a-z0-9.-]{0,5}", fullmatch=True),
    st.lists(st.integers(0, 99), min_size=1, max_size=4),
    st.sampled_from(["", ".local"]),
    st.sampled_from(["", ",other[1-2]", ",z"]),
)
def test_the_first_host_of_a_list(prefix: str, numbers: list[int], suffix: str, more: str) -> None:
    bracket = ",".join(f"{number:02}" if number % 2 else f"{number:02}-{number + 1:02}" for number in numbers)
    assert first_host(f"{prefix}[{bracket}]{suffix}{more}") == f"{prefix}{numbers[0]:02}{suffix}"
    assert first_host(f"{prefix}{suffix}{more}") == f"{prefix}{suffix}"


def test_two_tasks_train_one_run(small_cache: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ("train", small_cache, "--out", out, "--epochs", 2, "--batch-size", 33, "--baselines", "none", "--json")
    tasks = []
    for rank in range(2):
        step = {
            **STEP, "SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_TASKS_PER_NODE": "2", "SLURM_STEP_NODELIST": "here",
            "SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank), "SLURM_NODEID": "0",
            "SLURM_JOB_ID": str(os.getpid()),
        }  # fmt: skip
        run = [sys.executable, "-c", "from gocell_cli.commands.app import main; main()", *map(str, words)]
        tasks.append(subprocess.Popen(run, env=os.environ | step, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
    said = [task.communicate(timeout=300) for task in tasks]
    assert [task.returncode for task in tasks] == [0, 0], said
    assert json.loads(said[0][0])["run"] == str(out)  # one of them tells
    assert said[1][0] == b""
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert len((out / "metrics.jsonl").read_text("utf-8").splitlines()) == 2
