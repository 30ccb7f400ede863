"""`gocell build-cache --dry-run`: what would be built, how big and how long, without writing it."""

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gocell_cli.commands.shell.terminal import make_table, note, show, show_result

if TYPE_CHECKING:
    from gocell_cli.building.build import BuildMode
    from gocell_cli.building.plan import BuildPlan


def dry_run(plan: "BuildPlan", target: Path, mode: "BuildMode", reading_seconds: float, *, json: bool) -> None:
    """Print what the plan would build; raises what the build would raise of what stands at its place."""
    from gocell_cli.building.build import standing
    from gocell_cli.building.forecast import forecast

    there = standing(plan, target, mode)
    processes = min(mode.executor.workers, os.cpu_count() or 1)
    found = forecast(plan, processes)
    free = shutil.disk_usage(next(p for p in target.absolute().parents if p.is_dir())).free
    document = {
        "cache": str(target),
        "status": "dry run",
        "would": "find it up to date" if there is not None else "replace" if target.exists() else "build",
        "dataset": plan.dataset,
        "phenotype": plan.phenotype.kind,
        "samples": found.samples,
        "shards": found.shards,
        "dropped": dict(plan.counts["dropped"]),
        "terms": len(plan.hierarchy.term_ids),
        "rows": plan.hierarchy.rows,
        "fingerprint": plan.fingerprint,
        "forecast": {
            "bytes": found.bytes,
            "reading_seconds": round(reading_seconds, 3),
            "writing_seconds": round(found.seconds, 3),
            "measured_samples": found.measured,
            "free_bytes": free,
        },
    }
    if found.bytes > free:
        note(f"{target.parent} has {free:,} bytes free, the cache would take {found.bytes:,}", "warning")
    show_result(document, lambda: _print(document), json=json, essence=str(target))


def _print(document: dict[str, Any]) -> None:
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
        ["seconds, forecast", f"{seconds:,.1f}"],
    ]
    show(f"would {document['would']} {document['cache']}", "", make_table("", ["", ""], rows, right=(1,)), "")
    share = f"measured on {forecast['measured_samples']:,} of {document['samples']:,} samples"
    show(f"{share}; {forecast['reading_seconds']:,.1f} s of it were reading, just now. Nothing was written.")
