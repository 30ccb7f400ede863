"""`gocell verify-levels`: the verdict on the toy, on the bundled GO, and on ontologies that are no ontologies."""

import json
import re
from pathlib import Path

import pytest

from gocell_cli.errors import CycleError, InvalidInput, SourceMissing, UsageError
from tests import toy
from tests.commands.runners import document, document_apart, failure, invoke, run

FINDING_KEYS = {"kind", "child", "parent", "relation", "child_level", "parent_level"}
TOY_FINDINGS = [  # by level: 5 -> 4 is inverted, 6 -> 4 joins equals
    {"kind": kind, "child": child, "parent": "GO:0000004", "relation": "is_a", "child_level": level, "parent_level": 2}
    for kind, child, level in (("inverted", "GO:0000005", 1), ("same_level", "GO:0000006", 2))
]


def test_the_toy_by_hand(toy_obo: Path) -> None:
    found = document("verify-levels", "--obo", toy_obo)
    read = {"source": str(toy_obo), "release": "toy/2020-01-01", "terms": 6, "edges": {"is_a": 8}}
    sound = {"dangling_edges": {"is_a": 0}, "foreign_edges": {"is_a": 0}, "roots": 1, "unexpected_roots": []}
    assert found["ontology"] == read | sound
    assert (found["by"], found["ok"], found["findings"]) == ("stratum", True, [])
    assert found["groupings"] == [
        {"by": "stratum", "groups": 5, "same_level": 0, "inverted": 0, "ok": True},
        {"by": "level", "groups": 3, "same_level": 1, "inverted": 1, "ok": False},
        {"by": "depth", "groups": 5, "same_level": 0, "inverted": 0, "ok": True},
        {"by": "height", "groups": 5, "same_level": 0, "inverted": 0, "ok": True},
    ]


def test_by_level_the_toy_does_not_hold(toy_obo: Path) -> None:
    process = run("verify-levels", "--obo", toy_obo, "--by", "level", "--json", cwd=toy_obo.parent)
    found = json.loads(process.stdout)
    assert (process.returncode, process.stderr) == (3, "")
    assert set(found) == {"ontology", "by", "ok", "groupings", "findings"}
    counts = {"dangling_edges", "foreign_edges", "roots", "unexpected_roots"}
    assert set(found["ontology"]) == {"source", "release", "terms", "edges"} | counts
    assert (found["by"], found["ok"], found["findings"]) == ("level", False, TOY_FINDINGS)


def test_the_text_names_the_offending_edges(toy_obo: Path) -> None:
    result = invoke("verify-levels", "--obo", toy_obo, "--by", "level")
    assert (result.exit_code, result.stderr) == (3, "")
    lines = [line.split() for line in result.stdout.splitlines()]
    assert [">", "level", "3", "1", "1", "DOES", "NOT", "HOLD"] in lines
    assert ["inverted", "GO:0000005", "deep", "1", "GO:0000004", "middle", "2", "is_a"] in lines
    assert ["same", "level", "GO:0000006", "leaf", "2", "GO:0000004", "middle", "2", "is_a"] in lines


def test_the_text_says_that_it_holds(toy_obo: Path) -> None:
    result = invoke("verify-levels", "--obo", toy_obo)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "by stratum: every edge leads to another, shallower group; 5 groups can run in turn." in result.stdout


def test_the_bundled_go_by_level(tmp_path: Path) -> None:
    process = run("verify-levels", "--by", "level", "--json", cwd=tmp_path)
    found = json.loads(process.stdout)
    assert (process.returncode, process.stderr) == (3, "")
    assert (found["ontology"]["terms"], found["ontology"]["edges"]) == (43906, {"is_a": 75064})
    (by_level,) = (g for g in found["groupings"] if g["by"] == "level")
    assert {k for f in found["findings"] for k in f} == FINDING_KEYS
    assert {f["kind"] for f in found["findings"][:2]} == {"same_level", "inverted"}
    assert len(found["findings"]) == by_level["same_level"] + by_level["inverted"] == 10120 + 5855
    for f in found["findings"]:
        assert (f["child_level"] == f["parent_level"]) == (f["kind"] == "same_level")
        assert (f["child_level"] < f["parent_level"]) == (f["kind"] == "inverted")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wanted", [0, 1, 2])
def test_max_findings_limits_the_list_and_not_the_verdict(toy_obo: Path, wanted: int) -> None:
    words = ("verify-levels", "--obo", toy_obo, "--by", "level", "--max-findings", wanted)
    found = json.loads(invoke(*words, "--json").stdout)
    assert (found["ok"], found["findings"]) == (False, TOY_FINDINGS[:wanted])
    text = invoke(*words).stdout
    assert (f"{wanted} of 2 shown; --max-findings 2 shows all" in text) == (wanted < 2)


def test_relations_widen_the_graph() -> None:
    found = document_apart("verify-levels", "--relations", "is_a, part_of")
    assert set(found["ontology"]["edges"]) == {"is_a", "part_of"}
    assert found["ok"]


@pytest.mark.parametrize("relations", ["nonsense", "is_a,nonsense", ",", ""])
def test_an_unknown_relation_is_a_usage_error(toy_obo: Path, relations: str) -> None:
    error = failure("verify-levels", "--obo", toy_obo, "--relations", relations)
    assert isinstance(error, UsageError)
    assert "unknown relation" in error.message


@pytest.mark.parametrize("extra", [[], ["--scope", "hierarchy"], ["--json"]], ids=" ".join)
def test_a_cycle_is_named_term_by_term(tmp_path: Path, toy_obo: Path, extra: list[str]) -> None:
    text = toy_obo.read_text("utf-8").replace("name: left\n", "name: left\nis_a: GO:0000005 ! a cycle\n")
    toy_obo.write_text(text, "utf-8")
    process = run("verify-levels", "--obo", toy_obo, *extra, cwd=tmp_path)
    assert (process.returncode, process.stdout) == (4, "")
    # parent -> child: left -> middle -> deep -> left, from wherever it starts
    steps = re.findall(r"(GO:\d+)[^->\n]* -> (GO:\d+)", process.stderr)
    assert sorted(steps) == [(toy.term_id(a), toy.term_id(b)) for a, b in ((2, 4), (4, 5), (5, 2))]
    assert "a cycle of 3 terms" in process.stderr
    assert isinstance(failure("verify-levels", "--obo", toy_obo, *extra), CycleError)


def test_a_broken_line_is_named_by_file_and_line(tmp_path: Path, toy_obo: Path) -> None:
    lines = toy_obo.read_text("utf-8").splitlines()
    number = lines.index("name: deep") + 1
    lines[number - 1] = "this is no tag"
    toy_obo.write_text("\n".join(lines), "utf-8")
    process = run("verify-levels", "--obo", toy_obo, cwd=tmp_path)
    assert (process.returncode, process.stdout) == (4, "")
    assert f"{toy_obo}:{number}: " in process.stderr
    assert isinstance(failure("verify-levels", "--obo", toy_obo), InvalidInput)


def test_a_missing_file_is_a_missing_source(tmp_path: Path) -> None:
    error = failure("verify-levels", "--obo", tmp_path / "nothing.obo")
    assert isinstance(error, SourceMissing)
    assert "nothing.obo" in error.message


@pytest.mark.parametrize(
    ("preset", "terms", "edges", "same_level", "inverted"),
    [("true-path", 3792, 7061, 885, 466), ("torchcell", 2612, 3012, 218, 176), ("ma2018", 3201, 6625, 1008, 596)],
)
def test_the_hierarchy_of_each_preset(preset: str, terms: int, edges: int, same_level: int, inverted: int) -> None:
    found = document_apart("verify-levels", "--scope", "hierarchy", "--preset", preset)
    assert (found["ontology"]["terms"], sum(found["ontology"]["edges"].values())) == (terms, edges)
    by = {g["by"]: g for g in found["groupings"]}
    assert (by["level"]["same_level"], by["level"]["inverted"]) == (same_level, inverted)
    assert [by[name]["ok"] for name in ("stratum", "level", "height")] == [True, False, True]


def test_a_hierarchy_without_terms_is_invalid_input(tmp_path: Path, toy_obo: Path) -> None:
    gaf = toy.write_gaf(tmp_path, evidence="IGI")  # evidence that true-path leaves out
    error = failure("verify-levels", "--scope", "hierarchy", "--obo", toy_obo, "--gaf", gaf)
    assert isinstance(error, InvalidInput)
    assert "no annotated term with 4 genes or more is left" in error.message
    assert error.hint.startswith("leave out less evidence: --exclude-evidence ''")
    gaf = toy.write_gaf(tmp_path)  # of the root all five genes, of every other term fewer
    words = ("verify-levels", "--scope", "hierarchy", "--obo", toy_obo, "--gaf", gaf)
    assert failure(*words, "--min-genes", "6").hint == "lower --min-genes"
    assert failure(*words, "--until", "19990101").hint == "choose a later --until"
    listed = tmp_path / "genes.txt"
    listed.write_text("YAL062W\n", "utf-8")
    assert failure(*words, "--genes", listed).hint == "list more genes, or leave out --genes"


@pytest.mark.parametrize("words", [["--gaf", "any.gaf"], ["--preset", "ma2018"]], ids=" ".join)
def test_what_has_no_effect_is_said_on_stderr(toy_obo: Path, words: list[str]) -> None:
    result = invoke("verify-levels", "--obo", toy_obo, "--json", *words)
    assert result.exit_code == 0
    assert result.stderr == f"note: {words[0]}: no effect without --scope hierarchy\n"
    assert json.loads(result.stdout)["ok"]


def test_dangling_edges_are_told_and_many_of_them_are_an_error(toy_obo: Path) -> None:
    text = toy_obo.read_text("utf-8")
    toy_obo.write_text(text + "".join(f"is_a: GO:000009{i}\n" for i in range(3)), "utf-8")
    error = failure("verify-levels", "--obo", toy_obo)
    assert isinstance(error, InvalidInput)
    assert error.message == f"{toy_obo}: 3 of 11 is_a edges lead to terms that it does not have"
    toy_obo.write_text(text + "is_a: GO:0000099\n", "utf-8")
    result = invoke("verify-levels", "--obo", toy_obo)
    assert result.exit_code == 0
    assert "6 live terms, edges: 8 is_a; 1 root, 1 dangling edges" in result.stdout
    assert "1 edges lead to terms that it does not have, such as GO:0000006 -> GO:0000099" in result.stderr
    found = document("verify-levels", "--obo", toy_obo)
    assert (found["ontology"]["dangling_edges"], found["ok"]) == ({"is_a": 1}, True)


def test_relations_that_leave_most_terms_without_a_parent_are_warned_of() -> None:
    result = invoke("verify-levels", "--relations", "part_of", "--json")
    found = json.loads(result.stdout)["ontology"]
    assert found["roots"] == len(found["unexpected_roots"]) + 3 > 30_000
    assert "terms have no parent by part_of beside molecular_function, cellular_component" in result.stderr
