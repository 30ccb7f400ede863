"""Files of a run, damaged in every way: a run says so, naming the file, or predicts as it did; nothing in between."""

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gocell_cli.errors import DamagedCache, GocellError, SourceMissing
from gocell_cli.figures.run_page import run_page
from gocell_cli.run_record import read_metrics
from gocell_cli.training.runs.config import RunConfig, read_config
from gocell_cli.training.runs.evaluating import finish_run
from gocell_cli.training.runs.run import open_predictor, resume_run
from gocell_cli.training.runs.store import RunStore
from tests.attempts import attempts
from tests.training.runs.test_trainer import fitted

GENOTYPES = [(), (0,), (1, 3), (0, 1, 4)]
FILES = ("run.json", "config.toml", "metrics.jsonl", "best.safetensors", "hierarchy/terms.parquet")


@pytest.fixture(scope="module")
def trained(small_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, to be copied."""
    run = tmp_path_factory.mktemp("trained") / "run"
    trainer = fitted(run, small_cache)
    finish_run(trainer)
    trainer.store.release()
    return run


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "run"))


def flip(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]


def cut(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data))]


def doubled(rng: random.Random, data: bytes) -> bytes:
    a, b = sorted(rng.randrange(len(data)) for _ in range(2))
    return data[:b] + data[a:]


WORDS = (b"NaN", b"-1", b"1e999", b"null", b"true", b'"\\ud800"', b"[]", b"{}", b"0", b"9" * 400, b"[" * 5000, b"\xff")


def another_word(rng: random.Random, data: bytes) -> bytes:
    """A number or a text replaced by what should not stand there."""
    at = rng.randrange(len(data))
    end = next((i for i in range(at, len(data)) if data[i] in b",}\n]"), len(data))
    return data[:at] + rng.choice(WORDS) + data[end:]


MUTATORS = (flip, cut, doubled, another_word)


def looked_at(run: Path) -> tuple[list[float], list[dict[str, Any]]]:
    """What a run predicts, and its settings and metrics as a report shows them."""
    predicted = open_predictor(run).phenotypes(GENOTYPES).tolist()
    run_page(run)
    return predicted, [line.validation for line in read_metrics(run)]


@pytest.mark.parametrize("name", FILES)
def test_a_mutated_file_is_refused_or_changes_no_prediction(run: Path, name: str) -> None:
    changed(run, "cache", to=str(run / "gone"))  # a report of the cache as well would take half a second each
    rng, good, refused = random.Random(name), (run / name).read_bytes(), list[GocellError]()
    wanted, tries = looked_at(run), attempts(16, 400)
    for number in range(tries):
        mutated = MUTATORS[number % len(MUTATORS)](rng, good)
        (run / name).write_bytes(mutated)
        try:
            found = looked_at(run)
        except GocellError as error:
            refused.append(error)
        else:
            assert found[0] == wanted[0], (number, mutated)
    assert {error.exit_code for error in refused} <= {5, 6}
    assert not any("\n" in error.message for error in refused)
    assert len(refused) > tries / 4
    (run / name).write_bytes(good)
    assert looked_at(run) == wanted


def test_a_mutated_last_is_refused_when_resumed(run: Path) -> None:
    path = run / "last.safetensors"
    rng, good = random.Random(4), path.read_bytes()
    for number in range(attempts(4, 120)):
        path.write_bytes(MUTATORS[number % len(MUTATORS)](rng, good))
        if path.read_bytes() == good:
            continue
        with pytest.raises(DamagedCache, match=r"last\.safetensors"):
            resume_run(run)
    path.write_bytes(good)
    trainer = resume_run(run)
    assert trainer.epoch == 2
    trainer.store.release()


def changed(run: Path, *path: str, to: Any) -> None:
    """Change one entry of run.json."""
    record = json.loads((run / "run.json").read_text("utf-8"))
    inner = record
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = to
    (run / "run.json").write_text(json.dumps(record), "utf-8")


@pytest.mark.parametrize(
    ("path", "to", "said"),
    [
        (("label", "mean"), 0.9, "label is"),
        (("label", "sd"), 0.0, "sd is not above 0"),
        (("label", "logits"), 0, "label.logits: Input should be a valid boolean"),
        (("phenotype", "kind"), "growth", "phenotype is growth"),
        (("cache",), "a\0b", "cache is no path"),
        (("hierarchy", "level_direction"), "up", "level_direction is neither"),
        (("hierarchy", "files"), [], "no file of its hierarchy"),
        (("layout", "width_by"), "luck", "width_by is neither"),
        (("split", "train"), -1, "below 0"),
        (("nonsense",), 1, "nonsense: Unexpected keyword argument"),
        (("results",), {}, "results are not those"),
    ],
)
def test_a_record_that_lies_is_told(run: Path, path: tuple[str, ...], to: Any, said: str) -> None:
    changed(run, *path, to=to)
    with pytest.raises(DamagedCache, match=said):
        open_predictor(run)


def test_settings_changed_since_are_told_where_they_would_change_predictions(run: Path) -> None:
    config = read_config(run / "config.toml")
    wanted = open_predictor(run).phenotypes(GENOTYPES).tolist()
    for harmless in ({"epochs": 7}, {"form": "dense"}, {"lr": 0.1}):
        (run / "config.toml").write_text(config.changed(harmless).to_toml(), "utf-8")
        assert open_predictor(run).phenotypes(GENOTYPES).tolist() == pytest.approx(wanted)
    others = {"norm_order": "tanh-bn", "seed": 5, "ratio": 0.5, "gene_weights": "shared", "top_width": 9, "products": 2}
    for name, value in others.items():
        (run / "config.toml").write_text(config.changed({name: value}).to_toml(), "utf-8")
        with pytest.raises(DamagedCache, match=f"{name} is|not this network's|another order"):
            open_predictor(run)


def weights(run: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    """Change the best weights, hash and all."""
    store = RunStore(run)
    tensors, state = store.load("best")
    change(tensors)
    store.save("best", tensors, state)


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t["bias"].fill_(torch.nan),
        lambda t: t.update(bias=t["bias"].long()),
        lambda t: t.update(trained_genes=t["trained_genes"][1:]),
        lambda t: t.pop("trained_genes"),
        lambda t: t.pop("head_weight"),
    ],
)
def test_weights_that_are_none_are_refused(run: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    weights(run, change)
    with pytest.raises(DamagedCache, match=r"best\.safetensors"):
        open_predictor(run)


def test_what_is_no_file_is_refused_at_once(run: Path) -> None:
    for name in ("run.json", "config.toml", "best.safetensors"):
        kept = (run / name).rename(run / "kept")
        os.mkfifo(run / name)
        with pytest.raises((DamagedCache, SourceMissing)):
            open_predictor(run)
        (run / name).unlink()
        kept.rename(run / name)
    assert np.isfinite(open_predictor(run).phenotypes(GENOTYPES)).all()


def test_every_setting_survives_its_file(tmp_path: Path) -> None:
    texts = ("a\x7fb\n\t\"\\'", "\U0001f9ec \u202e", "x" * 4000, "= [[", "\x00")
    for text in texts:
        config = RunConfig(wandb=text, lr=1e-300, alpha=1e30, seed=2**63 - 1)
        (tmp_path / "config.toml").write_text(config.to_toml(), "utf-8")
        assert read_config(tmp_path / "config.toml") == config
