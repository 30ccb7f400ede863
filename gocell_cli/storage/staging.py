"""A cache in the making: `<out>.partial`, from which a build resumes after any interruption.

    <out>.partial/
      plan.json        fingerprint of the plan, and the command that resumes it
      lock             held (flock) by the one process that builds
      records/         one JSON a finished shard: its ShardRecord
      cache/           what becomes the cache, once its manifest is written; after that, what it has replaced
      replaced/        what stood at the place, where the two cannot be exchanged in one step

A shard counts as done when its record is there and its files have the recorded hashes. Records are written
after their files are durable, so a kill at any point loses at most the shards in the making. The manifest comes
last of all files: what has none is not whole, and nothing reads it.

At the cache's place stands the old one or the new one at every moment: both names are exchanged in one step, and only
then is the old one removed. Where the file system knows no exchange, two renames follow each other; whoever comes next
(the same command, or `cache prune`) gives the place back the cache that a kill between them left without one.
"""

import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from gocell_cli.errors import DamagedCache, Unfinished, UsageError
from gocell_cli.file_record import FileRecord, record_file
from gocell_cli.storage.descriptions import described, undescribed
from gocell_cli.storage.lmdb_walk import remember
from gocell_cli.storage.manifest import MOST_MANIFEST, canonical_json, check_file, read_manifest, write_manifest
from gocell_cli.storage.own_files import (
    LOCK,
    PLAN,
    remove_cache,
    remove_partial_folder,
    remove_records,
    remove_strays,
    require_cache,
    require_partial,
)
from gocell_cli.storage.records import MANIFEST, PART_MANIFEST, PARTIAL, Manifest, ShardRecord
from gocell_cli.storage.samples import logical_sha256
from gocell_cli.storage.schema import Samples
from gocell_cli.storage.shards import SHARD_BACKENDS
from gocell_cli.storage.tables import SAMPLES_DIR
from gocell_cli.typed_file import Malformed, parse_json, read_small
from gocell_cli.whole_file import exchange, settle, sync, write_whole, writing


@dataclass(frozen=True)
class StagedPlan:
    """What a partial directory says of itself."""

    fingerprint: str
    command: str


class Staging:
    """The partial directory of one cache, held by this process alone from `open` on."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.place = place_of(out)
        self.directory = partial_directory(out)
        self.cache = self.directory / "cache"
        self.replaced = self.directory / "replaced"
        self.records = self.directory / "records"

    @contextmanager
    def open(self, plan: StagedPlan, *, resume: bool) -> Iterator["Staging"]:
        """Hold the directory; what another plan left, or this one unless `resume`, is removed first.

        It stays there however the block is left, until `finish` has made a cache of it, or `discard` removed it. Raises
        DamagedCache where another process is building the same cache, UsageError where no rename will do or something
        that no build made lies in the directory.
        """
        # first: hours of work would end in a rename that cannot be done
        refuse_mount(self.place)
        with writing(self.out):
            lock = _create(self.directory)
        if lock is None:
            raise DamagedCache(
                f"{self.out}: another process is building this cache",
                why="it holds the lock of the unfinished cache",
                hint="wait for it, or choose another --out",
            )
        try:
            with writing(self.out):
                # before anything is cleared: what lies here may be the only whole copy of a cache
                self.give_back()
                staged = staged_plan(self.out)
                if not resume or staged is None or staged.fingerprint != plan.fingerprint:
                    self._clear()
                for name in (MANIFEST, PART_MANIFEST):  # of what a finished build has replaced: this one has none yet
                    (self.cache / name).unlink(missing_ok=True)
                (self.cache / SAMPLES_DIR).mkdir(parents=True, exist_ok=True)
                self.records.mkdir(exist_ok=True)
                # last: shards of another plan are gone by now, so this plan never stands beside them
                write_whole(self.directory / PLAN, canonical_json(asdict(plan)))
            yield self
        except Unfinished as error:
            if plan.command:
                error.hint = f"{error.hint}; then resume with: " if error.hint else "resume with: "
                error.hint += plan.command
            raise
        finally:
            # lets go of the flock; the kernel does it where the process is killed, so no lock outlives its holder
            os.close(lock)

    def give_back(self) -> bool:
        """Give an empty place the whole cache that an interrupted build left without one, the new one if it can be.

        Only for the holder of the lock. Return whether a cache was found so.
        """
        if is_taken(self.place):
            return False
        # the new one first: it has its manifest, so it is finished and only its name was missing
        whole = next((path for path in (self.cache, self.replaced) if _is_whole(path)), None)
        if whole is not None:
            os.replace(whole, self.place)
            # a rename is on the disk once its folder is
            sync(self.place.parent)
        return whole is not None

    def _clear(self) -> None:
        if self.cache.is_dir():
            remove_cache(self.cache)
        if self.records.is_dir():
            remove_records(self.records)

    def discard(self) -> None:
        """Remove the directory: there is nothing to build. Only for the holder of the lock."""
        with writing(self.out):
            remove_partial_folder(self.directory)

    def done(self, index: int, backends: Sequence[str]) -> ShardRecord | None:
        """Return the record of a shard that is finished and undamaged, else None."""
        path = self.records / f"part-{index:05d}.json"
        try:
            record = parse_json(read_small(path, MOST_MANIFEST), ShardRecord)
            for file in record.files.values():
                check_file(self.cache, file)
        # a record that cannot be read costs one shard made again; believing a bad one would cost the cache
        except (OSError, Malformed, DamagedCache):
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
            # synced, then renamed: a file with its final name is whole, whenever the power goes
            settle(temporary, final)
            return record_file(self.cache, final)

    def finish(self, manifest: Manifest, *, name: str) -> Manifest:
        """Write the manifest as `name`, then give the directory the cache's name, replacing the one that stands there.

        A whole cache gets its descriptions before it; return the manifest as it is written, with their records. Raises
        UsageError where what stands there is no cache of ours: it stays, and so does this one, unnamed.
        """
        # a part has none: which shards they tell of is known when all of them are there
        manifest, contents = described(manifest) if name == MANIFEST else (undescribed(manifest), {})
        listed = {file.path for file in manifest.all_files}
        with writing(self.out):
            # under temporary names: verify calls every unlisted file a finding
            remove_strays(self.cache, listed)
            for path, data in contents.items():
                write_whole(self.cache / path, data)
            write_manifest(self.cache, manifest, name)
            self._take_place()
        try:  # the cache is there, whatever becomes of the rest
            remove_partial_folder(self.directory)
        except OSError as error:
            why, hint = str(error), f"remove {self.directory} yourself"
            raise UsageError(f"{self.out} is finished; what it replaced is not removed", why=why, hint=hint) from error
        return manifest

    def _take_place(self) -> None:
        # a rename may replace an empty folder, so only something in it needs an exchange
        if not is_taken(self.place):
            os.replace(self.cache, self.place)
            sync(self.place.parent)
            return
        require_cache(self.place)  # asked before the work, too; hours may lie between
        if not exchange(self.cache, self.place):
            if self.replaced.exists():
                remove_cache(self.replaced)
            os.replace(self.place, self.replaced)
            os.replace(self.cache, self.place)  # a kill just before this line is what `give_back` is for
        sync(self.place.parent)


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
        if backend == "lmdb":
            remember(files[backend].sha256)  # written here, so it need not be walked before it is read
    # last: a record says that its files are there, so it must not come before they are
    record = ShardRecord(index, start, len(samples), logical_sha256(samples), files)
    with writing(cache):
        write_whole(cache.parent / "records" / f"part-{index:05d}.json", canonical_json(asdict(record)))
    return record


def place_of(out: Path) -> Path:
    """Where a cache at `out` will really stand, its links followed: all work is done beside that place.

    A link may lead to another file system, and nothing is renamed from one to another. Raises UsageError where links
    lead in a circle.
    """
    try:
        return out.resolve()  # `.` gets a name of its own, too
    except (OSError, RuntimeError) as error:  # RuntimeError until Python 3.12
        raise UsageError(f"{out}: links that lead nowhere", why=str(error), hint="choose another --out") from error


def refuse_mount(place: Path) -> None:
    """Raise UsageError where a file system is mounted: no rename replaces it, which only the end would tell."""
    if place.is_mount():
        raise UsageError(f"{place}: a file system is mounted here", hint=f"choose a folder in it: --out {place}/cache")


def is_taken(place: Path) -> bool:
    """Whether anything but an empty folder, which a rename replaces, stands at a place."""
    return place.exists() and not (place.is_dir() and not any(place.iterdir()))


def _is_whole(directory: Path) -> bool:
    """Whether a directory is a finished cache, or a part of one, with every file that its manifest lists."""
    for name in (MANIFEST, PART_MANIFEST):
        try:
            manifest = read_manifest(directory, name)
            for record in manifest.all_files:
                check_file(directory, record)
        except (DamagedCache, OSError):
            continue
        return True
    return False


def partial_directory(out: Path) -> Path:
    """Where a cache is made before it has its name."""
    place = place_of(out)
    return place.with_name(place.name + PARTIAL)


def staged_plan(out: Path) -> StagedPlan | None:
    """Return what an unfinished build of `out` left, None where there is none."""
    path = partial_directory(out) / PLAN
    try:
        return parse_json(read_small(path, MOST_MANIFEST), StagedPlan)
    except (OSError, Malformed):
        return None


def temporary_name(final: Path) -> Path:
    """A name beside `final` that no other process uses; what stood there is removed."""
    # the process id: two workers that make one shard, after a retry, do not write into one file
    temporary = final.with_name(f"{final.name}.tmp-{os.getpid()}")
    temporary.unlink(missing_ok=True)
    return temporary


class Leftover(StrEnum):
    """What became of a partial directory: removed, removed but for its cache, which has its place, or left alone."""

    REMOVED = "removed"
    GIVEN_BACK = "given back"
    IN_USE = "in use"


def recover(out: Path) -> None:
    """Give the place at `out` the cache that an interrupted build left without one; a build under way is left alone."""
    staging = Staging(out)
    with writing(out), _held(staging.directory) as held:
        if held:
            staging.give_back()


def remove_partial(directory: Path) -> Leftover:
    """Remove a partial directory unless a process holds it; a cache of which it has the only copy gets its place.

    Raises UsageError where it cannot be removed, or is not what a build left.
    """
    require_partial(directory)
    staging = Staging(directory.with_name(directory.name.removesuffix(PARTIAL)))
    try:
        with _held(directory) as held:
            if not held:
                return Leftover.IN_USE
            found = Leftover.GIVEN_BACK if staging.give_back() else Leftover.REMOVED
            remove_partial_folder(directory)
    except OSError as error:
        raise UsageError(f"{directory} cannot be removed", why=str(error), hint="remove it yourself") from error
    return found


def remove_leftover(out: Path) -> None:
    """Remove what is left beside a cache at `out` whose build was killed after the cache took its place."""
    directory = partial_directory(out)
    if directory.is_dir():
        remove_partial(directory)


@contextmanager
def _held(directory: Path) -> Iterator[bool]:
    """Hold a partial directory's lock; False where another process does. One without a lock is held by nobody."""
    if not (directory / LOCK).exists():
        yield directory.is_dir()
        return
    try:
        lock = _lock(directory, os.O_RDWR)
    except FileNotFoundError:  # whoever held it has removed the directory
        yield False
        return
    try:
        yield lock is not None
    finally:
        if lock is not None:
            os.close(lock)


def _create(directory: Path) -> int | None:
    """Make a partial directory where there is none, and hold its lock; None where another process does."""
    while True:
        directory.mkdir(parents=True, exist_ok=True)
        require_partial(directory)
        try:
            return _lock(directory, os.O_RDWR | os.O_CREAT)
        except FileNotFoundError:  # removed since, by whoever held it
            continue


def _lock(directory: Path, flags: int) -> int | None:
    """Return the held lock of a directory, None where another process holds it; raises OSError as `open` does."""
    while True:
        lock = os.open(directory / LOCK, flags | os.O_NOFOLLOW)
        try:
            # LOCK_NB: a second build is told so at once, where waiting would look like a hang
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # its holder may have removed the directory before this process got the lock, and another made it anew: then
            # this is the lock of nothing
            if os.path.samestat(os.fstat(lock), (directory / LOCK).stat()):
                return lock
        except BlockingIOError:
            os.close(lock)
            return None
        except FileNotFoundError:
            pass
        os.close(lock)
