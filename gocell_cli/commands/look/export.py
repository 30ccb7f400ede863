"""`gocell export`: a cache's samples as a table for other tools."""

import csv
from pathlib import Path
from typing import Annotated

import typer

from gocell_cli.commands.shell.options import CacheDir, Json, Root
from gocell_cli.commands.shell.places import Force, data_root, find_cache, require_place
from gocell_cli.commands.shell.terminal import show, show_result
from gocell_cli.whole_file import whole_file

Out = Annotated[Path, typer.Option("--out", help="File to write: .tsv or .csv.")]
SEPARATORS = {".tsv": "\t", ".csv": ","}


def export(out: Out, cache: CacheDir = None, root: Root = None, overwrite: Force = False, json: Json = False) -> None:
    """Write every sample as a row: genes, names, phenotype, statistic, and where it comes from.

    `--dataset table --phenotype-column value` reads the file back: genes are separated by blanks, or stand in columns
    gene_1, gene_2 .. where names hold blanks or commas. A query group is its number, the row of the cache's
    provenance/query_groups.parquet that names its queries.
    """
    from gocell_cli.storage.export import exported_columns, sample_rows
    from gocell_cli.storage.reader import Cache

    require_place(out, tuple(SEPARATORS), overwrite=overwrite)
    opened = Cache(find_cache(cache, data_root(root)))
    columns = exported_columns(opened)
    with whole_file(out) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=SEPARATORS[out.suffix], lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(sample_rows(opened, columns))
    document = {"out": str(out), "samples": len(opened), "columns": list(columns)}
    said = f"{len(opened):,} samples in {out}"
    show_result(document, lambda: show(said), json=json, essence=str(out))
