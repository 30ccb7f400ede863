"""The one look-up of gene names, case by case and against plain loops."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gocell_cli.errors import UsageError
from gocell_cli.gene_names import AMBIGUOUS, NO_WAY, UNKNOWN, WAYS, Found, GeneNames, NameCounts

NAMES = GeneNames(
    ("YAL001C", "YAL002W", "YAL003W", "YAL004W", "YAL005C"),
    ("TFC3", "VPS8", "", "TWICE", "twice"),
    (("TSV115", "OLD"), ("old", "TFC3", "YAL005C"), ("", "VPS8", "alone"), ("OLD",), ("TWICE",)),
    (("P1", "UniProtKB:P1"), ("P2",), (), (), ("P2",)),
)
FLY = GeneNames(("FBgn1", "FBgn2", "FBgn3", "FBgn4"), ("h", "H", "Abc", "Xyz"), (("hairy",), (), (), ("ABC", "hairy")))


@pytest.mark.parametrize(
    ("name", "genes", "way"),
    [
        ("YAL002W", (1,), "systematic"),
        (" yal002w ", (1,), "other_case"),
        ("YAL005C", (4,), "systematic"),  # an alias of YAL002W, too
        ("TFC3", (0,), "standard"),  # an alias of YAL002W, too
        ("tfc3", (0,), "other_case"),
        ("VPS8", (1,), "standard"),
        ("alone", (2,), "alias"),
        ("Alone", (2,), "alias_other_case"),
        ("OLD", (0, 3), "alias"),
        ("Old", (0, 1, 3), "alias_other_case"),
        ("old", (1,), "alias"),
        ("twice", (4,), "standard"),
        ("TWICE", (3,), "standard"),
        ("Twice", (3, 4), "other_case"),  # two standard names; that it is an alias decides nothing
        ("P1", (0,), "id"),
        ("UniProtKB:P1", (0,), "id"),
        ("uniprotkb:p1", (0,), "other_case"),
        ("P2", (1, 4), "id"),
        ("TFC4", (), ""),
        ("", (), ""),
        (" ", (), ""),
    ],
)
def test_who_is_called_so(name: str, genes: tuple[int, ...], way: str) -> None:
    assert NAMES.find(name) == Found(genes, way)


def test_a_name_in_other_letters_comes_before_an_alias_as_it_is_spelt() -> None:
    assert FLY.find("ABC") == Found((2,), "other_case")
    assert FLY.find("h") == Found((0,), "standard")
    assert FLY.find("H") == Found((1,), "standard")


@pytest.mark.parametrize(
    ("column", "genes"),
    [
        (["H", "Abc", "Xyz"], [1, 2, 3]),
        (["H", "h", "ABC"], [1, 0, 2]),  # both cases: `H` is meant
        (["H", "ABC", "XYZ"], [AMBIGUOUS, 2, 3]),  # all in capitals, and neither Abc nor Xyz is spelt so
        (["h", "abc", "xyz"], [AMBIGUOUS, 2, 3]),
        (["H", "ABC", "nobody"], [AMBIGUOUS, 2, UNKNOWN]),  # who is no gene says nothing of the others
        (["H", "nobody"], [1, UNKNOWN]),
        (["FBGN1", "H"], [0, AMBIGUOUS]),
        (["HAIRY", "XYZ"], [AMBIGUOUS, 3]),
        ([], []),
    ],
)
def test_a_column_in_one_case_carries_no_case(column: list[str], genes: list[int]) -> None:
    found = FLY.look_up(column)
    assert found.gene.tolist() == genes
    assert all((g >= 0) == (w != NO_WAY) for g, w in zip(genes, found.way.tolist(), strict=True))


def test_a_name_found_as_it_is_spelt_is_told_so_in_a_column_without_case() -> None:
    found = NAMES.look_up(["YAL001C", "ALONE", "P1"])
    assert [WAYS[w] for w in found.way.tolist()] == ["systematic", "alias_other_case", "id"]


def test_the_candidates_of_a_column() -> None:
    assert NAMES.look_up(["OLD", "tfc3", "P2"]).candidates == {"OLD": (0, 3), "P2": (1, 4)}


COMMAS = GeneNames(
    ("YGR061C", "YGR204W", "YBR160W", "YBR208C"), ("ADE6", "ADE5,7", "CDC28", "DUR1,2"), ((), (), ("tau 138",), ())
)


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        ("ADE5,7", ("ADE5,7",)),
        ("ADE5,7,CDC28", ("ADE5,7", "CDC28")),
        ("CDC28,ADE5,7", ("CDC28", "ADE5,7")),
        ("CDC28 ade5,7;Dur1,2", ("CDC28", "ade5,7", "Dur1,2")),
        ("ADE5,8", ("ADE5", "8")),
        ("ADE6 | ADE5,7 + CDC28/YBR208C", ("ADE6", "ADE5,7", "CDC28", "YBR208C")),
        ("tau 138,ADE6", ("tau 138", "ADE6")),
        (",ADE6,", ("ADE6",)),
        ("ADE6", ("ADE6",)),
        ("YAL044W-A", ("YAL044W-A",)),
        (" , ", ()),
        ("", ()),
    ],
)
def test_the_names_in_a_cell(cell: str, names: tuple[str, ...]) -> None:
    assert COMMAS.names_in(cell) == names


def test_a_genotype_holds_each_gene_once() -> None:
    assert NAMES.genotype(["vps8", "YAL001C", "tsv115", " ", "TFC3"]) == (0, 1)
    assert NAMES.genotype([""]) == ()


def test_a_name_of_several_is_refused_with_all_of_them() -> None:
    with pytest.raises(UsageError, match=r"Old is a name of 3 genes: YAL001C \(TFC3\), YAL002W \(VPS8\), ") as error:
        NAMES.genotype(["YAL003W", "Old"])
    assert "YAL001C" in error.value.hint


def test_a_name_of_none_is_refused_with_what_comes_near() -> None:
    with pytest.raises(UsageError, match="no gene 'TFC4' in this cache's hierarchy") as error:
        NAMES.gene("TFC4")
    assert "TFC3" in error.value.hint
    with pytest.raises(UsageError, match="no gene 'brca2' in the table") as error:
        NAMES.gene("brca2", where="in the table")
    assert error.value.hint == "systematic names look like YAL005C"


def test_rows_are_counted_by_the_last_way_that_one_of_their_names_needed() -> None:
    found = NAMES.look_up(["YAL001C", "Vps8", "alone", "nobody", "P2", "TFC3"])
    rows = np.array([[0, -1], [0, 1], [2, 1], [0, 3], [4, 3], [4, 0], [5, 0], [-1, -1]], dtype=np.int32)
    counts = NAMES.counts("table", found, rows)
    assert counts == NameCounts(
        join="table",
        rows={"systematic": 1, "standard": 1, "other_case": 1, "alias": 1},
        rows_unknown=2,
        rows_ambiguous=1,
        unknown=("nobody",),
        ambiguous=(("P2", ("YAL002W (VPS8)", "YAL005C (twice)")),),
        names=6,
    )
    assert counts.names_found == 4
    assert (counts.rows_found, counts.rows_all) == (4, 7)
    twice = counts + counts
    assert (twice.rows["alias"], twice.rows_unknown, twice.unknown) == (2, 4, ("nobody",))
    assert counts.as_json()["rows"] == {"systematic": 1, "standard": 1, "other_case": 1, "alias": 1}
    assert counts.as_json()["ambiguous"] == {"P2": ["YAL002W (VPS8)", "YAL005C (twice)"]}


letters = st.sampled_from(["", "a", "A", "b", "B", "ab"])
genes_of_letters = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c", "A", "B", "a,b", "B c"]),
        letters,
        st.lists(letters, max_size=3),
        st.lists(letters, max_size=2),
    ),
    max_size=5,
)
Row = tuple[str, str, list[str], list[str]]


def by_a_loop(genes: list[Row], name: str, ways: tuple[str, ...] = WAYS) -> Found:
    """One way after another, one gene after another."""
    for way in ways:
        official = [{g[0], g[1], *g[3]} for g in genes]
        held = {
            "systematic": [{g[0]} for g in genes],
            "standard": [{g[1]} for g in genes],
            "id": [set(g[3]) for g in genes],
            "other_case": official,
            "alias": [set(g[2]) for g in genes],
            "alias_other_case": [set(g[2]) for g in genes],
        }[way]
        if way.endswith("other_case"):
            found = tuple(i for i, names in enumerate(held) if name.upper() in {n.upper() for n in names})
        else:
            found = tuple(i for i, names in enumerate(held) if name in names)
        if name and found:
            return Found(found, way)
    return Found((), "")


def made(rows: list[Row]) -> tuple[list[Row], GeneNames]:
    genes = sorted({row[0]: row for row in rows}.values())  # systematic names are distinct
    return genes, GeneNames(*([g[i] for g in genes] for i in range(4)))


@settings(deadline=None)
@given(genes_of_letters, letters)
def test_as_a_loop_over_the_genes_finds_them(rows: list[Row], name: str) -> None:
    genes, names = made(rows)
    assert names.find(name) == by_a_loop(genes, name)


@settings(deadline=None)
@given(genes_of_letters, st.lists(letters, unique=True, max_size=4))
def test_as_a_loop_over_a_column_finds_them(rows: list[Row], column: list[str]) -> None:
    genes, names = made(rows)
    found = [by_a_loop(genes, name) for name in column]
    told = [name for name, one in zip(column, found, strict=True) if one.genes]
    cases = {case for case in (str.upper, str.lower) if all(case(name) == name for name in told)}
    if cases and any(one.way.endswith("other_case") for one in found):
        found = [by_a_loop(genes, name, ("other_case", "alias_other_case")) for name in column]
    expected = [one.genes[0] if len(one.genes) == 1 else -2 if one.genes else -1 for one in found]
    assert names.look_up(column).gene.tolist() == expected


@settings(deadline=None)
@given(genes_of_letters, st.lists(st.sampled_from(["a", "b", "c", ",", " ", "x"]), max_size=8).map("".join))
def test_as_the_longest_run_from_the_left_holds_them(rows: list[Row], cell: str) -> None:
    genes, names = made(rows)
    expected, rest = [], cell.strip(", ")
    if by_a_loop(genes, cell.strip()).genes:
        expected, rest = [cell.strip()], ""
    while rest:
        ends = [m.start() for m in re.finditer(r"[, ]+|$", rest) if m.start()]
        taken = next((end for end in reversed(ends) if by_a_loop(genes, rest[:end]).genes), ends[0])
        expected.append(rest[:taken])
        rest = rest[taken:].lstrip(", ")
    assert names.names_in(cell) == tuple(expected)


@settings(deadline=None)
@given(st.lists(st.from_regex(r"[A-Za-z0-9,()+ /-]{1,8}", fullmatch=True), unique=True, min_size=1, max_size=6))
def test_every_name_of_one_gene_is_itself_in_a_cell(systematic: list[str]) -> None:
    systematic = sorted({name.strip() for name in systematic} - {""})
    names = GeneNames(systematic, [""] * len(systematic), [()] * len(systematic))
    assert all(names.names_in(name) == (name,) for name in systematic)
    assert all(names.find(name).genes == (i,) for i, name in enumerate(systematic))
