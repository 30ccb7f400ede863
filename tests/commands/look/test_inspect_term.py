"""`gocell inspect term`: the toy by hand, the bundled ontology, and what a cache did with each term."""

from pathlib import Path

import pytest

from gocell_cli.storage.reader import Cache
from tests import toy
from tests.commands.conftest import Built
from tests.commands.runners import document, failure, invoke


@pytest.fixture
def toy_words(tmp_path: Path) -> list[object]:
    """Options that name the toy's files, and a data root without any cache."""
    files = ["--obo", toy.write_obo(tmp_path), "--gaf", toy.write_gaf(tmp_path), "--gene-id", "systematic"]
    return [*files, "--min-genes", 3, "--root", tmp_path / "root"]


@pytest.mark.parametrize("number", list(toy.TERMS))
def test_the_toys_terms_are_as_found_by_hand(number: int, toy_words: list[object]) -> None:
    found = document("inspect", "term", toy.term_id(number), *toy_words)
    levels = {"level": toy.LEVEL, "depth": toy.DEPTH, "stratum": toy.STRATUM, "height": toy.HEIGHT}
    assert {by: found[by] for by in levels} == {by: table[number] for by, table in levels.items()}
    assert (found["name"], found["namespace"]) == (toy.TERMS[number], "toy")
    assert {t["term"] for t in found["parents"]} == {toy.term_id(p) for c, p in toy.EDGES if c == number}
    assert {t["term"] for t in found["children"]} == {toy.term_id(c) for c, p in toy.EDGES if p == number}
    assert [g["gene"] for g in found["direct_genes"]] == [toy.GENES[g] for g in toy.DIRECT.get(number, ())]
    assert [g["standard"] for g in found["contained_genes"]] == [toy.STANDARD[g] for g in toy.CONTAINED[number]]
    rule, into = toy.REMOVED.get(toy.term_id(number), (None, []))
    fate = {None: "kept", "not redundant": "merged"}.get(rule, "filtered")
    assert (found["in_cache"]["fate"], found["in_cache"]["rule"]) == (fate, rule)
    assert [t["term"] for t in found["in_cache"]["into"]] == into
    assert found["in_cache"]["cache"] is None


def test_a_built_cache_agrees_on_every_kept_term(essentiality: Built) -> None:
    hierarchy = Cache(essentiality.cache).hierarchy
    index = hierarchy.term_ids.index("GO:0000932")
    found = document("inspect", "term", "cytoplasmic mRNA processing body", "--root", essentiality.root)
    fate = found["in_cache"]
    assert (fate["cache"], fate["fate"]) == (str(essentiality.cache), "kept")
    held = (hierarchy.level[index], hierarchy.direct_genes[index], hierarchy.contained_genes[index])
    assert (fate["level"], fate["direct_genes"], fate["contained_genes"]) == held
    merged = document("inspect", "term", "GO:0098745", "--root", essentiality.root)["in_cache"]
    assert (merged["fate"], merged["rule"]) == ("filtered", "at least 4 contained genes")
    assert "GO:0098745" not in hierarchy.term_ids
    assert all(t["term"] in hierarchy.term_ids for t in merged["into"])


def test_the_cache_decides_the_filters_and_options_win(essentiality: Built, toy_words: list[object]) -> None:
    words = ["inspect", "term", "GO:0000932", "--root", essentiality.root]
    other = document(*words, "--min-genes", 60)["in_cache"]
    assert (other["cache"], other["fate"], other["rule"]) == (None, "filtered", "at least 60 contained genes")
    outside = document(*words, "--namespace", "molecular_function")["in_cache"]
    assert (outside["fate"], outside["rule"]) == ("filtered", "namespace chosen")


@pytest.mark.parametrize("text", ["GO:0000932", "932", "go:932", "Cytoplasmic mRNA Processing Body"])
def test_a_term_goes_by_id_number_or_name(text: str, essentiality: Built) -> None:
    assert document("inspect", "term", text, "--root", essentiality.root)["term"] == "GO:0000932"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("cytoplasmc stress granule", "did you mean GO:0010494 (cytoplasmic stress granule)"),
        ("decapping", "GO:0000290 (deadenylation-dependent decapping of nuclear-transcribed mrna)"),
        ("GO:9999999", "ids look like GO:0000932"),
    ],
)
def test_an_unknown_term_gets_what_comes_near(text: str, hint: str, essentiality: Built) -> None:
    error = failure("inspect", "term", text, "--root", essentiality.root)
    assert "has no term" in error.message
    assert hint in error.hint
    assert error.exit_code == 2


def test_people_read_the_same(essentiality: Built) -> None:
    shown = invoke("inspect", "term", "GO:0000932", "--root", essentiality.root).stdout
    assert "level 5  depth 7  stratum 8  height 0" in shown
    assert "1 parent " in shown
    assert "1 child " in shown
    assert "kept in" in " ".join(shown.split())
