"""Text in every packing, encoding and line end that the readers know."""

import bz2
import codecs
import gzip
import io
import lzma
import zipfile


def zip_of(members: dict[str, bytes]) -> bytes:
    """A zip of files by name."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return packed.getvalue()


def in_two_members(data: bytes) -> bytes:
    """Gzip of two members, as bgzip and `cat a.gz b.gz` write."""
    half = len(data) // 2
    return gzip.compress(data[:half]) + gzip.compress(data[half:])


PACKINGS = {
    "plain": bytes,
    "gzip": gzip.compress,
    "members": in_two_members,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zip": lambda data: zip_of({"__MACOSX/._only.txt": b"x", "folder/": b"", "folder/only.txt": data}),
}
"""What packs bytes."""

ENCODINGS = {
    "utf-8": lambda text: text.encode(),
    "bom": lambda text: codecs.BOM_UTF8 + text.encode(),
    "utf-16-le": lambda text: codecs.BOM_UTF16_LE + text.encode("utf-16-le"),
    "utf-16-be": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
}
"""What writes text as bytes that say what they are."""

LINE_ENDS = {"lf": "\n", "crlf": "\r\n", "cr": "\r"}
