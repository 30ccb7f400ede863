"""A cache written by hand from the format's description, with pyarrow, json, hashlib and struct alone.

Three terms under each other, two genes, three samples in two shards:

    GO:0000001 top   (level 1)  gene -
    GO:0000002 below (level 2)  genes 0, 1         edges (child -> parent): 1 -> 0, 0 -> 2
    GO:ROOT          (level 0)  gene -
    sample 0 deletes gene 0; sample 1 deletes nothing; sample 2 deletes genes 0 and 1
"""

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

I16, I32, I64, F64, TEXT = pa.int16(), pa.int32(), pa.int64(), pa.float64(), pa.string()
TERMS: dict[str, tuple[pa.DataType, list]] = {
    "id": (TEXT, ["GO:0000001", "GO:0000002", "GO:ROOT"]),
    "name": (TEXT, ["top", "below", "GO:ROOT"]),
    "namespace": (TEXT, ["toy", "toy", "super_root"]),
    "go_level": (I32, [0, 1, -1]),
    "go_depth": (I32, [0, 1, -1]),
    "stratum": (I32, [1, 2, 0]),
    "height": (I32, [1, 0, 2]),
    "level": (I32, [1, 2, 0]),
    "direct_genes": (I32, [0, 2, 0]),
    "contained_genes": (I32, [2, 2, 2]),
}
GENES = {
    "systematic": (TEXT, ["YAL001C", "YAL002W"]),
    "standard": (TEXT, ["TFC3", ""]),
    "aliases": (pa.list_(TEXT), [["FUN24", "TSV115"], []]),
    "first_row": (I64, [0, 1]),
    "row_count": (I64, [1, 1]),
}
TABLES: dict[str, dict[str, tuple[pa.DataType, list]]] = {
    "hierarchy/terms": TERMS,
    "hierarchy/genes": GENES,
    "hierarchy/edges": {"child": (I32, [0, 1]), "parent": (I32, [2, 0])},
    "hierarchy/term_genes": {"term": (I32, [1, 1]), "gene": (I32, [0, 1])},
    "hierarchy/gene_rows": {"row": (I32, [0, 1])},
    "provenance/strains": {"strain": (TEXT, ["YAL001C_tm1"]), "allele": (TEXT, ["tfc3"]), "kind": (TEXT, ["unknown"])},
    "provenance/query_groups": {"genes": (TEXT, ["YAL001C"])},
}
SAMPLE_SCHEMA = pa.schema(
    [
        pa.field("genes", pa.list_(I32), nullable=False),
        pa.field("value", F64, nullable=False),
        pa.field("statistic", F64),
        pa.field("dataset", I16, nullable=False),
        pa.field("query_group", I32, nullable=False),
        pa.field("source_row", pa.list_(I64), nullable=False),
        pa.field("query_strain", pa.list_(I32), nullable=False),
        pa.field("array_strain", pa.list_(I32), nullable=False),
    ]
)
SAMPLES: list[dict[str, Any]] = [
    {"genes": [0], "value": 0.5, "statistic": 0.125, "query_group": 0, "rows": [(2, 0, -1)]},
    {"genes": [], "value": 1.0, "statistic": None, "query_group": -1, "rows": []},
    {"genes": [0, 1], "value": -0.25, "statistic": None, "query_group": 0, "rows": [(3, 0, -1), (7, 0, -1)]},
]
SHARDS = (SAMPLES[:2], SAMPLES[2:])
CONFIG: dict[str, Any] = {
    "format_version": 1,
    "package_version": "by hand",
    "dataset": "made up",
    "phenotype": "fitness",
    "dataset_options": {},
    "sources": {},
    "go_release": "toy",
    "filters": {"preset": "none"},
    "keep_unannotated": True,
    "level_by": "stratum",
    "backends": ["parquet"],
    "shard_size": 2,
    "seed": None,
}
CANONICAL_NAN = bytes.fromhex("000000000000f87f")


def _pointers(lengths: list[int]) -> list[int]:
    return [sum(lengths[:i]) for i in range(len(lengths) + 1)]


def logical_sha256(samples: list[dict[str, Any]]) -> str:
    """For each column: name, dtype, length, then the little-endian values; NaN as 0x7ff8000000000000."""
    rows = [row for s in samples for row in s["rows"]]
    columns: list[tuple[str, str, str, list]] = [
        ("gene_ptr", "<i8", "q", _pointers([len(s["genes"]) for s in samples])),
        ("genes", "<i4", "i", [g for s in samples for g in s["genes"]]),
        ("value", "<f8", "d", [s["value"] for s in samples]),
        ("statistic", "<f8", "d", [s["statistic"] for s in samples]),
        ("dataset", "<i2", "h", [0 for _ in samples]),
        ("query_group", "<i4", "i", [s["query_group"] for s in samples]),
        ("source_ptr", "<i8", "q", _pointers([len(s["rows"]) for s in samples])),
        ("source_row", "<i8", "q", [r[0] for r in rows]),
        ("query_strain", "<i4", "i", [r[1] for r in rows]),
        ("array_strain", "<i4", "i", [r[2] for r in rows]),
    ]
    digest = hashlib.sha256()
    for name, dtype, code, values in columns:
        digest.update(f"{name}:{dtype}:{len(values)};".encode())
        digest.update(b"".join(CANONICAL_NAN if v is None else struct.pack(f"<{code}", v) for v in values))
    return digest.hexdigest()


def _write(cache: Path, path: str, table: pa.Table) -> dict[str, Any]:
    file = cache / path
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, file)
    data = file.read_bytes()
    return {"path": path, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def _shard(cache: Path, index: int, start: int, samples: list[dict[str, Any]]) -> dict[str, Any]:
    columns = {
        "genes": [s["genes"] for s in samples],
        "value": [s["value"] for s in samples],
        "statistic": [s["statistic"] for s in samples],
        "dataset": [0 for _ in samples],
        "query_group": [s["query_group"] for s in samples],
        **{
            name: [[r[i] for r in s["rows"]] for s in samples]
            for i, name in enumerate(("source_row", "query_strain", "array_strain"))
        },
    }
    file = _write(cache, f"samples/part-{index:05d}.parquet", pa.table(columns, schema=SAMPLE_SCHEMA))
    return {
        "index": index,
        "start": start,
        "rows": len(samples),
        "logical_sha256": logical_sha256(samples),
        "files": {"parquet": file},
    }


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def write_cache(cache: Path) -> Path:
    """Write the cache; return its path."""
    files = [
        _write(cache, f"{path}.parquet", pa.table({n: pa.array(v, t) for n, (t, v) in columns.items()}))
        for path, columns in TABLES.items()
    ]
    starts = _pointers([len(s) for s in SHARDS])
    manifest = {
        "format_version": 1,
        "package_version": "by hand",
        "fingerprint": hashlib.sha256(_canonical(CONFIG)).hexdigest(),
        "config": CONFIG,
        "datasets": ["made up"],
        "phenotype": {"kind": "fitness", "statistic": "sd"},
        "counts": {"rows_read": 4, "samples": 3, "dropped": {"duplicate_merged": 1}},
        "level_by": "stratum",
        "level_direction": "root_down",
        "level_counts": [1, 1, 1],
        "width_by": "direct",
        "files": files,
        "shards": [_shard(cache, i, starts[i], samples) for i, samples in enumerate(SHARDS)],
    }
    data = _canonical(manifest)
    (cache / "manifest.json").write_bytes(data)
    (cache / "manifest.sha256").write_text(hashlib.sha256(data).hexdigest() + "\n", "ascii")
    return cache
