"""`gocell sweep` on real trainings: killed, shared, refused; it sees no test part, and `train` takes what it finds."""

import json
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gocell_cli.building.build import BuildMode, build
from gocell_cli.building.plan import BuildOptions, plan_build
from gocell_cli.sources.screens import own_table, table_columns
from gocell_cli.storage.reader import Cache
from gocell_cli.training.runs.config import RunConfig, read_config
from gocell_cli.training.runs.samples import RunSamples
from gocell_cli.training.runs.sweep.plan import member_config
from tests import toy
from tests.commands.runners import document_apart, run, run_without

SMALL = ("--epochs", "2", "--batch-size", "32", "--set", "min_width=2", "--set", "ratio=0.0")
SEARCH = ("--search", "lr=log:1e-3..0.1", "--search", "gene_weights=own,deviation")


def asked(cache: Path, out: Path, *words: object, trials: int = 3, seeds: int = 2) -> list[object]:
    baselines = [] if "--baselines" in words else ["--baselines", "none"]
    return ["sweep", cache, "--out", out, "--trials", trials, "--seeds", seeds, *SMALL, *SEARCH, *words, *baselines]


def told(found: dict[str, Any]) -> list[Any]:
    """What a sweep found but for what a clock said."""
    return [{k: v for k, v in row.items() if k != "seconds"} for row in (found["as_they_are"], *found["trials"])]


def screen(folder: Path, change: dict[tuple[str, ...], float]) -> Path:
    """A cache of 25 genotypes, each once; `change` gives some of them other values."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    sets = [genes for size in (1, 2, 3) for genes in combinations(toy.GENES, size)]
    values = {genes: float(rng.normal()) for genes in sets} | change
    lines = ["genes,growth", *(f"{'+'.join(genes)},{value:.6f}" for genes, value in values.items())]
    (folder / "screen.csv").write_text("\n".join(lines) + "\n", "utf-8")
    dataset, _ = own_table.read(folder / "screen.csv", toy.gene_table(), table_columns.TableOptions())
    options = BuildOptions(toy.RULES)
    plan = plan_build(toy.ontology(folder), toy.annotations(folder), toy.gene_table(), dataset, options, {})
    return build(plan, folder / "cache", BuildMode()).directory


def other_labels(cache: Path) -> dict[tuple[str, ...], float]:
    """Other values of the genotypes that are tested with seed 0."""
    opened = Cache(cache)
    samples, split = opened.columns(), RunSamples.of(opened, RunConfig()).split
    names = opened.hierarchy.gene_names
    rows = [samples.genes[samples.gene_ptr[r] : samples.gene_ptr[r + 1]].tolist() for r in split.test.tolist()]
    return {tuple(names[gene] for gene in genes): 1000.0 + number for number, genes in enumerate(rows)}


def test_no_trial_hears_of_the_test_part(tmp_path: Path) -> None:
    """Other labels of the tested samples change no figure of a sweep, baselines included, and no setting it takes."""
    first = screen(tmp_path / "a", {})
    other = other_labels(first)
    assert len(other) >= 2
    second = screen(tmp_path / "b", other)
    baselines = ("--baselines", "mean,additive")
    found = [
        document_apart(*asked(cache, tmp_path / f"s{number}", *baselines, trials=2))
        for number, cache in enumerate((first, second))
    ]
    assert told(found[0]) == told(found[1])
    assert found[0]["baselines"] == found[1]["baselines"]
    assert {*found[0]["baselines"]} == {"mean", "additive"}
    assert (tmp_path / "s0/best.toml").read_text() == (tmp_path / "s1/best.toml").read_text()
    base = read_config(tmp_path / "s0/best.toml")
    opened = Cache(first)
    test = RunSamples.of(opened, base).split.test.tolist()
    for number in range(3):
        split = RunSamples.of(opened, member_config(base, {}, number)).split
        assert split.test.tolist() == test
        assert not {*test} & {*split.train.tolist(), *split.validation.tolist()}


def test_train_takes_the_best_and_tests_it(small_cache: Path, tmp_path: Path) -> None:
    found = document_apart(*asked(small_cache, tmp_path / "sweep"))
    rows = found["trials"]
    assert [row["trial"] for row in rows] == [1, 2, 3]
    assert all(row["state"] == "complete" and row["seeds"] == 2 for row in rows)
    losses = [found["as_they_are"]["loss"], *(row["loss"] for row in rows)]
    assert found["best"]["loss"] == min(losses)
    table = (tmp_path / "sweep/trials.tsv").read_text().splitlines()
    assert len(table) == 1 + 1 + 3
    assert table[0].split("\t")[:4] == ["trial", "state", "seeds", "loss"]
    words = found["next_command"].split()
    assert words[:2] == ["gocell", "train"]
    trained = document_apart(*words[1:], "--out", tmp_path / "run")
    settings = read_config(tmp_path / "run/seed-0/config.toml")
    best = read_config(tmp_path / "sweep/best.toml")
    assert {name: getattr(settings, name) for name in found["best"]["searched"]} == found["best"]["searched"]
    assert (settings.lr, settings.split_seed, settings.validation_seed) == (best.lr, 0, -1)
    assert len(trained["rows"]["DCell"]["pearson"]["values"]) == 2
    assert not list((tmp_path / "sweep/trials").iterdir())  # weights that nobody asked for are not kept


KILLED = """
import os, sys
from gocell_cli.commands.app import main
from gocell_cli.training.runs.trainer import Trainer
sys.argv = {words!r}
validate, count = Trainer._validate, [0]
def until(trainer, clock):
    count[0] += 1
    if count[0] == {at}:
        os._exit(9)
    validate(trainer, clock)
Trainer._validate = until
main()
"""


@pytest.fixture(scope="module")
def whole(small_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A sweep that nobody killed."""
    return document_apart(*asked(small_cache, tmp_path_factory.mktemp("whole") / "sweep"))


@pytest.mark.parametrize("at", [1, 6, 9])
def test_a_sweep_killed_within_a_training_goes_on_to_the_same_trials(
    small_cache: Path, whole: dict[str, Any], tmp_path: Path, at: int
) -> None:
    """Before an epoch of the settings as they are, and of a trial's first and second seed, is kept."""
    words = ["gocell", *map(str, asked(small_cache, tmp_path / "killed"))]
    assert subprocess.run([sys.executable, "-c", KILLED.format(words=words, at=at)], check=False).returncode == 9
    found = document_apart("sweep", "--resume", "--out", tmp_path / "killed", "--trials", 3)
    assert told(found) == told(whole)
    assert found["gain"] == whole["gain"]
    with_more = document_apart("sweep", "--resume", "--out", tmp_path / "killed", "--trials", 4)
    assert told(with_more)[:4] == told(whole)
    assert len(with_more["trials"]) == 4


def test_processes_share_one_study(small_cache: Path, tmp_path: Path) -> None:
    words = [str(word) for word in asked(small_cache, tmp_path / "sweep", "--resume", "--json", trials=4, seeds=1)]
    code = "from gocell_cli.commands.app import main; main()"
    begun = [subprocess.Popen([sys.executable, "-c", code, *words], stdout=subprocess.PIPE) for _ in range(2)]
    outputs = [process.communicate(timeout=300)[0] for process in begun]
    assert [process.returncode for process in begun] == [0, 0]
    last = max(
        (json.loads(output) for output in outputs), key=lambda d: sum(t["state"] == "complete" for t in d["trials"])
    )
    assert [(t["trial"], t["state"]) for t in last["trials"]] == [(number, "complete") for number in (1, 2, 3, 4)]
    assert last["as_they_are"]["seeds"] == 1


def test_settings_that_fail_are_counted_and_the_search_goes_on(small_cache: Path, tmp_path: Path) -> None:
    """Some diverge, some exclude each other."""
    out, words = tmp_path / "sweep", ("--search", "l2=0.0,0.01", "--search", "weight_decay=0.0,0.01")
    found = document_apart(
        "sweep",
        small_cache,
        "--out",
        out,
        "--trials",
        8,
        "--seeds",
        1,
        *SMALL,
        *words,
        "--search",
        "init_range=0.001,1e25",
    )
    why = [row["why"] for row in found["trials"] if row["state"] == "failed"]
    assert any("would both shrink the weights" in text for text in why)
    assert any("diverged" in text for text in why)
    assert any(row["state"] == "complete" for row in found["trials"])
    assert found["best"]["state"] == "complete"


def test_dry_run_writes_nothing_and_loads_neither_torch_nor_optuna(small_cache: Path, tmp_path: Path) -> None:
    out = tmp_path / "sweep"
    plan = document_apart(*asked(small_cache, out, "--dry-run"))
    assert (plan["runs"], plan["trials"], plan["seeds"]) == (8, 3, 2)
    assert plan["search"] == [SEARCH[1], SEARCH[3]]
    assert plan["fixed"]["epochs"] == 2
    assert not out.exists()
    words = [str(word) for word in asked(small_cache, out, "--dry-run")]
    code = f"import sys; sys.argv = {['gocell', *words]!r}\nfrom gocell_cli.commands.app import main\n"
    code += "try:\n    main()\nfinally:\n    print(sorted({'torch', 'optuna'} & {*sys.modules}), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert "8 runs at most" in done.stdout, done.stderr
    assert done.stderr.splitlines()[-1] == "[]"


def test_without_optuna_nothing_is_begun(small_cache: Path, tmp_path: Path) -> None:
    out = tmp_path / "sweep"
    done = run_without("optuna", *asked(small_cache, out))
    assert done.returncode == 7, done.stderr
    assert "pip install 'gocell[sweep]'" in done.stderr
    assert not out.exists()


def test_what_is_there_is_gone_on_with_as_it_is(small_cache: Path, tmp_path: Path) -> None:
    out = tmp_path / "sweep"
    document_apart(*asked(small_cache, out, trials=1, seeds=1))
    again = ["sweep", small_cache, "--resume", "--out", out, "--trials", 1]
    for words, text in (
        (asked(small_cache, out), "a sweep is here already"),
        ([*again, *SMALL, "--lr", 0.5], "its lr is 0.003, and 0.5 is asked for"),
        ([*again, "--seeds", 3], "a sweep of 1 seeds"),
        ([*again, "--search", "lr=0.1,0.2"], "a sweep of 1 seeds"),
    ):
        refused = run(*words, cwd=tmp_path)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert text in refused.stderr
    said = run(*again, cwd=tmp_path)
    assert (said.returncode, "1 of 1 trials complete" in said.stdout) == (0, True)
    assert "one seed cannot tell" in said.stdout or "no trial was better" in said.stdout
