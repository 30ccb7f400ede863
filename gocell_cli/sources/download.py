"""Finding a remote table: in the data root, else by download, checked against its known sha256.

`GOCELL_MIRROR` names another base URL. One attempt, 10 s to connect, nothing left behind by a failure.
"""

import os
import shutil
import tempfile
import zipfile
import zlib
from pathlib import Path

from gocell_cli.errors import SourceMissing
from gocell_cli.sources.catalog import RemoteTable
from gocell_cli.sources.text_file import sha256_of

MIRROR_VARIABLE = "GOCELL_MIRROR"
CONNECT_SECONDS, READ_SECONDS = 10, 60
WORKS_WITHOUT = "gocell build-cache --dataset essentiality"


def table_url(table: RemoteTable) -> str:
    """Return the URL of the archive, on the mirror where one is set."""
    mirror = os.environ.get(MIRROR_VARIABLE, "").rstrip("/")
    return f"{mirror}/{table.archive}" if mirror else table.url


def find_table(table: RemoteTable, root: Path, *, offline: bool) -> Path:
    """Return the path of the table, downloading and unpacking it into `<root>/raw/<dataset>/` if need be.

    Raises SourceMissing (exit 6) where it is neither there nor to be had, or is not the known file.
    """
    target = root / "raw" / table.dataset / table.file
    if target.is_file():
        _check_hash(target, table, target)
    elif offline:
        raise _missing(table, target, "--offline was given and the file is not in the data root")
    else:
        _download(table, target)
    return target


def _download(table: RemoteTable, target: Path) -> None:
    import pooch  # brings requests along, which takes longer to import than a cache hit takes

    pooch.get_logger().setLevel("ERROR")
    downloader = pooch.HTTPDownloader(timeout=(CONNECT_SECONDS, READ_SECONDS))
    with tempfile.TemporaryDirectory(prefix="gocell-") as work:
        try:
            archive = pooch.retrieve(
                table_url(table), known_hash=None, fname=table.archive, path=work, downloader=downloader
            )
            unpacked = _unpack(Path(archive), table)
        except (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
            raise _missing(table, target, str(error)) from error
        _check_hash(unpacked, table, target)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(target.name + ".tmp")
        shutil.copyfile(unpacked, temporary)
        os.replace(temporary, target)


def _unpack(archive: Path, table: RemoteTable) -> Path:
    """Unpack the table, whatever its name in the zip: the one named as expected, else the largest text."""
    with zipfile.ZipFile(archive) as content:
        texts = [m for m in content.infolist() if m.filename.lower().endswith((".tsv", ".txt", ".csv"))]
        if not texts:
            raise zipfile.BadZipFile(f"{table.archive} holds no table")
        best = max(texts, key=lambda m: (Path(m.filename).name == table.file, m.file_size))
        unpacked = archive.with_name("unpacked")
        with content.open(best) as source, unpacked.open("wb") as target:
            shutil.copyfileobj(source, target)
    return unpacked


def _check_hash(path: Path, table: RemoteTable, target: Path) -> None:
    found = sha256_of(path)
    if found != table.sha256:
        raise _missing(table, target, f"the table at hand has sha256 {found}, the published one {table.sha256}")


def _missing(table: RemoteTable, target: Path, why: str) -> SourceMissing:
    return SourceMissing(
        f"{table.dataset}: the table {table.file} is not to be had",
        why=f"{why}\n  URL: {table_url(table)}\n  expected at: {target}",
        hint=f"put the file there, or pass --raw FILE; without it, this works: {WORKS_WITHOUT}",
    )
