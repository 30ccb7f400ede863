"""Memory is forecast before it is taken: near what a process takes, told with its parts, refused where it is not there.

The measured runs are short: on 400 simulated samples of the whole hierarchy, one epoch, each in a process of its own.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gocell_cli.errors import TooLarge
from gocell_cli.free_memory import free_memory
from gocell_cli.storage.reader import Cache
from gocell_cli.training.inference.predict import EVALUATION_BATCH
from gocell_cli.training.network.dcell import DELTA_PAYS
from gocell_cli.training.network.delta.cpu import layout
from gocell_cli.training.runs import memory
from gocell_cli.training.runs.config import RunConfig
from gocell_cli.training.runs.memory import MemoryForecast, training_forecast, variants
from gocell_cli.training.runs.samples import RunSamples
from gocell_cli.training.runs.weights import Layout
from tests.commands.runners import document_apart, looked_at, run

FACTOR = 2.0
"""How far the forecast may be from what is measured, either way."""
MEASURED = """
import json, sys, tempfile
from pathlib import Path
from gocell_cli.storage.reader import Cache
from gocell_cli.training.runs.config import RunConfig
from gocell_cli.training.runs.run import begin_run
from gocell_cli.training.runs.samples import RunSamples
from gocell_cli.training.runs.store import RunStore
cache, settings = Cache(Path(sys.argv[1])), json.loads(sys.argv[2])
config = RunConfig().changed({"epochs": 1, "device": "cpu", **settings})
samples = RunSamples.of(cache, config)
def peak(name):
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith(name))
Path("/proc/self/clear_refs").write_text("5")  # VmHWM begins again (man 5 proc)
before = peak("VmRSS:")
with tempfile.TemporaryDirectory() as folder:
    begin_run(lambda: RunStore.reserve(Path(folder) / "run"), cache, config, samples).fit(lambda _: None)
print(peak("VmHWM:") - before)
"""


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of 400 simulated samples."""
    root = tmp_path_factory.mktemp("root")
    words = ("--dataset", "simulated", "--samples", 400, "--panel", 60)
    done = run("build-cache", *words, "--root", root, "--quiet", cwd=root)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def _forecast(cache: Cache, config: RunConfig) -> MemoryForecast:
    samples = RunSamples.of(cache, config)
    return training_forecast(cache.hierarchy, "direct", config, cache.columns(), samples.train_rows)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux tells what a process took at most")
@pytest.mark.parametrize("settings", [{"min_width": 6}, {"min_width": 40}])
def test_the_forecast_is_near_what_is_taken(simulated: Path, settings: dict[str, int]) -> None:
    command = [sys.executable, "-c", MEASURED, str(simulated), json.dumps(settings)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    taken = int(done.stdout)
    told = _forecast(Cache(simulated), RunConfig().changed(settings)).total
    assert taken / FACTOR < told < taken * FACTOR


def test_what_is_said_of_the_network_is_said_here() -> None:
    assert memory.EVALUATED == EVALUATION_BATCH
    assert DELTA_PAYS["cpu"] == memory.DENSE_PAYS
    assert memory.SPARE == layout.SPARE


def test_the_numbers_are_those_of_the_network(simulated: Path) -> None:
    hierarchy = Cache(simulated).hierarchy
    for settings in ({}, {"gene_weights": "own"}, {"products": 2}, {"top_width": 30}, {"learnt_vectors": 3}):
        config = RunConfig(min_width=6).changed(settings)
        told = memory.network_numbers(hierarchy, memory.widths(hierarchy, "direct", config), config)
        made = Layout(hierarchy.level_by, "direct").network(hierarchy, config)
        numbers = sum(parameter.numel() for parameter in made.parameters())
        assert 0.8 * numbers < told <= numbers, settings


def test_a_wider_network_and_a_larger_batch_take_more(simulated: Path) -> None:
    cache = Cache(simulated)
    base = _forecast(cache, RunConfig(min_width=6))
    wide, dense = _forecast(cache, RunConfig(min_width=12)), _forecast(cache, RunConfig(min_width=6, form="dense"))
    assert wide.weights > base.weights
    assert wide.optimiser == 2 * wide.gradients
    assert dense.tables > base.tables
    rows = np.arange(len(cache))
    few, many = (variants(cache.hierarchy, cache.columns(), rows, batch) for batch in (10, 100))
    assert (few <= many).all()
    assert many.max() <= 101


def test_what_no_memory_holds_is_refused_before_torch_is_loaded(simulated: Path, tmp_path: Path) -> None:
    words = ["train", str(simulated), "--set", "min_width=1000000", "--out", str(tmp_path / "run")]
    [seen] = looked_at([(words, str(tmp_path), "")])
    assert seen["code"] == TooLarge.exit_code
    assert "training a network of min_width 1,000,000" in seen["errors"]
    assert "GB of memory" in seen["errors"]
    assert "hint: the defaults are" in seen["errors"]
    assert "torch" not in seen["loaded"]
    assert not (tmp_path / "run").exists()
    series = run("train", simulated, "--seeds", 2, "--set", "min_width=1000000", "--out", "series", cwd=tmp_path)
    assert series.returncode == TooLarge.exit_code
    assert not (tmp_path / "series").exists()


def test_jobs_take_so_many_times_as_much() -> None:
    free = free_memory()
    if free is None:
        pytest.skip("this system does not tell what is free")
    forecast = MemoryForecast(free * 0.7, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    forecast.require("a network")
    with pytest.raises(TooLarge, match="2 times a network"):
        forecast.require("a network", jobs=2)


def test_a_dry_run_tells_it_and_makes_nothing(simulated: Path, tmp_path: Path) -> None:
    told = document_apart("train", simulated, "--dry-run", "--out", tmp_path / "run")
    parts = [told["memory"][name] for name in vars(_forecast(Cache(simulated), RunConfig()))]
    assert told["memory"]["total"] == pytest.approx(sum(parts), abs=len(parts))
    assert (told["status"], told["runs"], told["split"]["train"]) == ("dry run", 1, 320)
    assert not (tmp_path / "run").exists()
    done = run("train", simulated, "--dry-run", "--seeds", 3, "--jobs", 2, "--set", "min_width=100000", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "3 runs, 2 at a time" in done.stdout
    assert "warning: " in done.stderr
    assert not list(tmp_path.iterdir())
