"""Places and numbers that cannot be used end in one clear error, with nothing changed."""

from pathlib import Path

from tests.commands.runners import run


def test_a_folder_that_is_no_cache_is_never_replaced(tmp_path: Path) -> None:
    thesis = tmp_path / "out" / "thesis.txt"
    thesis.parent.mkdir()
    thesis.write_text("years of work")
    for out in (thesis.parent, thesis):
        result = run("build-cache", "--root", tmp_path / "root", "--out", out, "--overwrite", cwd=tmp_path)
        assert (result.returncode, result.stdout) == (2, "")
        assert "is no cache, so it is not replaced" in result.stderr
    assert thesis.read_text() == "years of work"


def test_out_may_be_the_current_folder_and_is_refused_where_it_is_taken(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = run("build-cache", "--root", tmp_path / "root", "--out", ".", cwd=tmp_path)
    assert result.returncode == 2
    assert "holds something else" in result.stderr


def test_a_data_root_that_is_a_file_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    (tmp_path / "root").touch()
    result = run("build-cache", "--root", tmp_path / "root", "--out", tmp_path / "cache", cwd=tmp_path)
    assert result.returncode == 2
    assert "the data root is no folder" in result.stderr
    assert not (tmp_path / "cache").exists()


def test_filters_that_leave_no_term_are_refused(tmp_path: Path) -> None:
    result = run("build-cache", "--root", tmp_path / "root", "--min-genes", 10_000, cwd=tmp_path)
    assert result.returncode == 4
    assert "no annotated term with 10000 genes or more is left" in result.stderr
    assert not (tmp_path / "root").exists()
