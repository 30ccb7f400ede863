"""A run's directory: what it was asked, what it measured, and checkpoints that need no pickle to load.

config.toml         the resolved settings          run.json         cache, fingerprint, split report, results
metrics.jsonl       one line an epoch              last.safetensors everything to go on; best.safetensors
hierarchy/*.parquet the cache's, so that the run predicts without it
tensorboard/        the same as events             figures/*.png
.lock               held by the process that trains
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from gocell_cli.errors import DamagedCache, SourceMissing, UsageError
from gocell_cli.training.extra import train_extra
from gocell_cli.whole_file import whole_file, write_whole

with train_extra():
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import save_file
    from torch import Tensor

CONFIG, RECORD, METRICS, LOCK = "config.toml", "run.json", "metrics.jsonl", ".lock"


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
        store._made = not directory.exists()
        _make(directory, exist_ok=True)
        store.lock()
        # only now: a process that made its run between the look and the lock has written run.json
        if store.exists():
            store.release()
            raise UsageError(f"{directory}: a run is here already", hint="--resume goes on with it; or another --out")
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
        lock = FileLock(self.directory / LOCK)
        try:
            # 0: refused at once, for a training may be long
            lock.acquire(timeout=0)
        except Timeout as error:
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
        if self._lock is not None and not self.exists():
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

    def require(self) -> None:
        """Raise SourceMissing where there is no run."""
        if not self.exists():
            raise SourceMissing(f"{self.directory}: no run is here", hint="gocell train --out DIR")

    def write_text(self, name: str, text: str) -> None:
        """Write a file, whole or not at all."""
        if not self.writable:
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        write_whole(self.directory / name, text)

    def write_record(self, record: Mapping[str, Any]) -> None:
        """Write run.json."""
        self.write_text(RECORD, json.dumps(record, indent=1, allow_nan=False) + "\n")

    def record(self) -> dict[str, Any]:
        """Read run.json; raises DamagedCache where it is no JSON."""
        self.require()
        try:
            found: dict[str, Any] = json.loads((self.directory / RECORD).read_text("utf-8"))
        except ValueError as error:
            raise DamagedCache(f"{self.directory / RECORD}: not JSON: {error}", hint="train the run again") from error
        return found

    def write_metrics(self, history: list[dict[str, Any]]) -> None:
        """Write metrics.jsonl: whole, so that a resumed epoch never stands there twice."""
        self.write_text(METRICS, "".join(json.dumps(line, allow_nan=False) + "\n" for line in history))

    def save(self, name: str, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Write a checkpoint: tensors, and everything else as JSON in the same file's header."""
        if not self.writable:
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        # safetensors takes contiguous tensors only, and strings only as metadata: hence the JSON
        plain = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
        with whole_file(self.directory / f"{name}.safetensors") as temporary:
            save_file(plain, temporary, metadata={"state": json.dumps(state)})

    def load(self, name: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Read a checkpoint; raises SourceMissing where there is none, DamagedCache where it can't be read."""
        path = self.directory / f"{name}.safetensors"
        if not path.is_file():
            raise SourceMissing(f"{path}: no such checkpoint", hint="train for at least one epoch: gocell train")
        try:
            with safe_open(path, framework="pt") as file:
                state: dict[str, Any] = json.loads(file.metadata()["state"])
                return {key: file.get_tensor(key) for key in file.keys()}, state  # noqa: SIM118 not a dict
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise DamagedCache(
                f"{path}: a damaged checkpoint: {error}", hint="train again, or --resume an older one"
            ) from error


def _make(directory: Path, *, exist_ok: bool) -> bool:
    """Make a directory; returns whether it was made, or may be there. Raises UsageError where none can be."""
    try:
        directory.mkdir(parents=True, exist_ok=exist_ok)
    except OSError as error:
        if isinstance(error, FileExistsError) and not exist_ok:
            return False
        raise UsageError(f"{directory}: cannot be made: {error.strerror}", hint="another --out") from error
    return True
