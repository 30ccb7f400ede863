"""Two hundred and more things that a user does wrong: exit code, the one line that says what, and a hint.

A line of wrong_usages.tsv: exit code, the words after `gocell`, what follows `error: `; FOLDER is where it runs.
A change on purpose is written anew, and read (git diff): GOCELL_TEST_KEEP=1 pytest tests/commands/test_wrong_usages.py
"""

import os
from pathlib import Path
from typing import Any

import pytest

from gocell_cli.commands.tree import COMMANDS, GROUPS
from tests.commands import wrong_folder
from tests.commands.runners import looked_at

TABLE = Path(__file__).with_name("wrong_usages.tsv")
ROWS = [tuple(line.split("\t")) for line in TABLE.read_text("utf-8").splitlines()]
LIBRARIES = ("numpy", "pyarrow.parquet", "pyarrow.csv", "pyarrow.compute")
TRAINER = {"torch", "llvmlite", "scipy"}


@pytest.fixture(scope="module")
def found(small_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What became of each of ROWS; `first` is the error's line."""
    folder = wrong_folder.make(tmp_path_factory.mktemp("wrong"), small_cache)
    before = sorted(folder.rglob("*"))
    got = looked_at([(words.split(), str(folder), "") for _, words, _ in ROWS], LIBRARIES)
    for one in got:
        lines = one["errors"].splitlines()
        one["told"] = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
        one["first"] = "".join(one["told"][:1]).replace(str(folder), "FOLDER")
    if os.environ.get("GOCELL_TEST_KEEP"):
        kept = [f"{one['code']}\t{words}\t{one['first']}\n" for (_, words, _), one in zip(ROWS, got, strict=True)]
        TABLE.write_text("".join(kept), "utf-8")
    assert sorted(folder.rglob("*")) == before  # nothing was made, and nothing removed
    return got


@pytest.mark.parametrize("number", range(len(ROWS)), ids=[words for _, words, _ in ROWS])
def test_what_is_wrong_is_told_in_one_line(number: int, found: list[dict[str, Any]]) -> None:
    (code, _, message), got = ROWS[number], found[number]
    assert (got["code"], got["first"]) == (int(code), message), got["errors"]
    assert len(got["told"]) == 1
    assert "Traceback" not in got["errors"]
    assert "\nhint: " in got["errors"]
    assert not TRAINER & set(got["loaded"])


def test_they_are_of_every_command() -> None:
    """And each stands there once."""
    asked = [words for _, words, _ in ROWS]
    assert len(asked) == len(set(asked)) > 200
    commands = {words.split()[0] for words in asked}
    for name in (*COMMANDS, *GROUPS):
        assert name in commands
