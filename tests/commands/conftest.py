"""One real build of the bundled data, shared by the tests that only look at it; and the toy's files."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import toy
from tests.commands.runners import run


@dataclass(frozen=True)
class Built:
    """What `build-cache` did: its data root, its process, and the JSON it printed."""

    root: Path
    process: subprocess.CompletedProcess[str]
    summary: dict[str, Any]

    @property
    def cache(self) -> Path:
        return Path(self.summary["cache"])


@pytest.fixture(scope="session")
def essentiality(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The first command of the README, as a new user runs it. Do not change what it made."""
    folder = tmp_path_factory.mktemp("essentiality")
    process = run("build-cache", "--root", folder / "root", "--json", cwd=folder)
    return Built(folder / "root", process, json.loads(process.stdout))


@pytest.fixture(scope="session")
def trained(essentiality: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs on it, from the command line: the one that evaluate, predict, explain and report look at."""
    folder = tmp_path_factory.mktemp("trained")
    small = ("--batch-size", 512, "--set", "min_width=2", "--set", "ratio=0.0", "--set", "population_samples=512")
    process = run("train", essentiality.cache, "--out", folder / "run", "--epochs", 2, *small, "--json", cwd=folder)
    assert process.returncode == 0, process.stderr
    (folder / "printed.json").write_text(process.stdout, "utf-8")
    assert "epoch 2/2" in process.stderr
    return folder / "run"


@pytest.fixture
def toy_obo(tmp_path: Path) -> Path:
    return toy.write_obo(tmp_path)
