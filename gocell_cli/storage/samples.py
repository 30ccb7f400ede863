"""Samples as columns: their hash, and taking, joining and reading them one by one."""

import hashlib
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64

from gocell_cli.csr import pointers
from gocell_cli.storage.schema import NONE_INDEX, Labels, Sample, Samples


def logical_sha256(samples: Samples) -> str:
    """Hash of the columns' values, independent of backend, compression and library version.

    For each column in the format's order: name, dtype, length, then the little-endian values; NaN in its
    one canonical form, for IEEE 754 has 2^53 - 2 of them and each library writes its own.
    """
    digest = hashlib.sha256()
    for name, column in samples.columns().items():
        # on a little-endian machine, and for a column in one piece, nothing is copied
        values = np.ascontiguousarray(column, dtype=column.dtype.newbyteorder("<"))
        if values.dtype.kind == "f":
            values = _canonical_floats(values)
        # the header keeps columns apart: the same bytes cut otherwise are other columns
        digest.update(f"{name}:{values.dtype.str}:{len(values)};".encode())
        digest.update(values.view(np.uint8).data)  # a view: no copy
    return digest.hexdigest()


def _canonical_floats(values: np.ndarray) -> np.ndarray:
    """One NaN and one zero: other NaN payloads and -0.0 hash as these do."""
    # a sum is a new array: the samples' own values must not change
    canonical = values + 0.0  # -0.0 + 0.0 is 0.0
    canonical[np.isnan(values)] = np.nan
    return canonical


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
        others=tuple(found.take(rows) for found in samples.others),
    )


def _take_lists(
    ptr: Int64[np.ndarray, " n_plus_1"], rows: Int64[np.ndarray, " taken"]
) -> tuple[Int64[np.ndarray, " taken_plus_1"], Int64[np.ndarray, " values"]]:
    """New pointers of the lists at `rows`, and where their values stand in the old ones."""
    count = ptr[rows + 1] - ptr[rows]
    taken = pointers(count)
    # a value's place in the new array, moved by how far its list moved
    return taken, np.arange(taken[-1]) + np.repeat(ptr[rows] - taken[:-1], count)


def concat_samples(parts: Sequence[Samples]) -> Samples:
    """Return the samples of several parts of one cache, one after the other; at least one part.

    Parts without samples say nothing of how many phenotypes there are.
    """
    parts = [part for part in parts if len(part)] or parts[:1]
    columns = [p.columns() for p in parts]
    joined = {
        name: np.concatenate([c[name] for c in columns])
        for name in columns[0]
        if name not in ("gene_ptr", "source_ptr")
    }
    others = tuple(Labels(joined.pop(f"value_{i}"), joined.pop(f"statistic_{i}")) for i in _numbers(parts[0]))
    return Samples(
        # each part's pointers begin at 0, so lengths are joined and summed anew
        gene_ptr=pointers(np.concatenate([np.diff(p.gene_ptr) for p in parts])),
        source_ptr=pointers(np.concatenate([np.diff(p.source_ptr) for p in parts])),
        **joined,
        others=others,
    )


def _numbers(samples: Samples) -> range:
    """What stands behind `value_` and `statistic_` of the phenotypes after the first."""
    return range(1, len(samples.others) + 1)


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
        others=tuple((_number(found.value[index]), _number(found.statistic[index])) for found in samples.others),
    )


def _number(value: np.float64) -> float | None:
    return None if np.isnan(value) else float(value)


def _or_none(index: int) -> int | None:
    return None if index == NONE_INDEX else index
