"""A shard as one Parquet file: the archive and the fast path (column scans, whole epochs in memory)."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Int64

from gocell_cli.errors import DamagedCache
from gocell_cli.storage.codec import take_samples
from gocell_cli.storage.schema import Samples

ROW_GROUP = 1_000_000
SCHEMA = pa.schema(
    [
        pa.field("genes", pa.list_(pa.int32()), nullable=False),
        pa.field("value", pa.float64(), nullable=False),
        pa.field("statistic", pa.float64()),
        pa.field("dataset", pa.int16(), nullable=False),
        pa.field("query_group", pa.int32(), nullable=False),
        pa.field("source_row", pa.list_(pa.int64()), nullable=False),
        pa.field("query_strain", pa.list_(pa.int32()), nullable=False),
        pa.field("array_strain", pa.list_(pa.int32()), nullable=False),
    ]
)


class ParquetShard:
    """Reads and writes shards as Parquet (zstd, dictionaries, page checksums)."""

    suffix = ".parquet"

    def write(self, path: str, samples: Samples) -> None:
        """Write all samples to a new file."""
        table = pa.table(
            {
                "genes": _lists(samples.gene_ptr, samples.genes),
                "value": samples.value,
                "statistic": pa.array(samples.statistic, mask=np.isnan(samples.statistic)),
                "dataset": samples.dataset,
                "query_group": samples.query_group,
                "source_row": _lists(samples.source_ptr, samples.source_row),
                "query_strain": _lists(samples.source_ptr, samples.query_strain),
                "array_strain": _lists(samples.source_ptr, samples.array_strain),
            },
            schema=SCHEMA,
        )
        pq.write_table(table, path, compression="zstd", row_group_size=ROW_GROUP, write_page_checksum=True)

    def read(self, path: str) -> Samples:
        """Read all samples back."""
        table = self._table(path)
        gene_ptr, genes = _flat(table, "genes")
        source_ptr, source_row = _flat(table, "source_row")
        return Samples(
            gene_ptr=gene_ptr,
            genes=genes,
            value=_values(table, "value"),
            statistic=_values(table, "statistic"),
            dataset=_values(table, "dataset"),
            query_group=_values(table, "query_group"),
            source_ptr=source_ptr,
            source_row=source_row,
            query_strain=_flat(table, "query_strain")[1],
            array_strain=_flat(table, "array_strain")[1],
        )

    def read_rows(self, path: str, rows: Int64[np.ndarray, " some"]) -> Samples:
        """Read the samples at `rows`, counted from the shard's start, in that order."""
        return take_samples(self.read(path), rows)

    def _table(self, path: str) -> pa.Table:
        try:
            # Page checksums are for readers who do not check the file's sha256; here they would cost half the
            # time. One thread: it takes no longer than several, and callers read several shards at once.
            table = pq.read_table(path, use_threads=False, pre_buffer=False)
        except (pa.ArrowException, OSError) as error:
            raise DamagedCache(f"{path}: not a readable Parquet shard ({error})") from error
        if not table.schema.equals(SCHEMA):
            raise DamagedCache(f"{path}: its columns are not those of the format", why=str(table.schema))
        return table


def _lists(ptr: Int64[np.ndarray, " n_plus_1"], values: np.ndarray) -> pa.ListArray:
    return pa.ListArray.from_arrays(pa.array(ptr.astype(np.int32)), pa.array(values))


def _one_chunk(table: pa.Table, name: str) -> pa.Array:
    """A column as one array, without a copy where it is one chunk already."""
    column = table.column(name)
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays([*column.chunks, pa.array([], column.type)])


def _values(table: pa.Table, name: str) -> np.ndarray:
    values: np.ndarray = _one_chunk(table, name).to_numpy(zero_copy_only=False)
    return values


def _flat(table: pa.Table, name: str) -> tuple[Int64[np.ndarray, " n_plus_1"], np.ndarray]:
    column = _one_chunk(table, name)
    offsets = column.offsets.to_numpy().astype(np.int64)
    return offsets - offsets[0], column.flatten().to_numpy(zero_copy_only=False)
