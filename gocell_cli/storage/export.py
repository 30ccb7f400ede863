"""A cache's samples as rows of a table that `--dataset table` reads back, gene by gene."""

import re
from collections.abc import Iterator
from itertools import islice

import numpy as np
import pyarrow as pa

from gocell_cli.gene_names import PART
from gocell_cli.storage.reader import Cache
from gocell_cli.storage.schema import Samples
from gocell_cli.user_text import cell, from_cell

COLUMNS = ("standard_names", "value", "statistic", "dataset", "query_group", "source_rows")
"""What stands behind a sample's number and its genes."""
NUMBERS = {"sample": (int, pa.int64()), "value": (float, pa.float64()), "statistic": (float, pa.float64())}
NUMBERS["query_group"] = (int, pa.int32())
LABEL = re.compile(r"(value|statistic)_[0-9]+")
AT_ONCE = 100_000
"""Rows of a table in memory."""


def exported_columns(cache: Cache) -> tuple[str, ...]:
    """Return the columns of `sample_rows`: the genes of a sample in one, `genes`, or each in one of its own.

    One is enough where cells of several names are split into these names again. Names with blanks or commas in them,
    as some organisms' symbols have, may read otherwise: `A B` is two genes', or the one's that is called so.
    """
    genes = ("genes",) if _splits_again(cache) else tuple(f"gene_{i + 1}" for i in range(_most_genes(cache)))
    labels = [f"{part}_{i}" for i in range(1, len(cache.manifest.phenotypes)) for part in ("value", "statistic")]
    return ("sample", *genes, *COLUMNS, *labels)


def _most_genes(cache: Cache) -> int:
    return max(int(np.diff(shard.gene_ptr).max(initial=1)) for shard in cache.shards())


def _splits_again(cache: Cache) -> bool:
    names, lookup = cache.hierarchy.gene_names, cache.hierarchy.lookup
    # a gene whose name is one part, and begins no name of several, cannot read as anything else
    odd = np.array([PART.fullmatch(name) is None or name.upper() in lookup.openings for name in names], dtype=bool)
    if not odd.any():
        return True
    return all(
        lookup.names_in(" ".join(names[g] for g in genes)) == tuple(names[g] for g in genes)
        for shard in cache.shards()
        for genes in _genotypes(shard)
        if len(genes) > 1 and odd[genes].any()
    )


def _genotypes(shard: Samples) -> Iterator[list[int]]:
    for start, stop in zip(shard.gene_ptr[:-1].tolist(), shard.gene_ptr[1:].tolist(), strict=True):
        yield shard.genes[start:stop].tolist()


def sample_rows(cache: Cache, columns: tuple[str, ...]) -> Iterator[tuple[object, ...]]:
    """Yield every sample as a row of `exported_columns`, one shard in memory at a time.

    A query group is its number, its place in provenance/query_groups.parquet, "" where there is none: its name may
    join all queries of a screen (129 in Kuzmin 2018), and in every row it was 94 % of the file. Names that a
    spreadsheet would take for formulas begin with `'`, which the reader of tables takes off.
    """
    names, standard, datasets = cache.hierarchy.gene_names, cache.hierarchy.gene_standard, cache.manifest.datasets
    gene_columns = columns.index(COLUMNS[0]) - 1
    in_one = columns[1] == "genes"
    number = 0
    for shard in cache.shards():
        for i, genes in enumerate(_genotypes(shard)):
            group = int(shard.query_group[i])
            value, statistic = float(shard.value[i]), float(shard.statistic[i])
            written = [names[g] for g in genes]
            in_columns = [*map(cell, written)] + [""] * (gene_columns - len(written))
            yield (
                number,
                *([cell(" ".join(written))] if in_one else in_columns),
                cell(" ".join(standard[g] or names[g] for g in genes)),
                _written(value) if shard.others else repr(value),  # of one phenotype `nan` as it is
                _written(statistic),
                cell(datasets[int(shard.dataset[i])]),
                group if group >= 0 else "",
                " ".join(map(str, shard.source_row[shard.source_ptr[i] : shard.source_ptr[i + 1]].tolist())),
                *(_written(float(column[i])) for label in shard.others for column in label),
            )
            number += 1


def _written(number: float) -> str:
    """Every digit that float64 has; nothing for NaN."""
    return "" if np.isnan(number) else repr(number)


def sample_tables(cache: Cache, columns: tuple[str, ...]) -> Iterator[pa.Table]:
    """Yield the same rows as tables of so many at once: numbers as such, names as they are, null for an empty cell."""
    rows = sample_rows(cache, columns)
    while some := list(islice(rows, AT_ONCE)):
        yield pa.table(
            {name: _typed(name, cells) for name, cells in zip(columns, zip(*some, strict=True), strict=True)}
        )


def _typed(name: str, cells: tuple[object, ...]) -> pa.Array:
    texts = [None if text == "" else str(text) for text in cells]
    if name in NUMBERS or LABEL.fullmatch(name):
        convert, kind = NUMBERS.get(name, NUMBERS["value"])
        return pa.array([None if text is None else convert(text) for text in texts], kind)
    return pa.array([None if text is None else from_cell(text) for text in texts], pa.string())
