"""Pages that are transcripts: their files are written, their commands run, and what is printed compared."""

import re
from pathlib import Path

from tests.docs.console_blocks import differs, run, steps

FILE = re.compile(
    r"^```(?:python|bash|toml)\n((?:#![^\n]*\n)?# ([\w.-]+\.\w+): [^\n]*\n.*?)^```", re.MULTILINE | re.DOTALL
)
"""A block whose first line (behind `#!`) is a comment that begins with the name of a file: its content."""


def files(page: str) -> dict[str, str]:
    """The files that a page shows whole, by name."""
    return {name: content for content, name in FILE.findall(page)}


def hold(page: Path, folder: Path, before: str = "") -> int:
    """Write a page's files, run its commands in order, hold each to what is said to be printed; how many ran.

    before: the beginning of the first command that is not run any more; "" runs all.
    """
    text = page.read_text("utf-8")
    for name, content in files(text).items():
        (folder / name).write_text(content, "utf-8")
    found = steps(text)
    if before:
        found = found[: next(i for i, step in enumerate(found) if step.command.startswith(before))]
    for step in found:
        printed = run(step, folder)
        wrong = differs(step.expected, printed)
        assert not wrong, f"{page.name}: $ {step.command}\nexpected: {wrong}\nprinted:\n{printed}"
    return len(found)
