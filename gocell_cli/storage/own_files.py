"""What proves that a folder is ours, and how it is removed: the one way by which gocell deletes folders.

A cache is ours where its manifest, or the manifest's sha256, says so and nothing lies in it but what a cache is made
of; `X.partial` where it holds the lock of a build and nothing but what builds make. Whoever puts a file of their own
into such a folder keeps it: the folder is refused, with the file's name.
"""

import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from gocell_cli.errors import UsageError
from gocell_cli.storage.manifest import MOST_MANIFEST
from gocell_cli.storage.records import DESCRIPTIONS, MANIFEST, PART_MANIFEST
from gocell_cli.storage.tables import ALL_SCHEMAS
from gocell_cli.typed_file import Malformed, read_small
from gocell_cli.user_text import holds
from gocell_cli.whole_file import TEMPORARY

LOCK, PLAN = "lock", "plan.json"
# write_whole's temporary names, too
_DESCRIPTIONS = "|".join(
    rf"{re.escape(name)}|\.{re.escape(Path(name).stem)}{TEMPORARY}{re.escape(Path(name).suffix)}"
    for name in DESCRIPTIONS
)
_CACHE = (
    rf"(manifest|part)\.(json|sha256)|\.(manifest|part){TEMPORARY}\.(json|sha256)|{_DESCRIPTIONS}"
    rf"|({'|'.join(ALL_SCHEMAS)})\.parquet({TEMPORARY})?"
    rf"|samples/part-\d{{5,}}\.(parquet|lmdb)({TEMPORARY})?"
)
CACHE_FILE = re.compile(_CACHE)
_RECORD = rf"(part-\d{{5,}}|\.part-\d{{5,}}{TEMPORARY})\.json"
RECORD_FILE = re.compile(_RECORD)
PARTIAL_FILE = re.compile(rf"{LOCK}|plan\.json|\.plan{TEMPORARY}\.json|records/({_RECORD})|(cache|replaced)/({_CACHE})")
_CACHE_FOLDERS = ("hierarchy", "provenance", "samples")
CACHE_FOLDER = re.compile("|".join(_CACHE_FOLDERS))
PARTIAL_FOLDER = re.compile(rf"records|(cache|replaced)(/({'|'.join(_CACHE_FOLDERS)}))?")
SHA256_FILE = re.compile(rb"[0-9a-f]{64}\n?")


def require_cache(place: Path) -> None:
    """Raise UsageError unless the folder is a cache, or a part of one, and holds nothing that is not of it.

    A damaged one is still ours: it is what `--overwrite` mends.
    """
    if place.is_symlink() or not place.is_dir() or not _is_marked(place):
        raise UsageError(
            f"{place} is no cache, so it is not replaced", hint="choose another --out, or remove it yourself"
        )
    strange = _strange(place, CACHE_FILE, CACHE_FOLDER)
    if strange:
        hint = "move them elsewhere, or choose another --out"
        raise UsageError(f"{place} holds what no cache does, so it is not replaced", why=holds(strange), hint=hint)


def require_partial(directory: Path) -> None:
    """Raise UsageError unless `X.partial` is what a build left, or an empty folder, and holds nothing else."""
    strange = _strange_partial(directory)
    if strange:
        hint = "move them elsewhere, or choose another --out"
        why = holds(strange)
        raise UsageError(f"{directory} is not what a build left, so it is neither used nor removed", why=why, hint=hint)


def _strange_partial(directory: Path) -> list[str]:
    if directory.is_symlink() or not directory.is_dir():
        return ["a link or a file"]
    strange = _strange(directory, PARTIAL_FILE, PARTIAL_FOLDER)
    if strange or _has_lock(directory):
        return strange
    # looked at after the lock: a build makes its lock before all else and removes it after all else, so where it was
    # just being removed no file is left
    return sorted(name for name, entry in _entries(directory) if not entry.is_dir())


def _has_lock(directory: Path) -> bool:
    """Whether the lock of a build, an empty file, is there, held or not."""
    try:
        found = (directory / LOCK).lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISREG(found.st_mode) and not found.st_size


def remove_cache(directory: Path) -> None:
    """Remove a folder that `require_cache` let pass; raises OSError, the folder kept, where anything else came in."""
    _remove(directory, CACHE_FILE, CACHE_FOLDER)
    directory.rmdir()


def remove_partial_folder(directory: Path) -> None:
    """Remove a folder that `require_partial` let pass; raises OSError as `remove_cache` does.

    The lock goes last of all files: until then nobody else can hold the folder, and who opens the lock from then on
    finds that it is no longer the folder's.
    """
    _remove(directory, PARTIAL_FILE, PARTIAL_FOLDER)
    (directory / LOCK).unlink(missing_ok=True)
    directory.rmdir()


def remove_records(directory: Path) -> None:
    """Remove a build's records; raises OSError, and keeps the folder, where anything else is in it."""
    _remove(directory, RECORD_FILE, RECORD_FILE)
    directory.rmdir()


def remove_strays(cache: Path, listed: set[str]) -> None:
    """Remove what killed workers left in a cache in the making: files with names of a cache's that it does not list."""
    for name, entry in list(_entries(cache)):
        if name not in listed and CACHE_FILE.fullmatch(name) and not entry.is_dir(follow_symlinks=False):
            Path(entry).unlink()


def _remove(directory: Path, files: re.Pattern[str], folders: re.Pattern[str]) -> None:
    """Remove by name what is ours, and each folder once it is empty: nothing that came in meanwhile is ever removed."""
    found = list(_entries(directory))
    for name, entry in found:
        if name != LOCK and files.fullmatch(name) and not entry.is_dir(follow_symlinks=False):
            Path(entry).unlink(missing_ok=True)
    for name, entry in reversed(found):  # a folder comes before what is in it
        if folders.fullmatch(name) and entry.is_dir(follow_symlinks=False):
            Path(entry).rmdir()


def _is_marked(place: Path) -> bool:
    for name in (MANIFEST, PART_MANIFEST):
        path = place / name
        try:
            # of a manifest that is damaged, the hash beside it still tells
            if SHA256_FILE.fullmatch(read_small(path.with_suffix(".sha256"), len("\n") + 64)):
                return True
        except (OSError, Malformed):
            pass
        try:
            told = json.loads(read_small(path, MOST_MANIFEST))
        except (OSError, ValueError, RecursionError):  # Malformed is a ValueError
            continue
        if isinstance(told, dict) and {"format_version", "fingerprint"} <= told.keys():
            return True
    return False


def _strange(directory: Path, files: re.Pattern[str], folders: re.Pattern[str]) -> list[str]:
    return sorted(
        name + ("/" if entry.is_dir() else "")
        for name, entry in _entries(directory)
        if not (folders if entry.is_dir(follow_symlinks=False) else files).fullmatch(name)
        or (entry.is_symlink() and entry.is_dir())
    )


def _entries(directory: Path, prefix: str = "") -> Iterator[tuple[str, "os.DirEntry[str]"]]:
    """Everything in a folder by its relative name, a folder before what is in it; no link is followed."""
    try:
        with os.scandir(directory) as found:
            entries = list(found)
    except FileNotFoundError:  # a folder that another process has just removed
        return
    for entry in entries:
        yield prefix + entry.name, entry
        if entry.is_dir(follow_symlinks=False):
            yield from _entries(Path(entry), f"{prefix}{entry.name}/")
