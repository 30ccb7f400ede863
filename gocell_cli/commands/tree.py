"""The tree of commands, of which only what is asked for is loaded, and what a command needs only once it runs.

`gocell train` need not wait for what `gocell build-cache` is made of.
"""

from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any

import typer

from gocell_cli.commands.shell.command_line import Commands
from gocell_cli.commands.shell.terminal import show

COMMANDS = {
    "fetch": "build.fetch:fetch",
    "verify-levels": "build.verify_levels:verify_levels",
    "build-cache": "build.build_cache:build_cache",
    "train": "model.train:train",
    "evaluate": "model.evaluate:evaluate",
    "sweep": "model.sweep:sweep",
    "compare": "model.compare:compare",
    "predict": "model.predict:predict",
    "explain": "model.explain:explain",
    "gene-vectors": "model.gene_vectors:gene_vectors",
    "doctor": "look.doctor:doctor",
    "export": "look.export:export",
    "report": "look.report:report",
}
GROUPS = {
    "inspect": "look.inspect:inspect_app",
    "cache": "look.cache:cache_app",
    "run": "look.run:run_app",
    "plot": "look.plot:plot_app",
    "config": "look.config:config_app",
}
"""Where each lies: module and name in this room; in the order of `gocell --help`."""


def mounted(word: str = "") -> Commands:
    """Return the app with all its commands, or with the one that `word` names alone, where it names one.

    `config` shows the settings of all commands, so it comes with them.
    """
    app = Commands(
        name="gocell",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["--help", "-h"]},  # of all its commands
    )
    alone = word != "config" and word in (*COMMANDS, *GROUPS)
    for name, place in COMMANDS.items():
        if not alone or name == word:
            app.command(name)(_loaded(place))
    for name, place in GROUPS.items():
        if not alone or name == word:
            app.add_typer(_loaded(place), name=name)
    app.callback()(gocell)
    return app


def _loaded(place: str) -> Any:
    module, name = place.split(":")
    return getattr(import_module(f"gocell_cli.commands.{module}"), name)


def _version(wanted: bool) -> bool:
    if wanted:
        show(f"gocell {version('gocell')}")
        raise typer.Exit
    return wanted


def gocell(
    _: Annotated[
        bool, typer.Option("--version", "-V", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Turn the Gene Ontology and tables of gene deletions into level-verified caches for DCell.

    Exit codes: 0 done, 1 internal error, 2 usage or settings that diverge, 3 levels do not hold, 4 invalid input,
    5 damaged cache, 6 source missing, 7 extra not installed, 130 and 143 interrupted.
    """
