"""What the checks of a cache cost: loading, `inspect sample 0` and a build, with them and with them switched off.

CPU seconds of processes of their own, by turns, so that both see the same machine: off, on, off, on ... Run as a
program it does one of the jobs: `python -m tests.benchmarks.bench_checks on|off load|inspect|build CACHE`.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.measure import Row, report

NAMES = ("checks_load_percent", "checks_inspect_percent", "checks_build_percent")
JOBS = ("load", "inspect", "build")
SAMPLES, BUILT = 2_000_000, 200_000
REPEATS = 7


def switch_off() -> None:
    """Leave out what is checked beyond hashes: types and sums of the manifest, values, nulls, claims, memory."""
    import json

    from gocell_cli.file_record import FileRecord
    from gocell_cli.storage import hierarchy_check, manifest, own_files, reader, shards, staging, tables
    from gocell_cli.storage.records import Manifest, ShardRecord

    def plain(data: bytes, _kind: object) -> Manifest:
        raw: dict[str, Any] = json.loads(data)
        files = tuple(FileRecord(**f) for f in raw.pop("files"))
        held = [(s, {b: FileRecord(**f) for b, f in s.pop("files").items()}) for s in raw.pop("shards")]
        raw["datasets"], raw["level_counts"] = tuple(raw["datasets"]), tuple(raw["level_counts"])
        return Manifest(**raw, files=files, shards=tuple(ShardRecord(**s, files=f) for s, f in held))

    manifest.parse_json, manifest.manifest_faults = plain, lambda *_: []  # type: ignore[assignment, attr-defined]
    hierarchy_check._numbers = lambda _: []  # type: ignore[assignment]
    reader.sample_faults = lambda *_: []  # type: ignore[attr-defined]
    reader.provenance_counts = lambda _: (0, 0)  # type: ignore[attr-defined, assignment]
    reader.Cache.provenance = property(lambda cache: tables.read_provenance(cache.directory))  # type: ignore[assignment]
    for module in (reader, shards, tables):
        module.require_memory = lambda *_, **__: None  # type: ignore[attr-defined]
    for module in (shards, tables):
        module.holds_null, module.decoded_bytes = lambda _: False, lambda _: 0  # type: ignore[attr-defined]
    own_files._strange = lambda *_: []
    staging.remember = lambda _: None  # type: ignore[attr-defined, assignment]


def work(job: str, cache: Path) -> float:
    """Do a job; return its CPU seconds, imports left out but for `inspect`, which is the command as it is.

    Most of what `inspect` pays is pydantic's import, 0.1 s, which the others pay once a process as well.
    """
    from gocell_cli.storage.reader import Cache

    if job == "load":
        import pydantic.main  # noqa: F401  what `typed_file` imports, and more than all checks take

        started = time.process_time()
        Cache(cache).columns()
        return time.process_time() - started
    if job == "inspect":
        from gocell_cli.commands.app import main

        sys.argv, sys.stdout = ["gocell", "inspect", "sample", "0", "--cache", str(cache)], sys.stderr
        try:
            main()
        except SystemExit:
            sys.stdout = sys.__stdout__
        return time.process_time()  # since the process began
    from gocell_cli.building.build import BuildMode, build
    from tests.benchmarks.synthetic import synthetic_plan

    plan = synthetic_plan(BUILT, ("parquet", "lmdb"))
    with tempfile.TemporaryDirectory() as folder:
        started = time.process_time()
        build(plan, Path(folder) / "cache", BuildMode())
        return time.process_time() - started


def _measured(job: str, cache: Path) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {"off": [], "on": []}
    for _ in range(REPEATS + 1):
        for how, seconds in found.items():
            command = [sys.executable, "-m", "tests.benchmarks.bench_checks", how, job, str(cache)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            seconds.append(float(done.stdout.split()[-1]))
    return {how: seconds[1:] for how, seconds in found.items()}  # the first reads files that are on the disk


def run() -> None:
    """Measure and report."""
    from gocell_cli.building.build import BuildMode, build
    from tests.benchmarks.synthetic import synthetic_plan

    rows, notes = [], []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_STATE_HOME"] = folder
        cache = build(synthetic_plan(SAMPLES, ("parquet",)), Path(folder) / "cache", BuildMode()).directory
        for name, job in zip(NAMES, JOBS, strict=True):
            found = _measured(job, cache)
            off, on = (statistics.median(found[how]) for how in ("off", "on"))
            rows.append(Row(name, 100 * (on - off) / off, "%", "the same without", on / off))
            spread = ", ".join(f"{how} {min(s):.3f}-{max(s):.3f}" for how, s in found.items())
            notes.append(f"{job}: {1000 * off:.0f} -> {1000 * on:.0f} ms of CPU ({spread} s)")
    report(f"checks of a cache: {SAMPLES:,} samples to load, {BUILT:,} to build, medians of {REPEATS}", rows, notes)


if __name__ == "__main__":
    if sys.argv[1] == "off":
        switch_off()
    taken = work(sys.argv[2], Path(sys.argv[3]))
    sys.stdout.write(f"{taken}\n")
