"""`tools/choice.py`: a data set that is not at hand is said to be left out."""

from pathlib import Path

import pytest

from tools.choice import GROUNDS, _caches


def test_a_data_set_that_is_not_here_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GOCELL_TEST_DATA", str(tmp_path))
    caches = _caches(tmp_path)
    assert [caches(ground) for ground in ("slice-random", "slice-query")] == [None, None]
    said = capsys.readouterr().err
    assert said.count(f"{GROUNDS['slice-random'].data.name}: left out: ") == 1
    assert "GOCELL_TEST_DATA" in said
