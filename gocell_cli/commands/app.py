"""The `gocell` command. Rooms are imported inside the commands, so that `--help` answers at once."""

import os
import signal
import sys
from importlib.metadata import version
from types import FrameType
from typing import Annotated, NoReturn

import click
import typer

from gocell_cli.commands.build_cache import build_cache
from gocell_cli.commands.inspect import inspect_app
from gocell_cli.commands.terminal import note, report_error, show
from gocell_cli.commands.verify_levels import verify_levels
from gocell_cli.errors import GocellError

SIGINT_CODE, SIGTERM_CODE, INTERNAL_ERROR = 130, 143, 1

app = typer.Typer(name="gocell", no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode="rich")
app.command("verify-levels")(verify_levels)
app.command("build-cache")(build_cache)
app.add_typer(inspect_app, name="inspect")


def _version(wanted: bool) -> None:
    if wanted:
        show(f"gocell {version('gocell')}")
        raise typer.Exit


@app.callback()
def gocell(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Turn the Gene Ontology and tables of gene deletions into level-verified caches for DCell.

    Exit codes: 0 done, 1 internal error, 2 usage, 3 levels do not hold, 4 invalid input, 5 damaged cache,
    6 source missing, 7 extra not installed, 130 and 143 interrupted.
    """


def main() -> NoReturn:
    """Run the command line and leave with the exit code of the error's class."""
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command line; return its exit code, with every error told on stderr."""
    try:
        code = app(arguments, standalone_mode=False, prog_name="gocell")
        return code if isinstance(code, int) else 0
    except GocellError as error:
        report_error(error.message, error.why, error.hint)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        note("interrupted; nothing half-written was left", "error")
        return SIGINT_CODE
    except BrokenPipeError:  # the reader, `head` for example, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(SIGTERM_CODE)
