"""`gocell explain`: which terms interact by the wide part, on a screen whose interacting terms were planted."""

import json
import shutil
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from tests.commands.runners import document, failure, invoke, run

GENES, GROUP = 48, 6
"""Eight modules M0 to M7; W2 holds M2 and one gene more, B the modules 6 and 7."""
TINY = ("--set", "min_width=2", "--set", "ratio=0.0", "--batch-size", 256, "--epochs", 1, "--baselines", "none")
PLANTED = {("M2", "M5"): -3.0, ("M1", "M4"): 2.5}


def gene(number: int) -> str:
    return f"YAL{number:03d}W"


def hierarchy_text() -> str:
    """DDOT's columns: parent, child, kind."""
    edges = [("ROOT", f"M{m}") for m in (0, 1, 3, 4, 5)] + [("W2", "M2"), ("B", "M6"), ("B", "M7")]
    edges += [("ROOT", "W2"), ("ROOT", "B")]
    rows = [f"{parent}\t{child}\tdefault" for parent, child in edges]
    rows += [f"M{g // GROUP}\t{gene(g)}\tgene" for g in range(GENES)]
    return "\n".join([*rows, f"W2\t{gene(3 * GROUP)}\tgene"]) + "\n"


def screen_text(*, planted: bool = True) -> str:
    """Every pair's phenotype: its genes' single effects, what its modules add, and noise."""
    rng = np.random.default_rng(0)
    effect = rng.normal(size=GENES)
    lines = []
    for g, h in combinations(range(GENES), 2):
        more = PLANTED.get((f"M{g // GROUP}", f"M{h // GROUP}"), 0.0) if planted else 0.0
        lines.append(f"{gene(g)} {gene(h)}\t{effect[g] + effect[h] + more + rng.normal(0, 0.3):.6f}")
    return "\n".join(["genes\tgrowth", *lines]) + "\n"


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the cache's root and a run with all voices, `run`. Do not change what is there."""
    folder = tmp_path_factory.mktemp("planted")
    (folder / "modules.ont").write_text(hierarchy_text(), "utf-8")
    (folder / "screen.tsv").write_text(screen_text(), "utf-8")
    words = ("--dataset", "table", "--raw", "screen.tsv", "--hierarchy", "modules.ont")
    done = run("build-cache", *words, "--root", "root", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    (folder / "cache").symlink_to(json.loads(done.stdout)["cache"])
    train(folder, "run")
    return folder


def train(folder: Path, name: str, *more: object) -> Path:
    done = run("train", folder / "cache", "--out", folder / name, *TINY, *more, "--quiet", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / name


def explained(where: Path, *more: object) -> dict[str, Any]:
    found: dict[str, Any] = document("explain", where, "--rlipp-samples", 60, *more)
    return found


def sides(entry: dict[str, Any]) -> tuple[str, str]:
    return entry["first"]["term"], entry["second"]["term"]


def test_planted_terms_lead_each_with_its_sign(planted: Path) -> None:
    found = explained(planted / "run")["interactions"]
    first, second = found["term_pairs"][:2]
    assert {sides(first), sides(second)} == set(PLANTED)
    for entry in (first, second):
        wanted = PLANTED[sides(entry)]
        assert entry["sign"] == ("positive" if wanted > 0 else "negative")
        # single effects, fitted to the same pairs, have a part of it
        assert 0.6 * abs(wanted) < abs(entry["effect"]) < 1.1 * abs(wanted)
        assert np.sign(entry["effect"]) == np.sign(entry["wide_part"]) == np.sign(wanted)
        # a part of it is in the genes' own vectors and in wider terms, and penalties make all of them smaller
        assert 0.15 * abs(wanted) < abs(entry["wide_part"]) < 1.2 * abs(wanted)
        low, high = entry["interval"]
        assert low < entry["effect"] < high
        assert 0 < entry["standard_error"] < 0.3
        assert entry["relation"] == "between"
    sure = [min(map(abs, entry["interval"])) for entry in found["term_pairs"]]
    assert sure == sorted(sure, reverse=True)
    assert all(np.prod(entry["interval"]) > 0 for entry in found["term_pairs"])
    assert sure[-1] >= found["farther_than_chance"] > 0
    assert found["clear"] < found["tested"]
    partners = {entry["term"]: entry["partner"]["term"] for entry in found["terms"]}
    assert (partners["M2"], partners["M1"]) == ("M5", "M4")


def test_where_no_pair_of_terms_stands_clear_there_is_no_ranking(planted: Path, tmp_path: Path) -> None:
    """The screen without what was planted: single effects and noise."""
    lines = screen_text(planted=False)
    (tmp_path / "screen.tsv").write_text(lines, "utf-8")
    shutil.copy(planted / "modules.ont", tmp_path)
    words = ("--dataset", "table", "--raw", "screen.tsv", "--hierarchy", "modules.ont")
    done = run("build-cache", *words, "--root", "root", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (tmp_path / "cache").symlink_to(json.loads(done.stdout)["cache"])
    train(tmp_path, "run")
    text = invoke("explain", tmp_path / "run", "--rlipp-samples", 60).stdout
    said = (
        "no pair of terms stands clear of single effects" in text
        or "not known which terms interact: the wide part has single effects alone" in text
    )
    assert said
    assert "Terms that interact" not in text


def test_training_pairs_are_those_of_the_run(planted: Path) -> None:
    """A tenth of the pairs validates and a tenth is tested: none of them is counted."""
    found = explained(planted / "run")["interactions"]
    record = json.loads((planted / "run" / "run.json").read_text("utf-8"))
    assert found["training_pairs"] == record["split"]["train"] < GENES * (GENES - 1) // 2
    held = {sides(entry): entry["training_pairs"] for entry in found["term_pairs"]}
    assert GROUP * GROUP / 2 < held["M2", "M5"] < GROUP * GROUP
    assert found["least_pairs"] == 10


def test_nearly_the_same_terms_are_shown_once(planted: Path) -> None:
    """W2 is M2 and one gene more: with M5 it interacts as well, and is left out and counted."""
    found = explained(planted / "run", "--top", 2)["interactions"]
    assert len(found["term_pairs"]) == 2
    everything = explained(planted / "run", "--top", 1000)["interactions"]
    assert ("M5", "W2") not in map(sides, everything["term_pairs"])
    assert everything["left_out"]["nested"] > 0
    # all that stand clear are shown, passed over, or alike to one shown before and behind the last one shown
    assert len(everything["term_pairs"]) + everything["left_out"]["nested"] <= everything["clear"]


def test_the_table_stands_where_no_ranking_is_printed(planted: Path, tmp_path: Path) -> None:
    copied = tmp_path / "run"
    shutil.copytree(planted / "run", copied)
    record = json.loads((copied / "run.json").read_text("utf-8"))
    for low, told in ((-0.1, False), (0.1, True)):
        adds = {"metric": "pearson", "difference": 0.2, "samples": [low, 0.3], "groups": None}
        record["results"]["test"]["dcell_adds"] = adds
        (copied / "run.json").write_text(json.dumps(record))
        text = invoke("explain", copied, "--rlipp-samples", 60, "--top", 2).stdout
        assert ("Terms by excess" in text) is told
        table = text[text.index("Terms that interact") :]
        assert table.index("M2") < table.index("of what single effects leave of growth")
        assert "left out: " in table


def test_a_run_without_a_wide_part_says_so(planted: Path) -> None:
    for name, more, why in (
        ("near", ("--set", "wide=none"), "the run has no wide part"),
        ("alone", ("--set", "wide=none", "--set", "neighbours=none"), "the run has no voice beside its network"),
    ):
        where = train(planted, name, *more)
        assert explained(where)["interactions"] is None
        assert f"not known which terms interact: {why}" in invoke("explain", where, "--rlipp-samples", 60).stdout


def test_single_effects_alone_say_nothing_of_pairs(trained: Path) -> None:
    """The run on essential genes, whose samples delete one gene each."""
    words = ("explain", trained, "--rlipp-samples", 60, "--top", 1)
    assert document(*words)["interactions"] is None
    assert "the wide part has single effects alone" in invoke(*words).stdout


def test_without_the_cache_nothing_is_counted(planted: Path, tmp_path: Path) -> None:
    copied = tmp_path / "run"
    shutil.copytree(planted / "run", copied)
    record = json.loads((copied / "run.json").read_text("utf-8"))
    record["cache"] = str(tmp_path / "gone")
    (copied / "run.json").write_text(json.dumps(record))
    words = ("explain", copied, "--genes", gene(0))
    assert document(*words)["interactions"] is None
    text = invoke(*words).stdout
    assert "not known which terms interact: they are counted over the training pairs of the run's cache" in text
    assert "Effect of deleting" in text


def test_a_wide_part_of_other_terms_is_damage(planted: Path, tmp_path: Path) -> None:
    copied = tmp_path / "run"
    shutil.copytree(planted / "run", copied)
    path = copied / "voices.safetensors"
    with safe_open(path, framework="np") as file:
        tensors, words = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
    fit = json.loads(words["state"])["fits"]["wide"]["fields"]["term_vector"]["array"]
    tensors[fit] = tensors[fit][:-1]
    save_file(tensors, path, words)
    assert "damaged" in failure("explain", copied, "--rlipp-samples", 60).message
