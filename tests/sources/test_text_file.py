"""Text of any packing, encoding and line end reads as the same lines; damage is one error; memory stays bounded."""

import contextlib
import gzip
import os
import random
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gocell_cli.errors import InvalidInput, SourceMissing
from gocell_cli.sources import text_file
from gocell_cli.sources.screens.sga import LineBlocks
from gocell_cli.sources.text_file import decode, read_bytes, sha256_of
from tests.attempts import attempts
from tests.packed_files import ENCODINGS, LINE_ENDS, PACKINGS, zip_of

TEXT = "gene\tscore\nYAL001C\t-1\n\u03b1-factor\t\u2028\n"


def write(folder: Path, data: bytes) -> Path:
    path = folder / "any.name"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("end", LINE_ENDS)
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("packing", PACKINGS)
def test_every_form_of_a_text_is_the_same_lines(tmp_path: Path, packing: str, encoding: str, end: str) -> None:
    written = TEXT.replace("\n", LINE_ENDS[end])
    path = write(tmp_path, PACKINGS[packing](ENCODINGS[encoding](written)))
    data = read_bytes(path)
    assert data.decode().replace("\r\n", "\n") == TEXT
    assert (b"\r" in data) == (end == "crlf")
    blocks = LineBlocks(path, 7)
    lines = [line.rstrip(b"\r") for block in blocks for line in block.data.split(b"\n")]
    assert lines == TEXT.encode().rstrip().split(b"\n")
    assert blocks.sha256 == sha256_of(path)


@given(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=60),
    st.sampled_from(sorted(ENCODINGS)),
    st.integers(1, 9),
)
def test_any_text_comes_back_whatever_the_chunks(
    tmp_path_factory: pytest.TempPathFactory, text: str, encoding: str, size: int
) -> None:
    text = text.removeprefix("\ufeff") or "a"
    path = write(tmp_path_factory.mktemp("text"), ENCODINGS[encoding](text))
    with path.open("rb") as file:
        found = b"".join(text_file.text_chunks(file, path, size))
    assert found == read_bytes(path)
    assert found.decode() == (text if "\n" in text else text.replace("\r", "\n"))


def test_a_carriage_return_within_lines_is_no_line_end(tmp_path: Path) -> None:
    assert read_bytes(write(tmp_path, b"a\rb\nc\n")) == b"a\rb\nc\n"


@pytest.mark.parametrize("end", LINE_ENDS.values())
@pytest.mark.parametrize("packing", PACKINGS)
def test_the_line_of_what_is_not_text_is_right(tmp_path: Path, packing: str, end: str) -> None:
    path = write(tmp_path, PACKINGS[packing](f"a{end}b{end}caf".encode() + b"\xe9" + end.encode()))
    with pytest.raises(InvalidInput, match=r"any\.name:3: not utf-8 text"):
        decode(read_bytes(path), path)
    wide = f"a{end}b{end}c".encode("utf-16-le") + b"\x00\xdc" + "d".encode("utf-16-le")
    with pytest.raises(InvalidInput, match=r"any\.name:3: not utf-16-le text"):
        read_bytes(write(tmp_path, PACKINGS[packing](b"\xff\xfe" + wide)))


BROKEN = {
    "several": (zip_of({"a.obo": b"a", "b.gaf": b"b"}), "a zip of 2 files where one is read: a.obo, b.gaf"),
    "none": (zip_of({"folder/": b""}), "a zip of 0 files where one is read: none at all"),
    "twice": (gzip.compress(gzip.compress(b"x")), "packed twice: what its gzip stream holds is packed again"),
    "tar": (gzip.compress(b"\0" * 257 + b"ustar\0" + b"\0" * 249), "a tar archive"),
    "zstd": (b"\x28\xb5\x2f\xfd....", "compressed with zstd"),
    "cut gzip": (PACKINGS["gzip"](TEXT.encode())[:-6], "damaged gzip stream"),
    "cut members": (PACKINGS["members"](TEXT.encode())[:-6], "damaged gzip stream"),
    "after gzip": (gzip.compress(b"a\n") + b"garbage", "damaged gzip stream"),
    "cut bzip2": (PACKINGS["bzip2"](TEXT.encode())[:-6], "damaged bzip2 stream"),
    "cut xz": (PACKINGS["xz"](TEXT.encode())[:-6], "damaged xz stream"),
    "cut zip": (zip_of({"a": TEXT.encode()})[:-6], "damaged zip stream"),
    "wrong zip": (zip_of({"a": b"first" * 9}).replace(b"first", b"other"), ""),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_whole_text_is_one_error(tmp_path: Path, name: str) -> None:
    data, reason = BROKEN[name]
    path = write(tmp_path, data)
    if name == "wrong zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr("a", "first")
        path.write_bytes(path.read_bytes().replace(b"first", b"other"))
        reason = "damaged zip stream (Bad CRC-32"
    for read in (lambda: read_bytes(path), lambda: list(LineBlocks(path))):
        with pytest.raises(InvalidInput) as caught:
            read()
        assert caught.value.message.startswith(f"{path}: {reason}")
        assert caught.value.hint


def test_a_bomb_stops_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_file, "LEAST_BOMB", 1 << 20)
    path = write(tmp_path, gzip.compress(b"a line of no use\n" * (1 << 20)))
    monkeypatch.setattr(text_file, "MOST_TIMES", 40)
    most = max(1 << 20, 40 * path.stat().st_size)
    assert most < 16 << 20
    with path.open("rb") as file:
        chunks = text_file.text_chunks(file, path, 1 << 18)
        for _ in range(most >> 18):
            assert next(chunks)
        with pytest.raises(InvalidInput, match="unpacks to more than"):
            next(chunks)


def test_more_text_than_is_read_at_once_is_an_error(tmp_path: Path) -> None:
    for data in (TEXT.encode(), gzip.compress(TEXT.encode())):
        path = write(tmp_path, data)
        assert read_bytes(path, most=len(TEXT.encode())) == TEXT.encode()
        with pytest.raises(InvalidInput, match="more than 20 bytes of text"):
            read_bytes(path, most=20)


def test_what_is_no_regular_file_is_told_at_once(tmp_path: Path) -> None:
    """A FIFO would be waited for, a device has no end, /proc/kmsg waits for the kernel's next word."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    empty = write(tmp_path, b"")
    for path, reason in ((fifo, "not a regular file"), (Path("/dev/zero"), "not a regular file")):
        with pytest.raises(InvalidInput, match=reason):
            read_bytes(path)
        with pytest.raises(InvalidInput, match=reason):
            list(LineBlocks(path))
    for path in (empty, Path("/proc/self/status")):
        with pytest.raises(InvalidInput, match="the file is empty"):
            read_bytes(path)
    for path, why in (
        (Path("-"), "no such file"),
        (tmp_path, "a directory"),
        (tmp_path / ("x" * 300), "too long"),
        (Path("a\0b"), "null byte"),
        (fifo / "x", "Not a directory"),
    ):
        with pytest.raises(SourceMissing, match=why):
            read_bytes(path)


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=5)), st.integers(1, 9))
def test_lines_are_those_that_line_feeds_part(lines: list[str], piece: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_file, "PIECE", piece)
        assert list(text_file.lines_of("\n".join(lines))) == list(enumerate("\n".join(lines).split("\n"), 1))


@pytest.mark.parametrize("packing", [p for p in PACKINGS if p != "plain"])
def test_a_mutated_stream_is_whole_or_an_error(tmp_path: Path, packing: str) -> None:
    text = "".join(f"line {i}\tcell {i * 7}\n" for i in range(300)).encode()
    whole = PACKINGS[packing](text)
    chance = random.Random(packing)
    for _ in range(attempts(30, 2000)):
        data = bytearray(whole)
        # Not the first bytes, which say what it is: without them it is another file.
        for _ in range(chance.randint(1, 3)):
            place = chance.randrange(text_file.MAGIC_BYTES, len(data))
            if chance.random() < 0.7:
                data[place] = chance.randrange(256)
            else:
                del data[place : place + chance.randint(1, 50)]
        path = write(tmp_path, bytes(data))
        with contextlib.suppress(InvalidInput):
            assert read_bytes(path) == text
