"""`gocell train` on a cache of several phenotypes: the one that is asked for, and all that follows from it."""

import json
from pathlib import Path

import numpy as np
import pytest

from gocell_cli.building.build import BuildMode, build
from gocell_cli.building.plan import BuildOptions, plan_build
from gocell_cli.sources.screens import own_table, table_columns
from gocell_cli.storage.reader import Cache
from gocell_cli.storage.records import BACKENDS
from gocell_cli.training.pyg.cell_dataset import CellDataset
from tests import toy
from tests.commands.runners import run

PARTS = ("--set", "fractions=[0.4, 0.2, 0.4]")
SMALL = (
    *PARTS,
    "--set",
    "min_width=2",
    "--set",
    "ratio=0.0",
    "--batch-size",
    32,
    "--epochs",
    2,
    "--baselines",
    "additive",
)


def built(folder: Path, columns: str) -> Path:
    """168 strains of 1 to 3 deletions, a sample each; fitness of all, `score` of those that delete several."""
    rng = np.random.default_rng(0)
    lines = ["genes,fitness,score,whole"]
    for number in range(168):
        genes = rng.choice(4, size=1 + number % 3, replace=False)
        fitness = 1 - 0.1 * genes.sum() + rng.normal(0, 0.02)
        score = f"{rng.normal() + genes.sum():.6f}" if len(genes) > 1 else ""
        lines.append(f"{'+'.join(toy.GENES[g] for g in sorted(genes))},{fitness:.6f},{score},{3 * fitness:.6f}")
    (folder / "screen.csv").write_text("\n".join(lines) + "\n", "utf-8")
    options = table_columns.TableOptions(phenotype=columns)
    dataset, _ = own_table.read(folder / "screen.csv", toy.gene_table(), options)
    chosen = BuildOptions(toy.RULES, backends=BACKENDS, duplicates="keep")
    plan = plan_build(toy.ontology(folder), toy.annotations(folder), toy.gene_table(), dataset, chosen, {})
    return build(plan, folder / columns.replace(",", "-"), BuildMode()).directory


def test_a_phenotype_of_several_is_trained_as_it_is_alone(tmp_path: Path) -> None:
    """The same bits: samples, split and order are the same, only the labels are chosen."""
    several, alone = built(tmp_path, "fitness,score,whole"), built(tmp_path, "whole")
    done = run("train", several, "--phenotype", "whole", "--out", "one", *SMALL, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "phenotype: it learns whole of 168 of 168 samples;" in done.stderr
    expected = run("train", alone, "--out", "two", *SMALL, "--json", cwd=tmp_path)
    assert "phenotype:" not in expected.stderr
    found, other = json.loads(done.stdout), json.loads(expected.stdout)
    assert found["metrics"] == other["metrics"]
    assert found["record"]["phenotype"] == other["record"]["phenotype"] == {"kind": "whole", "statistic": ""}
    again = run("evaluate", "one", "--json", cwd=tmp_path)
    assert json.loads(again.stdout)["metrics"] == found["metrics"]


def test_samples_that_lack_it_are_left_out_and_counted(tmp_path: Path) -> None:
    cache = built(tmp_path, "fitness,score")
    words = (*SMALL, "--json")
    first = json.loads(run("train", cache, "--out", "first", *words, cwd=tmp_path).stdout)
    done = run("train", cache, "--phenotype", "score", "--out", "run", *words, cwd=tmp_path)
    assert "it learns score of 112 of 168 samples; samples without it are left out; another: --phenotype fitness" in (
        done.stderr
    )
    found = json.loads(done.stdout)
    assert (first["record"]["nan_labels"], found["record"]["nan_labels"]) == (0, 56)
    assert (
        found["record"]["split"]["fingerprint"] == first["record"]["split"]["fingerprint"]
    )  # so that the two can be compared
    metrics = found["metrics"]
    assert metrics["n"] + metrics["nan_labels"] == first["metrics"]["n"]
    # each number of deletions for itself: no single mutant has a score
    assert {"double_n", "triple_n"} <= set(metrics)
    assert "single_n" not in metrics
    assert metrics["double_n"] + metrics["triple_n"] == metrics["n"]
    assert {"single_n", "double_n", "triple_n"} <= set(first["metrics"])
    more = run("train", "--resume", "--out", "run", "--epochs", 3, "--json", cwd=tmp_path)
    assert json.loads(more.stdout)["record"]["phenotype"]["kind"] == "score"
    said = run("predict", "run", "--genes", toy.GENES[0], "--json", cwd=tmp_path)
    assert "score" in said.stdout
    table = run("evaluate", "run", cwd=tmp_path).stdout
    assert f"test: {metrics['n']} samples, {metrics['nan_labels']} more without the phenotype" in table


@pytest.mark.parametrize(("asked", "named"), [("fitness,scor", "scor"), ("scor", "scor"), ("fitness,", "")])
def test_what_the_cache_has_not_is_refused(tmp_path: Path, asked: str, named: str) -> None:
    done = run("train", built(tmp_path, "fitness,score"), "--phenotype", asked, "--out", "run", cwd=tmp_path)
    assert done.returncode == 2
    assert f"has no phenotype '{named}'" in done.stderr
    assert "score" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "run").exists()


def test_weights_that_are_none_are_refused(tmp_path: Path) -> None:
    words = ("--phenotype", "fitness,score", "--set", "phenotype_weights=1,2,3", "--out", "run")
    done = run("train", built(tmp_path, "fitness,score"), *words, cwd=tmp_path)
    assert done.returncode == 2
    assert "phenotype_weights is '1,2,3', not 2 numbers above 0" in done.stderr
    assert "hint: --set phenotype_weights=1,1" in done.stderr


def test_one_network_of_several(tmp_path: Path) -> None:
    """Figures of each over the samples that have it; one part of the JSON a phenotype, and --phenotype chooses."""
    cache = built(tmp_path, "fitness,score")
    done = run("train", cache, "--phenotype", "fitness,score", "--out", "run", *SMALL, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "one network of fitness (168), score (112) of 168 samples: a head each" in done.stderr
    found = json.loads(done.stdout)
    assert found["phenotype"] == "fitness"
    assert list(found["by_phenotype"]) == ["fitness", "score"]
    own = {kind: one["metrics"] for kind, one in found["by_phenotype"].items()}
    assert found["metrics"] == own["fitness"]
    assert (own["fitness"]["nan_labels"], own["score"]["n"] + own["score"]["nan_labels"]) == (0, own["fitness"]["n"])
    assert "single_n" in own["fitness"]
    assert "single_n" not in own["score"]
    assert {"additive"} <= set(found["by_phenotype"]["score"]["baselines"])
    (other,) = found["record"]["others"]
    assert (other["phenotype"]["kind"], other["nan_labels"], other["weight"]) == ("score", 56, 0.5)
    again = run("evaluate", "run", "--phenotype", "score", "--out", "score.tsv", "--json", cwd=tmp_path)
    told = json.loads(again.stdout)
    assert told["metrics"] == own["score"]
    assert told["voices"] == found["by_phenotype"]["score"]["voices"]
    assert "by_phenotype" not in told
    assert (tmp_path / "score.tsv").is_file()
    refused = run("evaluate", "run", "--out", "all.tsv", cwd=tmp_path)
    assert refused.returncode == 2
    assert "hint: --phenotype fitness" in refused.stderr
    strange = run("evaluate", "run", "--phenotype", "tau", cwd=tmp_path)
    assert "this run predicts no 'tau'" in strange.stderr
    said = json.loads(run("predict", "run", "--genes", toy.GENES[0], "--json", cwd=tmp_path).stdout)
    assert [one["phenotype"] for one in said["predictions"]] == ["fitness", "score"]
    words = ("--phenotype", "score", "--genes", toy.GENES[0], "--json")
    one = json.loads(run("predict", "run", *words, cwd=tmp_path).stdout)
    assert one["phenotype"] == "score"
    assert one["predictions"][0]["value"] == said["predictions"][1]["value"]
    explained = run("explain", "run", "--phenotype", "score", "--json", cwd=tmp_path)
    assert "terms are explained by score; by another: --phenotype fitness" in explained.stderr
    page = json.loads(run("report", "run", "--out", "run.html", "--json", cwd=tmp_path).stdout)
    assert page["sections"][:2] == ["Results: fitness", "Results: score"]
    shown = run("evaluate", "run", cwd=tmp_path).stdout
    assert "samples with fitness" in shown
    assert "samples with score" in shown
    assert run("run", "rm", "run", "--yes", cwd=tmp_path).returncode == 0


def test_cells_and_figures_choose_one_of_several(tmp_path: Path) -> None:
    cache = built(tmp_path, "fitness,score")
    both = Cache(cache)
    values = both.columns().others[0].value
    cells = CellDataset(both, phenotype="score")
    assert cells.phenotype_info[0].label_name == "score"
    assert cells.phenotype_label_index == {"score": np.flatnonzero(np.isfinite(values)).tolist()}
    row = int(np.flatnonzero(np.isfinite(values))[0])
    assert cells[row]["gene"].phenotype_values.item() == pytest.approx(values[row])
    assert cells[row]["gene"].phenotype_types == ["score"]
    assert CellDataset(both).phenotype_info[0].label_name == "fitness"
    for words in ((), ("--phenotype", "score")):
        done = run("plot", "cache", "--cache", cache, "--out", "all.svg", "--overwrite", *words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        drawn = (tmp_path / "all.svg").read_text("utf-8")
        assert ("Phenotype fitness" in drawn, "Phenotype score" in drawn) == (not words, True)


def test_a_series_keeps_to_its_phenotype(tmp_path: Path) -> None:
    cache = built(tmp_path, "fitness,score")
    words = ("--set", "wide=none", "--set", "neighbours=none", "--seeds", 2)
    done = run("train", cache, "--phenotype", "score", "--out", "series", *SMALL, *words, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    kinds = [
        json.loads(path.read_text("utf-8"))["phenotype"]["kind"] for path in (tmp_path / "series").glob("*/run.json")
    ]
    assert kinds == ["score", "score"]
    assert json.loads((tmp_path / "series" / "series.json").read_text("utf-8"))["phenotype"] == "score"


def test_a_sweep_of_several_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    cache = built(tmp_path, "fitness,score")
    for words in ([], ["--dry-run"]):
        done = run("sweep", cache, "--phenotype", "fitness,score", "--out", "sweep", *words, cwd=tmp_path)
        assert done.returncode == 2
        assert "a sweep is of one phenotype at a time" in done.stderr
    assert not (tmp_path / "sweep").exists()
