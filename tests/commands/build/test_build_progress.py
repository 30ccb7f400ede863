"""What a build tells of itself while it runs: phases, lines, a bar, and a file that is always whole."""

import json
from pathlib import Path
from typing import Any

import pytest

from gocell_cli.commands.build import build_progress as module
from gocell_cli.commands.build.build_progress import BuildProgress, build_progress
from gocell_cli.errors import InvalidInput
from gocell_cli.sources.screens import kept_pieces, table_pieces
from tests.commands.runners import document, invoke, toy_build

KEYS = [
    "status", "phase", "done", "total", "unit", "rows", "seconds", "phases", "cache", "error", "pid", "updated",
]  # fmt: skip
PHASES = ["ontology", "reading", "planning", "writing"]


def state_of(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    assert [*found] == KEYS
    return found


def test_a_finished_build_leaves_its_state_and_tells_its_phases(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    result = invoke("build-cache", *toy_build(tmp_path), "--root", tmp_path, "--state", state, "--verbose", "--json")
    assert result.exit_code == 0
    found = state_of(state)
    assert (found["status"], found["phase"], found["error"]) == ("finished", "writing", None)
    assert (found["done"], found["total"], found["unit"]) == (10, 10, "shards")
    assert [*found["phases"]] == PHASES
    assert sum(found["phases"].values()) <= found["seconds"] + 0.01
    assert found["cache"] == json.loads(result.stdout)["cache"]
    lines = [line for line in result.stderr.splitlines() if line.startswith("phase: ")]
    assert [line.split()[1] for line in lines] == PHASES
    assert "phase: " not in invoke("build-cache", *toy_build(tmp_path), "--root", tmp_path).stderr


def test_a_build_that_fails_says_so(tmp_path: Path) -> None:
    words = toy_build(tmp_path)
    (tmp_path / "mine.csv").write_text("genes,growth\nNOBODY,0.5\n", "utf-8")
    result = invoke("build-cache", *words, "--root", tmp_path, "--state", tmp_path / "state.json")
    assert isinstance(result.exception, InvalidInput)
    found = state_of(tmp_path / "state.json")
    assert (found["status"], found["phase"], found["error"]) == ("failed", "reading", result.exception.message)


def test_a_dry_run_writes_no_state(tmp_path: Path) -> None:
    document("build-cache", *toy_build(tmp_path), "--root", tmp_path, "--dry-run", "--state", tmp_path / "state.json")
    assert not (tmp_path / "state.json").exists()


def test_reading_is_told_piece_by_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told: list[dict[str, Any]] = []
    write = module.write_whole

    def seen(path: Path, content: str) -> None:
        told.append(json.loads(content))
        write(path, content)

    monkeypatch.setattr(module, "write_whole", seen)
    monkeypatch.setattr(module, "STATE_SECONDS", 0.0)
    monkeypatch.setattr(module, "LINE_SECONDS", 0.0)
    monkeypatch.setattr(table_pieces, "BYTES", 40)
    chunks = table_pieces.text_chunks
    monkeypatch.setattr(table_pieces, "text_chunks", lambda file, path: chunks(file, path, 16))
    result = invoke("build-cache", *toy_build(tmp_path), "--root", tmp_path, "--state", tmp_path / "state.json")
    assert result.exit_code == 0
    reading = [one for one in told if one["phase"] == "reading"]
    assert len(reading) > 3
    assert [one["rows"] for one in reading[1:]] == sorted(one["rows"] for one in reading[1:])
    assert (reading[-1]["rows"], reading[-1]["unit"]) == (10, "bytes")
    assert reading[-1]["total"] == (tmp_path / "mine.csv").stat().st_size
    lines = [line for line in result.stderr.splitlines() if line.startswith(("reading: ", "writing: "))]
    assert any("bytes, 10 rows" in line for line in lines)
    assert any("10 of 10 shards" in line for line in lines)
    assert kept_pieces.LONG > 10**6


def test_on_a_terminal_there_is_a_bar_and_no_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "shows_progress", lambda: True)
    monkeypatch.setattr(module, "LINE_SECONDS", 0.0)
    progress = BuildProgress(None, verbose=False)
    progress.begin("reading")
    progress.read(5, 10, 3)
    assert progress._bar is not None
    progress.begin("planning")
    assert progress._bar is None
    assert "3 rows" not in capsys.readouterr().err


def ended_by_a_signal(state: Path) -> None:
    with build_progress(state, verbose=False) as progress:
        progress.begin("reading")
        raise SystemExit(143)


def test_a_signal_is_told_as_what_ended_it(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        ended_by_a_signal(tmp_path / "state.json")
    found = state_of(tmp_path / "state.json")
    assert (found["status"], found["error"]) == ("failed", "SystemExit")
