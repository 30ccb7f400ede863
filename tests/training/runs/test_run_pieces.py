"""The small parts of a run: settings, its directory, labels."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gocell_cli.errors import DamagedCache, InvalidInput, SourceMissing, TooLarge, UsageError
from gocell_cli.training.data.labels import check_differ, check_labels, label_scale
from gocell_cli.training.runs.config import (
    MANY,
    NARROW,
    RECIPES,
    WIDE,
    RunConfig,
    read_config,
    resolve,
    run_config,
)
from gocell_cli.training.runs.memory import network_numbers, widths
from gocell_cli.training.runs.store import RunStore
from gocell_cli.training.runs.weights import Layout
from tests.hierarchies import random_network


def test_a_config_file_goes_through_unchanged(tmp_path: Path) -> None:
    config = RunConfig(epochs=3, split="gene", fractions=(0.5, 0.25, 0.25), gene_weights="shared")
    path = tmp_path / "run.toml"
    path.write_text(config.to_toml(), "utf-8")
    assert read_config(path) == config
    path.write_text("lr = 1\n", "utf-8")
    assert read_config(path, config) == replace(config, lr=1.0)


def test_a_recipe_lies_under_all_other_settings(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text('recipe = "torchcell"\nlr = 0.5\n', "utf-8")
    plain = resolve({}, (), None, [])
    assert plain == RunConfig()
    assert (plain.recipe, plain.norm_order, plain.min_width) == ("default", "tanh-bn", 0)
    named = resolve({"recipe": "torchcell", "epochs": 7}, (), None, ["alpha=0.1"])
    for name, value in RECIPES["torchcell"].items():
        assert getattr(named, name) == {"epochs": 7, "alpha": 0.1}.get(name, value), name
    assert named.recipe == "torchcell"
    of_file = resolve({}, (), file, [])
    assert (of_file.recipe, of_file.lr, of_file.norm_order) == ("torchcell", 0.5, "bn-tanh")
    assert resolve({}, (), file, ["recipe=ma2018"]).min_lr == RunConfig().min_lr
    assert resolve({"recipe": "ma2018"}, (), file, []).auxiliary == "sum"
    assert resolve({"recipe": "ma2018"}, {"recipe"}, file, []).auxiliary == "mean", "a variable yields to a file"
    with pytest.raises(UsageError, match="recipe is 'dango'"):
        resolve({"recipe": "dango"}, (), None, [])


def test_a_run_of_before_is_opened_as_it_was_trained(tmp_path: Path) -> None:
    """Its file names neither a recipe nor a decay of columns, and the width that it was trained with."""
    lines = RunConfig(min_width=20, gene_weights="own", own_decay=0.0).to_toml().splitlines()
    newer = ("recipe", "own_decay", "split_rule", "term_dropout", "top_", "products", "learnt_vectors")
    (tmp_path / "config.toml").write_text("\n".join(x for x in lines if not x.startswith(newer)), "utf-8")
    found = run_config(tmp_path)
    assert (found.recipe, found.own_decay, found.split_rule, found.min_width) == ("", 0.0, 1, 20)
    assert (found.term_dropout, found.top_width, found.products) == (0.0, 0, 0)


def test_the_least_width_is_by_training_samples_where_it_is_left_open() -> None:
    assert RunConfig().for_samples(MANY).min_width == NARROW
    assert RunConfig().for_samples(MANY + 1).min_width == WIDE
    assert RunConfig(min_width=3).for_samples(MANY + 1).min_width == 3


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("lr = ", InvalidInput, "not TOML"),
        ("rate = 1.0", UsageError, "no setting 'rate'"),
        ('epochs = "ten"', UsageError, "epochs is 'ten', not like 100"),
        ("epochs = true", UsageError, "epochs is True"),
        ('split = "time"', UsageError, "split is 'time'"),
        ("batch_size = 1", UsageError, "batch_size is 1"),
        ("lr = 0.0", UsageError, "lr is 0.0 and must be above 0"),
        ("lr = nan", UsageError, "lr is nan, not a finite number"),
        ("l2 = inf", UsageError, "l2 is inf, not a finite number"),
        ("ratio = nan", UsageError, "ratio is nan"),
        ("fractions = [nan, 0.5, 0.5]", UsageError, "fractions is"),
        ("fractions = [0.5, 0.5, 0.5]", UsageError, "do not add up"),
        ('fractions = ["a", "b", "c"]', UsageError, "not like"),
        ("init_range = -1", UsageError, "init_range is -1.0 and must be above 0"),
        ("min_width = -1", UsageError, "min_width is -1"),
        ("alpha = -0.1", UsageError, "alpha is -0.1"),
        ("term_dropout = -0.1", UsageError, "term_dropout is -0.1"),
        ("products = -1", UsageError, "products is -1"),
        ("learnt_vectors = -1", UsageError, "learnt_vectors is -1"),
        ('learnt_vectors = 2\ngene_weights = "own"\nown_decay = 0.0', UsageError, "learnt_vectors need columns"),
        ('products = 2\nprecision = "bf16-mixed"', UsageError, "no precision of bf16"),
        ("top_width = -1", UsageError, "top_width is -1"),
        ("top_strata = 0", UsageError, "top_strata is 0"),
        ("term_dropout = 1.0", UsageError, "term_dropout is 1.0"),
        ("seed = -1", UsageError, "seed is -1"),
        ("seed = 18446744073709551616", UsageError, "seed is 18446744073709551616"),
        (f"epochs = 1{'0' * 3000}", UsageError, "epochs is 1000"),
        (f"lr = 1{'0' * 3000}", UsageError, "lr is 1000.*not like"),
        ("alpha = 1e300", UsageError, "alpha is 1e"),
        ("l2 = nan", UsageError, "l2 is nan"),
        ("a = " + "[" * 5000, InvalidInput, "nested too deeply"),
        ("seed = 9223372036854775808", UsageError, "seed is 9223372036854775808"),
        ('norm_order = "bn"', UsageError, "norm_order is 'bn'"),
        ("l2 = 0.1\nweight_decay = 0.1", UsageError, "both shrink"),
    ],
)
def test_settings_that_do_not_fit_are_errors(tmp_path: Path, text: str, kind: type[Exception], message: str) -> None:
    path = tmp_path / "run.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(kind, match=message):
        read_config(path)


def test_a_checkpoint_goes_through_unchanged_and_damage_is_noticed(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "run")
    with pytest.raises(SourceMissing, match="no run is here"):
        store.record()
    tensors = {"a": torch.arange(6.0).view(2, 3).t(), "b": torch.tensor(3)}
    store.save("last", tensors, {"epoch": 2, "best": None})
    found, state = store.load("last")
    assert all(torch.equal(found[key], tensor) for key, tensor in tensors.items())
    assert state == {"epoch": 2, "best": None}
    path = tmp_path / "run" / "last.safetensors"
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(DamagedCache, match="damaged checkpoint"):
        store.load("last")
    with pytest.raises(SourceMissing, match="no such checkpoint"):
        store.load("best")


def test_labels_are_standardised_and_put_back() -> None:
    values = np.array([1.0, 3.0, 8.0])
    scale = label_scale(values[:2], logits=False)
    assert (scale.mean, scale.sd) == (2.0, 1.0)
    assert np.allclose(scale.backward(scale.forward(values)), values)
    assert label_scale(np.ones(4), logits=False).sd == 1.0
    assert label_scale(np.full(7, 0.1), logits=False).sd == 1.0  # their mean is not 0.1
    assert label_scale(values * 1e-200, logits=False).sd == pytest.approx(values.std() * 1e-200)
    logits = label_scale(np.array([0.0, 1.0]), logits=True)
    assert np.array_equal(logits.forward(values), values)
    assert np.allclose(logits.backward(np.array([0.0, 100.0, -1000.0])), [0.5, 1.0, 0.0])
    with pytest.raises(UsageError, match="phenotype of 0 and 1"):
        label_scale(values, logits=True)


@pytest.mark.parametrize("label", [1e160, -1e300, np.inf])
def test_a_label_that_no_square_holds_is_named(label: float) -> None:
    with pytest.raises(InvalidInput, match=r"phenotype growth: sample 1 has the label .*, 1 in all are beyond 1e\+100"):
        check_labels(np.array([1.0, label, np.nan]), "growth")
    check_labels(np.array([1e99, np.nan]), "growth")


def test_labels_that_are_all_the_same_are_told() -> None:
    with pytest.raises(InvalidInput, match=r"growth: all 5 training samples have the label 0\.1"):
        check_differ(np.full(5, 0.1), "growth")
    check_differ(np.array([0.1, 0.1, 0.1 + 1e-9]), "growth")


@pytest.mark.parametrize("settings", [{"min_width": 10**6}, {"min_width": 2**62}, {"ratio": 1e9}, {"top_width": 2**62}])
def test_a_network_that_no_memory_holds_is_told_before_it_is_made(settings: dict[str, float]) -> None:
    config = replace(RunConfig(), **settings)  # type: ignore[arg-type]
    with pytest.raises(TooLarge, match=r"would take [\d,]+\.\d GB of memory, [\d,]+\.\d GB are free"):
        Layout("stratum", "direct").network(random_network(3), config)


def test_the_least_of_a_network_is_less_than_it_has_and_near_it() -> None:
    hierarchy = random_network(3)
    for config in (RunConfig(min_width=3), RunConfig(min_width=3, top_width=9, top_strata=2)):
        counted = Layout("stratum", "direct").network(hierarchy, config).parameter_count()
        assert 0.9 * counted < network_numbers(hierarchy, widths(hierarchy, "direct", config), config) <= counted
