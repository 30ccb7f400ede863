"""`gocell inspect sample`: one sample from a biologist's side, and caches that cannot be shown."""

import shutil
from pathlib import Path

import pytest

from gocell_cli.errors import DamagedCache, SourceMissing, UsageError
from gocell_cli.storage.reader import Cache
from tests import toy
from tests.commands.conftest import Built
from tests.commands.runners import document, failure, invoke, run

KEYS = {"index", "genes", "phenotype", "rows", "rows_zero", "terms", "checks"}


def test_the_toy_by_hand(toy_cache: Path) -> None:
    shown = document("inspect", "sample", 1, "--cache", toy_cache)
    deep = {"term": "GO:0000005", "name": "deep", "namespace": "toy", "level": 3}
    assert set(shown) >= KEYS
    assert shown["index"] == 1
    assert shown["genes"] == ["YAL003W", "YAL005C", "YAL007C"]
    assert shown["standard_names"] == ["EFB1", "SSA1", "ERP2"]
    assert shown["phenotype"] == {"kind": "fitness", "value": 0.25, "statistic": 0.05, "statistic_kind": "sd"}
    assert shown["provenance"]["dataset"] == "kuzmin2018"
    assert shown["provenance"]["query_group"] == "YAL003W+YAL005C"
    assert shown["provenance"]["sources"] == [
        {"row": 4, "query_strain": "YAL003W+YAL005C_tm3", "array_strain": "YAL007C_dma3"}
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
    assert set(shown["phenotype"]) >= {"kind", "value", "statistic"}
    assert shown["genes"] == [hierarchy.gene_names[gene]]
    assert shown["rows"] == 50879
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
        "row 4 x YAL003W+YAL005C_tm3 x YAL007C_dma3",
        "mutant_state: 5 rows, 3 at 0, 2 at 1",
        "ok  deleted rows are 0",
        "ok  other rows are 1",
    ):
        assert words in result.stdout


def test_merged_rows_show_both_sources(toy_cache: Path) -> None:
    shown = document("inspect", "sample", 0, "--cache", toy_cache)
    assert [source["row"] for source in shown["provenance"]["sources"]] == [2, 3]
    assert shown["phenotype"]["value"] == pytest.approx(0.6)


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
