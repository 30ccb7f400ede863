"""`gocell inspect split`: how a split divides a cache, before anything is trained; and the split as a table."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from gocell_cli.commands.model.split import (
    SplitForm,
    read_split_file,
    require_split_file,
    split_lines,
    warn_of_split,
)
from gocell_cli.commands.shell.command_line import expand
from gocell_cli.commands.shell.options import CacheDir, Json, Root
from gocell_cli.commands.shell.places import Force, data_root, find_cache
from gocell_cli.commands.shell.tables import KINDS, is_stdout, require_table, write_table
from gocell_cli.commands.shell.terminal import show, show_result

Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", help=f"Also write it, named by genotype, as --split reads it: {KINDS}."),
]


@expand
def inspect_split(
    form: SplitForm,
    out: Out = None,
    cache: CacheDir = None,
    root: Root = None,
    overwrite: Force = False,
    json: Json = False,
) -> None:
    """Show how a split divides a cache and what its test part shares with training; --out writes it for --split."""
    from gocell_cli.training.runs.config import RunConfig

    config = RunConfig().changed(form.given())
    require_split_file(config.split)
    require_table(out, overwrite=overwrite, json=json)
    from gocell_cli.storage.reader import Cache
    from gocell_cli.training.data.splits.kept import as_table
    from gocell_cli.training.runs.kept import split_record
    from gocell_cli.training.runs.samples import RunSamples

    opened = Cache(find_cache(cache, data_root(root)))
    found = RunSamples.of(opened, config, named=read_split_file(opened, config)).split
    record = split_record(opened, found)
    if out is not None:
        write_table(as_table(opened.columns(), found, opened.hierarchy.gene_names), out)
    document = {"split": asdict(record), "out": str(out) if out is not None else None}
    warn_of_split(record)
    if is_stdout(out):
        return
    show_result(document, lambda: show(*split_lines(record)), json=json, essence=str(out or record.fingerprint))
