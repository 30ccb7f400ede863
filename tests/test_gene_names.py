"""The one look-up of gene names, case by case and against a plain loop."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gocell_cli.errors import UsageError
from gocell_cli.gene_names import GeneNames

NAMES = GeneNames(
    ("YAL001C", "YAL002W", "YAL003W", "YAL004W", "YAL005C"),
    ("TFC3", "VPS8", "", "TWICE", "twice"),
    (("TSV115", "OLD"), ("old", "TFC3", "YAL005C"), ("", "VPS8", "alone"), ("OLD",), ("TWICE",)),
)


@pytest.mark.parametrize(
    ("name", "genes"),
    [
        ("YAL002W", (1,)),
        (" yal002w ", (1,)),
        ("YAL005C", (4,)),  # an alias of YAL002W, too
        ("tfc3", (0,)),  # an alias of YAL002W, too
        ("VPS8", (1,)),
        ("Alone", (2,)),
        ("OLD", (0, 1, 3)),
        ("twice", (3, 4)),  # two standard names; that it is an alias decides nothing
        ("TFC4", ()),
        ("", ()),
        (" ", ()),
    ],
)
def test_who_is_called_so(name: str, genes: tuple[int, ...]) -> None:
    assert NAMES.find(name) == genes


def test_a_systematic_name_as_it_is_spelt_comes_before_one_in_other_letters() -> None:
    names = GeneNames(("Abc", "abc", "Xyz"), ("", "", "Abc"), ((), (), ()))
    assert [names.find(n) for n in ("Abc", "abc", "ABC", "xyz")] == [(0,), (1,), (0, 1), (2,)]


def test_a_genotype_holds_each_gene_once() -> None:
    assert NAMES.genotype(["vps8", "YAL001C", "tsv115", " ", "TFC3"]) == (0, 1)
    assert NAMES.genotype([""]) == ()


def test_a_name_of_several_is_refused_with_all_of_them() -> None:
    with pytest.raises(UsageError, match=r"OLD is a name of 3 genes: YAL001C \(TFC3\), YAL002W \(VPS8\), ") as error:
        NAMES.genotype(["YAL003W", "OLD"])
    assert "YAL001C" in error.value.hint


def test_a_name_of_none_is_refused_with_what_comes_near() -> None:
    with pytest.raises(UsageError, match="no gene 'TFC4' in this cache's hierarchy") as error:
        NAMES.gene("TFC4")
    assert "TFC3" in error.value.hint
    with pytest.raises(UsageError, match="no gene 'brca2' in the table") as error:
        NAMES.gene("brca2", where="in the table")
    assert error.value.hint == "systematic names look like YAL005C"


letters = st.sampled_from(["", "a", "A", "b", "B", "ab"])


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcAB"), letters, st.lists(letters, max_size=3)), max_size=5), letters)
def test_as_a_loop_over_the_genes_finds_them(rows: list[tuple[str, str, list[str]]], name: str) -> None:
    genes = sorted({row[0]: row for row in rows}.values())  # systematic names are distinct
    columns = [[[g[0]] for g in genes], [[g[1]] for g in genes], [g[2] for g in genes]]
    exact = tuple(i for i, g in enumerate(genes) if g[0] == name)
    folded = [tuple(i for i, names in enumerate(c) if name and name.upper() in map(str.upper, names)) for c in columns]
    expected = next((found for found in (exact, *folded) if found), ())
    assert GeneNames(*([g[i] for g in genes] for i in range(3))).find(name) == expected
