"""What the trainer loads, and what it says where its extra is not installed."""

import subprocess
import sys

import pytest

LIGHT = ("data.order", "data.batch", "pyg.state_tables")
UNWANTED = (
    "gocell_cli.domain",
    "gocell_cli.sources",
    "gocell_cli.building",
    "gocell_cli.commands",
    "gocell_cli.figures",
    "gocell_cli.storage.staging",
)


EVERYTHING = """
import importlib, pkgutil, sys
import gocell_cli.training
for module in pkgutil.walk_packages(gocell_cli.training.__path__, "gocell_cli.training."):
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as error:
        if error.name != "triton":  # of a GPU alone; an extra of its own
            raise
print(*sys.modules)
"""


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120)
    return done.stdout


def test_the_trainer_loads_nothing_of_the_builder() -> None:
    """All of the trainer, as `gocell train` and its kin load it."""
    loaded = run(EVERYTHING).split()
    assert {f"gocell_cli.training.{m}" for m in ("runs.trainer", "network.dcell", "pyg.cell_dataset")} <= set(loaded)
    assert not [m for m in loaded if m.startswith(UNWANTED)]


def test_batches_load_no_graph_library() -> None:
    """A trainer of one's own needs batches; torch and torch_geometric themselves load networkx elsewhere."""
    imports = "; ".join(f"import gocell_cli.training.{m}" for m in LIGHT)
    loaded = run(f"{imports}; import sys; print(*sys.modules)").split()
    assert not [m for m in loaded if m.startswith((*UNWANTED, "networkx", "torch_geometric"))]


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
