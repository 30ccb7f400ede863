"""The options of a build as a TOML file: read by `build-cache --config`, written beside every cache.

    dataset = ["kuzmin2018"]
    raw = ["/data/aao1729_data_s1.tsv"]
    preset = "ma2018"

Keys are the long options without dashes in front; an option on the command line wins. A build file goes with a cache
from one machine to another: it says what is built, never where that runs or where results go (`NOT_OF_A_FOLDER`).
"""

import math
from dataclasses import fields
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from gocell_cli.commands.shell.settings import MOST_BYTES, NOT_OF_A_FOLDER
from gocell_cli.errors import InvalidInput, SourceMissing, did_you_mean
from gocell_cli.typed_file import Malformed, parse_toml, read_small, toml_value
from gocell_cli.user_text import printable
from gocell_cli.whole_file import write_whole

Group = TypeVar("Group")


def build_file(cache: Path) -> Path:
    """Return where a cache's build file lies: beside it, `<cache>.toml`."""
    return cache.with_name(f"{cache.name}.toml")


def take_config(context: Any, path: Path | None) -> Path | None:
    """Make a TOML file's values the options' defaults; raises SourceMissing, or InvalidInput with what is wrong.

    `context` is Typer's, which keeps a click of its own.
    """
    if path is None:
        return None
    given = _read(path)
    options = {p.name for p in context.command.params if p.name} - {"config"}
    values = {}
    for key, value in given.items():
        name = key.replace("-", "_")
        if name not in options:
            known = [option.replace("_", "-") for option in options]
            hint = did_you_mean(key, known, otherwise="keys are build-cache's long options")
            raise InvalidInput.at(path, None, f"there is no option {key!r}", hint=hint)
        if (long := name.replace("_", "-")) in NOT_OF_A_FOLDER:
            reason = f"{key!r} says {NOT_OF_A_FOLDER[long]}, which no file that goes with a cache may say"
            raise InvalidInput.at(path, None, reason, hint=f"take it out, and give --{long} on the command line")
        _require_values(path, key, value)
        # Typer parses defaults as it parses words, from text; lists and flags it takes as they are.
        values[name] = value if isinstance(value, list | bool) else str(value)
    context.default_map = {**(context.default_map or {}), **values}
    return path


def _require_values(path: Path, key: str, value: Any) -> None:
    """Raise InvalidInput for a value, or one of a list, that is neither text nor number nor flag."""
    for item in value if isinstance(value, list) else [value]:
        if not isinstance(item, str | int | float) or (isinstance(item, float) and not math.isfinite(item)):
            raise InvalidInput.at(path, None, f"{key!r} takes text, numbers, flags or a list of them")


def _read(path: Path) -> dict[str, Any]:
    try:
        return parse_toml(read_small(path, MOST_BYTES))
    except OSError as error:
        raise SourceMissing.of(path, error, hint="check the path of --config") from error
    except Malformed as error:
        hint = "a file of options, such as the one beside every cache"
        raise InvalidInput.at(path, None, f"not a TOML file ({error})", hint=hint) from error


def read_group(path: Path, group: type[Group]) -> Group:
    """Return a group of options (a dataclass) as a build file has them, defaults for what it does not name."""
    given = {key.replace("-", "_"): value for key, value in _read(path).items()}
    hints = get_type_hints(group)
    chosen = {
        f.name: _typed(hints[f.name], given[f.name])
        for f in fields(group)  # type: ignore[arg-type]  # a dataclass of options
        if f.name in given
    }
    return group(**chosen)


def _typed(hint: Any, value: Any) -> Any:
    """Return a TOML value as an option's type: Path, enum, or as it is."""
    kind = next((k for k in (*get_args(hint), hint) if isinstance(k, type) and k is not type(None)), None)
    return kind(value) if kind is not None and issubclass(kind, Path | Enum) else value


def chosen_options(*groups: object, **others: object) -> dict[str, Any]:
    """Return the values of groups of options (dataclasses) that are not their defaults, and all others."""
    found = {
        f.name: getattr(group, f.name)
        for group in groups
        for f in fields(group)  # type: ignore[arg-type]  # dataclasses, by the signature of build_cache
        if getattr(group, f.name) != f.default
    }
    return {name: _plain(name, value) for name, value in sorted({**found, **others}.items())}


def _plain(name: str, value: Any) -> Any:
    """Return a value as TOML has it; paths absolute, since the file is read from anywhere."""
    if name == "raw":
        return [_absolute(text) for text in value]
    if isinstance(value, list | tuple):
        return [_plain("", item) for item in value]
    if isinstance(value, Path):
        return str(value.resolve())
    return value.value if isinstance(value, Enum) else value


def _absolute(raw: str) -> str:
    """Return `PATH` or `NAME=PATH` with an absolute path."""
    name, equals, path = raw.partition("=")
    # A path that holds `=` and is there is a path, not NAME=PATH.
    if equals and not Path(raw).exists():
        return f"{name}={Path(path).resolve()}"
    return str(Path(raw).resolve())


def build_file_of(cache: Path, fingerprint: str) -> dict[str, Any] | None:
    """Return the options beside a cache or a part; None where there are none, or they are not of this fingerprint."""
    path = build_file(cache)
    try:
        first = read_small(path, MOST_BYTES).partition(b"\n")[0].decode("utf-8", "replace")
        return _read(path) if fingerprint in first else None
    except (OSError, Malformed, InvalidInput, SourceMissing):
        return None


def write_build_file(cache: Path, options: dict[str, Any], fingerprint: str) -> None:
    """Write the options beside a cache, whole or not at all."""
    named = printable(cache.name).replace("\n", " ")  # a line break would end the comment
    lines = [
        f"# What {named} was built with; its fingerprint is {fingerprint}.",
        "# Build it again: gocell cache rebuild, or gocell build-cache --config with this file.",
        *(f"{name} = {toml_value(value)}" for name, value in options.items()),
    ]
    write_whole(build_file(cache), "\n".join(lines) + "\n")
