"""The ontology and annotation files that `--obo`, `--gaf` and `--release` choose."""

from pathlib import Path

from gocell_cli.commands.shell.data_root import data_root
from gocell_cli.commands.shell.progress import download_progress
from gocell_cli.errors import UsageError


def go_files(
    obo: Path | None,
    gaf: Path | None,
    release: str | None,
    root: Path | None,
    *,
    offline: bool,
    annotations: bool = True,
) -> tuple[Path | None, Path | None]:
    """Return the OBO and GAF files to read, None for the bundled ones; a release is fetched where it is missing.

    Raises UsageError where a release and a file are named, SourceMissing where the release is not to be had.
    """
    if release is None:
        return obo, gaf
    if obo is not None or gaf is not None:
        raise UsageError("--release stands for --obo and --gaf", hint="leave out --release, or --obo and --gaf")
    from gocell_cli.sources.download.catalog import ANNOTATIONS, GO, of_release
    from gocell_cli.sources.download.find import find

    chosen = (GO, ANNOTATIONS) if annotations else (GO,)
    found: list[Path | None] = []
    for source in chosen:
        with download_progress() as watcher:
            files = find(of_release(source, release), data_root(root), offline=offline, watcher=watcher)
            found += files.paths
    return found[0], found[1] if annotations else None
