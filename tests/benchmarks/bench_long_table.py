"""Twenty million rows of one's own table to a finished cache: two workers, and thirds that read it together.

    python -m tests.benchmarks.bench_long_table [ROWS] [RUNS]

Rows of two genes of 5,000, half of the genotypes measured twice; made-up values. Peak memory is that of all processes
together, as the kernel divides shared pages among them (PSS), looked at four times a second.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from gocell_cli.sources.go.bundle import load_genes
from tests.benchmarks.measure import GOCELL, Row, report

ROWS, RUNS, PANEL = 20_000_000, 3, 5_000
NAMES = ("table_20m_seconds", "table_20m_cpu_seconds", "table_20m_peak_mb", "table_20m_third_cpu_seconds")
TIMES = {"seconds": 60.0, "peak_mb": 3000.0}
"""What is asked for, of two workers."""


class Spent(NamedTuple):
    """Wall and CPU seconds of a command and its processes, and their memory at the peak."""

    seconds: float
    cpu_seconds: float
    peak_mb: float


def write_table(path: Path, rows: int) -> None:
    """Write a table of so many double deletions."""
    rng, genes = np.random.default_rng(0), np.array(load_genes().systematic)
    panel = np.sort(rng.choice(len(genes), PANEL, replace=False))
    first, second = rng.integers(0, PANEL, rows), rng.integers(0, PANEL - 1, rows)
    second += second >= first  # of another gene
    table = {"gene_1": genes[panel[first]], "gene_2": genes[panel[second]], "fitness": rng.normal(0.9, 0.1, rows)}
    pa_csv.write_csv(pa.table({**table, "fitness": table["fitness"].round(4)}), path)


def spent(command: list[str]) -> Spent:
    """Run a command to its end."""
    before, started = os.times(), time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = [0.0]

    def watch() -> None:
        while process.poll() is None:
            peak[0] = max(peak[0], sum(map(_pss_mb, _tree(process.pid))))
            time.sleep(0.25)

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = process.wait()
    watcher.join()
    if code:
        raise RuntimeError(f"{' '.join(command)} left with {code}")
    after = os.times()
    cpu = sum(after[2:4]) - sum(before[2:4])
    return Spent(time.perf_counter() - started, cpu, peak[0])


def _tree(pid: int) -> list[int]:
    found = [pid]
    for process in found:  # grows as it is gone through
        for children in Path(f"/proc/{process}/task").glob("*/children"):
            try:
                found += map(int, children.read_text("ascii").split())
            except OSError:
                continue
    return found


def _pss_mb(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def run(rows: int = ROWS, runs: int = RUNS) -> None:
    """Measure and report."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, "table.csv")
        write_table(table, rows)
        command = [GOCELL, "build-cache", str(table), "--root", folder]
        two = [spent([*command, "--out", f"{folder}/two-{i}", "--workers", "2"]) for i in range(runs)]
        thirds = [spent([*command, "--out", f"{folder}/parts", "--part", f"{i}/3"]) for i in range(3)]
    cpu = [one.cpu_seconds for one in two]
    found = [
        Row.of(NAMES[0], [one.seconds for one in two], "s", "60 s", TIMES["seconds"]),
        Row.of(NAMES[1], cpu, "CPU s", "1 CPU second a million rows", rows / 1e6),
        Row.of(NAMES[2], [one.peak_mb for one in two], "MB", "3 GB", TIMES["peak_mb"]),
        Row.of(NAMES[3], [one.cpu_seconds for one in thirds], "CPU s", "the whole build", float(np.median(cpu))),
    ]
    notes = [f"{rows:,} rows, {runs} runs; thirds one after the other, the first reads: their spread is not of runs"]
    report("one's own table, long", found, notes)


if __name__ == "__main__":
    run(*(int(word) for word in sys.argv[1:]))
