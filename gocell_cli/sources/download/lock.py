"""`ROOT/sources.lock.json`: what each fetched file was when it was first used, and has to be ever after.

{"format": 1, "files": {"go/2025-03-16/go-basic.obo": {"url", "sha256", "bytes", "date", "version", "history"}}}
Keys are paths below `ROOT/raw`; `url` is null for a file that was put there by hand; `version` is what the
file says of itself; `history` holds replaced entries, oldest first. Processes that share a data root take turns
(`exclusive`).
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path

from gocell_cli.errors import InvalidInput
from gocell_cli.typed_file import Malformed, json_text, parse_json, read_small
from gocell_cli.whole_file import write_whole, writing

# This version's reader knows one format; another one is refused below, not guessed at.
LOCK_FILE, FORMAT = "sources.lock.json", 1
LARGEST, MOST_TOLD = 64 << 20, 100
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class FormerEntry:
    """What a file was: where it came from and what it held; `date` is ISO 8601, UTC."""

    url: str | None
    sha256: str
    bytes: int
    date: str
    version: str | None


@dataclass(frozen=True)
class LockEntry(FormerEntry):
    """One file, and what it was before."""

    history: tuple[FormerEntry, ...] = ()


@dataclass(frozen=True)
class _Lock:
    format: int
    files: dict[str, LockEntry]


def lock_path(root: Path) -> Path:
    """Return the lock file's path."""
    return root / LOCK_FILE


def new_entry(url: str | None, sha256: str, size: int, version: str | None) -> LockEntry:
    """Return the entry of a file first used now."""
    return LockEntry(url, sha256, size, datetime.now(UTC).isoformat(timespec="seconds"), version)


def read_entries(root: Path) -> dict[str, LockEntry]:
    """Return the entries by key; none where there is no lock file. Raises InvalidInput where it is damaged."""
    path = lock_path(root)
    try:
        data = read_small(path, LARGEST)
        document = parse_json(data, object)
        found = document.get("format") if isinstance(document, dict) else None
        if isinstance(found, int) and found != FORMAT:  # first: another format may differ in all else
            raise Malformed(f"format {found}, where this gocell reads format {FORMAT}")
        entries = parse_json(data, _Lock).files
    except FileNotFoundError:
        return {}
    except (Malformed, OSError) as error:
        raise _damaged(path, str(error)) from error
    for key, entry in entries.items():
        if any(not SHA256.fullmatch(e.sha256) or e.bytes < 0 for e in (entry, *entry.history)):
            raise _damaged(path, f"the entry of {key[:MOST_TOLD]} holds what is no sha256, or no size")
    return entries


def record(root: Path, key: str, entry: LockEntry) -> None:
    """Write an entry, in one rename; an entry of another content that was there moves to its history.

    Raises CannotWrite or Unfinished where the data root cannot be written.
    """
    # exclusive: read, change and write are one step, so that two fetches do not lose an entry
    with writing(lock_path(root)), exclusive(root / ".sources.lock"):
        entries = read_entries(root)
        old = entries.get(key)
        if old is not None:
            # The history is one flat list: the new entry takes over the old one's, and adds it without.
            former = FormerEntry(**{f.name: getattr(old, f.name) for f in fields(FormerEntry)})
            entry = replace(entry, history=(*old.history, *([former] if old.sha256 != entry.sha256 else [])))
        # Sorted, so that the file's text does not depend on the order of fetches.
        files = {k: asdict(v) for k, v in sorted({**entries, key: entry}.items())}
        write_whole(lock_path(root), json_text({"format": FORMAT, "files": files}, indent=2) + "\n")


@contextmanager
def exclusive(path: Path, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold the lock file `path`, waiting for it as long as another process holds it; `on_wait` is told so.

    The lock ends with the process that holds it, however it ends.
    """
    import filelock  # by the system's own locks: a killed process leaves none behind

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(path)
    try:
        # At once first: whoever waits is told so before the wait begins.
        lock.acquire(timeout=0)
    except filelock.Timeout:
        if on_wait is not None:
            on_wait()
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _damaged(path: Path, reason: str) -> InvalidInput:
    hint = f"restore {path} from a backup, or remove it: files are then trusted as they are now"
    return InvalidInput.at(path, None, f"damaged lock file ({reason})", hint=hint)
