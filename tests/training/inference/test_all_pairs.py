"""All double deletions: equal to predictions one by one, resumed where they stopped, refused where they would mix."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from gocell_cli.errors import UsageError
from gocell_cli.training.data.labels import LabelScale
from gocell_cli.training.inference import all_pairs
from gocell_cli.training.inference.all_pairs import PairTask, predict_all_pairs
from gocell_cli.training.inference.predict import Predictor
from gocell_cli.training.network.dcell import DCellConfig
from tests.training import networks as nets

CONFIG = DCellConfig(min_width=4, ratio=0.0, init_range=0.5, form="delta")
SCALE = LabelScale(0.8, 0.2, logits=False)


def make_task(kind: str = "fitness", seed: int = 3) -> PairTask:
    hierarchy = nets.random_network(seed)
    model = nets.pair(hierarchy, CONFIG, seed)[0].eval()
    trained = np.arange(len(hierarchy.gene_names)) % 2 == 0
    return PairTask.of(Predictor(model, hierarchy, SCALE, kind, trained))


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(all_pairs, "TILE", 3)


def test_pairs_are_what_each_genotype_is_predicted(tmp_path: Path) -> None:
    task, out = make_task(), tmp_path / "pairs.parquet"
    seen: list[tuple[int, int]] = []
    assert predict_all_pairs(task, out, lambda done, total: seen.append((done, total))).pairs_kept == 0
    rows = pq.read_table(out).to_pylist()
    names = task.predictor.hierarchy.gene_names
    index = {name: g for g, name in enumerate(names)}
    pairs = [(index[r["gene_1"]], index[r["gene_2"]]) for r in rows]
    assert sorted(pairs) == [(int(i), int(j)) for i in task.genes for j in task.genes if i < j]
    assert seen[-1] == (task.pairs, task.pairs)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    value = task.predictor.phenotypes(pairs)
    assert [r["fitness"] for r in rows] == pytest.approx(value.tolist(), rel=1e-6)
    single = task.predictor.phenotypes([(g,) for g in range(len(names))])
    epsilon = [v - single[i] * single[j] for v, (i, j) in zip(value, pairs, strict=True)]
    assert [r["epsilon"] for r in rows] == pytest.approx(epsilon, abs=1e-6)
    untrained = [sum(not task.predictor.trained[g] for g in pair) for pair in pairs]
    assert [r["untrained_genes"] for r in rows] == untrained
    assert {0, 1, 2} == set(untrained)
    assert list(tmp_path.iterdir()) == [out]


def test_only_fitness_has_an_epsilon(tmp_path: Path) -> None:
    predict_all_pairs(make_task("viability"), tmp_path / "pairs.parquet", lambda *_: None)
    assert pq.read_schema(tmp_path / "pairs.parquet").names == ["gene_1", "gene_2", "viability", "untrained_genes"]


def test_a_stopped_run_goes_on_to_the_same_file(tmp_path: Path) -> None:
    task, whole, out = make_task(), tmp_path / "whole.parquet", tmp_path / "pairs.parquet"
    predict_all_pairs(task, whole, lambda *_: None)

    def stop(done: int, total: int) -> None:
        if done > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict_all_pairs(task, out, stop)
    assert not out.exists()
    calls: list[int] = []
    kept = predict_all_pairs(task, out, lambda done, _: calls.append(done)).pairs_kept
    assert 0 < kept < min(calls)
    assert pq.read_table(out).equals(pq.read_table(whole))


def test_parts_of_another_model_are_not_mixed_in(tmp_path: Path) -> None:
    task, out = make_task(), tmp_path / "pairs.parquet"

    def stop(done: int, total: int) -> None:
        if done > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict_all_pairs(task, out, stop)
    with torch.no_grad():
        task.predictor.model.bias.add_(1)
    with pytest.raises(UsageError, match="of another model or other genes"):
        predict_all_pairs(task, out, lambda *_: None)


def test_what_can_not_be_is_refused(tmp_path: Path) -> None:
    task, out = make_task(), tmp_path / "pairs.parquet"
    one = PairTask(task.predictor, task.genes[:1])
    with pytest.raises(UsageError, match="1 genes make no pair"):
        predict_all_pairs(one, out, lambda *_: None)
    out.write_text("precious")
    with pytest.raises(UsageError, match="is there already"):
        predict_all_pairs(task, out, lambda *_: None)
    assert out.read_text() == "precious"
