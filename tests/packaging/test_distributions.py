"""sdist and wheel: built from a copy of the tree, without the network, and run outside it."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.commands.runners import environment
from tests.packaging.requirements import ROOT

MADE = (".venv", ".git", "gocell_data", "dist", "_build", "_generated", "*.egg-info", "__pycache__", ".*cache")
RUN = "from gocell_cli.commands.app import main; main()"


def _made(folder: str, names: list[str]) -> set[str]:
    """What other commands made; `build` is that at the top alone: commands/build is a room."""
    top = {"build"} if Path(folder) == ROOT else set()
    return shutil.ignore_patterns(*MADE)(folder, names) | top


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The sdist, and the wheel that is made of it."""
    folder = tmp_path_factory.mktemp("distributions")
    tree = shutil.copytree(ROOT, folder / "tree", ignore=_made, symlinks=True)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder / "dist"), str(tree)]
    process = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert process.returncode == 0, process.stdout + process.stderr
    (sdist,), (wheel,) = (folder / "dist").glob("*.tar.gz"), (folder / "dist").glob("*.whl")
    return sdist, wheel


def _tracked(folder: str) -> set[str]:
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and not {"__pycache__", "_build", "_generated"} & set(path.parts)
    }


def test_the_wheel_holds_the_package_its_data_and_its_schemas(distributions: tuple[Path, Path]) -> None:
    names = {name for name in zipfile.ZipFile(distributions[1]).namelist() if ".dist-info/" not in name}
    schemas = {f"gocell_cli/{name}" for name in _tracked("schemas")}
    assert names == _tracked("gocell_cli") | schemas
    metadata = {Path(name).name for name in zipfile.ZipFile(distributions[1]).namelist() if ".dist-info/" in name}
    assert {"LICENSE", "NOTICE", "METADATA", "entry_points.txt"} <= metadata


def test_the_sdist_holds_all_it_takes_to_test_and_build(distributions: tuple[Path, Path]) -> None:
    with tarfile.open(distributions[0]) as archive:
        names = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}
    kept = _tracked("gocell_cli") | _tracked("schemas") | _tracked("tests") | _tracked("docs")
    assert kept <= names
    assert {"Makefile", "constraints.txt", "README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff"} <= names


def test_the_wheel_runs_outside_the_checkout(distributions: tuple[Path, Path], tmp_path: Path) -> None:
    place = tmp_path / "installed"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(place)]
    subprocess.run([*command, str(distributions[1])], check=True, timeout=120)
    outside = tmp_path / "outside"
    outside.mkdir()
    variables = environment(PYTHONPATH=str(place), GOCELL_ROOT=str(outside / "data"), PATH=os.environ["PATH"])

    def gocell(*words: str) -> str:
        process = subprocess.run(
            [sys.executable, "-c", RUN, *words],
            cwd=outside, env=variables, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert process.returncode == 0, process.stderr
        return process.stdout

    where = [sys.executable, "-c", "import gocell_cli; print(gocell_cli.__file__)"]
    found = subprocess.run(where, cwd=outside, env=variables, capture_output=True, text=True, check=True).stdout
    assert Path(found.strip()).is_relative_to(place)
    assert "10,120" in gocell("verify-levels")
    assert "5,887" in gocell("build-cache", "--dataset", "essentiality")
    assert "COX1" in gocell("inspect", "sample", "0")
    assert "ok" in gocell("cache", "verify")
