"""Names of the user's as file names, and as text that no terminal obeys."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gocell_cli.user_text import cell, from_cell, one_line, printable, slug


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tau", "tau"),
        ("kuzmin2018+costanzo2016", "kuzmin2018+costanzo2016"),
        ("growth rate [1/h]", "growth-rate-1-h"),
        ("../../evil", "evil"),
        ("..", "unnamed"),
        ("", "unnamed"),
        ("///", "unnamed"),
        (".hidden", "hidden"),
        ("-rf", "rf"),
        ("con", "con_"),
        ("NUL.txt", "NUL.txt_"),
        ("Wachstum (größer)", "Wachstum-größer"),
        ("生存率", "生存率"),
        ("ﬁtness", "fitness"),
        ("a\0b\nc\x1b[31m", "a-b-c-31m"),
    ],
)
def test_slugs(name: str, expected: str) -> None:
    assert slug(name) == expected


@given(st.text())
@example("x" * 300)
@example("生" * 300)
@example("..." + "é" * 49 + "." * 9)
def test_a_slug_is_one_part_of_any_path(name: str) -> None:
    found = slug(name)
    assert Path(found).parts == (found,)
    assert found not in (".", "..")
    assert found[0] not in ".-"
    assert len(found.encode()) <= 101
    assert found.isprintable()
    assert slug(found) == found


@given(st.text())
def test_what_is_printable_stays_and_no_control_character_is_left(text: str) -> None:
    shown = printable(text)
    assert not [c for c in shown if unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t"]
    if text.isprintable():
        assert shown == text


def test_control_characters_are_spelled_out() -> None:
    assert printable("a\x1b[31mb\x9bc\rd\u202ee\udcff") == "a\\x1b[31mb\\x9bc\\rd\\u202ee\\udcff"


@pytest.mark.parametrize("mark", list("\u200e\u200f\u061c\u202a\u2066\ufeff\u200b\U000e0041\ufff9"))
def test_marks_that_turn_the_direction_or_hide_are_spelled_out(mark: str) -> None:
    assert printable(f"a{mark}b").isascii()
    assert printable("\u200c \u200d \U0001f469\u200d\U0001f52c") == "\u200c \u200d \U0001f469\u200d\U0001f52c"


def test_one_line_has_no_line_break() -> None:
    assert one_line("a\nerror: b\tc\r\x1b") == "a\\nerror: b\\tc\\r\\x1b"


@given(st.text())
@example("=1+1")
@example("'=1")
@example("''-A")
def test_a_cell_is_no_formula_and_reads_back(text: str) -> None:
    assert from_cell(cell(text)) == text
    assert not cell(text).startswith(("=", "+", "-", "@", "\t", "\r"))


def test_what_is_no_formula_stays_as_it_is() -> None:
    assert [cell(t) for t in ("YAL001C", "a=b", "5-FU", "")] == ["YAL001C", "a=b", "5-FU", ""]
    assert cell("=HYPERLINK(1)") == "'=HYPERLINK(1)"
    assert from_cell("'abc") == "'abc"  # nothing of ours
