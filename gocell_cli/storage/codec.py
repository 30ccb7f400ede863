"""Samples <-> bytes: the logical hash of a shard, and the record of one sample in LMDB.

Record, little-endian: u16 number of genes k, u16 number of source rows m, i16 dataset, i16 zero,
i32 query group, f64 value, f64 statistic, i32[k] genes, then m times (i64 source row, i32 query strain,
i32 array strain). `encode_records` and `decode_records` work on whole shards, grouped by (k, m).
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int64

from gocell_cli.csr import pointers
from gocell_cli.errors import DamagedCache
from gocell_cli.storage.schema import NONE_INDEX, Sample, Samples

HEADER = np.dtype(
    [
        ("genes", "<u2"),
        ("sources", "<u2"),
        ("dataset", "<i2"),
        ("zero", "<i2"),
        ("query_group", "<i4"),
        ("value", "<f8"),
        ("statistic", "<f8"),
    ]
)
SOURCE = np.dtype([("row", "<i8"), ("query_strain", "<i4"), ("array_strain", "<i4")])
MAX_COUNT = 2**16 - 1


def logical_sha256(samples: Samples) -> str:
    """Hash of the columns' values, independent of backend, compression and library version.

    For each column in the format's order: name, dtype, length, then the little-endian values; NaN in its
    one canonical form.
    """
    digest = hashlib.sha256()
    for name, column in samples.columns().items():
        values = np.ascontiguousarray(column, dtype=column.dtype.newbyteorder("<"))
        if values.dtype.kind == "f":
            values = _canonical_floats(values)
        digest.update(f"{name}:{values.dtype.str}:{len(values)};".encode())
        digest.update(values.view(np.uint8).data)  # a view: no copy
    return digest.hexdigest()


def _canonical_floats(values: np.ndarray) -> np.ndarray:
    """One NaN and one zero: other NaN payloads and -0.0 hash as these do."""
    canonical = values + 0.0
    canonical[np.isnan(values)] = np.nan
    return canonical


def _record_dtype(genes: int, sources: int) -> np.dtype[Any]:
    return np.dtype([("head", HEADER), ("genes", "<i4", (genes,)), ("sources", SOURCE, (sources,))])


def _by_shape(
    genes: Int64[np.ndarray, " samples"], sources: Int64[np.ndarray, " samples"]
) -> list[tuple[int, int, Int64[np.ndarray, " some"]]]:
    """Samples grouped by (number of genes, number of source rows)."""
    shapes, inverse = np.unique(np.stack([genes, sources], axis=1), axis=0, return_inverse=True)
    return [(int(k), int(m), np.flatnonzero(inverse.ravel() == i)) for i, (k, m) in enumerate(shapes)]


def encode_records(samples: Samples) -> list[bytes]:
    """Return one record a sample, in order."""
    gene_counts, source_counts = np.diff(samples.gene_ptr), np.diff(samples.source_ptr)
    records: list[bytes] = [b""] * len(samples)
    for k, m, rows in _by_shape(gene_counts, source_counts):
        if max(k, m) > MAX_COUNT:
            raise ValueError(f"a sample with {k} genes and {m} source rows does not fit a record")
        block = np.zeros(len(rows), dtype=_record_dtype(k, m))
        head = block["head"]
        head["genes"], head["sources"] = k, m
        for name in ("dataset", "query_group", "value", "statistic"):
            head[name] = getattr(samples, name)[rows]
        block["genes"] = samples.genes[samples.gene_ptr[rows][:, None] + np.arange(k)]
        at = samples.source_ptr[rows][:, None] + np.arange(m)
        block["sources"]["row"] = samples.source_row[at]
        block["sources"]["query_strain"] = samples.query_strain[at]
        block["sources"]["array_strain"] = samples.array_strain[at]
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
    if (HEADER.itemsize + 4 * gene_counts + SOURCE.itemsize * source_counts != lengths).any():
        raise DamagedCache("a sample record has not the length its header says")
    gene_ptr, source_ptr = pointers(gene_counts), pointers(source_counts)
    genes = np.empty(gene_ptr[-1], dtype=np.int32)
    sources = np.empty(source_ptr[-1], dtype=SOURCE)
    for k, m, rows in _by_shape(gene_counts, source_counts):
        block = np.frombuffer(b"".join(records[i] for i in rows.tolist()), dtype=_record_dtype(k, m))
        genes[gene_ptr[rows][:, None] + np.arange(k)] = block["genes"]
        sources[source_ptr[rows][:, None] + np.arange(m)] = block["sources"]
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
    )


def take_samples(samples: Samples, rows: Int64[np.ndarray, " taken"]) -> Samples:
    """Return the samples at `rows`, in that order, as columns of their own."""
    gene_ptr, genes = _take_lists(samples.gene_ptr, rows)
    source_ptr, sources = _take_lists(samples.source_ptr, rows)
    return Samples(
        gene_ptr=gene_ptr,
        genes=samples.genes[genes],
        value=samples.value[rows],
        statistic=samples.statistic[rows],
        dataset=samples.dataset[rows],
        query_group=samples.query_group[rows],
        source_ptr=source_ptr,
        source_row=samples.source_row[sources],
        query_strain=samples.query_strain[sources],
        array_strain=samples.array_strain[sources],
    )


def _take_lists(
    ptr: Int64[np.ndarray, " n_plus_1"], rows: Int64[np.ndarray, " taken"]
) -> tuple[Int64[np.ndarray, " taken_plus_1"], Int64[np.ndarray, " values"]]:
    """New pointers of the lists at `rows`, and where their values stand in the old ones."""
    count = ptr[rows + 1] - ptr[rows]
    taken = pointers(count)
    return taken, np.arange(taken[-1]) + np.repeat(ptr[rows] - taken[:-1], count)


def concat_samples(parts: Sequence[Samples]) -> Samples:
    """Return the samples of several parts, one after the other; at least one part."""
    columns = [p.columns() for p in parts]
    joined = {
        name: np.concatenate([c[name] for c in columns])
        for name in columns[0]
        if name not in ("gene_ptr", "source_ptr")
    }
    return Samples(
        gene_ptr=pointers(np.concatenate([np.diff(p.gene_ptr) for p in parts])),
        source_ptr=pointers(np.concatenate([np.diff(p.source_ptr) for p in parts])),
        **joined,
    )


def one_sample(samples: Samples, index: int) -> Sample:
    """Return one sample of some columns as a value."""
    genes = samples.genes[samples.gene_ptr[index] : samples.gene_ptr[index + 1]]
    statistic, group = float(samples.statistic[index]), int(samples.query_group[index])
    at = range(int(samples.source_ptr[index]), int(samples.source_ptr[index + 1]))
    return Sample(
        genes=tuple(genes.tolist()),
        value=float(samples.value[index]),
        statistic=None if np.isnan(statistic) else statistic,
        dataset=int(samples.dataset[index]),
        query_group=_or_none(group),
        sources=tuple(
            (int(samples.source_row[i]), _or_none(int(samples.query_strain[i])), _or_none(int(samples.array_strain[i])))
            for i in at
        ),
    )


def _or_none(index: int) -> int | None:
    return None if index == NONE_INDEX else index
