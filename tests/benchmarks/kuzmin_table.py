"""A table of Kuzmin 2018's full size and shape: real strain ids where the data is at hand, made-up scores.

501,510 rows, 410,399 digenic and 91,111 trigenic, in the official 12-column layout. Strain ids come from
the slice in the test data, filled up with bundled ORFs. Every score is drawn from a seed.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from gocell_cli.gene_names import HO
from gocell_cli.sources.go.bundle import load_genes
from gocell_cli.sources.screens.kuzmin import ARRAY, COLUMNS, QUERY

DIGENIC, TRIGENIC = 410_399, 91_111
QUERY_PAIRS, SINGLE_QUERIES, ARRAYS = 182, 364, 1_180
SEED = 2018
SCORES = (  # mean, SD, decimals of the seven numeric columns
    (-0.03, 0.08, 6),
    (-0.04, 0.05, 6),
    (0.3, 0.1, 4),
    (0.8, 0.1, 4),
    (0.9, 0.1, 4),
    (0.7, 0.1, 4),
    (0.05, 0.01, 4),
)


def write_full_size_table(path: Path, slice_path: Path) -> None:
    """Write the table; queries and arrays share no gene, so every row is a genotype of full order."""
    rng = np.random.default_rng(SEED)
    queries, arrays = _genes(slice_path, rng)
    singles = [f"{gene}+{HO}_tm{i}" for i, gene in enumerate(queries)]
    pairs = zip(queries[:QUERY_PAIRS], queries[QUERY_PAIRS:], strict=True)
    doubles = [f"{a}+{b}_tm{9000 + i}" for i, (a, b) in enumerate(pairs)]
    array_ids = [f"{gene}_dma{i}" for i, gene in enumerate(arrays)]
    digenic, trigenic = _cells(rng, singles, array_ids, DIGENIC), _cells(rng, doubles, array_ids, TRIGENIC)
    query, array = (np.concatenate(side) for side in zip(digenic, trigenic, strict=True))
    kind = np.repeat(["digenic", "trigenic"], [DIGENIC, TRIGENIC])
    scores = [rng.normal(mean, sd, len(kind)).round(decimals) for mean, sd, decimals in SCORES]
    columns = [pa.array(column) for column in (query, query, array, array, kind, *scores)]
    options = pa_csv.WriteOptions(include_header=False, delimiter="\t", quoting_style="none")
    with path.open("wb") as stream:
        stream.write("\t".join(COLUMNS).encode() + b"\n")
        pa_csv.write_csv(pa.table(dict(zip(COLUMNS, columns, strict=True))), stream, options)


def _genes(slice_path: Path, rng: np.random.Generator) -> tuple[list[str], list[str]]:
    """Distinct query genes and array genes: those of the real strains first, then bundled ORFs."""
    found: dict[str, list[str]] = {QUERY.ids: [], ARRAY.ids: []}
    if slice_path.is_file():
        rows = [line.split("\t") for line in slice_path.read_text("utf-8").splitlines()[1:]]
        for column in found:
            strains = {g for row in rows for g in row[COLUMNS.index(column)].split("_")[0].split("+")}
            found[column] = sorted(strains - {HO})
    orfs = rng.permutation([g for g in load_genes().systematic if g != HO]).tolist()
    queries = list(dict.fromkeys([*found[QUERY.ids], *orfs]))[:SINGLE_QUERIES]
    arrays = [g for g in dict.fromkeys([*found[ARRAY.ids], *orfs]) if g not in set(queries)][:ARRAYS]
    return queries, arrays


def _cells(
    rng: np.random.Generator, queries: Sequence[str], arrays: Sequence[str], rows: int
) -> tuple[np.ndarray, np.ndarray]:
    """`rows` distinct cells of the query x array matrix, in the matrix's order."""
    cells = np.sort(rng.choice(len(queries) * len(arrays), rows, replace=False))
    return np.array(queries)[cells // len(arrays)], np.array(arrays)[cells % len(arrays)]
