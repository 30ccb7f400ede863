"""Runs `gocell` under a limit of the system: what it may map, how long a file may become, how many may be open.

    limited LIMIT VALUE WORD ...        a child of tests.commands.fork_server, or `python limited.py` by itself

`AS` counts from what the process has mapped when the command begins; the others are as `ulimit` has them.
"""

import resource
import sys
from pathlib import Path

LIMITS = {"AS": resource.RLIMIT_AS, "FSIZE": resource.RLIMIT_FSIZE, "NOFILE": resource.RLIMIT_NOFILE}


def main() -> None:
    """Take the limit, then be the command."""
    limit, value = sys.argv[1], int(sys.argv[2])
    from gocell_cli.commands.app import main as gocell

    sys.argv = ["gocell", *sys.argv[3:]]
    if limit == "AS":
        value += int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(LIMITS[limit], (value, resource.getrlimit(LIMITS[limit])[1]))
    gocell()


if __name__ == "__main__":
    main()
