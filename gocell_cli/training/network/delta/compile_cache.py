"""Where compiled loops are kept, and who hears that some are being compiled.

numba keeps what it compiled as pickles, whoever may write there may run code as the user who loads them. So a folder
is used only where it is the user's own (or root's) and nobody else may write to it: __pycache__ beside the loops, or,
where the installation is read-only or open to others, $XDG_CACHE_HOME/gocell (~/.cache/gocell; XDG Base Directory
Specification). NUMBA_CACHE_DIR, where it is set, is the user's word. Where no folder will do, each process compiles
for itself. What is damaged there, or cannot be written, costs a compilation and nothing more.
"""

import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from gocell_cli.training.extra import train_extra

with train_extra():
    import numba.core.config
    from numba.core import event

VARIABLE = "NUMBA_CACHE_DIR"
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
config: Any = numba.core.config
_making = threading.Lock()
"""Held while numba's own setting names our folder."""


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
    # one that is not there yet is numba's to make, readable to all as its folder is
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


def kept(compile_: Callable[..., Any], function: Callable[..., Any]) -> Any:
    """Return `compile_(function)`, kept on disk where a folder is ours; `compile_` takes numba's option `cache`."""
    folder = folder_for(Path(function.__code__.co_filename))
    if folder is None:
        watch.nowhere = True
        return compile_(cache=False)(function)
    with _making, _naming("" if folder.name == "__pycache__" else str(folder)):
        try:
            made = compile_(cache=True)(function)
        except RuntimeError:  # numba's own look at the folder failed: compiled anew in each process
            watch.nowhere = True
            return compile_(cache=False)(function)
    _forgive(made._cache)
    watch.folder = watch.folder or folder
    return made


@contextmanager
def _naming(folder: str) -> Iterator[None]:
    before, config.CACHE_DIR = config.CACHE_DIR, folder or config.CACHE_DIR
    try:
        yield
    finally:
        config.CACHE_DIR = before


def _forgive(cache: Any) -> None:
    """Let what is damaged, or was written by another numba, be as if it were not there; nor is a full disk fatal."""
    load, save = cache.load_overload, cache.save_overload

    def load_overload(sig: Any, target: Any) -> Any:
        try:
            return load(sig, target)
        except Exception:  # pickle raises whatever the bytes make it raise
            with suppress(Exception):
                cache.flush()
            return None

    def save_overload(sig: Any, data: Any) -> None:
        with suppress(Exception):
            save(sig, data)

    cache.load_overload, cache.save_overload = load_overload, save_overload


class Watch(event.Listener):
    """Hears of every compilation: tells the first of them, and adds up their seconds."""

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.nowhere = False
        self.tell: Callable[[str], None] = lambda _: None
        self._told = False
        self._depth, self._since, self._seconds = 0, 0.0, 0.0

    def on_start(self, event: Any) -> None:
        """A function is being compiled; what it calls is compiled within."""
        del event
        if self._depth == 0:
            self._since = time.perf_counter()
        self._depth += 1
        if not self._told:
            self._told = True
            self.tell(self.line())

    def on_end(self, event: Any) -> None:
        """It is compiled."""
        del event
        self._depth -= 1  # numba's own lock lets one thread compile at a time
        if self._depth == 0:
            self._seconds += time.perf_counter() - self._since

    def seconds(self) -> float:
        """Return the seconds spent compiling until now."""
        return self._seconds + (time.perf_counter() - self._since if self._depth else 0.0)

    def line(self) -> str:
        """What is being done, why, and for how long."""
        told = "compiling the network's loops for this machine, some seconds"
        if self.nowhere:
            return f"{told} in each process: neither beside the package nor in {user_folder()} may they be kept"
        return f"{told}, once; they are kept in {self.folder}"


watch = Watch()
event.register("numba:compile", watch)


def work_seconds() -> float:
    """Return a clock that stands still while loops are compiled: what a speed is measured by."""
    return time.perf_counter() - watch.seconds()
