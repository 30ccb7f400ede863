"""schemas/README.md is enough: a toy cache read with pyarrow, lmdb, NumPy and the standard library alone."""

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import pyarrow.parquet as pq

from gocell_cli.storage.reader import Cache  # only to compare with
from gocell_cli.storage.schema import Sample

HEADER, SOURCE = struct.Struct("<HHhhidd"), struct.Struct("<qii")


def checked(cache: Path, record: dict[str, Any]) -> Path:
    path = cache / record["path"]
    data = path.read_bytes()
    assert (len(data), hashlib.sha256(data).hexdigest()) == (record["bytes"], record["sha256"])
    return path


def foreign_manifest(cache: Path) -> dict[str, Any]:
    data = (cache / "manifest.json").read_bytes()
    assert (cache / "manifest.sha256").read_text("ascii").strip() == hashlib.sha256(data).hexdigest()
    manifest = json.loads(data)
    assert manifest["format_version"] == 1
    return manifest


def none_or(index: int) -> int | None:
    return None if index == -1 else index


def parquet_samples(path: Path) -> list[Sample]:
    return [
        Sample(
            tuple(r["genes"]),
            r["value"],
            r["statistic"],
            r["dataset"],
            none_or(r["query_group"]),
            tuple(
                (row, none_or(q), none_or(a))
                for row, q, a in zip(r["source_row"], r["query_strain"], r["array_strain"], strict=True)
            ),
        )
        for r in pq.read_table(path).to_pylist()
    ]


def lmdb_record(data: bytes) -> Sample:
    k, m, dataset, zero, group, value, statistic = HEADER.unpack_from(data)
    assert zero == 0
    genes = struct.unpack_from(f"<{k}i", data, 28)
    sources = [SOURCE.unpack_from(data, 28 + 4 * k + 16 * i) for i in range(m)]
    assert len(data) == 28 + 4 * k + 16 * m
    known = None if statistic != statistic else statistic  # NaN is no number but itself  # noqa: PLR0124
    rows = tuple((row, none_or(q), none_or(a)) for row, q, a in sources)
    return Sample(genes, value, known, dataset, none_or(group), rows)


def lmdb_samples(path: Path) -> list[Sample]:
    with lmdb.open(str(path), subdir=False, lock=False, readonly=True) as env, env.begin() as transaction:
        return [lmdb_record(transaction.get(struct.pack(">Q", i))) for i in range(env.stat()["entries"])]


def test_samples_of_both_backends(toy_cache: Path) -> None:
    shards = foreign_manifest(toy_cache)["shards"]
    ours = Cache(toy_cache)
    expected = [ours.sample(i) for i in range(len(ours))]
    for backend, read in (("parquet", parquet_samples), ("lmdb", lmdb_samples)):
        assert [s for shard in shards for s in read(checked(toy_cache, shard["files"][backend]))] == expected


def test_mutant_state(toy_cache: Path) -> None:
    for record in foreign_manifest(toy_cache)["files"]:
        checked(toy_cache, record)
    rows = pq.read_table(toy_cache / "hierarchy/term_genes.parquet")
    term, gene = (rows.column(c).to_numpy() for c in ("term", "gene"))
    level = pq.read_table(toy_cache / "hierarchy/terms.parquet").column("level").to_numpy()[term]
    for index, sample in enumerate(parquet_samples(toy_cache / "samples/part-00001.parquet"), start=1):
        state = (~np.isin(gene, sample.genes)).astype(np.int32)
        table = np.stack([term, gene, level, state], axis=1)
        np.testing.assert_array_equal(table, Cache(toy_cache).mutant_state([index])[0])
        assert state.tolist() == [1, 1, 0, 0, 0]


def test_strains_and_what_was_published_of_them(toy_cache: Path) -> None:
    strains = pq.read_table(toy_cache / "provenance/strains.parquet").to_pylist()
    ours = Cache(toy_cache).provenance
    assert [(s["strain"], s["allele"]) for s in strains] == list(ours.strains)
    # the toy's table publishes none: the column is there all the same, as in any cache that is written now
    assert [s["fitness"] for s in strains] == [None] * len(strains)


def test_the_rows_of_a_gene(toy_cache: Path) -> None:
    genes = pq.read_table(toy_cache / "hierarchy/genes.parquet").to_pylist()
    gene_rows = pq.read_table(toy_cache / "hierarchy/gene_rows.parquet").column("row").to_pylist()
    row_gene = pq.read_table(toy_cache / "hierarchy/term_genes.parquet").column("gene").to_pylist()
    for index, gene in enumerate(genes):
        rows = gene_rows[gene["first_row"] : gene["first_row"] + gene["row_count"]]
        assert rows == [r for r, g in enumerate(row_gene) if g == index]
