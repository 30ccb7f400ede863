"""All pairs and triples: equal to predictions one by one, resumed where they stopped, refused where they would mix."""

import itertools
import json
import math
import shutil
import statistics
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from gocell_cli.errors import DamagedCache, Diverged, UsageError
from gocell_cli.training.data.labels import LabelScale
from gocell_cli.training.inference import combinations
from gocell_cli.training.inference.all_combinations import CombinationTask, forecast, predict_combinations
from gocell_cli.training.inference.answers import Answers
from gocell_cli.training.inference.best_of import Ranking
from gocell_cli.training.inference.combinations import Combinations
from gocell_cli.training.inference.predict import Predictor
from gocell_cli.training.network.dcell import DCellConfig
from tests.training import networks as nets

CONFIG = DCellConfig(min_width=4, ratio=0.0, init_range=0.5, form="delta")
SCALE = LabelScale(0.8, 0.2, logits=False)


def make_task(kind: str = "fitness", seed: int = 3) -> CombinationTask:
    hierarchy = nets.random_network(seed)
    model = nets.pair(hierarchy, CONFIG, seed)[0].eval()
    trained = np.arange(len(hierarchy.gene_names)) % 2 == 0
    return CombinationTask.of(Answers.of([Predictor(model, hierarchy, SCALE, kind, trained)]))


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(combinations, "TILE", {2: 3, 3: 2})


def test_pairs_are_what_each_genotype_is_predicted(tmp_path: Path) -> None:
    task, out = make_task(), tmp_path / "pairs.parquet"
    seen: list[tuple[int, int]] = []
    assert predict_combinations(task, out, lambda done, total: seen.append((done, total))).kept == 0
    rows = pq.read_table(out).to_pylist()
    names = task.answers.first.hierarchy.gene_names
    index = {name: g for g, name in enumerate(names)}
    pairs = [(index[r["gene_1"]], index[r["gene_2"]]) for r in rows]
    assert sorted(pairs) == [(int(i), int(j)) for i in task.genes for j in task.genes if i < j]
    assert seen[-1] == (len(task), len(task))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    value = task.answers.first.phenotypes(pairs)
    assert [r["fitness"] for r in rows] == pytest.approx(value.tolist(), rel=1e-6)
    single = task.answers.first.phenotypes([(g,) for g in range(len(names))])
    epsilon = [v - single[i] * single[j] for v, (i, j) in zip(value, pairs, strict=True)]
    assert [r["epsilon"] for r in rows] == pytest.approx(epsilon, abs=1e-6)
    untrained = [sum(not task.answers.first.trained[g] for g in pair) for pair in pairs]
    assert [r["untrained_genes"] for r in rows] == untrained
    assert {0, 1, 2} == set(untrained)
    assert list(tmp_path.iterdir()) == [out]


def test_only_fitness_has_an_epsilon(tmp_path: Path) -> None:
    predict_combinations(make_task("viability"), tmp_path / "pairs.parquet", lambda *_: None)
    assert pq.read_schema(tmp_path / "pairs.parquet").names == ["gene_1", "gene_2", "viability", "untrained_genes"]


def test_a_stopped_run_goes_on_to_the_same_file(tmp_path: Path) -> None:
    task, whole, out = make_task(), tmp_path / "whole.parquet", tmp_path / "pairs.parquet"
    predict_combinations(task, whole, lambda *_: None)

    def stop(done: int, total: int) -> None:
        if done > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict_combinations(task, out, stop)
    assert not out.exists()
    calls: list[int] = []
    kept = predict_combinations(task, out, lambda done, _: calls.append(done)).kept
    assert 0 < kept < min(calls)
    assert pq.read_table(out).equals(pq.read_table(whole))


def test_parts_of_another_model_are_not_mixed_in(tmp_path: Path) -> None:
    task, out = make_task(), tmp_path / "pairs.parquet"

    def stop(done: int, total: int) -> None:
        if done > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict_combinations(task, out, stop)
    with torch.no_grad():
        task.answers.first.model.bias.add_(1)
    with pytest.raises(UsageError, match="of another model or other genes"):
        predict_combinations(replace(task), out, lambda *_: None)


def stopped(task: CombinationTask, out: Path) -> Path:
    """A prediction stopped half way; returns its parts."""

    def stop(done: int, total: int) -> None:
        if done > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict_combinations(task, out, stop)
    return out.with_name(f"{out.name}.parts")


def test_of_another_scale_or_training_they_are_another_models(tmp_path: Path) -> None:
    task, out = make_task(), tmp_path / "pairs.parquet"
    stopped(task, out)
    scaled = replace(task.answers.first, scale=replace(SCALE, mean=0.5))
    trained = replace(task.answers.first, trained=~task.answers.first.trained)
    for other in (scaled, trained):
        with pytest.raises(UsageError, match="of another model or other genes"):
            predict_combinations(CombinationTask(Answers((other,)), task.genes), out, lambda *_: None)


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
        predict_combinations(task, out, lambda *_: None)
    assert raised.value.hint.startswith(f"rm {part}")
    part.unlink()
    predict_combinations(task, out, lambda *_: None)
    predict_combinations(task, tmp_path / "whole.parquet", lambda *_: None)
    assert out.read_bytes() == (tmp_path / "whole.parquet").read_bytes()


def test_one_output_is_written_by_one_process(tmp_path: Path) -> None:
    """While one predicts, of the same model or another, a second one is refused, and disturbs nothing."""
    task, out = make_task(), tmp_path / "pairs.parquet"
    refused: list[str] = []

    def second(_done: int, _total: int) -> None:
        for other in (task, make_task(seed=4)):
            with pytest.raises(UsageError) as raised:
                predict_combinations(other, out, lambda *_: None)
            refused.append(raised.value.message)

    predict_combinations(task, out, second)
    assert set(refused) == {f"{out}: another process is writing it"}
    predict_combinations(task, tmp_path / "alone.parquet", lambda *_: None)
    assert out.read_bytes() == (tmp_path / "alone.parquet").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alone.parquet", "pairs.parquet"]


def test_what_a_killed_process_was_writing_goes_and_what_is_not_ours_stays(tmp_path: Path) -> None:
    task, out = make_task(), tmp_path / "pairs.parquet"
    folder = stopped(task, out)
    for path in (tmp_path / ".pairs.tmp-123.parquet", folder / ".00001.tmp-77.parquet"):
        path.write_text("half")
    (folder / "thesis.tex").write_text("years")
    predict_combinations(task, out, lambda *_: None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pairs.parquet", "pairs.parquet.parts"]
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"thesis.tex": "years"}


def test_predictions_beyond_float32_are_no_infinity(tmp_path: Path) -> None:
    task = make_task()
    huge = CombinationTask(
        Answers((replace(task.answers.first, scale=LabelScale(0.0, 1e60, logits=False)),)), task.genes
    )
    with pytest.raises(Diverged, match="beyond what float32 holds"):
        predict_combinations(huge, tmp_path / "pairs.parquet", lambda *_: None)


def test_what_can_not_be_is_refused(tmp_path: Path) -> None:
    task, out = make_task(), tmp_path / "pairs.parquet"
    one = CombinationTask(task.answers, task.genes[:1])
    with pytest.raises(UsageError, match="1 genes make no pair"):
        predict_combinations(one, out, lambda *_: None)
    out.write_text("precious")
    with pytest.raises(UsageError, match="is there already"):
        predict_combinations(task, out, lambda *_: None)
    assert out.read_text() == "precious"


def test_a_call_that_was_stopped_at_its_very_end_is_finished_by_the_same_call(tmp_path: Path) -> None:
    task, out = make_task(), tmp_path / "pairs.parquet"
    predict_combinations(task, out, lambda *_: None)
    before, parts = out.read_bytes(), tmp_path / "pairs.parquet.parts"
    parts.mkdir()
    (parts / ".lock").touch()  # killed when only this was left to remove
    again = predict_combinations(task, out, lambda *_: None)
    assert (again.kept, again.genome_minutes) == (len(task), 0.0)
    assert (out.read_bytes(), parts.exists()) == (before, False)
    fewer = CombinationTask(task.answers, task.genes[:-1])
    with pytest.raises(UsageError, match="is there already"):
        predict_combinations(fewer, out, lambda *_: None)
    assert out.read_bytes() == before


ORDERS = pytest.mark.parametrize("order", [2, 3])
EACH_RANKING = pytest.mark.parametrize(("order", "by"), [(2, "lowest"), (2, "epsilon"), (3, "highest"), (3, "tau")])


def of_runs(order: int, *seeds: int, kind: str = "fitness", terms: tuple[str, ...] = ()) -> CombinationTask:
    return CombinationTask.of(Answers.of([make_task(kind, seed).answers.first for seed in seeds], terms), order=order)


def told(task: CombinationTask, out: Path) -> list[dict[str, Any]]:
    predict_combinations(task, out, lambda *_: None)
    return pq.read_table(out).to_pylist()


@ORDERS
@pytest.mark.parametrize("genes", [0, 1, 2, 3, 4, 5, 6, 7, 12])
def test_every_combination_is_made_once_and_parts_are_counted_right(order: int, genes: int) -> None:
    listed = np.arange(genes) * 3 + 1
    found = Combinations(listed, order)
    parts = [[tuple(row) for block in found.blocks(n) for row in block.tolist()] for n in range(found.parts)]
    assert [len(part) for part in parts] == [found.rows(n) for n in range(found.parts)]
    whole = [genotype for part in parts for genotype in part]
    assert sorted(whole) == list(itertools.combinations(listed.tolist(), order))
    assert len(found) == len(whole)


def test_triples_are_what_each_genotype_is_predicted_and_tau_is_what_is_left_of_singles_and_pairs(
    tmp_path: Path,
) -> None:
    """Kuzmin et al. 2018 (doi:10.1126/science.aao1729), each of seven fitnesses predicted by itself."""
    task = of_runs(3, 3)
    one, rows = task.answers.first, told(task, tmp_path / "triples.parquet")
    names = one.hierarchy.gene_names
    index = {name: g for g, name in enumerate(names)}
    assert list(rows[0]) == ["gene_1", "gene_2", "gene_3", "fitness", "tau", "untrained_genes"]
    assert len(rows) == math.comb(len(task.genes), 3)
    for row in rows:
        i, j, k = (index[row[f"gene_{place}"]] for place in (1, 2, 3))
        assert i < j < k
        f = {g: one.phenotypes([g])[0] for n in (1, 2, 3) for g in itertools.combinations((i, j, k), n)}
        ik, jk = f[i, k] - f[(i,)] * f[(k,)], f[j, k] - f[(j,)] * f[(k,)]
        tau = f[i, j, k] - f[i, j] * f[(k,)] - ik * f[(j,)] - jk * f[(i,)]
        assert row["fitness"] == pytest.approx(f[i, j, k], rel=1e-6)
        assert row["tau"] == pytest.approx(tau, abs=1e-6)
        assert row["untrained_genes"] == sum(not one.trained[g] for g in (i, j, k))


@ORDERS
def test_a_series_is_the_mean_of_its_runs_with_their_standard_deviation(tmp_path: Path, order: int) -> None:
    each = [told(of_runs(order, seed), tmp_path / f"{seed}.parquet") for seed in (3, 3, 3)]
    assert each[0] == each[1]
    other = [make_task(seed=3).answers.first, shifted(0.4), shifted(-0.1)]
    task = CombinationTask.of(Answers.of(other), order=order)
    rows = told(task, tmp_path / "series.parquet")
    alone = [
        told(CombinationTask.of(Answers.of([o]), order=order), tmp_path / f"o{n}.parquet") for n, o in enumerate(other)
    ]
    interaction = {2: "epsilon", 3: "tau"}[order]
    for row, *of in zip(rows, *alone, strict=True):
        for name in ("fitness", interaction):
            values = [one[name] for one in of]
            assert row[name] == pytest.approx(statistics.fmean(values), abs=1e-6)
            assert row[f"{name}_sd"] == pytest.approx(statistics.stdev(values), abs=1e-6)


def shifted(by: float) -> Predictor:
    found = make_task().answers.first
    with torch.no_grad():
        found.model.bias.add_(by)
    return found


@ORDERS
@pytest.mark.parametrize("ranked", [False, True])
@pytest.mark.parametrize("after", [0.1, 0.5, 0.9])
def test_stopped_anywhere_it_goes_on_to_the_same_bytes(tmp_path: Path, order: int, ranked: bool, after: float) -> None:
    terms = (make_task().answers.first.hierarchy.term_ids[2],)
    task = of_runs(order, 3, terms=terms)
    task = replace(task, ranking=Ranking(7, "lowest", "fitness") if ranked else None)
    predict_combinations(task, tmp_path / "whole.parquet", lambda *_: None)

    def stop(done: int, total: int) -> None:
        if done > after * total:
            raise KeyboardInterrupt

    out = tmp_path / "stopped.parquet"
    with pytest.raises(KeyboardInterrupt):
        predict_combinations(task, out, stop)
    seen: list[int] = []
    kept = predict_combinations(task, out, lambda done, _: seen.append(done)).kept
    assert seen[-1] == len(task)
    assert kept < seen[0]
    assert kept > 0 or after < 0.5
    assert out.read_bytes() == (tmp_path / "whole.parquet").read_bytes()


@EACH_RANKING
@pytest.mark.parametrize("most", [1, 5, 10_000])
def test_the_first_are_those_of_all_sorted_with_the_terms_asked_for(
    tmp_path: Path, order: int, by: str, most: int
) -> None:
    terms = (make_task().answers.first.hierarchy.term_ids[1],)
    task = of_runs(order, 3, terms=terms)
    rows = told(task, tmp_path / "whole.parquet")
    column = by if by in ("epsilon", "tau") else "fitness"
    size: Callable[[dict[str, Any]], float] = {
        "lowest": lambda r: r[column], "highest": lambda r: -r[column],
    }.get(by, lambda r: -abs(r[column]))  # fmt: skip
    assert f"{terms[0]} head" in rows[0]
    assert len(rows[0][f"{terms[0]} state"]) > 0
    first = told(replace(task, ranking=Ranking(most, by, "fitness")), tmp_path / "first.parquet")
    wanted = sorted(rows, key=size)[:most]
    assert [{**r, f"{terms[0]} head": 0, f"{terms[0]} state": 0} for r in first] == [
        {**r, f"{terms[0]} head": 0, f"{terms[0]} state": 0} for r in wanted
    ]
    for r, w in zip(first, wanted, strict=True):  # a pass over others beside it rounds otherwise
        assert r[f"{terms[0]} state"] == pytest.approx(w[f"{terms[0]} state"], abs=1e-6)
        assert r[f"{terms[0]} head"] == pytest.approx(w[f"{terms[0]} head"], abs=1e-6)


def test_of_another_ranking_other_terms_or_another_order_the_parts_are_others(tmp_path: Path) -> None:
    task, out = of_runs(2, 3), tmp_path / "pairs.parquet"
    stopped(task, out)
    ids = task.answers.first.hierarchy.term_ids
    others = (
        replace(task, ranking=Ranking(5, "lowest", "fitness")), of_runs(2, 3, terms=ids[:1]), of_runs(2, 3, 4),
        of_runs(3, 3),
    )  # fmt: skip
    for other in others:
        with pytest.raises((UsageError, DamagedCache)):
            predict_combinations(other, out, lambda *_: None)
    assert predict_combinations(task, out, lambda *_: None).kept > 0


def test_parts_have_numbers_and_metadata_of_before_triples_were_there(tmp_path: Path) -> None:
    """A run of --all-pairs that an older version was stopped in goes on: file names, columns and identity stand."""
    task, out = make_task(), tmp_path / "pairs.parquet"
    folder = stopped(task, out)
    part = pq.read_schema(folder / "00000.parquet")
    assert part.names == ["gene_1", "gene_2", "fitness", "epsilon", "untrained_genes"]
    assert set(json.loads(part.metadata[b"gocell"])) == {"phenotype", "weights", "genes"}
    assert pq.read_metadata(folder / "00000.parquet").num_rows == 3 + 3 * (len(task.genes) - 3)


@ORDERS
def test_a_forecast_writes_nothing_and_knows_the_size(tmp_path: Path, order: int) -> None:
    task, out = of_runs(order, 3), tmp_path / "some.parquet"
    found = forecast(task, out)
    assert not list(tmp_path.iterdir())
    assert (found.genotypes, found.kept, found.rows) == (len(task), 0, len(task))
    stopped(task, out)
    later = forecast(task, out)
    assert 0 < later.kept < len(task)
    assert later.bytes == found.bytes < later.needed_bytes < found.needed_bytes
    predict_combinations(task, out, lambda *_: None)
    done = forecast(task, out)
    assert (done.kept, done.needed_bytes, done.seconds) == (len(task), 0, 0)
    assert done.columns == tuple(pq.read_schema(out).names)


def test_what_the_disk_has_no_room_for_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, out = of_runs(3, 3), tmp_path / "triples.parquet"
    needed = forecast(task, out).needed_bytes
    real = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _place: real._replace(free=needed - 1))
    with pytest.raises(UsageError, match=r"165 triples would take .* GB of disk") as raised:
        predict_combinations(task, out, lambda *_: None)
    assert "--top" in raised.value.hint
    assert not list(tmp_path.glob("*.parts/*.parquet"))
    predict_combinations(replace(task, ranking=Ranking(2, "tau", "fitness")), out, lambda *_: None)
    assert pq.read_metadata(out).num_rows == 2


def test_rankings_that_genotypes_have_not() -> None:
    with pytest.raises(UsageError, match="--rank-by tau: pairs have none"):
        replace(of_runs(2, 3), ranking=Ranking(5, "tau", "fitness"))
    with pytest.raises(UsageError, match="only a model of fitness"):
        Ranking(5, "tau", "viability")
