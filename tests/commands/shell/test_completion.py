"""What a shell gets after TAB, from the real console script."""

from pathlib import Path

import pytest

from tests.commands.conftest import Built
from tests.commands.runners import run_real


def _offered(line: str, cwd: Path, **variables: str) -> list[str]:
    """The words that bash would offer for a command line whose last word is being typed."""
    words = line.split(" ")
    process = run_real(
        cwd=cwd,
        _GOCELL_COMPLETE="complete_bash",
        COMP_WORDS=line,
        COMP_CWORD=str(len(words) - 1),
        **variables,
    )
    assert process.returncode == 0, process.stderr
    return process.stdout.split("\n")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("gocell ins", "inspect"),
        ("gocell inspect te", "term"),
        ("gocell build-cache --data", "--dataset"),
        ("gocell build-cache --dataset kuz", "kuzmin2020"),
        ("gocell build-cache --preset ", "ma2018"),
        ("gocell inspect term GO:00009", "GO:0000932"),
        ("gocell inspect term Mitochondri", "Mitochondrion"),
        ("gocell inspect gene dcp", "dcp1"),
        ("gocell inspect samples --gene YGL222", "YGL222C"),
    ],
)
def test_names_are_offered(line: str, expected: str, tmp_path: Path) -> None:
    assert expected in _offered(line, tmp_path)


def test_nothing_is_offered_that_begins_otherwise(tmp_path: Path) -> None:
    assert set(_offered("gocell inspect gene DCP", tmp_path)) <= {"DCP1", "DCP2", "DCPS", ""}


def test_caches_of_the_data_root_are_offered(essentiality: Built, tmp_path: Path) -> None:
    offered = _offered("gocell cache verify ", tmp_path, GOCELL_ROOT=str(essentiality.root))
    assert str(essentiality.cache) in offered
