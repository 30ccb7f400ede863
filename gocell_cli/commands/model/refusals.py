"""What a training, or a run that is to be opened, cannot be given: found before anything that takes time is loaded.

torch and what comes with it take seconds; a path that is not there, a damaged manifest, a run that is here already are
told in a fraction of one. What only the samples or the weights can tell comes later, in this order: the cache's samples
(NumPy), then the network (torch). tests/commands/model/test_refusals.py walks through them all.
"""

from pathlib import Path

from gocell_cli.errors import DamagedCache, UsageError
from gocell_cli.run_record import RunRecord
from gocell_cli.storage.manifest import read_manifest
from gocell_cli.training.extra import require_extra
from gocell_cli.training.runs.config import RunConfig, run_config
from gocell_cli.training.runs.devices import require_device
from gocell_cli.training.runs.store import RunStore, recorded_cache
from gocell_cli.training.runs.trackers import require_wandb


def before_training(cache: Path, out: Path | None, config: RunConfig) -> None:
    """Raise what `begin_run` would raise of a cache's manifest, of the place, of the device and of what is missing."""
    _of_this_machine(config)
    if out is not None:
        RunStore(out).require_free()
    read_manifest(cache)


def before_resuming(run: Path) -> None:
    """Raise what `resume_run` would raise of a run's files, its cache's manifest and its checkpoint."""
    store = RunStore(run)
    store.require()
    _of_this_machine(run_config(run))
    _of_its_cache(store.record(), None)
    if not store.untrained():
        store.require_checkpoint("last")


def before_opening(run: Path, cache: Path | None, *, samples: bool) -> RunRecord:
    """Return a run's record; raises what opening it would, where `samples` of its cache, or of `cache`, are read."""
    store = RunStore(run)
    record = store.record()
    _of_this_machine(run_config(run))
    if samples or cache is not None or record.hierarchy is None:
        _of_its_cache(record, cache)
    store.require_checkpoint("best")
    return record


def require_pairs_file(out: Path) -> None:
    """Raise UsageError where what stands at the file of --all-pairs cannot be one: it would be neither kept nor used."""
    if out.exists() and not _is_parquet(out):
        raise UsageError(f"{out}: is there already", why="it holds no such pairs", hint="another --out, or remove it")


def _is_parquet(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def _of_this_machine(config: RunConfig) -> None:
    require_extra()
    require_wandb(config)
    require_device(config.device)


def _of_its_cache(record: RunRecord, cache: Path | None) -> None:
    directory = recorded_cache(record, cache)
    fingerprint = read_manifest(directory).fingerprint
    if fingerprint != record.fingerprint:
        raise not_this_cache(directory, fingerprint, record)
