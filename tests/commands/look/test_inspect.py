"""`gocell inspect` and `gocell export`: samples, genes, levels, terms, and caches that cannot be shown."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from gocell_cli.domain.term_facts import find_term
from gocell_cli.errors import DamagedCache, InvalidInput, SourceMissing, UsageError
from gocell_cli.sources.go.releases import load_ontology
from gocell_cli.storage.reader import Cache
from tests import toy
from tests.commands.conftest import Built
from tests.commands.runners import document, document_apart, failure, invoke, run, toy_build

LABEL = ("phenotype", "value", "statistic", "statistic_kind")
KEYS = {"sample", "genes", "phenotype", "rows", "rows_zero", "terms", "checks"}


def test_the_toy_by_hand(toy_cache: Path) -> None:
    shown = document("inspect", "sample", 1, "--cache", toy_cache)
    deep = {"term": "GO:0000005", "name": "deep", "namespace": "toy", "level": 3}
    assert set(shown) >= KEYS
    assert shown["sample"] == 1
    assert shown["genes"] == ["YAL003W", "YAL005C", "YAL007C"]
    assert shown["standard_names"] == ["EFB1", "SSA1", "ERP2"]
    assert [shown[key] for key in LABEL] == ["fitness", 0.25, 0.05, "sd"]
    assert shown["provenance"]["dataset"] == "kuzmin2018"
    assert shown["provenance"]["query_group"] == "YAL003W+YAL005C"
    assert shown["provenance"]["sources"] == [
        {
            "row": 4,
            "query_strain": "YAL003W+YAL005C_tm3",
            "query_allele": "q",
            "query_kind": "unknown",
            "query_fitness": None,
            "array_strain": "YAL007C_dma3",
            "array_allele": "a",
            "array_kind": "deletion",
            "array_fitness": None,
        }
    ]
    assert shown["terms"] == [{"gene": gene, **deep} for gene in shown["genes"]]
    assert (shown["rows"], shown["rows_zero"]) == (len(toy.KEPT_ROWS), 3)
    assert shown["checks"] == {"deleted_rows_are_0": True, "other_rows_are_1": True}


@pytest.mark.parametrize("index", [0, 2943, 5886])
def test_a_real_sample(essentiality: Built, index: int) -> None:
    shown = document("inspect", "sample", index, "--root", essentiality.root)
    cache = Cache(essentiality.cache)
    hierarchy, (gene,) = cache.hierarchy, cache.sample(index).genes
    rows = hierarchy.gene_rows[hierarchy.gene_ptr[gene] : hierarchy.gene_ptr[gene + 1]]
    assert set(shown) >= KEYS
    assert set(shown) >= set(LABEL)
    assert shown["genes"] == [hierarchy.gene_names[gene]]
    assert shown["rows"] == 45212
    assert shown["rows_zero"] == len(shown["terms"]) == len(rows)
    assert {t["term"] for t in shown["terms"]} == {hierarchy.term_ids[t] for t in hierarchy.row_term[rows]}
    assert all(set(t) == {"gene", "term", "name", "namespace", "level"} for t in shown["terms"])
    assert [t["level"] for t in shown["terms"]] == sorted(t["level"] for t in shown["terms"])
    assert shown["checks"] == {"deleted_rows_are_0": True, "other_rows_are_1": True}


def test_the_text(toy_cache: Path) -> None:
    result = invoke("inspect", "sample", 1, "--cache", toy_cache)
    assert (result.exit_code, result.stderr) == (0, "")
    for words in (
        "sample 1 of 2 in",
        "YAL003W (EFB1), YAL005C (SSA1), YAL007C (ERP2)",
        "fitness 0.25, sd 0.05",
        "row 4 x YAL003W+YAL005C_tm3 (q, unknown) x YAL007C_dma3 (a, deletion)",
        "mutant_state: 5 rows, 3 at 0, 2 at 1",
        "ok  deleted rows are 0",
        "ok  other rows are 1",
    ):
        assert words in result.stdout


def test_merged_rows_show_both_sources(toy_cache: Path) -> None:
    shown = document("inspect", "sample", 0, "--cache", toy_cache)
    assert [source["row"] for source in shown["provenance"]["sources"]] == [2, 3]
    assert shown["value"] == pytest.approx(0.6)


def test_an_index_out_of_range_is_a_usage_error(toy_cache: Path) -> None:
    error = failure("inspect", "sample", 2, "--cache", toy_cache)
    assert isinstance(error, UsageError)
    assert "holds samples 0 to 1" in error.message


def test_no_cache_yet_says_how_to_build_one(tmp_path: Path) -> None:
    process = run("inspect", "sample", 0, cwd=tmp_path)
    assert (process.returncode, process.stdout) == (6, "")
    assert process.stderr.splitlines()[-1] == "hint: gocell build-cache --dataset essentiality"


@pytest.mark.parametrize("place", ["nothing", "file"])
def test_a_cache_that_is_not_there(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("x")
    error = failure("inspect", "sample", 0, "--cache", tmp_path / place)
    assert isinstance(error, SourceMissing)
    assert error.hint == "gocell build-cache --dataset essentiality"


def test_latest_may_name_a_cache_that_is_gone(tmp_path: Path) -> None:
    (tmp_path / "latest").write_text(f"{tmp_path / 'gone'}\n")
    error = failure("inspect", "sample", 0, "--root", tmp_path)
    assert isinstance(error, SourceMissing)
    assert "gone: no such cache (named by" in error.message


@pytest.mark.parametrize("file", ["samples/part-00000.parquet", "hierarchy/edges.parquet", "manifest.json"])
def test_a_damaged_cache_exits_5(essentiality: Built, tmp_path: Path, file: str) -> None:
    cache = tmp_path / "damaged"
    shutil.copytree(essentiality.cache, cache)
    data = bytearray((cache / file).read_bytes())
    data[len(data) // 2] ^= 1
    (cache / file).write_bytes(data)
    process = run("inspect", "sample", 0, "--cache", cache, cwd=tmp_path)
    assert (process.returncode, process.stdout) == (5, "")
    assert process.stderr.startswith("error: ")
    assert file.rsplit("/", 1)[-1] in process.stderr
    assert isinstance(failure("inspect", "sample", 0, "--cache", cache), DamagedCache)


def test_a_folder_that_is_no_cache_is_damaged(tmp_path: Path) -> None:
    assert isinstance(failure("inspect", "sample", 0, "--cache", tmp_path), DamagedCache)


def test_a_cache_from_above(essentiality: Built) -> None:
    shown, cache = document("inspect", "cache", "--root", essentiality.root), Cache(essentiality.cache)
    assert (shown["phenotype"], shown["samples"], shown["without_value"]) == ("viability", 5887, 0)
    assert shown["samples_by_deletions"] == {"1": 5887}
    assert shown["spread"]["mean"] == pytest.approx((5887 - 1120) / 5887)
    assert (shown["spread"]["min"], shown["spread"]["max"]) == (0, 1)
    assert [x["terms"] for x in shown["levels"]] == list(cache.manifest.level_counts)
    assert sum(x["rows"] for x in shown["levels"]) == cache.hierarchy.rows == 45212
    text = invoke("inspect", "cache", "--root", essentiality.root).stdout
    assert "4,481" in text
    assert text.index("43,907") < text.index("4,481") < text.index("3,793"), "as they were filtered"


def test_a_level_is_what_runs_at_once(essentiality: Built) -> None:
    shown, hierarchy = document("inspect", "level", 3, "--root", essentiality.root), Cache(essentiality.cache).hierarchy
    assert {t["term"] for t in shown["terms"]} == {
        t for t, level in zip(hierarchy.term_ids, hierarchy.level, strict=True) if level == 3
    }
    genes = [t["contained_genes"] for t in shown["terms"]]
    assert genes == sorted(genes, reverse=True)
    error = failure("inspect", "level", 99, "--root", essentiality.root)
    assert isinstance(error, UsageError)
    assert "run from 0 to 15" in error.hint


def test_a_gene_by_any_name(essentiality: Built) -> None:
    by_name = document("inspect", "gene", "dcp1", "--root", essentiality.root)
    assert by_name == document("inspect", "gene", "YOL149W", "--root", essentiality.root)
    assert (by_name["gene"], by_name["standard"]) == ("YOL149W", "DCP1")
    assert len(by_name["terms"]) == 11
    assert by_name["touched_terms"] == sum(by_name["touched_by_level"].values()) == 70
    assert by_name["samples"] == 1
    assert "DCP1" in failure("inspect", "gene", "DCP11", "--root", essentiality.root).hint


def test_a_name_that_several_genes_share_is_refused_with_all_of_them(essentiality: Built) -> None:
    lookup = Cache(essentiality.cache).hierarchy.lookup
    shared = next(n for names in lookup.aliases for n in names if len(lookup.find(n).genes) > 1)
    for words in (("inspect", "gene", shared), ("inspect", "samples", "--gene", shared)):
        error = failure(*words, "--root", essentiality.root)
        assert isinstance(error, UsageError)
        assert all(lookup.systematic[g] in error.message for g in lookup.find(shared).genes[:8])


def test_samples_of_a_gene(essentiality: Built) -> None:
    (found,) = document("inspect", "samples", "--gene", "DCP1", "--root", essentiality.root)["samples"]
    assert found["genes"] == ["YOL149W"]
    assert found["standard_names"] == ["DCP1"]
    one = document("inspect", "sample", found["sample"], "--root", essentiality.root)
    assert one["genes"] == ["YOL149W"]
    assert sum(one["touched_by_level"].values()) == 70
    text = invoke("inspect", "samples", "--top", 3, "--root", essentiality.root).stdout
    assert "5,887 samples" in text
    assert len(text.strip().splitlines()) == 5


@pytest.mark.parametrize(("suffix", "separator"), [(".tsv", "\t"), (".csv", ",")])
def test_export_writes_every_sample(essentiality: Built, tmp_path: Path, suffix: str, separator: str) -> None:
    out = tmp_path / f"samples{suffix}"
    assert document("export", "--out", out, "--root", essentiality.root)["samples"] == 5887
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter=separator))
    cache = Cache(essentiality.cache)
    columns, names = cache.columns(), cache.hierarchy.gene_names
    assert [row["genes"] for row in rows] == [names[g] for g in columns.genes.tolist()]
    assert np.array_equal([float(row["value"]) for row in rows], columns.value)
    assert {row["dataset"] for row in rows} == {"essentiality"}
    assert "--overwrite" in failure("export", "--out", out, "--root", essentiality.root).hint
    assert list(tmp_path.iterdir()) == [out]


def test_export_of_the_toy_keeps_rows_and_groups(toy_cache: Path, tmp_path: Path) -> None:
    out = tmp_path / "exported.tsv"
    invoke("export", "--out", out, "--cache", toy_cache)
    with out.open(encoding="utf-8", newline="") as file:
        line = list(csv.reader(file, delimiter="\t"))[2]
    shown = document("inspect", "sample", 1, "--cache", toy_cache)
    assert line[1:3] == [" ".join(shown["genes"]), " ".join(shown["standard_names"])]
    assert [float(x) for x in line[3:5]] == [0.25, 0.05]
    assert Cache(toy_cache).provenance.query_groups[int(line[6])] == "YAL003W+YAL005C"
    assert line[7:] == ["4"]
    known = "neither .xlsx nor .parquet nor .csv nor .tsv"
    assert known in str(failure("export", "--out", tmp_path / "toy.xls", "--cache", toy_cache))
    assert json.loads(invoke("export", "--out", tmp_path / "b.csv", "--cache", toy_cache, "--json").stdout)["samples"]


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
    found = document_apart("inspect", "term", "cytoplasmic mRNA processing body", "--root", essentiality.root)
    fate = found["in_cache"]
    assert (fate["cache"], fate["fate"]) == (str(essentiality.cache), "kept")
    held = (hierarchy.level[index], hierarchy.direct_genes[index], hierarchy.contained_genes[index])
    assert (fate["level"], fate["direct_genes"], fate["contained_genes"]) == held
    merged = document_apart("inspect", "term", "GO:0098745", "--root", essentiality.root)["in_cache"]
    assert (merged["fate"], merged["rule"]) == ("filtered", "at least 4 contained genes")
    assert "GO:0098745" not in hierarchy.term_ids
    assert all(t["term"] in hierarchy.term_ids for t in merged["into"])


def test_the_cache_decides_the_filters_and_options_win(essentiality: Built, toy_words: list[object]) -> None:
    words = ["inspect", "term", "GO:0000932", "--root", essentiality.root]
    other = document_apart(*words, "--min-genes", 60)["in_cache"]
    assert (other["cache"], other["fate"], other["rule"]) == (None, "filtered", "at least 60 contained genes")
    outside = document_apart(*words, "--namespace", "molecular_function")["in_cache"]
    assert (outside["fate"], outside["rule"]) == ("filtered", "namespace chosen")


def test_a_term_goes_by_id_number_or_name() -> None:
    ontology = load_ontology(None)
    for text in ("GO:0000932", "932", "go:932", "Cytoplasmic mRNA Processing Body"):
        assert ontology.ids[find_term(ontology, text)] == "GO:0000932"


def test_an_unknown_term_gets_what_comes_near(essentiality: Built) -> None:
    error = failure("inspect", "term", "cytoplasmc stress granule", "--root", essentiality.root)
    assert (error.exit_code, "has no term" in error.message) == (2, True)
    assert "did you mean GO:0010494 (cytoplasmic stress granule)" in error.hint
    ontology = load_ontology(None)
    for text, hint in (
        ("decapping", "GO:0000290 (deadenylation-dependent decapping of nuclear-transcribed mrna)"),
        ("GO:9999999", "ids look like GO:0000932"),
    ):
        with pytest.raises(UsageError, match="has no term") as found:
            find_term(ontology, text)
        assert hint in found.value.hint


def test_genes_of_a_term_and_terms_of_a_gene_say_by_what_evidence(toy_words: list[object]) -> None:
    found = document("inspect", "term", "deep", *toy_words)
    says = {"evidence": "IDA", "qualifier": "", "date": 20160101, "in_use": True}
    assert [(g["gene"], g["annotations"]) for g in found["direct_genes"]] == [(toy.GENES[g], [says]) for g in (2, 3)]
    assert "2 annotations of its direct genes" in invoke("inspect", "term", "deep", *toy_words).stdout


def test_a_genes_annotations_are_those_that_its_cache_was_built_of(tmp_path: Path) -> None:
    words = (
        *toy_build(tmp_path),
        "--min-genes",
        3,
        "--root",
        tmp_path / "root",
        "--until",
        20150101,
        "--exclude-evidence",
        "",
    )
    assert isinstance(failure("build-cache", *words), InvalidInput)  # all are newer
    document("build-cache", *(w if w != 20150101 else 20170101 for w in words))
    found = document("inspect", "gene", "YAL003W", "--root", tmp_path / "root")
    says = {"evidence": "IDA", "qualifier": "", "date": 20160101, "in_use": True}
    assert found["annotations"] == [{"term": toy.term_id(t), "name": toy.TERMS[t], **says} for t in (4, 5)]
    toy.write_gaf(tmp_path, "IEA")
    told = invoke("inspect", "gene", "YAL003W", "--root", tmp_path / "root")
    assert "the files that the cache was built of are others now" in told.stderr
    (tmp_path / "toy.gaf").unlink()
    assert document("inspect", "gene", "YAL003W", "--root", tmp_path / "root")["annotations"] is None


def test_the_root_that_gocell_puts_above_all(toy_words: list[object]) -> None:
    found = document("inspect", "term", "go:root", *toy_words)
    assert (found["term"], found["name"], found["namespace"]) == ("GO:ROOT", "GO Super Node", "super_root")
    assert {by: found[by] for by in ("level", "depth", "stratum", "height")} == {
        "level": -1,
        "depth": -1,
        "stratum": 0,
        "height": max(toy.HEIGHT.values()) + 1,
    }
    assert [(t["term"], t["relation"]) for t in found["children"]] == [(toy.term_id(1), "super_root")]
    assert (found["parents"], found["direct_genes"], len(found["contained_genes"])) == ([], [], 5)
    assert found["in_cache"]["fate"] == "kept"


def test_an_obsolete_term_says_that_it_is_and_what_replaced_it(toy_words: list[object], tmp_path: Path) -> None:
    obsolete = "\n[Term]\nid: GO:0000{}\nname: obsolete x\nis_obsolete: true\n{}"
    obo = tmp_path / "toy.obo"
    obo.write_text(
        toy.obo_text()
        + obsolete.format("090", "replaced_by: GO:0000002\nreplaced_by: GO:0000099\n")
        + obsolete.format("091", ""),
        "utf-8",
    )
    found = document("inspect", "term", "90", *toy_words)
    assert (found["term"], found["is_obsolete"]) == ("GO:0000090", True)
    assert found["replaced_by"] == [{"term": "GO:0000002", "name": "left"}, {"term": "GO:0000099", "name": ""}]
    text = invoke("inspect", "term", "GO:0000090", *toy_words).stdout
    assert "GO:0000090 is obsolete in" in text
    assert "replaced by GO:0000002 (left), GO:0000099" in text
    assert "nothing is said to replace it" in invoke("inspect", "term", "GO:0000091", *toy_words).stdout
    assert document("inspect", "term", "left", *toy_words)["is_obsolete"] is False


def test_people_read_the_same(essentiality: Built) -> None:
    shown = invoke("inspect", "term", "GO:0000932", "--root", essentiality.root).stdout
    assert "level 5  depth 7  stratum 8  height 0" in shown
    assert "1 parent " in shown
    assert "1 child " in shown
    assert "kept in" in " ".join(shown.split())
