"""A file as a cache or a run records it, so that it is known again: what is not as recorded was damaged or changed."""

import hashlib
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
