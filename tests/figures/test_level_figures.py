"""What the level figures draw, against the toy's numbers; that every figure becomes a file; the same SVG twice."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.container import BarContainer
from matplotlib.figure import Figure

from gocell_cli.domain.levels import ontology_groupings
from gocell_cli.figures.canvas import save
from gocell_cli.figures.level_figures import (
    LevelPicture,
    batch_distribution,
    batch_numbers,
    batch_sizes,
    faults_by_level,
    level_against_stratum,
    level_distributions,
)
from tests import toy


@pytest.fixture
def picture(tmp_path: Path) -> LevelPicture:
    ontology = toy.ontology(tmp_path)
    return LevelPicture("toy", ontology_groupings(ontology, ("is_a",)), ontology.select(("is_a",)))


def _widths(figure: Figure, panel: int) -> dict[str, list[float]]:
    axes = figure.axes[panel]
    return {
        str(bars.get_label()): [bar.get_width() for bar in bars.patches]
        for bars in axes.containers
        if isinstance(bars, BarContainer)
    }


def test_faults_stand_at_their_levels(picture: LevelPicture) -> None:
    same, inverted = faults_by_level(picture.groupings["level"], picture.edges)
    assert same.tolist() == [0, 0, 1]  # 6 -> 4, both at 2
    assert inverted.tolist() == [0, 1, 0]  # 5 -> 4, from 1 up to 2
    for by in ("depth", "stratum", "height"):
        assert not any(np.any(faults) for faults in faults_by_level(picture.groupings[by], picture.edges))


def test_batches_come_in_the_order_of_a_run(picture: LevelPicture) -> None:
    assert batch_sizes(picture.groupings["stratum"]).tolist() == [
        1,
        1,
        1,
        2,
        1,
    ]  # leaf, deep, middle, left + right, root
    assert batch_sizes(picture.groupings["height"]).tolist() == [1, 1, 1, 2, 1]


def test_what_batches_save() -> None:
    assert batch_numbers(np.array([4, 2, 1, 1])) == {
        "terms": 8, "batches": 4, "mean": 2.0, "largest": 4, "smallest": 1, "cumulative_share": [0.5, 0.75, 0.875, 1.0],
        "parallel_efficiency": 0.5, "fewer_steps": 2.0,
    }  # fmt: skip


def test_the_bars_are_the_numbers(picture: LevelPicture) -> None:
    figure = level_distributions(picture, picture)
    assert _widths(figure, 0) == {
        "terms": [1, 3, 2],
        "same-level edges": [0, 0, 1],
        "inverted edges": [0, 1, 0],
    }
    assert _widths(figure, 2)["terms"] == [1, 2, 1, 1, 1]
    titles = [axes.get_title() for axes in figure.axes]
    assert "does not hold: 1 same-level, 1 inverted edges" in titles[0]
    assert all("holds: 5 batches" in title for title in titles[1:4])


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_every_figure_becomes_one_file(picture: LevelPicture, tmp_path: Path, suffix: str) -> None:
    for number, draw in enumerate((level_distributions, batch_distribution, level_against_stratum)):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        content = save(draw(picture), folder / f"figure.{suffix}").read_bytes()
        assert content.startswith(b"\x89PNG\r\n\x1a\n" if suffix == "png" else b"<?xml")
        assert [p.name for p in folder.iterdir()] == [f"figure.{suffix}"]


def test_an_svg_has_the_same_bytes_every_time(picture: LevelPicture, tmp_path: Path) -> None:
    contents = {save(level_distributions(picture), tmp_path / name).read_bytes() for name in ("a.svg", "b.svg")}
    assert len(contents) == 1
