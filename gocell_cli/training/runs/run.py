"""A run: begun, gone on with, opened again; what it is worth, and what it predicts, with its cache or without."""

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from gocell_cli.errors import DamagedCache, GocellError, SourceMissing, UsageError
from gocell_cli.run_record import (
    AGAIN,
    ExtensionRecord,
    HierarchyRecord,
    LabelRecord,
    LayoutRecord,
    PhenotypeRecord,
    RunRecord,
    WarmStartRecord,
)
from gocell_cli.storage.reader import Cache
from gocell_cli.storage.schema import Hierarchy
from gocell_cli.training.data.gene_vectors import keep_vectors, kept_vectors
from gocell_cli.training.data.labels import LabelScale
from gocell_cli.training.data.strain_fitness import offered_fitness
from gocell_cli.training.inference.predict import Answering, Predictor
from gocell_cli.training.network.own_model import MakeModel
from gocell_cli.training.runs.config import RunConfig, run_config
from gocell_cli.training.runs.devices import device_to_open
from gocell_cli.training.runs.going_on import require_more, require_same_settings
from gocell_cli.training.runs.kept import keep_split, kept_hierarchy, kept_parts, open_cache, split_record
from gocell_cli.training.runs.measuring import OwnLoss
from gocell_cli.training.runs.processes import Processes
from gocell_cli.training.runs.samples import RunSamples, as_asked
from gocell_cli.training.runs.source_run import TABLE
from gocell_cli.training.runs.states import BestState, read_state, require_meaning, require_settings
from gocell_cli.training.runs.store import CONFIG, RunStore
from gocell_cli.training.runs.trackers import require_wandb
from gocell_cli.training.runs.trainer import Trainer
from gocell_cli.training.runs.warm_start import Copied, met_before, warm_start
from gocell_cli.training.runs.weights import BEFORE, VECTORS, Layout, known_genes, load_weights
from gocell_cli.training.voices.names import DCELL


def begin_run(
    reserve: Callable[[], RunStore],
    cache: Cache,
    config: RunConfig,
    samples: RunSamples | None = None,
    *,
    model: MakeModel | None = None,
    loss: OwnLoss | None = None,
) -> Trainer:
    """Take a place, and make a run there: its settings, its hierarchy, its cache's fingerprint, its split.

    `reserve` is RunStore.reserve or reserve_next of some place, `samples` what was read of the cache already. What
    fails before the run is made leaves no trace.
    """
    require_wandb(config)
    cache = as_asked(cache, config)
    processes = Processes(config.device, config.precision)
    processes.require_precision()
    store = _reserve(processes, reserve)
    try:
        trainer = Trainer(cache, config, store, processes, samples=samples, model=model, loss=loss)
        trainer.samples.check_differ()
        copied = warm_start(trainer.dcell, trainer.hierarchy, config, trainer.samples) if config.warm_start else None
        store.write_text(CONFIG, trainer.config.to_toml())  # a width that was left to the samples is in it
        warm = _keep_warm_start(trainer, cache, copied) if copied is not None else None
        if store.writable:  # of several processes the first alone writes, and has a hierarchy to record
            store.write_record(
                replace(
                    _first_record(trainer, cache),
                    warm_start=warm,
                    own=own_names(model, loss),
                    overfit=config.overfit or None,
                )
            )
    # Ctrl-C as well: no directory is left behind that holds no run
    except BaseException:
        store.abandon()
        raise
    return trainer


def _reserve(processes: Processes, reserve: Callable[[], RunStore]) -> RunStore:
    """Let the first process take the place, and the others hear which, or why there is none."""
    store: RunStore | None = None
    outcome: Path | GocellError | None = None
    if processes.first:
        try:
            store = reserve()
            outcome = store.directory
        except GocellError as error:
            # not raised yet: the other processes wait to hear, and would wait for ever
            outcome = error
    outcome = processes.told(outcome)
    if isinstance(outcome, GocellError):
        raise outcome
    return store or RunStore(outcome, writable=False)


def _keep_warm_start(trainer: Trainer, cache: Cache, copied: Copied) -> WarmStartRecord:
    """Write what a run begins with of another one, which it needs no more: `last` has it."""
    trainer.store.write_text(TABLE, copied.table())
    trainer.save_last()
    met = met_before(Path(trainer.config.warm_start), cache, trainer.samples)
    return replace(copied.record, test_met_before=met)


def _first_record(trainer: Trainer, cache: Cache) -> RunRecord:
    """Copy the hierarchy; return all that is known of a run before its first step."""
    with trainer.store.writes(trainer.store.directory):
        files = cache.copy_hierarchy(trainer.store.directory)
        split_file = keep_split(trainer.store.directory, cache, trainer.split)
        vectors = trainer.samples.vectors
        kept = keep_vectors(trainer.store.directory, vectors, cache.hierarchy) if vectors is not None else None
    hierarchy = cache.hierarchy
    return RunRecord(
        cache=os.path.abspath(cache.directory),  # noqa: PTH100 resolve() would follow links
        fingerprint=cache.manifest.fingerprint,
        phenotype=dict(trainer.rows.cache.phenotype),
        datasets=tuple(cache.manifest.datasets),
        split=split_record(cache, trainer.split),
        nan_labels=trainer.nan_labels,
        label=LabelRecord(**asdict(trainer.scale)),
        parameters=trainer.model.parameter_count(),
        layout=LayoutRecord(**asdict(trainer.layout)),
        hierarchy=HierarchyRecord(hierarchy.level_by, hierarchy.level_direction, files),
        split_file=split_file,
        gene_vectors=kept,
        strain_fitness=offered_fitness(cache.columns(), cache.provenance, hierarchy, trainer.kind),
        others=_other_phenotypes(trainer) or None,
    )


def _other_phenotypes(trainer: Trainer) -> tuple[PhenotypeRecord, ...]:
    """What is known of the phenotypes after the first, where there are any."""
    weights, found = trainer.config.weights_of(len(trainer.kinds)), list[PhenotypeRecord]()
    for kind, weight in zip(trainer.kinds[1:], weights[1:], strict=True):
        one = trainer.of_phenotype(kind)
        cache = one.rows.cache
        found.append(
            PhenotypeRecord(
                phenotype=dict(cache.phenotype),
                nan_labels=one.nan_labels,
                label=LabelRecord(**asdict(one.scale)),
                train=len(one.train_rows),
                weight=weight,
                strain_fitness=offered_fitness(cache.columns(), cache.provenance, cache.hierarchy, kind),
            )
        )
    return tuple(found)


def resume_run(
    directory: Path,
    cache: Cache | None = None,
    asked: RunConfig | None = None,
    *,
    model: MakeModel | None = None,
    loss: OwnLoss | None = None,
) -> Trainer:
    """Go on with a run from its `last`, or begin it where it was stopped before the first of them.

    `cache` is the run's own, where it is open already; `asked` its settings with another end (`going_on.py`). Raises
    UsageError where another process trains it, and for an end that cannot be.
    """
    store = RunStore(directory)
    store.require()
    before = run_config(directory)
    config = asked or before
    require_same_settings(directory, before, config)
    require_more(directory, before, config)
    require_own(directory, store.record().own, own_names(model, loss))
    processes = Processes(config.device, config.precision)
    processes.require_precision()
    store.writable = processes.first
    store.lock()
    trainer = _reopened(store, open_cache(store, cache), config, processes, model, loss)
    untrained = store.untrained()
    if not untrained:
        trainer.resume()
    if config != before:
        extension = None if untrained else trainer.extend(before)
        _keep_end(trainer, extension)
    return trainer


def _keep_end(trainer: Trainer, extension: ExtensionRecord | None) -> None:
    """Record another end of a run: its results so far are no longer its own, and go before its settings change."""
    store = trainer.store
    if not store.writable:
        return
    record = store.record()
    extensions = (*(record.extensions or ()), *([] if extension is None else [extension]))
    record = replace(record, epochs=None)
    for kind in record.kinds:
        record = record.with_phenotype(kind, results=None, voices=None, predictions=None, constant_root=None)
    store.write_record(replace(record, extensions=extensions or None))
    store.write_text(CONFIG, trainer.config.to_toml())


def own_run(
    cache: Cache, config: RunConfig, out: Path, *, model: MakeModel | None = None, loss: OwnLoss | None = None
) -> Trainer:
    """Begin a run of a network or a loss of one's own in a folder, or go on with the one that is there.

    As `gocell train CACHE --resume --out OUT` does, under torchrun too: `trainer.fit(lambda progress: None)` trains,
    and `finish_run(trainer)` measures and writes results. Settings, network and loss must be those that it began with.
    """
    if RunStore(out).exists():
        width = run_config(out).min_width
        asked = config if config.min_width else replace(config, min_width=width)
        return resume_run(out, cache, asked, model=model, loss=loss)
    return begin_run(lambda: RunStore.reserve(out), cache, config, model=model, loss=loss)


def own_names(model: MakeModel | None, loss: OwnLoss | None) -> dict[str, str] | None:
    """Return how a network and a loss of one's own are called; None where both are ours."""
    found = {"model": model, "loss": loss}
    named = {
        what: getattr(one, "__qualname__", type(one).__qualname__) for what, one in found.items() if one is not None
    }
    return named or None


def require_own(directory: Path, recorded: Mapping[str, str] | None, given: Mapping[str, str] | None) -> None:
    """Raise UsageError where a run began with another network or loss of one's own than it is opened with."""
    if (recorded or {}) != (given or {}):
        told = ", ".join(f"{what} {name}" for what, name in (recorded or {}).items())
        raise UsageError(
            f"{directory}: it was trained with {told or 'no model or loss of its own'}",
            why="a run goes on with what it began with",
            hint=f"in Python: own_run(cache, config, Path({str(directory)!r}), model=..., loss=...)",
        )


def reopen(
    store: RunStore,
    cache: Path | Cache | None = None,
    *,
    model: MakeModel | None = None,
    loss: OwnLoss | None = None,
) -> Trainer:
    """Open a run's cache and network as they were, to measure; raises SourceMissing where the cache is gone."""
    require_own(store.directory, store.record().own, own_names(model, loss))
    record_cache, config = open_cache(store, cache), run_config(store.directory)
    processes = Processes(device_to_open(config.device), config.precision)
    store.writable = store.writable and processes.first
    return _reopened(store, record_cache, config, processes, model, loss)


def _reopened(
    store: RunStore,
    cache: Cache,
    config: RunConfig,
    processes: Processes,
    model: MakeModel | None = None,
    loss: OwnLoss | None = None,
) -> Trainer:
    record = store.record()
    told = record.gene_vectors
    vectors = kept_vectors(store.directory, told, cache.hierarchy) if told is not None else None
    samples = RunSamples.of(cache, config, kept=kept_parts(store.directory, record, len(cache)), vectors=vectors)
    kinds = tuple(one.kind for one in samples.each)
    if kinds != record.kinds:
        why = f"config.toml says {', '.join(kinds)}, run.json {', '.join(record.kinds)}"
        raise DamagedCache(f"{store.directory}: its phenotypes are not those it was trained on", why=why, hint=AGAIN)
    layout = recorded_layout(record, cache)
    return Trainer(cache, config, store, processes, layout, samples, model=model, loss=loss)


def recorded_layout(record: RunRecord, cache: Cache | None = None) -> Layout:
    """Return the layout of a run; one of before it was recorded ran by height, whatever its cache's level."""
    if record.layout is not None:
        return Layout(record.layout.level_by, record.layout.width_by)
    if cache is None:
        raise SourceMissing("this run keeps no copy of its hierarchy", hint="--cache DIR, the one it was trained on")
    return Layout(BEFORE, Layout.of_cache(cache).width_by)


def load_best(trainer: Trainer) -> dict[str, Any]:
    """Put the best weights into a trainer's network, in evaluation mode; returns the checkpoint's state."""
    tensors, state = trainer.store.load("best")
    with trainer.store.naming("best"):
        require_settings(read_state(state, BestState).settings, trainer.config)
        load_weights(trainer.model, tensors, state)
    trainer.model.eval()
    return state


def open_predictor(
    directory: Path,
    cache: Path | None = None,
    hierarchy: Hierarchy | None = None,
    voice: str = DCELL,
    phenotype: str = "",
) -> Predictor:
    """Open what a run predicts with: its best weights and the hierarchy it keeps, and no sample.

    phenotype: which of several; "" is the first.

    With `cache`, or for a run of before runs kept their hierarchy, the cache that it was trained on is read instead.
    `hierarchy` is the one that it keeps, where it is read already. `voice`: the one that answers, the network where a
    run has no others.
    """
    store = RunStore(directory)
    whole = store.record()
    record, number = whole.of_phenotype(phenotype), whole.kinds.index(phenotype or whole.kind)
    if "model" in (record.own or {}):  # a loss alone leaves DCell's weights what they are
        require_own(directory, record.own, None)
    voices = _voices(store, record, number) if voice != DCELL else None
    if cache is not None or record.hierarchy is None:
        trainer = reopen(store, cache)
        load_best(trainer)
        trainer = trainer.of_phenotype(record.kind)
        return replace(predictor_of(trainer), voices=voices, voice=voice)
    config = run_config(directory)
    hierarchy = hierarchy or kept_hierarchy(directory, record.hierarchy)
    scale = LabelScale(**asdict(record.label))
    processes = Processes(device_to_open(config.device), config.precision)
    tensors, found = store.load("best")
    known = tensors.get(VECTORS)
    model = recorded_layout(record).network(
        hierarchy, config, vectors=known.double().numpy() if known is not None else None, phenotypes=len(whole.kinds)
    )
    model = model.to(processes.device, processes.dtype).eval()
    with store.naming("best"):
        state = read_state(found, BestState)
        require_settings(state.settings, config)
        require_meaning(state, scale, record.kind, number)
        load_weights(model, tensors, found)
        trained = known_genes(tensors, len(hierarchy.gene_names))
    place = number if whole.others else None
    return Predictor(model, hierarchy, scale, record.kind, trained, voices, voice, place)


def _voices(store: RunStore, record: RunRecord, number: int) -> Answering | None:
    from gocell_cli.training.runs.voices import kept_voices  # SciPy, which a network alone needs not

    return kept_voices(store, record, number)


def predictor_of(trainer: Trainer) -> Predictor:
    """A trainer's network, the best weights loaded, without its samples."""
    genes = trainer.trained_genes
    return Predictor(trainer.dcell, trainer.hierarchy, trainer.scale, trainer.kind, genes, number=trainer.number)
