"""Files of a source into the data root: downloaded where they are missing, and checked in either case.

A file's sha256 has to be the published one, or else the one recorded at first use (`lock`). All files of an archive
come or none does: each is checked before any gets its name, and a failure leaves nothing but a part that the next call
resumes. `GOCELL_MIRROR` names another base URL.
"""

import os
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from gocell_cli.errors import CannotWrite, SourceMissing, Unfinished
from gocell_cli.sources.download.catalog import CURRENT, GO, RemoteFile, RemoteSource, is_release
from gocell_cli.sources.download.checks import (
    ArchiveError,
    ContentError,
    check_content,
    gunzip,
    is_gzipped,
    unpack,
    version_date,
)
from gocell_cli.sources.download.exchange import TransferError
from gocell_cli.sources.download.lock import LockEntry, exclusive, new_entry, read_entries, record
from gocell_cli.sources.download.transfer import PartialFile, Silent, Watcher, transfer
from gocell_cli.sources.text_file import sha256_of
from gocell_cli.whole_file import settle, writing

MIRROR_VARIABLE = "GOCELL_MIRROR"


@dataclass(frozen=True)
class FetchedFile:
    """A file in the data root; `status` is `fetched`, `already there`, or `accepted` where it had changed."""

    path: Path
    bytes: int
    sha256: str
    version: str | None
    status: str


@dataclass(frozen=True)
class _Task:
    source: RemoteSource
    root: Path
    url: str
    accept_changed: bool
    watcher: Watcher

    @property
    def folder(self) -> Path:
        return self.root / "raw" / self.source.folder

    def key(self, file: RemoteFile) -> str:
        return f"{self.source.folder}/{file.name}"

    def part(self) -> PartialFile:
        # Beside the releases' folders, not in one: the current release's date is known only once the file has come.
        name = self.source.release or self.source.name
        return PartialFile(
            self.root / "raw" / self.source.name / f".{name}.part", self.url, dated=self.source.published
        )


def source_url(source: RemoteSource, mirror: str | None = None) -> str:
    """Return the URL of a source, on the mirror where one is named or set."""
    base = (mirror or os.environ.get(MIRROR_VARIABLE, "")).rstrip("/")
    return f"{base}/{source.mirror_path}" if base else source.url


def fetch(
    source: RemoteSource,
    root: Path,
    names: Sequence[str] = (),
    *,
    offline: bool = False,
    accept_changed: bool = False,
    mirror: str | None = None,
    watcher: Watcher | None = None,
) -> list[FetchedFile]:
    """Check the files of a source in the data root, after downloading those that are missing.

    Where all of `names` are there, only these are checked and nothing is downloaded. GO's current release is always
    asked for, and kept under the date it states. Raises SourceMissing (exit 6) where a file is not to be had or not
    the known one, InvalidInput (4) where the lock file is damaged,
    CannotWrite (2) and Unfinished (5) where the data root can't be written, or not now.
    """
    task = _Task(source, root, source_url(source, mirror), accept_changed, watcher or Silent())
    if offline and source.release == CURRENT:
        task = replace(task, source=_newest(task))
    if _is_complete(task, names):
        return _check_present(task, names)
    if offline:
        raise _missing(task, "--offline was given and the file is not in the data root")
    waiting = f"another process is fetching {source.name}; waiting for it"
    again = f"{source.command} --root {shlex.quote(str(root))}"
    try:
        with (
            writing(root / "raw", resume=again),
            exclusive(root / "raw" / f".{source.name}.lock", lambda: task.watcher.say(waiting)),
        ):
            # Asked again: the process that was waited for may have brought them.
            return _check_present(task, names) if _is_complete(task, names) else _bring(task)
    except (TransferError, ArchiveError, ContentError) as error:
        raise _missing(task, str(error)) from error


def releases_in(root: Path, source: RemoteSource) -> list[str]:
    """Return the dates of a source's releases in the data root, the newest last."""
    found = (path.parent.name for path in (root / "raw" / source.name).glob(f"*/{source.file}"))
    return sorted(name for name in found if is_release(name))  # ISO dates sort as text


def _newest(task: _Task) -> RemoteSource:
    """The newest release in the data root, where there is one."""
    found = releases_in(task.root, task.source)
    return replace(task.source, release=found[-1]) if found else task.source


def _is_complete(task: _Task, names: Sequence[str]) -> bool:
    """Whether nothing has to be downloaded: an optional file is missed only if it is named or was there once."""
    # The current release may be another one by now: only the server can tell.
    if task.source.release == CURRENT:
        return False
    if names:
        return all((task.folder / name).is_file() for name in names)
    missing = [file for file in task.source.files if not (task.folder / file.name).is_file()]
    if any(not file.optional for file in missing):
        return False
    return not missing or not {task.key(file) for file in missing} & set(read_entries(task.root))


def _check_present(task: _Task, names: Sequence[str] = ()) -> list[FetchedFile]:
    asked = [file for file in task.source.files if not names or file.name in names]
    files = [file for file in asked if (task.folder / file.name).is_file()]
    return [_check(task, file) for file in files]


def _check(task: _Task, file: RemoteFile) -> FetchedFile:
    """Check one file of the data root, and record it if this is its first use."""
    path = task.folder / file.name
    # No URL: nobody knows where a file that was put here by hand came from.
    found = new_entry(None, sha256_of(path), path.stat().st_size, None)
    entry = _require_known(task, file, found.sha256)
    if file.sha256 is None and (entry is None or entry.sha256 != found.sha256):
        # Its version is then not known, but the bytes are: they are recorded, and held to, all the same.
        with suppress(ContentError):
            found = replace(found, version=check_content(path, file.name))
        try:
            record(task.root, task.key(file), found)
        # A data root may be read-only: its files can be used all the same.
        except (CannotWrite, Unfinished) as error:
            task.watcher.say(f"{path} is not recorded: {error.why}")
    if entry is None or entry.sha256 == found.sha256:
        version = entry.version if entry is not None else found.version
        return FetchedFile(path, found.bytes, found.sha256, version, "already there")
    return FetchedFile(path, found.bytes, found.sha256, found.version, "accepted")


def _bring(task: _Task) -> list[FetchedFile]:
    """Download, unpack, check all, and only then give the files their names."""
    read_entries(task.root)  # a damaged lock file is told before anything is downloaded
    present = {f.path.name: f for f in _check_present(task)}
    part = task.part()
    transfer(task.url, part, task.source.about, task.watcher, task.source.most)
    new: dict[str, Path] = {}
    try:
        task, new, version = _unpacked(task, part, [file for file in task.source.files if file.name not in present])
        placed = _place(task, new, version)
    # What came is not what was asked for: kept, the next call would resume it.
    except (ArchiveError, ContentError, SourceMissing):
        part.discard()
        raise
    # Those that were renamed to their places are not there any more; whatever else was unpacked goes.
    finally:
        for path in new.values():
            path.unlink(missing_ok=True)
    part.discard()  # only now: an interruption before would have to download it again
    found = {**present, **placed}
    return [found[file.name] for file in task.source.files if file.name in found]


def _of_version(task: _Task, version: str | None) -> RemoteSource:
    """Return the source under the date that the file states; raises ContentError where it is another one."""
    release, stated = task.source.release, version_date(version)
    if release == CURRENT:
        if stated is None:
            raise ContentError("the file does not state its date, so --release DATE has to be given")
        return replace(task.source, release=stated)
    if task.source.name == GO.name and stated != release and not task.accept_changed:
        raise ContentError(f"the file states data-version {version}, not {release}; --accept-changed takes it")
    return task.source


def _unpacked(task: _Task, part: PartialFile, wanted: list[RemoteFile]) -> tuple[_Task, dict[str, Path], str | None]:
    """Return the task of the release that came, where each wanted file of it lies, and the version it states."""
    if not task.source.zipped:
        return _single(task, part, wanted[0] if wanted else task.source.files[0])
    version = check_content(part.path, task.source.mirror_path)
    task.folder.mkdir(parents=True, exist_ok=True)
    optional = [file.name for file in wanted if file.optional]
    new = unpack(part.path, {file.name: file.most for file in wanted}, optional, task.folder)
    for name in optional:
        if name not in new:
            task.watcher.say(f"{task.source.name}: the archive holds no {name}; it is optional")
    return task, new, version


def _single(task: _Task, part: PartialFile, file: RemoteFile) -> tuple[_Task, dict[str, Path], str | None]:
    """Of a URL that is the file itself."""
    if not part.ended:
        raise ContentError(
            "the server did not say how long the file is, so that nobody can tell whether all of it came"
        )
    path = part.path
    if is_gzipped(path) and not file.name.endswith(".gz"):
        # Some servers pack what they send and do not say so. Kept as it is, its sha256 would be no other copy's.
        path = part.path.with_name(f".{file.name}.tmp")
        gunzip(part.path, path, file.most)
        task.watcher.say(f"{task.source.name}: {file.name} came gzipped, and is kept unpacked")
    try:
        version = check_content(path, file.name)
        task = replace(task, source=_of_version(task, version))
        task.folder.mkdir(parents=True, exist_ok=True)
    except BaseException:
        if path != part.path:
            path.unlink(missing_ok=True)
        raise
    return task, {file.name: path}, version


def _place(task: _Task, new: Mapping[str, Path], version: str | None) -> dict[str, FetchedFile]:
    """Check every new file, record it, and rename it to its place."""
    files = {file.name: file for file in task.source.files if file.name in new}
    sha256 = {name: sha256_of(path) for name, path in new.items()}
    # All are checked before the first gets its name: a data set is never half new and half old.
    old = {}
    for name, file in files.items():
        if (task.folder / name).is_file():  # the current release, asked for again
            old[name] = _check(task, file).sha256
        _require_known(task, file, sha256[name])
    placed = {}
    for name, file in files.items():
        path, size = task.folder / name, new[name].stat().st_size
        status = "already there" if old.get(name) == sha256[name] else "fetched"
        if status == "fetched":
            # The lock first: a kill between the two leaves an entry without its file, which the next call fetches;
            # the other way round it would leave a file that is trusted as if it had been put there by hand.
            record(task.root, task.key(file), new_entry(task.url, sha256[name], size, version))
            settle(new[name], path)
        placed[name] = FetchedFile(path, size, sha256[name], version, status)
    return placed


def _require_known(task: _Task, file: RemoteFile, found: str) -> LockEntry | None:
    """Raise SourceMissing unless the content is the published or the recorded one; return the recorded entry."""
    # Where the sha256 is published, the lock file has no say.
    if file.sha256 is not None:
        if found != file.sha256:
            again = "; remove it to fetch it again" if (task.folder / file.name).is_file() else ""
            raise _missing(task, f"{file.name} at hand has sha256 {found}, the published one {file.sha256}{again}")
        return None
    entry = read_entries(task.root).get(task.key(file))
    if entry is not None and entry.sha256 != found and not task.accept_changed:
        path = task.folder / file.name
        raise SourceMissing(
            f"{task.source.name}: {file.name} is not the file that was first used",
            why=f"its sha256 was {entry.sha256} ({entry.date}, {entry.version or 'no version stated'}), now it is"
            f" {found}\n  URL: {task.url}\n  expected at: {path}",
            hint=f"put the first one back, or take the new one: {task.source.command} --root {task.root}"
            " --accept-changed",
        )
    return entry


def _missing(task: _Task, why: str) -> SourceMissing:
    source = task.source
    names = [file.name for file in source.files if not file.optional]
    what = f"{'the table' if source.release is None else 'the file'} {names[0]} is"
    if len(names) > 1:
        what = f"the tables {', '.join(names)} are"
    places = "".join(f"\n  expected at: {task.folder / name}" for name in names)
    return SourceMissing(
        f"{source.name}: {what} not to be had",
        why=f"{why}\n  URL: {task.url}{places}",
        hint=f"put it there (`{source.command}` on a machine with a network does), or give {source.flag} to the"
        f" command that reads it; without it, this works: {source.works_without}",
    )
