"""A cache worth attacking: the bundled data in both backends, several shards."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

GOCELL = str(Path(sys.executable).parent / "gocell")


def build_command(folder: Path, *words: str) -> list[str]:
    """The build under attack: about 50 shards, both backends, at `folder/cache`."""
    command = [GOCELL, "build-cache", "--root", str(folder), "--out", str(folder / "cache")]
    return [*command, "--backend", "both", "--shard-size", "120", *words]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache that an uninterrupted build makes; read-only for the tests."""
    folder = tmp_path_factory.mktemp("built")
    subprocess.run(build_command(folder), check=True, capture_output=True)
    return folder / "cache"


@pytest.fixture
def cache(built: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(built, tmp_path / "copy"))
