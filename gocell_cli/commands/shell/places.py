"""Where things lie: the data root, its caches and the latest of them, the file that a command is to write.

The data root is `--root`, else `GOCELL_ROOT`, else `./gocell_data`.
"""

import os
import shlex
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from gocell_cli.errors import DamagedCache, SourceMissing, UsageError
from gocell_cli.file_record import recorded_place
from gocell_cli.storage.latest import BUILD_HINT, LATEST, latest_cache
from gocell_cli.user_text import slug
from gocell_cli.whole_file import require_writable, write_whole

ROOT_VARIABLE = "GOCELL_ROOT"
DEFAULT_ROOT = "gocell_data"
Force = Annotated[bool, typer.Option("--overwrite", help="Replace the file where it is there.")]


def data_root(root: Path | None) -> Path:
    """Return the data root in use; raises UsageError where it is a file."""
    chosen = root if root is not None else Path(os.environ.get(ROOT_VARIABLE) or DEFAULT_ROOT)
    if chosen.exists() and not chosen.is_dir():
        raise UsageError(f"{chosen}: the data root is no folder", hint="choose another --root, or set GOCELL_ROOT")
    return chosen


def default_out(root: Path, dataset: str, phenotype: str, fingerprint: str) -> Path:
    """Return where a cache goes unless `--out` says otherwise; the fingerprint keeps phenotypes of one slug apart."""
    return root / "caches" / f"{slug(dataset)}-{slug(phenotype)}-{fingerprint[:8]}"


def remember_latest(root: Path, cache: Path) -> None:
    """Write where the cache is to `<root>/latest`, from there where it lies under the root; whole or not at all."""
    root.mkdir(parents=True, exist_ok=True)
    told = recorded_place(cache, root, root)
    write_whole(root / LATEST, os.fsencode(told) + b"\n")  # the path's bytes, which need not be UTF-8


def named(place: Path, folder: Path) -> Path:
    """Return a place, or what goes by its name in a folder of the data root: a name as `cache ls` prints it.

    What stands in the working directory comes first.
    """
    short = len(place.parts) == 1 and not place.exists() and (folder / place).is_dir()
    return folder / place if short else place


def runs_named(given: Any) -> Any:
    """Typer's callback of an argument or option that takes runs: each may be a name of ROOT/runs."""
    return _all_named(given, "runs")


def caches_named(context: Any, given: Any) -> Any:
    """Typer's callback of an option that takes a cache: it may be a name of ROOT/caches.

    Where a command has --root, `find_cache` looks there instead. `context` is Typer's, which keeps a click of its own.
    """
    rooted = any(param.name == "root" for param in context.command.params)
    return given if rooted else _all_named(given, "caches")


def _all_named(given: Any, folder: str) -> Any:
    if given is None:
        return None
    where = data_root(None) / folder
    return [named(place, where) for place in given] if isinstance(given, list | tuple) else named(given, where)


def leftovers(root: Path) -> list[Path]:
    """Return the partial directories of unfinished builds under the data root."""
    from gocell_cli.storage.records import PARTIAL

    return sorted(p for p in (root / "caches").glob(f"*{PARTIAL}") if p.is_dir())


def find_cache(cache: Path | None, root: Path) -> Path:
    """Return the cache named, else the latest one; raises SourceMissing where there is none."""
    found = named(cache, root / "caches") if cache is not None else latest_cache(root)
    if not found.is_dir() and _was_begun(found):
        _give_back(found)
        if not found.is_dir():
            _refuse_unfinished(found)
    if not found.is_dir():
        source = "" if cache is not None else f" (named by {root / LATEST})"
        raise SourceMissing(f"{found}: no such cache{source}", hint=BUILD_HINT)
    return found


def _was_begun(cache: Path) -> bool:
    """Whether anything of a build of this cache lies beside it: asked first, for staging takes time to load."""
    from gocell_cli.storage.records import PARTIAL

    try:
        place = cache.resolve()
        return place.with_name(place.name + PARTIAL).is_dir()
    except (OSError, RuntimeError):  # RuntimeError until Python 3.12, for links that lead in a circle
        return False


def _give_back(cache: Path) -> None:
    """Give the place the cache that an overwrite left without one, killed between two renames (storage/staging.py)."""
    from gocell_cli.storage.staging import recover

    with suppress(UsageError, DamagedCache):  # where nothing may be written the cache is not there, and that is told
        recover(cache)


def _refuse_unfinished(cache: Path) -> None:
    """Raise DamagedCache where a build of this cache was interrupted, with the command that resumes it."""
    from gocell_cli.storage.staging import staged_plan

    plan = staged_plan(cache)
    if plan is not None:
        raise DamagedCache(
            f"{cache}: incomplete, its build was interrupted", hint=f"resume with: {_to_paste(plan.command)}"
        )


def _to_paste(command: str) -> str:
    """Return a command that a folder tells of as a shell may be given it; the folder may be anybody's."""
    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    # quoted anew: what a shell would take for a second command is a word of this one
    return shlex.join(words) if words[:1] == ["gocell"] else "the command that began it, and --resume"


def require_place(out: Path, suffixes: tuple[str, ...], *, overwrite: bool, option: str = "--out") -> None:
    """Raise UsageError, before anything is read, for another suffix, a file that is there, a folder that is not.

    Raises CannotWrite where it may not be written.
    """
    if out.is_dir():
        raise UsageError(f"{out}: is a folder", hint=f"name a file: {option} {out / f'new{suffixes[-1]}'}")
    if out.suffix not in suffixes:
        said = f"neither {' nor '.join(suffixes)}" if len(suffixes) > 1 else f"not {suffixes[0]}"
        raise UsageError(f"{out}: {said}", hint=f"{option} {out.with_suffix(suffixes[-1])}")
    if out.exists() and not overwrite:
        raise UsageError(f"{out}: is there already", hint="--overwrite")
    if not out.parent.is_dir():
        raise UsageError(f"{out.parent}: no such folder", hint=f"mkdir -p {out.parent}")
    require_writable(out)
