"""What a run keeps, and what it was trained on, opened again: its settings, hierarchy, split and cache. No torch."""

from pathlib import Path

import numpy as np
from jaxtyping import Int8

from gocell_cli.controls import Control
from gocell_cli.errors import DamagedCache
from gocell_cli.file_record import FileRecord, record_file
from gocell_cli.run_record import FileMatchRecord, HierarchyRecord, RunRecord, SplitRecord
from gocell_cli.storage.reader import Cache, read_copy
from gocell_cli.storage.schema import Hierarchy
from gocell_cli.training.data.splits.kept import read_split, write_split
from gocell_cli.training.data.splits.kinds import KEPT
from gocell_cli.training.data.splits.overlap import split_report
from gocell_cli.training.data.splits.split import Split
from gocell_cli.training.runs.config import RunConfig, run_config
from gocell_cli.training.runs.samples import as_asked
from gocell_cli.training.runs.store import RunStore, recorded_cache, require_same


def open_cache(store: RunStore, cache: Path | Cache | None = None) -> Cache:
    """Open the cache of a run, or the one given: it must be the one that the run was trained on.

    Of several phenotypes it is opened by the run's. Raises SourceMissing where it is gone, DamagedCache where it is
    another one.
    """
    record = store.record()
    opened = cache if isinstance(cache, Cache) else Cache(recorded_cache(record, cache))
    require_same(opened.directory, opened.manifest.fingerprint, record)
    return as_asked(opened, run_config(store.directory))


def network_hierarchy(hierarchy: Hierarchy, config: RunConfig) -> Hierarchy:
    """Return the hierarchy that a run's network lies over: its cache's, or the control of it that the settings name."""
    if not config.control:
        return hierarchy
    return hierarchy.controlled(Control(config.control, config.control_seed))


def kept_hierarchy(directory: Path, kept: HierarchyRecord) -> Hierarchy:
    """Return the hierarchy of a run's network, made of the one that it keeps, its cache's.

    Raises DamagedCache where that is not as it was recorded.
    """
    config = run_config(directory)
    try:
        return network_hierarchy(read_copy(directory, kept.files, kept.level_by, kept.level_direction), config)
    except DamagedCache as error:
        hint = "--cache DIR reads the hierarchy of the cache that the run was trained on"
        raise DamagedCache(error.message, why=error.why, hint=hint) from error


def split_record(cache: Cache, split: Split) -> SplitRecord:
    """Return what is recorded of a split of a cache's samples."""
    found = split_report(cache.columns(), split, cache.hierarchy.gene_names)
    file = found.pop("file")
    return SplitRecord(**found, file=FileMatchRecord(**file) if file is not None else None)


def keep_split(directory: Path, cache: Cache, split: Split) -> FileRecord:
    """Write a run's split into its directory, and return what is recorded of the file."""
    path = directory / KEPT
    write_split(path, cache.columns(), split, cache.hierarchy.gene_names)
    return record_file(directory, path)


def kept_parts(directory: Path, record: RunRecord, samples: int) -> Int8[np.ndarray, " samples"] | None:
    """Return the part of each sample as a run keeps them, None for a run of before runs kept them.

    Raises DamagedCache where the file is not as it was recorded.
    """
    if record.split_file is None:
        return None
    return read_split(directory / KEPT, record.split_file.sha256, samples)
