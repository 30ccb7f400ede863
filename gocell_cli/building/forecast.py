"""What a build would take: its tables and its first samples really encoded, elsewhere, and scaled up."""

import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gocell_cli.building.build import BuildMode, standing
from gocell_cli.building.plan import BuildPlan
from gocell_cli.building.tasks import ShardTask
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
        # more processes than shards have nothing to do
        seconds=tables + trial * scale / min(processes, max(len(plan.bounds), 1)),
    )


def dry_run(plan: BuildPlan, out: Path, mode: BuildMode, reading_seconds: float) -> dict[str, Any]:
    """Return what building the plan at `out` would do, and its forecast, as plain values that JSON can hold.

    Nothing is written there. Raises what `build` would raise of what stands at its place.
    """
    there = standing(plan, out, mode)
    found = forecast(plan, min(mode.executor.workers, os.cpu_count() or 1))
    return {
        "cache": str(out),
        "status": "dry run",
        "would": "find it up to date" if there is not None else "replace" if out.exists() else "build",
        "dataset": plan.dataset,
        "phenotype": plan.phenotype.kind,
        **({"phenotypes": dict(plan.counts["phenotypes"])} if "phenotypes" in plan.counts else {}),
        "samples": found.samples,
        "shards": found.shards,
        "dropped": dict(plan.counts["dropped"]),
        "terms": len(plan.hierarchy.term_ids),
        "rows": plan.hierarchy.rows,
        "fingerprint": plan.fingerprint,
        "forecast": {
            "bytes": found.bytes,
            "reading_seconds": round(reading_seconds, 3),
            "writing_seconds": round(found.seconds, 3),
            "measured_samples": found.measured,
            "free_bytes": shutil.disk_usage(next(p for p in out.absolute().parents if p.is_dir())).free,
        },
    }
