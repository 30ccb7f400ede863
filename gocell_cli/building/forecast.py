"""What a build would take: its tables and its first samples really encoded, elsewhere, and scaled up."""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from gocell_cli.building.plan import BuildPlan
from gocell_cli.building.shard_task import ShardTask
from gocell_cli.storage.staging import StagedPlan, Staging
from gocell_cli.storage.tables import hierarchy_tables, provenance_tables

TRIAL = 100_000
"""Samples that are encoded to measure."""


@dataclass(frozen=True)
class Forecast:
    """Bytes and seconds of the whole build, reading left out; `measured` samples were encoded to know."""

    samples: int
    shards: int
    measured: int
    table_bytes: int
    sample_bytes: int
    seconds: float

    @property
    def bytes(self) -> int:
        """Bytes of the finished cache, its manifest left out."""
        return self.table_bytes + self.sample_bytes


def forecast(plan: BuildPlan, processes: int) -> Forecast:
    """Encode tables and up to TRIAL samples into a temporary folder, measure, remove them, and scale."""
    samples = plan.bounds[-1][1] if plan.bounds else 0
    measured = min(samples, TRIAL, plan.options.shard_size)
    with tempfile.TemporaryDirectory(prefix="gocell-dry-run-") as folder:
        staging = Staging(Path(folder) / "cache")
        with staging.open(StagedPlan(plan.fingerprint, ""), resume=False):
            started = time.perf_counter()
            files = staging.write_tables({**hierarchy_tables(plan.hierarchy), **provenance_tables(plan.provenance)})
            tables = time.perf_counter() - started
            record = ShardTask(staging.cache, plan.options.backends, 0, 0, plan.source.part(0, measured)).run()
            trial = time.perf_counter() - started - tables
    size = sum(file.bytes for file in record.files.values())
    scale = samples / measured if measured else 0.0
    return Forecast(
        samples=samples,
        shards=len(plan.bounds),
        measured=measured,
        table_bytes=sum(file.bytes for file in files),
        sample_bytes=round(size * scale),
        seconds=tables + trial * scale / min(processes, max(len(plan.bounds), 1)),
    )
