"""What import-linter cannot see: empty `__init__.py` files, what an import loads, the size of functions,
option values."""

import ast
import subprocess
import sys
import tomllib
from enum import StrEnum
from pathlib import Path

import pytest

import gocell_cli
from gocell_cli.commands.look.inspect_terms import Sort
from gocell_cli.commands.model.explain import TermOrder
from gocell_cli.commands.shell import options as choices
from gocell_cli.domain import alleles, genotype, term_filters
from gocell_cli.sources.download import catalog
from gocell_cli.sources.go import gene_naming, hierarchy_files
from gocell_cli.sources.screens import costanzo as costanzo2016
from gocell_cli.sources.screens import kuzmin as kuzmin_table
from gocell_cli.sources.screens import table_columns, table_file
from gocell_cli.storage import records, term_hits
from gocell_cli.training.evaluation.terms import orders

PACKAGE = Path(gocell_cli.__file__).parent
ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(PACKAGE.rglob("*.py"))
LONGEST_FUNCTION = 50


def _loaded_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys; print(*sorted(sys.modules))"
    return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split())


def test_every_init_is_empty() -> None:
    assert not [path for path in MODULES if path.name == "__init__.py" and path.read_text("utf-8")]


def test_every_folder_of_code_is_a_package_that_the_wheel_holds() -> None:
    folders = {path.parent for path in MODULES}
    assert not [folder for folder in folders if not (folder / "__init__.py").is_file()]
    named = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"]
    ours = {".".join(folder.relative_to(PACKAGE.parent).parts) for folder in folders}
    assert ours == set(named) - {"gocell_cli.data", "gocell_cli.schemas"}


def test_no_module_is_a_drawer() -> None:
    """A name that says nothing draws everything to it."""
    drawers = {"utils", "util", "helpers", "helper", "common", "misc", "base", "core", "tools"}
    assert not [path for path in MODULES if path.stem in drawers or path.parent.name in drawers]


def test_the_app_loads_no_heavy_library() -> None:
    loaded = _loaded_after("import gocell_cli.commands.app; from gocell_cli.commands.tree import mounted; mounted()")
    assert not loaded & {"torch", "networkx", "pyarrow", "lmdb", "numpy", "pooch", "requests", "filelock"}


def test_the_command_catches_signals_before_it_loads_what_takes_time() -> None:
    loaded = {name.partition(".")[0] for name in _loaded_after("import gocell_cli.commands.app")}
    assert (
        loaded - set(sys.stdlib_module_names) <= {"gocell_cli", "_virtualenv", "sitecustomize"} | _of_the_environment()
    )


def _of_the_environment() -> set[str]:
    """What an installed package's .pth file loads into every Python here."""
    return {name.partition(".")[0] for name in _loaded_after("pass")}


def test_the_reader_loads_neither_domain_nor_networkx_nor_the_writer() -> None:
    loaded = _loaded_after("import gocell_cli.storage.reader")
    unwanted = ("networkx", "torch", "gocell_cli.domain", "gocell_cli.building", "gocell_cli.storage.staging")
    assert not {m for m in loaded if m.startswith(unwanted)}


def test_functions_stay_small() -> None:
    """A module is as long as its idea; a function that is longer than a screen holds two."""
    long = [
        f"{path.relative_to(PACKAGE)}:{node.lineno} {node.name}"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno >= LONGEST_FUNCTION
    ]
    assert not long


@pytest.mark.parametrize(
    ("choice", "values"),
    [
        (choices.LevelBy, records.LEVEL_KINDS),
        (choices.Preset, tuple(term_filters.PRESETS)),
        (choices.Order, kuzmin_table.ORDERS),
        (choices.Temperature, costanzo2016.TEMPERATURES),
        (choices.Alleles, alleles.ALLELES),
        (choices.Duplicates, genotype.DUPLICATES),
        (choices.Delimiter, tuple(table_file.DELIMITERS.values())),
        (choices.Decimal, table_file.DECIMALS),
        (choices.Notation, table_columns.NOTATIONS),
        (choices.BlankGene, table_columns.BLANK_GENES),
        (Sort, term_hits.SORTS),
        (choices.SourceName, tuple(catalog.SOURCES)),
        (choices.Backend, (*records.BACKENDS, "both")),
        (choices.WidthBy, records.WIDTH_KINDS),
        (choices.GeneId, gene_naming.GENE_IDS),
        (choices.Redundant, term_filters.REDUNDANT),
        (choices.HierarchyFormat, tuple(hierarchy_files.FORMATS)),
        (TermOrder, orders.ORDERS),
    ],
)
def test_option_values_are_those_of_the_rooms(choice: type[StrEnum], values: tuple[str, ...]) -> None:
    assert {c.value for c in choice} == set(values)
