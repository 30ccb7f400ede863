"""`ulimit -v`: whether a command's libraries fit under it, asked once, before any of them is loaded.

Libraries that find no addresses end in ways that nobody can tell from others: OpenBLAS ends the process, or tries for
ever; Arrow fills a table that it never got, for ever; NumPy fails without an error; the loader names a broken
installation. So a command is not begun where they may run short. What its data take is asked for as they come
(`free_memory.py`).
"""

import os
from collections.abc import Sequence

from gocell_cli.errors import TooLarge
from gocell_cli.free_memory import free_addresses

MEGABYTE = 1 << 20
TRAINERS = ("train", "evaluate", "predict", "explain", "compare", "doctor")
"""Commands that load PyTorch, or may."""
BASE, EACH = (512, 2048), (192, 384)
"""Megabytes, of all commands and of those with PyTorch: whatever the threads, and for each. A third more than was found
to do, on two threads: 700 MB for `plot`, 1,700 for `train`. A thread is a stack of 8 MB, an arena of malloc's of 64 and
a buffer of each OpenBLAS's of 32; of those there are NumPy's threads, SciPy's, Arrow's and PyTorch's."""
THREADS = "OMP_NUM_THREADS"
POOL = "ARROW_DEFAULT_MEMORY_POOL"


def needed_addresses(words: Sequence[str]) -> int:
    """Return the bytes of addresses that a command line's libraries and threads may take; `words` without `gocell`."""
    if not words or words[0] == "config" or words[0].startswith("-") or "--help" in words:
        return 0  # no library but Typer
    kind = words[0] in TRAINERS
    given = os.environ.get(THREADS, "").split(",")[0].strip()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = int(given) if given.isdecimal() and int(given) else cores
    return (BASE[kind] + EACH[kind] * threads) * MEGABYTE


def require_addresses(words: Sequence[str]) -> None:
    """Raise TooLarge where `ulimit -v` leaves fewer; under such a limit Arrow is to take no more than it uses.

    Its own allocator begins with a GB of addresses, if it gets them, and then the others find none.
    """
    free = free_addresses()
    if free is None:
        return
    os.environ.setdefault(POOL, "system")
    needed = needed_addresses(words)
    if free < needed:
        told = f"ulimit -v leaves {free / 1e9:.2f} GB of addresses, this command's libraries need {needed / 1e9:.2f} GB"
        why = "each thread takes some, and a library that gets none ends the process"
        raise TooLarge(told, why=why, hint=f"ulimit -v unlimited, or fewer threads: export {THREADS}=1")
