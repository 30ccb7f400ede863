"""`gocell train | evaluate | predict | explain` as a user runs them: one run of the bundled data, and small ones."""

import json
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from safetensors import safe_open

from gocell_cli.figures.run_page import run_page
from tests import toy
from tests.commands.fork_server import Forked, environment
from tests.commands.runners import document, document_apart, failure, invoke, predicted, run

TINY = ("--set", "min_width=2", "--set", "ratio=0.0", "--batch-size", "32")
VOICES = ("wide", "neighbours", "without_dcell", "without_wide", "without_neighbours")
SMALL = (*TINY, "--lr", "0.01")


def printed(run: Path) -> dict[str, Any]:
    """What `gocell train --json` printed of the run."""
    found: dict[str, Any] = json.loads((run.parent / "printed.json").read_text("utf-8"))
    return found


def test_train_prints_what_evaluate_prints(trained: Path) -> None:
    evaluated = document_apart("evaluate", trained)
    assert set(evaluated) == {
        "split",
        "n",
        "metrics",
        "baselines",
        "fitting",
        "ceiling",
        "ceiling_method",
        "of_ceiling",
        "voices",
        "dcell_adds",
    }
    assert set(evaluated["voices"]) == {"blend", *VOICES}
    assert evaluated["dcell_adds"]["metric"] == "auroc"
    assert {**evaluated, "fitting": 0} == {**{key: printed(trained)[key] for key in evaluated}, "fitting": 0}
    assert evaluated["fitting"]["mean"]["seconds"] >= 0
    assert evaluated["ceiling"] is None
    assert set(printed(trained)) == {*evaluated, "run", "record"}
    text = invoke("evaluate", trained, "--part", "train").stdout
    assert "train: 4,710 samples" in text
    assert "DCell" in text
    assert "mean" in text
    assert "fitted to these samples" in text
    assert "train: 4,710 samples" in invoke("evaluate", trained, "--split", "train").stdout, "what --part was called"
    assert "--part train|validation|test" in failure("evaluate", trained, "--part", "all").hint


def test_evaluate_writes_a_row_a_sample(trained: Path, tmp_path: Path) -> None:
    names = ("--baselines", "mean,additive")
    found = document_apart("evaluate", trained, *names, "--out", tmp_path / "samples.parquet")
    invoke("evaluate", trained, *names, "--out", tmp_path / "samples.tsv")
    table = pq.read_table(tmp_path / "samples.parquet").to_pydict()
    assert list(table) == [
        *("sample", "genes", "order", "untrained_genes", "part", "query_group", "value"),
        *("DCell", *VOICES, "blend", "mean", "additive"),
    ]
    assert set(table["untrained_genes"]) == {1}
    assert set(found["baselines"]) == set(found["fitting"]) == {"mean", "additive"}
    assert set(table["part"]) == {"test"}
    errors = np.array(table["DCell"]) - np.array(table["value"])
    assert found["metrics"]["mse"] == pytest.approx(np.square(errors).mean())
    lines = (tmp_path / "samples.tsv").read_text("utf-8").splitlines()
    assert lines[0].split("\t") == list(table)
    assert [line.split("\t")[1] for line in lines[1:]] == table["genes"]
    assert [float(line.split("\t")[7]) for line in lines[1:]] == table["DCell"]
    assert "--overwrite" in failure("evaluate", trained, "--out", tmp_path / "samples.tsv").hint
    assert "no baseline" in failure("evaluate", trained, "--baselines", "dcell").message


def test_a_constant_root_is_a_warning(small_cache: Path, tmp_path: Path) -> None:
    words = ("--epochs", 1, "--lr", "1e-9", "--baselines", "none", "--quiet", *TINY)
    done = run("train", small_cache, "--out", tmp_path / "run", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    warnings = [line for line in done.stderr.splitlines() if line.startswith("warning: the root's output is constant")]
    assert ["train" in line for line in warnings] == [True, False]
    assert "validation part" in warnings[1]


def test_a_run_by_any_gene_tests_an_unseen_gene_beside_known_ones(small_cache: Path, tmp_path: Path) -> None:
    """Of four genes one tests and one validates: of 14 sets of 1 to 3 genes four have either, three both."""
    words = ("--split", "any-gene", "--set", "fractions=[0.5,0.25,0.25]", "--baselines", "none", "--epochs", 1)
    found = document_apart("train", small_cache, "--out", tmp_path / "run", *words, *SMALL)
    split = found["record"]["split"]
    assert [split[key] for key in ("train", "validation", "test", "dropped")] == [36, 48, 48, 36]
    assert (split["kind"], split["test_with_new_gene"], split["test_with_known_genotype"]) == ("any-gene", 48, 0)
    assert not [name for name in found["metrics"] if "unseen" in name]  # all have one
    again = document("inspect", "split", "--cache", small_cache, "--split", tmp_path / "run")["split"]
    assert again["fingerprint"] == split["fingerprint"]
    assert "any-gene" in failure("inspect", "split", "--cache", small_cache, "--split", "any_gene").hint


def test_each_number_of_unseen_genes_has_its_metrics(small_cache: Path, tmp_path: Path) -> None:
    part = {"train": "A B", "validation": "ABC ABD", "test": "AB C AC AD BD CD ACD"}
    of_gene = dict(zip("ABCD", toy.GENES, strict=False))
    rows = [f"{' '.join(of_gene[g] for g in genes)},{name}" for name in part for genes in part[name].split()]
    (tmp_path / "split.csv").write_text("\n".join(["genes,part", *rows]) + "\n", "utf-8")
    words = ("--split", tmp_path / "split.csv", "--baselines", "mean", "--epochs", 1)
    found = document_apart("train", small_cache, "--out", tmp_path / "run", *words, *SMALL)
    evaluated = document("evaluate", tmp_path / "run", "--out", tmp_path / "samples.parquet")
    assert evaluated["metrics"] == found["metrics"]
    table = pq.read_table(tmp_path / "samples.parquet")
    of, predicted, value = (table.column(c).to_numpy() for c in ("untrained_genes", "DCell", "value"))
    own, mean = evaluated["metrics"], evaluated["baselines"]["mean"]
    for name, unseen, count in (("all_seen", 0, 12), ("one_unseen", 1, 48), ("more_unseen", 2, 24)):
        rows = of == unseen
        assert own[f"{name}_n"] == mean[f"{name}_n"] == rows.sum() == count
        assert own[f"{name}_rmse"] == pytest.approx(np.sqrt(np.square(predicted[rows] - value[rows]).mean()))
        assert mean[f"{name}_pearson"] is None
    assert own["one_unseen_pearson"] == pytest.approx(np.corrcoef(predicted[of == 1], value[of == 1])[0, 1], abs=1e-6)
    assert "(n 48)" in " ".join(invoke("evaluate", tmp_path / "run").stdout.split())
    results = run_page(tmp_path / "run").sections[0].tables[0]
    assert {"all seen r (n 12)", "one unseen r (n 48)"} <= set(results.columns)
    told = document("compare", tmp_path / "run")["comparisons"]
    assert [c["second"] for c in told] == [*VOICES, "blend", "mean"]


def test_settings_of_other_commands_reach_neither_evaluate_nor_explain(trained: Path, tmp_path: Path) -> None:
    """`split` is what train keeps apart and `samples` how many build-cache draws."""
    (tmp_path / "gocell.toml").write_text('split = "query"\nsamples = 4\n')
    for words in (("evaluate", trained), ("explain", trained, "--rlipp-samples", 60, "--top", 1)):
        done = run(*words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr


def test_predict_takes_any_name_and_names_what_training_never_saw(trained: Path) -> None:
    both, wild = predicted(trained, "--genes", "YFL039C,cdc28", "--genes", "")
    assert both["genes"] == ["YBR160W", "YFL039C"]
    assert wild["genes"] == []
    assert 0 <= both["value"] <= 1
    assert set(both["never_deleted_in_training"]) <= set(both["genes"])
    assert "did you mean" in failure("predict", trained, "--genes", "CDC288").hint


def test_all_pairs_of_named_genes_go_to_a_file(trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "pairs.parquet"
    genes = ("--genes", "YFL039C,cdc28", "--genes", "YKL191W,YLR172C")
    found = document("predict", trained, "--all-pairs", *genes, "--out", out)
    assert (found["genes"], found["pairs"], found["pairs_kept"], found["genome_pairs"]) == (4, 6, 0, 5_836 * 5_835 // 2)
    table = pq.read_table(out).to_pylist()
    assert {(r["gene_1"], r["gene_2"]) for r in table} >= {("YBR160W", "YFL039C"), ("YKL191W", "YLR172C")}
    both = predicted(trained, "--genes", "YFL039C,cdc28")[0]
    ours = next(r for r in table if (r["gene_1"], r["gene_2"]) == ("YBR160W", "YFL039C"))
    assert ours["viability"] == pytest.approx(both["value"], rel=1e-3)
    assert "--out" in failure("predict", trained, "--all-pairs").hint
    assert "--genes" in failure("predict", trained).hint


def test_a_run_leaves_its_figures(trained: Path) -> None:
    names = ("loss", "learning_rate", "predicted_against_true", "distributions", "error_per_split")
    assert all((trained / "figures" / f"{name}.png").read_bytes()[:4] == b"\x89PNG" for name in names)


def test_explain_scores_every_term_and_draws(trained: Path) -> None:
    found = document_apart("explain", trained, "--genes", "YFL039C", "--rlipp-samples", 60)
    terms, about = found["terms"], found["ranking"]
    assert len(terms) == 3793
    assert (about["fitted_samples"], about["judged_samples"], about["order"]) == (60, 60, "excess")
    ranked = [entry for entry in terms if entry["left_out"] is None]
    assert [entry["rank"] for entry in terms] == [*range(1, len(ranked) + 1), *[None] * (3793 - len(ranked))]
    assert sum(about["left_out"].values()) == 3793 - len(ranked)
    values = [entry["excess"] for entry in ranked]
    assert values == sorted(values, reverse=True)
    assert 0 < len(found["effects"]) < 400
    assert found["effects"][0]["activation"] >= found["effects"][-1]["activation"]
    assert (trained / "figures" / "terms.png").read_bytes()[:4] == b"\x89PNG"
    assert (trained / "figures" / "effect.png").read_bytes()[:4] == b"\x89PNG"


def test_sigterm_saves_and_the_hint_goes_on(small_cache: Path, tmp_path: Path) -> None:
    out = tmp_path / "stopped"
    words = ("gocell", "train", small_cache, "--out", out, "--epochs", "100000", *SMALL)
    process = Forked(words, tmp_path, environment())
    while not (out / "last.safetensors").exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGUSR1)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(600)
    assert process.returncode == 143, errors
    assert f"gocell train --resume --out {out}" in errors
    changed = run("train", "--resume", "--out", out, "--lr", 3, cwd=tmp_path)
    assert (changed.returncode, "its lr is 0.01, and 3.0 is asked for" in changed.stderr) == (2, True)


def test_one_command_begins_a_run_goes_on_with_it_and_beyond_its_end(small_cache: Path, tmp_path: Path) -> None:
    """As a job that is requeued gives it, whatever was killed when; a first directory that holds no run yet, too."""
    (tmp_path / "job" / "hierarchy").mkdir(parents=True)
    (tmp_path / "job" / "config.toml").write_text("epochs = 3\n", "utf-8")
    words = ("train", small_cache, "--resume", "--out", "job", *SMALL, "--set", "min_width=0", "--seed", 4)
    first = run(*words, "--epochs", 2, "--json", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "job: no run is here yet, and one begins" in first.stderr
    again = json.loads(run(*words, "--epochs", 2, "--json", cwd=tmp_path).stdout)
    assert again["metrics"] == json.loads(first.stdout)["metrics"]
    longer = run(*words, "--epochs", 4, "--json", cwd=tmp_path)
    assert longer.returncode == 0, longer.stderr
    assert "warning: not the run" not in longer.stderr
    record = json.loads(longer.stdout)["record"]
    assert (record["epochs"], record["extensions"]) == (
        4,
        [{"after": 2, "epochs": 4, "patience": 10, "differs": ""}],
    )
    whole = document_apart("train", small_cache, "--out", tmp_path / "whole", *words[5:], "--epochs", 4)
    assert json.loads(longer.stdout)["metrics"] == whole["metrics"]
    assert "no run is here" in run("train", "--resume", "--out", "typo", cwd=tmp_path).stderr
    assert not (tmp_path / "typo").exists()


def test_a_series_goes_on_by_the_command_that_began_it(small_cache: Path, tmp_path: Path) -> None:
    words = ("train", small_cache, "--resume", "--out", "series", *SMALL, "--epochs", 1, "--baselines", "none")
    first = run(*words, "--seeds", 2, "--json", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    again = run(*words, "--seeds", 2, "--json", cwd=tmp_path)
    assert json.loads(again.stdout)["rows"] == json.loads(first.stdout)["rows"]
    assert run(*words, "--seeds", 3, cwd=tmp_path).returncode == 2
    assert run(*words, cwd=tmp_path).returncode == 0


def test_a_schedule_of_other_epochs_is_told(small_cache: Path, tmp_path: Path) -> None:
    words = ("--out", "run", *SMALL, "--baselines", "none")
    made = run("train", small_cache, *words, "--epochs", 1, "--set", "scheduler=cosine", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    done = run("train", "--resume", "--out", "run", "--epochs", 2, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "warning: not the run that 2 epochs give from the start: the cosine schedule was one of 1" in done.stderr


def test_settings_come_from_flags_then_set_then_file(small_cache: Path, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text('epochs = 1\nsplit = "gene"\nseed = 3\nbatch_size = 256\n', "utf-8")
    words = ("--config", "run.toml", *SMALL, "--set", "seed=5", "--split", "random", "--quiet")
    done = run("train", small_cache, "--out", "layers", *words, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "layers\n"), done.stderr
    saved = (tmp_path / "layers" / "config.toml").read_text("utf-8").splitlines()
    assert {'split = "random"', "seed = 5", "batch_size = 32", "epochs = 1"} <= set(saved)


@pytest.mark.parametrize(
    ("words", "message", "left"),
    [
        (("--lr", "nan"), "lr is nan, not a finite number", False),
        (("--split", "query"), "without a query group", False),
        (("--lr", "1e20", "--set", "clip=0.0"), "training diverged in epoch 1, step", True),
    ],
)
def test_settings_that_cannot_be_are_one_error(
    small_cache: Path, tmp_path: Path, words: tuple[str, ...], message: str, left: bool
) -> None:
    done = run("train", small_cache, "--out", "run", *TINY, *words, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "run").exists() == left


def test_several_runs_are_ranked_beside_each_other_and_beside_controls(small_cache: Path, tmp_path: Path) -> None:
    for name, more in (("one", ()), ("two", ("--seed", 1)), ("control", ("--set", 'control="genes"'))):
        words = ("train", small_cache, "--out", tmp_path / name, "--epochs", 1, *SMALL, *more, "--quiet")
        assert run(*words, cwd=tmp_path).returncode == 0
    runs = (tmp_path / "one", tmp_path / "two")
    found = document("explain", *runs, tmp_path / "control", "--least-power", 0, "--least-activations", 2)
    assert found["runs"] == [str(one) for one in runs]
    assert found["controls"] == [str(tmp_path / "control")]
    assert {entry["p_controls"] for entry in found["terms"]} <= {0.5, 1.0, None}
    refused = failure("explain", *runs, "--genes", "TFC3")
    assert "one run" in refused.message


def test_the_voice_that_is_asked_answers_and_the_blend_where_nobody_asks(trained: Path) -> None:
    """The blend is the mean plus the weighted rest of what its voices say, as run.json has the weights."""
    record = json.loads((trained / "run.json").read_text("utf-8"))
    genes = ("--genes", "YFL039C", "--genes", "YKL191W")
    by_voice = {
        voice: np.array([one["value"] for one in predicted(trained, *genes, "--model", voice)])
        for voice in ("dcell", "wide", "neighbours", "blend")
    }
    asked = [one["value"] for one in predicted(trained, *genes)]
    assert asked == by_voice["blend"].tolist()
    state = json.loads(safe_open(trained / "voices.safetensors", framework="np").metadata()["state"])
    weights = {name: record["voices"][name]["weight"] for name in by_voice if name != "blend"}
    assert state["blend"] == weights
    wanted = state["mean"] + sum(weights[name] * (by_voice[name] - state["mean"]) for name in weights)
    assert by_voice["blend"] == pytest.approx(np.clip(wanted, 0, 1))
    assert len({values.tobytes() for values in by_voice.values()}) == 4
    assert "--model blend, dcell, wide, neighbours" in failure("predict", trained, *genes, "--model", "network").hint


def test_a_run_without_other_voices_answers_by_its_network(small_cache: Path, tmp_path: Path) -> None:
    out, words = tmp_path / "alone", ("--set", "wide=none", "--set", "neighbours=none")
    done = run("train", small_cache, "--out", out, *SMALL, "--epochs", 1, *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert not (out / "voices.safetensors").exists()
    assert "voices" not in document("evaluate", out)
    genes = ("--genes", "YAL001C")
    assert document("predict", out, *genes) == document("predict", out, *genes, "--model", "dcell")
    refused = failure("predict", out, *genes, "--model", "wide")
    assert "no wide" in refused.message
    assert "wide=auto" in refused.hint


def test_a_ranking_is_printed_only_where_the_network_adds_something(trained: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    shutil.copytree(trained, run_dir)
    words = ("explain", run_dir, "--rlipp-samples", 60, "--top", 3)
    record = json.loads((run_dir / "run.json").read_text("utf-8"))
    for low, told in ((-0.1, False), (0.1, True)):
        adds = {"metric": "auroc", "difference": 0.2, "samples": [low, 0.3], "groups": None, "encoder": False}
        record["results"]["test"]["dcell_adds"] = adds
        (run_dir / "run.json").write_text(json.dumps(record))
        text = invoke(*words).stdout
        assert ("Terms by excess" in text) is told
        assert ("adds nothing" in text) is not told
        assert "Terms by excess" in invoke(*words, "--even-so").stdout
        assert document(*words)["dcell_adds"] == adds
