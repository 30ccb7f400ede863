"""The caches that were built from a data root and lie outside it: ROOT/elsewhere holds the path of each.

A file a cache, named by a hash of its path and written whole: jobs of an array that end together do not meet. What is
gone, or was moved, is not listed; its record stays, for a disk may only be away.
"""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from gocell_cli.storage.latest import MOST_PATH
from gocell_cli.typed_file import Malformed, read_small
from gocell_cli.whole_file import write_whole

FOLDER = "elsewhere"


def remember(root: Path, cache: Path) -> None:
    """Record a cache that lies outside `root`/caches; one within it is found there."""
    place = Path(os.path.abspath(cache))  # noqa: PTH100 links are not followed: it is listed as it was named
    if place.parent == Path(os.path.abspath(root)) / "caches":  # noqa: PTH100
        return
    told = os.fsencode(place)
    folder = root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / hashlib.sha256(told).hexdigest()[:16], told + b"\n")


def built_elsewhere(root: Path) -> list[Path]:
    """Return the recorded places at which a folder stands, sorted."""
    folder = root / FOLDER
    found = []
    for record in sorted(folder.iterdir()) if folder.is_dir() else []:
        with suppress(OSError, Malformed, ValueError):  # a record that cannot be read names nothing
            place = Path(os.fsdecode(read_small(record, MOST_PATH).rstrip(b"\n")))
            if place.is_absolute() and place.is_dir():
                found.append(place)
    return sorted(set(found))
