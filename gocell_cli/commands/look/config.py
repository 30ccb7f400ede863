"""`gocell config show`: which settings are in effect, and where each comes from."""

from typing import Annotated, Any

import typer

from gocell_cli.commands.shell.command_line import Commands
from gocell_cli.commands.shell.options import Json
from gocell_cli.commands.shell.settings import leaves, load_settings, options, settings_files, variable_names
from gocell_cli.commands.shell.terminal import make_table, show, show_json
from gocell_cli.errors import UsageError, did_you_mean

config_app = Commands(help="Show the settings in effect.", no_args_is_help=True)

CommandWords = Annotated[list[str] | None, typer.Argument(metavar="[COMMAND]...", help="Of this command alone.")]
All = Annotated[bool, typer.Option("--all", help="Defaults as well, with the variable that sets each.")]


@config_app.callback()
def config() -> None:
    """Show the settings in effect."""


@config_app.command("show")
def show_config(context: typer.Context, command: CommandWords = None, every: All = False, json: Json = False) -> None:
    """Show the settings in effect: value, and the variable or file that it comes from.

    An option on the command line wins over GOCELL_OPTION or GOCELL_COMMAND_OPTION, these over the project file
    gocell.toml (here or in a folder above), that over the user file, that over the default.
    """
    tree: Any = context.find_root().command
    document = _document(tree, tuple(command or ()), every=every)
    if json:
        show_json(document)
        return
    for kind, file in document["files"].items():
        show(f"{kind} file  {file['path']}{'' if file['exists'] else ' (none)'}")
    rows = [[s["command"], f"--{s['option']}", _said(s["value"]), s["origin"]] for s in document["settings"]]
    show("", make_table("Settings in effect", ["command", "option", "value", "from"], rows) if rows else "no settings")
    if document["unknown_variables"]:
        show("", f"no option goes by {', '.join(document['unknown_variables'])}")


def _document(tree: Any, words: tuple[str, ...], *, every: bool) -> dict[str, Any]:
    names = {" ".join(w) for w, _ in leaves(tree)}
    if words and not any(name == " ".join(words) or name.startswith(f"{' '.join(words)} ") for name in names):
        hint = did_you_mean(" ".join(words), names, otherwise="gocell --help lists the commands")
        raise UsageError(f"no command {' '.join(words)!r}", hint=hint)
    settings = load_settings(tree)
    found = {(s.option.words, s.option.name): s for s in (settings.found if settings is not None else ())}
    shown = []
    for option, default in _defaults(tree):
        setting = found.get((option.words, option.name))
        if option.words[: len(words)] == words and (setting is not None or every):
            shown.append(
                {
                    "command": " ".join(option.words),
                    "option": option.long,
                    "value": setting.value if setting is not None else default,
                    "origin": setting.origin if setting is not None else "default",
                    "variables": list(variable_names(option)),
                }
            )
    files = {kind: {"path": str(path), "exists": path.is_file()} for kind, path in settings_files().items()}
    unknown = list(settings.unknown) if settings is not None else []
    return {"files": files, "settings": shown, "unknown_variables": unknown}


def _defaults(tree: Any) -> list[tuple[Any, Any]]:
    """Each option with its default as JSON has it."""
    defaults = {(words, p.name): p.default for words, leaf in leaves(tree) for p in leaf.params}
    return [(option, _plain(defaults[option.words, option.name])) for option in options(tree)]


def _plain(value: Any) -> Any:
    return getattr(value, "value", value if isinstance(value, str | int | float | bool | None) else str(value))


def _said(value: Any) -> str:
    return "" if value is None else " ".join(map(str, value)) if isinstance(value, list) else str(value)
