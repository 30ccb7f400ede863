"""Memory is asked for before it is taken: what there is, and the error where it is not enough."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from gocell_cli import free_memory
from gocell_cli.errors import TooLarge
from gocell_cli.free_memory import require_memory


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with 8 GB available and a container of 4 GB, of which 3 GB are used and 1.5 GB of these given up."""
    (tmp_path / "meminfo").write_text("MemTotal: 16000000 kB\nMemAvailable: 8000000 kB\n")
    (tmp_path / "memory.max").write_text("4000000000\n")
    (tmp_path / "memory.current").write_text("3000000000\n")
    (tmp_path / "memory.stat").write_text("anon 5\ninactive_file 1500000000\n")
    monkeypatch.setattr(free_memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(free_memory, "CGROUPS", ((tmp_path / "memory.max", tmp_path / "memory.current"),))
    return tmp_path


def test_the_least_of_machine_and_container(machine: Path) -> None:
    assert free_memory.free_memory() == 2_500_000_000
    (machine / "memory.max").write_text("max\n")
    assert free_memory.free_memory() == 8_000_000 * 1024
    (machine / "meminfo").unlink()
    assert free_memory.free_memory() is None
    require_memory(2**60, "anything", hint="")  # nothing is refused where the system does not tell


def test_both_figures_are_told(machine: Path) -> None:
    require_memory(2_500_000_000, "a batch")
    with pytest.raises(TooLarge) as error:
        require_memory(2_600_000_001, "a batch of 9 samples", hint="--set batch_size=8")
    assert error.value.message == "a batch of 9 samples would take 2.6 GB of memory, 2.5 GB are free"
    assert (error.value.hint, error.value.exit_code) == ("--set batch_size=8", 2)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux's")
def test_a_limit_of_address_space_counts() -> None:
    code = "from gocell_cli.free_memory import free_memory; print(free_memory())"
    limit = 1_000_000_000
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path.cwd(),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )  # fmt: skip
    assert 0 < int(told.stdout) < limit
