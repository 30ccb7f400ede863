"""What a training, or a run that is to be opened, cannot be given: found before anything that takes time is loaded.

torch and what comes with it take seconds; a path that is not there, a damaged manifest, a run that is here already are
told in a fraction of one. What only the samples or the weights can tell comes later, in this order: the cache's samples
(NumPy), then the network (torch). tests/commands/model/test_refusals.py walks through them all.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gocell_cli.commands.shell.terminal import note
from gocell_cli.errors import UsageError, did_you_mean
from gocell_cli.run_record import RunRecord
from gocell_cli.series_record import SeriesRecord, read_series
from gocell_cli.storage.manifest import read_manifest
from gocell_cli.storage.records import Manifest
from gocell_cli.training.extra import require_extra
from gocell_cli.training.runs.config import RunConfig, run_config
from gocell_cli.training.runs.devices import is_driven, require_device, require_precision
from gocell_cli.training.runs.going_on import require_more, require_same_settings
from gocell_cli.training.runs.source_run import require_source
from gocell_cli.training.runs.store import RunStore, recorded_cache, require_same
from gocell_cli.training.runs.trackers import require_wandb

if TYPE_CHECKING:
    from gocell_cli.storage.schema import Hierarchy


COMBINED_TEXT = (".tsv", ".csv")


def before_training(cache: Path, out: Path, config: RunConfig, *, named: bool) -> None:
    """Raise what `begin_run` would raise of a cache's manifest, of the place, of the device and of what is missing.

    `out` is the run's directory where it is `named`, else the one in which the run gets its own.
    """
    _of_this_machine(config)
    require_precision(config.device, config.precision)
    store = RunStore(out)
    if named:
        store.require_idle()
        store.require_free()
    store.require_place()
    manifest = read_manifest(cache)
    tell_phenotype(cache, manifest, config)
    if config.control and "control" in manifest.config:
        raise UsageError(f"{cache}: its hierarchy is a control already", hint="leave out control")
    if config.warm_start:
        require_source(Path(config.warm_start), config)
    tell_control(config)


def tell_phenotype(cache: Path, manifest: Manifest, config: RunConfig) -> None:
    """Say which of several phenotypes is trained on; raises UsageError for one that the cache has not."""
    kinds = [phenotype["kind"] for phenotype in manifest.phenotypes]
    asked = config.phenotypes(kinds)
    strange = [kind for kind in asked if kind not in kinds]
    if strange:
        hint = did_you_mean(strange[0], kinds, otherwise=f"--phenotype {'|'.join(kinds)}")
        raise UsageError(f"{cache} has no phenotype {strange[0][:60]!r}", hint=hint)
    config.weights_of(len(asked))
    counts = manifest.counts.get("phenotypes", {})
    if len(asked) > 1:
        held = ", ".join(f"{kind} ({counts[kind]:,})" if kind in counts else kind for kind in asked)
        note(f"one network of {held} of {manifest.samples:,} samples: a head each; figures are each one's", "phenotype")
        return
    if len(kinds) > 1:
        chosen = asked[0]
        held = f" of {counts[chosen]:,} of {manifest.samples:,} samples" if chosen in counts else ""
        others = ", ".join(f"--phenotype {kind}" for kind in kinds if kind != chosen)
        first = "" if config.phenotype else ", the first"
        note(f"it learns {chosen}{first}{held}; samples without it are left out; another: {others}", "phenotype")


def before_resuming(run: Path, cache: Path | None, asked: RunConfig) -> None:
    """Raise what `resume_run` would raise of a run's files, its cache's manifest, its checkpoint and the new end."""
    store = RunStore(run)
    store.require()
    config = run_config(run)
    require_same_settings(run, config, asked)
    require_more(run, config, asked)
    _of_this_machine(config)
    require_precision(config.device, config.precision)
    _of_its_cache(store.record(), cache)
    if not store.untrained():
        store.require_checkpoint("last")
    store.require_idle()


def before_going_on(series: Path, cache: Path | None) -> None:
    """Raise what going on with a series would raise of its series.json and its cache's manifest."""
    record = read_series(series)
    require_extra()
    for one in {None, cache}:  # its runs read the one that it names, and another is to be no other
        _of_its_cache(record, one)
    store = RunStore(series)
    store.require_idle()
    store.require_place()


def before_opening(run: Path, cache: Path | None, *, samples: bool) -> RunRecord:
    """Return a run's record; raises what opening it would, where `samples` of its cache, or of `cache`, are read."""
    store = RunStore(run)
    record = store.record()
    config = run_config(run)
    require_extra()
    if config.device == "cuda" and not is_driven():
        note(f"{run}: trained on a GPU, and opened on this machine's CPU, which has none", "run")
    tell_control(config)
    if samples or cache is not None or record.hierarchy is None:
        _of_its_cache(record, cache)
    store.require_checkpoint("best")
    return record


def tell_control(config: RunConfig) -> None:
    """Say on stderr that a run's network does not lie over GO, or that it has no test part."""
    if config.overfit:
        told = (
            f"overfitted on purpose: the same {config.overfit:,} samples train, validate and test it; no figure of it"
        )
        note(f"{told} is one of a test", "warning")
    if config.control:
        note(f"its network lies over a control of the hierarchy: {config.control}, seed {config.control_seed}", "run")


def named_genes(
    run: Path, record: RunRecord, entries: Sequence[str]
) -> tuple["Hierarchy | None", list[tuple[int, ...]] | None]:
    """Return the hierarchy that a run keeps, and the genes of each entry; raises UsageError for a name of none.

    None for a run of before runs kept one: its genes are the cache's, which is opened later.
    """
    if record.hierarchy is None:
        return None, None
    from gocell_cli.training.runs.kept import kept_hierarchy

    hierarchy = kept_hierarchy(run, record.hierarchy)
    lookup = hierarchy.lookup
    return hierarchy, [lookup.genotype(lookup.names_in(entry)) for entry in entries]


def tell_compiling() -> None:
    """Say so on stderr when loops are compiled, once: the first step of an installation takes seconds for it.

    Of several processes of a run the first says it.
    """
    from gocell_cli.training.network.delta.compiler.cache import watch

    if os.environ.get("RANK", "0") == "0":
        watch.tell = note


def require_combined_file(out: Path, noun: str, *, first: bool = False) -> None:
    """Raise UsageError where what stands at the file of all pairs is no such file, CannotWrite where none can be.

    first: only the first of a ranking are written, which may be text.
    """
    if first and out.suffix in COMBINED_TEXT:
        if out.exists():
            raise UsageError(f"{out}: is there already", hint="another --out, or remove it")
        RunStore(out).require_place()
        return
    if out.suffix in (".tsv", ".csv", ".xlsx") or str(out) == "-":
        name = f"{noun}.parquet" if str(out) == "-" else out.with_suffix(".parquet")
        hint = f"--out {name}; with --top N .tsv and .csv as well"
        raise UsageError(f"{out}: all {noun} are a Parquet file", hint=hint)
    if not out.exists():
        RunStore(out).require_place()
    elif not _is_parquet(out):
        why, hint = f"it holds no such {noun}", "another --out, or remove it"
        raise UsageError(f"{out}: is there already", why=why, hint=hint)


def _is_parquet(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def _of_this_machine(config: RunConfig) -> None:
    require_extra()
    require_wandb(config)
    require_device(config.device)


def _of_its_cache(record: RunRecord | SeriesRecord, cache: Path | None) -> None:
    directory = recorded_cache(record, cache)
    require_same(directory, read_manifest(directory).fingerprint, record)
