"""What a cache says of itself, as plain types and constants: its manifest, and the names of its files.

A leaf without NumPy: a folder that is no cache, or a damaged one, is refused before anything that takes time is loaded.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gocell_cli.file_record import FileRecord

# a reader refuses any other: a cache is built again sooner than half understood
FORMAT_VERSION = 1
LATER_VERSION = 2
"""Version 1 and columns or a table that only some caches have: a cache without any is version 1, byte for byte."""
FORMAT_VERSIONS = (FORMAT_VERSION, LATER_VERSION)
LATER = ("phenotypes", "channels")
"""What in `config` says that a cache has such: a reader of version 1 would take a changed gene for a deleted one."""
MANIFEST = "manifest.json"
PART_MANIFEST = "part.json"
VIEWS = "views.sql"
RO_CRATE = "ro-crate-metadata.json"
CROISSANT = "croissant.json"
DESCRIPTIONS = (VIEWS, RO_CRATE, CROISSANT)
"""What a whole cache says of itself to other programs: made from its manifest, and listed in it like any file."""
BACKENDS = ("parquet", "lmdb")
LEVEL_KINDS = ("stratum", "level", "depth", "height")
STATISTICS = ("", "p_value", "sd")
WIDTH_KINDS = ("direct", "contained")
PARTIAL = ".partial"
"""What stands behind a cache's name while it is in the making."""


@dataclass(frozen=True)
class ShardRecord:
    """One shard: its samples [start, start + rows), the hash of their values, and a file a backend."""

    index: int
    start: int
    rows: int
    logical_sha256: str
    files: Mapping[str, FileRecord]


@dataclass(frozen=True)
class JoinCounts:
    """How the names of one join were found (`NameCounts.as_json`)."""

    join: str
    rows: Mapping[str, int]
    rows_unknown: int
    rows_ambiguous: int
    names: int
    names_unknown: int
    names_ambiguous: int
    unknown: tuple[str, ...]
    ambiguous: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class FileCounts:
    """One of a data set's files: its rows begin at `first_row`, and are of the data set of this index."""

    name: str
    first_row: int
    rows_read: int
    dataset: int = 0


@dataclass(frozen=True)
class PhenotypeRecord:
    """One of a cache's several phenotypes: its statistic is one of STATISTICS; `unit` is "" where nobody says."""

    kind: str
    statistic: str
    unit: str = ""


@dataclass(frozen=True)
class Counts:
    """The types of what is read of `Manifest.counts`; what has a default may be absent, and there may be more."""

    rows_read: int
    samples: int
    dropped: Mapping[str, int]
    rows_with_unannotated_gene: int = 0
    annotations: Mapping[str, int | Mapping[str, int]] = field(default_factory=dict)
    ontology: Mapping[str, int | Mapping[str, int]] = field(default_factory=dict)
    terms_after: Mapping[str, int] = field(default_factory=dict)
    simulated: Mapping[str, float] = field(default_factory=dict)
    files: tuple[FileCounts, ...] = ()
    names: tuple[JoinCounts, ...] = ()
    merged_alleles: Mapping[str, int] = field(default_factory=dict)
    weights: Mapping[str, int] = field(default_factory=dict)
    phenotypes: Mapping[str, int] = field(default_factory=dict)
    gene_naming: Mapping[str, str | bool | int | Mapping[str, int]] = field(default_factory=dict)
    gene_list: Mapping[str, int] = field(default_factory=dict)
    part: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Config:
    """The types of what is read of `Manifest.config`; there may be more, which only its hash is taken of."""

    format_version: int
    package_version: str
    dataset: str
    phenotype: str
    dataset_options: Mapping[str, Any]
    sources: Mapping[str, str]
    go_release: str
    filters: Mapping[str, Any]
    keep_unannotated: bool
    level_by: str
    backends: tuple[str, ...]
    shard_size: int
    seed: int | None
    duplicates: str = ""
    phenotypes: tuple[PhenotypeRecord, ...] = ()


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
    def phenotypes(self) -> tuple[Mapping[str, str], ...]:
        """All phenotypes, `kind` and `statistic` each: of which `value` is the first, `value_1` the next."""
        return tuple(self.config.get("phenotypes", ())) or (self.phenotype,)

    @property
    def part(self) -> tuple[int, int] | None:
        """(i, n) of one part of a cache, which holds the shards whose index leaves i when divided by n; else None."""
        told = self.counts.get("part", {})
        return (told["index"], told["of"]) if told else None

    @property
    def samples(self) -> int:
        """Number of samples."""
        return sum(shard.rows for shard in self.shards)

    @property
    def all_files(self) -> tuple[FileRecord, ...]:
        """Every file of the cache but the manifest itself and its hash."""
        return (*self.files, *(file for shard in self.shards for file in shard.files.values()))


def version_of(config: Mapping[str, Any]) -> int:
    """Return the format version that a cache of a configuration has."""
    return LATER_VERSION if any(name in config for name in LATER) else FORMAT_VERSION
