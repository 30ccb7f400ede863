"""Runs the ```console blocks of a Markdown page in the real shell and compares what they print.

A line that begins with `$ ` is a command; the lines below it are what it must print, in this order, `...` standing for
anything: for any lines where it is all of a line, for any text inside one. Blank lines and runs of blanks do not count.
"""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.commands.runners import environment

BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Step:
    """A command, and the lines it is said to print."""

    command: str
    expected: tuple[str, ...]


def steps(page: str) -> list[Step]:
    """The commands of a page, in order."""
    found: list[Step] = []
    for block in BLOCK.findall(page):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *lines = part.rstrip("\n").split("\n")
            found.append(Step(command, tuple(lines)))
    return found


def run(step: Step, folder: Path) -> str:
    """Run a command as a user would, with this interpreter's scripts first on the path; its output, both streams."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    process = subprocess.run(
        ["bash", "-c", step.command],
        cwd=folder,
        env=environment(PATH=path),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,  # a guard alone: the machine may be busy
        check=False,
    )
    assert process.returncode == 0, f"$ {step.command}\n{process.stdout}"
    return process.stdout


def differs(expected: tuple[str, ...], printed: str) -> str:
    """The first expected line that does not come in its turn; "" where all do."""
    lines = [" ".join(line.split()) for line in printed.splitlines() if line.strip()]
    at, free = 0, False
    for wanted in (" ".join(line.split()) for line in expected if line.strip()):
        if wanted == "...":
            free = True
            continue
        pattern = re.compile(".*".join(map(re.escape, wanted.split("..."))))
        matching = next((i for i in range(at, len(lines)) if pattern.fullmatch(lines[i])), None)
        if matching is None or (matching != at and not free):
            return wanted
        at, free = matching + 1, False
    return "" if free or at == len(lines) else f"not said to be printed: {lines[at]}"
