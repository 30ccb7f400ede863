"""The `gocell` command. Rooms are imported inside the commands, so that `--help` answers at once."""

import gc
import io
import os
import signal
import sys
from importlib.metadata import version
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer

from gocell_cli.commands.build.build_cache import build_cache
from gocell_cli.commands.build.fetch import fetch
from gocell_cli.commands.build.verify_levels import verify_levels
from gocell_cli.commands.look.cache import cache_app
from gocell_cli.commands.look.config import config_app
from gocell_cli.commands.look.doctor import doctor
from gocell_cli.commands.look.export import export
from gocell_cli.commands.look.inspect import inspect_app
from gocell_cli.commands.look.plot import plot_app
from gocell_cli.commands.look.report import report
from gocell_cli.commands.model.predict import explain, predict
from gocell_cli.commands.model.train import evaluate, train
from gocell_cli.commands.shell.command_line import Commands
from gocell_cli.commands.shell.settings import load_settings
from gocell_cli.commands.shell.terminal import note, report_error, show, show_json
from gocell_cli.errors import DamagedCache, GocellError, LevelsError, UsageError

COMPLETION = "_GOCELL_COMPLETE"
"""The variable by which a shell asks for completions."""
EXITS_WITH_JSON = (LevelsError.exit_code, DamagedCache.exit_code)

app = Commands(name="gocell", no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode="rich")
app.command("fetch")(fetch)
app.command("verify-levels")(verify_levels)
app.command("build-cache")(build_cache)
app.command("train")(train)
app.command("evaluate")(evaluate)
app.command("predict")(predict)
app.command("explain")(explain)
app.command("doctor")(doctor)
app.command("export")(export)
app.command("report")(report)
app.add_typer(inspect_app, name="inspect")
app.add_typer(cache_app, name="cache")
app.add_typer(plot_app, name="plot")
app.add_typer(config_app, name="config")


def _version(wanted: bool) -> bool:
    if wanted:
        show(f"gocell {version('gocell')}")
        raise typer.Exit
    return wanted


@app.callback()
def gocell(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Turn the Gene Ontology and tables of gene deletions into level-verified caches for DCell.

    Exit codes: 0 done, 1 internal error, 2 usage or settings that diverge, 3 levels do not hold, 4 invalid input,
    5 damaged cache, 6 source missing, 7 extra not installed, 130 and 143 interrupted.
    """


def main() -> NoReturn:
    """Run the command line and leave with the exit code of the error's class."""
    # Half the time of reading an OBO file went into generational collections that found nothing to free.
    gc.set_threshold(1_000_000)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a letter that its encoding lacks is spelled out: no traceback
            stream.reconfigure(errors="backslashreplace")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        _run()
    except GocellError as error:
        report_error(error.message, error.why, error.hint)
        if "--json" in sys.argv and error.exit_code in EXITS_WITH_JSON:
            show_json({"ok": False, "exit_code": error.exit_code, "error": error.message, "why": error.why})
        sys.exit(error.exit_code)
    sys.exit(0)


def _run() -> None:
    """Run the app with the settings in effect as its defaults."""
    tree: Any = typer.main.get_command(app)
    settings = load_settings(tree) if COMPLETION not in os.environ else None
    for name in settings.unknown if settings is not None else ():
        note(f"{name}: no option goes by this variable; gocell config show --all lists those there are", "warning")
    try:
        tree.main(prog_name="gocell", default_map=settings.default_map() if settings is not None else None)
    except SystemExit as stop:
        if stop.code == UsageError.exit_code and settings is not None:
            note("some options come from variables and files: gocell config show")
        raise


def _interrupt(number: int, _frame: FrameType | None) -> None:
    """Leave through every `with`: 130 for SIGINT, 143 for SIGTERM."""
    note("interrupted", "error")
    sys.exit(128 + number)
