"""`gocell train | evaluate | predict | explain` as a user runs them, on the bundled essentiality data."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

GOCELL = str(Path(sys.executable).parent / "gocell")
SMALL = [
    "--set",
    "min_width=2",
    "--set",
    "ratio=0.0",
    "--set",
    "gene_weights=shared",
    "--batch-size",
    "512",
    "--lr",
    "0.01",
]


def gocell(*words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([GOCELL, *words], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == code, done.stderr
    return done


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("train")
    gocell("build-cache", "--root", str(folder))
    return folder


@pytest.fixture(scope="module")
def trained(root: Path) -> dict[str, object]:
    out = root / "runs" / "one"
    done = gocell("train", "--root", str(root), "--out", str(out), "--epochs", "2", *SMALL, "--json")
    found: dict[str, object] = json.loads(done.stdout)
    assert "epoch 2/2" in done.stderr
    return found


def test_train_prints_what_evaluate_prints(trained: dict[str, object]) -> None:
    evaluated = json.loads(gocell("evaluate", str(trained["run"]), "--json").stdout)
    assert set(evaluated) == {"split", "n", "metrics", "baselines", "ceiling"}
    assert evaluated == {key: trained[key] for key in evaluated}
    assert evaluated["ceiling"] is None
    text = gocell("evaluate", str(trained["run"]), "--split", "train").stdout
    assert "train: 4,710 samples" in text
    assert "DCell" in text
    assert "mean" in text


def test_predict_takes_any_name_and_names_what_training_never_saw(trained: dict[str, object]) -> None:
    done = gocell("predict", str(trained["run"]), "--genes", "YFL039C,cdc28", "--genes", "", "--json")
    both, wild = json.loads(done.stdout)
    assert both["genes"] == ["YBR160W", "YFL039C"]
    assert wild["genes"] == []
    assert 0 <= both["viability"] <= 1
    assert set(both["never_deleted_in_training"]) <= set(both["genes"])
    assert "did you mean" in gocell("predict", str(trained["run"]), "--genes", "CDC288", code=2).stderr


def test_all_pairs_of_named_genes_go_to_a_file(trained: dict[str, object], tmp_path: Path) -> None:
    run, out = str(trained["run"]), tmp_path / "pairs.parquet"
    genes = ("--genes", "YFL039C,cdc28", "--genes", "YKL191W,YLR172C")
    found = json.loads(gocell("predict", run, "--all-pairs", *genes, "--out", str(out), "--json").stdout)
    assert (found["genes"], found["pairs"], found["pairs_kept"], found["genome_pairs"]) == (4, 6, 0, 21_796_503)
    table = pq.read_table(out).to_pylist()
    assert {(r["gene_1"], r["gene_2"]) for r in table} >= {("YBR160W", "YFL039C"), ("YKL191W", "YLR172C")}
    both = json.loads(gocell("predict", run, "--genes", "YFL039C,cdc28", "--json").stdout)[0]
    ours = next(r for r in table if (r["gene_1"], r["gene_2"]) == ("YBR160W", "YFL039C"))
    assert ours["viability"] == pytest.approx(both["viability"], rel=1e-3)
    assert "--out" in gocell("predict", run, "--all-pairs", code=2).stderr
    assert "--genes" in gocell("predict", run, code=2).stderr


def test_a_run_leaves_its_figures(trained: dict[str, object]) -> None:
    folder = Path(str(trained["run"])) / "figures"
    names = ("loss", "learning_rate", "predicted_against_true", "distributions", "error_per_split")
    assert all((folder / f"{name}.png").read_bytes()[:4] == b"\x89PNG" for name in names)


def test_explain_scores_every_term_and_draws(trained: dict[str, object]) -> None:
    run = Path(str(trained["run"]))
    found = json.loads(gocell("explain", str(run), "--genes", "YFL039C", "--samples", "200", "--json").stdout)
    assert len(found["rlipp"]) == 3793
    assert 0 < len(found["effects"]) < 400
    assert found["effects"][0]["activation"] >= found["effects"][-1]["activation"]
    assert (run / "figures" / "rlipp.png").read_bytes()[:4] == b"\x89PNG"
    assert (run / "figures" / "effect.png").read_bytes()[:4] == b"\x89PNG"


def test_sigterm_saves_and_the_hint_goes_on(root: Path) -> None:
    out = root / "runs" / "stopped"
    command = [GOCELL, "train", "--root", str(root), "--out", str(out), "--epochs", "500", *SMALL]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    last = out / "last.safetensors"
    for _ in range(600):
        if last.exists():
            break
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGUSR1)
    os.kill(process.pid, signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143, errors
    assert f"gocell train --resume --out {out}" in errors
    assert "--resume goes on" in gocell("train", "--root", str(root), "--out", str(out), code=2).stderr
    assert "settings a run has" in gocell("train", "--resume", "--out", str(out), "--epochs", "3", code=2).stderr


def test_settings_come_from_flags_then_set_then_file(root: Path, tmp_path: Path) -> None:
    config = tmp_path / "run.toml"
    config.write_text('epochs = 1\nsplit = "gene"\nseed = 3\nbatch_size = 256\n', "utf-8")
    out = root / "runs" / "layers"
    gocell(
        "train",
        "--root",
        str(root),
        "--out",
        str(out),
        "--config",
        str(config),
        *SMALL,
        "--set",
        "seed=5",
        "--split",
        "random",
    )
    saved = (out / "config.toml").read_text("utf-8")
    assert 'split = "random"' in saved
    assert "seed = 5" in saved
    assert "batch_size = 512" in saved
    assert "epochs = 1\n" in saved
    assert "no setting 'pace'" in gocell("train", "--root", str(root), "--set", "pace=1", code=2).stderr
    assert "no query" in gocell("train", "--root", str(root), "--split", "query", code=2).stderr.replace(
        "without a query", "no query"
    )
