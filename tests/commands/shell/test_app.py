"""The command itself: help, version, exit codes, and what goes to stdout and to stderr."""

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.commands.conftest import Built
from tests.commands.runners import invoke, run_real


def test_help_names_every_command_and_exit_code(tmp_path: Path) -> None:
    process = run_real("--help", cwd=tmp_path)
    assert (process.returncode, process.stderr) == (0, "")
    for word in (
        "fetch",
        "verify-levels",
        "build-cache",
        "inspect",
        "cache",
        "train",
        "evaluate",
        "predict",
        "explain",
        "Exit codes",
        "143",
    ):
        assert word in process.stdout


def test_the_package_runs_as_a_module_too(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "gocell_cli", "-V"], cwd=tmp_path, capture_output=True, check=True)
    assert done.stdout == run_real("-V", cwd=tmp_path).stdout.encode()


@pytest.mark.parametrize(
    "command",
    [
        ["fetch"],
        ["verify-levels"],
        ["build-cache"],
        ["inspect"],
        ["inspect", "sample"],
        ["cache"],
        ["train"],
        ["evaluate"],
        ["predict"],
        ["explain"],
    ],
)
def test_every_command_has_help(command: list[str]) -> None:
    result = invoke(*command, "--help")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "Usage:" in result.stdout


def test_version(tmp_path: Path) -> None:
    process = run_real("--version", cwd=tmp_path)
    assert (process.returncode, process.stdout, process.stderr) == (0, f"gocell {version('gocell')}\n", "")


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["verify-levels", "--by", "nonsense"],
        ["verify-levels", "--max-findings", "-1"],
        ["verify-levels", "--nonsense"],
        ["build-cache", "--dataset", "nonsense"],
        ["build-cache", "--shard-size", "0"],
        ["build-cache", "--workers", "0"],
        ["build-cache", "--min-genes", "many"],
        ["inspect", "sample"],
        ["inspect", "sample", "-1"],
        ["inspect", "sample", "first"],
    ],
    ids=" ".join,
)
def test_what_the_command_line_cannot_mean_exits_2(words: list[str]) -> None:
    result = invoke(*words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr


def test_an_error_is_told_on_stderr_with_why_and_hint(tmp_path: Path) -> None:
    process = run_real("verify-levels", "--relations", "nonsense", cwd=tmp_path)
    assert (process.returncode, process.stdout) == (2, "")
    error, why, hint = process.stderr.splitlines()
    assert error == "error: unknown relation: nonsense"
    assert why.startswith("why: ")
    assert hint == "hint: --relations is_a"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["build-cache", "--phenotype", "tau"], 2),
        (["verify-levels", "--obo", "missing.obo"], 6),
        (["build-cache", "--dataset", "kuzmin2018", "--raw", "missing.tsv"], 6),
        (["build-cache", "--dataset", "kuzmin2018", "--offline"], 6),
        (["inspect", "sample", "0"], 6),
        (["cache", "verify"], 6),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else str(words),
)
def test_exit_codes_of_the_real_command(tmp_path: Path, words: list[str], code: int) -> None:
    process = run_real(*words, "--json", cwd=tmp_path)
    assert (process.returncode, process.stdout) == (code, "")
    assert process.stderr.startswith("error: ")
    assert "Traceback" not in process.stderr
    assert list(tmp_path.iterdir()) == []


def test_with_json_a_damaged_cache_is_told_on_stdout_too(essentiality: Built, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "manifest.json").write_bytes((essentiality.cache / "manifest.json").read_bytes() + b" ")
    process = run_real("inspect", "sample", 0, "--cache", broken, "--json", cwd=tmp_path)
    told = json.loads(process.stdout)
    assert (process.returncode, told["ok"], told["exit_code"]) == (5, False, 5)
    assert told["error"] in process.stderr
