"""split.parquet: the split that a run keeps, a row a sample, named by genotype, so that `--split RUN` reads it back."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from jaxtyping import Int8

from gocell_cli.errors import DamagedCache
from gocell_cli.storage.schema import Samples
from gocell_cli.training.data.splits.genotypes import are_distinct, genotype_codes
from gocell_cli.training.data.splits.kinds import PARTS
from gocell_cli.training.data.splits.split import DROPPED, UNUSED, Split
from gocell_cli.whole_file import whole_file

WORDS = (*PARTS, "unused")
"""What the column `part` holds; nothing for a sample that is in no part."""
SOURCE_ROW = "source_row"
AGAIN = "train it again: gocell train --out DIR"


def as_table(samples: Samples, split: Split, names: Sequence[str]) -> pa.Table:
    """Return columns gene_1, gene_2 .. (systematic names) and part; source_row where a genotype has several samples."""
    counts, genes = np.diff(samples.gene_ptr), pa.array(names, pa.string())
    columns: dict[str, pa.Array] = {}
    for place in range(max(int(counts.max(initial=0)), 1)):
        has = counts > place
        index = np.zeros(len(samples), dtype=np.int32)
        index[has] = samples.genes[samples.gene_ptr[:-1][has] + place]
        columns[f"gene_{place + 1}"] = pa.DictionaryArray.from_arrays(pa.array(index, mask=~has), genes)
    part = np.where(split.part == UNUSED, len(PARTS), split.part).astype(np.int8)
    columns["part"] = pa.DictionaryArray.from_arrays(pa.array(part, mask=part < 0), pa.array(WORDS, pa.string()))
    if not are_distinct(genotype_codes(samples.gene_ptr, samples.genes)):
        columns[SOURCE_ROW] = pa.array(samples.source_row[samples.source_ptr[:-1]])
    return pa.table(columns)


def write_split(path: Path, samples: Samples, split: Split, names: Sequence[str]) -> None:
    """Write `as_table` as Parquet."""
    with whole_file(path) as temporary:
        pq.write_table(as_table(samples, split, names), temporary, compression="zstd")


def trained_singles(path: Path) -> int | None:
    """Return how many single mutants a kept split trains on; None where the file cannot be read, or has no genes."""
    try:
        with pq.ParquetFile(path) as table:
            columns = table.schema_arrow.names
            if "gene_1" not in columns:
                return None
            found = table.read(columns=[name for name in ("gene_1", "gene_2", "part") if name in columns])
    except (OSError, pa.ArrowException):
        return None
    single = pc.is_valid(found["gene_1"])
    if "gene_2" in columns:
        single = pc.and_(single, pc.is_null(found["gene_2"]))
    trains = pc.equal(pc.cast(found["part"], pa.string()), PARTS[0])
    return int(pc.sum(pc.and_(single, trains.fill_null(False))).as_py() or 0)


def read_split(path: Path, sha256: str, count: int) -> Int8[np.ndarray, " samples"]:
    """Return the part of each of a cache's samples, in its order; raises DamagedCache where the file is another one."""
    try:
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                raise DamagedCache(f"{path}: damaged: its sha256 is not the one recorded", hint=AGAIN)
        # not pq.read_table: it loads Arrow's datasets, and pandas where that is installed
        with pq.ParquetFile(path) as table:
            rows = table.metadata.num_rows
            if rows != count:  # before anything is made for each of them
                raise DamagedCache(f"{path}: it has {rows:,} rows, and the cache {count:,} samples", hint=AGAIN)
            coded = table.read(columns=["part"]).column("part").combine_chunks()
        coded = coded if pa.types.is_dictionary(coded.type) else coded.dictionary_encode()
        # the last entry answers for what is null
        number = np.array([*map(_number, coded.dictionary.to_pylist()), DROPPED], dtype=np.int8)
        part: Int8[np.ndarray, " samples"] = number[coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)]
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        raise DamagedCache(f"{path}: cannot be read: {error}", hint=AGAIN) from error
    return part


def _number(word: object) -> int:
    return UNUSED if word == WORDS[-1] else PARTS.index(str(word))
