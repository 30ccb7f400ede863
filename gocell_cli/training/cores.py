"""How many cores and threads this process may use: one rule for all of training, the least of every limit there is."""

import os
from pathlib import Path

from gocell_cli.training.extra import train_extra

with train_extra():
    import torch
    from threadpoolctl import threadpool_limits


def allowed_cores() -> int:
    """Return how many cores there are for this process: those it may run on, its cgroup's quota, and SLURM's number."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(min(cores, cgroup_cores(), _variable("SLURM_CPUS_PER_TASK"))))


def allowed_threads() -> int:
    """Return how many threads may compute: as PyTorch and OpenMP were told, and no more than there are cores."""
    return max(1, int(min(torch.get_num_threads(), _variable("OMP_NUM_THREADS"), allowed_cores())))


def _variable(name: str) -> float:
    """The number that a variable holds; inf where it holds none."""
    # OMP_NUM_THREADS may name a number for each depth of nested loops: "4,2"
    first = os.environ.get(name, "").split(",")[0].strip()
    return float(first) if first.isdecimal() and int(first) else float("inf")


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


def share_cores(jobs: int) -> None:
    """Let this process have its part of the threads that may run, one of `jobs` that run at a time."""
    share = max(1, allowed_threads() // jobs)
    torch.set_num_threads(share)
    threadpool_limits(share)
