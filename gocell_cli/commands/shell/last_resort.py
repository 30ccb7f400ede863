"""What nobody foresaw, told as what was: one error that says what to do. And what no command can run in or be given.

Rooms know what they do and say it better; this is where an exception of Python's ends that none of them took.
"""

import errno
import os
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import BrokenExecutor, CancelledError
from contextlib import suppress
from pathlib import Path
from typing import Any

from gocell_cli.errors import GocellError, SourceMissing, Unfinished, UsageError
from gocell_cli.whole_file import ADVICE, NOT_THERE

MOST_SHOWN = 300
"""Letters of an exception's text that an error repeats."""
MOST_KEPT = 20
"""Files of tracebacks."""
REPORT = "report it with what the same command prints after: export GOCELL_TRACEBACK=1"
MEMORY_WORDS = (
    "out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory", "bad_alloc",
    "can't start new thread", "failed to map segment",
)  # fmt: skip
"""By which an error without a class of its own says that there was no memory: torch's on a CPU, a thread's, a library's
that was to be loaded."""


def explained(error: Exception) -> GocellError:
    """Return an error as one of ours, with what to do about it."""
    if isinstance(error, GocellError):
        return error
    said = _one_line(error)
    if any(word in said.lower() for word in MEMORY_WORDS):
        return _memory(error, said)
    for kind, of_kind in KINDS.items():
        if isinstance(error, kind):
            return of_kind(error, said)
    if type(error).__name__ == "Abort":  # Typer's, for a question to which stdin holds no answer
        return UsageError("nobody answered, so nothing was done", hint="--yes answers beforehand")
    return GocellError(f"a fault of gocell's: {said}", hint=REPORT)


def told_where(error: Exception, found: GocellError) -> GocellError:
    """Return what is told of a fault of ours with the file in its hint that its traceback was kept in."""
    if isinstance(error, GocellError) or found.exit_code != GocellError.exit_code:
        return found
    with suppress(OSError, RuntimeError, ValueError):  # no home, a full disk: the variable is left
        found.hint = f"report it with {_keep_traceback(error)}, which says where it is"
    return found


def _keep_traceback(error: Exception) -> Path:
    """Write where a fault is into the user's state folder, and return the file; those of before the last are removed.

    Raises OSError, or RuntimeError where there is no home.
    """
    import shlex
    import time
    import traceback

    from gocell_cli.storage.lmdb_walk import state_folder

    folder = state_folder() / "faults"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    about = f"{shlex.join(sys.argv)}\nPython {sys.version}\n{Path.cwd()}\n\n"
    text = about + "".join(traceback.format_exception(error))
    file.write_text(text, "utf-8", errors="backslashreplace")
    for old in sorted(folder.glob("*.txt"))[:-MOST_KEPT]:
        old.unlink(missing_ok=True)
    return file


def _memory(_error: Exception, said: str) -> GocellError:
    hint = "give it more (ulimit -v, the batch system's limit), or choose a smaller --batch-size, --shard-size or model"
    return Unfinished("there is not enough memory for this", why=said, hint=hint)


def _nested(_error: Exception, said: str) -> GocellError:
    return GocellError("something is nested too deeply", why=said, hint=REPORT)


def _worker(_error: Exception, said: str) -> GocellError:
    why = f"{said}; the system kills what takes too much memory"
    return Unfinished("a worker process was killed", why=why, hint="the same command again, with fewer --workers")


def _encoding(_error: Exception, said: str) -> GocellError:
    return UsageError("a name cannot be written in this locale", why=said, hint="export LC_ALL=C.UTF-8")


def _library(_error: Exception, said: str) -> GocellError:
    hint = f"{sys.executable} -m pip install --force-reinstall gocell"
    return SourceMissing("a library that gocell needs cannot be loaded", why=said, hint=hint)


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:MOST_SHOWN] if text else type(error).__name__


def _of_the_system(error: OSError, said: str) -> GocellError:
    """Return what the system refused: a place, which another try will not change (2), or what may be mended (5)."""
    code = error.errno or errno.EIO  # a library may raise one without a number
    place = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
    reason = os.strerror(code) if error.errno else said
    message = f"{place}: {reason}" if place else reason
    if code in (*NOT_THERE, errno.ENOENT):
        return UsageError(message, hint=ADVICE.get(code, "check the path, and who may read and write it"))
    return Unfinished(message, hint=ADVICE.get(code, "the same command again, once that is mended"))


KINDS: dict[type[Exception], Callable[[Any, str], GocellError]] = {
    MemoryError: _memory,
    OSError: _of_the_system,
    RecursionError: _nested,
    BrokenExecutor: _worker,
    CancelledError: _worker,
    UnicodeEncodeError: _encoding,
    ImportError: _library,
}
"""The first that an exception is, in this order, tells of it."""


def check_surroundings(words: Iterable[str]) -> None:
    """Raise UsageError for a working directory that is gone or steers a library, and for a word that is no text.

    A path's bytes that are no text in the encoding in use can be written into no file of ours, nor taken by the
    libraries that read Parquet and weights: told here, before anything is done, of whatever option.
    """
    try:
        here = str(Path.cwd())
    except FileNotFoundError as error:
        raise UsageError("the working directory is gone", hint="cd to one that is there") from error
    for word in (*words, here):
        if any("\ud800" <= letter <= "\udfff" for letter in word):
            encoding = sys.getfilesystemencoding()
            hint = "rename it, or name a link to it" if encoding == "utf-8" else "export LC_ALL=C.UTF-8"
            raise UsageError(f"{word}: holds bytes that are no text in {encoding}", hint=hint)
