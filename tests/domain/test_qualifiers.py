"""NOT in every spelling that files have, and in none of the relations that only hold its letters."""

import pytest

from gocell_cli.domain.qualifiers import is_negated


@pytest.mark.parametrize(
    "qualifier",
    [
        "NOT",
        "not",
        "Not",
        " NOT ",
        "NOT|contributes_to",
        "NOT | involved_in",
        "not|x",
        "enables|NOT",
        "x | not",
        "NOT x",
    ],
)
def test_not_is_known_in_any_case_and_spacing(qualifier: str) -> None:
    assert is_negated(qualifier)


@pytest.mark.parametrize("qualifier", ["", "involved_in", "contributes_to|part_of", "notable", "is_not_x", "knot", "-"])
def test_other_words_are_no_not(qualifier: str) -> None:
    assert not is_negated(qualifier)
