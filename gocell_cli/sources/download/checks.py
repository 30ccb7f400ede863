"""Is a file that came the kind of file that was asked for, is it whole, and which version does it say it is?

A server may answer 200 with a page that says "log in", or send less than there is: the sha256 tells where
it is published; OBO and GAF files, whose sha256 is not, are looked at.
"""

import gzip
import re
import shutil
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from gocell_cli.sources.text_file import GZIP_MAGIC

HTML = re.compile(rb"\s*(<!doctype html|<html|<head|<body)", re.IGNORECASE)
# With hyphens as OBO's data-version has it, or without.
DATE = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)")
GAF_DATE = re.compile(r"!\s*(?:date-generated|generated|date):\s*(.+)", re.IGNORECASE)
TYPEDEF = "[Typedef]"
TABLE_SUFFIXES = (".tsv", ".txt", ".csv")
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, ValueError)
"""What `zipfile` raises of damaged, encrypted or oddly packed archives."""


class ContentError(Exception):
    """The file is not what was asked for; the text says what it is."""


def check_content(path: Path, name: str) -> str | None:
    """Check a file that came under `name` (archive, OBO, GAF); return the version it states, if any.

    Raises ContentError.
    """
    with path.open("rb") as stream:
        # 1 KiB: enough for the tags that HTML begins with, and for gzip's magic.
        head = stream.read(1024)
    if HTML.match(head):  # before all else: a login page answers 200 under any name
        raise ContentError("the server sent an HTML page (a login or an error?), not the file")
    if not head:
        raise ContentError("the server sent an empty file")
    if name.endswith(".zip") and not zipfile.is_zipfile(path):
        raise ContentError("the server sent something that is not a zip file, or not a whole one")
    if name.endswith(".obo"):
        return _obo_version(path)
    if name.endswith(".gaf.gz"):
        return _gaf_version(path, gzipped=head.startswith(GZIP_MAGIC))
    return None


def version_date(version: str | None) -> str | None:
    """Return the date YYYY-MM-DD that a version names: of `releases/2025-03-16` or `20240529`, for example."""
    match = DATE.search(version or "")
    return "-".join(match.groups()) if match else None


def _obo_version(path: Path) -> str | None:
    """Return `data-version`; the last stanzas of a whole GO file define relations ([Typedef])."""
    first, version, stanza, line = "", None, "", ""
    for line in _lines(path):
        first = first or line.strip()
        if line.startswith("["):
            stanza = line.strip()
        elif not stanza and line.startswith("data-version:"):
            version = line.partition(":")[2].strip()
    if not first.startswith("format-version:"):
        raise ContentError(f"the server sent something that is no OBO file; it begins with {first[:40]!r}")
    # The end is the proof that the file is whole: the last stanza is a [Typedef], and its last line ends.
    if stanza != TYPEDEF or not line.endswith("\n"):
        raise ContentError("the server sent a part of an OBO file: its end is missing")
    return version


def _gaf_version(path: Path, *, gzipped: bool) -> str | None:
    """Return the date of the first header line that states one."""
    if not gzipped:
        raise ContentError("the server sent something that is not gzipped")
    first, version, row = "", None, ""
    for line in _lines(path):
        first = first or line.strip()
        if not line.startswith("!"):
            row = line
        elif version is None and (match := GAF_DATE.match(line)):
            version = match[1].strip()
    # A GAF without a tab-separated row is a header only, or a page of text.
    if not first.startswith("!gaf-version:") or not row.count("\t"):
        raise ContentError(f"the server sent something that is no GAF; it begins with {first[:40]!r}")
    return version


def _lines(path: Path) -> Iterator[str]:
    """Yield the lines of a text file, gunzipped where it is gzip."""
    with path.open("rb") as stream:
        gzipped = stream.read(2) == GZIP_MAGIC
    try:
        with gzip.open(path, "rt", encoding="utf-8") if gzipped else path.open("rt", encoding="utf-8") as text:
            yield from text
    except (EOFError, OSError, zlib.error) as error:
        raise ContentError(f"the server sent a damaged gzip stream ({error})") from error
    except UnicodeDecodeError as error:
        raise ContentError("the server sent something that is not text") from error


class ArchiveError(Exception):
    """The archive is damaged or lacks a member; the text says which."""


def unpack(archive: Path, wanted: Sequence[str], optional: Sequence[str], into: Path) -> dict[str, Path]:
    """Unpack the members of these names to `into/.NAME.tmp`; return the path of each.

    A member may lie in any folder and carry a prefix that ends with `-`. Where one table alone is wanted, it
    may have another name: its sha256 identifies it. Raises ArchiveError, and leaves nothing, where a
    member that is not optional is missing or damaged.
    """
    found: dict[str, Path] = {}
    try:
        with zipfile.ZipFile(archive) as content:
            for name in wanted:
                member = _find(content, name, alone=len(wanted) == 1)
                if member is not None:
                    found[name] = into / f".{name}.tmp"
                    with content.open(member) as source, found[name].open("wb") as target:
                        shutil.copyfileobj(source, target, 1 << 20)
                elif name not in optional:
                    raise ArchiveError(f"the archive holds no {name}, but {_listing(content)}")
    # BaseException: an interrupt, too, leaves no half-unpacked member.
    except BaseException as error:
        for path in found.values():
            path.unlink(missing_ok=True)
        if isinstance(error, DAMAGE):
            raise ArchiveError(f"the archive is damaged: {error}") from error
        raise
    return found


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
