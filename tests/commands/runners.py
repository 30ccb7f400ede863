"""Ways to run `gocell`: the real command, a process forked with its libraries loaded, and Typer's runner in ours."""

import json
import subprocess
import sys
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from gocell_cli.commands.tree import mounted
from gocell_cli.errors import GocellError
from gocell_cli.storage.json_schemas import output_faults
from tests import toy
from tests.commands.fork_server import PROJECT, completed, environment

GOCELL = str(Path(sys.executable).parent / "gocell")
APP = mounted()


def run(*words: object, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `gocell` in a process of its own and a folder, forked; its output as text, never a terminal."""
    return completed([GOCELL, *words], cwd, environment(**variables))


def run_real(*words: object, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the console script itself, as a shell does: where how it starts is what is tested."""
    return subprocess.run(
        [GOCELL, *map(str, words)],
        cwd=cwd,
        env=environment(**variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,  # a machine under load is slow; a process that takes longer hangs
        check=False,
    )


def run_without(library: str, *words: object) -> subprocess.CompletedProcess[str]:
    """Run `gocell` in a Python that has no such library."""
    argv = ["gocell", *map(str, words)]
    code = [f"import sys; sys.modules[{library!r}] = None; sys.argv = {argv!r}"]
    code += ["from gocell_cli.commands.app import main; main()"]
    return subprocess.run(
        [sys.executable, "-c", "\n".join(code)], capture_output=True, text=True, check=False, timeout=120
    )


def looked_at(asked: Sequence[tuple[list[str], str, str]], beforehand: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Run commands (words, folder, a library that is missing or "") and look what each had loaded by its end.

    `beforehand` are loaded before the first of them.
    """
    done = subprocess.run(
        [sys.executable, "-m", "tests.commands.model.refused", *beforehand], input=json.dumps(asked),
        capture_output=True, text=True, cwd=PROJECT, env=environment(), check=True, timeout=600,
    )  # fmt: skip
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def toy_build(folder: Path) -> list[object]:
    """The options of a build that takes no second: ten double deletions, a shard each, on the toy's hierarchy."""
    rows = "".join(f"{a} {b},0.{i}\n" for i, (a, b) in enumerate(combinations(toy.GENES, 2)))
    table = folder / "mine.csv"
    table.write_text(f"genes,growth\n{rows}", "utf-8")
    files = ["--obo", toy.write_obo(folder), "--gaf", toy.write_gaf(folder)]
    return ["--dataset", "table", "--raw", table, *files, "--shard-size", 1]


def invoke(*words: object) -> Result:
    """Run the app in this process; a GocellError comes back as `result.exception`."""
    return CliRunner().invoke(APP, [str(w) for w in words])


def document(*words: object) -> Any:
    """Run a command that prints JSON and succeeds; return the document, which is as its schema has it."""
    result = invoke(*words, "--json")
    assert result.exit_code == 0, (result.output, result.exception)
    return _held(words, result.stdout)


def _held(words: Sequence[object], text: str) -> Any:
    found = json.loads(text)
    assert output_faults([str(word) for word in words], found) == []
    return found


def predicted(run: Path, *words: object) -> list[dict[str, Any]]:
    """What `predict` says of each genotype that is named."""
    found: list[dict[str, Any]] = document("predict", run, *words)["predictions"]
    return found


def document_apart(*words: object) -> Any:
    """As `document`, for jobs of full size: in a process of its own, where beartype does not double their time."""
    done = run(*words, "--json", cwd=Path.cwd())
    assert done.returncode == 0, done.stderr
    return _held(words, done.stdout)


def failure(*words: object) -> GocellError:
    """Run a command that fails with one of our errors and prints nothing on stdout; return the error."""
    result = invoke(*words)
    assert isinstance(result.exception, GocellError), (result.output, result.exception)
    assert result.stdout == ""
    return result.exception
