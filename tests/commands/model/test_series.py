"""`gocell train --seeds | --folds | --controls` as a user runs it: the same runs as one by one, one table of all."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from gocell_cli.errors import UsageError
from gocell_cli.storage.reader import Cache
from gocell_cli.training.runs.store import RunStore
from tests.commands.fork_server import completed, environment
from tests.commands.runners import GOCELL, document, failure, invoke, predicted, run

TINY = (
    "--epochs", 2, "--batch-size", 32, "--lr", 0.01, "--baselines", "mean,additive", "--set", "min_width=2",
    "--set", "ratio=0.0", "--set", "population_samples=50", "--set", "fractions=[0.5,0.2,0.3]",
    "--set", "init_range=0.5",
)  # fmt: skip
ASKED = ("--seeds", 2, "--controls", 1, "--control-kinds", "genes,dag")
RUNS = ["seed-0", "seed-1", "seed-0-genes-0", "seed-0-dag-0"]


def trained(*words: object, cwd: Path, code: int = 0) -> dict[str, Any]:
    """What `gocell train --json` prints."""
    done = run("train", *words, "--json", cwd=cwd)
    assert done.returncode == code, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def steady(series: Path) -> dict[str, Any]:
    """series.json without its seconds, and those of baselines."""

    def without(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: without(inner) for key, inner in value.items() if key != "seconds"}
        return [without(inner) for inner in value] if isinstance(value, list) else value

    found: dict[str, Any] = without(json.loads((series / "series.json").read_text("utf-8")))
    return found


def weights(folder: Path) -> dict[str, tuple[bytes, ...]]:
    """The best weights of every run of a folder."""
    return {
        path.parent.name: tuple(v.numpy().tobytes() for _, v in sorted(RunStore(path.parent).load("best")[0].items()))
        for path in sorted(folder.glob("*/best.safetensors"))
    }


@pytest.fixture(scope="module")
def folder(small_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a series in `series`, and what was printed of it. Do not change what is there."""
    place = tmp_path_factory.mktemp("series")
    done = run("train", small_cache, "--out", "series", *ASKED, *TINY, "--json", cwd=place)
    assert done.returncode == 0, done.stderr
    (place / "printed.json").write_text(done.stdout, "utf-8")
    (place / "said.txt").write_text(done.stderr, "utf-8")
    return place


def test_a_member_is_the_run_that_it_would_be_alone(folder: Path, small_cache: Path, tmp_path: Path) -> None:
    alone = {
        "seed-1": ("--seed", 1),
        "seed-0-genes-0": ("--set", "control=genes", "--set", "control_seed=0", "--baselines", "none"),
    }
    assert sorted(weights(folder / "series")) == sorted(RUNS)
    assert len(set(weights(folder / "series").values())) == len(RUNS), "all are different"
    for member, words in alone.items():
        tiny = (
            TINY if "--baselines" not in words else tuple(w for w in TINY if w not in ("--baselines", "mean,additive"))
        )
        trained(small_cache, "--out", member, *tiny, *words, cwd=tmp_path)
        assert weights(tmp_path)[member] == weights(folder / "series")[member]
        one, other = (json.loads((place / member / "run.json").read_text()) for place in (tmp_path, folder / "series"))
        assert one["results"]["test"]["metrics"] == other["results"]["test"]["metrics"]
        assert one["split"] == other["split"]


def test_the_table_is_of_the_runs(folder: Path) -> None:
    found, series = json.loads((folder / "printed.json").read_text("utf-8")), folder / "series"
    reached = {name: json.loads((series / name / "run.json").read_text("utf-8"))["results"]["test"] for name in RUNS}
    network = [reached[name]["metrics"]["pearson"] for name in RUNS[:2]]
    row = found["rows"]["DCell"]["pearson"]
    assert row["values"] == dict(zip(RUNS[:2], network, strict=True))
    assert (row["mean"], row["sd"]) == pytest.approx((np.mean(network), np.std(network, ddof=1)))
    assert found["rows"]["additive"]["rmse"]["values"]["seed-1"] == reached["seed-1"]["baselines"]["additive"]["rmse"]
    above = network[0] - reached["seed-0-dag-0"]["metrics"]["pearson"]
    assert found["ontology"]["dag"] == {"mean": above, "sd": None, "n": 1, "values": {"seed-0-dag-0": above}}
    assert found["record"]["members"][3]["partner"] == "seed-0"
    said = (folder / "said.txt").read_text("utf-8")
    assert [line for name in RUNS for line in said.splitlines() if f"train: {name}: r " in line] == [
        line for line in said.splitlines() if " of 4)" in line
    ], "a line a run"


def test_evaluate_prints_the_table_again_and_other_readers_name_the_runs(folder: Path) -> None:
    printed = json.loads((folder / "printed.json").read_text("utf-8"))
    series = folder / "series"
    assert document("evaluate", series) == {**printed, "series": str(series)}
    validation = document("evaluate", series, "--part", "validation")
    results = json.loads((series / "seed-0" / "run.json").read_text("utf-8"))["results"]["validation"]
    assert validation["rows"]["DCell"]["rmse"]["values"]["seed-0"] == results["metrics"]["rmse"]
    text = invoke("evaluate", series).stdout
    assert "test: r of 2 runs" in text
    assert "control genes: DCell" in text
    assert "control genes: blend" in text
    for what in ("DCell", "blend"):
        assert f"share of r, {what} less that of the control of the same seed and split:\n  genes" in text
    assert document("evaluate", series / "seed-0-genes-0")["metrics"] == results_of(series / "seed-0-genes-0")
    for words in (("report", series, "--out", "x.html"), ("evaluate", series, "--baselines", "mean")):
        error = failure(*words)
        assert isinstance(error, UsageError)
        assert "a series of 4 runs, not one" in error.message
        assert str(series / "seed-0") in error.hint


def test_all_triples_of_a_series_are_its_runs_mean_and_stopped_they_go_on(
    folder: Path, small_cache: Path, tmp_path: Path
) -> None:
    hierarchy = Cache(small_cache).hierarchy
    names = ",".join(hierarchy.gene_names[gene] for gene in np.unique(hierarchy.row_gene)[:5])
    series = folder / "series"
    words = ("--all-triples", "--genes", names)
    expected = document("predict", series, *words, "--dry-run", "--out", tmp_path / "all.parquet")
    assert (expected["triples"], expected["rows"], expected["status"]) == (10, 10, "dry run")
    assert not list(tmp_path.iterdir())
    done = document("predict", series, *words, "--out", tmp_path / "all.parquet")
    assert (done["triples"], done["triples_kept"], done["runs"]) == (10, 0, 2)
    rows = pq.read_table(tmp_path / "all.parquet").to_pylist()
    assert expected["columns"] == list(rows[0])
    for row in rows:
        genes = ",".join(row[f"gene_{place}"] for place in (1, 2, 3))
        alone = predicted(series, "--genes", genes)[0]
        label = "+".join(alone["genes"])
        assert row["fitness"] == pytest.approx(alone["value"], abs=1e-6)
        assert row["tau"] == pytest.approx(alone["tau"][label], abs=1e-6)
        assert row["tau_sd"] == pytest.approx(alone["sd"]["tau"][label], abs=1e-6)
    first = ("--top", 2, "--rank-by", "tau", "--out", tmp_path / "first.parquet")
    assert document("predict", series, *words, *first)["rows_written"] == 2
    best = pq.read_table(tmp_path / "first.parquet").to_pylist()
    assert best == sorted(rows, key=lambda row: -abs(row["tau"]))[:2]
    assert document("predict", series, *words, "--out", tmp_path / "all.parquet")["triples_kept"] == 10


def test_predict_takes_a_series_as_one_model(folder: Path) -> None:
    """Mean and standard deviation over its runs, controls left out."""
    series, genes = folder / "series", ("--genes", "YAL001C", "--genes", "")
    for model in ((), ("--model", "dcell")):
        found = predicted(series, *genes, *model)
        each = [predicted(series / run, *genes, *model) for run in RUNS[:2]]
        for number, one in enumerate(found):
            values = [of_run[number]["value"] for of_run in each]
            assert one["by_run"] == values
            assert one["value"] == pytest.approx(np.mean(values))
            assert one["sd"]["value"] == pytest.approx(np.std(values, ddof=1))
    done = run("predict", series, "--genes", "YAL001C", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "over 2 runs" in done.stdout


def test_runs_of_one_split_are_judged_together(folder: Path, small_cache: Path) -> None:
    done = trained(small_cache, "--out", "alike", "--seeds", 2, "--split-seed", 3, *TINY, cwd=folder)
    tables = [pq.read_table(folder / "alike" / run / "test.parquet").to_pydict() for run in RUNS[:2]]
    assert tables[0]["sample"] == tables[1]["sample"]
    for name in ("DCell", "blend"):
        mean = np.mean([table[name] for table in tables], axis=0)
        kept = np.array([value is not None for value in tables[0]["value"]])
        value = np.array(tables[0]["value"], dtype=float)
        wanted = np.corrcoef(mean[kept], value[kept])[0, 1]
        assert done["mean_of_runs"][name] == pytest.approx(wanted)
    assert "mean of all runs" in invoke("evaluate", folder / "alike").stdout
    assert "split of its own" in document("evaluate", folder / "series")["mean_of_runs"]


def results_of(directory: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((directory / "run.json").read_text("utf-8"))["results"]["test"]["metrics"]
    return found


def test_explain_takes_a_series_as_its_runs_and_its_controls(folder: Path) -> None:
    series = folder / "series"
    few = ("--least-power", 0, "--least-activations", 2)
    found = document("explain", series, *few)
    assert found["runs"] == [str(series / run) for run in RUNS[:2]]
    assert found["controls"] == [str(series / run) for run in RUNS[2:]]
    assert found == document("explain", *(series / run for run in RUNS), *few)
    assert "ranked in" in invoke("explain", series, *few, "--even-so").stdout


def test_a_finished_series_is_not_trained_again(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "series", tmp_path / "series")
    (tmp_path / "series" / "series.json").write_text(  # as if it had died before the last member was taken in
        json.dumps({**steady(folder / "series"), "members": [
            {k: v for k, v in m.items() if k != "results"} for m in steady(folder / "series")["members"]
        ]})
    )  # fmt: skip
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "series").glob("*/*")}
    (tmp_path / "gocell.toml").write_text('[train]\nepochs = 7\nseeds = 9\nset = ["clip=2.0"]\n')  # of new runs alone
    found = trained("--resume", "--out", "series", cwd=tmp_path)
    printed = json.loads((folder / "printed.json").read_text("utf-8"))
    assert {key: found[key] for key in ("rows", "ontology")} == {key: printed[key] for key in ("rows", "ontology")}
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "series").glob("*/*")} == before
    assert steady(tmp_path / "series") == steady(folder / "series")


def test_two_at_a_time_are_the_same_runs_and_end_in_order(folder: Path, small_cache: Path, tmp_path: Path) -> None:
    """SIGTERM as the first of them has ended: the other saves, and all goes on to the same bits."""
    words = ["gocell", "train", small_cache, "--out", tmp_path / "series", *ASKED, *TINY, "--jobs", 2]
    argv = ["killed_at", 10, int(signal.SIGTERM), tmp_path, *words[1:]]
    done = completed(argv, tmp_path, environment(), "tests.attacks.killed_at:main")
    assert done.returncode == 143, done.stderr
    assert "go on with: gocell train --resume --out" in done.stderr
    ended = [member for member in steady(tmp_path / "series")["members"] if "results" in member]
    assert 1 <= len(ended) < len(RUNS)
    trained("--resume", "--out", "series", "--jobs", 2, cwd=tmp_path)
    assert weights(tmp_path / "series") == weights(folder / "series")
    assert steady(tmp_path / "series") == steady(folder / "series")


def test_a_signal_to_the_whole_group_stops_a_series_as_one_to_itself(small_cache: Path, tmp_path: Path) -> None:
    """A batch system's kill takes the process that starts the others as well: here while that loads torch."""
    many = ("--seeds", 40, "--jobs", 2, *TINY)
    words = [GOCELL, "train", str(small_cache), "--out", "series", *map(str, many)]
    with subprocess.Popen(
        words, cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        begun = time.monotonic()
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        while not children.read_text().split() and time.monotonic() < begun + 300:
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(0.2)
        os.killpg(process.pid, signal.SIGTERM)
        _, told = process.communicate(timeout=300)
    assert process.returncode == 128 + signal.SIGTERM, told
    assert "go on with: gocell train --resume --out" in told
    assert "nobody answered" not in told


def test_folds_are_a_run_each_and_test_every_sample_once(small_cache: Path, tmp_path: Path) -> None:
    found = trained(small_cache, "--out", "series", "--folds", 3, *TINY, cwd=tmp_path)
    assert list(found["rows"]["DCell"]["pearson"]["values"]) == [f"seed-0-fold-{fold}" for fold in range(3)]
    parts = [pq.read_table(tmp_path / "series" / f"seed-0-fold-{fold}" / "split.parquet")["part"].to_pylist()
             for fold in range(3)]  # fmt: skip
    tested = [sum(part[row] == "test" for part in parts) for row in range(len(Cache(small_cache)))]
    assert set(tested) == {1}
    one = trained(small_cache, "--out", "one", "--set", "folds=3", "--set", "fold=1", *TINY, cwd=tmp_path)
    assert one["metrics"]["pearson"] == found["rows"]["DCell"]["pearson"]["values"]["seed-0-fold-1"]


def test_runs_that_diverge_stop_no_other_and_are_not_tried_again(small_cache: Path, tmp_path: Path) -> None:
    rate = tuple("1e20" if word == 0.01 else word for word in TINY)
    words = ("--seeds", 2, *rate, "--set", "clip=0.0")
    found = trained(small_cache, "--out", "series", *words, cwd=tmp_path, code=2)
    assert list(found["diverged"]) == ["seed-0", "seed-1"]
    assert "training diverged in epoch 1" in found["diverged"]["seed-1"]
    left = (tmp_path / "series" / "seed-1" / "config.toml").stat().st_mtime_ns
    again = trained("--resume", "--out", "series", cwd=tmp_path, code=2)
    assert again["diverged"] == found["diverged"]
    assert (tmp_path / "series" / "seed-1" / "config.toml").stat().st_mtime_ns == left
    assert "diverged: seed-0, seed-1" in invoke("evaluate", tmp_path / "series").stdout


def test_a_series_is_no_matter_of_torchruns(small_cache: Path, tmp_path: Path) -> None:
    done = run("train", small_cache, "--seeds", 2, "--out", "series", cwd=tmp_path, WORLD_SIZE="2", RANK="0")
    assert (done.returncode, done.stdout) == (2, "")
    assert "torchrun's processes train one run together" in done.stderr
    assert not (tmp_path / "series").exists()


def test_a_split_that_has_changed_since_ends_a_series(small_cache: Path, tmp_path: Path) -> None:
    (tmp_path / "folds.csv").write_text("genes,fold\nYAL001C,0\nYAL002W,1\nYAL003W,2\nYAL001C YAL002W,0\n")
    words = ("--split", "folds.csv", "--folds", 3, *TINY)
    found = trained(small_cache, "--out", "series", *words, cwd=tmp_path)
    assert list(found["rows"]["DCell"]["rmse"]["values"]) == [f"seed-0-fold-{fold}" for fold in range(3)]
    (tmp_path / "folds.csv").write_text("genes,fold\nYAL001C,0\nYAL002W,1\nYAL003W,2\n")
    done = run("train", "--resume", "--out", "series", cwd=tmp_path)
    assert (done.returncode, "not the split that this series began with" in done.stderr) == (4, True)
