"""Writes what the docs take from the code: every command and option, every field of the format, exit codes, figures."""

import inspect
import json
import subprocess
import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, get_args

import typer

from gocell_cli import errors
from gocell_cli.commands.shell.settings import leaves, options, variable_names
from gocell_cli.commands.tree import mounted
from gocell_cli.training.runs.settings import settings_reference, shown

ROOT = Path(__file__).resolve().parent.parent
SCHEMAS = {
    "manifest": "manifest.json and part.json",
    "hierarchy": "hierarchy/*.parquet, provenance/*.parquet",
    "samples": "samples/part-NNNNN.parquet",
    "series": "series.json, of a series of runs",
    "run": "run.json, of a run",
}
FIGURES = {"go_batch_distribution": "batches", "go_level_vs_batch_comparison": "comparison"}
SIGNALS = ((130, "interrupted by SIGINT"), (143, "interrupted by SIGTERM"))


def write(folder: Path) -> None:
    """Write every generated page and figure into a folder."""
    folder.mkdir(exist_ok=True)
    pages = {
        "commands": commands(),
        "exit-codes": exit_codes(),
        "schemas": schemas(),
        "json": json_reference(),
        "settings": settings(),
    }
    for name, text in pages.items():
        (folder / f"{name}.md").write_text(text, "utf-8")
    for name, kind in FIGURES.items():
        out = folder / f"{name}.svg"
        command = [sys.executable, "-c", "from gocell_cli.commands.app import main; main()", "plot", kind]
        subprocess.run([*command, "--out", str(out), "--overwrite"], check=True, stdout=subprocess.DEVNULL)


def commands() -> str:
    """The reference of the command line, from Typer's own objects."""
    tree: Any = typer.main.get_command(mounted())
    variables = {(o.words, o.name): variable_names(o)[1] for o in options(tree)}
    lines = ["# Commands", "", _text(tree.help), ""]
    for words, leaf in leaves(tree):
        lines += [f"## gocell {' '.join(words)}", "", _text(leaf.help), "", *_usage(words, leaf), ""]
        rows = [_row(words, leaf, param, variables) for param in leaf.params if not getattr(param, "hidden", False)]
        if rows:
            lines += ["| | values, default | |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows), ""]
    return "\n".join(lines) + "\n"


def _usage(words: tuple[str, ...], leaf: Any) -> Iterator[str]:
    arguments = [p.name.upper() if p.required else f"[{p.name.upper()}]" for p in leaf.params if _is_argument(p)]
    yield from ("```console", f"$ gocell {' '.join([*words, *arguments, '[OPTIONS]'])}", "```")


def _is_argument(param: Any) -> bool:
    return bool(param.param_type_name == "argument")


def _row(
    words: tuple[str, ...], leaf: Any, param: Any, variables: dict[tuple[tuple[str, ...], str], str]
) -> tuple[str, str, str]:
    name = f"`{param.name.upper()}`" if _is_argument(param) else ", ".join(f"`{o}`" for o in param.opts)
    variable = variables.get((words, param.name))
    told = f"{_text(param.help)}{f' `{variable}`' if variable else ''}"
    return name, _values(leaf, param), told.replace("|", "\\|")


def _values(leaf: Any, param: Any) -> str:
    """What an option takes, and its default where it has one."""
    parameter = inspect.signature(leaf.callback).parameters.get(param.name)
    kinds = _kinds(parameter.annotation) if parameter is not None else []
    kind = next((k for k in kinds if isinstance(k, type) and issubclass(k, Enum)), None)
    said = " \\| ".join(f"`{member.value}`" for member in kind) if kind is not None else _kind(kinds)
    least, most = getattr(param, "min", None), getattr(param, "max", None)
    said += f", at least {least}" if least is not None else ""
    said += f", at most {most}" if most is not None else ""
    said += ", repeatable" if getattr(param, "multiple", False) else ""
    default = getattr(param.default, "value", param.default)
    shown = "" if param.default in (None, False, ()) or callable(param.default) else f"; `{default}`"
    return f"{'required; ' if param.required else ''}{said}{shown}"


def _kinds(annotation: Any) -> list[Any]:
    """All types inside an annotation."""
    inner = get_args(annotation)
    return [kind for part in inner for kind in _kinds(part)] if inner else [annotation]


def _kind(kinds: list[Any]) -> str:
    names = {Path: "path", int: "number", float: "number", str: "text", bool: "flag"}
    return next((names[k] for k in kinds if k in names), "")


def _text(text: str | None) -> str:
    """A help text as Markdown: rich's escaped brackets become plain ones."""
    return inspect.cleandoc(text or "").replace("\\[", "[")


def exit_codes() -> str:
    """The table of exit codes, from the errors themselves."""
    rows = [(0, "done"), *sorted(_error_rows()), *SIGNALS]
    lines = [
        "# Exit codes",
        "",
        "| code | meaning |",
        "|---|---|",
        *(f"| {code} | {meaning} |" for code, meaning in rows),
    ]
    told = (
        "An error says what and where, `why:`, and a `hint:` to paste, on stderr. With `--json`, stdout holds a JSON"
        " document for exit codes 3 and 5 as well."
    )
    return "\n".join([*lines, "", told]) + "\n"


def _error_rows() -> Iterator[tuple[int, str]]:
    """(code, what the class says of itself) of each error class that has a code of its own."""
    yield errors.GocellError.exit_code, "internal error"
    classes = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, errors.GocellError)]
    for error in classes:
        if "exit_code" in vars(error) and error is not errors.GocellError:
            yield error.exit_code, f"{error.__name__}: {_text(error.__doc__).splitlines()[0]}"


def schemas() -> str:
    """Every field of the format, from the JSON Schemas."""
    lines = [
        "# Fields of the format",
        "",
        "From `schemas/*.schema.json`; [the format in prose](../format.md) says what they mean together.",
        "",
    ]
    for name, files in SCHEMAS.items():
        schema = _schema(name)
        lines += [f"## {files}", ""]
        tables = {"": schema} if "properties" in schema else {}
        tables |= {key: part for key, part in schema.get("$defs", {}).items() if "properties" in part}
        for key, part in tables.items():
            lines += [f"### {key}", ""] if key else []
            lines += [part.get("description", ""), "", "| field | type | |", "|---|---|---|"]
            lines += [f"| {' | '.join(_field(part, field))} |" for field in part["properties"]]
            lines += [""]
    return "\n".join(lines) + "\n"


def settings() -> str:
    """Every setting of a run, from RunConfig and what is said beside it."""
    lines = [
        "# Settings of a run", "",
        "`gocell train --set NAME=VALUE`, or in `--config FILE.toml`; `gocell train --settings` prints this table."
        " [What the defaults were chosen by](../howto/settings.md).",
        "", "| name | type | default | takes | | since |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for one in settings_reference():
        default = f"`{shown(one.default)}`" if one.default not in ("", ()) else "nothing"
        lines.append(f"| `{one.name}` | {one.type} | {default} | {one.allowed} | {one.about} | {one.since} |")
    return "\n".join(lines) + "\n"


def json_reference() -> str:
    """What each command prints with --json: its shapes, and every key of them with what it means everywhere."""
    parts = {name: part["$defs"] for name, part in _schema("output")["$defs"].items()}
    rows = [
        (f"`gocell {name.replace('-', ' ', 1) if name not in TOGETHER else name}`", told["description"], _shapes(told))
        for name, told in parts["commands"].items()
    ]
    lines = ["# What `--json` prints", "", JSON_INTRODUCTION, "", "| command | | document |", "|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    for name, shape in parts["shapes"].items():
        lines += ["", f"## {name.replace('_', ' ')}", "", shape["description"], "", "| key | type | |", "|---|---|---|"]
        for key, site in shape["properties"].items():
            meaning = parts["keys"][key]
            own = {word: value for word, value in site.items() if word != "$ref"}
            form = own.pop("allOf")[1] if "allOf" in own else own or meaning
            optional = "" if key in shape.get("required", ()) else " (optional)"
            lines.append(f"| `{key}` | {_form(form)}{optional} | {meaning['description']} |")
    return "\n".join(lines) + "\n"


TOGETHER = ("verify-levels", "build-cache")
"""Commands whose own name has a hyphen."""
JSON_INTRODUCTION = (
    "From `schemas/output.schema.json`, which tests hold what is printed to. A document is an object, and a key"
    " means the same in all of them; a map has names of your data or of metrics as its keys. Exit codes 3 and 5 are"
    " answers too: where a command has no document for them it prints [error](#error)."
)


def _schema(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "schemas" / f"{name}.schema.json").read_text("utf-8"))
    return found


def _shapes(told: dict[str, Any]) -> str:
    """The shapes of a command's document, linked; `error`, which all may print, left out."""
    found = [_form(one) for one in told.get("anyOf", [told]) if not one["$ref"].endswith("/error")]
    return " or ".join(found)


def _form(schema: dict[str, Any]) -> str:
    """A schema's type in words: `list of text`, a link for a shape, a file's schema by its name."""
    words = {"string": "text", "object": "map", "array": "list", "boolean": "true or false"}
    if "$ref" in schema:
        file, _, inner = schema["$ref"].partition("#")
        name = inner.rpartition("/")[2]
        if file or not inner.startswith("/$defs/shapes/"):
            return f"`{name}`" + (f" of [{file}](schemas.md)" if file else "") if name else f"[{file}](schemas.md)"
        return f"[{name.replace('_', ' ')}](#{name.replace('_', '-')})"
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(" or ".join(map(_form, schema["anyOf"])).split(" or ")))
    kinds = schema.get("type", "any")
    if kinds == "array":
        return f"list of {_form(schema['items'])}" if schema.get("items") else "list"
    if kinds == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"map of {_form(schema['additionalProperties'])}"
    return " or ".join(words.get(kind, kind) for kind in (kinds if isinstance(kinds, list) else [kinds]))


def _field(part: dict[str, Any], field: str) -> tuple[str, str, str]:
    told = part["properties"][field]
    kind = told.get("x-dtype") or told.get("type") or ("const" if "const" in told else told.get("$ref", ""))
    kind = _form(told) if "anyOf" in told else " or ".join(kind) if isinstance(kind, list) else str(kind)
    optional = "" if field in part.get("required", ()) else " (optional)"
    const = f"{told['const']}; " if "const" in told else ""
    return (
        f"`{field}`",
        f"{kind}{optional}".replace("|", "\\|"),
        f"{const}{told.get('description', '')}".replace("|", "\\|"),
    )
