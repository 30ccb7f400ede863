"""A cache worth attacking: the bundled data in both backends, several shards; and the suite's table at its end."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.attacks.kinds import stock

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


@pytest.fixture(scope="session")
def good_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good file of every kind, each with what the commands that read it need; read-only for the tests."""
    return stock(tmp_path_factory.mktemp("stock"))


COLUMNS = ("kind", "attempts", "read", "refused", "death", "traceback", "hang", "wrong", "outside", "broken", "slowest")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was attempted, a line a kind, as the tests recorded it (`record_property("attack", ...)`)."""
    reports = [r for name in ("passed", "failed") for r in terminalreporter.stats.get(name, ())]
    rows = [value for r in reports for key, value in r.user_properties if key == "attack" and r.when == "call"]
    if not rows:
        return
    terminalreporter.section("attacks")
    widths = [max(len(name), *(len(str(row.get(name, ""))) for row in rows)) for name in COLUMNS]
    total = {name: sum(row.get(name, 0) for row in rows) for name in COLUMNS[1:-1]}
    heading = dict(zip(COLUMNS, COLUMNS, strict=True))
    for row in (heading, *sorted(rows, key=lambda row: str(row["kind"])), {"kind": "all", **total}):
        cells = [str(row.get(name, "")).rjust(w) for name, w in zip(COLUMNS[1:], widths[1:], strict=True)]
        terminalreporter.line("  ".join([str(row["kind"]).ljust(widths[0]), *cells]))
