"""What can be fetched, and what of it is in the data root."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from gocell_cli.sources.download.catalog import CURRENT, SOURCES, RemoteFile, RemoteSource
from gocell_cli.sources.download.fetch import releases_in, source_url
from gocell_cli.sources.download.lock import LockEntry, read_entries
from gocell_cli.sources.text_file import sha256_of


@dataclass(frozen=True)
class FileStatus:
    """One file: `status` is absent, published (its sha256 is the published one), as first used, unrecorded, CHANGED."""

    source: str
    file: str
    path: str
    url: str
    bytes: int | None
    sha256: str | None
    expected_sha256: str | None
    version: str | None
    optional: bool
    status: str

    def document(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return asdict(self)


def fetch_status(root: Path, mirror: str | None = None) -> list[FileStatus]:
    """Return every file of every source, of GO one for each release in the data root; hashes what is there.

    Raises InvalidInput where the lock file is damaged.
    """
    entries = read_entries(root)
    return [
        _status(each, file, root, entries, source_url(each, mirror))
        for source in SOURCES.values()
        for each in _releases(source, root)
        for file in each.files
    ]


def _releases(source: RemoteSource, root: Path) -> list[RemoteSource]:
    """The source itself, or GO's releases that are there; the current one where none is."""
    if source.release != CURRENT:
        return [source]
    return [replace(source, release=name) for name in releases_in(root, source)] or [source]


def _status(source: RemoteSource, file: RemoteFile, root: Path, entries: dict[str, LockEntry], url: str) -> FileStatus:
    path = root / "raw" / source.folder / file.name
    entry = entries.get(f"{source.folder}/{file.name}")
    expected = file.sha256 or (entry.sha256 if entry is not None else None)
    sha256 = sha256_of(path) if path.is_file() else None
    if sha256 is None:
        status = "absent"
    elif expected is None:
        status = "unrecorded"
    elif sha256 != expected:
        status = "CHANGED"
    else:
        status = "published" if file.sha256 else "as first used"
    return FileStatus(
        source=source.name,
        file=file.name,
        path=str(path),
        # Where a file was recorded, the URL it came from, which may have been a mirror's.
        url=entry.url or url if entry is not None else url,
        bytes=path.stat().st_size if sha256 is not None else None,
        sha256=sha256,
        expected_sha256=expected,
        version=entry.version if entry is not None else None,
        optional=file.optional,
        status=status,
    )
