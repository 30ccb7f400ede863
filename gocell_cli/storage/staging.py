"""A cache in the making: `<out>.partial`, from which a build resumes after any interruption.

    <out>.partial/
      plan.json        fingerprint of the plan, and the command that resumes it
      lock             held (flock) by the one process that builds
      records/         one JSON a finished shard: its ShardRecord
      cache/           what becomes the cache, by one rename, once its manifest is written

A shard counts as done when its record is there and its files have the recorded hashes. Records are written
after their files are durable, so a kill at any point loses at most the shards in the making.
"""

import errno
import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from gocell_cli.errors import DamagedCache, UsageError
from gocell_cli.storage.backends import SHARD_BACKENDS
from gocell_cli.storage.codec import logical_sha256
from gocell_cli.storage.manifest import (
    canonical_json,
    check_file,
    decode_shard,
    record_file,
    write_manifest,
)
from gocell_cli.storage.schema import FileRecord, Manifest, Samples, ShardRecord
from gocell_cli.storage.tables import SAMPLES_DIR
from gocell_cli.whole_file import settle, sync, write_whole

PARTIAL = ".partial"


@dataclass(frozen=True)
class StagedPlan:
    """What a partial directory says of itself."""

    fingerprint: str
    command: str


class Staging:
    """The partial directory of one cache, held by this process alone from `open` on."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.directory = partial_directory(out)
        self.cache = self.directory / "cache"
        self.records = self.directory / "records"

    @contextmanager
    def open(self, plan: StagedPlan, *, resume: bool) -> Iterator["Staging"]:
        """Hold the directory; what another plan left, or this one unless `resume`, is removed first.

        It stays there however the block is left, until `finish` has made a cache of it. Raises
        DamagedCache where another process is building the same cache.
        """
        with writing(self.out):
            self.directory.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT)
        try:
            _hold(lock, self.out)
            with writing(self.out):
                staged = staged_plan(self.out)
                if not resume or staged is None or staged.fingerprint != plan.fingerprint:
                    self._clear()
                (self.cache / SAMPLES_DIR).mkdir(parents=True, exist_ok=True)
                self.records.mkdir(exist_ok=True)
                write_whole(self.directory / "plan.json", canonical_json(asdict(plan)))
            yield self
        finally:
            os.close(lock)

    def _clear(self) -> None:
        for name in ("cache", "records"):
            shutil.rmtree(self.directory / name, ignore_errors=True)

    def done(self, index: int, backends: Sequence[str]) -> ShardRecord | None:
        """Return the record of a shard that is finished and undamaged, else None."""
        path = self.records / f"part-{index:05d}.json"
        try:
            record = decode_shard(json.loads(path.read_bytes()))
            for file in record.files.values():
                check_file(self.cache, file)
        except (OSError, ValueError, TypeError, KeyError, DamagedCache):
            return None
        return record if set(record.files) == set(backends) else None

    def write_tables(self, tables: Mapping[str, pa.Table]) -> tuple[FileRecord, ...]:
        """Write Parquet tables by path without suffix; return their records."""
        return tuple(self._write_table(path, table) for path, table in tables.items())

    def _write_table(self, path: str, table: pa.Table) -> FileRecord:
        final = self.cache / f"{path}.parquet"
        with writing(final):
            final.parent.mkdir(exist_ok=True)
            temporary = temporary_name(final)
            pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)
            settle(temporary, final)
            return record_file(self.cache, final)

    def finish(self, manifest: Manifest, *, name: str) -> None:
        """Write the manifest as `name`, then give the directory the cache's name, replacing what stands there."""
        listed = {f.path for f in manifest.files} | {f.path for s in manifest.shards for f in s.files.values()}
        with writing(self.out):
            for path in self.cache.rglob("*"):
                if path.is_file() and path.relative_to(self.cache).as_posix() not in listed:
                    path.unlink()
            write_manifest(self.cache, manifest, name)
            if self.out.exists():
                shutil.rmtree(self.directory / "replaced", ignore_errors=True)
                os.replace(self.out, self.directory / "replaced")
            os.replace(self.cache, self.out)
            sync(self.out.parent)
            shutil.rmtree(self.directory)


def write_shard(cache: Path, backends: Sequence[str], index: int, start: int, samples: Samples) -> ShardRecord:
    """Write shard `index`, which holds the samples from `start`, with every backend, then its record.

    Idempotent, and safe to run in another process: temporary names carry the process id.
    """
    files = {}
    for backend in backends:
        shard = SHARD_BACKENDS[backend]
        final = cache / SAMPLES_DIR / f"part-{index:05d}{shard.suffix}"
        with writing(final):
            temporary = temporary_name(final)
            shard.write(str(temporary), samples)
            settle(temporary, final)
            files[backend] = record_file(cache, final)
    record = ShardRecord(index, start, len(samples), logical_sha256(samples), files)
    with writing(cache):
        write_whole(cache.parent / "records" / f"part-{index:05d}.json", canonical_json(asdict(record)))
    return record


def partial_directory(out: Path) -> Path:
    """Where a cache is made before it has its name."""
    whole = out.resolve()  # `.` has no name of its own
    return whole.with_name(whole.name + PARTIAL)


def staged_plan(out: Path) -> StagedPlan | None:
    """Return what an unfinished build of `out` left, None where there is none."""
    path = partial_directory(out) / "plan.json"
    try:
        return StagedPlan(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def temporary_name(final: Path) -> Path:
    """A name beside `final` that no other process uses; what stood there is removed."""
    temporary = final.with_name(f"{final.name}.tmp-{os.getpid()}")
    temporary.unlink(missing_ok=True)
    return temporary


def _hold(lock: int, out: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise DamagedCache(
            f"{out}: another process is building this cache",
            why="it holds the lock of the unfinished cache",
            hint="wait for it, or choose another --out",
        ) from error


def remove_partial(directory: Path) -> bool:
    """Remove a partial directory unless a process holds it; return whether it was removed."""
    try:
        lock = os.open(directory / "lock", os.O_RDWR)
    except FileNotFoundError:
        shutil.rmtree(directory)
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    else:
        shutil.rmtree(directory)
        return True
    finally:
        os.close(lock)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an OSError while writing `path` into one clear error; what is finished stays for a resume."""
    try:
        yield
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        raise UsageError(f"{path}: cannot be written", why=str(error), hint="choose another --out or --root") from error
    except OSError as error:
        if error.errno == errno.EROFS:
            raise UsageError(f"{path}: cannot be written", why=str(error), hint="choose another --out") from error
        raise DamagedCache(
            f"{path}: writing failed, the cache is not finished",
            why=str(error),
            hint="free some space, then run the same command again with --resume",
        ) from error
