"""LMDB shards walked whole in a process of their own, which a file that breaks LMDB's own structure may kill.

LMDB maps a file into memory and follows the pages' own numbers: where these are wrong, the kernel ends the process
(SIGBUS, SIGSEGV) or the library does (SIGABRT), and no `except` helps. So every key and record is read first where that
does no harm, as the reader will read them: one after another, and each by its key.

    python -m gocell_cli.storage.lmdb_walk PATH ROWS ...    one line a file: "ok", or what is wrong

A file that was written or walked by this user before need not be walked again: its sha256 stands in a folder that
nobody else writes to (`$XDG_STATE_HOME/gocell/lmdb`, in ~/.local/state where that is not set; XDG Base Directory
Specification). What a cache itself says of where it comes from is no proof.
"""

import os
import resource
import signal
import struct
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

KEY = struct.Struct(">Q")
COUNTS = struct.Struct("<HHhh")
HEADER, GENE, SOURCE, LABEL = 28, 4, 16, 16
"""Bytes of a record's head, of a gene, a source row and a further phenotype's label in it: storage/shards.py."""
KNOWN = "lmdb"
"""In the state folder: empty files, named by the hashes of those that were walked."""
SECONDS, BYTES_A_SECOND = 60, 1_000_000
"""How long a walk may take, at least and by the size of the files: a hundredth of the speed that it has."""


def walk(files: Sequence[tuple[Path, int]]) -> dict[Path, str]:
    """Walk LMDB files, each with the number of samples that it should hold; return what is wrong with which."""
    faults: dict[Path, str] = {}
    left = list(files)
    while left:
        told = _walk_in_child(left)
        faults |= {path: line for (path, _), line in zip(left, told, strict=False) if line != "ok"}
        left = left[len(told) :]
    return faults


def _walk_in_child(files: Sequence[tuple[Path, int]]) -> list[str]:
    """Return a line for each file until the child ended; the last one says how, where a file ended it."""
    command = [sys.executable, "-P", "-m", __name__]
    command += [word for path, rows in files for word in (os.fspath(path.absolute()), str(rows))]
    # the modules that this process has, wherever it has them from; never one of the working directory
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    seconds = SECONDS + sum(path.stat().st_size for path, _ in files) / BYTES_A_SECOND
    with subprocess.Popen(  # noqa: S603  this very module, by the Python that runs
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    ) as child:
        try:
            told = child.communicate(timeout=seconds)[0].decode("utf-8", "replace").splitlines()
        except subprocess.TimeoutExpired as error:
            child.kill()
            told = [
                *(error.stdout or b"").decode("utf-8", "replace").splitlines(),
                f"reading it takes over {seconds:.0f} s",
            ]
            child.communicate()
            return told
    if child.returncode and len(told) < len(files):
        told.append(f"reading it ends a process ({_ending(child.returncode)})")
    return told[: len(files)]


def _ending(code: int) -> str:
    try:
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"
    except ValueError:
        return f"signal {-code}"


def is_known(sha256: str) -> bool:
    """Whether this user wrote or walked the file of this hash before."""
    try:
        return (state_folder() / KNOWN / sha256).is_file()
    except (OSError, RuntimeError):  # no home, or one that cannot be read: walked once more
        return False


def remember(sha256: str) -> None:
    """Remember that the file of this hash is known; where that cannot be written it will be walked again."""
    with suppress(OSError, RuntimeError):
        known = state_folder() / KNOWN
        known.mkdir(parents=True, exist_ok=True)
        (known / sha256).touch()  # empty, so there is nothing that could be half written


def state_folder() -> Path:
    """Return where gocell remembers what is this user's own; raises RuntimeError where there is no home."""
    given = os.environ.get("XDG_STATE_HOME", "")
    # the specification: a path that is not absolute is to be ignored
    base = Path(given) if given and Path(given).is_absolute() else Path.home() / ".local" / "state"
    return base / "gocell"


def fault_of(path: str, rows: int) -> str:
    """Read every key and record of a file in this process; return what is wrong, "ok" where nothing is."""
    import lmdb

    try:
        with (
            lmdb.open(path, subdir=False, lock=False, readonly=True, create=False) as environment,
            environment.begin() as transaction,
        ):
            number = 0
            for key, record in transaction.cursor():
                if number >= rows or key != KEY.pack(number) or not _is_record(record):
                    return f"its record {number} is not one of the {rows} that it should hold"
                number += 1
            if number < rows:
                return f"it holds {number} records, not {rows}"
            # a search by key goes another way than the walk: by what the branches say of their leaves
            lost = next((i for i in range(rows) if transaction.get(KEY.pack(i)) is None), None)
            return "ok" if lost is None else f"it finds no record {lost}"
    except (lmdb.Error, MemoryError, OverflowError, ValueError) as error:
        return " ".join(str(error).split()) or type(error).__name__


def _is_record(record: bytes) -> bool:
    if len(record) < HEADER:
        return False
    genes, sources, _, others = COUNTS.unpack_from(record)
    return bool(others >= 0 and len(record) == HEADER + GENE * genes + SOURCE * sources + LABEL * others)


def main() -> None:
    """Walk the files of the command line."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # its death is expected: no file of gigabytes is to be left of it
    words = sys.argv[1:]
    for path, rows in zip(words[::2], words[1::2], strict=True):
        sys.stdout.write(f"{fault_of(path, int(rows))}\n")
        sys.stdout.flush()  # before the next file can end this process


if __name__ == "__main__":
    main()
