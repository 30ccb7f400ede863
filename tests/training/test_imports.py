"""What the trainer loads, and what it says where its extra is not installed."""

import subprocess
import sys

import pytest

LIGHT = ("data.order", "data.batch", "pyg.state_tables")
UNWANTED = (
    "networkx",
    "gocell_cli.domain",
    "gocell_cli.sources",
    "gocell_cli.building",
    "gocell_cli.commands",
    "gocell_cli.storage.writer",
    "gocell_cli.storage.staging",
)


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_the_trainer_loads_nothing_of_the_builder() -> None:
    imports = "; ".join(f"import gocell_cli.training.{m}" for m in LIGHT)
    loaded = run(f"{imports}; import sys; print(*sys.modules)").split()
    assert not [m for m in loaded if m.startswith((*UNWANTED, "torch_geometric"))]


def test_hetero_data_loads_nothing_of_the_builder() -> None:
    """networkx aside, which torch_geometric may load for itself."""
    loaded = run("import gocell_cli.training.pyg.cell_dataset, sys; print(*sys.modules)").split()
    assert not [m for m in loaded if m.startswith(UNWANTED[1:])]


@pytest.mark.parametrize(("module", "library"), [("data.batch", "torch"), ("pyg.cell_dataset", "torch_geometric")])
def test_without_the_extra_it_says_how_to_install_it(module: str, library: str) -> None:
    code = f"""
import sys
sys.modules["{library}"] = None
from gocell_cli.errors import ExtraMissing
try:
    import gocell_cli.training.{module}
except ExtraMissing as error:
    print(error)
"""
    said = run(code)
    assert f"needs {library}" in said
    assert "pip install 'gocell[train]'" in said


def test_other_missing_modules_are_not_the_extras_fault() -> None:
    from gocell_cli.training.extra import train_extra

    with pytest.raises(ModuleNotFoundError, match="no_such_module"), train_extra():
        import no_such_module  # noqa: F401
