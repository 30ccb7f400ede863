"""What every command does alike: --quiet, --json, --help, colours, from the real console script."""

import json
from pathlib import Path

import pytest
import typer

from gocell_cli.commands.shell.panels import LONG, OTHERS, PANELS
from gocell_cli.commands.shell.settings import leaves
from gocell_cli.commands.tree import mounted
from tests.commands.conftest import Built
from tests.commands.runners import run, run_real

LEAVES = dict(leaves(typer.main.get_command(mounted())))
WITHOUT_JSON: set[tuple[str, ...]] = set()
ESCAPE = "\x1b["
ITS_OWN = {
    ("explain",): {"genes", "sort", "control_runs", "rlipp_samples", "samples", "least_power", "least_activations"}
    | {"top", "even_so"},
    ("predict",): {"terms", "top", "rank_by", "all_pairs", "all_triples", "model"},
    ("export",): {"hierarchy_format", "no_tables"},
}
"""Of long commands, the options that no other panel than `Options` fits."""


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
    assert json.loads(both.stdout)["sample"] == 0


@pytest.mark.parametrize("words", [("verify-levels",), ("--help",), ("inspect", "term", "nothing like it")])
def test_no_color_wins_over_a_terminal_that_has_colours(words: tuple[str, ...], tmp_path: Path) -> None:
    coloured = run_real(*words, cwd=tmp_path, FORCE_COLOR="1", TERM="xterm-256color")
    assert ESCAPE in coloured.stdout + coloured.stderr
    plain = run_real(*words, cwd=tmp_path, NO_COLOR="1", FORCE_COLOR="1", TERM="xterm-256color")
    colours = [f"{ESCAPE}{n}" for n in range(30, 50)] + [f"{ESCAPE}1;3"]
    assert not [code for code in colours if code in plain.stdout + plain.stderr]


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_a_long_command_has_its_options_in_panels(words: tuple[str, ...]) -> None:
    """What stands in no panel is the command's own; a new option of the shared kinds must be given its panel."""
    shown = LEAVES[words].get_params(typer.Context(LEAVES[words]))
    options = [param for param in shown if param.param_type_name == "option"]
    panels = [param.rich_help_panel for param in options]
    if len(options) <= LONG:
        assert {*panels} == {None}
        return
    order = [OTHERS, *PANELS]
    assert panels == sorted(panels, key=order.index)  # each panel in one piece, in the one order
    assert panels[-1] == "Output"
    assert {param.name for param in options if param.rich_help_panel == OTHERS} <= ITS_OWN.get(words, set())


def test_short_names(tmp_path: Path) -> None:
    assert run("-V", cwd=tmp_path).stdout == run("--version", cwd=tmp_path).stdout
    for words in ((), ("inspect",), ("inspect", "sample"), ("build-cache",)):
        assert run(*words, "-h", cwd=tmp_path).stdout == run(*words, "--help", cwd=tmp_path).stdout
    made = run("plot", "levels", "-o", "levels.svg", "-q", cwd=tmp_path)
    assert (made.returncode, made.stdout) == (0, "levels.svg\n"), made.stderr
    assert (tmp_path / "levels.svg").exists()


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_out_is_spelled_alike(words: tuple[str, ...]) -> None:
    spelled = [param.opts for param in LEAVES[words].params if "--out" in param.opts]
    assert spelled in ([], [["--out", "-o"]])
