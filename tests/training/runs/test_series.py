"""What a series is made of, and what its table says: against a plain reading of the same rules, and NumPy."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gocell_cli.errors import DamagedCache, InvalidInput, UsageError
from gocell_cli.run_record import ResultRecord
from gocell_cli.series_record import (
    SERIES,
    MemberRecord,
    SeriesRecord,
    is_series,
    read_series,
    require_one_run,
    series_text,
)
from gocell_cli.storage.json_schemas import load_schema, schema_faults
from gocell_cli.training.runs.config import RunConfig
from gocell_cli.training.runs.series.plan import KINDS, SeriesChoice, member_config, plan
from gocell_cli.training.runs.series.state import Series
from gocell_cli.training.runs.series.summary import summary
from gocell_cli.training.runs.store import RunStore

NUMBERS = st.none() | st.floats(-1, 1)


@given(
    st.integers(1, 4), st.sampled_from([0, 2, 3]), st.integers(0, 5), st.sets(st.sampled_from(KINDS), min_size=1),
    st.integers(0, 9), st.sampled_from([-1, 7]),
)  # fmt: skip
def test_a_series_is_every_seed_by_every_fold_and_each_control_has_a_partner(
    seeds: int, folds: int, controls: int, kinds: set[str], seed: int, split_seed: int
) -> None:
    config = RunConfig(seed=seed, folds=folds, split_seed=split_seed)
    chosen = tuple(kind for kind in KINDS if kind in kinds)
    members = plan(config, SeriesChoice(seeds, folds > 0, controls, chosen))
    plain = [member for member in members if member.control is None]
    wanted = {(s, f) for s in range(seed, seed + seeds) for f in (range(folds) if folds else [None])}
    assert {(member.seed, member.fold) for member in plain} == wanted
    assert len(plain) == len(wanted)
    assert len({member.run for member in members}) == len(members)
    drawn = [(member.control, member.control_seed) for member in members[len(plain) :]]
    assert sorted(drawn, key=str) == sorted(((k, n) for k in chosen for n in range(controls)), key=str)
    for member in members:
        settings = member_config(config, member)
        partner = next((one for one in plain if one.run == member.partner), member)
        assert settings.split_choice() == member_config(config, partner).split_choice()
        assert settings.seed == member_config(config, partner).seed
        assert settings.split_choice().seed == (split_seed if split_seed >= 0 else member.seed)
        if member.control is None:
            assert settings == replace(config, seed=member.seed, fold=member.fold or 0)
        else:
            assert (settings.control, settings.control_seed) == (member.control, member.control_seed)
            assert settings.baselines == "none"


def test_controls_are_beside_the_first_runs_and_round_again() -> None:
    members = plan(RunConfig(), SeriesChoice(2, False, 3, ("dag", "genes")))
    assert [member.run for member in members] == [
        "seed-0", "seed-1", "seed-0-dag-0", "seed-0-genes-0", "seed-1-dag-1", "seed-1-genes-1", "seed-0-dag-2",
        "seed-0-genes-2",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "choice", "said"),
    [
        ({}, {"seeds": 0}, "--seeds 0"),
        ({}, {"controls": 1, "kinds": ("terms",)}, "no kinds of control: terms"),
        ({}, {"controls": 1, "kinds": ("dag", "dag")}, "no kinds of control: dag,dag"),
        ({}, {"seeds": 10_001}, "a series of 10,001 runs"),
        ({"control": "dag"}, {"controls": 1}, "a control has no controls"),
        ({"seed": 2**63 - 1}, {"seeds": 2}, "seed is 9223372036854775808"),
    ],
)
def test_series_that_mean_nothing_are_refused(settings: dict[str, Any], choice: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        plan(RunConfig(**settings), SeriesChoice(**choice))


def results(**metrics: float | None) -> dict[str, ResultRecord]:
    """A run's results, the same on all parts."""
    return {
        part: ResultRecord(part, 9, metrics, {"additive": {"pearson": 0.5, "rmse": metrics.get("rmse")}})
        for part in ("train", "validation", "test")
    }


def record_of(members: tuple[MemberRecord, ...]) -> SeriesRecord:
    return SeriesRecord("/cache", "0" * 64, "fitness", asdict(RunConfig()), members)


@given(st.lists(NUMBERS, min_size=3, max_size=3), st.lists(NUMBERS, min_size=4, max_size=4))
def test_the_table_is_numpys_mean_and_sample_sd(runs: list[float | None], controls: list[float | None]) -> None:
    members = plan(RunConfig(), SeriesChoice(3, False, 2, ("genes", "edges")))
    done = tuple(
        replace(member, results=results(pearson=value, rmse=1.0))
        for member, value in zip(members, [*runs, *controls], strict=True)
    )
    found = summary(record_of(done))
    assert (found["metric"], found["missing"], found["diverged"]) == ("pearson", [], {})
    assert list(found["rows"]) == ["DCell", "additive", "genes", "edges"]
    by_row = {"DCell": runs, "genes": controls[0::2], "edges": controls[1::2], "additive": [0.5] * 3}
    above = {
        kind: [a - b for a, b in zip(runs, by_row[kind], strict=False) if a is not None and b is not None]
        for kind in ("genes", "edges")
    }
    for row, values in by_row.items():
        check(found["rows"][row]["pearson"], [value for value in values if value is not None])
        assert list(found["rows"][row]["pearson"]["values"].values()) == values
    for kind, values in above.items():
        check(found["ontology"][kind], values)
    assert found["rows"]["DCell"]["rmse"]["values"] == dict.fromkeys(("seed-0", "seed-1", "seed-2"), 1.0)


def check(spread: dict[str, Any], numbers: list[float]) -> None:
    """Whether mean, sd and n are those of some numbers."""
    assert spread["n"] == len(numbers)
    assert spread["mean"] == (pytest.approx(np.mean(numbers)) if numbers else None)
    assert spread["sd"] == (pytest.approx(np.std(numbers, ddof=1), abs=1e-12) if len(numbers) > 1 else None)


def test_a_control_whose_partner_diverged_has_no_difference() -> None:
    first, second, *controls = plan(RunConfig(), SeriesChoice(2, False, 2, ("genes",)))
    members = (
        replace(first, diverged="too far"),
        replace(second, results=results(pearson=0.5, auroc=0.75)),
        *(replace(control, results=results(pearson=0.25, auroc=0.5)) for control in controls),
    )
    found = summary(record_of(members), "validation")
    assert (found["part"], found["metric"]) == ("validation", "auroc")
    assert found["diverged"] == {"seed-0": "too far"}
    assert found["ontology"]["genes"]["values"] == {"seed-1-genes-1": 0.25}
    unfinished = summary(record_of((members[0], second, *members[2:])))
    assert unfinished["missing"] == ["seed-1"]
    assert unfinished["ontology"]["genes"]["values"] == {}


def test_what_of_the_blend_is_the_ontologys() -> None:
    """A control's voices see its hierarchy: its blend is a row of its own, and is taken from its partner's."""
    plain, *controls = plan(RunConfig(), SeriesChoice(1, False, 1, ("genes", "dag")))
    done = tuple(
        replace(member, results=blended(dcell, blend))
        for member, dcell, blend in zip((plain, *controls), (0.5, 0.25, 0.125), (0.75, 0.5, None), strict=True)
    )
    found = summary(record_of(done))
    assert list(found["rows"]) == ["blend", "DCell", "genes", "genes_blend", "dag"]
    assert found["rows"]["genes_blend"]["pearson"]["values"] == {"seed-0-genes-0": 0.5}
    assert found["ontology"]["genes"]["mean"] == 0.25
    assert {kind: spread["mean"] for kind, spread in found["ontology_blend"].items()} == {"genes": 0.25}


def blended(dcell: float, blend: float | None) -> dict[str, ResultRecord]:
    voices = None if blend is None else {"blend": {"pearson": blend}}
    return {part: ResultRecord(part, 9, {"pearson": dcell}, {}, voices=voices) for part in ("validation", "test")}


def test_series_json_is_read_back_and_described(tmp_path: Path) -> None:
    members = plan(RunConfig(), SeriesChoice(2, False, 1))
    record = record_of((replace(members[0], results=results(pearson=0.5), seconds=1.5), *members[1:]))
    (tmp_path / SERIES).write_text(series_text(record, tmp_path), "utf-8")
    assert read_series(tmp_path) == record
    assert is_series(tmp_path)
    assert not schema_faults("series", json.loads(series_text(record, tmp_path)))
    assert schema_faults("series", {**record.as_json(), "members": []})
    assert set(load_schema("series")["properties"]) == set(SeriesRecord.__dataclass_fields__)
    member = load_schema("series")["$defs"]["member"]["properties"]
    assert set(member) == set(MemberRecord.__dataclass_fields__)
    with pytest.raises(UsageError, match="a series of 5 runs, not one"):
        require_one_run(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"members": []},
        {"members": [{"run": "../elsewhere", "seed": 0}]},
        {"members": [{"run": "seed-0", "seed": 0}, {"run": "seed-0", "seed": 1}]},
        {"members": [{"run": "seed-0", "seed": 0, "partner": "seed-1"}]},
        {"members": [{"run": "seed-0", "seed": "0"}]},
        {"cache": ""},
        {"nonsense": 1},
    ],
)
def test_a_series_json_that_is_none_is_damaged(tmp_path: Path, change: dict[str, Any]) -> None:
    document = record_of(plan(RunConfig(), SeriesChoice(2))).as_json()
    (tmp_path / SERIES).write_text(json.dumps({**document, **change}), "utf-8")
    with pytest.raises(DamagedCache, match=SERIES):
        read_series(tmp_path)


def test_settings_that_name_files_are_read_back(tmp_path: Path) -> None:
    config = RunConfig(gene_vectors=("/a.csv", "/b c.npz"))
    record = replace(record_of(plan(config, SeriesChoice(2))), settings=asdict(config))
    series = Series.begin(RunStore.reserve(tmp_path / "series"), record)
    series.store.release()
    assert Series.reopen(tmp_path / "series").config == config


def test_settings_that_are_none_and_another_split_are_told(tmp_path: Path) -> None:
    record = replace(record_of(plan(RunConfig(), SeriesChoice(2))), split_sha256="1" * 64)
    (tmp_path / SERIES).write_text(series_text(record, tmp_path), "utf-8")
    series = Series.reopen(tmp_path)
    assert series.config == RunConfig()
    series.require_split("1" * 64)
    with pytest.raises(InvalidInput, match="not the split"):
        series.require_split("2" * 64)
    with pytest.raises(UsageError, match="another process"):
        Series.reopen(tmp_path)
    series.store.release()
    (tmp_path / SERIES).write_text(series_text(replace(record, settings={"epochs": 0}), tmp_path), "utf-8")
    with pytest.raises(DamagedCache, match="epochs is 0"):
        Series.reopen(tmp_path)
    with pytest.raises(UsageError, match="a series of runs is here already"):
        RunStore(tmp_path).require_free()
