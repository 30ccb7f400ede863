"""What the trainer loads, and what it says where its extra is not installed."""

import subprocess
import sys
from pathlib import Path

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
from pathlib import Path
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


FIRST_STEP = """
import sys
from pathlib import Path
from pathlib import Path
from gocell_cli.storage.reader import Cache
from gocell_cli.training.runs.config import RunConfig
from gocell_cli.training.runs.run import begin_run
from gocell_cli.training.runs.store import RunStore

cache, out = map(Path, sys.argv[1:])
config = RunConfig(epochs=1, device="cpu", min_width=2, ratio=0.0)

def after_a_step(_):
    print(*sys.modules)
    sys.exit()

begin_run(lambda: RunStore.reserve(out), Cache(cache), config).fit(after_a_step)
"""
LATER = ("torch._dynamo", "sympy", "triton", "torchmetrics", "scipy", "sklearn", "matplotlib", "torch_geometric")
"""Each takes a tenth of a second to two seconds to load."""


def test_the_first_step_waits_for_torch_alone(small_cache: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-c", FIRST_STEP, str(small_cache), str(tmp_path / "run")]
    loaded = subprocess.run(words, check=True, capture_output=True, text=True, timeout=120).stdout.split()
    assert {"torch", "llvmlite.binding"} <= set(loaded)
    assert not set(LATER) & set(loaded)
