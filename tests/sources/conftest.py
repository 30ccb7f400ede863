"""Files on their way, and what may remain of them."""

from pathlib import Path

import pytest

from gocell_cli.sources.download import transfer
from tests.sources.http_server import LocalSite


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds waited between attempts; nobody waits for them."""
    waited: list[float] = []
    monkeypatch.setattr(transfer, "sleep", waited.append)
    return waited


@pytest.fixture
def mirror(local_site: LocalSite, waits: list[float], monkeypatch: pytest.MonkeyPatch) -> LocalSite:
    """The server as GOCELL_MIRROR, asked with patience: it fails at named bytes, and a busy machine is no failure."""
    monkeypatch.setenv("GOCELL_MIRROR", local_site.url + "/")
    monkeypatch.setenv("GOCELL_TIMEOUT", "60")
    return local_site


@pytest.fixture
def impatient(mirror: LocalSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """For servers that fall silent for good: silence can only be told by a clock."""
    monkeypatch.setenv("GOCELL_TIMEOUT", "0.5")


def files_under(root: Path) -> list[str]:
    """Every file below a folder but the empty lock files of processes."""
    return sorted(
        p.relative_to(root).as_posix()
        for p in root.rglob("*")
        if p.is_file() and not (p.suffix == ".lock" and p.name.startswith(".") and p.stat().st_size == 0)
    )
