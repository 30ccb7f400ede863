"""Files that appear whole or not at all: written under another name, made durable, renamed; and folders exchanged."""

import ctypes
import errno
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from gocell_cli.errors import CannotWrite, Unfinished

AT_FDCWD, RENAME_EXCHANGE = -100, 2
"""From Linux's fcntl.h and fs.h: paths are relative to the working directory; swap the two names."""
CANNOT = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)
"""What renameat2 says where the kernel or the file system (NFS, for one) knows no exchange."""


NOT_THERE = (
    *(errno.EACCES, errno.EPERM, errno.EROFS),  # not allowed
    *(errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL),  # no such place
    *(errno.EXDEV, errno.EBUSY, errno.ENOTEMPTY),  # a place that a rename cannot replace
)
"""Errors of the place asked for, which trying again will not mend."""
ADVICE: Mapping[int, str] = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space, or ask for more of it: your quota is used up",
    errno.EIO: "look at the disk: dmesg tells more",
    errno.ESTALE: "look at the network file system",
    errno.EMFILE: "allow more open files: ulimit -n 4096",
    errno.ENAMETOOLONG: "choose a shorter --out",
    errno.EXDEV: "choose an --out whose folder is on one file system",
    errno.EBUSY: "choose an --out that no other program uses, and where nothing is mounted",
}


TEMPORARY = r"\.tmp-\d+"
"""As a regular expression: what stands in the name of a file until it is whole, the number of its process in it."""


@contextmanager
def writing(path: Path, resume: str = "") -> Iterator[None]:
    """Turn an OSError while writing `path` into one clear error with advice that fits its number.

    Raises CannotWrite for a place that cannot be written, Unfinished for anything that may be mended; its hint ends in
    the command that goes on from there, where there is one (`resume`).
    """
    try:
        yield
    except OSError as error:
        # an OSError that a library raises may have no number: taken for a fault that another try may get over
        code = error.errno or errno.EIO
        if code in NOT_THERE:
            hint = ADVICE.get(code, "choose another --out or --root")
            raise CannotWrite(f"{path}: cannot be written", why=str(error), hint=hint) from error
        then = f"resume with: {resume}" if resume else ""
        hint = "; then ".join(text for text in (ADVICE.get(code, ""), then) if text)
        raise Unfinished(f"{path}: writing failed, and it is not finished", why=str(error), hint=hint) from error


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield where to write, beside `path` and with its suffix; it gets the name if the block is left without error.

    Raises what `writing` raises where the disk or the place fails.
    """
    temporary = path.with_name(f".{path.stem}.tmp-{os.getpid()}{path.suffix}")
    with writing(path):
        try:
            yield temporary
            settle(temporary, path)
        finally:
            with suppress(OSError):  # what is left must not hide what went wrong
                temporary.unlink(missing_ok=True)


def require_writable(path: Path) -> None:
    """Raise, before anything is computed, what `writing` would raise of a file's place: it is tried, and removed."""
    with writing(path):
        temporary = path.with_name(f".{path.stem}.tmp-{os.getpid()}{path.suffix}")
        try:
            os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def require_folder(directory: Path) -> None:
    """Raise CannotWrite where no directory can be made: what stands there is none, or may not be written."""
    place = next(path for path in (directory, *directory.absolute().parents) if path.exists())
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        why = f"{place}: {'no folder' if not place.is_dir() else 'may not be written'}"
        raise CannotWrite(f"{directory}: cannot be written", why=why, hint="choose another --out or --root")


def write_whole(path: Path, content: str | bytes) -> None:
    """Write text (UTF-8) or bytes, whole or not at all; raises as `writing` does."""
    with whole_file(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


def settle(temporary: Path, path: Path) -> None:
    """Make a written file durable and give it its final name.

    In this order: after a power cut the name may be the old file's or the new one's, but never that of an empty file.
    The folder is synced last, for the name stands in it.
    """
    sync(temporary)
    os.replace(temporary, path)
    sync(path.parent)


def exchange(one: Path, other: Path) -> bool:
    """Swap what stands at two names of one file system, in one step; False, and nothing done, where that can't be.

    A folder that is not empty cannot be renamed over another, and between two renames neither stands there: only
    Linux's renameat2 (man 2 rename, since 3.15) does it at once. Raises OSError as a rename does.
    """
    if sys.platform != "linux":
        return False
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)  # glibc 2.28; musl has none
    if rename is None:
        return False
    if rename(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in CANNOT:
        return False
    raise OSError(code, os.strerror(code), str(one), None, str(other))


def sync(path: Path) -> None:
    """Fsync a file or a directory."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
