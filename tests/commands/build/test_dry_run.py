"""`build-cache --dry-run`: a forecast that the real build bears out, and nothing written."""

import tempfile
from pathlib import Path

import pytest

from tests.commands.conftest import Built
from tests.commands.runners import document, failure, invoke


def _bytes(cache: Path) -> int:
    return sum(f.stat().st_size for f in cache.rglob("*") if f.is_file() and f.name != "manifest.json")


@pytest.mark.parametrize(("backend", "shard_size"), [("parquet", 20_000), ("both", 5_000)])
def test_the_forecast_is_what_the_build_takes(backend: str, shard_size: int, tmp_path: Path) -> None:
    words = ["build-cache", "--dataset", "simulated", "--samples", 20_000, "--panel", 300, "--shard-size", shard_size]
    words += ["--backend", backend, "--root", tmp_path / "root"]
    planned = document(*words, "--dry-run")
    assert not (tmp_path / "root").exists()
    assert (planned["status"], planned["would"], planned["forecast"]["measured_samples"]) == (
        "dry run",
        "build",
        shard_size,
    )
    built = document(*words)
    for name in ("cache", "fingerprint", "samples", "shards", "terms", "rows", "dropped"):
        assert planned[name] == built[name], name
    assert planned["forecast"]["bytes"] == pytest.approx(_bytes(Path(built["cache"])), rel=0.02)
    assert planned["forecast"]["writing_seconds"] > 0
    assert document(*words, "--dry-run")["would"] == "find it up to date"


def test_nothing_is_left_behind_and_nothing_overwritten(
    essentiality: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = {p: p.stat().st_mtime_ns for p in essentiality.root.rglob("*")}
    words = ["build-cache", "--root", essentiality.root, "--dry-run"]
    assert document(*words, "--overwrite")["would"] == "replace"
    shown = invoke(*words).stdout
    assert "would find it up to date" in shown
    assert "Nothing was written" in shown
    assert {p: p.stat().st_mtime_ns for p in essentiality.root.rglob("*")} == before
    assert list(tmp_path.iterdir()) == []
    refused = failure(*words, "--out", essentiality.cache, "--min-genes", 5)
    assert "holds something else" in refused.message
