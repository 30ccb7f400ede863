"""The one door to the world's files: every reader of a data set or a GO release gets its paths here.

A file of the catalog lies in the data root and is checked each time it is asked for: against its published sha256, else
against the one recorded at first use. What is missing is fetched, unless `offline`. A path of the user's own (`--raw`)
is taken as it is; `Found.own` lets a command say so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gocell_cli.errors import SourceMissing
from gocell_cli.sources.download.catalog import RemoteSource
from gocell_cli.sources.download.fetch import fetch
from gocell_cli.sources.download.transfer import Watcher


@dataclass(frozen=True)
class Found:
    """Files in the order they were asked for; `missing` names those that a folder of the user's lacks.

    `own` says that they are the user's, and that nobody has checked them.
    """

    paths: tuple[Path, ...]
    missing: tuple[str, ...] = ()
    own: bool = False


def find(
    source: RemoteSource,
    root: Path,
    names: Sequence[str] = (),
    *,
    own: Path | None = None,
    some: bool = False,
    offline: bool = False,
    watcher: Watcher | None = None,
) -> Found:
    """Return the named files of a source, by default all of them (optional ones only where they are to be had).

    `own` is the user's file, or folder, in which `some` of the files will do. Raises SourceMissing where a file is not
    to be had or not the known one, InvalidInput where the lock file is damaged.
    """
    names = tuple(names)
    # A user's file is not checked: it need not be the published one (a part of it, for example).
    if own is not None:
        return _own_files(source, names, own, some=some)
    paths = {file.path.name: file.path for file in fetch(source, root, names, offline=offline, watcher=watcher)}
    lacking = [name for name in names if name not in paths]
    if lacking:  # an optional file that the archive turned out not to hold
        raise SourceMissing(
            f"{source.name}: {' and '.join(lacking)} is not to be had",
            why=f"the archive holds no such file\n  expected at: {root / 'raw' / source.folder / lacking[0]}",
            hint=f"give {source.flag} to the command that reads it",
        )
    return Found(tuple(paths[name] for name in names or paths))


def _own_files(source: RemoteSource, names: tuple[str, ...], own: Path, *, some: bool) -> Found:
    names = names or tuple(file.name for file in source.files if not file.optional)
    if not own.is_dir():
        return Found((own,), own=True)  # where it does not exist, the reader says so
    found = {name: _in_folder(own, name, alone=len(names) == 1) for name in names}
    missing = tuple(name for name, path in found.items() if path is None)
    if missing and (not some or len(missing) == len(names)):
        raise SourceMissing(
            f"{own}: {' and '.join(missing)} of {source.name} not there",
            why=f"looked for {', '.join(names)}, plain or .gz",
            hint=f"--raw FILE, the table itself, or --raw DIR, the folder that holds it; or gocell fetch {source.name}",
        )
    return Found(tuple(path for path in found.values() if path is not None), missing, own=True)


def _in_folder(folder: Path, name: str, *, alone: bool) -> Path | None:
    """A file by its name, gzipped, or with a publisher's prefix (`aaz5667-Table-S1.xlsx`).

    Where one file alone is wanted, the only one of its kind will do: Data S1 travels under several names.
    """
    # Plain before gzipped before prefixed; sorted, as glob's order is the file system's.
    named = [folder / name, folder / f"{name}.gz", *sorted(folder.glob(f"*-{name}"))]
    found = next((path for path in named if path.is_file()), None)
    if found is None and alone:
        others = sorted(folder.glob(f"*{Path(name).suffix}*"))
        # One of several would be a guess.
        found = others[0] if len(others) == 1 else None
    return found
