"""A Parquet file that grows in parts: OUT.parts holds them until all are there, and a later call goes on from them."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from gocell_cli.errors import DamagedCache, GocellError, UsageError
from gocell_cli.whole_file import TEMPORARY, whole_file, writing

METADATA = b"gocell"
"""The key of a schema's metadata under which stands what makes the rows of two files the same."""
LOCK = ".lock"
COMPRESSION = "zstd"
PART = r"\d{5,}"


def folder_of(out: Path) -> Path:
    """Return where the parts of a file lie until it is whole."""
    return out.with_name(out.name + ".parts")


def part_of(out: Path, number: int) -> Path:
    """Return one part's file."""
    return folder_of(out) / f"{number:05d}.parquet"


@contextmanager
def held(out: Path) -> Iterator[None]:
    """Hold OUT.parts against other processes; it goes with what is ours in it once `out` is there whole.

    The kernel lets go of the lock when a process dies, however it dies. Raises UsageError where another process holds
    it. One that finished may have removed the folder, and the lock that is held here, but then its file is there.
    """
    folder = folder_of(out)
    with writing(out):
        lock = _locked(folder, out)
    try:
        with writing(out):
            _remove_unfinished(out, folder)
        yield
    finally:
        if out.exists():  # until then the parts are what a later call goes on from
            _clear(folder)
        lock.release()


def _locked(folder: Path, out: Path) -> FileLock:
    lock = FileLock(folder / LOCK)
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        # gone: another process finished, and removed the folder, between the two lines
        with suppress(FileNotFoundError):
            try:
                # 0: refused at once, for the other may be long
                lock.acquire(timeout=0)
            except Timeout as error:
                hint = "wait for its end; or another --out"
                raise UsageError(f"{out}: another process is writing it", hint=hint) from error
            return lock


def _remove_unfinished(out: Path, folder: Path) -> None:
    """Remove what a process that was killed was writing: under the lock nobody else is."""
    for place, stem in ((folder, PART), (out.parent, re.escape(out.stem))):
        temporary = re.compile(rf"\.{stem}{TEMPORARY}{re.escape(out.suffix if place == out.parent else '.parquet')}")
        for path in place.iterdir():
            if temporary.fullmatch(path.name):
                path.unlink(missing_ok=True)


def _clear(folder: Path) -> None:
    """Remove parts and lock; a folder that holds anything else stays, with that in it."""
    for path in folder.iterdir():
        if path.name == LOCK or re.fullmatch(rf"{PART}\.parquet", path.name):
            path.unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()


@dataclass(frozen=True)
class Rows:
    """What a file, or a part of one, is to hold: columns, what makes its rows the same, and what they are called."""

    schema: pa.Schema
    noun: str

    def require_same(self, out: Path, rows: int) -> None:
        """Raise UsageError where a file that is there holds anything else than so many of these rows."""
        try:
            self.found(out, rows)
        except GocellError as error:
            damaged = isinstance(error, DamagedCache)
            why = f"it holds no such {self.noun}" if damaged else "it is of another model or other genes"
            raise UsageError(f"{out}: is there already", why=why, hint="another --out, or remove it") from error

    def found(self, part: Path, rows: int) -> int:
        """Return the rows of a finished part; raises UsageError where it is another model's or other genes'."""
        with self._readable(part):
            found = pq.read_metadata(part)
            columns = found.schema.to_arrow_schema().names
        if (found.metadata or {}).get(METADATA) != self.schema.metadata[METADATA]:
            raise UsageError(f"{part}: of another model or other genes", hint=f"remove {part.parent}, or another --out")
        if columns != self.schema.names:
            raise self._damaged(part, f"its columns are {', '.join(columns)}")
        if found.num_rows != rows:
            raise self._damaged(part, f"it holds {found.num_rows:,} {self.noun}, not {rows:,}")
        return rows

    def read(self, parts: Sequence[Path]) -> Iterator[pa.Table]:
        """Yield the row groups of parts, one after the other."""
        for part in parts:
            with self._readable(part):
                source = pq.ParquetFile(part, page_checksum_verification=True)
            for group in range(source.num_row_groups):
                with self._readable(part):
                    rows = source.read_row_group(group).cast(self.schema)
                yield rows

    def write(self, path: Path, tables: Iterator[pa.Table], report: Callable[[int], None]) -> None:
        """Write tables as row groups of a file that appears whole; `report` gets the rows of each."""
        # a part may lie there for weeks: checksums, so that what it has become since is not taken for predictions
        with (
            whole_file(path) as temporary,
            pq.ParquetWriter(temporary, self.schema, compression=COMPRESSION, write_page_checksum=True) as writer,
        ):
            for table in tables:
                writer.write_table(table)
                report(len(table))

    @contextmanager
    def _readable(self, part: Path) -> Iterator[None]:
        """Turn what pyarrow says of a file that is none of its own into an error that names the part."""
        try:
            yield
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # the last of a column's name
            raise self._damaged(part, str(error)) from error

    def _damaged(self, part: Path, why: str) -> DamagedCache:
        hint = f"rm {part}; then the same command again"
        return DamagedCache(f"{part}: a damaged part of the {self.noun}", why=why, hint=hint)
