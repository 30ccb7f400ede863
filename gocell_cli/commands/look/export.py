"""`gocell export`: a cache's samples as a table for other tools."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gocell_cli.commands.shell.options import CacheDir, Json, Root
from gocell_cli.commands.shell.places import Force, data_root, find_cache, require_place
from gocell_cli.commands.shell.terminal import show, show_result
from gocell_cli.whole_file import whole_file

if TYPE_CHECKING:
    from gocell_cli.storage.reader import Cache

Out = Annotated[Path, typer.Option("--out", help="File to write: .tsv or .csv.")]
SEPARATORS = {".tsv": "\t", ".csv": ","}
COLUMNS = ("sample", "genes", "standard_names", "value", "statistic", "dataset", "query_group", "source_rows")


def export(out: Out, cache: CacheDir = None, root: Root = None, overwrite: Force = False, json: Json = False) -> None:
    """Write every sample as a row: genes, names, phenotype, statistic, and where it comes from.

    Genes are separated by blanks, so `--dataset table` reads the file back.
    """
    from gocell_cli.storage.reader import Cache

    require_place(out, tuple(SEPARATORS), overwrite=overwrite)
    opened = Cache(find_cache(cache, data_root(root)))
    with whole_file(out) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=SEPARATORS[out.suffix], lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(_rows(opened))
    document = {"out": str(out), "samples": len(opened), "columns": list(COLUMNS)}
    said = f"{len(opened):,} samples in {out}"
    show_result(document, lambda: show(said), json=json, essence=str(out))


def _rows(cache: "Cache") -> Iterator[tuple[object, ...]]:
    hierarchy, provenance, datasets = cache.hierarchy, cache.provenance, cache.manifest.datasets
    names, standard = hierarchy.gene_names, hierarchy.gene_standard
    number = 0
    for shard in cache.shards():
        for i in range(len(shard)):
            genes = shard.genes[shard.gene_ptr[i] : shard.gene_ptr[i + 1]].tolist()
            group, statistic = int(shard.query_group[i]), float(shard.statistic[i])
            yield (
                number,
                " ".join(names[g] for g in genes),
                " ".join(standard[g] or names[g] for g in genes),
                repr(float(shard.value[i])),
                "" if statistic != statistic else repr(statistic),  # noqa: PLR0124 NaN: there is none
                datasets[int(shard.dataset[i])],
                provenance.query_groups[group] if group >= 0 else "",
                " ".join(map(str, shard.source_row[shard.source_ptr[i] : shard.source_ptr[i + 1]].tolist())),
            )
            number += 1
