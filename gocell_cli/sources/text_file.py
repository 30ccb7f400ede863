"""Text files of any compression, encoding and line ends, opened so that damage becomes one clear error.

What a file is, its first bytes say, never its name: gzip (of one member or many), bzip2, xz, zip of exactly one
file, or plain; UTF-8 with or without a byte order mark, UTF-16 with one; lines that end in LF, CR LF, or CR alone.
All of it comes out as bytes of UTF-8 (or of what else a table is written in) with LF or CR LF, so that the number of
a line is the same to every reader.
"""

import bz2
import codecs
import gzip
import hashlib
import io
import lzma
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import cast

from gocell_cli.errors import InvalidInput, SourceMissing
from gocell_cli.free_memory import require_memory

GZIP_MAGIC, ZIP_MAGIC, XZ_MAGIC, ZSTD_MAGIC = b"\x1f\x8b", b"PK\x03\x04", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"
BZIP2_MAGIC = re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)")
"""Longer than bzip2's own magic, `BZh`, with which a text may begin: its first block's too, or its end's."""
MAGIC_BYTES = 10
TAR_MAGIC, TAR_MAGIC_AT = b"ustar", 257
ENCRYPTED = 1
"""Bit of a zip member's flags."""
UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
CHUNK_BYTES = 4 << 20
"""Bytes unpacked at once: a file that unpacks into far more than memory stops at its first few."""
MOST_TIMES, LEAST_BOMB = 200, 128 << 20
"""A file that unpacks to more than 128 MiB and 200 times its size is no text: OBO and GAF shrink 6 to 20 times."""
MOST_BYTES = 1 << 30
"""What is read into memory whole: GO has 36 MB, annotations of man 150 MB, and the largest ontologies some 700 MB."""
PIECE = 16 << 20
"""Letters split into lines at once: a text of line ends alone would become 8 bytes of list for each."""
MOST_NAMED = 80
"""Letters of a name in an archive that are told."""
FIRST_LINE_BYTES = 1 << 20
"""Bytes within which a file's first line feed stands, where it has one."""
DAMAGE = (EOFError, OSError, zlib.error, lzma.LZMAError)
"""What unpacking a damaged stream raises."""
# Of encrypted archives RuntimeError, of methods it does not know NotImplementedError, of sizes and offsets that lie
# struct.error, ValueError and OverflowError.
ZIP_DAMAGE = (
    *(*DAMAGE, zipfile.BadZipFile),
    *(RuntimeError, NotImplementedError, struct.error, ValueError, OverflowError),
)
"""What zipfile raises of archives that are damaged, encrypted or oddly packed."""
AGAIN = "download the file again"


def read_bytes(path: Path, most: int = MOST_BYTES) -> bytes:
    """Return a text file's bytes, unpacked: those of UTF-8 where a byte order mark says UTF-16, else as they are.

    Without byte order mark; lines end in LF or CR LF. Raises SourceMissing where there is no such file,
    InvalidInput where its stream is damaged, holds several files, or unpacks to what cannot be text or to more than
    `most` bytes; TooLarge where memory is short.
    """
    with io.BufferedReader(open_input(path)) as file:
        size = os.fstat(file.fileno()).st_size
        require_memory(min(2 * size, most), f"{path}: reading {size:,} bytes")
        chunks: list[bytes] = []
        length = 0
        for chunk in text_chunks(cast("io.BufferedReader", file), path):
            length += len(chunk)
            if length > most:
                raise InvalidInput.at(path, None, f"more than {most:,} bytes of text, the most that is read at once")
            chunks.append(chunk)
        return b"".join(chunks)


def open_input(path: Path) -> io.FileIO:
    """Open a regular file that is not empty, to be read; unbuffered.

    Raises SourceMissing where there is none that may be read, InvalidInput for one that is empty or no file: a FIFO
    waits for ever, a device has no end, and what the kernel makes up as it is read (/proc/kmsg, which waits too) says
    that it is empty.
    """
    try:
        # O_NONBLOCK: else a FIFO is waited for here already; a regular file knows no difference.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL in it
        hint = "standard input is not read: save it to a file first" if str(path) == "-" else "check the path"
        raise SourceMissing.of(path, error, hint=hint) from error
    found = os.fstat(descriptor)
    if stat.S_ISREG(found.st_mode) and found.st_size:
        return io.FileIO(descriptor)
    os.close(descriptor)
    if stat.S_ISDIR(found.st_mode):
        raise SourceMissing(f"{path}: cannot be read", why="it is a directory", hint="check the path")
    if stat.S_ISREG(found.st_mode):
        raise InvalidInput.at(path, None, "the file is empty", hint="was it the right one, or cut on its way?")
    raise InvalidInput.at(path, None, "not a regular file", hint="save what it holds to a file, and name that")


def require_file(path: Path) -> None:
    """Raise as `open_input` does where there is no such file."""
    open_input(path).close()


def lines_of(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines of a text, without their LF, and their numbers from 1."""
    # Not splitlines(), which also splits at form feeds and U+2028 and would miscount the lines of an editor.
    number, begin = 1, 0
    while begin >= 0:
        end = text.find("\n", begin + PIECE)
        piece = text[begin : end if end >= 0 else len(text)].split("\n")
        yield from enumerate(piece, number)
        number += len(piece)
        begin = end + 1 if end >= 0 else -1


def text_chunks(file: io.BufferedReader, path: Path, size: int = CHUNK_BYTES) -> Iterator[bytes]:
    """Yield what `read_bytes` returns, in chunks of about `size` bytes; `file` is read to its end."""
    stream, kind = _unpacker(file, path)
    return _with_line_feeds(_in_utf8(_unpacked(stream, kind, path, size), path))


def decode(data: bytes, path: Path, encoding: str = "utf-8") -> str:
    """Return the text, without a byte order mark; raises InvalidInput with the line of the first wrong byte."""
    try:
        return data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        hint = "save it as UTF-8, if it is the right file"
        raise InvalidInput.at(path, line, f"not {encoding} text ({error.reason})", hint=hint) from error


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _unpacker(file: io.BufferedReader, path: Path) -> tuple[io.BufferedIOBase, str]:
    """Return the unpacked stream and the name of its compression, "" where there is none."""
    head = file.peek(MAGIC_BYTES)[:MAGIC_BYTES]
    if head.startswith(GZIP_MAGIC):
        return gzip.GzipFile(fileobj=file), "gzip"
    if head.startswith(XZ_MAGIC):
        return lzma.LZMAFile(file), "xz"
    if BZIP2_MAGIC.match(head):
        return bz2.BZ2File(file), "bzip2"
    if head.startswith(ZSTD_MAGIC):
        raise InvalidInput.at(path, None, "compressed with zstd, which is not read here", hint=f"zstd -d {path}")
    if head.startswith(ZIP_MAGIC):
        # A zip is read from its end, where its table of contents is; `file` is read on for whoever hashes it.
        while file.read(CHUNK_BYTES):
            pass
        return _only_member(path), "zip"
    return file, ""


def _only_member(path: Path) -> io.BufferedIOBase:
    try:
        with zipfile.ZipFile(path) as archive:
            # What macOS adds for itself counts for nothing.
            members = [m for m in archive.infolist() if not m.is_dir() and not m.filename.startswith("__MACOSX/")]
            if len(members) == 1 and not members[0].flag_bits & ENCRYPTED:
                return cast("io.BufferedIOBase", archive.open(members[0]))
    except ZIP_DAMAGE as error:
        raise InvalidInput.at(path, None, f"damaged zip stream ({error})", hint=AGAIN) from error
    names = ", ".join(m.filename[:MOST_NAMED] for m in members[:5]) or "none at all"
    several = f"a zip of {len(members)} files where one is read: {names}"
    reason = "a zip with a password" if len(members) == 1 else several
    raise InvalidInput.at(path, None, reason, hint=f"unzip {path}, and name the file meant")


def _unpacked(stream: io.BufferedIOBase, kind: str, path: Path, size: int) -> Iterator[bytes]:
    most = max(MOST_TIMES * path.stat().st_size, LEAST_BOMB)
    damage = ZIP_DAMAGE if kind == "zip" else DAMAGE
    length = 0
    try:
        while chunk := stream.read(size):
            if not length and (found := _no_text(chunk, kind)):
                raise InvalidInput.at(path, None, found, hint=f"unpack {path}, and name the text file in it")
            length += len(chunk)
            if kind and length > most:
                reason = f"it unpacks to more than {most:,} bytes, which no text of its size does"
                raise InvalidInput.at(path, None, reason, hint=AGAIN)
            yield chunk
    except damage as error:
        # What is not packed only the disk can fail at, which is no fault of the file.
        if not kind:
            raise
        raise InvalidInput.at(path, None, f"damaged {kind} stream ({error})", hint=AGAIN) from error
    finally:
        if kind == "zip":  # which has the file open once more
            stream.close()


def _no_text(head: bytes, kind: str) -> str:
    """Say what a stream that begins so is where it is no text, "" where it may be."""
    if head[TAR_MAGIC_AT:].startswith(TAR_MAGIC):
        return "a tar archive, not a text file"
    packed = head.startswith((GZIP_MAGIC, XZ_MAGIC, ZIP_MAGIC)) or BZIP2_MAGIC.match(head)
    return f"packed twice: what its {kind} stream holds is packed again" if kind and packed else ""


def _in_utf8(chunks: Iterator[bytes], path: Path) -> Iterator[bytes]:
    """Take the byte order mark off, and UTF-16 to UTF-8 where it says so."""
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= len(codecs.BOM_UTF8):
            break
    encoding = UTF16.get(head[:2])
    if encoding is None:
        yield head.removeprefix(codecs.BOM_UTF8)
        yield from chunks
        return
    decoder = codecs.getincrementaldecoder(encoding)()
    lines = 1
    try:
        for chunk in chain((head[2:],), chunks):
            text = decoder.decode(chunk)
            lines += max(text.count("\n"), text.count("\r"))
            yield text.encode()
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        # What of the chunk came before the fault has lines too.
        lines += max(error.object[: error.start].decode(encoding).count(end) for end in "\n\r")
        raise InvalidInput.at(path, lines, f"not {encoding} text ({error.reason})", hint=AGAIN) from error


def _with_line_feeds(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Put LF for CR where the lines end in CR alone, as old Macs and their exports of tables wrote them."""
    head = b""
    for chunk in chunks:
        head += chunk
        if b"\n" in head or len(head) >= FIRST_LINE_BYTES:
            break
    alone = b"\r" in head and b"\n" not in head
    for chunk in chain((head,), chunks):
        yield chunk.replace(b"\r", b"\n") if alone else chunk
