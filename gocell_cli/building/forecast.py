"""What a build would take: its tables and its first samples really encoded, elsewhere, and scaled up."""

import os
import resource
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gocell_cli.building.build import BuildMode, standing
from gocell_cli.building.plan import BuildPlan, shard_bounds
from gocell_cli.building.tasks import ShardTask
from gocell_cli.storage.staging import StagedPlan, Staging
from gocell_cli.storage.tables import hierarchy_tables, provenance_tables

TRIAL = 100_000
"""Samples that are encoded to measure."""
ROW_TIMES, SAMPLE_BYTES, WORKER_BYTES = 2.2, 250, 150 << 20
"""A row's columns are held twice while they are joined and sorted (1.4 GB of 20 million rows of 24 bytes); a sample on
its way into a shard; a process that writes shards."""


@dataclass(frozen=True)
class Forecast:
    """Bytes and seconds of the whole build, reading left out; `measured` samples were encoded to know.

    `memory_bytes`: of this process and its workers together, at the peak.
    """

    samples: int
    shards: int
    measured: int
    table_bytes: int
    sample_bytes: int
    seconds: float
    memory_bytes: int

    @property
    def bytes(self) -> int:
        """Bytes of the finished cache, its manifest left out."""
        return self.table_bytes + self.sample_bytes


def forecast(plan: BuildPlan, processes: int, share: float = 1.0) -> Forecast:
    """Encode tables and up to TRIAL samples into a temporary folder, measure, remove them, and scale.

    `share` of the rows were read for the plan.
    """
    found = plan.bounds[-1][1] if plan.bounds else 0
    samples, measured = round(found / share), min(found, TRIAL, plan.options.shard_size)
    shards = len(shard_bounds(samples, plan.options.shard_size))
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
        shards=shards,
        measured=measured,
        table_bytes=sum(file.bytes for file in files),
        sample_bytes=round(size * scale),
        # more processes than shards have nothing to do
        seconds=tables + trial * scale / min(processes, max(shards, 1)),
        memory_bytes=_memory(plan, round(plan.counts["rows_read"] / share), processes, share),
    )


def _memory(plan: BuildPlan, rows: int, processes: int, share: float) -> int:
    """Bytes at the peak: what this process took so far, what the rows that are not read yet will, and the workers."""
    taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    of_rows = round(ROW_TIMES * plan.source.row_bytes * rows * (1 - share)) if share < 1 else 0
    shard = min(plan.options.shard_size, max(rows, 1)) * SAMPLE_BYTES
    return taken + of_rows + (processes * (WORKER_BYTES + shard) if processes > 1 else shard)


def dry_run(plan: BuildPlan, out: Path, mode: BuildMode, reading_seconds: float, share: float = 1.0) -> dict[str, Any]:
    """Return what building the plan at `out` would do, and its forecast, as plain values that JSON can hold.

    Where a `share` of the rows was read, numbers of rows and samples are scaled up from it; which of the rows not read
    are of one genotype nobody knows, so the samples are at most so many. Nothing is written there. Raises what `build`
    would raise of what stands at its place.
    """
    there = standing(plan, out, mode)
    found = forecast(plan, min(mode.executor.workers, os.cpu_count() or 1), share)
    return {
        "cache": str(out),
        "status": "dry run",
        "would": "find it up to date" if there is not None else "replace" if out.exists() else "build",
        "dataset": plan.dataset,
        "phenotype": plan.phenotype.kind,
        **({"phenotypes": dict(plan.counts["phenotypes"])} if "phenotypes" in plan.counts else {}),
        "samples": found.samples,
        "shards": found.shards,
        "dropped": {reason: round(n / share) for reason, n in plan.counts["dropped"].items()},
        "terms": len(plan.hierarchy.term_ids),
        "rows": plan.hierarchy.rows,
        "fingerprint": plan.fingerprint,
        "forecast": {
            "bytes": found.bytes,
            "reading_seconds": round(reading_seconds, 3),
            "writing_seconds": round(found.seconds, 3),
            "measured_samples": found.measured,
            "read_share": round(share, 6),
            "memory_bytes": found.memory_bytes,
            "free_bytes": shutil.disk_usage(next(p for p in out.absolute().parents if p.is_dir())).free,
        },
    }
