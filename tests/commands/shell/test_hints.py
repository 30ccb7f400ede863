"""Every command that the code tells somebody to type is one: its words are commands, its options are theirs."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import typer

from gocell_cli.commands.shell.settings import leaves
from gocell_cli.commands.tree import mounted

CODE = Path(__file__).resolve().parents[3] / "gocell_cli"
TREE: Any = typer.main.get_command(mounted())
GLOBAL = {"--help"}
ENDS = re.compile(r"[;,()`'\"]| or | and |: |\n|\.$|\. ")
"""What ends a command within a sentence."""
OPTIONS = {words: {o for p in leaf.params for o in p.opts} | GLOBAL for words, leaf in leaves(TREE)}


@cache
def strings() -> list[tuple[str, str, bool]]:
    """(place, text, whether it is a hint) of every string of the code; what is filled in reads X."""
    return list(_strings())


def _strings() -> Iterator[tuple[str, str, bool]]:
    for path in sorted(CODE.rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        hints = {id(k.value) for n in ast.walk(tree) if isinstance(n, ast.Call) for k in n.keywords if k.arg == "hint"}
        inner = {id(v) for n in ast.walk(tree) if isinstance(n, ast.JoinedStr) for v in n.values}
        for node in ast.walk(tree):
            where = f"{path.relative_to(CODE)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.JoinedStr):
                filled = "".join(str(v.value) if isinstance(v, ast.Constant) else "X" for v in node.values)
                yield where, filled, id(node) in hints
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner:
                yield where, node.value, id(node) in hints


def commands_in(text: str) -> Iterator[list[str]]:
    """The words after each `gocell` that is the name of a program."""
    for found in re.finditer(r"(?<![\w./'\[-])(?<!the )(?<!this )gocell (?=[a-z])", text):
        yield ENDS.split(text[found.end() :])[0].split()


def walk(words: list[str]) -> tuple[tuple[str, ...], Any]:
    """The command that words begin with, and its words."""
    command, taken = TREE, []
    for word in words:
        children = getattr(command, "commands", None)
        if children is None or word not in children:
            break
        command = children[word]
        taken.append(word)
    return tuple(taken), command


def test_the_commands_of_hints_exist() -> None:
    known, wrong, seen = set(TREE.commands), [], 0
    for where, text, hint in strings():
        for words in commands_in(text):
            taken, command = walk(words)
            if not taken and not hint and words[0] not in known:
                continue  # prose, such as `this gocell reads version 1`
            seen += 1
            options = {w.partition("=")[0] for w in words if re.fullmatch(r"--[a-z-]+(=.*)?", w)}
            ours = OPTIONS.get(taken, GLOBAL)
            if not taken or not options <= ours or (options and getattr(command, "commands", None)):
                wrong.append((where, " ".join(words), sorted(options - ours)))
    assert seen > 40
    assert not wrong


def test_the_options_of_hints_exist() -> None:
    every = set().union(*OPTIONS.values())
    ours = [(where, text) for where, text, hint in strings() if hint and not text.startswith(("pip ", "torchrun "))]
    found = {(where, o) for where, text in ours for o in re.findall(r"(?<![\w-])--[a-z-]+", text)}
    assert len(found) > 40
    assert not [pair for pair in found if pair[1] not in every]
