"""The split of a run: kept with it, and used to the row when it is opened again, whatever would be drawn today."""

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gocell_cli.errors import DamagedCache, UsageError
from gocell_cli.sources.screens import split_table
from gocell_cli.storage.reader import Cache
from gocell_cli.training.data.splits.kinds import PARTS, SplitChoice
from gocell_cli.training.data.splits.split import Split
from gocell_cli.training.runs.config import RunConfig, run_config
from gocell_cli.training.runs.kept import keep_split
from gocell_cli.training.runs.run import begin_run, reopen, resume_run
from gocell_cli.training.runs.samples import RunSamples
from gocell_cli.training.runs.store import RunStore
from gocell_cli.training.runs.trainer import Trainer
from tests.training.runs.test_trainer import TINY, begun


def recorded(run: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((run / "run.json").read_text("utf-8"))
    return found


def rerecorded(run: Path, cache: Path, part: np.ndarray) -> None:
    """Let a run keep another split than it would draw."""
    kept = keep_split(run, Cache(cache), Split(SplitChoice("random"), part))
    (run / "run.json").write_text(json.dumps({**recorded(run), "split_file": asdict(kept)}), "utf-8")


def test_a_run_opened_again_has_the_split_that_it_keeps(small_cache: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    trainer = begun(run, small_cache, replace(TINY, split_seed=3, subset=40))
    part = trainer.split.part
    trainer.store.release()
    found = recorded(run)["split"]
    assert isinstance(found, dict)
    assert (found["seed"], found["subset"], found["train"]) == (3, 40, 40)
    assert found["unused"] == int((part == -2).sum()) > 0
    assert np.array_equal(reopen(RunStore(run)).split.part, part)
    moved = np.roll(part, 1)
    rerecorded(run, small_cache, moved)
    assert np.array_equal(reopen(RunStore(run)).split.part, moved)
    again = resume_run(run)
    assert np.array_equal(again.split.part, moved)
    again.store.release()


def test_runs_of_before_are_divided_as_they_were(small_cache: Path, tmp_path: Path) -> None:
    """Neither a rule nor a split was recorded, and samples of one genotype were on every side: 17 of 168 tested."""
    run = tmp_path / "run"
    begun(run, small_cache).store.release()
    record = {key: value for key, value in recorded(run).items() if key != "split_file"}
    split = record["split"]
    assert isinstance(split, dict)
    first = list(split)[:8]
    record["split"] = {key: split[key] for key in first}
    (run / "run.json").write_text(json.dumps(record), "utf-8")
    lines = (run / "config.toml").read_text("utf-8").splitlines()
    new = ("split_seed", "split_rule", "split_column", "folds", "fold ", "subset")
    (run / "config.toml").write_text("\n".join(line for line in lines if not line.startswith(new)), "utf-8")
    assert run_config(run) == replace(TINY, split_rule=1)
    found = reopen(RunStore(run)).split
    wanted = np.random.default_rng(0).permutation(168)
    assert np.array_equal(found.train, np.sort(wanted[:134]))
    assert np.array_equal(found.test, np.sort(wanted[151:]))
    assert RunStore(run).record().split.rule == 1


def from_file(run: Path, cache: Path, file: Path) -> Trainer:
    opened, config = Cache(cache), replace(TINY, split=str(file))
    named = split_table.read(file, opened.hierarchy.lookup, None, own=False)
    samples = RunSamples.of(opened, config, named=named)
    return begin_run(lambda: RunStore.reserve(run), opened, config, samples)


def test_a_run_outlives_the_file_of_its_split_and_another_takes_it_from_it(small_cache: Path, tmp_path: Path) -> None:
    names = Cache(small_cache).hierarchy.gene_names
    file = tmp_path / "mine.csv"
    rows = [f"{names[a]},train" for a in range(3)] + [f"{names[3]},dev", f"{names[0]} {names[1]},test"]
    file.write_text("\n".join(["genes,part", *rows]) + "\n", "utf-8")
    trainer = from_file(tmp_path / "run", small_cache, file)
    trainer.store.release()
    assert [len(trainer.split.rows(part)) for part in PARTS] == [36, 12, 12]
    record = RunStore(tmp_path / "run").record().split
    assert record.file is not None
    assert (record.kind, record.dropped, record.file.not_named, record.file.not_in_cache) == ("file", 108, 108, 0)
    file.unlink()
    assert np.array_equal(reopen(RunStore(tmp_path / "run")).split.part, trainer.split.part)
    other = from_file(tmp_path / "other", small_cache, tmp_path / "run" / "split.parquet")
    other.store.release()
    assert np.array_equal(other.split.part, trainer.split.part)
    assert RunStore(tmp_path / "other").record().split.fingerprint == record.fingerprint
    with pytest.raises(UsageError, match="the file of this split was not read"):
        RunSamples.of(Cache(small_cache), RunConfig(split=str(file)))


def test_a_damaged_split_is_refused(small_cache: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    begun(run, small_cache).store.release()
    path = run / "split.parquet"
    whole = path.read_bytes()
    for content in (whole[:-3], b"", bytes([*whole[:50], whole[50] ^ 1, *whole[51:]])):
        path.write_bytes(content)
        with pytest.raises(DamagedCache, match=r"split\.parquet"):
            reopen(RunStore(run))
    columns = ({"part": ["luck"]}, {"part": [1.5]}, {"parts": ["train"]}, {"part": [["test"]]})
    for table in ({name: cells * 168 for name, cells in column.items()} for column in columns):
        pq.write_table(pa.table(table), path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        record = {**recorded(run), "split_file": {"path": "split.parquet", "bytes": 1, "sha256": digest}}
        (run / "run.json").write_text(json.dumps(record), "utf-8")
        with pytest.raises(DamagedCache, match=r"split\.parquet: cannot be read"):
            reopen(RunStore(run))
    path.unlink()
    with pytest.raises(DamagedCache, match=r"split\.parquet"):
        reopen(RunStore(run))
