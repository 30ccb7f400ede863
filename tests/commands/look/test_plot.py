"""`gocell plot`: real figures of the bundled ontology and of a real cache, and the numbers in them."""

from pathlib import Path

import numpy as np
import pytest

from gocell_cli.storage.reader import Cache
from tests.commands.conftest import Built
from tests.commands.runners import document, document_apart, failure, run


def test_levels_of_the_bundled_ontology(tmp_path: Path) -> None:
    out = tmp_path / "levels.svg"
    panels = document_apart("plot", "levels", "--out", out)["panels"]
    whole, used = ({one["by"]: one for one in panel["groupings"]} for panel in panels)
    assert out.read_bytes().startswith(b"<?xml")
    assert sum(whole["level"]["terms"]) == 43_906
    assert (sum(whole["level"]["same_level"]), sum(whole["level"]["inverted"])) == (10_120, 5_855)
    assert used["stratum"]["terms"] == [1, 3, 36, 135, 332, 492, 649, 598, 510, 374, 294, 212, 115, 33, 7, 2]
    for by in ("stratum", "depth", "height"):
        assert not sum(whole[by]["same_level"]) + sum(used[by]["inverted"])


def test_batches_and_comparison(tmp_path: Path) -> None:
    batches = document_apart("plot", "batches", "--out", tmp_path / "batches.png", "--preset", "ma2018")["batches"]
    assert (sum(batches["stratum"]), len(batches["stratum"])) == (3_202, 17)
    assert sum(batches["height"]) == 3_202
    graph = document_apart("plot", "comparison", "--out", tmp_path / "comparison.png", "--preset", "ma2018")["graph"]
    assert "43,906 terms" in graph
    assert {p.name for p in tmp_path.iterdir()} == {"batches.png", "comparison.png"}


def test_a_cache(essentiality: Built, tmp_path: Path) -> None:
    drawn = document("plot", "cache", "--out", tmp_path / "cache.png", "--root", essentiality.root)
    cache = Cache(essentiality.cache)
    touched = sum(
        int((state == 0).sum()) for start in range(0, len(cache), 500) for state in _states(cache, start, 500)
    )
    assert (drawn["samples"], drawn["rows_touched"]) == (5_887, touched)


def test_levels_and_batches_of_a_cache_are_those_of_its_options(essentiality: Built, tmp_path: Path) -> None:
    """The fixture's cache is the bundled default's: its tables give what the ontology does."""
    cached = ("--cache", essentiality.cache)
    for what, key in (("levels", "panels"), ("batches", "batches")):
        of_cache = document_apart("plot", what, "--out", tmp_path / f"{what}.svg", *cached)[key]
        of_options = document_apart("plot", what, "--out", tmp_path / f"{what}-options.svg")[key]
        if what == "levels":
            (of_cache,), of_options = of_cache, of_options[-1]  # of a cache the hierarchy in use alone
            assert of_cache.pop("graph").startswith(f"{essentiality.cache.name}, hierarchy in use: 3,793 terms")
            del of_options["graph"]
        assert of_cache == of_options
    drawn = document_apart("plot", "comparison", "--out", tmp_path / "comparison.png", *cached)
    assert "3,793 terms" in drawn["graph"]
    error = failure("plot", "levels", "--out", tmp_path / "both.svg", *cached, "--min-genes", 6)
    assert "two hierarchies" in error.message
    assert not (tmp_path / "both.svg").exists()


def _states(cache: Cache, start: int, count: int) -> np.ndarray:
    return cache.mutant_state(np.arange(start, min(start + count, len(cache))))[:, :, 3]


def test_the_real_command_prints_the_path_alone(essentiality: Built, tmp_path: Path) -> None:
    process = run("plot", "cache", "--out", "cache.svg", "--root", essentiality.root, cwd=tmp_path)
    assert (process.returncode, process.stdout, process.stderr) == (0, "cache.svg\n", "")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("levels.gif", "neither .png nor .svg nor .pdf"),
        ("there.png", "is there already"),
        ("no/such/a.png", "no such folder"),
    ],
)
def test_a_place_that_does_not_do_is_refused_before_work(name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "there.png").write_text("mine")
    error = failure("plot", "levels", "--out", tmp_path / name)
    assert message in error.message
    assert error.hint
    assert (tmp_path / "there.png").read_text() == "mine"
