"""Text files, plain or gzipped, opened so that damage becomes one clear error."""

import gzip
import hashlib
import zlib
from pathlib import Path

from gocell_cli.errors import InvalidInput, SourceMissing

GZIP_MAGIC = b"\x1f\x8b"


def read_bytes(path: Path) -> bytes:
    """Return a file's bytes, gunzipped where it is gzip.

    Raises SourceMissing where there is no such file, InvalidInput where the gzip stream is damaged.
    """
    if not path.is_file():
        why = "it is a directory" if path.is_dir() else "no such file"
        raise SourceMissing(f"{path}: cannot be read", why=why, hint="check the path")
    data = path.read_bytes()
    if not data.startswith(GZIP_MAGIC):
        return data
    try:
        return gzip.decompress(data)
    except (EOFError, OSError, zlib.error) as error:
        raise InvalidInput.at(path, None, f"damaged gzip stream ({error})", hint="download the file again") from error


def decode(data: bytes, path: Path, encoding: str = "utf-8") -> str:
    """Return the text, without a byte order mark; raises InvalidInput with the line of the first wrong byte."""
    try:
        return data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InvalidInput.at(path, line, f"not {encoding} text ({error.reason})") from error


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
