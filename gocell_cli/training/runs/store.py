"""A run's directory: what it was asked, what it measured, and checkpoints that need no pickle to load.

config.toml         the resolved settings          run.json         cache, fingerprint, split report, results
metrics.jsonl       one line an epoch              last.safetensors everything to go on; best.safetensors
hierarchy/*.parquet the cache's, so that the run predicts without it
split.parquet       which genotypes trained, validated and tested it
test.parquet        what it and its baselines predict of the test part, a row a sample
tensorboard/        the same as events             figures/*.png|svg|pdf
.lock               held by the process that trains
"""

import errno
import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gocell_cli.errors import CannotWrite, DamagedCache, SourceMissing, Unfinished, UsageError
from gocell_cli.run_record import CONFIG, METRICS, RECORD, RunRecord, metrics_text, read_record, record_text
from gocell_cli.series_record import SeriesRecord, is_series, require_one_run
from gocell_cli.training.extra import train_extra
from gocell_cli.typed_file import json_text, parse_json
from gocell_cli.whole_file import require_folder, whole_file, write_whole, writing

if TYPE_CHECKING:
    from filelock import FileLock
    from torch import Tensor

# torch, safetensors and filelock are loaded where a checkpoint or a lock is: a directory that is taken, or holds no
# run, is refused at once.
__all__ = ["CONFIG", "METRICS", "RECORD", "RunStore"]
LOCK = ".lock"
OS_ERROR = re.compile(r"os error (\d+)")
"""How Rust spells the number of an error of the operating system."""


class RunStore:
    """Reads and writes one run's directory; every file appears whole or not at all.

    Who trains holds the directory's lock, from before the first file until the results are written; the kernel lets go
    of it when a process dies, however it dies. Of several processes of a run one writes and holds the lock: where
    `writable` is False, nothing is.
    """

    def __init__(self, directory: Path, *, writable: bool = True) -> None:
        self.directory = directory
        self.writable = writable
        self._lock: FileLock | None = None
        self._made = False

    @classmethod
    def reserve(cls, directory: Path) -> "RunStore":
        """Take a directory for a new run, before any work; it may be there, but hold no run.

        Raises UsageError where a run is here already, another process trains here, or no directory can be.
        """
        store = cls(directory)
        store.require_idle()  # first: of a run that is still trained, `--resume` would be no hint
        store.require_free()
        store._made = not directory.exists()
        _make(directory, exist_ok=True)
        store.lock()
        try:  # again: a process that made its run between the look and the lock has written run.json
            store.require_free()
        except UsageError:
            store.release()
            raise
        return store

    @classmethod
    def reserve_next(cls, folder: Path, name: str) -> "RunStore":
        """Take the first free of folder/NAME-1, NAME-2, ...: mkdir makes a directory for one process only."""
        for number in count(1):
            directory = folder / f"{name}-{number}"
            if _make(directory, exist_ok=False):
                store = cls.reserve(directory)
                store._made = True
                return store
        raise AssertionError("numbers do not end")

    def lock(self) -> None:
        """Hold the run against other processes; raises UsageError where one trains it now."""
        if self._lock is not None or not self.writable:
            return
        from filelock import FileLock, Timeout

        lock = FileLock(self.directory / LOCK)
        with writing(self.directory / LOCK):
            try:
                # 0: refused at once, for a training may be long
                lock.acquire(timeout=0)
            except Timeout as error:  # an OSError, but not of writing
                raise UsageError(
                    f"{self.directory}: another process is training here", hint="wait for its end; or another --out"
                ) from error
        self._lock = lock

    def release(self) -> None:
        """Let other processes train this run."""
        if self._lock is not None:
            self._lock.release()  # the file stays: who has opened it would else hold a lock that nobody else can see
            self._lock = None

    def abandon(self) -> None:
        """Leave a reserved place in which nothing was begun as it was found."""
        if self._lock is not None and not self.exists() and not is_series(self.directory):
            # removed while it is held: a process that opened it before is refused, one that comes later makes its own
            (self.directory / LOCK).unlink(missing_ok=True)
            if self._made:
                with suppress(OSError):  # something stands in it: not ours to remove
                    self.directory.rmdir()
        self.release()

    @property
    def figures(self) -> Path:
        """Where figures go."""
        return self.directory / "figures"

    def exists(self) -> bool:
        """Whether a run has been begun here."""
        return (self.directory / RECORD).is_file()

    def require_free(self) -> None:
        """Raise UsageError where a run has been begun."""
        if self.exists() or is_series(self.directory):
            what = "run" if self.exists() else "series of runs"
            hint = "--resume goes on with it; or another --out"
            raise UsageError(f"{self.directory}: a {what} is here already", hint=hint)

    def require_idle(self) -> None:
        """Raise UsageError where another process trains here; of several processes of one run none asks."""
        if int(os.environ.get("WORLD_SIZE", "1")) == 1 and (self.directory / LOCK).exists():
            self.lock()
            self.release()

    def require_place(self) -> None:
        """Raise CannotWrite where no directory can be made: what stands there is none, or may not be written."""
        require_folder(self.directory)

    def require_checkpoint(self, name: str) -> Path:
        """Return a checkpoint's path; raises SourceMissing where there is none."""
        path = self.directory / f"{name}.safetensors"
        if not path.is_file():
            raise SourceMissing(f"{path}: no such checkpoint", hint="train for at least one epoch: gocell train")
        return path

    def untrained(self) -> bool:
        """Whether no epoch was finished and nothing saved: `best` alone may be there, which is written first."""
        return not any((self.directory / name).exists() for name in ("last.safetensors", METRICS))

    def require(self) -> None:
        """Raise SourceMissing where there is no run, UsageError where there are several."""
        require_one_run(self.directory)
        if not self.exists():
            raise SourceMissing(f"{self.directory}: no run is here", hint="gocell train --out DIR")

    def write_text(self, name: str, text: str) -> None:
        """Write a file, whole or not at all."""
        if not self.writable:
            return
        with self.writes(self.directory):
            self.directory.mkdir(parents=True, exist_ok=True)
            write_whole(self.directory / name, text)

    @contextmanager
    def writes(self, path: Path) -> Iterator[None]:
        """Say of writing that fails how training goes on from the last checkpoint, once what failed is mended."""
        try:
            with writing(path):
                yield
        except Unfinished as error:
            if not self.exists():
                raise
            resume = f"resume with: gocell train --resume --out {self.directory}"
            raise Unfinished(
                error.message, why=error.why, hint="; then ".join(filter(None, (error.hint, resume)))
            ) from error

    def write_record(self, record: RunRecord) -> None:
        """Write run.json."""
        self.write_text(RECORD, record_text(record, self.directory))

    def record(self) -> RunRecord:
        """Read run.json; raises SourceMissing where there is none, DamagedCache where it is not what a run writes."""
        self.require()
        return read_record(self.directory)

    def write_metrics(self, history: list[dict[str, Any]]) -> None:
        """Write metrics.jsonl: whole, so that a resumed epoch never stands there twice."""
        self.write_text(METRICS, metrics_text(history))

    def save(self, name: str, tensors: Mapping[str, "Tensor"], state: Mapping[str, Any]) -> None:
        """Write a checkpoint: tensors, and everything else as JSON in the same file's header, with a hash of both.

        Raises Malformed for a state that JSON can't hold.
        """
        if not self.writable:
            return
        from safetensors.torch import save_file

        # safetensors takes contiguous tensors only, and strings only as metadata: hence the JSON
        plain = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
        text = json_text(dict(state))
        metadata = {"state": text, "sha256": _sha256(plain, text)}
        with self.writes(self.directory):
            self.directory.mkdir(parents=True, exist_ok=True)
            with whole_file(self.directory / f"{name}.safetensors") as temporary, _rust_errors():
                save_file(plain, temporary, metadata=metadata)

    @contextmanager
    def naming(self, name: str) -> Iterator[None]:
        """Say of which checkpoint it is that something is wrong."""
        try:
            yield
        except DamagedCache as error:
            path = self.directory / f"{name}.safetensors"
            raise DamagedCache(f"{path}: {error.message}", why=error.why, hint=error.hint) from error

    def load(self, name: str) -> tuple[dict[str, "Tensor"], dict[str, Any]]:
        """Read a checkpoint; raises SourceMissing where there is none, DamagedCache where it can't be read.

        Checkpoints of before there was a hash have none, and are taken as they are.
        """
        path = self.require_checkpoint(name)
        with train_extra():
            from safetensors import SafetensorError, safe_open
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 not a dict
            text = metadata["state"]
            if "sha256" in metadata and metadata["sha256"] != _sha256(tensors, text):
                raise ValueError("its content is not what its sha256 says")
            # of before 1.2: the plateau scheduler's state held an Infinity, which is no JSON
            text = text.replace('"mode_worse": Infinity', '"mode_worse": null')
            state: dict[str, Any] = parse_json(text.encode(), dict)
        except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError, OverflowError) as error:
            raise DamagedCache(
                f"{path}: a damaged checkpoint: {error}", hint="train again, or --resume an older one"
            ) from error
        return tensors, state


def recorded_cache(record: RunRecord | SeriesRecord, cache: Path | None = None) -> Path:
    """Return where a run's cache is, or the one given; raises SourceMissing where no folder is there."""
    directory = cache or Path(record.cache)
    if not directory.is_dir():
        raise SourceMissing(
            f"{directory}: the cache of this run is not there",
            why="evaluate, RLIPP and --resume read its samples; predict, and explain's effects, need only the run",
            hint="--cache DIR, where it is now",
        )
    return directory


def require_same(directory: Path, fingerprint: str, record: RunRecord | SeriesRecord) -> None:
    """Raise DamagedCache where a cache, by its fingerprint, is not the one that a run was trained on."""
    if fingerprint != record.fingerprint:
        raise DamagedCache(
            f"{directory}: not the cache this run was trained on",
            why=f"its fingerprint is {fingerprint[:8]}, the run's {record.fingerprint[:8]}",
            hint="pass the right one: --cache DIR",
        )


def _sha256(tensors: Mapping[str, "Tensor"], state: str) -> str:
    """Hash everything in a checkpoint: a bit that has turned is another prediction, and no reader would see it."""
    import torch

    found = hashlib.sha256(state.encode())
    for key in sorted(tensors):
        tensor = tensors[key]
        found.update(f"{key} {tensor.dtype} {tuple(tensor.shape)}".encode())
        if not tensor.numel():
            continue  # its strides may be 0, of which torch makes no bytes
        # as bytes, whatever the dtype; flat, for what has no dimension has no bytes to view
        found.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


@contextmanager
def _rust_errors() -> Iterator[None]:
    """Turn what safetensors says of a disk, in words only, into the OSError that it was."""
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        number = OS_ERROR.search(str(error))
        code = int(number[1]) if number else errno.EIO
        raise OSError(code, os.strerror(code)) from error


def _make(directory: Path, *, exist_ok: bool) -> bool:
    """Make a directory; returns whether it was made, or may be there. Raises as `writing` does where none can be."""
    try:
        with writing(directory):
            directory.mkdir(parents=True, exist_ok=exist_ok)
    except CannotWrite as error:
        if isinstance(error.__cause__, FileExistsError) and not exist_ok:
            return False
        raise
    return True
