"""The tree of commands. Rooms are imported inside the commands, so that `--help` answers at once."""

from importlib.metadata import version
from typing import Annotated

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
from gocell_cli.commands.shell.terminal import show

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
