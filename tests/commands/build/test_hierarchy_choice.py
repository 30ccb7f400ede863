"""The options that choose and filter a hierarchy, in both commands; what they say, count and refuse."""

import json
from pathlib import Path
from typing import Any

import pytest

from gocell_cli.errors import CycleError, InvalidInput, SourceMissing, UsageError
from gocell_cli.storage.reader import Cache
from gocell_cli.storage.verify import verify_cache
from tests import toy
from tests.commands.runners import document, document_apart, failure, invoke, run
from tests.sources.gaf_files import WORM, Organism, gaf_row, write_gaf
from tests.sources.hierarchies.test_ready import DDOT, TOPOLOGY

HIERARCHY = ("verify-levels", "--scope", "hierarchy")
SIMULATED = ("--dataset", "simulated", "--samples", 40, "--deletions", 2, "--panel", 20)


def counts(*words: object) -> dict[str, int]:
    found: dict[str, int] = document_apart(*HIERARCHY, *words)["hierarchy"]
    return found


def manifest(summary: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(summary["cache"]) / "manifest.json").read_text("utf-8"))
    return found


@pytest.fixture
def ddot(tmp_path: Path) -> Path:
    path = tmp_path / "toy.ont"
    path.write_text(DDOT, "utf-8")
    return path


@pytest.fixture
def human(tmp_path: Path) -> Path:
    """Twenty genes in GOA's layout, each annotated to two toy terms, and three worms."""
    genes = tuple((f"P{i:05d}", f"SYM{i}", "a protein", f"SYM{i}|ALIAS{i}") for i in range(20))
    many = Organism("UniProtKB", "9606", "protein", genes)
    rows = [gaf_row(many, i, toy.term_id(2 + (i + j) % 5)) for i in range(20) for j in range(2)]
    rows += [gaf_row(WORM, i, "GO:0000002") for i in range(3)]
    return write_gaf(tmp_path / "human.gaf", rows)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], {"terms": 3793, "edges": 7064, "rows": 45212, "genes": 5836, "strata": 16, "neurons": 78880}),
        (["--preset", "torchcell"], {"terms": 2613, "edges": 3015, "rows": 43540, "strata": 10, "neurons": 56841}),
        (["--preset", "ma2018"], {"terms": 3202, "edges": 6628, "rows": 53600, "strata": 17}),
        (
            ["--exclude-evidence", "HGI,IGI"],  # the default before ND was left out
            {"terms": 3793, "edges": 7064, "rows": 50873, "genes": 6603, "strata": 16, "neurons": 80521},
        ),
        (["--exclude-evidence", "ND,HGI,IGI"], {"terms": 3793, "rows": 45212}),
    ],
    ids=" ".join,
)
def test_the_bundled_hierarchies(words: list[str], expected: dict[str, int]) -> None:
    assert counts(*words).items() >= expected.items()


def test_each_option_changes_the_bundled_hierarchy_as_it_should() -> None:
    base = {"terms": 3793, "rows": 45212}  # of no option, as above
    assert counts("--exclude-evidence", "")["rows"] > base["rows"]
    experimental = counts("--include-evidence", "EXP,IDA,IPI,IMP,IEP")
    assert experimental["rows"] < base["rows"]
    redundant = {kind: counts("--redundant", kind)["terms"] for kind in ("direct", "keep")}
    assert base["terms"] < redundant["direct"] < redundant["keep"]
    assert counts("--min-genes", 10)["terms"] < base["terms"]
    assert counts("--until", "20100101")["rows"] < base["rows"]
    parts = [counts("--namespace", n) for n in ("biological_process", "cellular_component", "molecular_function")]
    assert sum(p["terms"] - 1 for p in parts) == base["terms"] - 1  # is_a never leaves a namespace
    assert sum(p["rows"] for p in parts) == base["rows"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--exclude-evidence", "IGI,XYZ"], "no evidence code: XYZ"),
        (["--include-evidence", "ida"], "no evidence code: ida"),
        (["--include-evidence", ","], "--include-evidence names no code"),
        (["--include-evidence", "IDA", "--exclude-evidence", "IGI"], "exclude each other"),
        (["--namespace", "nonsense"], "no term is in the namespace nonsense"),
        (["--gene-id", "symbol"], "--gene-id and --taxon are about a GAF"),
        (["--taxon", "9606"], "--gene-id and --taxon are about a GAF"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
@pytest.mark.parametrize("command", [HIERARCHY, ("build-cache",)], ids=["verify-levels", "build-cache"])
def test_what_cannot_be_meant_is_a_usage_error(command: tuple[str, ...], words: list[str], message: str) -> None:
    error = failure(*command, *words)
    assert isinstance(error, UsageError)
    assert message in error.message


def test_an_unknown_code_is_answered_with_the_list_of_codes() -> None:
    assert "EXP, IDA, IPI, IMP, IGI, IEP" in failure("build-cache", "--exclude-evidence", "XYZ").why


def test_evidence_that_leaks_is_warned_of(toy_obo: Path) -> None:
    gaf = toy.write_gaf(toy_obo.parent)
    words = (*HIERARCHY, "--obo", toy_obo, "--gaf", gaf)
    assert "warning" not in invoke(*words).stderr
    assert "annotations by IGI and HGI" in invoke(*words, "--exclude-evidence", "").stderr
    assert "annotations by HGI" in invoke(*words, "--include-evidence", "IDA,HGI").stderr


def test_a_gaf_of_another_organism_makes_a_cache(tmp_path: Path, toy_obo: Path, human: Path) -> None:
    words = ("build-cache", "--obo", toy_obo, "--gaf", human, "--min-genes", 1, *SIMULATED, "--root", tmp_path / "root")
    result = invoke(*words, "--json")
    assert result.exit_code == 0, result.exception
    assert f"{human}: 2 taxa (9606 40 rows, 6239 3 rows); taxon 9606 used, --taxon chooses one" in result.stderr
    assert f"{human}: 20 of 20 genes named by DB object symbol, 20 distinct" in result.stderr
    summary = json.loads(result.stdout)
    cache = Cache(Path(summary["cache"]))
    assert cache.hierarchy.gene_names == tuple(sorted(f"SYM{i}" for i in range(20)))
    assert cache.hierarchy.gene_aliases[0] == ("ALIAS0",)
    assert cache.hierarchy.gene_ids[0] == ("P00000", "UniProtKB:P00000")
    assert verify_cache(Path(summary["cache"])).findings == ()
    told = manifest(summary)
    assert told["config"]["annotation_options"] == {"gene_id": "symbol", "taxon": "9606"}
    assert told["counts"]["annotations"]["dropped"] == {"other_taxon": 3}
    assert told["counts"]["gene_naming"]["taxa"] == {"9606": 40, "6239": 3}
    by_id = document(*words, "--gene-id", "id")
    assert by_id["fingerprint"] != summary["fingerprint"]
    assert Cache(Path(by_id["cache"])).hierarchy.gene_names[0] == "P00000"


@pytest.mark.parametrize("dataset", [[], ["--dataset", "kuzmin2018", "--raw", "table.tsv"]], ids=str)
def test_a_gaf_without_a_gene_of_the_data_is_an_error(
    tmp_path: Path, toy_obo: Path, human: Path, toy_table: Path, dataset: list[str]
) -> None:
    words = [str(toy_table) if word == "table.tsv" else word for word in dataset]
    result = invoke("build-cache", "--obo", toy_obo, "--gaf", human, *words, "--root", tmp_path / "root")
    assert isinstance(result.exception, InvalidInput)
    assert "none of its 20 genes is a gene of" in result.exception.message
    assert "--dataset simulated" in result.exception.hint
    assert not (tmp_path / "root").exists()


def test_a_gaf_that_annotates_none_of_the_measured_genes_is_an_error(tmp_path: Path, toy_obo: Path) -> None:
    genes = tuple((f"S{i}", f"A{i}", "", orf) for i, orf in enumerate(("Q0045", "Q0050", "Q0055", "Q0060", "Q0065")))
    gaf = write_gaf(
        tmp_path / "other.gaf", [gaf_row(Organism("SGD", "559292", "gene", genes), i, "GO:0000002") for i in range(5)]
    )
    listed = tmp_path / "genes.txt"
    listed.write_text("YAL001C\nYAL002W\n", "utf-8")
    words = ("build-cache", "--obo", toy_obo, "--gaf", gaf, "--root", tmp_path / "root")
    assert document(*words, "--min-genes", 1)["samples"] == 5887
    error = failure(*words, "--min-genes", 1, "--genes", listed)
    assert isinstance(error, InvalidInput)


def test_a_gene_list_is_counted_and_used(tmp_path: Path) -> None:
    listed = tmp_path / "genes.txt"
    listed.write_text("# ten genes\nYAL001C\nVPS8\nYAL003W\r\nYAL005C\nnobody\n\nTFC3\n", "utf-8")
    words = ("--genes", listed, "--min-genes", 1)
    result = invoke("build-cache", *words, "--root", tmp_path / "root", "--json")
    assert result.exit_code == 0, result.exception
    assert f"{listed}: 4 genes used, 1 unknown: nobody" in result.stderr
    summary = json.loads(result.stdout)
    assert (summary["samples"], summary["dropped"]) == (4, {"dubious_orf": 717, "gene_not_listed": 5883})
    told = manifest(summary)
    assert told["counts"]["gene_list"] == {"listed": 4, "unknown": 1}
    assert told["config"]["filters"]["genes"]["count"] == 4
    assert told["counts"]["annotations"]["dropped"]["gene_not_listed"] > 50_000
    assert counts(*words)["genes"] == 4
    nobody = tmp_path / "none.txt"
    nobody.write_text("TP53\n", "utf-8")
    assert isinstance(failure(*HIERARCHY, "--genes", nobody), InvalidInput)
    assert isinstance(failure(*HIERARCHY, "--genes", tmp_path / "missing"), SourceMissing)


@pytest.mark.parametrize("text", [DDOT, TOPOLOGY], ids=["ddot", "topology"])
def test_a_ready_hierarchy_is_verified_and_built(tmp_path: Path, text: str) -> None:
    path = tmp_path / "ready"
    path.write_text(text, "utf-8")
    found = document("verify-levels", "--hierarchy", path)
    assert found["ontology"]["edges"] == {"default": 8}
    assert found["hierarchy"] == {"terms": 6, "edges": 8, "rows": 7, "genes": 5, "strata": 5, "neurons": 120}
    assert [g["ok"] for g in found["groupings"]] == [True, False, True, True]
    summary = document("build-cache", "--hierarchy", path, "--root", tmp_path / "root")
    cache = Cache(Path(summary["cache"]))
    assert cache.hierarchy.term_ids == tuple(map(toy.term_id, toy.TERMS))
    assert (summary["samples"], summary["genes"], summary["levels"]["counts"]) == (5887, 6604, [1, 2, 1, 1, 1])
    told = manifest(summary)
    assert set(told["config"]["sources"]) == {"hierarchy", "genes", "essential"}
    assert (told["config"]["filters"]["preset"], told["width_by"]) == ("ready", "contained")
    assert verify_cache(Path(summary["cache"])).findings == ()


def test_a_ready_hierarchy_whose_levels_do_not_hold_exits_3(tmp_path: Path, ddot: Path) -> None:
    for words in (["verify-levels", "--by", "level"], ["build-cache", "--level-by", "level", "--root", "root"]):
        process = run(*words, "--hierarchy", ddot, cwd=tmp_path)
        assert process.returncode == 3, process.stderr
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize(
    "words",
    [
        *(
            ["--obo", "x"],
            ["--release", "2020-01-01"],
            ["--gaf", "x"],
            ["--gene-id", "id"],
            ["--taxon", "1"],
            ["--preset", "ma2018"],
        ),
        *(["--relations", "is_a"], ["--min-genes", "2"], ["--until", "20100101"], ["--exclude-evidence", "IGI"]),
        *(["--include-evidence", "IDA"], ["--namespace", "x"], ["--redundant", "keep"]),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("command", ["verify-levels", "build-cache"])
def test_a_ready_hierarchy_takes_no_filter(ddot: Path, command: str, words: list[str]) -> None:
    error = failure(command, "--hierarchy", ddot, *words)
    assert isinstance(error, UsageError)
    assert error.message == f"{words[0]} cannot go with --hierarchy"


def test_a_ready_hierarchy_takes_a_gene_list(tmp_path: Path, ddot: Path) -> None:
    listed = tmp_path / "genes.txt"
    listed.write_text("YAL001C\nYAL003W\n", "utf-8")
    found = document("verify-levels", "--hierarchy", ddot, "--genes", listed)["hierarchy"]
    assert (found["terms"], found["rows"], found["genes"]) == (5, 3, 2)  # leaf holds none of them


def test_a_cyclic_ontology_cannot_be_built(tmp_path: Path, toy_obo: Path) -> None:
    text = toy_obo.read_text("utf-8").replace("name: left\n", "name: left\nis_a: GO:0000005 ! a cycle\n")
    toy_obo.write_text(text, "utf-8")
    assert isinstance(failure("build-cache", "--obo", toy_obo, "--root", tmp_path / "root"), CycleError)


def test_every_option_of_the_group_is_in_the_help() -> None:
    for command in ("verify-levels", "build-cache"):
        text = invoke(command, "--help").stdout
        for option in ("--hierarchy", "--gene-id", "--taxon", "--namespace", "--redundant", "--genes"):
            assert option in text
        assert "--exclude-evidence" in text
        assert "--include-evidence" in text
