"""`gocell report`: a cache or a run as one self-contained HTML page."""

from pathlib import Path
from typing import Annotated

import typer

from gocell_cli.commands.shell import options as opt
from gocell_cli.commands.shell.completion import complete_cache, complete_run
from gocell_cli.commands.shell.places import Force, data_root, find_cache, named, require_place
from gocell_cli.commands.shell.terminal import show, show_result
from gocell_cli.errors import SourceMissing
from gocell_cli.series_record import require_one_run
from gocell_cli.whole_file import write_whole


def _complete(incomplete: str) -> list[tuple[str, str]]:
    return [*complete_cache(incomplete), *complete_run(incomplete)]


Target = Annotated[
    Path | None,
    typer.Argument(help="Cache or run; default: the cache that ROOT/latest names.", autocompletion=_complete),
]
PageOut = Annotated[Path, typer.Option("--out", "-o", help="File to write: .html.")]


def report(
    target: Target = None,
    out: PageOut = Path("report.html"),
    root: opt.Root = None,
    overwrite: Force = False,
    json: opt.Json = False,
) -> None:
    """Write a report of a cache or a run: one HTML page with tables and figures, which needs no other file.

    Of a cache: samples, the funnel from raw GO to the hierarchy, levels, provenance; of a run: results beside
    baselines, learning, settings, then its cache.
    """
    require_place(out, (".html",), overwrite=overwrite)
    if target is not None:
        target = named(named(target, data_root(root) / "caches"), data_root(root) / "runs")
    if target is not None and not target.is_dir():
        raise SourceMissing(f"{target}: no such cache or run", hint="gocell cache ls; runs lie under ROOT/runs")
    from gocell_cli.figures.cache_page import cache_page
    from gocell_cli.figures.page import render
    from gocell_cli.figures.run_page import is_run, run_page
    from gocell_cli.storage.reader import Cache

    if target is not None:
        require_one_run(target)
    run = target is not None and is_run(target)
    page = run_page(target) if run and target is not None else cache_page(Cache(find_cache(target, data_root(root))))
    write_whole(out, render(page))
    sections = [section.title for section in page.sections]
    document = {"out": str(out), "kind": "run" if run else "cache", "title": page.title, "sections": sections}
    show_result(document, lambda: show(str(out)), json=json, essence=str(out))
