"""JSON and TOML of ours come in by one door, and what it lets out comes back as the same."""

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gocell_cli.typed_file import Malformed, json_text, parse_json, parse_toml, read_small, toml_value, typed


@dataclass(frozen=True)
class Piece:
    path: str
    bytes: int


@dataclass(frozen=True)
class Whole:
    name: str
    pieces: tuple[Piece, ...]
    share: float
    by: Mapping[str, Piece]
    note: str = ""


WHOLE = Whole("a", (Piece("x", 1),), 0.5, {"p": Piece("y", 2)})
GOOD = json.dumps(asdict(WHOLE)).encode()


def test_a_document_comes_in_as_its_type() -> None:
    assert parse_json(GOOD, Whole) == WHOLE
    assert parse_json(b'{"a": [1, 2]}', object) == {"a": [1, 2]}
    assert typed(asdict(WHOLE), Whole) == WHOLE


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (GOOD.replace(b'"bytes": 1', b'"bytes": true'), "pieces.0.bytes: Input should be a valid integer"),
        (GOOD.replace(b'"bytes": 1', b'"bytes": "1"'), "pieces.0.bytes: Input should be a valid integer"),
        (GOOD.replace(b'"bytes": 1', b'"bytes": 1.5'), "pieces.0.bytes"),
        (GOOD.replace(b'"bytes": 1', b'"bytes": 1, "more": 2'), "pieces.0.more: Unexpected keyword argument"),
        (GOOD.replace(b'"name": "a", ', b""), "name: Field required"),
        (GOOD.replace(b'"name": "a"', b'"name": "a", "name": "b"'), "the key 'name' stands twice"),
        (GOOD.replace(b"0.5", b"NaN"), "NaN is no number"),
        (GOOD.replace(b"0.5", b"-Infinity"), "-Infinity is no number"),
        (GOOD.replace(b"0.5", b"1e999"), "1e999 is larger"),
        (GOOD.replace(b"0.5", b"9" * 5000), "4300 digits"),
        (GOOD.replace(b'"a"', b'"\\ud800"'), "Invalid JSON"),
        (b"\xef\xbb\xbf" + GOOD, "BOM"),
        (GOOD.decode().encode("utf-16"), "can't decode"),
        (b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
        (b'{"name":' * 100_000, "nested too deeply"),
        (GOOD[:-1], "delimiter"),
        (b"", "Expecting value"),
        (b"[]", "Input should be an object"),
    ],
)
def test_what_else_comes_is_refused_in_one_line(data: bytes, reason: str) -> None:
    with pytest.raises(Malformed) as error:
        parse_json(data, Whole)
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text()


@given(st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)))
def test_json_reads_back_or_is_not_written(value: Any) -> None:
    try:
        text = json_text(value)
    except Malformed:
        finite = json.dumps(value, ensure_ascii=False)
        surrogate = any("\ud800" <= letter <= "\udfff" for letter in finite)
        assert surrogate or "NaN" in finite or "Infinity" in finite
    else:
        assert parse_json(text.encode(), object) == value


def test_a_number_that_is_none_is_named() -> None:
    with pytest.raises(Malformed, match=r"^a\.1\.loss is nan$"):
        json_text({"a": [{"loss": 1.0}, {"loss": float("nan")}]})
    with pytest.raises(Malformed, match="surrogates"):
        json_text({"a": "\udc80"})
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(Malformed, match="nested"):
        json_text(deep)


@given(st.text(st.characters(exclude_categories=["Cs"])) | st.integers(-(2**63), 2**63 - 1) | st.booleans()
       | st.floats(allow_nan=False) | st.lists(st.text(st.characters(exclude_categories=["Cs"]))))  # fmt: skip
def test_toml_reads_back_as_the_same(value: Any) -> None:
    text = f"value = {toml_value(value)}\n"
    assert tomllib.loads(text) == parse_toml(text.encode()) == {"value": value}


def test_toml_of_windows_and_toml_without_end() -> None:
    assert parse_toml(b"\xef\xbb\xbfa = 1\r\n") == {"a": 1}
    assert str(parse_toml(f"a = {toml_value(float('nan'))}".encode())["a"]) == "nan"
    for data in (b"a = " + b"[" * 100_000, b"a = \xff", b"a = 1\na = 2", b"a = 2020-99-99", b"\x00"):
        with pytest.raises(Malformed):
            parse_toml(data)


def test_only_small_regular_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_small(path, 5) == b"12345"
    with pytest.raises(Malformed, match="5 bytes, where 4"):
        read_small(path, 4)
    os.mkfifo(tmp_path / "fifo")
    for strange in (tmp_path / "fifo", Path("/dev/zero")):
        with pytest.raises(Malformed, match="regular"):
            read_small(strange, 5)
    with pytest.raises(FileNotFoundError):
        read_small(tmp_path / "none", 5)


@pytest.mark.parametrize("key", ["a" + ".a" * 100_000, '"a" . ' * 64 + "a", "[" + "a." * 9_999 + "a]"])
def test_a_key_of_many_dots_is_refused_before_it_takes_memory(key: str) -> None:
    text = key if key.startswith("[") else f"{key} = 1"
    with pytest.raises(Malformed, match="nested too deeply"):
        parse_toml(text.encode())
    assert parse_toml(b'a = "' + b"b c." * 1000 + b'"')["a"].startswith("b c.b c.")
