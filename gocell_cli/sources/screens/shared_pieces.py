"""A long table that several processes read together, with no coordinator: the parts of one build (`--part i/n`).

    <root>/reading/<key>/
      piece-00012.arrow    what is kept of a piece (kept_pieces.py), written whole by the one that read it
      piece-00012.lock     held (flock) by the one that reads it now
      pieces.txt           how many there are
      done-0-of-3          a part whose build is finished; the last one removes the folder

Each takes the pieces that nobody has taken: parts that run at once divide them, one that runs later finds them read.
The key is of the table's bytes, of what its user says of it and of the genes' names: nobody finds another table's. What
a killed process held is free again, for the kernel lets go of its locks. Arrow's format, not pickle: a folder that
others may write to must not be able to run code.
"""

import fcntl
import hashlib
import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from gocell_cli.gene_names import GeneNames
from gocell_cli.sources.screens.kept_table import KeptPiece, KeptTable
from gocell_cli.sources.screens.table_columns import Columns, TableOptions
from gocell_cli.sources.screens.table_file import Measured
from gocell_cli.whole_file import whole_file, writing

FOLDER = "reading"
OURS = re.compile(r"piece-\d{5,}-\d{2,}\.arrow|\.piece-\d{5,}-\d{2,}\.tmp-\d+\.arrow|piece-\d{5,}\.(lock|json)|"
                  r"\.piece-\d{5,}\.tmp-\d+\.json|done-\d+-of-\d+|pieces\.txt|\.pieces\.tmp-\d+\.txt")  # fmt: skip
NUMBER = "pieces.txt"
FORMAT = 1
"""Of the pieces: another version has other keys."""


class SharedReading:
    """What one part of a build, (i, n), reads together with the others."""

    def __init__(self, root: Path, part: tuple[int, int]) -> None:
        self._root, self._part = root / FOLDER, part
        self._folder: Path | None = None

    def begin(self, sha256: str, options: TableOptions, lookup: GeneNames, cut: tuple[int, int]) -> "PieceFolder":
        """Return the folder of a table; raises CannotWrite where there can be none."""
        genes = (lookup.systematic, lookup.standard, lookup.aliases, lookup.ids)
        told = repr((FORMAT, sha256, options, *(tuple(map(_plain, names)) for names in genes), cut))
        self._folder = self._root / hashlib.sha256(told.encode()).hexdigest()[:16]
        with writing(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
        return PieceFolder(self._folder)

    def done(self) -> None:
        """Say that this part is built; the last of all removes the pieces."""
        if self._folder is None or not self._folder.is_dir():
            return
        i, n = self._part
        with suppress(OSError):  # the part is built, whatever becomes of the pieces
            (self._folder / f"done-{i}-of-{n}").touch()
            if all((self._folder / f"done-{k}-of-{n}").exists() for k in range(n)):
                remove_pieces(self._folder)


class PieceFolder:
    """A table's pieces, of which this process holds some."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._locks: dict[int, int] = {}

    @property
    def number(self) -> int:
        """How many pieces the table has; 0 where nobody has cut it to its end yet."""
        path = self._folder / NUMBER
        return int(path.read_text("utf-8")) if path.is_file() else 0

    @number.setter
    def number(self, number: int) -> None:
        temporary = self._folder / f".pieces.tmp-{os.getpid()}{threading.get_ident()}.txt"
        with writing(temporary):  # whole by its rename, and the same whoever writes it
            temporary.write_text(f"{number}\n", "utf-8")
            temporary.replace(self._folder / NUMBER)

    def is_whole(self) -> bool:
        """Whether all pieces are read: the table need not be opened then."""
        return self.number > 0 and all(map(self.is_read, range(self.number)))

    def is_read(self, number: int) -> bool:
        """Whether a piece is read."""
        return self._index(number).is_file()

    def take(self, number: int, *, wait: bool) -> bool:
        """Hold a piece until it is written; False where it is read, or, unless `wait`, another process holds it."""
        with writing(self._folder):
            lock = os.open(self._folder / f"piece-{number:05d}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            os.close(lock)
            return False
        except OSError:  # a file system without locks: the piece may be read twice, to the same bytes
            pass
        self._locks[number] = lock
        if self.is_read(number):
            self._let_go(number)
            return False
        return True

    def _let_go(self, number: int) -> None:
        os.close(self._locks.pop(number))

    def let_go_of_all(self) -> None:
        """Hold no piece any more."""
        for number in [*self._locks]:
            self._let_go(number)

    def write(self, number: int, size: int, pieces: list[KeptPiece]) -> None:
        """Write what is kept of a piece, its tables first: the file that says how many makes it whole."""
        for at, piece in enumerate(pieces):
            with whole_file(self._folder / f"piece-{number:05d}-{at:02d}.arrow") as path:
                _write(path, piece)
        with whole_file(self._index(number)) as path:
            path.write_text(json.dumps({"tables": len(pieces), "bytes": size}), "utf-8")
        self._let_go(number)

    def read(self, number: int) -> tuple[int, list[KeptPiece]]:
        """Return what is kept of a piece, its arrays mapped from the files."""
        told = json.loads(self._index(number).read_text("utf-8"))
        names = (f"piece-{number:05d}-{at:02d}.arrow" for at in range(int(told["tables"])))
        return int(told["bytes"]), [_read(self._folder / name) for name in names]

    def _index(self, number: int) -> Path:
        return self._folder / f"piece-{number:05d}.json"


def read_together(
    folder: PieceFolder,
    pieces: Callable[[], Iterator[Any]],
    keep_all: Callable[[Iterator[tuple[int, Any]]], Iterator[tuple[int, int, list[KeptPiece]]]],
) -> Iterator[tuple[int, list[KeptPiece]]]:
    """Yield (bytes, what is kept) of every piece in order, once all are read by this process and others.

    `keep_all` reads numbered pieces, in order, and yields (number, bytes, what is kept) of each.
    """

    def ours(*, wait: bool) -> Iterator[tuple[int, Any]]:
        number = 0
        for number, piece in enumerate(pieces(), 1):
            # waited for in ascending order: no two processes ever wait for each other
            if not folder.is_read(number - 1) and folder.take(number - 1, wait=wait):
                yield number - 1, piece
        folder.number = number

    try:
        # first what nobody has taken; then what others have begun, which is read here where they are gone
        for wait in (False, True):
            if not folder.is_whole():
                for at, size, kept in keep_all(ours(wait=wait)):
                    folder.write(at, size, kept)
    finally:
        folder.let_go_of_all()
    for at in range(folder.number):
        yield folder.read(at)


def remove_pieces(folder: Path) -> bool:
    """Remove a folder of pieces; False, and nothing is removed, where it holds anything else or one is being read."""
    names = sorted(folder.iterdir())
    if any(not OURS.fullmatch(path.name) or path.is_dir() for path in names) or any(map(_is_held, names)):
        return False
    for path in names:
        path.unlink(missing_ok=True)
    folder.rmdir()
    return True


def reading_folders(root: Path) -> list[Path]:
    """Return the folders of tables whose parts are not all built."""
    folder = root / FOLDER
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _is_held(path: Path) -> bool:
    if path.suffix != ".lock":
        return False
    lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _plain(names: Any) -> Any:
    return names if isinstance(names, str) else tuple(names)


def _write(path: Path, piece: KeptPiece) -> None:
    table = piece.table
    names = table.names if table.names is not None else np.zeros((0, 1), dtype=np.int16)
    columns = {f"text {name}": column for name, column in table.columns.items()}
    columns |= {f"number {name}": pa.array(found.values) for name, found in table.numbers.items()}
    columns |= {f"name {i}": pa.array(np.ascontiguousarray(names[:, i])) for i in range(names.shape[1])}
    if piece.first is None:
        columns["line"] = pa.array(table.line)
    told = {
        "texts": [*table.columns],
        "numbers": {name: [found.decimal, dict(found.words)] for name, found in table.numbers.items()},
        "width": names.shape[1],
        "names": table.own_names,
        "notes": table.notes,
        "delimiter": table.delimiter,
        "encoding": table.encoding,
        "path": os.fsencode(table.path).hex(),
        "columns": piece.columns.__dict__,
        "first": piece.first,
        "rows": piece.rows,
    }
    found = pa.table(columns).replace_schema_metadata({"gocell": json.dumps(told)})
    with pa.OSFile(os.fspath(path), "wb") as sink, pa.ipc.new_file(sink, found.schema) as writer:
        writer.write_table(found, max_chunksize=max(piece.rows, 1))


def _read(path: Path) -> KeptPiece:
    with pa.memory_map(os.fspath(path)) as source:
        found = pa.ipc.open_file(source).read_all()
    told = json.loads(found.schema.metadata[b"gocell"])

    def column(name: str) -> pa.Array:
        return found.column(name).combine_chunks() if found.num_rows else pa.array([], found.schema.field(name).type)

    numbers = {
        name: Measured(column(f"number {name}").to_numpy(zero_copy_only=False), mark, words)
        for name, (mark, words) in told["numbers"].items()
    }
    names = np.array([column(f"name {i}").to_numpy() for i in range(told["width"])]).T
    given = told["columns"]
    columns = Columns(**{
        **given,
        **{name: tuple(given[name]) for name in ("genes", "alleles", "fitness")},
        "others": tuple((name, statistic) for name, statistic in given["others"]),
    })  # fmt: skip
    line = np.zeros(0, dtype=np.int64) if told["first"] is not None else column("line").to_numpy()
    table = KeptTable(
        Path(os.fsdecode(bytes.fromhex(told["path"]))),
        {name: column(f"text {name}") for name in told["texts"]},
        line,
        tuple(told["notes"]),
        told["delimiter"],
        told["encoding"],
        names,
        tuple(told["names"]),
        numbers,
    )
    return KeptPiece(table, columns, told["first"], told["rows"])
