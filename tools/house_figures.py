"""What a house costs its reader, in figures: `python tools/house_figures.py [CHECKOUT] [--json] [--traced]`.

Files, import chains and arrows of a room, files with one importer, comments, lines; and, traced with `sys.setprofile`,
the files of the package that run for one job. It reads any checkout, of any age: names are looked up in its source.
"""

import argparse
import ast
import importlib
import inspect
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import tokenize
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE = "gocell_cli"
ROOMS = ("training", "sources", "commands")
PRAGMA = re.compile(r"#\s*(noqa|type:|fmt:|pragma)")
Imports = dict[str, set[str]]


def modules(root: Path) -> dict[str, Path]:
    """Every module of the package that holds code, by its dotted name."""
    paths = sorted((root / PACKAGE).rglob("*.py"))
    return {".".join(p.relative_to(root).with_suffix("").parts): p for p in paths if p.name != "__init__.py"}


def imports(found: dict[str, Path]) -> Imports:
    """The modules of ours that each module imports, anywhere in it."""
    return {name: set(_imported(path, found)) - {name} for name, path in found.items()}


def _imported(path: Path, known: dict[str, Path]) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
            yield from (name for name in names if name in known)


def room_figures(graph: Imports, room: str) -> dict[str, int]:
    """Files, longest chain of imports and arrows within one room."""
    inside = {m: {i for i in graph[m] if _room(i) == room} for m in graph if _room(m) == room}

    @cache
    def chain(module: str) -> int:
        return 1 + max(map(chain, inside[module]), default=0)

    return {
        "files": len(inside),
        "longest import chain": max(map(chain, inside)),
        "arrows": sum(map(len, inside.values())),
    }


def _room(module: str) -> str:
    return module.split(".")[1]


def comment_share(paths: list[Path]) -> float:
    """Comment lines a hundred lines of code; docstrings are neither, nor are orders to a tool."""
    comments = code = 0
    for path in paths:
        tokens = list(tokenize.generate_tokens(io.StringIO(path.read_text("utf-8")).readline))
        told = {t.start[0] for t in tokens if t.type == tokenize.COMMENT and not PRAGMA.match(t.string)}
        empty = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
        lines = {n for t in tokens if t.type not in empty for n in range(t.start[0], t.end[0] + 1)}
        comments, code = comments + len(told), code + len(lines - _docstring_lines(path))
    return round(100 * comments / code, 1)


def _docstring_lines(path: Path) -> set[int]:
    strings = (n for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.Expr))
    return {
        line
        for node in strings
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }


def static_figures(root: Path) -> dict[str, Any]:
    """All that the source alone tells."""
    found = modules(root)
    graph = imports(found)
    importers = {m: [n for n in graph if m in graph[n]] for m in graph}
    return {
        "rooms": {room: room_figures(graph, room) for room in ROOMS},
        "files of the package": len(found),
        "files with exactly one importer": sum(len(i) == 1 for i in importers.values()),
        "comment lines a hundred code lines": comment_share(list(found.values())),
        "lines of the package": _lines(root / PACKAGE),
        "lines of the tests": _lines(root / "tests"),
    }


def _lines(folder: Path) -> int:
    return sum(len(path.read_text("utf-8").splitlines()) for path in folder.rglob("*.py"))


def entered(job: Callable[[], object], root: Path) -> list[str]:
    """The files of the package in which a function ran during `job`, in the order of their first call."""
    seen: dict[str, None] = {}
    top = str(root / PACKAGE) + os.sep

    def watch(frame: Any, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(top):
            seen.setdefault(frame.f_code.co_filename.removeprefix(top))

    sys.setprofile(watch)
    try:
        job()
    finally:
        sys.setprofile(None)
    return list(seen)


class Names:
    """A checkout's classes and functions by name alone, wherever they live."""

    def __init__(self, root: Path) -> None:
        self.found = modules(root)

    def __getitem__(self, name: str) -> Any:
        definition = re.compile(rf"^(class|def) {name}\b", re.MULTILINE)
        module = next(m for m, path in self.found.items() if definition.search(path.read_text("utf-8")))
        return getattr(importlib.import_module(module), name)


def traced_figures(root: Path) -> dict[str, list[str]]:
    """Files entered by four jobs; run in a process of its own, with the checkout first on the path."""
    names = Names(root)
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "cache"
        build = ["build-cache", "--dataset", "essentiality", "--out", str(directory), "--root", folder, "--quiet"]
        _gocell(build)
        return {
            "one training step, delta form": _step(names, root, directory, "delta"),
            "one training step, dense form": _step(names, root, directory, "dense"),
            "one TSV line of Kuzmin 2018 to a sample": _line_to_sample(names, root, Path(folder)),
            "verify-levels": entered(lambda: _gocell(["verify-levels", "--quiet"]), root),
        }


def _gocell(words: list[str]) -> None:
    sys.argv = ["gocell", *words]
    out, sys.stdout = sys.stdout, io.StringIO()
    try:
        importlib.import_module(f"{PACKAGE}.commands.app").main()
    except SystemExit as left:
        if left.code:
            raise RuntimeError(f"gocell {' '.join(words)} left with {left.code}") from left
    finally:
        sys.stdout = out


def _step(names: Names, root: Path, directory: Path, form: str) -> list[str]:
    """The trainer's own step: batch, forward, loss, backward, optimiser."""
    import numpy as np

    config = names["RunConfig"](form=form, min_width=2, ratio=0.0, epochs=1)
    opened, directory, store = names["Cache"](directory), directory.parent / form, names["RunStore"]
    reserve = getattr(store, "reserve", None)  # two runs cannot take one directory since it is reserved first
    place = store(directory) if reserve is None else lambda: reserve(directory)
    trainer = names["begin_run"](place, opened, config)
    trainer.order = trainer.train_rows
    trainer.model.train()

    asked: list[Any] = [np.arange(8)]
    if "samples" in inspect.signature(trainer._train).parameters:  # rows, their places, and how many of all processes
        asked = [trainer.train_rows[:8], np.arange(8), 8]

    def step() -> None:
        trainer._train(*asked, names["Clock"]())

    step()  # what is compiled or made once belongs to no step
    return _with_kernels(entered(step, root), root)


def _with_kernels(files: list[str], root: Path) -> list[str]:
    """The files, and those that they import for what LLVM compiled: its functions are no frame to Python."""
    found = modules(root)
    graph, names = imports(found), {str(path.relative_to(root / PACKAGE)): name for name, path in found.items()}
    for file in (reached := list(files)):  # grows as it is read: kernels import kernels
        for name in sorted(graph[names[file]]):
            path = found[name]
            compiled = (
                [getattr(getattr(v, "source", None), "function", None) for v in vars(sys.modules[name]).values()]
                if name in sys.modules
                else []
            )
            if any(f is not None and f.__code__.co_filename == str(path) for f in compiled):
                reached += {str(path.relative_to(root / PACKAGE))} - set(reached)
    return reached


def _line_to_sample(names: Names, root: Path, folder: Path) -> list[str]:
    table = folder / "aao1729_data_s1.tsv"
    read_table, columns = _kuzmin2018(names)
    values = ["YAL001C+YDL227C_tm1", "q", "YAL002W_dma1", "a", "digenic", "", "-0.5", "0.01", "", "", "0.5", "0.03"]
    table.write_text("\t".join(columns) + "\n" + "\t".join(values) + "\n", "utf-8")
    genes = names["load_genes"]()
    merge, samples = names["merge_duplicates"], names["MergedSamples"]

    def read() -> None:
        dataset = read_table(table, genes, phenotype="fitness", order="all")
        samples(dataset, merge(dataset, "mean")).part(0, 1).samples()

    return entered(read, root)


def _kuzmin2018(names: Names) -> tuple[Callable[..., Any], tuple[str, ...]]:
    """The reader of Data S1 and its columns; a checkout from before the rooms has a module of its own for it."""
    try:
        kuzmin = importlib.import_module(f"{PACKAGE}.sources.screens.kuzmin")
    except ModuleNotFoundError:
        read = names["read_kuzmin2018"]
        return read, importlib.import_module(read.__module__).COLUMNS
    return lambda path, genes, **asked: kuzmin.read(
        kuzmin.STUDIES["kuzmin2018"], [path], genes, **asked
    ), kuzmin.COLUMNS


def main() -> None:
    """Print the figures of a checkout."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", nargs="?", type=Path, default=Path(__file__).resolve().parents[1])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--traced", action="store_true", help="only the traced part, in this process")
    chosen = parser.parse_args()
    root = chosen.checkout.resolve()
    if chosen.traced:
        print(json.dumps(traced_figures(root)))
        return
    command = [sys.executable, __file__, str(root), "--traced"]
    variables = {**os.environ, "PYTHONPATH": str(root)}
    traced = subprocess.run(command, env=variables, check=True, stdout=subprocess.PIPE, text=True, timeout=600).stdout
    files = json.loads(traced.splitlines()[-1])
    figures = {**static_figures(root), "files entered": files}
    if chosen.json:
        print(json.dumps(figures, indent=1))
        return
    for name, value in figures.items():
        if name == "rooms":
            for room, found in value.items():
                print(f"{room}: " + ", ".join(f"{count} {what}" for what, count in found.items()))
        elif name == "files entered":
            for job, paths in value.items():
                print(f"files entered, {job}: {len(paths)}\n    {' '.join(paths)}")
        else:
            print(f"{name}: {value}")


if __name__ == "__main__":
    main()
