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


@pytest.fixture
def toy_obo(tmp_path: Path) -> Path:
    return toy.write_obo(tmp_path)
