"""`gocell fetch`: ontologies, annotations and tables into the data root."""

from pathlib import Path
from typing import TYPE_CHECKING

from gocell_cli.commands.shell import options as opt
from gocell_cli.commands.shell.command_line import as_typed
from gocell_cli.commands.shell.places import data_root
from gocell_cli.commands.shell.progress import download_progress
from gocell_cli.commands.shell.terminal import make_table, note, show, show_json, show_result
from gocell_cli.errors import UsageError

if TYPE_CHECKING:
    from gocell_cli.sources.download.catalog import RemoteSource
    from gocell_cli.sources.download.fetch import FetchedFile


def fetch(
    sources: opt.FetchSources = None,
    release: opt.FetchRelease = None,
    root: opt.Root = None,
    offline: opt.Offline = False,
    mirror: opt.Mirror = None,
    accept_changed: opt.AcceptChanged = False,
    json: opt.Json = False,
) -> None:
    """Fetch ontologies, annotations and data sets into ROOT/raw, or list what there is.

    What is there is checked, not fetched again: against its published sha256, else against the one that
    ROOT/sources.lock.json recorded at first use. A cut download is resumed, by the next call if need be.
    Ontologies and annotations are read to their end before they get their names.
    GOCELL_TIMEOUT (seconds, default 60) is the longest silence of a server, and the time within which 1,000 bytes a
    second have to come; GOCELL_MIRROR names a base URL; HTTP_PROXY, HTTPS_PROXY and NO_PROXY are honoured.
    Exit code 6: a file is not to be had, or not the known one; 2 and 5: the data root cannot be written, or not now.
    """
    chosen_root = data_root(root)
    if not sources:
        if release is not None or offline or accept_changed:
            raise UsageError("nothing to fetch was named", hint="gocell fetch go annotations")
        _list(chosen_root, mirror, json=json)
        return
    files: list[FetchedFile] = []
    for source in _chosen([name.value for name in sources], release):
        files += _fetch(source, chosen_root, mirror, offline=offline, accept_changed=accept_changed)
    document = {"root": str(chosen_root), "files": [{**vars(f), "path": str(f.path)} for f in files]}
    rows = [[f.status, str(f.path), f"{f.bytes:,}", f.version or "", f.sha256[:12]] for f in files]
    table = make_table("", ["", "file", "bytes", "version", "sha256"], rows, right=(2,))
    show_result(document, lambda: show(table), json=json, essence="\n".join(str(f.path) for f in files))


def _chosen(names: list[str], release: str | None) -> "list[RemoteSource]":
    from gocell_cli.sources.download.catalog import SOURCES, of_release

    chosen = [SOURCES[name] for name in dict.fromkeys(names)]
    dated = [source for source in chosen if source.release is not None]
    if release is not None and not dated:
        raise UsageError("--release is for go and annotations", hint=f"gocell fetch go --release {release}")
    return [of_release(source, release) if source in dated else source for source in chosen]


def _fetch(
    source: "RemoteSource", root: Path, mirror: str | None, *, offline: bool, accept_changed: bool
) -> "list[FetchedFile]":
    from gocell_cli.sources.download import fetch as download

    try:
        with download_progress() as watcher:
            return download.fetch(
                source, root, offline=offline, accept_changed=accept_changed, mirror=mirror, watcher=watcher
            )
    except SystemExit:  # by a signal
        note(as_typed(), "resume with")  # what is whole is checked, what is cut goes on
        raise


def _list(root: Path, mirror: str | None, *, json: bool) -> None:
    from gocell_cli.sources.download.catalog import SOURCES
    from gocell_cli.sources.download.status import fetch_status

    files = fetch_status(root, mirror)
    if json:
        show_json({"root": str(root), "files": [f.document() for f in files]})
        return
    rows = [
        [
            f.source,
            f"{Path(f.path).relative_to(root / 'raw' / f.source)}{' (optional)' if f.optional else ''}",
            f.status,
            "" if f.bytes is None else f"{f.bytes:,}",
            f.version or "",
            (f.sha256 or f.expected_sha256 or "")[:12],
        ]
        for f in files
    ]
    columns = ["source", "file", "status", "bytes", "version", "sha256"]
    show(make_table(f"Under {root / 'raw'}", columns, rows, right=(3,)), "")
    abouts = [[name, source.about, url] for name, source in SOURCES.items() for url in [_url(source, mirror)]]
    show(make_table("gocell fetch SOURCE...", ["source", "what", "from"], abouts))


def _url(source: "RemoteSource", mirror: str | None) -> str:
    from gocell_cli.sources.download.fetch import source_url

    return source_url(source, mirror)
