"""`latest` of a data root: the path of the cache that was built last."""

import os
from pathlib import Path

from gocell_cli.errors import SourceMissing

LATEST = "latest"
MOST_PATH = 5000
"""Bytes of `latest`: Linux takes paths of up to 4,096."""
BUILD_HINT = "gocell build-cache --dataset essentiality"


def latest_cache(root: Path) -> Path:
    """Return the path that `<root>/latest` names; raises SourceMissing where it is not there, or names none."""
    from gocell_cli.typed_file import Malformed, read_small

    latest = root / LATEST
    if not latest.is_file():
        raise SourceMissing(f"{latest}: no cache has been built under {root} yet", hint=BUILD_HINT)
    try:
        told = read_small(latest, MOST_PATH).rstrip(b"\r\n")
    except Malformed as error:
        raise SourceMissing(f"{latest}: {error}", hint=BUILD_HINT) from error
    if not told or b"\0" in told or b"\n" in told:  # no path holds the first; what we write holds no line break within
        raise SourceMissing(f"{latest}: names no cache", hint=BUILD_HINT)
    path = root / os.fsdecode(told)
    try:
        path.is_dir()
    except OSError as error:  # a name that no file system takes
        raise SourceMissing(f"{latest}: names no cache ({error.strerror})", hint=BUILD_HINT) from error
    return path
