"""The optional logger, the real one, offline: what it keeps is what the run measured."""

import json
from pathlib import Path

from tests.commands.model.test_train import SMALL
from tests.commands.runners import run, run_without


def test_a_run_is_logged_offline_beside_its_own_files(small_cache: Path, tmp_path: Path) -> None:
    out = tmp_path / "logged"
    words = ["train", small_cache, "--out", out, "--epochs", "1", *SMALL, "--set", "wandb=yeast", "--json"]
    done = run(*words, cwd=tmp_path, WANDB_MODE="offline", WANDB_SILENT="true")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["run"] == str(out)
    (log,) = (out / "wandb").glob("offline-run-*/run-logged.wandb")
    assert b"validation/mse" in log.read_bytes()
    assert not (tmp_path / "wandb").exists()


def test_without_wandb_nothing_is_begun(small_cache: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = run_without("wandb", "train", small_cache, "--out", out, *SMALL, "--set", "wandb=yeast")
    assert done.returncode == 7, done.stderr
    assert "pip install 'gocell[wandb]'" in done.stderr
    assert not out.exists()
