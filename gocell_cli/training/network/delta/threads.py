"""How many threads the delta form may use, and the few of its own that it keeps: no OpenMP, nothing of PyTorch's.

OpenMP's pool is one for the whole process: loops of another library that ran on it set PyTorch's number of threads
anew, two runtimes' pools spun beside each other, and other models in the process ran ten times as long. These threads
are Python's, hold no lock while a kernel runs, and sleep when there is nothing to do.
"""

import os
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from gocell_cli.training.extra import train_extra

with train_extra():
    import torch

LIMITS = ("OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK")
NAP = 5e-5
"""Seconds that a thread sleeps which waits for another one's task."""

_pool: ThreadPoolExecutor | None = None
_workers = 0


def allowed_threads() -> int:
    """Return how many threads may run: the least of what PyTorch was told and of every limit there is.

    These are the cores that this process may run on, the quota of its cgroup, and the variables LIMITS.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limits = [torch.get_num_threads(), cores, cgroup_cores()]
    for name in LIMITS:
        # OMP_NUM_THREADS may name a number for each depth of nested loops: "4,2"
        first = os.environ.get(name, "").split(",")[0].strip()
        limits += [int(first)] if first.isdecimal() and int(first) else []
    return max(1, int(min(limits)))


def cgroup_cores(proc: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> float:
    """Return the cores of this process's cgroup and of those above it (version 2's cpu.max, 1's quota); inf: no limit.

    A container sees its own group as the root, so both the named folder and each one above it are asked.
    """
    try:
        lines = [line.split(":", 2) for line in proc.read_text("utf-8").splitlines()]
    except OSError:  # not Linux
        return float("inf")
    found = [float("inf")]
    for _, controllers, path in lines:
        if controllers and "cpu" not in controllers.split(","):
            continue
        base = root / controllers if controllers else root
        folder = base / path.strip("/")
        found += [_quota(place) for place in (folder, *folder.parents) if base in (place, *place.parents)]
    return min(found)


def _quota(folder: Path) -> float:
    """Cores of one folder's quota; inf where it has none."""
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text("utf-8").split()
        else:
            quota, period = ((folder / f"cpu.cfs_{name}_us").read_text("utf-8").strip() for name in ("quota", "period"))
        return float("inf") if quota in ("max", "-1") else int(quota) / int(period)
    except (OSError, ValueError):
        return float("inf")


def run_together(threads: int, work: Callable[[], None]) -> None:
    """Run `work` on this thread, and on up to `threads` - 1 others that help: it shares out its tasks by a counter.

    Helpers that have not begun when this thread is done are not waited for.
    """
    helpers = _helpers(threads - 1, work)
    try:
        work()
    finally:
        for helper in helpers:
            if not helper.cancel():
                helper.result()


def _helpers(count: int, work: Callable[[], None]) -> list[Future[None]]:
    global _pool, _workers  # one pool a process: threads of several models would share its cores anyway
    if count <= 0:
        return []
    if _pool is None or _workers < count:
        _pool, _workers = ThreadPoolExecutor(count, "gocell-delta"), count
    return [_pool.submit(work) for _ in range(count)]


def _forget() -> None:
    """A forked process has the pool's object, and none of its threads."""
    global _pool, _workers
    _pool, _workers = None, 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def through_levels(step: Callable[[int], int], level: int, end: int) -> None:
    """Call `step(level)`, which returns how far it came, up to the level `end`; sleep while others work on one."""
    while (level := step(level)) < end:
        time.sleep(NAP)
