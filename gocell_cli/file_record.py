"""What a cache or a run records of a file or a place, so that it is found and known again.

A file that is not as recorded was damaged or changed; a place under the same data root is recorded relative to whoever
records it, so that a root that is moved or copied still holds together.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class FileRecord:
    """A file of a cache or of a run: path relative to it, size in bytes, sha256 of its bytes."""

    path: str
    bytes: int
    sha256: str


def record_file(directory: Path, path: Path) -> FileRecord:
    """Return what is recorded of one file of a directory."""
    with path.open("rb") as stream:
        # a piece at a time: a shard may be larger than memory allows
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return FileRecord(path=path.relative_to(directory).as_posix(), bytes=path.stat().st_size, sha256=digest)


def recorded_place(place: Path, directory: Path, root: Path) -> str:
    """Return what `directory` records of a place: the way from there where both lie under `root`, else its whole path.

    Paths are taken as they are written, links not followed: what outlives a move is the tree as its user sees it.
    """
    whole, own, above = (Path(os.path.abspath(path)) for path in (place, directory, root))  # noqa: PTH100
    within = whole.is_relative_to(above) and own.is_relative_to(above)
    return os.path.relpath(whole, own) if within else str(whole)


def place_recorded(text: str, directory: Path) -> str:
    """Return the whole path of a place that `directory` records."""
    return os.path.abspath(os.path.join(directory, text))  # noqa: PTH100, PTH118 a whole path stays what it is
