"""Timing of whole processes, and the rows that benchmarks report."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

RESULTS = Path("bench.json")
RUNS = 5
GOCELL = str(Path(sys.executable).parent / "gocell")


@dataclass(frozen=True)
class Row:
    """One figure, and what it is held against: ratio is value divided by the other's value."""

    name: str
    value: float
    unit: str
    versus: str
    ratio: float


@dataclass(frozen=True)
class ProcessRuns:
    """Wall seconds and peak resident MB of each counted run of one command."""

    seconds: tuple[float, ...]
    peak_mb: tuple[float, ...]

    @property
    def median_seconds(self) -> float:
        return statistics.median(self.seconds)

    @property
    def median_peak_mb(self) -> float:
        return statistics.median(self.peak_mb)

    def spread(self) -> str:
        """Lowest and highest wall time, for the table."""
        return f"{min(self.seconds):.3f}-{max(self.seconds):.3f} s"


def run_process(command: Sequence[str], runs: int = RUNS) -> ProcessRuns:
    """Run a command once to warm up, then `runs` times, by the operating system's own accounting."""
    seconds, peaks = [], []
    for counted in range(-1, runs):
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        elapsed = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"{' '.join(command)} left with {process.returncode}")
        if counted >= 0:
            seconds.append(elapsed)
            peaks.append(usage.ru_maxrss / 1024)
    return ProcessRuns(tuple(seconds), tuple(peaks))


def report(title: str, rows: Sequence[Row], notes: Sequence[str] = ()) -> None:
    """Print a table and append its rows to bench.json."""
    print(f"\n{title} ({os.cpu_count()} cores)")
    for row in rows:
        print(f"  {row.name:28} {row.value:12,.3f} {row.unit:10} {row.ratio:8.3f} x {row.versus}")
    for line in notes:
        print(f"  {line}")
    earlier = json.loads(RESULTS.read_text("utf-8")) if RESULTS.is_file() else []
    RESULTS.write_text(json.dumps([*earlier, *map(asdict, rows)], indent=1) + "\n", "utf-8")
