"""Makes the hashes of a mutated cache right again, as a careful liar would: only what it holds gives it away."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq


def _record(cache: Path, record: Any) -> None:
    path = cache / record["path"]
    if path.is_file():
        data = path.read_bytes()
        record |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def _values(column: Any, dtype: str, missing: float) -> np.ndarray:
    return column.fill_null(missing).to_numpy(zero_copy_only=False).astype(dtype)


def _logical(path: Path) -> str:
    """The hash of a Parquet shard's values, from the format's description (schemas/README.md) alone."""
    table = pq.read_table(path).combine_chunks()
    lists = {name: table.column(name).chunk(0) for name in ("genes", "source_row", "query_strain", "array_strain")}
    flat = {name: pc.list_flatten(column) for name, column in lists.items()}
    starts = {name: np.concatenate([[0], np.cumsum(_values(pc.list_value_length(lists[name]), "<i8", 0))])
              for name in ("genes", "source_row")}  # fmt: skip
    columns = {
        "gene_ptr": starts["genes"].astype("<i8"), "genes": _values(flat["genes"], "<i4", -1),
        "value": _values(table.column("value"), "<f8", np.nan),
        "statistic": _values(table.column("statistic"), "<f8", np.nan),
        "dataset": _values(table.column("dataset"), "<i2", 0),
        "query_group": _values(table.column("query_group"), "<i4", -1),
        "source_ptr": starts["source_row"].astype("<i8"), "source_row": _values(flat["source_row"], "<i8", 0),
        "query_strain": _values(flat["query_strain"], "<i4", -1),
        "array_strain": _values(flat["array_strain"], "<i4", -1),
    }  # fmt: skip
    digest = hashlib.sha256()
    for name, values in columns.items():
        if values.dtype.kind == "f":
            values[values == 0] = 0.0  # one zero
            values[np.isnan(values)] = np.nan  # one NaN
        digest.update(f"{name}:{values.dtype.str}:{len(values)};".encode() + values.tobytes())
    return digest.hexdigest()


def reseal(path: Path) -> None:
    """Recompute the size and hash of every file of a manifest that can be read, and the manifest's own hash."""
    cache = path.parent
    try:
        manifest = json.loads(path.read_bytes())
        for record in manifest["files"]:
            _record(cache, record)
        for shard in manifest["shards"]:
            for record in shard["files"].values():
                _record(cache, record)
            if "parquet" in shard["files"]:
                shard["logical_sha256"] = _logical(cache / shard["files"]["parquet"]["path"])
        text = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        path.write_bytes(text.encode() + b"\n")
    except (ValueError, LookupError, TypeError, AttributeError, OSError, RecursionError, pa.ArrowException):
        pass  # a manifest that is none: sealed as it is
    path.with_suffix(".sha256").write_text(hashlib.sha256(path.read_bytes()).hexdigest() + "\n", "ascii")
