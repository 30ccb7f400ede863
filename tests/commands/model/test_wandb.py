"""The optional logger, the real one, offline: what it keeps is what the run measured."""

import json
import subprocess
import sys
from pathlib import Path

from tests.commands.model.test_train import SMALL
from tests.commands.runners import run


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
    words = ["gocell", "train", str(small_cache), "--out", str(out), *SMALL, "--set", "wandb=yeast"]
    code = [f"import sys; sys.modules['wandb'] = None; sys.argv = {words!r}"]
    code += ["from gocell_cli.commands.app import main; main()"]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(code)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 7, done.stderr
    assert "pip install 'gocell[wandb]'" in done.stderr
    assert not out.exists()
