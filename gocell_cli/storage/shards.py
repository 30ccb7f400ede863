"""A shard as one file: its two backends, which pass one conformance suite.

Parquet is the archive and the fast path: column scans, whole epochs in memory.

LMDB is for random access by sample, from many processes at once. Keys are the sample's position in the shard as a
big-endian u64, so that LMDB's order of bytes is the order of numbers. A record, little-endian: u16 number of genes k,
u16 number of source rows m, i16 dataset, i16 number of phenotypes after the first p, i32 query group, f64 value, f64
statistic, i32[k] genes, then m times (i64 source row, i32 query strain, i32 array strain), then p times (f64 value, f64
statistic). `encode_records` and `decode_records` work on whole shards,
grouped by (k, m). Readers use `lock=False`: a finished shard never changes, and a lock file would stop read-only media.
LMDB opens a file once per process and cannot be carried over a fork, so environments are opened per call, one at a
time, and closed again: some 0.1 ms, once a batch.
"""

import errno
import os
import re
import struct
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float64, Int64

from gocell_cli.csr import pointers
from gocell_cli.errors import DamagedCache
from gocell_cli.free_memory import require_memory
from gocell_cli.storage.parquet_footer import decoded_bytes, holds_null
from gocell_cli.storage.samples import take_samples
from gocell_cli.storage.schema import Labels, Samples, ShardBackend

OTHER_COLUMN = re.compile(r"(value|statistic)_[0-9]+")
ROW_GROUP = 1_000_000
"""Above any usual shard: one group a column is one chunk, which the reader takes without copying."""
SCHEMA = pa.schema(
    [
        pa.field("genes", pa.list_(pa.int32()), nullable=False),
        pa.field("value", pa.float64(), nullable=False),
        pa.field("statistic", pa.float64()),  # null where there is none: to others NaN is a number that went wrong
        pa.field("dataset", pa.int16(), nullable=False),
        pa.field("query_group", pa.int32(), nullable=False),
        pa.field("source_row", pa.list_(pa.int64()), nullable=False),
        pa.field("query_strain", pa.list_(pa.int32()), nullable=False),
        pa.field("array_strain", pa.list_(pa.int32()), nullable=False),
    ]
)


def parquet_schema(others: int) -> pa.Schema:
    """Return the columns of a shard with so many phenotypes after the first: `value`, too, may then be null."""
    if not others:
        return SCHEMA
    place = SCHEMA.get_field_index("value")
    names = [f"{part}_{i + 1}" for i in range(others) for part in Labels._fields]
    return pa.schema([*SCHEMA.set(place, pa.field("value", pa.float64())), *(pa.field(n, pa.float64()) for n in names)])


class ParquetShard:
    """Reads and writes shards as Parquet (zstd, dictionaries, page checksums)."""

    suffix = ".parquet"

    def write(self, path: str, samples: Samples) -> None:
        """Write all samples to a new file."""
        table = pa.table(
            {
                "genes": _lists(samples.gene_ptr, samples.genes),
                "value": _nullable(samples.value) if samples.others else samples.value,
                "statistic": _nullable(samples.statistic),
                "dataset": samples.dataset,
                "query_group": samples.query_group,
                "source_row": _lists(samples.source_ptr, samples.source_row),
                "query_strain": _lists(samples.source_ptr, samples.query_strain),
                "array_strain": _lists(samples.source_ptr, samples.array_strain),
                **{n: _nullable(c) for n, c in samples.columns().items() if OTHER_COLUMN.fullmatch(n)},
            },
            schema=parquet_schema(len(samples.others)),
        )
        pq.write_table(table, path, compression="zstd", row_group_size=ROW_GROUP, write_page_checksum=True)

    def read(self, path: str) -> Samples:
        """Read all samples back."""
        table = self._table(path)
        gene_ptr, genes = _flat(table, "genes")
        source_ptr, source_row = _flat(table, "source_row")
        strains = {name: _flat(table, name) for name in ("query_strain", "array_strain")}
        if any(not np.array_equal(ptr, source_ptr) for ptr, _ in strains.values()):
            raise DamagedCache(f"{path}: a sample has not as many strains as source rows")
        return Samples(
            gene_ptr=gene_ptr,
            genes=genes,
            value=_values(table, "value"),
            statistic=_values(table, "statistic"),
            dataset=_values(table, "dataset"),
            query_group=_values(table, "query_group"),
            source_ptr=source_ptr,
            source_row=source_row,
            query_strain=strains["query_strain"][1],
            array_strain=strains["array_strain"][1],
            others=tuple(
                Labels(_values(table, f"value_{i + 1}"), _values(table, f"statistic_{i + 1}"))
                for i in range(_others_in(table.schema))
            ),
        )

    def capacity(self, path: str) -> int:
        """Return how many samples the file's footer says it holds."""
        with _readable(path), pq.ParquetFile(path) as file:
            return int(file.metadata.num_rows)

    def read_rows(self, path: str, rows: Int64[np.ndarray, " some"]) -> Samples:
        """Read the samples at `rows`, counted from the shard's start, in that order."""
        return take_samples(self.read(path), rows)

    def _table(self, path: str) -> pa.Table:
        # Page checksums are for readers who do not check the file's sha256; here they would cost half the
        # time. One thread: it takes no longer than several, and callers read several shards at once.
        with _readable(path), pq.ParquetFile(path, pre_buffer=False) as file:
            if not file.schema_arrow.equals(parquet_schema(_others_in(file.schema_arrow))):
                raise DamagedCache(f"{path}: its columns are not those of the format", why=str(file.schema_arrow))
            require_memory(decoded_bytes(file.metadata), f"{path}: what its footer says it holds")
            table = file.read(use_threads=False)
        if table.num_rows != file.metadata.num_rows:
            raise DamagedCache(f"{path}: holds {table.num_rows} rows, its footer says {file.metadata.num_rows}")
        # labels alone may be null, and of a single phenotype its statistic alone
        needed = [f.name for f in table.schema if not f.nullable]
        null = next((n for n in needed if holds_null(table.column(n))), None)
        if null is not None:
            raise DamagedCache(f"{path}: a null in {null}")
        return table


def _others_in(schema: pa.Schema) -> int:
    """How many phenotypes after the first a shard's columns are of."""
    return sum(name.startswith("value_") for name in schema.names)


def _nullable(values: Float64[np.ndarray, " samples"]) -> pa.Array:
    """Values with null for NaN: to others NaN is a number that went wrong."""
    return pa.array(values, mask=np.isnan(values))


@contextmanager
def _readable(path: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # the last of a column's name
        raise DamagedCache(f"{path}: not a readable Parquet shard ({error})") from error


def _lists(ptr: Int64[np.ndarray, " n_plus_1"], values: np.ndarray) -> pa.ListArray:
    # Arrow's plain lists count in int32: a shard's values are far fewer than 2^31
    return pa.ListArray.from_arrays(pa.array(ptr.astype(np.int32)), pa.array(values))


def _one_chunk(table: pa.Table, name: str) -> pa.Array:
    """A column as one array, without a copy where it is one chunk already."""
    column = table.column(name)
    # the empty array is for a shard without samples: it may have no chunk, and Arrow joins no list of none
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays([*column.chunks, pa.array([], column.type)])


def _values(table: pa.Table, name: str) -> np.ndarray:
    # not zero_copy_only: the nulls of `statistic` become NaN, in a copy
    values: np.ndarray = _one_chunk(table, name).to_numpy(zero_copy_only=False)
    return values


def _flat(table: pa.Table, name: str) -> tuple[Int64[np.ndarray, " n_plus_1"], np.ndarray]:
    column = _one_chunk(table, name)
    offsets = column.offsets.to_numpy().astype(np.int64)
    # of a slice the offsets go on from the array before it, while flatten gives the slice's values alone
    return offsets - offsets[0], column.flatten().to_numpy(zero_copy_only=False)


HEADER = np.dtype(
    [
        ("genes", "<u2"),
        ("sources", "<u2"),
        ("dataset", "<i2"),
        # phenotypes after the first: 0 in version 1
        ("others", "<i2"),
        ("query_group", "<i4"),
        ("value", "<f8"),
        ("statistic", "<f8"),
    ]
)
LABEL = np.dtype([("value", "<f8"), ("statistic", "<f8")])
SOURCE = np.dtype([("row", "<i8"), ("query_strain", "<i4"), ("array_strain", "<i4")])
# the header's u16
MAX_COUNT = 2**16 - 1
COMMIT_EVERY = 10_000
"""Records a transaction: dirty pages are held in memory until it ends."""
PAGE = 4096
KEY = struct.Struct(">Q")
_ONE_AT_A_TIME = threading.Lock()  # LMDB refuses a second environment of one file in one process


def _record_dtype(genes: int, sources: int, others: int) -> np.dtype[Any]:
    return np.dtype(
        [("head", HEADER), ("genes", "<i4", (genes,)), ("sources", SOURCE, (sources,)), ("others", LABEL, (others,))]
    )


def _by_shape(
    genes: Int64[np.ndarray, " samples"], sources: Int64[np.ndarray, " samples"]
) -> list[tuple[int, int, Int64[np.ndarray, " some"]]]:
    """Samples grouped by (number of genes, number of source rows)."""
    # records of one shape are one NumPy array: a loop over shapes, few, instead of over samples, millions
    shapes, inverse = np.unique(np.stack([genes, sources], axis=1), axis=0, return_inverse=True)
    # ravel: NumPy 2.0 gave the inverse of unique rows a second axis
    return [(int(k), int(m), np.flatnonzero(inverse.ravel() == i)) for i, (k, m) in enumerate(shapes)]


def encode_records(samples: Samples) -> list[bytes]:
    """Return one record a sample, in order."""
    gene_counts, source_counts = np.diff(samples.gene_ptr), np.diff(samples.source_ptr)
    records: list[bytes] = [b""] * len(samples)
    for k, m, rows in _by_shape(gene_counts, source_counts):
        if max(k, m) > MAX_COUNT:
            raise ValueError(f"a sample with {k} genes and {m} source rows does not fit a record")
        block = np.zeros(len(rows), dtype=_record_dtype(k, m, len(samples.others)))
        head = block["head"]
        head["genes"], head["sources"], head["others"] = k, m, len(samples.others)
        for name in ("dataset", "query_group", "value", "statistic"):
            head[name] = getattr(samples, name)[rows]
        # row i of the index is where sample i's k genes lie: its pointer, and the k - 1 places after it
        block["genes"] = samples.genes[samples.gene_ptr[rows][:, None] + np.arange(k)]
        at = samples.source_ptr[rows][:, None] + np.arange(m)
        block["sources"]["row"] = samples.source_row[at]
        block["sources"]["query_strain"] = samples.query_strain[at]
        block["sources"]["array_strain"] = samples.array_strain[at]
        for i, found in enumerate(samples.others):
            block["others"]["value"][:, i], block["others"]["statistic"][:, i] = found.take(rows)
        data, size = block.tobytes(), block.dtype.itemsize
        for i, row in enumerate(rows.tolist()):
            records[row] = data[i * size : (i + 1) * size]
    return records


def decode_records(records: Sequence[bytes]) -> Samples:
    """Return the samples of consecutive records; raises DamagedCache where a record's length is wrong."""
    lengths = np.array([len(r) for r in records], dtype=np.int64)
    if len(records) and int(lengths.min()) < HEADER.itemsize:
        raise DamagedCache("a sample record is too short")
    heads = np.frombuffer(b"".join(r[: HEADER.itemsize] for r in records), dtype=HEADER)
    gene_counts, source_counts = heads["genes"].astype(np.int64), heads["sources"].astype(np.int64)
    others = int(heads["others"][0]) if len(records) else 0
    if others < 0 or (heads["others"] != others).any():
        raise DamagedCache("sample records do not have as many phenotypes as each other")
    size = HEADER.itemsize + 4 * gene_counts + SOURCE.itemsize * source_counts + LABEL.itemsize * others
    if (size != lengths).any():
        raise DamagedCache("a sample record has not the length its header says")
    gene_ptr, source_ptr = pointers(gene_counts), pointers(source_counts)
    genes = np.empty(gene_ptr[-1], dtype=np.int32)
    sources = np.empty(source_ptr[-1], dtype=SOURCE)
    labels = np.empty((len(records), others), dtype=LABEL)
    for k, m, rows in _by_shape(gene_counts, source_counts):
        block = np.frombuffer(b"".join(records[i] for i in rows.tolist()), dtype=_record_dtype(k, m, others))
        genes[gene_ptr[rows][:, None] + np.arange(k)] = block["genes"]
        sources[source_ptr[rows][:, None] + np.arange(m)] = block["sources"]
        labels[rows] = block["others"]
    return Samples(
        gene_ptr=gene_ptr,
        genes=genes,
        value=heads["value"].astype(np.float64),
        statistic=heads["statistic"].astype(np.float64),
        dataset=heads["dataset"].astype(np.int16),
        query_group=heads["query_group"].astype(np.int32),
        source_ptr=source_ptr,
        source_row=sources["row"].astype(np.int64),
        query_strain=sources["query_strain"].astype(np.int32),
        array_strain=sources["array_strain"].astype(np.int32),
        others=tuple(
            Labels(found["value"].astype(np.float64), found["statistic"].astype(np.float64)) for found in labels.T
        ),
    )


class LmdbShard:
    """Reads and writes shards as LMDB environments of one file."""

    suffix = ".lmdb"

    def write(self, path: str, samples: Samples) -> None:
        """Write all samples to a new file, trimmed to its used pages; raises OSError where that fails."""
        records = encode_records(samples)
        # LMDB never grows past its map: 64 bytes a record for key and node, four times over for pages half full after a
        # split and for those that a transaction copies. It costs nothing: the file ends with the last page in use.
        used = sum(map(len, records)) + 64 * len(records)
        size = 64 * PAGE + 4 * (used // PAGE + 1) * PAGE
        try:
            self._fill(path, records, size)
        except lmdb.Error as error:  # a full disk, for example
            # lmdb.Error carries no errno, only the C library's text for it at the end of its own
            code = next((c for c in errno.errorcode if str(error).endswith(os.strerror(c))), errno.EIO)
            raise OSError(code, str(error)) from error

    def _fill(self, path: str, records: list[bytes], size: int) -> None:
        # synced once at the end: the file has a temporary name until then, and a power cut before costs nothing
        with lmdb.open(path, subdir=False, lock=False, map_size=size, writemap=False, sync=False) as env:
            for start in range(0, len(records), COMMIT_EVERY):
                chunk = records[start : start + COMMIT_EVERY]
                items = [(KEY.pack(start + i), record) for i, record in enumerate(chunk)]
                with env.begin(write=True) as transaction, transaction.cursor() as cursor:
                    cursor.putmulti(items, append=True)  # keys ascend, so pages fill to the brim
            env.sync(True)

    def capacity(self, path: str) -> int:
        """Return how many samples a file of this size can hold, which is not opened for it."""
        return Path(path).stat().st_size // HEADER.itemsize

    def read(self, path: str) -> Samples:
        """Read all samples back."""
        with _open(path) as env, env.begin(buffers=False) as transaction:
            keys, records = [], []
            for key, record in transaction.cursor():
                keys.append(key)
                records.append(record)
        # LMDB returns keys in the order of their bytes, big-endian and so that of the numbers
        if keys != [KEY.pack(i) for i in range(len(keys))]:
            raise DamagedCache(f"{path}: its keys are not 0 to {len(keys) - 1}")
        return decode_records(records)

    def read_rows(self, path: str, rows: Int64[np.ndarray, " some"]) -> Samples:
        """Read the samples at `rows`, counted from the shard's start, in that order."""
        with _open(path) as env, env.begin() as transaction:
            found = [transaction.get(KEY.pack(row)) for row in rows.tolist()]
        records = [record for record in found if record is not None]
        if len(records) < len(found):
            raise DamagedCache(f"{path}: holds no sample {rows[found.index(None)]}")
        return decode_records(records)


@contextmanager
def _open(path: str) -> Iterator[lmdb.Environment]:
    try:
        with _ONE_AT_A_TIME, lmdb.open(path, subdir=False, lock=False, readonly=True, create=False) as env:
            yield env
    except lmdb.Error as error:
        raise DamagedCache(f"{path}: not a readable LMDB shard ({error})") from error


SHARD_BACKENDS: Mapping[str, ShardBackend] = {"parquet": ParquetShard(), "lmdb": LmdbShard()}
