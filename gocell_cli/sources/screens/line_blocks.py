"""A text file of any size as blocks of whole lines, plain or gzipped, hashed on the way."""

import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from gocell_cli.errors import InvalidInput, SourceMissing
from gocell_cli.sources.text_file import GZIP_MAGIC

BLOCK_BYTES = 8 << 20


@dataclass(frozen=True)
class LineBlock:
    """Whole lines, the last one without its line end; `first_line` is the number of the first, 1-based."""

    first_line: int
    data: bytes

    @property
    def lines(self) -> int:
        """Number of lines."""
        return self.data.count(b"\n") + 1


class LineBlocks:
    """The lines of a file, in blocks of about `block_bytes`; blank lines at its end are left out.

    `sha256` is the file's, as it lies on the disk, once all blocks are read.
    """

    def __init__(self, path: Path, block_bytes: int = BLOCK_BYTES) -> None:
        self.path = path
        self.block_bytes = block_bytes
        self.sha256 = ""

    def __iter__(self) -> Iterator[LineBlock]:
        """Yield the blocks.

        Raises SourceMissing where there is no such file, InvalidInput where the gzip stream is damaged or a
        line is longer than a block.
        """
        line, rest = 1, b""
        for read in self._reads():
            data = rest + read
            whole = data[: data.rfind(b"\n") + 1].rstrip(b"\r\n")
            if whole:
                block = LineBlock(line, whole)
                yield block
                line += block.lines
                data = data[data.index(b"\n", len(whole)) + 1 :]  # blank lines go to the next block, if there is one
            elif len(data) > 2 * self.block_bytes:
                raise InvalidInput.at(self.path, line, f"no line ends within {self.block_bytes:,} bytes")
            rest = data
        if last := rest.rstrip(b"\r\n"):
            yield LineBlock(line, last)

    def _reads(self) -> Iterator[bytes]:
        if not self.path.is_file():
            why = "it is a directory" if self.path.is_dir() else "no such file"
            raise SourceMissing(f"{self.path}: cannot be read", why=why, hint="check the path")
        with self.path.open("rb", buffering=0) as file:
            hashed = _HashedReader(file)
            plain = io.BufferedReader(hashed, self.block_bytes)
            zipped = plain.peek(len(GZIP_MAGIC)).startswith(GZIP_MAGIC)
            stream = gzip.GzipFile(fileobj=plain) if zipped else plain
            try:
                while read := stream.read(self.block_bytes):
                    yield read
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                reason = f"damaged gzip stream ({error})"
                raise InvalidInput.at(self.path, None, reason, hint="download the file again") from error
        self.sha256 = hashed.digest.hexdigest()


class _HashedReader(io.RawIOBase):
    """Passes a file's bytes on and hashes them."""

    def __init__(self, file: BinaryIO | io.FileIO) -> None:
        self.file = file
        self.digest = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # what io calls a buffer
        count = self.file.readinto(buffer) or 0  # type: ignore[union-attr]
        self.digest.update(memoryview(buffer)[:count])
        return count
