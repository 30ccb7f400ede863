"""Timing of whole processes, and the rows that benchmarks report, with the state of the machine that gave them.

A benchmark's own processes are what should run. What others ran meanwhile is the machine's busy time less that of this
process and its children; from BUSY of the cores on, the table says that its figures are of a busy machine.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

RESULTS = Path("bench.json")
RUNS = 5
GOCELL = str(Path(sys.executable).parent / "gocell")


BUSY = 0.05
"""Share of the cores from which other work is said to have disturbed a measurement."""


@dataclass(frozen=True)
class Row:
    """One figure, and what it is held against: ratio is value divided by the other's value.

    low and high: the least and greatest of the values that the figure is the median of, where there are several.
    """

    name: str
    value: float
    unit: str
    versus: str
    ratio: float
    low: float | None = None
    high: float | None = None

    @staticmethod
    def of(name: str, values: Sequence[float], unit: str, versus: str, other: float) -> "Row":
        """The row of some values' median, beside another value."""
        value = statistics.median(values)
        return Row(name, value, unit, versus, value / other, min(values), max(values))

    def spread(self) -> str:
        """The values' range, for the table."""
        return "" if self.low is None or self.high is None else f"({self.low:,.3g}-{self.high:,.3g})"


@dataclass(frozen=True)
class Clock:
    """Seconds that have passed, that all cores have worked, and that this process and its children have."""

    wall: float
    machine: float
    own: float

    @staticmethod
    def now() -> "Clock":
        # user, nice, system, idle, iowait, irq, softirq, steal: what is neither idle nor waiting is work
        with Path("/proc/stat").open(encoding="utf-8") as stat:
            ticks = [int(word) for word in stat.readline().split()[1:9]]
        work = (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")
        return Clock(time.perf_counter(), work, sum(os.times()[:4]))


STARTED, LOAD = Clock.now(), os.getloadavg()[0]
"""When this process began, and the load average it found."""


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0))


def others() -> float:
    """Cores that other work has taken since this process began, on average."""
    now = Clock.now()
    found = (now.machine - STARTED.machine - now.own + STARTED.own) / max(now.wall - STARTED.wall, 1e-9)
    return max(found, 0.0)


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


def gocell(*words: object) -> dict[str, Any]:
    """What a command prints with --json."""
    command = [GOCELL, *map(str, words), "--json"]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return found


def report(title: str, rows: Sequence[Row], notes: Sequence[str] = ()) -> None:
    """Print a table and append its rows to bench.json, each with the machine's cores and load."""
    other, load = others(), (LOAD, os.getloadavg()[0])
    print(f"\n{title} ({cores()} cores; load {load[0]:.2f} before, {load[1]:.2f} after; other work {other:.2f} cores)")
    if other > BUSY * cores():
        print("  BUSY: other work disturbed these figures; ratios of one table may stand, the figures do not")
    for row in rows:
        spread = row.spread()
        print(f"  {row.name:28} {row.value:12,.3f} {row.unit:10} {spread:20} {row.ratio:8.3f} x {row.versus}")
    for line in notes:
        print(f"  {line}")
    earlier = json.loads(RESULTS.read_text("utf-8")) if RESULTS.is_file() else []
    state = {"cores": cores(), "load_before": load[0], "load_after": load[1], "other_cores": round(other, 3)}
    RESULTS.write_text(json.dumps([*earlier, *({**asdict(row), **state} for row in rows)], indent=1) + "\n", "utf-8")
