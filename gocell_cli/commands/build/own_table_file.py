"""A table named without any option, or piped in: `gocell build-cache screen.xlsx`, `... | gocell build-cache -`."""

import hashlib
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gocell_cli.commands.build.dataset_choice import DatasetChoice
from gocell_cli.commands.shell.options import DatasetName
from gocell_cli.commands.shell.terminal import note
from gocell_cli.errors import InvalidInput, UsageError
from gocell_cli.user_text import cell, one_line
from gocell_cli.whole_file import settle, write_whole, writing

if TYPE_CHECKING:
    from gocell_cli.domain.genotype import Rejected

STANDARD_INPUT = "-"
PIPED = Path("raw", "piped")
"""Where in the data root a table that was piped in is kept: the cache can be built again from it."""
CHUNK_BYTES = 1 << 20
DIGITS = 16
"""Hexadecimal digits of its sha256 that such a file is called by."""
HEADING = ("line", "reason", "genes", "phenotype", "near")


def with_table(data: DatasetChoice, table: Path | None, root: Path, *, dry_run: bool) -> DatasetChoice:
    """Return the choice with a table that stands on the command line alone, which is one's own unless options say else.

    Raises UsageError for a pipe that cannot be kept, InvalidInput for an empty one.
    """
    if table is None:
        return data
    if str(table) == STANDARD_INPUT:
        if dry_run:
            hint = "save it to a file, and name that"
            raise UsageError("--dry-run writes nothing, and what is piped in would have to be kept", hint=hint)
        table = _kept(root)
        note(f"{table}: what was piped in is kept here")
    return replace(data, dataset=data.dataset or [DatasetName.TABLE], raw=[*(data.raw or ()), str(table)])


def _kept(root: Path) -> Path:
    """Write standard input to a file of the data root that is called by its sha256, and return that."""
    if sys.stdin.isatty():
        raise UsageError(
            "-: nothing is piped in", hint="gocell build-cache FILE, or: some-command | gocell build-cache -"
        )
    folder = root / PIPED
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=folder, prefix=f".tmp-{os.getpid()}-")
    digest, length = hashlib.sha256(), 0
    try:
        with writing(folder), os.fdopen(descriptor, "wb") as file:
            while chunk := sys.stdin.buffer.read(CHUNK_BYTES):
                digest.update(chunk)
                length += file.write(chunk)
        if not length:
            raise InvalidInput("-: standard input is empty")
        kept = folder / digest.hexdigest()[:DIGITS]
        with writing(kept):
            settle(Path(name), kept)
    finally:
        with suppress(OSError):
            Path(name).unlink(missing_ok=True)
    return kept


def rejected_file(cache: Path) -> Path:
    """Return where the rows that were not taken lie: beside the cache, `<cache>.rejected.tsv`."""
    return cache.with_name(f"{cache.name}.rejected.tsv")


def write_rejected(cache: Path, rejected: "Rejected") -> Path | None:
    """Write the rows of a table that were not taken beside its cache, and return the file; None where all were.

    What lies there of an earlier build goes.
    """
    out = rejected_file(cache)
    if not rejected.rows:
        with writing(out):
            out.unlink(missing_ok=True)
        return None
    lines = [HEADING]
    for row in rejected.rows:
        *genes, phenotype = row.cells
        lines.append((str(row.line), row.reason, " + ".join(filter(None, genes)), phenotype, row.near))
    if more := rejected.number - len(rejected.rows):
        lines.append(("", f"and {more:,} rows more", "", "", ""))
    # cell: no spreadsheet that opens it computes what stands in it
    write_whole(out, "".join("\t".join(cell(one_line(text)) for text in line) + "\n" for line in lines))
    return out


def tell_split(cache: Path, datasets: Sequence[str]) -> None:
    """Write the parts that files of cell lines have by their names beside the cache, and say where."""
    if tuple(datasets) != (DatasetName.CELLS.value,):
        return
    file = write_split(cache)
    note(f"{file}: which samples are of training_data and of test_data: gocell train --split {file}")


def write_split(cache: Path) -> Path:
    """Write a table of samples and parts beside a cache of cell lines, by the file of each sample; return its path."""
    import numpy as np

    from gocell_cli.sources.screens.cell_matrices import split_lines
    from gocell_cli.storage.reader import Cache

    out, opened = cache.with_name(f"{cache.name}.split.tsv"), Cache(cache)
    samples, files = opened.columns(), opened.manifest.counts["files"]
    first = np.array([file["first_row"] for file in files], dtype=np.int64)
    lines = split_lines(samples.source_ptr, samples.source_row, first, tuple(file["name"] for file in files))
    write_whole(out, "".join(f"{line}\n" for line in lines))
    return out
