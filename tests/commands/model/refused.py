"""`gocell` run many times, each in a process forked from one that has loaded Typer and nothing else; what each loaded.

    python -m tests.commands.model.refused [MODULE ...] < commands.json > found.json

The parent loads the modules that are named besides: where it does not matter that a command loads them, it costs less.

A command is its words and the folder it runs in; of each comes its exit code, its stderr, and which of MODULES it had
loaded when it ended. What is to be known is what a command loads before it refuses, so none may come with the parent.
"""

import importlib.util
import json
import os
import sys
import tempfile
from typing import Any, NoReturn

MODULES = (
    *("torch", "llvmlite", "scipy", "torchmetrics", "torch_geometric", "safetensors.torch"),
    *("numpy", "pyarrow", "matplotlib"),
)


def _run(words: list[str], folder: str, missing: str, out: str) -> NoReturn:
    os.chdir(folder)
    sys.argv = ["gocell", *words]
    if missing:  # a library of the extra that is not installed
        sys.modules[missing] = None  # type: ignore[assignment]
    from gocell_cli.commands.app import main

    code: object = 0
    with open(os.devnull, "w") as nothing, open(f"{out}/errors", "w") as errors:  # noqa: PTH123
        os.dup2(nothing.fileno(), 1)
        os.dup2(errors.fileno(), 2)
        try:
            main()
        except SystemExit as stop:
            code = stop.code
        sys.stderr.flush()
    loaded = [name for name in MODULES if sys.modules.get(name) is not None]
    with open(f"{out}/loaded.json", "w") as file:  # noqa: PTH123
        json.dump({"code": code, "loaded": loaded}, file)
    os._exit(0)


def _found(words: list[str], folder: str, missing: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as out:
        child = os.fork()
        if child == 0:
            _run(words, folder, missing, out)
        os.waitpid(child, 0)
        with open(f"{out}/loaded.json") as file, open(f"{out}/errors") as errors:  # noqa: PTH123
            return {**json.load(file), "errors": errors.read()}


if __name__ == "__main__":
    for name in ("typer", "rich.console", "pydantic", *sys.argv[1:]):
        importlib.import_module(name)
    json.dump([_found(*command) for command in json.load(sys.stdin)], sys.stdout)
