"""Settings that stand in for options: environment, project file, user file; an option on the command line wins.

    flag > GOCELL_* > project file (gocell.toml, here or in a folder above) > user file > default

    root = "/data/gocell"        # of every command that has --root
    [build-cache]
    preset = "ma2018"            # of one command; [inspect.sample] of a command of a group

`GOCELL_PRESET` is the option of every command that has it, `GOCELL_BUILD_CACHE_PRESET` that of one; within one of the
three places the narrower one wins. Paths in a file are relative to its folder.

A project file comes with a folder, and a folder may come from anybody. It may say what is computed; where that runs,
where data come from, where results go and what is overwritten it may not (`NOT_OF_A_FOLDER`): dask, for one, runs
whatever the scheduler that it is told of sends.
"""

import inspect
import math
import os
import re
import shlex
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import typer

from gocell_cli.errors import InvalidInput, did_you_mean
from gocell_cli.typed_file import Malformed, parse_toml, read_small
from gocell_cli.user_text import UNSAFE

PREFIX = "GOCELL_"
PROJECT_FILE = "gocell.toml"
MOST_BYTES = 1 << 20
"""Of a settings file: all options there are take a hundredth of it."""
NOT_OF_A_FOLDER = {
    "executor": "where shards are encoded",
    "scheduler": "where shards are encoded",
    "mirror": "where data come from",
    "root": "where results go",
    "out": "where results go",
    "state": "where results go",
    "figure": "where results go",
    "overwrite": "what is overwritten",
    "yes": "what is removed",
    "accept-changed": "which data are trusted",
}
"""Options that only the command line, a variable or the user's own file may set, and what each decides."""
OTHER_VARIABLES = ("GOCELL_MIRROR", "GOCELL_TIMEOUT", "GOCELL_TRACEBACK", "GOCELL_WORKER_TIMEOUT")
"""Variables that no option stands for; those of the tests begin with GOCELL_TEST_."""
NEVER_SET = ("help", "version", "config", "install-completion", "show-completion")

Words = tuple[str, ...]


@dataclass(frozen=True)
class Option:
    """An option of a command: its words (`inspect`, `sample`), long name, and Typer's own name for it.

    `kind` is the type of its value, of each where `multiple` may be given.
    """

    words: Words
    long: str
    name: str
    kind: Any
    multiple: bool

    @property
    def path(self) -> bool:
        """Whether it names a file or folder."""
        return self.kind is Path


@dataclass(frozen=True)
class Setting:
    """A value in effect, and where it comes from: a variable's name or a file's path."""

    option: Option
    value: Any
    origin: str


@dataclass(frozen=True)
class Settings:
    """All settings in effect; `unknown` are GOCELL_* variables that no option goes by."""

    found: tuple[Setting, ...]
    unknown: tuple[str, ...]

    def default_map(self) -> dict[str, Any]:
        """Return the values as Typer takes defaults: by command, groups nested."""
        tree: dict[str, Any] = {}
        for setting in self.found:
            branch = tree
            for word in setting.option.words:
                branch = branch.setdefault(word, {})
            branch[setting.option.name] = setting.value
        return tree


def settings_files() -> dict[str, Path]:
    """Return where the two files are looked for; the project's is the nearest, else the one that could stand here."""
    here, user = Path.cwd(), Path(typer.get_app_dir("gocell")) / "config.toml"
    project = next((p / PROJECT_FILE for p in (here, *here.parents) if _is_there(p / PROJECT_FILE)), None)
    return {"project": project or here / PROJECT_FILE, "user": user}


def _is_there(path: Path) -> bool:
    """Whether there is such a file, of whatever kind: what is none is refused when it is read, not passed over."""
    return path.exists() and not path.is_dir()


def leaves(command: Any, words: Words = ()) -> Iterator[tuple[Words, Any]]:
    """Yield every command of a tree with its words; `command` is Typer's, which keeps a click of its own."""
    children: Mapping[str, Any] | None = getattr(command, "commands", None)
    if children is None:
        yield words, command
        return
    for name, child in children.items():
        yield from leaves(child, (*words, name))


def options(command: Any) -> list[Option]:
    """Return the long options of every command of a tree."""
    return [
        Option(words, long, param.name, _kind(leaf.callback, param.name), bool(param.multiple))
        for words, leaf in leaves(command)
        for param in leaf.params
        if param.param_type_name == "option"
        for long in [next((o[2:] for o in param.opts if o.startswith("--")), "")]
        if long and long not in NEVER_SET and not param.hidden  # what is hidden is an old name of another option
    ]


def _kind(command: Any, name: str) -> Any:
    """The type that a parameter is annotated with, without what says that it is optional, a list, or how it is told."""
    parameter = inspect.signature(command).parameters.get(name)
    kind = parameter.annotation if parameter is not None else None
    while get_args(kind):  # Annotated[list[Path] | None, ...] -> list[Path] | None -> list[Path] -> Path
        kind = get_args(kind)[0]
    return kind


def meanings(matching: list[Option]) -> dict[tuple[Any, bool], list[Option]]:
    """Group options of one name by what a value of theirs is: more than one group, and no value fits them all."""
    found: dict[tuple[Any, bool], list[Option]] = {}
    for option in matching:
        found.setdefault((option.kind, option.multiple), []).append(option)
    return found


def _given() -> tuple[dict[str, Path], dict[str, str]]:
    """The files and variables that there are; the user's file first, then the project's: later ones overwrite."""
    files = {kind: path for kind, path in reversed(settings_files().items()) if _is_there(path)}
    return files, {name: value for name, value in os.environ.items() if _is_ours(name)}


def any_given() -> bool:
    """Whether a file or a variable may hold a setting: all commands are then loaded, for it may be one of any."""
    return any(_given())


def load_settings(command: Any) -> Settings | None:
    """Return the settings in effect, None where there are none; raises InvalidInput for a key no option goes by."""
    files, variables = _given()
    if not files and not variables:
        return None
    known = options(command)
    found: dict[tuple[Words, str], Setting] = {}
    for kind, path in files.items():
        # sorted is stable and goes by narrowness: a key of [build-cache] overwrites one of all commands.
        for setting in sorted(_of_file(path, known, trusted=kind == "user"), key=lambda s: s[0]):
            found[setting[1].option.words, setting[1].option.name] = setting[1]
    unknown = []
    # Shorter names first: GOCELL_BUILD_CACHE_PRESET is longer than GOCELL_PRESET, and overwrites it.
    for name, value in sorted(variables.items(), key=lambda item: len(item[0])):
        matching = _named(name, known)
        _require_one_meaning(name, matching, name, None)
        found.update({(o.words, o.name): Setting(o, _parsed(o, value, name), name) for o in matching})
        unknown += [] if matching else [name]
    _refuse_control_characters(found.values())
    return Settings(tuple(found.values()), tuple(unknown))


def _refuse_control_characters(found: Iterable[Setting]) -> None:
    """Raise InvalidInput for a value that a terminal would obey: `--help` prints defaults as they are."""
    for setting in found:
        if any(
            unicodedata.category(c) == "Cc" or UNSAFE.match(c) for value in _items(setting.value) for c in str(value)
        ):
            raise InvalidInput(f"{setting.origin}: the value of {setting.option.long} holds a control character")


def _is_ours(name: str) -> bool:
    return name.startswith(PREFIX) and name not in OTHER_VARIABLES and not name.startswith("GOCELL_TEST_")


def variable_names(option: Option) -> tuple[str, str]:
    """Return an option's variables: that of every command that has it, that of this one."""
    long = option.long.replace("-", "_").upper()
    return f"{PREFIX}{long}", f"{PREFIX}{'_'.join(option.words).replace('-', '_').upper()}_{long}"


def _named(variable: str, known: list[Option]) -> list[Option]:
    return [option for option in known if variable in variable_names(option)]


def _parsed(option: Option, value: str, variable: str) -> Any:
    try:
        # A variable with several values is split as a shell would, so that paths with blanks can be quoted.
        return shlex.split(value) if option.multiple else value
    except ValueError as error:
        hint = f"export {variable}='one two', each quoted that holds blanks"
        raise InvalidInput(f"{variable}: no words of a shell ({error})", hint=hint) from error


def _of_file(path: Path, known: list[Option], *, trusted: bool) -> Iterator[tuple[int, Setting]]:
    """Yield (how narrow, setting) of each key of a file; raises InvalidInput for what only a trusted one may set."""
    text, given = _read(path)
    words_known = {option.words[:i] for option in known for i in range(len(option.words) + 1)}
    for words, key, value in _keys(given, (), words_known):
        long = key.replace("_", "-")
        matching = [o for o in known if o.long == long and (not words or o.words[: len(words)] == words)]
        if not matching:
            reason, hint = _unknown(words, key, known)
            raise InvalidInput.at(path, _line_of(text, key), reason, hint=hint)
        line = _line_of(text, key)
        if not trusted and (long in NOT_OF_A_FOLDER or _logs_elsewhere(long, value)):
            raise _not_of_a_folder(path, line, key, long)
        _require_one_meaning(key, matching, str(path), line)
        for option in matching:
            yield len(words), Setting(option, _from_file(option, value, path, line), str(path))


def _logs_elsewhere(long: str, value: Any) -> bool:
    """Whether a value of `train --set` sends a run's numbers to Weights & Biases."""
    return long == "set" and any(str(item).strip().startswith("wandb") for item in _items(value))


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _not_of_a_folder(path: Path, line: int | None, key: str, long: str) -> InvalidInput:
    """Return the error that says why a project file may not set a key, and the three places that may."""
    decides = NOT_OF_A_FOLDER.get(long, "where results go")
    error = InvalidInput.at(
        path, line, f"{key!r} says {decides}, which no file found in a folder may say: it may be anybody's"
    )
    variable, user = f"{PREFIX}{long.replace('-', '_').upper()}", settings_files()["user"]
    error.hint = f"move the line to your own {user}, or take it out and give --{long}, or export {variable}=..."
    return error


def _read(path: Path) -> tuple[str, dict[str, Any]]:
    """Return a settings file's text and what it says; raises InvalidInput for what is no TOML file of ours."""
    try:
        data = read_small(path, MOST_BYTES)
        return data.decode("utf-8-sig"), parse_toml(data)
    except UnicodeDecodeError as error:
        raise InvalidInput.at(path, None, f"not a TOML file, which is UTF-8 ({error.reason})") from error
    except Malformed as error:
        raise InvalidInput.at(path, None, f"not a TOML file ({error})") from error
    except OSError as error:
        raise InvalidInput.at(path, None, f"cannot be read ({error.strerror or error})") from error


def _keys(given: Mapping[str, Any], words: Words, known: set[Words]) -> Iterator[tuple[Words, str, Any]]:
    """Yield (command words, key, value) of a file's tables."""
    for key, value in given.items():
        if isinstance(value, Mapping) and (*words, key) in known:
            yield from _keys(value, (*words, key), known)
        else:
            yield words, key, value


def _require_one_meaning(key: str, matching: list[Option], where: str, line: int | None) -> None:
    """Raise InvalidInput where a key is options that take different things: what fits one would break another."""
    groups = list(meanings(matching).values())
    if len(groups) > 1:
        first, second = (" ".join(group[0].words) for group in groups[:2])
        reason = f"{key!r} means one thing in {first}, another in {second}"
        raise InvalidInput.at(where, line, reason, hint=f"set it for one command: [{'.'.join(groups[0][0].words)}]")


def _unknown(words: Words, key: str, known: list[Option]) -> tuple[str, str]:
    """Return what is wrong with a key, and what it may have meant."""
    where = f"{' '.join(words)} has no option" if words else "no command has an option"
    names = {o.long for o in known if o.words[: len(words)] == words} | {o.words[0] for o in known if not words}
    hint = did_you_mean(key.replace("_", "-"), names, otherwise="gocell config show --all lists them")
    return f"{where} {key!r}", hint


def _line_of(text: str, key: str) -> int | None:
    """The first line that gives a key or opens a table of that name."""
    pattern = re.compile(rf"\s*(\[.*)?[\"']?{re.escape(key)}[\"']?\s*[=\].]")
    return next((number for number, line in enumerate(text.splitlines(), 1) if pattern.match(line)), None)


def _from_file(option: Option, value: Any, path: Path, line: int | None) -> Any:
    """Return a TOML value as Typer takes a default: text, a flag, or a list; paths relative to the file's folder.

    Raises InvalidInput for a list where the option takes one value, and for a table, a date or a number that is none.
    """
    if isinstance(value, list) and option.multiple and not any(isinstance(item, list) for item in value):
        return [_from_file(option, item, path, line) for item in value]
    if isinstance(value, bool):
        return value
    if not isinstance(value, str | int | float) or (isinstance(value, float) and not math.isfinite(value)):
        said = f"{option.long!r} takes {'text, numbers or a list of them' if option.multiple else 'one value'}"
        raise InvalidInput.at(path, line, f"{said}, not {_kind_of(value)}")
    name, equals, place = str(value).partition("=") if option.long == "raw" else ("", "", str(value))
    if not equals:
        name, place = "", str(value)
    return f"{name}{equals}{path.parent / place}" if option.path or option.long == "raw" else str(value)


def _kind_of(value: Any) -> str:
    """What TOML calls a value that no option takes."""
    if isinstance(value, float):
        return str(value)
    return "a list" if isinstance(value, list) else "a table" if isinstance(value, dict) else "a date or a time"
