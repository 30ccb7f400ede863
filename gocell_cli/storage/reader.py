"""Cache: open a finished cache, check it, and read samples by index, in batches or as whole columns."""

import copy
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64, Int32, Int64, UInt8

from gocell_cli.errors import DamagedCache, UsageError, did_you_mean
from gocell_cli.file_record import FileRecord
from gocell_cli.free_memory import require_memory
from gocell_cli.storage.hierarchy_check import check_hierarchy, level_counts
from gocell_cli.storage.latest import latest_cache
from gocell_cli.storage.lmdb_walk import is_known, remember, walk
from gocell_cli.storage.manifest import REBUILD_HINT, check_file, read_manifest, shard_faults
from gocell_cli.storage.network_graph import network_graph
from gocell_cli.storage.propagation import channel_states, deleted_pairs, mutant_state, pair_state
from gocell_cli.storage.records import Manifest, ShardRecord
from gocell_cli.storage.sample_check import Limits, sample_faults
from gocell_cli.storage.samples import concat_samples, logical_sha256, one_sample, take_samples
from gocell_cli.storage.schema import Hierarchy, Provenance, Sample, Samples
from gocell_cli.storage.shards import SHARD_BACKENDS, decode_records
from gocell_cli.storage.tables import HIERARCHY_DIR, INPUTS, provenance_counts, read_hierarchy, read_provenance
from gocell_cli.whole_file import write_whole

if TYPE_CHECKING:
    import networkx as nx

SAMPLE_BYTES = 62
"""Of the columns in memory, for two deletions and one source row."""
Rows = Sequence[int] | Int64[np.ndarray, " chosen"]


class Cache:
    """A finished cache, read-only. `len(cache)` is its number of samples.

    Opening checks the manifest, the hierarchy's and provenance's files and the levels of every edge; a
    shard's file is checked against its recorded sha256 when it is first read, and its values against their
    logical hash wherever the whole shard is read. `backend` chooses where both are there: `parquet`
    (default) reads all samples into memory once, `lmdb` fetches each batch by key. A pickled Cache opens the
    directory anew, so that it may be handed to spawned workers; forked ones share the parent's memory. `phenotype`
    chooses one of several, by its kind: samples have its labels alone then (NaN: none), else all (`Samples.others`).

    Whole columns are read, hashed and joined once, and kept as long as the Cache: 62 bytes a sample of two
    deletions and one source row (1.2 GB for 20 million), and as much again while shards are being joined. They
    are shared: read them, copy before writing. `shards()` keeps nothing.
    """

    def __init__(self, directory: Path | str, backend: str | None = None, phenotype: str = "") -> None:
        self.directory = directory = Path(directory)
        self.manifest: Manifest = read_manifest(directory)
        self._number = _phenotype_number(self.manifest, directory, phenotype) if phenotype else None
        faults = shard_faults(self.manifest)
        if faults:
            raise DamagedCache(f"{directory}: its shards are not those of a whole cache", why="; ".join(faults))
        # a backend that only some shards have serves nobody
        held = [b for b in SHARD_BACKENDS if all(b in s.files for s in self.manifest.shards)]
        self.backend = backend or (held[0] if held else "")
        if self.backend not in held:
            why = f"it holds {', '.join(held) or 'none'}"
            raise DamagedCache(f"{directory}: holds no {self.backend or 'complete'} shards", why=why)
        for record in self.manifest.files:
            check_file(directory, record)
        self._refuse_claims()
        self.hierarchy = _checked_hierarchy(directory, self.manifest.level_by, self.manifest.level_direction)
        if level_counts(self.hierarchy) != self.manifest.level_counts:
            raise DamagedCache(f"{directory}: level_counts are not those of the hierarchy", hint=REBUILD_HINT)
        if self.hierarchy.inputs is not None and f"{INPUTS}.parquet" not in {r.path for r in self.manifest.files}:
            raise DamagedCache(f"{directory}: {INPUTS}.parquet is none of its files", hint=REBUILD_HINT)
        strains, groups = provenance_counts(directory)
        sizes = (len(self.hierarchy.gene_names), len(self.manifest.datasets), groups, strains)
        self._limits = Limits(*sizes, phenotypes=len(self.manifest.phenotypes))
        self._starts = np.array([s.start for s in self.manifest.shards], dtype=np.int64)
        self._checked: dict[int, tuple[int, ...]] = {}

    @classmethod
    def latest(cls, root: Path | str | None = None, backend: str | None = None) -> "Cache":
        """Open the cache that was built last under a data root; by default GOCELL_ROOT, else ./gocell_data.

        Raises SourceMissing where none was.
        """
        return cls(latest_cache(Path(root or os.environ.get("GOCELL_ROOT") or "gocell_data")), backend)

    def __len__(self) -> int:
        return self.manifest.samples

    # columns are not sent along: they may be gigabytes, and their pickle as much again for each worker
    def __reduce__(self) -> tuple[type["Cache"], tuple[Path, str, str]]:
        return Cache, (self.directory, self.backend, "" if self._number is None else self.phenotype["kind"])

    @property
    def phenotype(self) -> Mapping[str, str]:
        """`kind` and `statistic` of the phenotype that `value` and `statistic` of samples are of."""
        found = self.manifest.phenotypes[self._number or 0]
        return {name: found[name] for name in ("kind", "statistic")}

    def of_phenotype(self, kind: str) -> "Cache":
        """Return this cache, already checked, opened by one of its phenotypes; itself where `kind` is "" or its own.

        Raises UsageError where it has no phenotype called so.
        """
        if not kind or (self._number is not None and kind == self.phenotype["kind"]):
            return self
        other = copy.copy(self)
        other._number = _phenotype_number(self.manifest, self.directory, kind)
        whole = other.__dict__.pop("_columns", None)  # of other labels
        if whole is not None and self._number is None:
            other.__dict__["_columns"] = whole.of_phenotype(other._number)  # the same arrays, not read again
        return other

    def _own(self, samples: Samples) -> Samples:
        """Samples as they are read; with the labels of the chosen phenotype alone, where one was chosen."""
        return samples if self._number is None else samples.of_phenotype(self._number)

    @property
    def _bytes(self) -> int:
        """Of all samples in memory, with 16 for each phenotype after the first."""
        return (SAMPLE_BYTES + 16 * (len(self.manifest.phenotypes) - 1)) * len(self)

    def _refuse_claims(self) -> None:
        """Raise DamagedCache where the manifest claims more samples than a shard's file can hold, TooLarge than memory.

        Before anything is made for each of them. A sample takes some 16 bytes: a file is asked only where it has no
        byte for each.
        """
        for shard in self.manifest.shards:
            record = shard.files[self.backend]
            if shard.rows <= record.bytes:
                continue
            most = SHARD_BACKENDS[self.backend].capacity(str(check_file(self.directory, record)))
            if shard.rows > most:
                why = f"{record.path} holds {most:,} at most"
                message = f"{self.directory}: shard {shard.index} cannot hold the {shard.rows:,} samples recorded"
                raise DamagedCache(message, why=why, hint=REBUILD_HINT)
            require_memory(self._bytes, f"{self.directory}: the {len(self):,} samples that it claims")

    def copy_hierarchy(self, directory: Path) -> tuple[FileRecord, ...]:
        """Copy the hierarchy's tables to where a network keeps them, and return their records for `read_copy`.

        A network means nothing without its hierarchy: with a copy it outlives the cache that it was trained on.
        """
        records = tuple(record for record in self.manifest.files if record.path.startswith(f"{HIERARCHY_DIR}/"))
        (directory / HIERARCHY_DIR).mkdir(parents=True, exist_ok=True)
        for record in records:
            write_whole(directory / record.path, check_file(self.directory, record).read_bytes())
        return records

    def graph(self, known: "nx.DiGraph[str] | None" = None) -> "nx.DiGraph[str]":
        """Return the hierarchy as networkx sees it (`network_graph`), edges parent -> child, GO:ROOT among its nodes.

        A cache keeps neither alternative ids nor evidence codes: `known`, the graph of the ontology that it was built
        of (`Release.graph`), tells them.
        """
        return network_graph(self.hierarchy, known)

    @cached_property
    def provenance(self) -> Provenance:
        """Strains and query groups that the samples index."""
        found = read_provenance(self.directory)
        if (len(found.strains), len(found.query_groups)) != (self._limits.strains, self._limits.query_groups):
            raise DamagedCache(f"{self.directory}: the provenance's footers do not count its rows", hint=REBUILD_HINT)
        return found

    def sample(self, index: int) -> Sample:
        """Return one sample; raises IndexError where there is none."""
        return one_sample(self.rows([index]), 0)

    def rows(self, rows: Rows) -> Samples:
        """Return some samples as columns, in the order asked for.

        Raises IndexError where one is not there, TypeError for anything but a list of whole numbers.
        """
        wanted = self._numbers(rows)
        if self.backend == "lmdb":
            return self._fetch(wanted) if len(wanted) else decode_records([])
        return take_samples(self._columns, wanted)

    def _numbers(self, rows: Rows) -> Int64[np.ndarray, " chosen"]:
        wanted = np.asarray(rows)
        if not wanted.size and wanted.ndim == 1:
            return np.zeros(0, dtype=np.int64)
        # 1.9 and True would become samples as well
        if wanted.ndim != 1 or wanted.dtype.kind not in "iu":
            raise TypeError(f"samples are asked for by a list of whole numbers, not by {wanted.ndim}-d {wanted.dtype}")
        outside = (wanted < 0) | (wanted >= len(self))
        if outside.any():
            raise IndexError(f"sample {wanted[outside][0]}: the cache holds samples 0 to {len(self) - 1}")
        return wanted.astype(np.int64)

    def shards(self) -> Iterator[Samples]:
        """Yield the columns of each shard, in order, one in memory at a time."""
        for shard in self.manifest.shards:
            yield self._read(shard)

    def columns(self) -> Samples:
        """Return all samples as columns: the same object at each call, not to be written to."""
        return self._columns

    @cached_property
    def _columns(self) -> Samples:
        require_memory(self._bytes, f"{self.directory}: reading all {len(self):,} samples")
        return concat_samples([decode_records([]), *self.shards()])

    def batches(self, size: int, order: Int64[np.ndarray, " chosen"] | None = None) -> Iterator[Samples]:
        """Yield batches of `size` samples (the last may be smaller), in the cache's order or in `order`."""
        rows = np.arange(len(self)) if order is None else order
        for start in range(0, len(rows), size):
            yield self.rows(rows[start : start + size])

    def mutant_state(self, rows: Rows) -> Int32[np.ndarray, "samples rows 4"]:
        """Return the (term, gene, level, state) tables of some samples, in the order asked for.

        Raises as `rows`, and TooLarge where the tables, 16 bytes a row, would take more memory than there is.
        """
        samples = self._rows_of_table(rows, 4 * np.dtype(np.int32).itemsize)
        return mutant_state(self.hierarchy, samples.gene_ptr, samples.genes)

    def state(self, rows: Rows) -> UInt8[np.ndarray, "samples rows"]:
        """Return the state column alone, 0 where the row's gene is deleted; raises as `mutant_state`."""
        samples = self._rows_of_table(rows, 1)
        return pair_state(self.hierarchy, samples.gene_ptr, samples.genes)

    def channel_states(self, rows: Rows) -> Float64[np.ndarray, "samples rows"]:
        """Return the state of each row's gene in its channel (0.5 of a dosage, say); raises as `mutant_state`.

        Without channels: 0 where the row's gene is deleted, 1 elsewhere.
        """
        samples = self._rows_of_table(rows, np.dtype(np.float64).itemsize)
        return channel_states(self.hierarchy, samples.gene_ptr, samples.genes)

    def _rows_of_table(self, rows: Rows, row_bytes: int) -> Samples:
        wanted = self._numbers(rows)
        needed = len(wanted) * self.hierarchy.rows * row_bytes
        require_memory(needed, f"the tables of {len(wanted):,} samples", hint="ask for fewer at a time")
        return self.rows(wanted)

    def deleted_pairs(self, samples: Samples) -> Int64[np.ndarray, " zeros"]:
        """Return where the state of a batch is 0, as `sample * rows + row`: for readers with tables of their own."""
        return deleted_pairs(self.hierarchy, samples.gene_ptr, samples.genes)

    def _fetch(self, wanted: Int64[np.ndarray, " chosen"]) -> Samples:
        """Read samples from their shards by key, then put them back into the order asked for."""
        # side=right, less 1: the last shard that begins at or before the sample
        shard_of = np.searchsorted(self._starts, wanted, side="right") - 1
        order = np.argsort(shard_of, kind="stable")
        # grouped by shard, for an LMDB environment is opened once for each group
        parts = []
        for index in np.unique(shard_of).tolist():
            shard = self.manifest.shards[index]
            here = wanted[order[shard_of[order] == index]] - shard.start
            part = SHARD_BACKENDS[self.backend].read_rows(self._path(shard), here)
            self._refuse_values(shard, part)
            parts.append(self._own(part))
        return take_samples(concat_samples(parts), np.argsort(order, kind="stable"))  # the inverse of `order`

    def _path(self, shard: ShardRecord) -> str:
        path = self.directory / shard.files[self.backend].path
        # hashed at its first use, not at each: lmdb comes here for every batch
        if self._checked.get(shard.index) != _identity(path):
            self._check(shard)
        return str(path)

    def _check(self, shard: ShardRecord) -> None:
        if self.backend == "lmdb":
            self._check_lmdb(shard)
            return
        self._checked[shard.index] = _identity(check_file(self.directory, shard.files[self.backend]))

    def _check_lmdb(self, shard: ShardRecord) -> None:
        """Check a shard, and walk it unless this user wrote it: with all others of which the same is to be said.

        One process walks them all, where one for each would be as many starts.
        """
        strange = [s for s in self.manifest.shards if not is_known(s.files["lmdb"].sha256)]
        for each in strange if shard in strange else [shard]:
            self._checked[each.index] = _identity(check_file(self.directory, each.files["lmdb"]))
        if shard not in strange:
            return
        faults = walk([(self.directory / s.files["lmdb"].path, s.rows) for s in strange])
        for path, fault in faults.items():
            raise DamagedCache(f"{path}: not a readable LMDB shard ({fault})", hint=REBUILD_HINT)
        for each in strange:
            remember(each.files["lmdb"].sha256)

    def _refuse_values(self, shard: ShardRecord, samples: Samples) -> None:
        faults = sample_faults(samples, self._limits)
        if faults:
            raise DamagedCache(
                f"{self.directory}: shard {shard.index} ({self.backend}): {'; '.join(faults)}", hint=REBUILD_HINT
            )

    def _read(self, shard: ShardRecord) -> Samples:
        samples = SHARD_BACKENDS[self.backend].read(self._path(shard))
        self._refuse_values(shard, samples)
        if len(samples) != shard.rows or logical_sha256(samples) != shard.logical_sha256:
            raise DamagedCache(
                f"{self.directory}: shard {shard.index} ({self.backend}) does not hold the recorded values",
                hint=REBUILD_HINT,
            )
        return self._own(samples)


def _phenotype_number(manifest: Manifest, directory: Path, kind: str) -> int:
    """Return the place of a phenotype in `Manifest.phenotypes`; raises UsageError where none is called so."""
    kinds = [phenotype["kind"] for phenotype in manifest.phenotypes]
    if kind not in kinds:
        hint = did_you_mean(kind, kinds, otherwise=f"--phenotype {'|'.join(kinds)}")
        raise UsageError(f"{directory} has no phenotype {kind[:60]!r}", hint=hint)
    return kinds.index(kind)


def _identity(path: Path) -> tuple[int, ...]:
    """What tells that a file is the one that was checked: another cache may have taken its place since."""
    try:
        found = path.stat()
    except OSError:  # told by the check
        return ()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def read_copy(directory: Path, records: Sequence[FileRecord], level_by: str, level_direction: str) -> Hierarchy:
    """Return the hierarchy that `Cache.copy_hierarchy` copied, checked as a cache's own is: hashes, arrays, levels.

    Raises DamagedCache where a file is missing or not as recorded, or an edge breaks the levels.
    """
    for record in records:
        check_file(directory, record)
    return _checked_hierarchy(directory, level_by, level_direction)


def _checked_hierarchy(directory: Path, level_by: str, level_direction: str) -> Hierarchy:
    hierarchy = read_hierarchy(directory, level_by, level_direction)
    findings = check_hierarchy(hierarchy)
    if findings:
        raise DamagedCache(
            f"{directory}: the hierarchy breaks its promises", why="; ".join(findings), hint=REBUILD_HINT
        )
    return hierarchy
