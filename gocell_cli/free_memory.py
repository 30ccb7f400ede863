"""Memory is asked for before it is taken: what there is, and one error with both figures where it is not enough.

A process that takes more is killed by the kernel, without a word. Linux tells what is free; where nobody tells,
nothing is refused.
"""

import os
import resource
from pathlib import Path

from gocell_cli.errors import TooLarge

MEMINFO, STATM = Path("/proc/meminfo"), Path("/proc/self/statm")
CGROUPS = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),  # version 2
    (
        Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        Path("/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ),  # version 1
)
"""Limit and use of the container that this process is in, where it is in one."""
CACHED = ("inactive_file ", "total_inactive_file ")
"""Pages of files in memory.stat, which count as used and are given up at need."""
BILLION = 10**9
LITTLE = 2**24
"""Bytes that are never asked for: to look takes 0.1 ms, which a batch need not pay."""


def require_memory(needed: int, what: str, *, hint: str = "") -> None:
    """Raise TooLarge where `what` needs more bytes than are free; the error names both figures, in GB (10^9 bytes)."""
    free = free_memory() if needed > LITTLE else None
    if free is not None and needed > free:
        raise TooLarge(
            f"{what} would take {needed / BILLION:,.1f} GB of memory, {free / BILLION:,.1f} GB are free", hint=hint
        )


def free_memory() -> int | None:
    """Return the bytes that this process may still take, None where the system does not tell.

    The least of what the machine has available (man 5 proc: MemAvailable), what is left of the container's limit
    (Linux, cgroup-v2: memory.max) and of `ulimit -v` (man 2 getrlimit: RLIMIT_AS).
    """
    found = [value for value in (_available(), *map(_left, CGROUPS), free_addresses()) if value is not None]
    return max(0, min(found)) if found else None


def _available() -> int | None:
    for line in _text(MEMINFO).splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _left(files: tuple[Path, Path]) -> int | None:
    limit, used = (_text(path).strip() for path in files)
    if not (limit.isdecimal() and used.isdecimal()):  # "max": no limit
        return None
    lines = _text(files[0].with_name("memory.stat")).splitlines()
    cached = max((int(line.split()[1]) for line in lines if line.startswith(CACHED)), default=0)
    return int(limit) - int(used) + cached


def free_addresses() -> int | None:
    """Return the bytes that `ulimit -v` leaves this process, None where there is no such limit."""
    soft = resource.getrlimit(resource.RLIMIT_AS)[0]
    pages = _text(STATM).split()
    if soft == resource.RLIM_INFINITY or not pages:
        return None
    return soft - int(pages[0]) * os.sysconf("SC_PAGE_SIZE")


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii")
    except OSError:
        return ""
