"""`ROOT/sources.lock.json`: what each fetched file was when it was first used, and has to be ever after.

{"format": 1, "files": {"go/2025-03-16/go-basic.obo": {"url", "sha256", "bytes", "date", "version", "history"}}}
Keys are paths below `ROOT/raw`; `url` is null for a file that was put there by hand; `version` is what the
file says of itself; `history` holds replaced entries, oldest first. Processes that share a data root take turns
(`exclusive`).
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gocell_cli.errors import InvalidInput
from gocell_cli.whole_file import write_whole

# This version's reader knows one format; another one is refused below, not guessed at.
LOCK_FILE, FORMAT = "sources.lock.json", 1
SHA256_DIGITS = 64


@dataclass(frozen=True)
class LockEntry:
    """One file: where it came from and what it was; `date` is ISO 8601, UTC."""

    url: str | None
    sha256: str
    bytes: int
    date: str
    version: str | None
    history: tuple[dict[str, Any], ...] = ()


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
        document = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except json.JSONDecodeError as error:
        raise _damaged(path, error.lineno, error.msg) from error
    except (UnicodeDecodeError, OSError) as error:
        raise _damaged(path, None, str(error)) from error
    if not isinstance(document, dict) or not isinstance(document.get("files"), dict):
        raise _damaged(path, None, "no list of files")
    if document.get("format") != FORMAT:
        raise _damaged(path, None, f"format {document.get('format')!r}, where this gocell reads format {FORMAT}")
    return {key: _entry(path, key, value) for key, value in document["files"].items()}


def record(root: Path, key: str, entry: LockEntry) -> None:
    """Write an entry, in one rename; an entry of another content that was there moves to its history."""
    root.mkdir(parents=True, exist_ok=True)
    with exclusive(root / ".sources.lock"):  # read, change and write are one step: two fetches must not lose an entry
        entries = read_entries(root)
        old = entries.get(key)
        if old is not None:
            # The history is one flat list: the new entry takes over the old one's, and adds it without.
            former = {k: v for k, v in asdict(old).items() if k != "history"}
            entry = replace(entry, history=(*old.history, *([former] if old.sha256 != entry.sha256 else [])))
        # Sorted, so that the file's text does not depend on the order of fetches.
        files = {k: asdict(v) for k, v in sorted({**entries, key: entry}.items())}
        text = json.dumps({"format": FORMAT, "files": files}, indent=2, ensure_ascii=False)
        write_whole(lock_path(root), text + "\n")


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


def _entry(path: Path, key: str, value: Any) -> LockEntry:
    try:
        # `history` is a list in JSON, a tuple here; unknown or missing keys end as TypeError or KeyError below.
        entry = LockEntry(**{**value, "history": tuple(value["history"])})
        whole = len(entry.sha256) == SHA256_DIGITS and set(entry.sha256) <= set("0123456789abcdef") and entry.bytes >= 0
    except (TypeError, KeyError):
        whole = False
    if not whole:
        raise _damaged(path, None, f"the entry of {key} is incomplete")
    return entry


def _damaged(path: Path, line: int | None, reason: str) -> InvalidInput:
    hint = f"restore {path} from a backup, or remove it: files are then trusted as they are now"
    return InvalidInput.at(path, line, f"damaged lock file ({reason})", hint=hint)
