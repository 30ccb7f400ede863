"""Named members out of a zip archive. A member's folders are ignored, so none can be written elsewhere."""

import shutil
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

TABLE_SUFFIXES = (".tsv", ".txt", ".csv")
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, ValueError)


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
    except BaseException as error:
        for path in found.values():
            path.unlink(missing_ok=True)
        if isinstance(error, DAMAGE):
            raise ArchiveError(f"the archive is damaged: {error}") from error
        raise
    return found


def _find(content: zipfile.ZipFile, name: str, *, alone: bool) -> zipfile.ZipInfo | None:
    members = [m for m in content.infolist() if not m.is_dir() and "__MACOSX" not in PurePosixPath(m.filename).parts]
    base = {m: PurePosixPath(m.filename.replace("\\", "/")).name for m in members}
    for fits in (
        [m for m in members if base[m] == name],
        [m for m in members if base[m].endswith(f"-{name}")],
        [m for m in members if alone and base[m].lower().endswith(TABLE_SUFFIXES)],
    ):
        if fits:
            return max(fits, key=lambda m: m.file_size)
    return None


def _listing(content: zipfile.ZipFile) -> str:
    names = content.namelist()
    shown = ", ".join(repr(name) for name in names[:5]) or "nothing"
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown
