"""`gocell train --dry-run`: the split, the network's size, and the memory that training takes; nothing is written."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gocell_cli.commands.model.asked_samples import read_samples, require_files
from gocell_cli.commands.model.split import split_lines
from gocell_cli.commands.shell.places import find_cache
from gocell_cli.commands.shell.terminal import make_table, note, show, show_result

if TYPE_CHECKING:
    from gocell_cli.training.runs.config import RunConfig
    from gocell_cli.training.runs.series.plan import SeriesChoice


def forecast_training(
    cache: Path | None,
    out: Path | None,
    root: Path,
    config: "RunConfig",
    choice: "SeriesChoice | None",
    jobs: int,
    *,
    json: bool,
) -> None:
    """Tell what training would take; of a series its first run, and how many there are. torch is not loaded for it."""
    from gocell_cli.commands.model.refusals import before_training
    from gocell_cli.storage.reader import Cache
    from gocell_cli.training.runs.kept import split_record
    from gocell_cli.training.runs.samples import as_asked
    from gocell_cli.training.runs.series.plan import member_config, plan

    members = plan(config, choice) if choice is not None else ()
    first = member_config(config, members[0]) if members else config
    require_files(config)
    found = find_cache(cache, root)
    before_training(found, out or root / "runs", config, named=out is not None)
    opened = as_asked(Cache(found), config)
    samples = read_samples(opened, first)
    samples.check_differ()
    record = split_record(opened, samples.split)
    document = _document(opened, first, samples, asdict(record), len(members) or 1, min(jobs, len(members) or 1))
    _warn(document)
    show_result(document, lambda: _tell(document, split_lines(record)), json=json)


def _document(
    cache: Any, config: "RunConfig", samples: Any, split: dict[str, Any], runs: int, jobs: int
) -> dict[str, Any]:
    from gocell_cli.free_memory import free_memory
    from gocell_cli.training.runs.memory import network_numbers, of_run, widths

    config = config.for_samples(len(samples.rows))
    forecast = of_run(cache, config, samples)
    width = widths(cache.hierarchy, cache.manifest.config["filters"]["width_by"], config)
    memory = {name: round(size) for name, size in asdict(forecast).items()}
    return {
        "cache": str(cache.directory),
        "status": "dry run",
        "phenotype": ", ".join(one.kind for one in samples.each),
        "runs": runs,
        "jobs": jobs,
        "split": split,
        "terms": len(cache.hierarchy.term_ids),
        "neurons": round(float(width.sum())),
        "parameters": round(network_numbers(cache.hierarchy, width, config, len(samples.each))),
        "memory": {**memory, "total": round(forecast.total), "free": free_memory()},
    }


def _warn(document: dict[str, Any]) -> None:
    memory, jobs = document["memory"], document["jobs"]
    if memory["free"] is not None and jobs * memory["total"] > memory["free"]:
        needed, free = jobs * memory["total"], memory["free"]
        note(f"{free:,} bytes of memory are free, this would take {needed:,}: it would be refused", "warning")


def _tell(document: dict[str, Any], split: list[str]) -> None:
    memory = document["memory"]
    rows = [[f"bytes of memory: {name}", f"{size:,}"] for name, size in memory.items() if name != "free"]
    rows += [["bytes free", "not told" if memory["free"] is None else f"{memory['free']:,}"]]
    counts = ("terms", "neurons", "parameters")
    show(*split, "", make_table("", ["", ""], [*([n, f"{document[n]:,}"] for n in counts), *rows], right=(1,)))
    if document["runs"] > 1:
        show(f"{document['runs']} runs, {document['jobs']} at a time; the memory is that of one")
    show("Nothing was written.")
