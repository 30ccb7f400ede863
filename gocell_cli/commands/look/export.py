"""`gocell export`: a cache's samples as a table, or its hierarchy in another tool's format."""

import csv
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TextIO

import typer

from gocell_cli.commands.build.hierarchy_choice import HierarchyChoice
from gocell_cli.commands.shell import options as opt
from gocell_cli.commands.shell.command_line import expand
from gocell_cli.commands.shell.options import CacheDir, HierarchyFormat, Json, Root
from gocell_cli.commands.shell.places import Force, data_root, find_cache, require_place
from gocell_cli.commands.shell.tables import KINDS, SEPARATORS, is_stdout, require_table, write_tables
from gocell_cli.commands.shell.terminal import note, show, show_result
from gocell_cli.errors import UsageError
from gocell_cli.storage.records import RO_CRATE
from gocell_cli.whole_file import whole_file, write_whole

if TYPE_CHECKING:
    from gocell_cli.storage.reader import Cache
    from gocell_cli.storage.schema import Hierarchy

Out = Annotated[Path, typer.Option("--out", "-o", help=f"File to write: {KINDS}; of a hierarchy .txt, .cx2 and so on.")]
Crate = Annotated[
    bool,
    typer.Option("--crate", help="Also write ro-crate-metadata.json into its folder: what the files are, and of what."),
]
SUFFIXES = {HierarchyFormat.CX2: (".cx2",), HierarchyFormat.GRAPHML: (".graphml",), HierarchyFormat.OBO: (".obo",)}
TEXT = (".tsv", ".ont", ".txt")
"""Suffixes of the other formats."""
LARGE = 100 << 20
"""Bytes of cell2mutation that are told before they are written."""


@dataclass(frozen=True)
class WrittenChoice(HierarchyChoice):
    """The hierarchy to write, where it is not a cache's."""

    READY_OPTION: ClassVar[str] = "--from"

    hierarchy: opt.FromHierarchy = None


@expand
def export(
    out: Out,
    choice: WrittenChoice,
    hierarchy_format: opt.FormatOption = None,
    no_tables: opt.NoTables = False,
    cache: CacheDir = None,
    root: Root = None,
    offline: opt.Offline = False,
    crate: Crate = False,
    overwrite: Force = False,
    json: Json = False,
) -> None:
    """Write every sample as a row, or with --hierarchy FORMAT the hierarchy for other tools.

    `--dataset table --phenotype-column value` reads the samples back: genes are separated by blanks, or stand in
    columns gene_1, gene_2 .. where names hold blanks or commas. A query group is its number, the row of the cache's
    provenance/query_groups.parquet that names its queries.

    A hierarchy is that of a cache, or of the ontology options where any is given. Beside a cache's stand
    STEM.gene2ind.txt, STEM.cell2ind.txt, STEM.cell2mutation.txt and the samples in DrugCell's and in DCell's layout.
    """
    if crate:
        _require_crate(out, overwrite=overwrite)
    if hierarchy_format is None:
        _refuse_options(choice, no_tables=no_tables)
        require_table(out, overwrite=overwrite, json=json)
        opened = _opened(cache, root)
        source: Cache | Hierarchy = opened
        document = _write_samples(opened, out)
        if is_stdout(out):
            return
        said = f"{document['samples']:,} samples in {out}"
    else:
        choice.check()
        require_place(out, SUFFIXES.get(hierarchy_format, TEXT), overwrite=overwrite)
        source = _source(choice, cache, root, offline=offline)
        if crate:
            _of_cache(source)
        document = _write_hierarchy(source, out, hierarchy_format.value, tables=not no_tables, overwrite=overwrite)
        counts = ", ".join(f"{document[what]:,} {what}" for what in ("terms", "edges", "genes"))
        said = "\n".join([f"{counts} in {out}", *(f"beside it {path}" for path in document["beside"])])
    if crate:
        document["crate"] = _write_crate(_of_cache(source), [out, *map(Path, document.get("beside", ()))])
    show_result(document, lambda: show(said), json=json, essence=str(out))


def _require_crate(out: Path, *, overwrite: bool) -> None:
    if is_stdout(out):
        raise UsageError("--crate describes files, and the samples go to stdout", hint="--out FOLDER/samples.tsv")
    require_place(out.with_name(RO_CRATE), (".json",), overwrite=overwrite)


def _of_cache(source: "Cache | Hierarchy") -> "Cache":
    """The cache; raises UsageError for a hierarchy of none, of which nobody says where it comes from."""
    from gocell_cli.storage.reader import Cache

    if not isinstance(source, Cache):
        raise UsageError("--crate describes what comes of a cache", hint="leave out the ontology options, or --crate")
    return source


def _write_crate(cache: "Cache", written: list[Path]) -> str:
    """Write what the files are, into their folder; returns its path."""
    from gocell_cli.storage.ro_crate import exported_crate

    place = written[0].with_name(RO_CRATE)
    write_whole(place, exported_crate(cache.manifest, written))
    return str(place)


def _refuse_options(choice: WrittenChoice, *, no_tables: bool) -> None:
    if no_tables or choice != WrittenChoice():
        raise UsageError("options of a hierarchy, and samples are to be written", hint="--hierarchy ddot")


def _opened(cache: Path | None, root: Path | None) -> "Cache":
    from gocell_cli.storage.reader import Cache

    return Cache(find_cache(cache, data_root(root)))


def _source(choice: WrittenChoice, cache: Path | None, root: Path | None, *, offline: bool) -> "Cache | Hierarchy":
    """Open the cache, or read the hierarchy that the options name; raises UsageError where both are named."""
    if choice == WrittenChoice():
        return _opened(cache, root)
    if cache is not None:
        raise UsageError("--cache and ontology options name two hierarchies", hint="leave one out")
    return choice.fetched(root, offline=offline).arrays()


def _write_samples(cache: "Cache", out: Path) -> dict[str, Any]:
    from gocell_cli.storage.export import exported_columns, sample_rows, sample_tables

    columns = exported_columns(cache)
    if is_stdout(out):
        _write_rows(sys.stdout, "\t", columns, sample_rows(cache, columns))
    elif out.suffix in SEPARATORS:
        with whole_file(out) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            _write_rows(file, SEPARATORS[out.suffix], columns, sample_rows(cache, columns))
    else:
        write_tables(sample_tables(cache, columns), out)
    return {"out": str(out), "samples": len(cache), "columns": list(columns)}


def _write_rows(file: TextIO, mark: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    writer = csv.writer(file, delimiter=mark, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)


def _write_hierarchy(
    source: "Cache | Hierarchy", out: Path, form: str, *, tables: bool, overwrite: bool
) -> dict[str, Any]:
    from gocell_cli.sources.go.hierarchy_files import hierarchy_texts
    from gocell_cli.storage.reader import Cache

    cache = source if isinstance(source, Cache) else None
    hierarchy = source.hierarchy if isinstance(source, Cache) else source
    texts = hierarchy_texts(hierarchy, form)
    places = {word: _beside(out, word) for word in texts if word}
    beside = [str(place) for place in places.values()]
    document: dict[str, Any] = {
        "out": str(out),
        "hierarchy": form,
        "cache": str(cache.directory) if cache is not None else None,
        "terms": len(hierarchy.term_ids),
        "edges": len(hierarchy.edge_child),
        "rows": hierarchy.rows,
        "genes": len(set(hierarchy.row_gene.tolist())),
        "beside": beside,
    }
    for place in places.values():
        require_place(place, (".txt",), overwrite=overwrite)
    if cache is not None and tables:
        document |= _write_tables(cache, out, beside, overwrite=overwrite)
    for word, text in texts.items():
        write_whole(places.get(word, out), text)
    return document


def _beside(out: Path, word: str) -> Path:
    return out.with_name(f"{out.stem}.{word}.txt")


def _write_tables(cache: "Cache", out: Path, beside: list[str], *, overwrite: bool) -> dict[str, Any]:
    """Write the tables of a cache's samples beside a hierarchy; what they hold, and their names with what was there."""
    from gocell_cli.storage.cell_tables import TABLES, CellTables

    places = {word: _beside(out, word) for word in TABLES}
    for place in places.values():
        require_place(place, (".txt",), overwrite=overwrite)
    if len(cache.manifest.phenotypes) > 1:
        note(f"the tables of samples have {cache.phenotype['kind']}, the first of the cache's phenotypes, alone")
    made = CellTables(cache)
    if made.mutation_bytes > LARGE:
        note(f"{places['cell2mutation']}: {made.mutation_bytes:,} bytes; --no-tables leaves it out")
    for word, lines in TABLES.items():
        with whole_file(places[word]) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(f"{line}\n" for line in lines(made))
    if made.without_value:
        note(f"{made.without_value:,} samples without a value are in no table of samples", "warning")
    if made.without_term:
        reason = "delete a gene that no term holds, at which DCell's trainer ends: dcell_samples has none of them"
        note(f"{made.without_term:,} samples {reason}")
    return {
        "beside": [*beside, *map(str, places.values())],
        "cells": len(made.cells),
        "samples": len(cache) - made.without_value,
        "without_value": made.without_value,
        "without_term": made.without_term,
    }
