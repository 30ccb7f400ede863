"""`gocell build-cache`: from ontology and deletion data to a level-annotated, sharded cache."""

import math
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gocell_cli.commands.build.build_progress import (
    ONTOLOGY,
    PLANNING,
    READING,
    WRITING,
    BuildProgress,
    build_progress,
)
from gocell_cli.commands.build.dataset_choice import DatasetChoice
from gocell_cli.commands.build.hierarchy_choice import HierarchyChoice
from gocell_cli.commands.build.own_table_file import tell_split, with_table, write_rejected
from gocell_cli.commands.build.part_files import part_folder
from gocell_cli.commands.shell import options as opt
from gocell_cli.commands.shell.build_file import chosen_options, write_build_file
from gocell_cli.commands.shell.command_line import as_typed, expand
from gocell_cli.commands.shell.options import Backend, Executor, LevelBy, Unannotated
from gocell_cli.commands.shell.places import data_root, default_out, remember_latest, require_place
from gocell_cli.commands.shell.terminal import joined_names, line, make_table, note, show, show_result, styled
from gocell_cli.errors import InvalidInput, UsageError
from gocell_cli.whole_file import require_folder

PATIENCE_VARIABLE = "GOCELL_WORKER_TIMEOUT"
ADDRESS = re.compile(r"([a-z]+://)?.+:\d+|[a-z]+://.+")
"""Of a dask scheduler; whether one answers there is asked once all is read."""

if TYPE_CHECKING:
    from gocell_cli.building.build import BuildMode, BuildResult
    from gocell_cli.building.plan import BuildOptions, BuildPlan
    from gocell_cli.controls import Control
    from gocell_cli.domain.genotype import Dataset
    from gocell_cli.domain.simulation import Simulation
    from gocell_cli.sources.go.releases import Release
    from gocell_cli.sources.screens.kept_pieces import ReadAhead, Sampled


@dataclass(frozen=True)
class CacheForm:
    """What a cache is made like, beyond what it is made of."""

    level_by: opt.LevelByOption = LevelBy.STRATUM
    control: opt.ControlOption = None
    control_seed: opt.ControlSeed = None
    unannotated: opt.UnannotatedOption = Unannotated.KEEP
    backend: opt.BackendOption = Backend.PARQUET
    shard_size: opt.ShardSize = 100_000

    def check(self) -> None:
        """Raise UsageError for a seed of nothing."""
        if self.control is None and self.control_seed is not None:
            raise UsageError("--control-seed needs --control", hint="--control genes|edges|dag")

    @property
    def drawn(self) -> "Control | None":
        """The control of the hierarchy that is asked for."""
        from gocell_cli.controls import Control

        return Control(self.control.value, self.control_seed or 0) if self.control is not None else None

    def label(self, dataset: str) -> str:
        """Return what the cache is called by: a control's name says that it is one."""
        drawn = self.drawn
        return dataset if drawn is None else f"{dataset}-control-{drawn.kind}-{drawn.seed}"

    def options(self, data: DatasetChoice, terms: HierarchyChoice) -> dict[str, Any]:
        """Return the options of a build file: what it depends on is told even where it is the default."""
        told = {name: getattr(self, name) for name in ("level_by", "unannotated", "backend", "shard_size")}
        return chosen_options(data, terms, self, **told)


@expand
def build_cache(
    terms: HierarchyChoice,
    data: DatasetChoice,
    form: CacheForm,
    table: opt.TableArgument = None,
    root: opt.Root = None,
    out: opt.Out = None,
    overwrite: opt.Overwrite = False,
    offline: opt.Offline = False,
    resume: opt.Resume = False,
    dry_run: opt.DryRun = False,
    part: opt.Part = None,
    workers: opt.Workers = 1,
    executor: opt.ExecutorOption = Executor.LOCAL,
    scheduler: opt.Scheduler = None,
    config: opt.ConfigFile = None,  # noqa: ARG001 its callback has made it the defaults
    fingerprint: opt.Fingerprint = None,
    state: opt.StateFile = None,
    verbose: opt.Verbose = False,
    json: opt.Json = False,
) -> None:
    """Build a cache: filter the ontology, verify its levels, merge genotypes, write shards.

    Nothing is written unless the levels hold (exit code 3 otherwise). The finished cache's path is kept in
    ROOT/latest, its options beside it in CACHE.toml. Building the same thing again says 'up to date'; --resume
    continues after an interruption.
    """
    started = time.perf_counter()
    chosen_root = data_root(root)
    mode = _mode(overwrite, resume, part, executor, workers, scheduler)
    _require_places(out if out is not None else chosen_root / "caches" / "new", state, dry_run=dry_run)
    data = with_table(data, table, chosen_root, dry_run=dry_run)
    with build_progress(None if dry_run else state, verbose=verbose) as progress:
        reading = _reading(chosen_root, mode, progress, dry_run=dry_run)
        plan = _plan(data, terms, form, chosen_root, progress, offline=offline, reading=reading)
        _expect(plan, fingerprint)
        target = out if out is not None else _target(chosen_root, form.label(data.label), plan)
        if overwrite:
            tell_replaced(target)
        if reading.sampled is not None:
            _dry_run(plan, target, mode, time.perf_counter() - started, reading.sampled, json=json)
            return
        result = _build(plan, target, mode, progress)
    if fingerprint is None or chosen_root.is_dir():  # a rebuild elsewhere makes no data root
        remember_built(chosen_root, result.directory, latest=mode.part is None)
    _leave_beside(result.directory, plan, form.options(data, terms), reading)
    summary = _summary(result, plan, time.perf_counter() - started)
    show_result(summary, lambda: _print(summary, result, plan), json=json, essence=summary["cache"])


def _require_places(out: Path, state: Path | None, *, dry_run: bool) -> None:
    """Raise, before anything is read, where the cache or the file that tells of it cannot be written."""
    if not dry_run:
        require_folder(out.parent)
    if state is not None:
        require_place(state, (".json",), overwrite=True, option="--state")


def _target(root: Path, label: str, plan: "BuildPlan") -> Path:
    return default_out(root, label, "+".join(phenotype.kind for phenotype in plan.phenotypes), plan.fingerprint)


def _leave_beside(cache: Path, plan: "BuildPlan", options: dict[str, Any], reading: "ReadAhead") -> None:
    """Write beside a cache, or a part of one, what it was built with, and what of the table it does not hold."""
    write_build_file(cache, options, plan.fingerprint)
    _tell_rejected(cache, plan)
    if reading.shared is not None:  # a part
        reading.shared.done()
    else:
        tell_split(cache, plan.datasets)


def _tell_rejected(cache: Path, plan: "BuildPlan") -> None:
    """Write the rows of a lab's table that were not taken beside the cache, and say where."""
    file = write_rejected(cache, plan.rejected)
    if file is not None:
        note(
            f"{file}: the {plan.rejected.number:,} rows that were not taken, with line, reason and names that come near"
        )


def remember_built(root: Path, cache: Path, *, latest: bool = True) -> None:
    """Make a cache the latest of a data root, and one that lies outside it known there; a part is never the latest."""
    from gocell_cli.storage.elsewhere import remember

    if latest:
        remember_latest(root, cache)
    remember(root, cache)


def tell_replaced(target: Path) -> None:
    """Say on stderr which cache `--overwrite` is going to replace, where one stands there."""
    from gocell_cli.storage.overview import what_stands
    from gocell_cli.storage.staging import is_taken

    if is_taken(target):
        note(f"{target}: {what_stands(target)}", "to be replaced")


def _expect(plan: "BuildPlan", fingerprint: str | None) -> None:
    """Raise InvalidInput where the plan is not that of the fingerprint that is expected."""
    if fingerprint is None or plan.fingerprint.startswith(fingerprint):
        return
    raise InvalidInput(
        f"this would build {plan.fingerprint[:8]}, not {fingerprint[:8]}",
        why="an option, a source file or gocell's version is another",
        hint="gocell cache info shows how a cache was configured; leave out --fingerprint to build it nevertheless",
    )


def _mode(
    overwrite: bool, resume: bool, part: str | None, executor: Executor, workers: int, scheduler: str | None
) -> "BuildMode":
    from gocell_cli.building.build import BuildMode
    from gocell_cli.building.tasks import ExecutorChoice

    if scheduler is not None and executor is not Executor.DASK:
        raise UsageError("--scheduler needs --executor dask", hint="--executor dask --scheduler ADDRESS")
    if scheduler is not None and not ADDRESS.fullmatch(scheduler):
        why, hint = "an address is HOST:PORT, or PROTOCOL://...", "--scheduler tcp://127.0.0.1:8786"
        raise UsageError(f"--scheduler {scheduler}: no address of a dask scheduler", why=why, hint=hint)
    chosen = ExecutorChoice(executor.value, workers, scheduler, say=note, patience=_patience())
    return BuildMode(overwrite, resume, opt.part_of(part), chosen, as_typed("--resume"))


def _patience() -> float:
    """Return how many seconds a dask cluster may be without a worker; raises InvalidInput for what is no time."""
    from gocell_cli.building.tasks import WORKER_SECONDS

    text = os.environ.get(PATIENCE_VARIABLE) or str(WORKER_SECONDS)
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise InvalidInput(f"{PATIENCE_VARIABLE}={text}: no number of seconds", hint=f"export {PATIENCE_VARIABLE}=300")
    return seconds


def _build(plan: "BuildPlan", target: Path, mode: "BuildMode", progress: BuildProgress) -> "BuildResult":
    from gocell_cli.building.build import build

    if mode.part is not None:
        target = part_folder(target, mode.part)
    progress.begin(WRITING, target)
    try:
        result = build(plan, target, mode, progress.write)
    except SystemExit:  # by a signal
        note(mode.command, "resume with")
        raise
    return result


def _reading(root: Path, mode: "BuildMode", progress: BuildProgress, *, dry_run: bool) -> "ReadAhead":
    """How a long table is read: a part together with the others, by the data root; for a forecast its beginning."""
    from gocell_cli.sources.screens.kept_pieces import ReadAhead, Sampled
    from gocell_cli.sources.screens.shared_pieces import SharedReading

    workers = mode.executor.workers
    if dry_run:
        return ReadAhead(workers, sampled=Sampled())
    return ReadAhead(workers, progress.read, SharedReading(root, mode.part) if mode.part is not None else None)


def _plan(
    data: DatasetChoice,
    terms: HierarchyChoice,
    form: CacheForm,
    root: Path,
    progress: BuildProgress,
    *,
    offline: bool,
    reading: "ReadAhead",
) -> "BuildPlan":
    from gocell_cli.building.plan import plan_build

    data.check()
    terms.check()
    form.check()
    progress.begin(ONTOLOGY)
    release = terms.fetched(root, offline=offline).load()
    options = _options(data, terms, form, release)
    data.require_genes(release)

    def read() -> "Dataset | Simulation":
        progress.begin(READING)
        found = data.read(data.table(release.genes), root, offline=offline, reading=reading)
        progress.begin(PLANNING)
        return found

    plan = plan_build(
        release.ontology,
        release.annotations,
        release.genes,
        read(),  # not kept here: it may be large
        options,
        release.sha256,
    )
    for text in plan.notes:
        note(text)
    for counts in plan.counts["names"]:
        note(joined_names(counts), "names")
    for warning in plan.warnings:
        note(warning, "warning")
    return plan


def _options(data: DatasetChoice, terms: HierarchyChoice, form: CacheForm, release: "Release") -> "BuildOptions":
    from gocell_cli.building.plan import BuildOptions
    from gocell_cli.storage.records import BACKENDS

    return BuildOptions(
        rules=terms.rules(release.genes),
        level_by=form.level_by.value,
        control=form.drawn,
        backends=BACKENDS if form.backend is Backend.BOTH else (form.backend.value,),
        shard_size=form.shard_size,
        keep_unannotated=form.unannotated is Unannotated.KEEP,
        until=terms.until,
        duplicates=data.duplicates.value,
        channels=data.channels(),
    )


def _summary(result: "BuildResult", plan: "BuildPlan", seconds: float) -> dict[str, Any]:
    manifest, hierarchy = result.manifest, plan.hierarchy
    return {
        "cache": str(result.directory),
        "status": "built" if result.built else "up to date",
        "dataset": plan.dataset,
        "phenotype": plan.phenotype.kind,
        **({"phenotypes": dict(plan.counts["phenotypes"])} if "phenotypes" in plan.counts else {}),
        "samples": manifest.samples,
        "shards": len(manifest.shards),
        "shards_reused": result.reused,
        "terms": len(hierarchy.term_ids),
        "genes": len(hierarchy.gene_names),
        "edges": len(hierarchy.edge_child),
        "rows": hierarchy.rows,
        **({"control": plan.config["control"]} if "control" in plan.config else {}),
        "levels": {"by": manifest.level_by, "counts": list(manifest.level_counts)},
        "rows_read": manifest.counts["rows_read"],
        "dropped": dict(manifest.counts["dropped"]),
        "rows_with_unannotated_gene": manifest.counts["rows_with_unannotated_gene"],
        "fingerprint": manifest.fingerprint,
        "seconds": round(seconds, 3),
    }


def _print(summary: dict[str, Any], result: "BuildResult", plan: "BuildPlan") -> None:
    verb = "built" if result.built else "up to date:"
    show(line(styled("bold green", verb), f" {summary['cache']}"), "")
    show(make_table("Samples", ["", "rows"], _sample_rows(summary, plan), right=(1,)), "")
    counts = plan.counts
    funnel = [[f"terms: {step}", f"{n:,}"] for step, n in counts["terms_after"].items()]
    funnel += [[f"annotation rows dropped: {r}", f"{n:,}"] for r, n in counts["annotations"]["dropped"].items()]
    funnel.append(["genes of ND alone, without annotation", f"{counts['annotations']['nd_only_genes']:,}"])
    funnel += [[f"ontology: {what}", f"{n:,}"] for what, n in counts["ontology"]["dropped"].items() if n]
    funnel += [
        ["edges (child, parent)", f"{summary['edges']:,}"],
        ["mutant_state rows (term, gene)", f"{summary['rows']:,}"],
        ["genes", f"{summary['genes']:,}"],
    ]
    title = f"Hierarchy, preset {plan.options.rules.preset}{_control_text(plan.config)}"
    show(make_table(title, ["", "count"], funnel, right=(1,)), "")
    levels = summary["levels"]
    show(f"levels by {levels['by']} hold on every edge; terms a level: {' '.join(map(str, levels['counts']))}")
    backends = " and ".join(plan.options.backends)
    shards = "1 shard" if summary["shards"] == 1 else f"{summary['shards']:,} shards"
    show(f"{shards} ({backends}), fingerprint {summary['fingerprint'][:8]}, {summary['seconds']} s")


def _control_text(config: Mapping[str, Any]) -> str:
    return "; a control: {kind} drawn by seed {seed}".format(**config["control"]) if "control" in config else ""


def _sample_rows(summary: dict[str, Any], plan: "BuildPlan") -> list[list[str]]:
    kept = "kept" if plan.options.keep_unannotated else "dropped"
    return [
        [f"{summary['dataset']} rows read", f"{summary['rows_read']:,}"],
        *([f"dropped: {reason}", f"{n:,}"] for reason, n in summary["dropped"].items()),
        [f"samples ({', '.join(summary.get('phenotypes', [summary['phenotype']]))})", f"{summary['samples']:,}"],
        *([f"samples with {kind}", f"{n:,}"] for kind, n in summary.get("phenotypes", {}).items()),
        [f"rows with a gene without annotation ({kept})", f"{summary['rows_with_unannotated_gene']:,}"],
    ]


def _dry_run(
    plan: "BuildPlan", target: Path, mode: "BuildMode", seconds: float, sampled: "Sampled", *, json: bool
) -> None:
    """Print what the plan would build; raises what the build would raise of what stands at its place."""
    from gocell_cli.building.forecast import dry_run

    reading = seconds + sampled.seconds_more / mode.executor.workers
    found = dry_run(plan, target, mode, reading, sampled.share)
    forecast = found["forecast"]
    if forecast["bytes"] > forecast["free_bytes"]:
        free, wanted = forecast["free_bytes"], forecast["bytes"]
        note(f"{target.parent} has {free:,} bytes free, the cache would take {wanted:,}", "warning")
    show_result(found, lambda: _print_dry_run(found), json=json, essence=str(target))


def _print_dry_run(document: dict[str, Any]) -> None:
    forecast = document["forecast"]
    seconds = forecast["reading_seconds"] + forecast["writing_seconds"]
    rows = [
        [f"samples ({document['dataset']}, {document['phenotype']})", f"{document['samples']:,}"],
        *([f"dropped: {reason}", f"{n:,}"] for reason, n in document["dropped"].items()),
        ["shards", f"{document['shards']:,}"],
        ["terms", f"{document['terms']:,}"],
        ["mutant_state rows", f"{document['rows']:,}"],
        ["bytes, forecast", f"{forecast['bytes']:,}"],
        ["bytes free", f"{forecast['free_bytes']:,}"],
        ["bytes of memory, forecast", f"{forecast['memory_bytes']:,}"],
        ["seconds, forecast", f"{seconds:,.1f}"],
    ]
    show(f"would {document['would']} {document['cache']}", "", make_table("", ["", ""], rows, right=(1,)), "")
    if forecast["read_share"] < 1:
        show(f"from the first {forecast['read_share']:.1%} of the table: samples are at most so many, before merging")
    share = f"measured on {forecast['measured_samples']:,} of {document['samples']:,} samples"
    show(f"{share}; {forecast['reading_seconds']:,.1f} s of it are reading. Nothing was written.")
