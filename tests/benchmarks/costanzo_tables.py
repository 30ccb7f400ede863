"""Costanzo 2016's four interaction tables at full size: real strain ids where the data is at hand, made-up scores.

20.7 million rows, in the shape of the paper's screens: query strains in their order, each against the arrays.
Scores are drawn from a seed and printed in full, which brings the text to some 4 GB; 1 in 100 is missing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from gocell_cli.sources.go.bundle import load_genes
from gocell_cli.sources.screens.costanzo import SPELLINGS, STRAIN_HEADER, STRAIN_TABLE, TABLES
from gocell_cli.sources.screens.workbook import read_sheet

SEED = 2016
CHUNK = 400_000
MADE_UP = {"sn": 4_188, "dma": 3_893, "tsq": 1_167, "tsa": 792, "damp": 819}
"""Strains of each kind, as many as the paper's strain table lists."""
SCREENS = {  # table -> (query kind, array kinds, rows), a table may take several screens
    "SGA_NxN.txt": (("sn", ("dma",), 12_700_000),),
    "SGA_ExN_NxE.txt": (("tsq", ("dma",), 3_800_000), ("sn", ("tsa",), 2_000_000)),
    "SGA_ExE.txt": (("tsq", ("tsa",), 800_000),),
    "SGA_DAmP.txt": (("damp", ("dma", "tsa"), 1_400_000),),
}
MEANS, SDS = (-0.01, 0.3, 0.9, 0.9, 0.8, 0.05), (0.06, 0.1, 0.1, 0.1, 0.1, 0.01)
ROWS = sum(rows for screens in SCREENS.values() for *_, rows in screens)


@dataclass(frozen=True)
class Strains:
    """Strain ids and allele names of each kind, and whether they are the paper's."""

    by_kind: dict[str, list[tuple[str, str]]]
    real: bool


def strains(data: Path) -> Strains:
    """The strains of the paper's table under `data`, else as many made up of bundled ORFs."""
    table = data / "costanzo2016" / STRAIN_TABLE
    if table.is_file():
        listed = [(str(row[0]), str(row[2])) for row in read_sheet(table, STRAIN_HEADER).rows[1:]]
        found = {kind: [s for s in listed if f"_{kind}" in s[0].lower()] for kind in MADE_UP}
        return Strains(found, real=True)
    orfs = load_genes().systematic
    made_up = {k: [(f"{orfs[i]}_{k}{i}", orfs[i].lower()) for i in range(n)] for k, n in MADE_UP.items()}
    return Strains(made_up, real=False)


def write_tables(folder: Path, known: Strains, share: float = 1.0) -> None:
    """Write the four tables, or a share of the rows of each."""
    rng = np.random.default_rng(SEED)
    for name in TABLES:
        with (folder / name).open("wb") as stream:
            stream.write("\t".join(SPELLINGS).encode() + b"\n")
            for query, arrays, rows in SCREENS[name]:
                crossed = [strain for kind in arrays for strain in known.by_kind[kind]]
                _write_screen(stream, rng, known.by_kind[query], crossed, int(share * rows))


def _write_screen(
    stream: object,
    rng: np.random.Generator,
    queries: Sequence[tuple[str, str]],
    arrays: Sequence[tuple[str, str]],
    rows: int,
) -> None:
    """The first `rows` cells of the query x array matrix."""
    assert rows <= len(queries) * len(arrays)
    sides = [[pa.array(column) for column in zip(*side, strict=True)] for side in (queries, arrays)]
    types = pa.array(
        [("TSA" if "_tsa" in strain else "DMA") + "2630"[2 * (i % 2) :][:2] for i, (strain, _) in enumerate(arrays)]
    )
    options = pa_csv.WriteOptions(include_header=False, delimiter="\t", quoting_style="none")
    for start in range(0, rows, CHUNK):
        cell = np.arange(start, min(start + CHUNK, rows))
        at = [pa.array(index) for index in np.divmod(cell, len(arrays))]
        texts = [column.take(index) for side, index in zip(sides, at, strict=True) for column in side]
        numbers = [rng.normal(mean, sd, len(cell)) for mean, sd in zip(MEANS, SDS, strict=True)]
        missing = rng.random(len(cell)) < 0.01
        scores = [pa.array(column, mask=missing) for column in numbers]
        columns = [*texts, types.take(at[1]), *scores]
        pa_csv.write_csv(pa.table(columns, names=list(SPELLINGS)), stream, options)
