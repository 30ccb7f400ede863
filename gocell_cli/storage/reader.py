"""Cache: open a finished cache, check it, and read samples by index or as whole columns."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Int32

from gocell_cli.errors import DamagedCache
from gocell_cli.storage.backends import SHARD_BACKENDS
from gocell_cli.storage.codec import concat_samples, logical_sha256, slice_samples
from gocell_cli.storage.hierarchy_check import check_hierarchy
from gocell_cli.storage.manifest import REBUILD_HINT, check_file, read_manifest
from gocell_cli.storage.mutant_state import mutant_state
from gocell_cli.storage.schema import Hierarchy, Manifest, Provenance, Sample, Samples, ShardRecord
from gocell_cli.storage.tables import read_hierarchy, read_provenance


class Cache:
    """A finished cache, read-only. `len(cache)` is its number of samples.

    Opening checks the manifest, the hierarchy's and provenance's files and the levels of every edge; a
    shard's file is checked against its recorded sha256 before it is first read. `backend` chooses where
    both are there (default: parquet).
    """

    def __init__(self, directory: Path, backend: str | None = None) -> None:
        self.directory = directory
        self.manifest: Manifest = read_manifest(directory)
        held = [b for b in SHARD_BACKENDS if all(b in s.files for s in self.manifest.shards)]
        self.backend = backend or (held[0] if held else "")
        if self.backend not in held:
            raise DamagedCache(f"{directory}: holds no {self.backend} shards", why=f"it holds {', '.join(held)}")
        for record in self.manifest.files:
            check_file(directory, record)
        self.hierarchy = self._read_hierarchy()
        self._checked: set[int] = set()

    def __len__(self) -> int:
        return self.manifest.samples

    def _read_hierarchy(self) -> Hierarchy:
        manifest = self.manifest
        hierarchy = read_hierarchy(self.directory, manifest.level_by, manifest.level_direction)
        findings = check_hierarchy(hierarchy)
        if findings:
            raise DamagedCache(
                f"{self.directory}: the hierarchy breaks its promises", why="; ".join(findings), hint=REBUILD_HINT
            )
        return hierarchy

    @cached_property
    def provenance(self) -> Provenance:
        """Strains and query groups that the samples index."""
        return read_provenance(self.directory)

    def sample(self, index: int) -> Sample:
        """Return one sample; raises IndexError where there is none."""
        if not 0 <= index < len(self):
            raise IndexError(f"sample {index}: the cache holds samples 0 to {len(self) - 1}")
        shard = next(s for s in self.manifest.shards if s.start <= index < s.start + s.rows)
        return SHARD_BACKENDS[self.backend].read_one(self._path(shard), index - shard.start)

    def shards(self) -> Iterator[Samples]:
        """Yield the columns of each shard, in order; each is checked against its logical hash."""
        for shard in self.manifest.shards:
            yield self._read(shard)

    def columns(self) -> Samples:
        """Return all samples as columns."""
        return concat_samples(list(self.shards()))

    @cached_property
    def _columns(self) -> Samples:
        return self.columns()

    def mutant_state(self, rows: Sequence[int]) -> Int32[np.ndarray, "samples rows 4"]:
        """Return the (term, gene, level, state) tables of some samples, in the order asked for."""
        columns = self._columns
        picked = [slice_samples(columns, i, i + 1) for i in self._in_range(rows)]
        if not picked:
            return np.zeros((0, self.hierarchy.rows, 4), dtype=np.int32)
        samples = concat_samples(picked)
        return mutant_state(self.hierarchy, samples.gene_ptr, samples.genes)

    def _in_range(self, rows: Sequence[int]) -> list[int]:
        for index in rows:
            if not 0 <= index < len(self):
                raise IndexError(f"sample {index}: the cache holds samples 0 to {len(self) - 1}")
        return [int(i) for i in rows]

    def _path(self, shard: ShardRecord) -> str:
        record = shard.files[self.backend]
        if shard.index not in self._checked:
            check_file(self.directory, record)
            self._checked.add(shard.index)
        return str(self.directory / record.path)

    def _read(self, shard: ShardRecord) -> Samples:
        samples = SHARD_BACKENDS[self.backend].read(self._path(shard))
        if len(samples) != shard.rows or logical_sha256(samples) != shard.logical_sha256:
            raise DamagedCache(
                f"{self.directory}: shard {shard.index} ({self.backend}) does not hold the recorded values",
                hint=REBUILD_HINT,
            )
        return samples
