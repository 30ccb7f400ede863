"""`gocell build-cache`: the bundled data end to end, where caches go, and what is refused before a file exists."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from gocell_cli.errors import InvalidInput, LevelsError, SourceMissing, UsageError
from gocell_cli.sources.screens import kept_pieces, table_pieces
from gocell_cli.storage.reader import Cache
from gocell_cli.storage.verify import verify_cache
from tests.commands.conftest import Built
from tests.commands.runners import document, failure, invoke, run, toy_build

KEYS = {"cache", "status", "dataset", "phenotype", "samples", "shards", "terms", "genes", "edges", "rows", "levels"} | {
    "rows_read",
    "dropped",
    "seconds",
    "fingerprint",
}
NUMBERS = {"samples": 5887, "terms": 3793, "genes": 6604, "edges": 7064, "rows": 45212, "rows_read": 6604, "shards": 1}
ND_NOTE = (
    "note: 767 genes have ND (no biological data) and no annotation in use: they are used as genes without annotation\n"
)
SLICE = "kuzmin2018/aao1729_data_s1.slice.tsv"


def accounted(summary: dict[str, Any]) -> bool:
    return summary["rows_read"] == summary["samples"] + sum(summary["dropped"].values())


def latest(root: Path) -> Path:
    return root / (root / "latest").read_text("utf-8").strip()


def test_essentiality_end_to_end(essentiality: Built) -> None:
    summary = essentiality.summary
    assert essentiality.process.returncode == 0
    assert set(summary) >= KEYS
    assert {key: summary[key] for key in NUMBERS} == NUMBERS
    assert (summary["dataset"], summary["phenotype"], summary["status"]) == ("essentiality", "viability", "built")
    assert summary["dropped"] == {"dubious_orf": 717}
    assert accounted(summary)
    assert summary["levels"]["by"] == "stratum"
    assert sum(summary["levels"]["counts"]) == summary["terms"]
    assert summary["levels"]["counts"][0] == 1  # GO:ROOT


def test_no_progress_where_stderr_is_no_terminal(essentiality: Built) -> None:
    told = essentiality.process.stderr.splitlines(keepends=True)
    assert told[0] == ND_NOTE
    joins = ("annotations", "essentiality", "essential genes")
    assert [text.split(": rows ")[0] for text in told[1:]] == [f"names: {join}" for join in joins]


def test_what_was_built_is_what_was_said(essentiality: Built) -> None:
    cache = Cache(essentiality.cache)
    assert len(cache) == NUMBERS["samples"]
    assert "GO:ROOT" in cache.hierarchy.term_ids
    assert len(cache.hierarchy.edge_child) == NUMBERS["edges"]
    assert set(cache.columns().value.tolist()) == {0.0, 1.0}
    assert verify_cache(essentiality.cache).findings == ()


def test_the_cache_is_named_after_what_it_holds(essentiality: Built) -> None:
    name = f"essentiality-viability-{essentiality.summary['fingerprint'][:8]}"
    assert essentiality.cache == essentiality.root / "caches" / name
    assert latest(essentiality.root) == essentiality.cache.resolve()
    assert sorted(p.name for p in essentiality.root.iterdir()) == ["caches", "latest"]
    assert sorted(p.name for p in (essentiality.root / "caches").iterdir()) == [name, f"{name}.toml"]


def test_the_second_time_it_is_up_to_date(essentiality: Built) -> None:
    before = (essentiality.cache / "manifest.json").stat().st_mtime_ns
    again = document("build-cache", "--root", essentiality.root)
    changing = {"status", "seconds"}
    assert again["status"] == "up to date"
    assert {k: v for k, v in again.items() if k not in changing} == {
        k: v for k, v in essentiality.summary.items() if k not in changing
    }
    assert (essentiality.cache / "manifest.json").stat().st_mtime_ns == before
    assert "up to date" in invoke("build-cache", "--root", essentiality.root).stdout


def test_latest_names_a_cache_elsewhere_too(tmp_path: Path) -> None:
    words = toy_build(tmp_path)
    summary = document("build-cache", *words, "--root", tmp_path / "root", "--out", tmp_path / "elsewhere")
    assert summary["cache"] == str(tmp_path / "elsewhere")
    assert latest(tmp_path / "root") == tmp_path / "elsewhere"
    assert document("inspect", "sample", 0, "--root", tmp_path / "root")["sample"] == 0


def test_the_data_root_is_gocell_root_else_in_the_working_directory(tmp_path: Path) -> None:
    for variables, root in (({"GOCELL_ROOT": str(tmp_path / "named")}, "named"), ({}, "gocell_data")):
        process = run("build-cache", *toy_build(tmp_path), cwd=tmp_path, **variables)
        assert process.returncode == 0, process.stderr
        assert latest(tmp_path / root).parent == tmp_path / root / "caches"


def test_the_text_accounts_for_every_row(essentiality: Built) -> None:
    lines = [line.split() for line in invoke("build-cache", "--root", essentiality.root).stdout.splitlines()]
    for words in ("essentiality rows read 6,604", "dropped: dubious_orf 717", "samples (viability) 5,887"):
        assert words.split() in lines


def test_levels_that_do_not_hold_exit_3_and_write_nothing(tmp_path: Path) -> None:
    process = run("build-cache", "--level-by", "level", "--root", "root", "--json", cwd=tmp_path)
    told = json.loads(process.stdout)
    assert (process.returncode, told["ok"], told["exit_code"]) == (3, False, 3)
    assert "885 same-level and 466 inverted edges" in told["error"]
    assert process.stderr.startswith("error: the hierarchy in use cannot be run level by level with --level-by level")
    assert "hint: --level-by stratum holds by construction" in process.stderr
    assert list(tmp_path.iterdir()) == []


def test_levels_that_do_not_hold_print_nothing_on_stdout_without_json(tmp_path: Path) -> None:
    words = (*toy_build(tmp_path), "--min-genes", 1, "--level-by", "level")
    assert isinstance(failure("build-cache", *words, "--root", tmp_path / "root"), LevelsError)
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize("level_by", ["depth", "height"])
def test_other_levels_that_hold(tmp_path: Path, level_by: str) -> None:
    summary = document("build-cache", *toy_build(tmp_path), "--level-by", level_by, "--root", tmp_path)
    assert summary["levels"]["by"] == level_by
    hierarchy = Cache(Path(summary["cache"])).hierarchy
    assert hierarchy.level_by == level_by
    assert sum(summary["levels"]["counts"]) == summary["terms"]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--dataset", "kuzmin2018", "--offline"], SourceMissing),
        (["--dataset", "kuzmin2018", "--raw", "missing.tsv"], SourceMissing),
        (["--dataset", "kuzmin2018", "--phenotype", "viability"], UsageError),
        (["--dataset", "kuzmin2018", "--phenotype", "tau", "--order", "digenic"], UsageError),
        (["--phenotype", "fitness"], UsageError),
        (["--raw", "table.tsv"], UsageError),
        (["--order", "digenic"], UsageError),
        (["--relations", "nonsense"], UsageError),
        (["--obo", "missing.obo"], SourceMissing),
        (["--gaf", "missing.gaf"], SourceMissing),
        (["--until", "19000101"], InvalidInput),
        (["--part", "2/2"], UsageError),
        (["--scheduler", "tcp://127.0.0.1:1"], UsageError),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value.__name__,
)
def test_what_cannot_be_built_writes_nothing(tmp_path: Path, words: list[str], error: type[Exception]) -> None:
    assert type(failure("build-cache", *words, "--root", tmp_path / "root")) is error
    assert list(tmp_path.iterdir()) == []


def test_something_else_at_out_is_kept_until_overwrite(tmp_path: Path) -> None:
    out = tmp_path / "cache"
    given = toy_build(tmp_path)
    built = Path(document("build-cache", *given, "--root", tmp_path / "other")["cache"])
    shutil.copytree(built, out)
    (out / "samples/part-00000.parquet").write_bytes(b"damaged")
    words = ("build-cache", *given, "--root", tmp_path, "--out", out)
    error = failure(*words)
    assert isinstance(error, UsageError)
    assert "part-00000.parquet: damaged" in error.why
    assert not (tmp_path / "latest").exists()
    assert document(*words, "--overwrite")["status"] == "built"
    assert (out / "manifest.json").read_bytes() == (built / "manifest.json").read_bytes()


def test_an_out_that_cannot_be_made_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    words = toy_build(tmp_path)
    before = sorted(tmp_path.iterdir())
    error = failure("build-cache", *words, "--root", tmp_path, "--out", tmp_path / "file" / "cache")
    assert isinstance(error, UsageError)
    assert sorted(tmp_path.iterdir()) == before


@pytest.fixture(scope="module")
def slice_root(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with the fitness of the real rows of Kuzmin 2018, in both backends."""
    root = tmp_path_factory.mktemp("slice")
    words = ("--dataset", "kuzmin2018", "--raw", test_data / SLICE, "--phenotype", "fitness")
    summary = document("build-cache", *words, "--backend", "both", "--shard-size", 5000, "--root", root)
    assert (summary["rows_read"], summary["shards"]) == (15095, 3)
    assert accounted(summary)
    return root


def test_the_real_slice_in_both_backends(slice_root: Path) -> None:
    cache = latest(slice_root)
    assert verify_cache(cache).findings == ()
    parquet, lmdb = (Cache(cache, backend) for backend in ("parquet", "lmdb"))
    for index in (0, 4999, 5000, len(parquet) - 1):
        assert parquet.sample(index) == lmdb.sample(index)
    shown = document("inspect", "sample", 4999, "--root", slice_root)
    sample = parquet.sample(4999)
    assert shown["value"] == sample.value
    assert [s["row"] for s in shown["provenance"]["sources"]] == [row for row, _, _ in sample.sources]
    assert len(shown["genes"]) == len(sample.genes) in (1, 2, 3)


def test_the_slice_holds_no_tau(test_data: Path, tmp_path: Path) -> None:
    words = ("--dataset", "kuzmin2018", "--raw", test_data / SLICE)
    process = run("build-cache", *words, "--phenotype", "tau", "--root", "root", cwd=tmp_path)
    assert (process.returncode, process.stdout) == (4, "")
    assert "none of its 15095 rows holds a tau" in process.stderr
    assert "--phenotype fitness" in process.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_of_a_long_table_reads_its_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = toy_build(tmp_path)
    table = tmp_path / "mine.csv"
    lines = table.read_text("utf-8").splitlines()
    table.write_text("\n".join([lines[0], *lines[1:] * 60]) + "\n", "utf-8")
    whole = document("build-cache", *words, "--root", tmp_path, "--duplicates", "keep", "--dry-run")
    assert (whole["samples"], whole["forecast"]["read_share"]) == (600, 1.0)
    monkeypatch.setattr(kept_pieces, "LONG", 0)
    monkeypatch.setattr(table_pieces, "BYTES", 1000)
    chunks = table_pieces.text_chunks
    monkeypatch.setattr(table_pieces, "text_chunks", lambda file, path: chunks(file, path, 128))
    begun = document("build-cache", *words, "--root", tmp_path, "--duplicates", "keep", "--dry-run")
    assert begun["fingerprint"] == whole["fingerprint"]
    assert 0.05 < begun["forecast"]["read_share"] < 0.5
    assert begun["samples"] == pytest.approx(600, rel=0.05)
    assert begun["forecast"]["memory_bytes"] > 10**7
    assert (
        "from the first"
        in invoke("build-cache", *words, "--duplicates", "keep", "--root", tmp_path, "--dry-run").stdout
    )
    assert not (tmp_path / "caches").exists()
