"""`gocell compare` on real runs: what it prints, writes and draws, and what it needs neither torch nor a cache for."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.commands.runners import document_apart, failure, invoke, looked_at


def changed(run: Path, out: Path, table: pa.Table | None) -> Path:
    """A copy of a run with other predictions; None: one of before runs kept them."""
    shutil.copytree(run, out)
    record = json.loads((out / "run.json").read_text("utf-8"))
    if table is None:
        (out / "test.parquet").unlink()
        del record["predictions"]
    else:
        pq.write_table(table, out / "test.parquet")
        record["predictions"]["sha256"] = hashlib.sha256((out / "test.parquet").read_bytes()).hexdigest()
    (out / "run.json").write_text(json.dumps(record), "utf-8")
    return out


@pytest.fixture
def other(trained: Path, tmp_path: Path) -> Path:
    """A run that predicts a third of the test part better, and has 9 samples less in it, in another order."""
    table = pq.read_table(trained / "test.parquet")
    value, predicted = (np.array(table.column(name)) for name in ("value", "DCell"))
    better = np.where(np.arange(len(value)) % 3 == 0, (value + predicted) / 2, predicted)
    place = table.column_names.index("DCell")
    table = table.set_column(place, "DCell", pa.array(better))
    return changed(trained, tmp_path / "other", table.take(np.random.default_rng(0).permutation(len(value))[9:]))


def test_a_run_keeps_what_it_predicts(trained: Path) -> None:
    table = pq.read_table(trained / "test.parquet").to_pydict()
    record = json.loads((trained / "run.json").read_text("utf-8"))
    assert len(table["value"]) == record["results"]["test"]["n"] == 589
    r = np.corrcoef(table["DCell"], table["value"])[0, 1]
    assert r == pytest.approx(record["results"]["test"]["metrics"]["pearson"], abs=1e-9)
    assert record["predictions"]["path"] == "test.parquet"


def test_one_run_is_compared_with_its_baselines(trained: Path) -> None:
    found = document_apart("compare", trained, "--resamples", 200)
    record = json.loads((trained / "run.json").read_text("utf-8"))
    results = record["results"]["test"]
    assert (found["metric"], found["against"], found["resamples"]) == ("auroc", "run", 200)
    assert {c["second"] for c in found["comparisons"]} == {*results["baselines"], *results["voices"]}
    for comparison in found["comparisons"]:
        auroc = comparison["metrics"]["auroc"]
        assert auroc["first"] == pytest.approx(results["metrics"]["auroc"], abs=1e-6)
        second = {**results["baselines"], **results["voices"]}[comparison["second"]]
        assert auroc["second"] == pytest.approx(second["auroc"], abs=1e-6)
        assert auroc["samples"][0] <= auroc["difference"] <= auroc["samples"][1]
        assert auroc["groups"] is None
        assert (comparison["shared"], comparison["only_first"], comparison["only_second"]) == (589, 0, 0)
    text = invoke("compare", trained, "--against", "additive", "--resamples", 100).stdout
    assert "test, against additive" in text
    assert "additive" in failure("compare", trained, "--against", "another").hint


def test_two_runs_are_compared_on_what_they_share(trained: Path, other: Path, tmp_path: Path) -> None:
    words = ("--resamples", 100, "--metric", "rmse", "--figure", tmp_path / "f.svg", "--out", tmp_path / "t.tsv")
    text = invoke("compare", trained, other, *words).stdout
    assert "other is better than run by 0." in text
    (found,) = document_apart("compare", trained, other, "--resamples", 100)["comparisons"]
    assert (found["shared"], found["only_first"], found["only_second"]) == (580, 9, 0)
    assert f"{found['metrics']['rmse']['difference']:+.4f}" in text
    assert (tmp_path / "f.svg").read_text("utf-8").startswith("<?xml")
    rows = [line.split("\t") for line in (tmp_path / "t.tsv").read_text("utf-8").splitlines()]
    assert [row[:3] for row in rows[1:]] == [["other", "run", m] for m in ("pearson", "spearman", "rmse", "auroc")]
    assert float(rows[3][rows[0].index("difference")]) == found["metrics"]["rmse"]["difference"]
    same = document_apart("compare", other, other, "--resamples", 100)["comparisons"][0]["metrics"]
    assert {tuple(m["samples"]) for m in same.values()} == {(0.0, 0.0)}


def test_a_folder_of_runs_is_a_series(trained: Path, other: Path, tmp_path: Path) -> None:
    for name, run in (("a", trained), ("b", other)):
        for number in range(2):
            shutil.copytree(run, tmp_path / name / f"seed-{number}")
    (found,) = document_apart("compare", tmp_path / "a", tmp_path / "b", "--resamples", 100)["comparisons"]
    assert [[Path(run).parts[-2:] for run in pair] for pair in found["pairs"]] == [
        [("a", f"seed-{i}"), ("b", f"seed-{i}")] for i in range(2)
    ]
    assert found["metrics"]["rmse"]["sd"] == 0
    assert "in 2 of 2 pairs of runs" in found["says"]


def test_a_run_of_before_is_evaluated_anew(trained: Path, tmp_path: Path) -> None:
    old = changed(trained, tmp_path / "old", None)
    done = invoke("compare", trained, old, "--resamples", 100)
    assert "evaluated anew" in done.stderr
    assert "old and run have the same auroc" in done.stdout


def test_predictions_are_compared_without_torch_or_a_cache(trained: Path, other: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(trained, moved)
    record = json.loads((moved / "run.json").read_text("utf-8"))
    (moved / "run.json").write_text(json.dumps({**record, "cache": "/nowhere"}), "utf-8")
    (got,) = looked_at([(["compare", str(moved), str(other), "--resamples", "100"], str(tmp_path), "")])
    assert got["code"] == 0, got
    assert set(got["loaded"]) <= {"numpy", "pyarrow"}


def test_damaged_predictions_are_refused(trained: Path, tmp_path: Path) -> None:
    for name, kept in (("bits", -9), ("none", 0)):
        shutil.copytree(trained, tmp_path / name)
        path = tmp_path / name / "test.parquet"
        path.write_bytes(path.read_bytes()[:kept])
        refused = failure("compare", tmp_path / name)
        assert refused.exit_code == 5
        assert "its sha256 is not the one recorded" in refused.message
    plain = changed(trained, tmp_path / "plain", pa.table({"genes": ["a"], "query_group": ["b"], "value": [1.0]}))
    assert "cannot be read" in failure("compare", plain).message
