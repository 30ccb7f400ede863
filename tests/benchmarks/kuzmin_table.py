"""A table of Kuzmin 2018's full size and shape: real strain ids where the data is at hand, made-up scores.

501,510 rows, 410,399 digenic and 91,111 trigenic, in the official 12-column layout. Strain ids come from
the slice in the test data; without it, from the bundled ORFs. Every score is drawn from a seed.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from gocell_cli.sources.bundle import load_genes
from gocell_cli.sources.kuzmin2018 import ARRAY_ID, COLUMNS, HO, QUERY_ID, read_table

DIGENIC, TRIGENIC, QUERY_PAIRS = 410_399, 91_111, 182
SEED = 2018


def write_full_size_table(path: Path, slice_path: Path) -> None:
    """Write the table; distinct (query, array) pairs, so that genotypes are as distinct as the paper's."""
    rng = np.random.default_rng(SEED)
    singles, arrays = _strains(slice_path, rng)
    doubles = np.array(
        [
            f"{a.split('+')[0]}+{b.split('+')[0]}_tm{9000 + i}"
            for i, (a, b) in enumerate(zip(singles[:QUERY_PAIRS], singles[-QUERY_PAIRS:], strict=True))
        ]
    )
    rows = [_pairs(rng, singles, arrays, DIGENIC), _pairs(rng, doubles, arrays, TRIGENIC)]
    query, array = (np.concatenate([r[i] for r in rows]) for i in (0, 1))
    kind = np.repeat(["digenic", "trigenic"], [DIGENIC, TRIGENIC])
    numbers = [
        pa.array(rng.normal(m, s, len(kind)).round(d))
        for m, s, d in (
            (-0.03, 0.08, 6),
            (-0.04, 0.05, 6),
            (0.3, 0.1, 4),
            (0.8, 0.1, 4),
            (0.9, 0.1, 4),
            (0.7, 0.1, 4),
            (0.05, 0.01, 4),
        )
    ]
    columns = [pa.array(query), pa.array(query), pa.array(array), pa.array(array), pa.array(kind), *numbers]
    table = pa.table(dict(zip(COLUMNS, columns, strict=True)))
    options = pa_csv.WriteOptions(include_header=False, delimiter="\t", quoting_style="none")
    with path.open("wb") as stream:
        stream.write("\t".join(COLUMNS).encode() + b"\n")
        pa_csv.write_csv(table, stream, options)


def _strains(slice_path: Path, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """About 360 distinct control query strains and 1,180 distinct array strains."""
    if slice_path.is_file():
        table = read_table(slice_path, COLUMNS, (QUERY_ID, ARRAY_ID))
        found = {
            c: sorted({s.split("_")[0]: s for s in table.column(c).to_pylist()}.values()) for c in (QUERY_ID, ARRAY_ID)
        }
    else:
        found = {QUERY_ID: [], ARRAY_ID: []}
    orfs = rng.permutation([g for g in load_genes().systematic if g != HO]).tolist()
    queries = [*found[QUERY_ID], *(f"{orf}+{HO}_tm{i}" for i, orf in enumerate(orfs[:364]))]
    arrays = [*found[ARRAY_ID], *(f"{orf}_dma{i}" for i, orf in enumerate(orfs[364:1544]))]
    return np.array(queries[:364]), np.array(arrays[:1180])


def _pairs(
    rng: np.random.Generator, queries: np.ndarray, arrays: np.ndarray, rows: int
) -> tuple[np.ndarray, np.ndarray]:
    cells = np.sort(rng.choice(len(queries) * len(arrays), rows, replace=False))
    return queries[cells // len(arrays)], arrays[cells % len(arrays)]
