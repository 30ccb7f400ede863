"""What a run keeps, and what it was trained on, opened again: its settings, its hierarchy, its cache. No torch."""

from dataclasses import asdict
from pathlib import Path

from gocell_cli.errors import DamagedCache
from gocell_cli.run_record import HierarchyRecord
from gocell_cli.storage.reader import Cache, read_copy
from gocell_cli.storage.records import FileRecord
from gocell_cli.storage.schema import Hierarchy
from gocell_cli.training.runs.store import RunStore, recorded_cache, require_same


def open_cache(store: RunStore, cache: Path | Cache | None = None) -> Cache:
    """Open the cache of a run, or the one given: it must be the one that the run was trained on.

    Raises SourceMissing where it is gone, DamagedCache where it is another one.
    """
    record = store.record()
    opened = cache if isinstance(cache, Cache) else Cache(recorded_cache(record, cache))
    require_same(opened.directory, opened.manifest.fingerprint, record)
    return opened


def kept_hierarchy(directory: Path, kept: HierarchyRecord) -> Hierarchy:
    """Return the hierarchy that a run keeps; raises DamagedCache where it is not as it was recorded."""
    try:
        records = [FileRecord(**asdict(record)) for record in kept.files]
        return read_copy(directory, records, kept.level_by, kept.level_direction)
    except DamagedCache as error:
        hint = "--cache DIR reads the hierarchy of the cache that the run was trained on"
        raise DamagedCache(error.message, why=error.why, hint=hint) from error
