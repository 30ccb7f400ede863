"""A file is there whole, or as it was before."""

from pathlib import Path

import pytest

from gocell_cli.whole_file import exchange, whole_file, write_whole


def test_a_file_gets_its_name_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "figure.svg"
    with whole_file(path) as temporary:
        temporary.write_text("half")
        assert temporary.suffix == ".svg"
        assert not path.exists()
    write_whole(path, "ganz ä")
    assert path.read_bytes() == "ganz ä".encode()
    assert list(tmp_path.iterdir()) == [path]


def _fail(path: Path, error: type[BaseException]) -> None:
    with whole_file(path) as temporary:
        temporary.write_text("half")
        raise error


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_what_stood_there_stays_where_writing_fails(error: type[BaseException], tmp_path: Path) -> None:
    path = tmp_path / "latest"
    write_whole(path, b"before")
    with pytest.raises(error):
        _fail(path, error)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_two_folders_change_places(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
        (folder / folder.name).write_text("x")
    if not exchange(one, other):
        pytest.skip("no exchange on this system or file system")
    assert [p.name for p in (*one.iterdir(), *other.iterdir())] == ["other", "one"]
    with pytest.raises(FileNotFoundError, match="missing"):
        exchange(one, tmp_path / "missing")
