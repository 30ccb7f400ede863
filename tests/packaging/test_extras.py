"""Every third-party import is of a declared requirement, in the extra whose room it is; nothing declared is unused."""

import ast
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from tests.packaging.requirements import ROOT, lowest, names, requirements

PACKAGE = ROOT / "gocell_cli"
EXTRAS = ("train", "triton", "dask", "wandb", "sweep", "docs", "dev")
DASK, WANDB, SWEEP = {"building/tasks.py"}, {"training/runs/trackers.py"}, {"training/runs/sweep/study.py"}
TRITON = {"training/network/delta/gpu/kernels.py"}
TORCH = {"commands/look/doctor.py"}
"""Files that import from an extra; doctor only says whether torch is there."""
PLUGINS = {
    "train": {"tensorboard"},  # imported by torch.utils.tensorboard
    "docs": {"sphinx", "myst-parser", "furo"},  # named in docs/conf.py
    "dev": {
        "beartype", "build", "hypothesis", "import-linter", "mypy", "openpyxl", "pip-audit", "pytest-timeout",
        "pytest-xdist", "ruff", "setuptools",
        "mlcroissant", "types-jsonschema", "webdataset",
    },
}  # fmt: skip
"""Declared for what they do, not for an import."""


def _imported(path: Path) -> Iterator[str]:
    """Top-level modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield str(node.module).partition(".")[0]


def _distributions(paths: list[Path]) -> set[str]:
    known = packages_distributions()
    modules = {name for path in paths for name in _imported(path)} - set(sys.stdlib_module_names)
    ours = {"gocell_cli", "tests", "tools", "generate", "pip", "no_such_module"}
    return {canonicalize_name(known.get(name, [name])[0]) for name in modules - ours}


def _room(path: Path) -> str:
    name = path.relative_to(PACKAGE).as_posix()
    if name in DASK:
        return "dask"
    if name in WANDB:
        return "wandb"
    if name in SWEEP:
        return "sweep"
    if name in TRITON:
        return "triton"
    return "train" if name.startswith("training/") or name in TORCH else ""


@pytest.mark.parametrize("room", ["", "train", "triton", "dask", "wandb", "sweep"])
def test_a_room_imports_what_its_extra_brings(room: str) -> None:
    paths = [path for path in PACKAGE.rglob("*.py") if _room(path) == room]
    assert paths
    allowed = names() | (names(room) if room else set()) | (names("train") if room == "wandb" else set())
    assert _distributions(paths) <= allowed


def test_nothing_declared_is_unused() -> None:
    rooms = {room: _distributions([p for p in PACKAGE.rglob("*.py") if _room(p) == room]) for room in ("", "train")}
    assert names() <= rooms[""] | rooms["train"]
    assert names("train") <= rooms["train"] | PLUGINS["train"]
    tests = _distributions(
        [*(ROOT / "tests").rglob("*.py"), *(ROOT / "docs").glob("*.py"), *(ROOT / "tools").glob("*.py")]
    )
    assert names("dev") <= tests | PLUGINS["dev"]
    assert names("docs") == PLUGINS["docs"]


def test_tests_import_what_is_declared() -> None:
    declared = set().union(names(), *(names(extra) for extra in EXTRAS))
    assert (
        _distributions([*(ROOT / "tests").rglob("*.py"), *(ROOT / "docs").glob("*.py"), *(ROOT / "tools").glob("*.py")])
        <= declared
    )


def test_every_requirement_has_a_lower_bound_and_a_pin() -> None:
    pins = {
        canonicalize_name(line.partition("==")[0])
        for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()
        if "==" in line and not line.startswith("#")
    }
    for extra in ("", *EXTRAS):
        for requirement in requirements(extra):
            assert any(s.operator == ">=" for s in requirement.specifier), requirement
            assert canonicalize_name(requirement.name) in pins, requirement
    assert "torch" not in {line.partition("==")[0] for line in lowest(["train"])}


def test_the_citation_is_of_this_version() -> None:
    import yaml

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    table = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert (citation["version"], citation["license"]) == (table["version"], table["license"])
    assert citation["title"].endswith(table["description"][0].lower() + table["description"][1:])
    assert {reference["doi"] for reference in citation["references"]} >= {"10.1038/nmeth.4627", "10.1038/75556"}
