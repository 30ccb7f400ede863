"""What every command does alike: --quiet, --json, --help, colours, from the real console script."""

import json
from pathlib import Path

import pytest
import typer

from gocell_cli.commands.shell.settings import leaves
from gocell_cli.commands.tree import mounted
from tests.commands.conftest import Built
from tests.commands.runners import run, run_real

LEAVES = dict(leaves(typer.main.get_command(mounted())))
WITHOUT_JSON: set[tuple[str, ...]] = set()
ESCAPE = "\x1b["


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_every_command_takes_json_and_quiet(words: tuple[str, ...]) -> None:
    flags = {name for param in LEAVES[words].params for name in param.opts}
    assert {"--quiet", "-q"} <= flags
    assert "--json" in flags


def test_quiet_leaves_what_was_made(essentiality: Built, tmp_path: Path) -> None:
    again = run("build-cache", "--root", essentiality.root, "-q", cwd=tmp_path)
    assert (again.returncode, again.stdout, again.stderr) == (0, f"{essentiality.cache}\n", "")
    loud = run("build-cache", "--root", essentiality.root, cwd=tmp_path)
    assert "up to date" in loud.stdout
    exported = run("export", "--root", essentiality.root, "--out", "a.tsv", "--quiet", cwd=tmp_path)
    assert (exported.stdout, exported.stderr) == ("a.tsv\n", "")


def test_quiet_leaves_errors_and_exit_codes(tmp_path: Path) -> None:
    failed = run("verify-levels", "--by", "level", "--quiet", cwd=tmp_path)
    assert (failed.returncode, failed.stdout, failed.stderr) == (3, "", "")
    missing = run("inspect", "sample", "0", "--quiet", cwd=tmp_path)
    assert missing.returncode == 6
    assert "hint:" in missing.stderr


def test_json_wins_over_quiet(essentiality: Built, tmp_path: Path) -> None:
    both = run("inspect", "sample", "0", "--root", essentiality.root, "--quiet", "--json", cwd=tmp_path)
    assert json.loads(both.stdout)["index"] == 0


@pytest.mark.parametrize("words", [("verify-levels",), ("--help",), ("inspect", "term", "nothing like it")])
def test_no_color_wins_over_a_terminal_that_has_colours(words: tuple[str, ...], tmp_path: Path) -> None:
    coloured = run_real(*words, cwd=tmp_path, FORCE_COLOR="1", TERM="xterm-256color")
    assert ESCAPE in coloured.stdout + coloured.stderr
    plain = run_real(*words, cwd=tmp_path, NO_COLOR="1", FORCE_COLOR="1", TERM="xterm-256color")
    colours = [f"{ESCAPE}{n}" for n in range(30, 50)] + [f"{ESCAPE}1;3"]
    assert not [code for code in colours if code in plain.stdout + plain.stderr]
