"""Building and verifying caches of 20 million synthetic genotypes (made-up values), beside the naive forms."""

import hashlib
import pickle
import statistics
import sys
import tempfile
import time
from pathlib import Path

import lmdb
import numpy as np

from gocell_cli.storage.samples import one_sample
from gocell_cli.storage.verify import Verification, verify_cache
from tests.benchmarks.measure import ProcessRuns, Row, report, run_process
from tests.benchmarks.synthetic import SyntheticPairs

NAMES = ("build_20m_seconds", "build_20m_peak_mb", "bytes_per_sample", "verify_mb_per_second")
SIZES = (100_000, 2_000_000, 20_000_000)
NAIVE_SAMPLES = 100_000
PICKLES = "one pickled dict a sample in LMDB"


def run() -> None:
    """Measure and report."""
    with tempfile.TemporaryDirectory() as folder:
        builds = {n: _build(n, Path(folder, f"cache{n}")) for n in SIZES}
        cache = Path(folder, f"cache{SIZES[-1]}")
        naive_seconds, naive_bytes = _naive(Path(folder, "naive"))
        verified, seconds = _verify(cache)
        hash_seconds = _hash_alone(cache)
    largest = builds[SIZES[-1]]
    per_sample = verified.bytes / verified.samples
    speed = verified.bytes / seconds / 1e6
    rows = [
        Row(NAMES[0], largest.median_seconds, "s", PICKLES, largest.median_seconds / (naive_seconds * SIZES[-1])),
        Row(NAMES[1], largest.median_peak_mb, "MB", "100 k samples", _growth(builds)),
        Row(NAMES[2], per_sample, "bytes", PICKLES, per_sample / naive_bytes),
        Row(NAMES[3], speed, "MB/s", "sha256 of the same files alone", hash_seconds / seconds),
    ]
    notes = [
        f"build of {n:,}: {b.median_seconds:.2f} s ({b.spread()}), {b.median_peak_mb:.0f} MB" for n, b in builds.items()
    ]
    notes.append(f"above the {SIZES[0]:,} build: {_marginal(builds, 1)} and {_marginal(builds, 2)} a sample")
    notes.append(f"verify: {verified.samples / seconds / 1e6:.1f} M samples/s, {seconds:.2f} s")
    report("cache of 20 million synthetic genotypes, one process", rows, notes)


def _build(samples: int, out: Path) -> ProcessRuns:
    return run_process([sys.executable, "-m", "tests.benchmarks.synthetic", str(samples), str(out)], runs=3)


def _growth(builds: dict[int, ProcessRuns]) -> float:
    return builds[SIZES[-1]].median_peak_mb / builds[SIZES[0]].median_peak_mb


def _marginal(builds: dict[int, ProcessRuns], to: int) -> str:
    seconds = builds[SIZES[to]].median_seconds - builds[SIZES[to - 1]].median_seconds
    return f"{1e9 * seconds / (SIZES[to] - SIZES[to - 1]):.0f} ns"


def _naive(path: Path) -> tuple[float, float]:
    """Seconds and bytes a sample of the obvious form: a dict a sample, pickled, put into LMDB."""
    samples = SyntheticPairs(6604, SIZES[-1]).part(0, NAIVE_SAMPLES).samples()
    started = time.perf_counter()
    with lmdb.open(str(path), map_size=2**32) as env, env.begin(write=True) as transaction:
        for i in range(NAIVE_SAMPLES):
            transaction.put(f"{i}".encode(), pickle.dumps(vars(one_sample(samples, i))))
    seconds = time.perf_counter() - started
    size = (path / "data.mdb").stat().st_size
    return seconds / NAIVE_SAMPLES, size / NAIVE_SAMPLES


def _verify(cache: Path) -> tuple[Verification, float]:
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        verified = verify_cache(cache)
        seconds.append(time.perf_counter() - started)
        assert verified.ok, verified.findings
    return verified, statistics.median(seconds)


def _hash_alone(cache: Path) -> float:
    started = time.perf_counter()
    for path in sorted(cache.rglob("*.parquet")):
        hashlib.sha256(np.fromfile(path, dtype=np.uint8).data).hexdigest()
    return time.perf_counter() - started
