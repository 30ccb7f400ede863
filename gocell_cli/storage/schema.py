"""The cache format's names and dtypes. A leaf: everything that reads or writes a cache reads it here.

A cache is a directory:

    manifest.json, manifest.sha256      canonical JSON and its hash; written last (part.json in a part)
    hierarchy/*.parquet                 terms, genes, edges, term_genes, gene_rows
    provenance/*.parquet                strains, query_groups
    samples/part-00000.parquet|.lmdb    the samples, by shard and backend
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64, Int16, Int32, Int64

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
PART_MANIFEST = "part.json"
BACKENDS = ("parquet", "lmdb")
LEVEL_KINDS = ("stratum", "level", "depth", "height")
ROOT_DOWN, LEAF_UP = "root_down", "leaf_up"
WIDTH_KINDS = ("direct", "contained")
MUTANT_STATE_COLUMNS = ("term", "gene", "level", "state")
NONE_INDEX = -1


@dataclass(frozen=True)
class Hierarchy:
    """The hierarchy in use, as index arrays only: all a trainer needs to know of the ontology.

    Terms are sorted by id, genes by systematic name, edges by (child, parent), rows by (term, gene).
    `gene_ptr`/`gene_rows` is the CSR index gene -> rows: gene g's rows are
    `gene_rows[gene_ptr[g]:gene_ptr[g + 1]]`, ascending.
    """

    term_ids: tuple[str, ...]
    term_names: tuple[str, ...]
    term_namespaces: tuple[str, ...]
    go_level: Int32[np.ndarray, " terms"]
    go_depth: Int32[np.ndarray, " terms"]
    stratum: Int32[np.ndarray, " terms"]
    height: Int32[np.ndarray, " terms"]
    level: Int32[np.ndarray, " terms"]
    direct_genes: Int32[np.ndarray, " terms"]
    contained_genes: Int32[np.ndarray, " terms"]
    gene_names: tuple[str, ...]
    gene_standard: tuple[str, ...]
    gene_aliases: tuple[tuple[str, ...], ...]
    edge_child: Int32[np.ndarray, " edges"]
    edge_parent: Int32[np.ndarray, " edges"]
    row_term: Int32[np.ndarray, " rows"]
    row_gene: Int32[np.ndarray, " rows"]
    gene_ptr: Int64[np.ndarray, " genes_plus_1"]
    gene_rows: Int32[np.ndarray, " rows"]
    level_by: str
    level_direction: str

    @property
    def rows(self) -> int:
        """Number of rows of `mutant_state`."""
        return len(self.row_term)


@dataclass(frozen=True)
class Samples:
    """Samples as columns: what a shard holds, in either backend.

    Sample i deletes `genes[gene_ptr[i]:gene_ptr[i + 1]]` (ascending); its source rows are
    `source_row[source_ptr[i]:source_ptr[i + 1]]`, with the strains beside them. `statistic` is NaN, and
    `query_group` and strains are -1, where there is none.
    """

    gene_ptr: Int64[np.ndarray, " samples_plus_1"]
    genes: Int32[np.ndarray, " deletions"]
    value: Float64[np.ndarray, " samples"]
    statistic: Float64[np.ndarray, " samples"]
    dataset: Int16[np.ndarray, " samples"]
    query_group: Int32[np.ndarray, " samples"]
    source_ptr: Int64[np.ndarray, " samples_plus_1"]
    source_row: Int64[np.ndarray, " sources"]
    query_strain: Int32[np.ndarray, " sources"]
    array_strain: Int32[np.ndarray, " sources"]

    def __len__(self) -> int:
        return len(self.value)

    def columns(self) -> dict[str, np.ndarray]:
        """Column name -> array, in the order of the format."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


SAMPLE_COLUMNS = tuple(f.name for f in fields(Samples))


@dataclass(frozen=True)
class Sample:
    """One sample: indices of the deleted genes, phenotype value, and provenance by source row."""

    genes: tuple[int, ...]
    value: float
    statistic: float | None
    dataset: int
    query_group: int | None
    sources: tuple[tuple[int, int | None, int | None], ...]


@dataclass(frozen=True)
class FileRecord:
    """One file of a cache: path relative to it, size in bytes, sha256 of its bytes."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class ShardRecord:
    """One shard: its samples [start, start + rows), the hash of their values, and a file a backend."""

    index: int
    start: int
    rows: int
    logical_sha256: str
    files: Mapping[str, FileRecord]


@dataclass(frozen=True)
class Provenance:
    """What `Samples` index: strains as (id, allele name), the kind of each, and the names of the query groups.

    Kinds are deletion, ts (temperature-sensitive), damp (DAmP) or unknown.
    """

    strains: tuple[tuple[str, str], ...]
    kinds: tuple[str, ...]
    query_groups: tuple[str, ...]


@dataclass(frozen=True)
class Manifest:
    """Everything about a cache that is not an array; `config` is what the fingerprint is taken of."""

    format_version: int
    package_version: str
    fingerprint: str
    config: Mapping[str, Any]
    datasets: tuple[str, ...]
    phenotype: Mapping[str, str]
    counts: Mapping[str, Any]
    level_by: str
    level_direction: str
    level_counts: tuple[int, ...]
    width_by: str
    files: tuple[FileRecord, ...]
    shards: tuple[ShardRecord, ...]

    @property
    def samples(self) -> int:
        """Number of samples."""
        return sum(shard.rows for shard in self.shards)


@runtime_checkable
class ShardBackend(Protocol):
    """One way to keep a shard in one file."""

    suffix: str

    def write(self, path: str, samples: Samples) -> None:
        """Write all samples to a new file."""

    def read(self, path: str) -> Samples:
        """Read all samples back."""

    def read_rows(self, path: str, rows: Int64[np.ndarray, " some"]) -> Samples:
        """Read the samples at `rows`, counted from the shard's start, in that order."""
