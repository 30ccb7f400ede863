"""All double deletions: equal to predictions one by one, resumed where they stopped, refused where they would mix."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from gocell_cli.errors import DamagedCache, Diverged, UsageError
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


def stopped(task: PairTask, out: Path) -> Path:
    """A prediction stopped half way; returns its parts."""

    def stop(done: int, total: int) -> None:
        if done > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict_all_pairs(task, out, stop)
    return out.with_name(f"{out.name}.parts")


def test_of_another_scale_or_training_they_are_another_models(tmp_path: Path) -> None:
    task, out = make_task(), tmp_path / "pairs.parquet"
    stopped(task, out)
    scaled = replace(task.predictor, scale=replace(SCALE, mean=0.5))
    trained = replace(task.predictor, trained=~task.predictor.trained)
    for other in (scaled, trained):
        with pytest.raises(UsageError, match="of another model or other genes"):
            predict_all_pairs(PairTask(other, task.genes), out, lambda *_: None)


@pytest.mark.parametrize("damage", ["cut", "flipped", "of fewer pairs", "no Parquet"])
def test_a_damaged_part_is_named(tmp_path: Path, damage: str) -> None:
    task, out = make_task(), tmp_path / "pairs.parquet"
    part = stopped(task, out) / "00000.parquet"
    good = part.read_bytes()
    if damage == "of fewer pairs":
        pq.write_table(pq.read_table(part).slice(1), part)
    else:
        flipped = good[:40] + bytes([good[40] ^ 4]) + good[41:]  # in the first page
        part.write_bytes({"cut": good[:-9], "flipped": flipped, "no Parquet": b"PAR1 not PAR1"}[damage])
    with pytest.raises(DamagedCache, match=r"00000.parquet: a damaged part") as raised:
        predict_all_pairs(task, out, lambda *_: None)
    assert raised.value.hint.startswith(f"rm {part}")
    part.unlink()
    predict_all_pairs(task, out, lambda *_: None)
    predict_all_pairs(task, tmp_path / "whole.parquet", lambda *_: None)
    assert out.read_bytes() == (tmp_path / "whole.parquet").read_bytes()


def test_one_output_is_written_by_one_process(tmp_path: Path) -> None:
    """While one predicts, of the same model or another, a second one is refused, and disturbs nothing."""
    task, out = make_task(), tmp_path / "pairs.parquet"
    refused: list[str] = []

    def second(_done: int, _total: int) -> None:
        for other in (task, make_task(seed=4)):
            with pytest.raises(UsageError) as raised:
                predict_all_pairs(other, out, lambda *_: None)
            refused.append(raised.value.message)

    predict_all_pairs(task, out, second)
    assert set(refused) == {f"{out}: another process is writing it"}
    predict_all_pairs(task, tmp_path / "alone.parquet", lambda *_: None)
    assert out.read_bytes() == (tmp_path / "alone.parquet").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alone.parquet", "pairs.parquet"]


def test_what_a_killed_process_was_writing_goes_and_what_is_not_ours_stays(tmp_path: Path) -> None:
    task, out = make_task(), tmp_path / "pairs.parquet"
    folder = stopped(task, out)
    for path in (tmp_path / ".pairs.tmp-123.parquet", folder / ".00001.tmp-77.parquet"):
        path.write_text("half")
    (folder / "thesis.tex").write_text("years")
    predict_all_pairs(task, out, lambda *_: None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pairs.parquet", "pairs.parquet.parts"]
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"thesis.tex": "years"}


def test_predictions_beyond_float32_are_no_infinity(tmp_path: Path) -> None:
    task = make_task()
    huge = PairTask(replace(task.predictor, scale=LabelScale(0.0, 1e60, logits=False)), task.genes)
    with pytest.raises(Diverged, match="beyond what float32 holds"):
        predict_all_pairs(huge, tmp_path / "pairs.parquet", lambda *_: None)


def test_what_can_not_be_is_refused(tmp_path: Path) -> None:
    task, out = make_task(), tmp_path / "pairs.parquet"
    one = PairTask(task.predictor, task.genes[:1])
    with pytest.raises(UsageError, match="1 genes make no pair"):
        predict_all_pairs(one, out, lambda *_: None)
    out.write_text("precious")
    with pytest.raises(UsageError, match="is there already"):
        predict_all_pairs(task, out, lambda *_: None)
    assert out.read_text() == "precious"


def test_a_call_that_was_stopped_at_its_very_end_is_finished_by_the_same_call(tmp_path: Path) -> None:
    task, out = make_task(), tmp_path / "pairs.parquet"
    predict_all_pairs(task, out, lambda *_: None)
    before, parts = out.read_bytes(), tmp_path / "pairs.parquet.parts"
    parts.mkdir()
    (parts / ".lock").touch()  # killed when only this was left to remove
    again = predict_all_pairs(task, out, lambda *_: None)
    assert (again.pairs_kept, again.genome_minutes) == (task.pairs, 0.0)
    assert (out.read_bytes(), parts.exists()) == (before, False)
    fewer = PairTask(task.predictor, task.genes[:-1])
    with pytest.raises(UsageError, match="is there already"):
        predict_all_pairs(fewer, out, lambda *_: None)
    assert out.read_bytes() == before
