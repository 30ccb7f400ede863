"""Where compiled loops are kept, and who hears that some are being compiled.

Whoever may write there may run code as the user who loads it. So a folder is used only where it is the user's own (or
root's) and nobody else may write to it: __pycache__ beside the loops, or, where the installation is read-only or open
to others, $XDG_CACHE_HOME/gocell (~/.cache/gocell; XDG Base Directory Specification). GOCELL_COMPILED, where it is set,
is the user's word. Where no folder will do, each process compiles for itself.

A file is the SHA-256 of what follows, and the machine's code; its name is the SHA-256 of what it was compiled from. So
what is damaged, or another version's, another processor's, is not taken; nor is a full disk fatal: it costs a
compilation and nothing more.
"""

import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gocell_cli.errors import GocellError
from gocell_cli.whole_file import write_whole

VARIABLE = "GOCELL_COMPILED"
SUFFIX = ".o"
DAY = 86_400
KEPT, DAYS_KEPT = 16, 7
"""Machine code that stays of one loop, by when it was last used: a kind of arguments each; and what is younger stays.

Other versions' files would otherwise lie there for good. None goes that a process may be about to load."""
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
DIGEST = hashlib.sha256().digest_size


def user_folder() -> Path:
    """Return the folder in the user's cache; a relative $XDG_CACHE_HOME is to be ignored, says the specification."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(given) if os.path.isabs(given) else Path(os.path.expanduser("~")) / ".cache"  # noqa: PTH111, PTH117 no error where there is no home
    return base / "gocell"


def folder_for(source: Path) -> Path | None:
    """Return where the loops of a file are kept, None where nowhere."""
    if os.environ.get(VARIABLE):
        return Path(os.environ[VARIABLE])
    beside, own = source.parent / "__pycache__", user_folder()
    # one that is not there yet is made as Python makes it, readable to all as its folder is
    if _is_ours(beside if beside.exists() else source.parent):
        return beside
    with suppress(OSError):
        own.mkdir(mode=0o700, parents=True, exist_ok=True)
    return own if _is_ours(own) else None


def _is_ours(folder: Path) -> bool:
    """Whether a folder is there that this user writes to, and nobody else but root."""
    try:
        found = folder.stat()
    except OSError:
        return False
    own = found.st_uid in (os.geteuid(), 0) and not found.st_mode & OTHERS_WRITE
    return own and stat.S_ISDIR(found.st_mode) and os.access(folder, os.W_OK | os.X_OK)


def machine_code(name: str, text: str, source: Path, compile_: Callable[[], bytes]) -> bytes:
    """Return what was kept of a text compiled, or compile it and keep it; `source`: the file that it was made from."""
    folder = folder_for(source)
    path = None if folder is None else folder / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:32]}{SUFFIX}"
    kept = None if path is None else _read(path)
    if path is not None and kept is not None:
        _touch(path)
        return kept
    with watch.compiling(folder):
        made = compile_()
    if path is not None:
        with suppress(OSError, GocellError):
            path.parent.mkdir(exist_ok=True)
            write_whole(path, hashlib.sha256(made).digest() + made)
            _remove_old(path.parent, name)
    return made


def _touch(path: Path) -> None:
    """Note that a file was used, once a day."""
    with suppress(OSError):  # another user's, or gone
        if time.time() - path.stat().st_mtime > DAY:
            os.utime(path)


def _remove_old(folder: Path, name: str) -> None:
    """Remove a loop's machine code that was not used for long, but for the newest few."""
    found = list[tuple[float, Path]]()
    for path in folder.glob(f"{name}-*{SUFFIX}"):
        with suppress(OSError):  # another process has removed it
            found.append((path.stat().st_mtime, path))
    for used, path in sorted(found, reverse=True)[KEPT:]:
        if time.time() - used > DAYS_KEPT * DAY:
            path.unlink(missing_ok=True)


def _read(path: Path) -> bytes | None:
    try:
        found = path.read_bytes()
    except OSError:
        return None
    return found[DIGEST:] if hashlib.sha256(found[DIGEST:]).digest() == found[:DIGEST] else None


class Watch:
    """Hears of every compilation: tells the first of them, and adds up their seconds."""

    def __init__(self) -> None:
        self.tell: Callable[[str], None] = lambda _: None
        self._told = False
        self._since: float | None = None
        self._seconds = 0.0

    @contextmanager
    def compiling(self, folder: Path | None) -> Iterator[None]:
        """Loops are compiled in here, by one thread at a time, and kept in a folder."""
        if not self._told:
            self._told = True
            self.tell(line(folder))
        self._since = time.perf_counter()
        try:
            yield
        finally:
            self._seconds, self._since = self.seconds(), None

    def seconds(self) -> float:
        """Return the seconds spent compiling until now."""
        since = self._since
        return self._seconds + (0.0 if since is None else time.perf_counter() - since)


def line(folder: Path | None) -> str:
    """What is being done, why, and for how long."""
    told = "compiling the network's loops for this machine, some seconds"
    if folder is None:
        return f"{told} in each process: neither beside the package nor in {user_folder()} may they be kept"
    return f"{told}, once; they are kept in {folder}"


watch = Watch()


def work_seconds() -> float:
    """Return a clock that stands still while loops are compiled: what a speed is measured by."""
    return time.perf_counter() - watch.seconds()
