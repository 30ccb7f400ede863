"""Is a file that came the kind of file that was asked for, is it whole, and which version does it say it is?

A server may answer 200 with a page that says "log in", or send less than there is: the sha256 tells where it is
published; OBO and GAF files, whose sha256 is not, are read to their end by the readers that will read them again.
"""

import gzip
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from gocell_cli.errors import InvalidInput
from gocell_cli.sources.download.catalog import is_release
from gocell_cli.sources.text_file import GZIP_MAGIC, ZIP_DAMAGE, read_bytes

HTML = re.compile(rb"\s*(<!doctype html|<html|<head|<body)", re.IGNORECASE)
# With hyphens as OBO's data-version has it, or without.
DATE = re.compile(r"(?<!\d)(\d{4})-?(\d\d)-?(\d\d)(?!\d)", re.ASCII)
GAF_DATE = re.compile(r"!\s*(?:date-generated|generated|date):\s*(.+)", re.IGNORECASE)
OBO_VERSION = re.compile(rb"^data-version:(.*)$", re.MULTILINE)
LAST_STANZA = re.compile(rb"^\[(\w*)\]", re.MULTILINE)
TYPEDEF = b"Typedef"
TABLE_SUFFIXES = (".tsv", ".txt", ".csv")
CHUNK = 1 << 20


class ContentError(Exception):
    """The file is not what was asked for; the text says what it is."""


def check_content(path: Path, name: str) -> str | None:
    """Check a file that came under `name` (archive, OBO, GAF); return the version it states, if any.

    Raises ContentError.
    """
    head = _head(path)
    if HTML.match(head):  # before all else: a login page answers 200 under any name
        raise ContentError("the server sent an HTML page (a login or an error?), not the file")
    if not head:
        raise ContentError("the server sent an empty file")
    if name.endswith(".zip") and not zipfile.is_zipfile(path):
        raise ContentError("the server sent something that is not a zip file, or not a whole one")
    try:
        if name.endswith(".obo"):
            return _obo_version(path)
        if name.endswith(".gaf.gz"):
            return _gaf_version(path, gzipped=head.startswith(GZIP_MAGIC))
    except InvalidInput as error:
        raise ContentError(f"the server sent no whole {name}: {error.message.replace(str(path), name)}") from error
    return None


def is_gzipped(path: Path) -> bool:
    """Return whether a file's first bytes are gzip's."""
    return _head(path).startswith(GZIP_MAGIC)


def _head(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(1024)  # enough for the tags that HTML begins with, and for gzip's magic


def version_date(version: str | None) -> str | None:
    """Return the date YYYY-MM-DD that a version names: of `releases/2025-03-16` or `20240529`, for example.

    None where it names none, or one that is no release's: the folders of releases are called by it.
    """
    match = DATE.search(version or "")
    day = "-".join(match.groups()) if match is not None else ""
    return day if is_release(day) else None


def _obo_version(path: Path) -> str | None:
    """Return `data-version`; the last stanzas of a whole GO file define relations ([Typedef])."""
    # Here and not above: of all who fetch, only those of an ontology need networkx.
    from gocell_cli.sources.go.obo import read_obo

    data = path.read_bytes()  # as it is: packed twice, it is no OBO file
    if not data.lstrip().startswith(b"format-version:"):
        first = data.lstrip()[:40].partition(b"\n")[0].decode(errors="replace")
        raise ContentError(f"the server sent something that is no OBO file; it begins with {first!r}")
    # The end is the proof that the file is whole: the last stanza is a [Typedef], and its last line ends.
    stanzas = LAST_STANZA.findall(data)
    if not stanzas or stanzas[-1] != TYPEDEF or not data.endswith(b"\n"):
        raise ContentError("the server sent a part of an OBO file: its end is missing")
    if not any(term.startswith("GO:") for term in read_obo(path).ids):
        raise ContentError("the server sent an ontology without a term of GO")
    header = data[: data.find(b"\n[")]
    version = OBO_VERSION.search(header)
    return version[1].decode().strip() if version is not None else None


def _gaf_version(path: Path, *, gzipped: bool) -> str | None:
    """Return the date of the first header line that states one."""
    from gocell_cli.sources.go.gaf import parse_gaf
    from gocell_cli.sources.go.tab_columns import header_of

    if not gzipped:
        raise ContentError("the server sent something that is not gzipped")
    data = read_bytes(path)
    comments, row = header_of(data)
    if len(row) <= 1 or not comments or not comments[0].startswith("!gaf-version:"):
        first = data[:40].partition(b"\n")[0].decode(errors="replace")
        raise ContentError(f"the server sent something that is no GAF; it begins with {first!r}")
    parse_gaf(data, path)
    return next((match[1].strip() for comment in comments if (match := GAF_DATE.match(comment))), None)


class ArchiveError(Exception):
    """The archive is damaged or lacks a member; the text says which."""


def gunzip(packed: Path, target: Path, most: int) -> None:
    """Unpack a gzip file of at most `most` bytes; raises ArchiveError, and leaves nothing, where it is none."""
    try:
        with gzip.open(packed) as source, target.open("wb") as stream:
            _copy(source, stream, target.name, most, "gzip stream")
    # BaseException: an interrupt, too, leaves no half-unpacked file.
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def unpack(archive: Path, wanted: Mapping[str, int], optional: Sequence[str], into: Path) -> dict[str, Path]:
    """Unpack the members of these names, and of so many bytes at most, to `into/.NAME.tmp`; return the path of each.

    A member may lie in any folder and carry a prefix that ends with `-`. Where one table alone is wanted, it
    may have another name: its sha256 identifies it. Raises ArchiveError, and leaves nothing, where a
    member that is not optional is missing or damaged.
    """
    found: dict[str, Path] = {}
    try:
        with _members(archive) as content:
            for name, most in wanted.items():
                member = _find(content, name, alone=len(wanted) == 1)
                if member is not None:
                    found[name] = into / f".{name}.tmp"
                    _unpack_one(content, member, found[name], most)
                elif name not in optional:
                    raise ArchiveError(f"the archive holds no {name}, but {_listing(content)}")
    except BaseException:
        for path in found.values():
            path.unlink(missing_ok=True)
        raise
    return found


def _members(archive: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(archive)
    except ZIP_DAMAGE as error:
        raise ArchiveError(f"the server sent a damaged archive: {error}") from error


def _unpack_one(content: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, most: int) -> None:
    if member.file_size > most:  # told before a byte of it is written
        told = f"{PurePosixPath(member.filename).name} would unpack to {member.file_size:,} bytes"
        raise ArchiveError(f"{told}, where {most:,} is the most that it may have")
    try:
        source = content.open(member)
    except ZIP_DAMAGE as error:
        raise ArchiveError(f"the server sent a damaged archive: {error}") from error
    with source, path.open("wb") as target:
        _copy(source, target, path.name, most, "archive")


def _copy(source: Any, target: Any, name: str, most: int, kind: str) -> None:
    """Copy to the end; raises ArchiveError for damage and past `most` bytes, whatever is said of the size elsewhere."""
    left = most
    while True:
        try:
            chunk = source.read(CHUNK)
        except ZIP_DAMAGE as error:  # of reading alone: an OSError of writing is the disk's
            raise ArchiveError(f"the server sent a damaged {kind}: {error}") from error
        if not chunk:
            return
        left -= len(chunk)
        if left < 0:
            raise ArchiveError(f"{name} unpacks to more than {most:,} bytes, the most that it may have")
        target.write(chunk)


def _find(content: zipfile.ZipFile, name: str, *, alone: bool) -> zipfile.ZipInfo | None:
    # __MACOSX holds, for each member packed on a Mac, another of the same name that is not its content.
    members = [m for m in content.infolist() if not m.is_dir() and "__MACOSX" not in PurePosixPath(m.filename).parts]
    base = {m: PurePosixPath(m.filename.replace("\\", "/")).name for m in members}
    # From the surest to the loosest: its own name, with a publisher's prefix, the only table there is.
    for fits in (
        [m for m in members if base[m] == name],
        [m for m in members if base[m].endswith(f"-{name}")],
        [m for m in members if alone and base[m].lower().endswith(TABLE_SUFFIXES)],
    ):
        if fits:
            return max(fits, key=lambda m: m.file_size)  # of several tables, the others are notes and previews
    return None


def _listing(content: zipfile.ZipFile) -> str:
    names = content.namelist()
    shown = ", ".join(repr(name) for name in names[:5]) or "nothing"
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown
