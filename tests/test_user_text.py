"""Names of the user's as file names, and as text that no terminal obeys."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gocell_cli.user_text import printable, slug


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
