"""What import-linter cannot see: empty `__init__.py` files, what an import loads, sizes, option values."""

import ast
import subprocess
import sys
from enum import StrEnum
from pathlib import Path

import pytest

import gocell_cli
from gocell_cli.commands.shell import options as choices
from gocell_cli.domain import alleles, genotype, levels, term_filters
from gocell_cli.sources.download import catalog
from gocell_cli.sources.go import gene_naming
from gocell_cli.sources.screens import costanzo as costanzo2016
from gocell_cli.sources.screens import kuzmin as kuzmin_table
from gocell_cli.storage import schema

PACKAGE = Path(gocell_cli.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
LONGEST_FUNCTION = 50


def _loaded_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys; print(*sorted(sys.modules))"
    return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split())


@pytest.mark.parametrize("path", [p for p in MODULES if p.name == "__init__.py"], ids=str)
def test_every_init_is_empty(path: Path) -> None:
    assert path.read_text("utf-8") == ""


def test_the_app_loads_no_heavy_library() -> None:
    loaded = _loaded_after("import gocell_cli.commands.app")
    assert not loaded & {"torch", "networkx", "pyarrow", "lmdb", "numpy", "pooch", "requests", "filelock"}


def test_the_reader_loads_neither_domain_nor_networkx_nor_the_writer() -> None:
    loaded = _loaded_after("import gocell_cli.storage.reader")
    unwanted = ("networkx", "torch", "gocell_cli.domain", "gocell_cli.building", "gocell_cli.storage.staging")
    assert not {m for m in loaded if m.startswith(unwanted)}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_functions_stay_small(path: Path) -> None:
    text = path.read_text("utf-8")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= LONGEST_FUNCTION, f"{node.name} has {length} lines"


@pytest.mark.parametrize(
    ("choice", "values"),
    [
        (choices.LevelBy, levels.LEVEL_KINDS),
        (choices.LevelBy, schema.LEVEL_KINDS),
        (choices.Preset, tuple(term_filters.PRESETS)),
        (choices.Order, kuzmin_table.ORDERS),
        (choices.Temperature, costanzo2016.TEMPERATURES),
        (choices.Alleles, alleles.ALLELES),
        (choices.Duplicates, genotype.DUPLICATES),
        (choices.SourceName, tuple(catalog.SOURCES)),
        (choices.Backend, (*schema.BACKENDS, "both")),
        (choices.WidthBy, schema.WIDTH_KINDS),
        (choices.GeneId, gene_naming.GENE_IDS),
        (choices.Redundant, term_filters.REDUNDANT),
    ],
)
def test_option_values_are_those_of_the_rooms(choice: type[StrEnum], values: tuple[str, ...]) -> None:
    assert {c.value for c in choice} == set(values)
