"""Files on their way, and what may remain of them."""

from pathlib import Path

import pytest

from tests.sources.http_server import LocalSite


@pytest.fixture
def mirror(local_site: LocalSite, monkeypatch: pytest.MonkeyPatch) -> LocalSite:
    """The server as GOCELL_MIRROR, with waits that suit a test."""
    monkeypatch.setenv("GOCELL_MIRROR", local_site.url + "/")
    monkeypatch.setenv("GOCELL_TIMEOUT", "0.5")
    return local_site


def files_under(root: Path) -> list[str]:
    """Every file below a folder but the empty lock files of processes."""
    return sorted(
        p.relative_to(root).as_posix()
        for p in root.rglob("*")
        if p.is_file() and not (p.suffix == ".lock" and p.name.startswith(".") and p.stat().st_size == 0)
    )
