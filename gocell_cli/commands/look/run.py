"""`gocell run`: list the runs and series under the data root, and remove them."""

from pathlib import Path
from typing import Annotated, Any

import typer

from gocell_cli.commands.shell.command_line import Commands
from gocell_cli.commands.shell.completion import complete_run
from gocell_cli.commands.shell.options import Json, Root
from gocell_cli.commands.shell.places import data_root, named
from gocell_cli.commands.shell.terminal import make_table, show, show_json, show_result
from gocell_cli.errors import UsageError

run_app = Commands(help="List and remove runs.", no_args_is_help=True)


@run_app.command("ls")
def ls(root: Root = None, json: Json = False) -> None:
    """List the runs and series under the data root: what of, how far, how good on the test part, how large."""
    from gocell_cli.storage.overview import size_of
    from gocell_cli.training.runs.overview import runs_in

    folder = data_root(root) / "runs"
    entries = [{**entry, "bytes": size_of(Path(entry["path"]))} for entry in runs_in(folder)]
    if json:
        show_json({"root": str(data_root(root)), "runs": entries})
        return
    columns = ["name", "state", "dataset", "phenotype", "runs", "epochs", "metric", "test", "bytes"]
    rows = [[_cell(entry[column]) for column in columns] for entry in entries]
    show(make_table(f"Runs under {folder}", columns, rows, right=(4, 5, 7, 8)))
    show(f"{sum(entry['bytes'] for entry in entries):,} bytes in all")


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    return f"{value:,}" if isinstance(value, int) else str(value or "")


@run_app.command("rm")
def rm(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Runs or series: a folder, or its name in `run ls`.", autocompletion=complete_run),
    ],
    root: Root = None,
    yes: Annotated[bool, typer.Option("--yes", help="Remove without asking.")] = False,
    json: Json = False,
) -> None:
    """Remove runs or series with all they hold; one that is being trained, or holds files of yours, is refused.

    All are looked at before the first is removed. Caches stay.
    """
    from gocell_cli.storage.overview import size_of
    from gocell_cli.training.runs.overview import remove_run, require_removable

    found = list(dict.fromkeys(named(run, data_root(root) / "runs") for run in runs))
    for path in found:
        require_removable(path)
    sizes = {path: size_of(path) for path in found}
    if not yes:
        show(*(f"{path}  {size:,} bytes" for path, size in sizes.items()))
        # err: the question goes to stderr, for stdout is data
        if not typer.confirm(f"Remove {len(found)} {'run' if len(found) == 1 else 'runs'}?", err=True):
            raise UsageError("nothing was removed", hint="gocell run rm RUN --yes")
    for path in found:
        remove_run(path)
    document = {"removed": [str(path) for path in found], "bytes": sum(sizes.values())}
    show_result(document, lambda: show(f"removed {len(found)} ({document['bytes']:,} bytes)"), json=json)
